# Each target sets up what it needs. Another Python: make book PYTHON=python3.12
PYTHON ?= python3
BIN := .venv/bin
PY := $(BIN)/python
PORT ?= 8000
COURSE ?= classroom
EDITION ?= en
NOTEBOOKS := $(wildcard book/en/*.ipynb book/en/*/*.ipynb)
TRANSLATED := $(filter-out $(NOTEBOOKS),$(wildcard book/*/*.ipynb book/*/*/*.ipynb))
TEST := OMP_NUM_THREADS=1 $(PY) -m pytest -n 2 --dist loadfile
# The code of others warns, and the book needs docstrings.
unexport PYTHONWARNINGS PYTHONOPTIMIZE
# A sweep that a page and its tests make is computed once.
book serve test test-all outputs: export D2L_SWEEPS ?= $(CURDIR)/_build/sweeps

.PHONY: help book serve lab classroom test test-all bench strip outputs data clean
help:
	@echo "make book      build the book into _build/site/"
	@echo "make serve     show it on localhost (PORT=$(PORT))"
	@echo "make lab       open the notebooks in JupyterLab (EDITION=$(EDITION), or zh)"
	@echo "make classroom make an nbgrader course from the exercises (COURSE=$(COURSE) EDITION=$(EDITION))"
	@echo "make test      the tests, the English notebooks, and the book with warnings as errors"
	@echo "make test-all  the same, and what takes long: each Python, whole classes, Chinese notebooks"
	@echo "make data      fetch and verify Fashion-MNIST, and say where it lies"
	@echo "make bench     print speed ratios"
	@echo "make strip     take outputs out of the notebooks"
	@echo "make outputs   run the notebooks and store the outputs that tests compare"
	@echo "make clean     remove what was built (not .venv, not the data)"

.venv/reader: requirements.txt pyproject.toml
	@$(PYTHON) install.py
	@touch $@

.venv/test: .venv/reader
	@$(PYTHON) install.py test
	@touch $@

data: .venv/reader
	@$(PY) -m d2lutils.fetch

book: .venv/reader
	$(PY) -m book.build
	@echo
	@echo "The book: _build/site/index.html (open it in a browser, or run: make serve)"

serve: book
	@echo "http://localhost:$(PORT)/  (Ctrl-C stops)"
	@$(PY) -m http.server $(PORT) --bind 127.0.0.1 --directory _build/site

lab: .venv/reader data
	$(BIN)/jupyter lab --notebook-dir=book/$(EDITION) book/$(EDITION)/index.ipynb

.venv/classroom: .venv/reader
	@$(PYTHON) install.py classroom
	@touch $@

# Through the environment, as it was written: no shell reads quotes, spaces or dollars in it.
classroom: export COURSE_FOLDER := $(value COURSE)
classroom: export COURSE_EDITION := $(value EDITION)
classroom: .venv/classroom data
	@$(PY) -m book.classroom.course -- "$$COURSE_FOLDER" "$$COURSE_EDITION"

test: .venv/test data
	$(BIN)/ruff check . && $(BIN)/ruff format --check .
	$(PY) -m book.build
	$(TEST) --nbval-lax tests $(NOTEBOOKS)

# On top comes what is slow: the Chinese notebooks, whose code is that of the English ones; tests
# marked `everything`; and the unit tests under every Python that the course supports.
test-all: export EVERYTHING = 1
test-all: test
	$(TEST) --nbval-lax $(TRANSLATED)
	$(PY) -m nox

bench: .venv/test book
	$(PY) benchmarks/bench.py
	$(PY) benchmarks/explorer.py
	$(PY) -m benchmarks.editions

# Translated notebooks follow; what is to be translated anew is listed.
strip: .venv/test
	$(PY) -m book.strip
	$(PY) -m book.translation

outputs: .venv/test data
	$(BIN)/jupyter execute --inplace $(NOTEBOOKS)
	$(PY) -m book.strip
	$(PY) -m book.translation

# A folder that somebody made a course in holds a class's grades.
clean:
	@for path in _build/* _build/.[!.]* build; do \
	  if [ -n "$$(find "$$path" -name gradebook.db 2>/dev/null)" ]; \
	  then echo "kept: $$path (a course with its grades)"; else rm -rf "$$path"; fi; done
	@rmdir _build 2>/dev/null || true
	rm -rf *.egg-info .pytest_cache .ruff_cache .hypothesis

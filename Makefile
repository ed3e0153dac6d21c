# Each target sets up what it needs. Another Python: make book PYTHON=python3.12
PYTHON ?= python3
BIN := .venv/bin
PY := $(BIN)/python
PORT ?= 8000
COURSE ?= _build/classroom
EDITION ?= en
NOTEBOOKS := $(shell find book/en -name '*.ipynb' -not -path '*/.*' | sort)
TRANSLATED := $(shell find book -name '*.ipynb' -not -path '*/.*' -not -path 'book/en/*' | sort)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help book serve lab classroom test test-all bench strip outputs data clean
help:
	@echo "make book      build the book into _build/site/"
	@echo "make serve     show it on localhost (PORT=$(PORT))"
	@echo "make lab       open the notebooks in JupyterLab (EDITION=$(EDITION), or zh)"
	@echo "make classroom make an nbgrader course from the exercises (COURSE=$(COURSE) EDITION=$(EDITION))"
	@echo "make test      every test, every notebook, and the book with warnings as errors"
	@echo "make test-all  the same, and what is slow"
	@echo "make data      fetch and verify Fashion-MNIST, and say where it lies"
	@echo "make bench     print speed ratios"
	@echo "make strip     take outputs out of the notebooks"
	@echo "make outputs   run the notebooks and store the outputs that tests compare"
	@echo "make clean     remove what was built (not .venv, not the data)"

.venv/reader: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; (3, 10) <= v <= (3, 13) or sys.exit(f"This is Python {v[0]}.{v[1]}; the course needs 3.10 to 3.13. Name one: make PYTHON=python3.12")'
	@echo "Installing into .venv (torch is large; README.md tells how to get a smaller one) …"
	$(PYTHON) -m venv .venv
	$(PY) -m pip install --quiet -r requirements.txt
	@touch $@

.venv/test: .venv/reader
	$(PY) -m pip install --quiet -e '.[test]'
	@touch $@

data: .venv/reader
	@$(PY) -m d2lutils.data

book: .venv/reader data
	$(PY) -m book.build
	@echo
	@echo "The book: _build/site/index.html (open it in a browser, or run: make serve)"

serve: book
	@echo "http://localhost:$(PORT)/  (Ctrl-C stops)"
	@$(PY) -m http.server $(PORT) --bind 127.0.0.1 --directory _build/site

lab: .venv/reader data
	$(BIN)/jupyter lab --notebook-dir=book/$(EDITION) book/$(EDITION)/index.ipynb

.venv/classroom: .venv/reader
	$(PY) -m pip install --quiet -e '.[classroom]'
	@touch $@

classroom: .venv/classroom data
	@$(PY) book/classroom/course.py '$(COURSE)' $(EDITION)

test: .venv/test data
	$(BIN)/ruff check . && $(BIN)/ruff format --check .
	$(PY) -m book.build
	OMP_NUM_THREADS=1 $(PY) -m pytest -n 2 --dist loadfile --nbval-lax tests $(NOTEBOOKS)

# On top comes what is slow: the Chinese notebooks, whose code is that of the English ones, and
# every page as the notebook that a reader downloads.
test-all: test
	OMP_NUM_THREADS=1 $(PY) -m pytest -n 2 --dist loadfile --nbval-lax $(TRANSLATED)
	TEST_ALL=1 OMP_NUM_THREADS=1 $(PY) -m pytest -n 2 tests/test_standalone.py

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

clean:
	rm -rf _build build *.egg-info .pytest_cache .ruff_cache .hypothesis

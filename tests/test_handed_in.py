"""Sheets come back copied, split, stripped, renamed or damaged; what is graded of each.

Points are counted here without nbgrader: the rebuilt sheet runs in this process, up to its tests.
"""

import copy
import importlib
import json
import os
import re
import sys
import textwrap
from collections import Counter
from pathlib import Path

import nbformat
import pytest

from book.classroom.handed_in import NotGradable, Release, find, place_of, read, rebuild, stage
from book.pages import BOOK
from book.student import student_version
from d2lutils.checks import check
from tests.test_classroom import (
    bubblewrap,  # noqa: F401  (a fixture)
    cell,
    code,
    index,
    role,
    solutions,
    tasks_of,
    without_experiments,
)

PAGE = without_experiments(BOOK / "dropout" / "exercises.ipynb", tasks=4, checks=True)
PAGE.cells.insert(0, nbformat.v4.new_markdown_cell("# Exercises: Dropout", id="title"))
PAGE.cells.insert(2, nbformat.v4.new_markdown_cell("## 1. The layer\n\nWrite it.", id="layer"))
TASKS, RIGHT = tasks_of(PAGE), solutions(PAGE)
FULL = sum(points for *_, points in TASKS.values())
NAME = "dropout_exercises"


def write_release(folder, page, name):
    sheet = student_version(page)
    sheet.metadata["d2l"] = {"language": "en"}
    path = folder / "release" / name / f"{name}.ipynb"
    path.parent.mkdir(parents=True)
    nbformat.write(sheet, path)
    return Release(path)


@pytest.fixture(scope="module")
def releases(tmp_path_factory):
    folder = tmp_path_factory.mktemp("course")
    other = without_experiments(BOOK / "weight_decay" / "exercises.ipynb", tasks=5, checks=True)
    return [
        write_release(folder, PAGE, NAME),
        write_release(folder, other, "weight_decay_exercises"),
    ]


@pytest.fixture
def place(tmp_path):
    folder = tmp_path / "me" / NAME
    folder.mkdir(parents=True)
    return folder


def filled(answers=None):
    """Return the sheet with its answers, as JupyterLab saves it."""
    sheet = student_version(PAGE)
    for cell_id, source in (RIGHT if answers is None else answers).items():
        cell(sheet, cell_id).source = source
    return sheet


def points(notebook):
    """Run a rebuilt sheet, and count the points of its tests as grading does."""
    names, held, marks, worth = {}, set(), Counter(), {}
    answers = {f"{s.removesuffix('-solution')}-test": (c, a) for c, (s, a, _) in TASKS.items()}
    for c in notebook.cells:
        if test := c.metadata.get("d2l", {}).get("test"):
            called, answer = answers[test]
            if answer in names and check(called, names[answer]).passed:
                held.add(test)
            if "nbgrader" in c.metadata:
                marks[test] += 1
                worth[test] = c.metadata.nbgrader.points
        elif c.cell_type == "code":
            try:
                exec(c.source, names)
            except Exception:  # as in a kernel, the next cell runs all the same
                pass
    assert set(marks) == set(answers) and set(marks.values()) == {1}
    return sum(worth[test] for test in held)


# ---------------------------------------------------------------- how programs save a notebook


def jupyterlab(sheet):
    for number, c in enumerate(sheet["cells"]):
        if c["cell_type"] == "code":
            c["execution_count"] = number
            c["metadata"]["execution"] = {"iopub.status.busy": "2026-01-01T00:00:00.000000Z"}
            c["outputs"] = [{
                "output_type": "execute_result", "execution_count": number, "metadata": {},
                "data": {"text/html": ["<b>✓</b>"], "text/plain": ["✓"]},
            }]  # fmt: skip
    return sheet


def vscode(sheet):
    for c in sheet["cells"]:
        c["metadata"] = {"vscode": {"languageId": "python"}}
        c["id"] = f"{hash(c['source']) % 2**32:08x}"
        if c["cell_type"] == "code":
            error = {"name": "NameError", "message": "no", "stack": "\x1b[31m"}
            mime = "application/vnd.code.notebook.error"
            c["outputs"] = [
                {"output_type": "display_data", "data": {mime: error}, "metadata": {}},
                {"output_type": "stream", "name": "stdout", "text": "one string\n"},
            ]
    return sheet


def colab(sheet):
    for c in sheet["cells"]:
        c["metadata"] = {"id": f"k{hash(c['source']) % 10**9}", "outputId": "0-1", "colab": {}}
        c.pop("id", None)
        if c["cell_type"] == "code":
            c["execution_count"] = None
            c["outputs"] = [{"output_type": "stream", "name": "stdout", "text": ["a\n", "b"]}]
    sheet["metadata"] = {"colab": {"provenance": [], "toc_visible": True}, "accelerator": "GPU"}
    sheet["nbformat_minor"] = 0
    return sheet


def stripped(sheet):
    """As nbstripout leaves it: ids are numbers."""
    for number, c in enumerate(sheet["cells"]):
        c["id"], c["metadata"] = str(number), {}
    return sheet


def without_ids(sheet):
    for c in sheet["cells"]:
        c.pop("id", None)
    sheet["nbformat_minor"] = 4
    return sheet


def without_marks(sheet):
    for c in sheet["cells"]:
        c["metadata"] = {}
    return sheet


def new_ids(sheet):
    for number, c in enumerate(sheet["cells"]):
        c["id"] = f"new{number}"
    return sheet


def in_format_3(sheet):
    for c in sheet["cells"]:
        c.pop("id", None)
        if c["cell_type"] == "code":
            c["input"], c["language"] = c.pop("source"), "python"
    return {"nbformat": 3, "worksheets": [{"cells": sheet["cells"]}], "metadata": {}}


def fields_missing(sheet):
    for c in sheet["cells"]:
        for field in ("metadata", "outputs", "execution_count", "id"):
            c.pop(field, None)
    return {"cells": sheet["cells"]}


PROGRAMS = [jupyterlab, vscode, colab]
SAVED = [*PROGRAMS, stripped, without_ids, without_marks, new_ids, in_format_3, fields_missing]


def saved(sheet, program):
    content = json.loads(nbformat.writes(sheet))
    for c in content["cells"]:
        c["source"] = "".join(c["source"])
    content = program(content)
    for c in content.get("cells", ()):
        c["source"] = c["source"].splitlines(keepends=True)
    return json.dumps(content, ensure_ascii=False, indent=1)


def graded(sheet, program, releases, place):
    path = place / f"{NAME}.ipynb"
    path.write_text(saved(sheet, program), encoding="utf-8")
    found, cells, notes = find(place, releases[0], releases)
    notebook, more = rebuild(releases[0], cells)
    assert found == path and notes == []
    nbformat.validate(notebook)
    return notebook, [str(note) for note in more]


@pytest.mark.parametrize("program", SAVED)
def test_a_sheet_saved_by_any_program_is_graded(releases, place, program):
    notebook, notes = graded(filled(), program, releases, place)
    assert points(notebook) == FULL and notes == []
    notebook, notes = graded(filled({}), program, releases, place)
    assert points(notebook) == 0 and notes == []


# ---------------------------------------------------------------- what hands do to cells


def copies_below(cells):
    at = index(cells, "layer-solution")
    scratch = copy.deepcopy(cells[at])
    scratch.id = "copy"
    scratch.source = f"print(1)\n{scratch.source.replace('return', 'return 2 *')}"
    cells.insert(at + 1, scratch)


def copies_above(cells):
    at = index(cells, "layer-solution")
    scratch = copy.deepcopy(cells[at])
    scratch.id, scratch.source = "copy", "def dropout(X, p):\n    return X"
    cells.insert(at, scratch)


def copies_to_the_end(cells):
    scratch = copy.deepcopy(cell_of(cells, "layer-solution"))
    scratch.id, scratch.source = "copy", "def dropout(X, p):\n    return X"
    cells.append(scratch)


def copies_test(cells):
    at = index(cells, "layer-test")
    cells.insert(0, copy.deepcopy(cells[at]))
    cells.append(copy.deepcopy(cells[at]))
    cells[0].id, cells[-1].id = "copy-1", "copy-2"


def copies_everything(cells):
    again = copy.deepcopy(cells)
    for c in again:
        c.id += "-again"
    cells += again


def cell_of(cells, cell_id):
    return cells[index(cells, cell_id)]


def split(cells, cell_id, head, tail):
    at = index(cells, cell_id)
    rest = copy.deepcopy(cells[at])
    cells[at].source, rest.source, rest.id = head, tail, f"{cell_id}-rest"
    cells.insert(at + 1, rest)


def splits_helper(cells):
    source = RIGHT["layer-solution"].replace("torch.rand_like(X) >= p", "keep(X, p)")
    split(cells, "layer-solution", "def keep(X, p):\n    return torch.rand_like(X) >= p", source)


def splits_function(cells):
    head, tail = RIGHT["layer-solution"].split("    mask", 1)
    split(cells, "layer-solution", head, f"    mask{tail}")


def splits_header(cells):
    head, tail = RIGHT["module-solution"].split("\n", 1)
    split(cells, "module-solution", head, tail)


def indents(cells):
    split(cells, "layer-solution", RIGHT["layer-solution"], "    y = dropout(torch.ones(3), 0.5)")
    cell_of(cells, "module-solution").source = textwrap.indent(RIGHT["module-solution"], "\t")
    for c in ("layer-check", "layer-test"):
        cells.pop(index(cells, c))


def splits_class(cells):
    head, tail = RIGHT["module-solution"].split("    def forward", 1)
    split(cells, "module-solution", head, f"    def forward{tail}")


def helper_below_the_test(cells):
    cell_of(cells, "layer-solution").source = "def dropout(X, p):\n    return mine(X, p)"
    helper = RIGHT["layer-solution"].replace("dropout", "mine")
    cells.insert(index(cells, "layer-test") + 1, code(helper, id="helper"))


def merged(cells, first, *rest, kind="code"):
    for other in rest:
        cell_of(cells, first).source += f"\n\n{cells.pop(index(cells, other)).source}"
    cell_of(cells, first).cell_type = kind


def merges_text_and_solution(cells):
    merged(cells, "layer", "layer-solution")
    cell_of(cells, "layer").update(outputs=[], execution_count=None)


def merges_solution_into_text(cells):
    merged(cells, "layer", "layer-solution", kind="markdown")


def merges_task(cells):
    merged(cells, "layer-solution", "layer-check", "layer-test", "module-solution")


def merges_into_test(cells):
    test = cell_of(cells, "layer-test")
    test.source += "\n" + cells.pop(index(cells, "layer-solution")).source


def merges_all(cells):
    merged(cells, "imports", *[c.id for c in cells if c.cell_type == "code" and c.id != "imports"])


def moves_solution_down(cells):
    cells.append(cells.pop(index(cells, "layer-solution")))


def reverses_tasks(cells):
    cells[2:] = sorted(cells[2:], key=lambda c: "loop" not in c.id)


def changes_type(kind):
    def change(cells):
        solution = cell_of(cells, "layer-solution")
        solution.cell_type = kind
        for name in ("outputs", "execution_count"):
            solution.pop(name, None)
        if kind == "markdown":
            solution.source = f"My answer:\n\n```python\n{solution.source}\n```"

    change.__name__ = f"makes_it_{kind}"
    return change


def deletes_tests(cells):
    cells[:] = [c for c in cells if not c.id.endswith(("-test", "-check"))]


def deletes_imports(cells):
    cells.pop(index(cells, "imports"))


def adds_cells(cells):
    cells.insert(1, code("import math\nimport os", id="mine"))
    cells.insert(3, code("%matplotlib inline\n!ls", id="magic"))
    cells.insert(3, code("", id="empty"))
    cells.insert(9, code("    print('indented')", id="indented"))
    note = "```\ndef dropout(X, p):\n    ...\n```"
    cells.insert(5, nbformat.v4.new_markdown_cell(note, id="note"))


def forges_metadata(cells):
    for c in cells:
        if "nbgrader" in c.metadata:
            c.metadata.nbgrader.update(schema_version=1, points=100, locked=False, cell_type="raw")
            c.metadata.tags = ["skip-execution", "raises-exception"]


def forges_more(cells):
    for c in cells:
        c.metadata["nbgrader"] = {"grade_id": ["no", {}], "solution": "x"} if "test" in c.id else 5


def old_marks(cells):
    for c in cells:
        if "nbgrader" in c.metadata:
            c.metadata.nbgrader = {"grade_id": c.metadata.nbgrader.grade_id, "solution": True}


WRITING = [
    *(splits_helper, splits_function, splits_header, splits_class, indents),
    helper_below_the_test,
]
HANDS = [
    *(copies_below, copies_above, copies_to_the_end, copies_test, copies_everything),
    *WRITING,
    *(merges_text_and_solution, merges_solution_into_text, merges_task, merges_into_test),
    *(merges_all, moves_solution_down, reverses_tasks),
    *(changes_type("markdown"), changes_type("raw"), deletes_tests, deletes_imports, adds_cells),
    *(forges_metadata, forges_more, old_marks),
]


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("edit", HANDS, ids=lambda edit: edit.__name__)
def test_what_hands_do_to_cells_costs_no_points(releases, place, program, edit):
    sheet = filled()
    edit(sheet.cells)
    notebook, notes = graded(sheet, program, releases, place)
    assert points(notebook) == FULL
    told = {"copies": "answer the task layer: the best", "copies_test": None}
    expected = told.get(edit.__name__, told.get(edit.__name__.partition("_")[0]))
    assert not expected or any(expected in note for note in notes), notes


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("edit", HANDS, ids=lambda edit: edit.__name__)
def test_no_edit_gives_a_blank_sheet_points(releases, place, program, edit):
    if edit in WRITING:
        pytest.skip("writes an answer")
    sheet = filled({})
    edit(sheet.cells)
    assert points(graded(sheet, program, releases, place)[0]) == 0


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_task_that_was_deleted_costs_its_own_points_and_is_named(releases, place, program):
    sheet = filled()
    sheet.cells = [c for c in sheet.cells if not c.id.startswith("layer-")]
    notebook, notes = graded(sheet, program, releases, place)
    assert points(notebook) == FULL - TASKS["dropout.layer"][2]
    assert len(notes) == 1 and "task layer" in notes[0] and "`dropout`" in notes[0]


def test_nothing_of_a_sheet_is_kept_but_sources(releases, place):
    sheet = filled()
    forges_metadata(sheet.cells)

    def with_attachments(content):
        content["cells"][0]["attachments"] = {"a.png": {"image/png": "aGk="}}
        content["cells"][2]["attachments"] = {"broken": 5}
        return jupyterlab(content)

    notebook, _ = graded(sheet, with_attachments, releases, place)
    allowed = {"nbgrader", "d2l"}
    assert all(set(c.metadata) <= allowed and not c.get("outputs") for c in notebook.cells)
    assert [dict(c.attachments) for c in notebook.cells if "attachments" in c] == [
        {"a.png": {"image/png": "aGk="}}
    ]


def test_a_released_sheet_comes_back_as_it_was(releases, place):
    for release in releases:
        cells = read(write(place / "x.ipynb", release.notebook))
        notebook, notes = rebuild(release, cells)
        assert notes == []
        kept = [c.source for c in notebook.cells if "test" not in c.metadata.get("d2l", {})]
        assert kept == [c.source for c in release.notebook.cells if "Graded when" not in c.source]


# ---------------------------------------------------------------- whole pages, with their prose


def whole(page):
    """Return a page's release, and its sheet with every answer."""
    solved = nbformat.read(page, as_version=4)
    sheet = student_version(solved)
    for cell_id, source in solutions(solved).items():
        cell(sheet, cell_id).source = source
    return solved, sheet


def rebuilt(release, sheet, program=jupyterlab):
    path = release.parent / "back.ipynb"
    path.write_text(saved(sheet, program), encoding="utf-8")
    return rebuild(Release(release), read(path))


@pytest.fixture(params=sorted(BOOK.parent.glob("*/*/exercises.ipynb")), ids=lambda p: p.parts[-3:])
def page(request, tmp_path):
    """A solved page, where its release lies, and the release with all answers."""
    solved, sheet = whole(request.param)
    write_release(tmp_path, solved, NAME)
    return solved, tmp_path / "release" / NAME / f"{NAME}.ipynb", sheet


def prose_of(notebook):
    return [c.source for c in notebook.cells if c.cell_type == "markdown"]


def keeps_prose(sheet):
    pass


def changes_prose(sheet):
    for c in sheet.cells:
        if c.cell_type == "markdown":
            c.source = f"{c.source}\n\nI do not understand this."


def makes_prose(kind):
    def change(sheet):
        for c in sheet.cells:
            if c.cell_type == "markdown":
                c.cell_type = kind
                if kind == "code":
                    c.update(outputs=[], execution_count=None)

    change.__name__ = f"makes_prose_{kind}"
    return change


PROSE = [keeps_prose, changes_prose, makes_prose("raw"), makes_prose("code")]


@pytest.mark.parametrize("edit", PROSE, ids=lambda edit: edit.__name__)
def test_the_text_of_a_task_answers_nothing(page, edit):
    solved, release, sheet = page
    edit(sheet)
    expected = [c.source for c in sheet.cells if c.source and "Graded when" not in c.source]
    notebook, notes = rebuilt(release, sheet)
    kept = [c.source for c in notebook.cells if "test" not in c.metadata.get("d2l", {})]
    assert notes == [] and kept == expected
    sheet.cells = [c for c in sheet.cells if not role(c).get("solution")]
    notebook, notes = rebuilt(release, sheet)
    assert len(notes) == len(solutions(solved))
    assert all("There is no answer to the task" in str(note) for note in notes)
    assert {c.source for c in sheet.cells if role(c) == {}} <= {c.source for c in notebook.cells}


@pytest.mark.parametrize("edit", [keeps_prose, changes_prose], ids=lambda edit: edit.__name__)
@pytest.mark.parametrize("lost", [False, True], ids=["", "deletes_checks"])
def test_answers_of_a_module_are_tested_before_anything_defines_them_anew(page, edit, lost):
    solved, release, sheet = page
    edit(sheet)
    sheet.cells = [c for c in sheet.cells if not role(c).get("solution")]
    if lost:
        sheet.cells = [c for c in sheet.cells if not c.id.endswith(("-check", "-test"))]
    sheet.cells.insert(1, code("from my_answers import *"))
    notebook, _ = rebuilt(release, sheet)
    for task in Release(release).tasks:
        test = task.test.metadata.nbgrader.grade_id
        first = next(c for c in notebook.cells if task.name in known(c) or tried(c) == test)
        assert tried(first) == test


def tried(c):
    return c.metadata.get("d2l", {}).get("test")


def known(c):
    return re.findall(r"^(?:def|class) +(\w+)", c.source, re.M) if c.cell_type == "code" else ()


@pytest.mark.parametrize("program", PROGRAMS)
def test_an_answer_may_be_indented(page, program):
    solved, release, sheet = page
    for c in sheet.cells:
        if role(c).get("solution"):
            c.source = textwrap.indent(c.source, "    ")
    notebook, notes = rebuilt(release, sheet, program)
    graded = [c for c in notebook.cells if role(c).get("solution")]
    assert notes == [] and len(graded) == len(solutions(solved))
    for c, task in zip(graded, Release(release).tasks, strict=True):
        assert task.name in known(c) or "def " not in c.source
        compile(c.source, task.name, "exec")


LOOP = "def train(net):\n    for X in range(3):\n        net.append(X)"
SPLIT = {  # the rest of a definition, or a cell of its own that starts with indentation
    "loop": (LOOP, "    loss = X\n    net.append(loss)", 1),
    "inner": (LOOP, "        net.append(-X)", 1),
    "return": (LOOP, "    return net", 1),
    "method": ("class A:\n    x = 1", "    def f(self):\n        pass", 1),
    "header": ("class A:", "    x = 1", 1),
    "call": (LOOP, "    train([])", 2),
    "answer": (LOOP, "    def evaluate(net):\n        return net", 2),
    "after a return": (f"{LOOP}\n    return net", "    net = train([])\n    net.append(1)", 2),
    "after a class": ("class A:\n    x = 1", "    a = A()\n    print(a.x)", 2),
    "after a line": ("x = 1", "    print(x)", 2),
    "after a magic": ("%matplotlib inline", "    print(1)", 2),
}


@pytest.mark.parametrize("case", SPLIT)
def test_only_the_rest_of_a_definition_is_joined_to_it(releases, place, case):
    first, second, expected = SPLIT[case]
    sheet = filled()
    sheet.cells[1:1] = [code(first, id="first"), code(second, id="second")]
    notebook, _ = graded(sheet, jupyterlab, releases, place)
    sources = [c.source for c in notebook.cells]
    at = next(i for i, source in enumerate(sources) if source.startswith(first))
    kept = f"{first}\n{second}" if expected == 1 else first
    assert sources[at] == kept
    assert expected == 1 or sources[at + 1] == textwrap.dedent(second)


# ---------------------------------------------------------------- files


def write(path, sheet):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(nbformat.writes(sheet), encoding="utf-8")
    return path


NAMES = [
    *(f"{NAME} (1).ipynb", f"{NAME}-Copy1.ipynb", f"Kopie von {NAME}.ipynb", "练习.ipynb"),
    *(f"{NAME.upper()}.IPYNB", f"{NAME}.ipynb.txt", f"{NAME}.json", 'a b\'s "c".ipynb'),
    *(f"{NAME}/{NAME}.ipynb", "unpacked/homework.ipynb"),
]


@pytest.mark.parametrize("name", NAMES)
def test_a_sheet_under_another_name_is_graded(releases, place, name):
    write(place / name, filled())
    write(place / ".ipynb_checkpoints" / f"{NAME}-checkpoint.ipynb", filled({}))
    (place / "report.pdf").write_bytes(b"%PDF")
    path, cells, notes = find(place, releases[0], releases)
    assert path == place / name and points(rebuild(releases[0], cells)[0]) == FULL
    if path.name != f"{NAME}.ipynb":
        assert path.name in str(notes[0]) and f"{NAME}.ipynb" in str(notes[0])


def test_of_two_sheets_the_filled_one_or_the_one_with_the_name_counts(releases, place):
    write(place / f"{NAME}.ipynb", filled({}))
    filled_one = write(place / f"{NAME} (1).ipynb", filled())
    assert find(place, releases[0], releases)[0] == filled_one
    again = write(place / f"{NAME}.ipynb", filled({**RIGHT, "layer-solution": "dropout = 3"}))
    path, _, notes = find(place, releases[0], releases)
    assert path == again and f"{NAME} (1).ipynb" in str(notes[0])
    again.rename(place / "mine.ipynb")
    with pytest.raises(NotGradable, match=rf"mine\.ipynb.*none is called {NAME}\.ipynb"):
        find(place, releases[0], releases)


DAMAGED = {
    "cut off": b'{"cells": [{"cell_type": "code"',
    "empty": b"",
    "html": b"<!DOCTYPE html><title>Sign in</title>",
    "binary": bytes(range(256)),
    "a list": b"[1, 2]",
    "a number": b"5",
    "null": b"null",
    "no cells": b'{"nbformat": 4, "metadata": {}}',
    "cells are a word": b'{"cells": "none"}',
    "cells are null": b'{"cells": null}',
    "worksheets are null": b'{"worksheets": null}',
    "merge conflict": b'{"cells": [\n<<<<<<< HEAD\n{}\n=======\n>>>>>>> other\n]}',
    "deep": b"[" * 100_000,
}


@pytest.mark.parametrize("data", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_sheet_is_reported_by_name(releases, place, data):
    (place / f"{NAME}.ipynb").write_bytes(data)
    with pytest.raises(NotGradable) as problem:
        find(place, releases[0], releases)
    said = problem.value.text
    assert f"{NAME}.ipynb" in said.en and "ask for" in said.en and len(said.en) < 400
    assert f"{NAME}.ipynb" in said.zh and re.search("[一-鿿]", said.zh)


def test_a_damaged_sheet_beside_a_right_one_does_not_matter(releases, place):
    (place / f"{NAME}.ipynb").write_bytes(DAMAGED["cut off"])
    right = write(place / "second try.ipynb", filled())
    assert find(place, releases[0], releases)[0] == right


@pytest.mark.parametrize("cells", [[None, 5, "x", []], [{}], [{"cell_type": 3, "source": {}}]])
def test_a_foreign_notebook_is_reported(releases, place, cells):
    (place / f"{NAME}.ipynb").write_text(json.dumps({"cells": cells}), encoding="utf-8")
    with pytest.raises(NotGradable, match="none of the tasks"):
        find(place, releases[0], releases)


def test_another_sheet_of_the_course_is_called_by_its_name(releases, place):
    write(place / f"{NAME}.ipynb", releases[1].notebook)
    with pytest.raises(NotGradable, match="is the sheet weight_decay_exercises"):
        find(place, releases[0], releases)


def test_no_notebook_is_reported_with_what_is_there(releases, place):
    with pytest.raises(NotGradable, match="an empty folder"):
        find(place, releases[0], releases)
    (place / "homework.zip").write_bytes(b"PK")
    with pytest.raises(NotGradable, match=rf"{NAME}\.ipynb, but homework\.zip"):
        find(place, releases[0], releases)


ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-32", "gb18030", "latin-1"]


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_encodings_and_line_ends_cost_nothing(releases, place, encoding, ends):
    sheet = filled()
    cell(sheet, "layer-solution").source = RIGHT["layer-solution"].replace("\n", f"  # ü{ends}", 1)
    text = json.dumps(sheet, ensure_ascii=False).replace("–", "-")
    text = text.encode(encoding, errors="ignore").decode(encoding).replace("\n", ends)
    (place / f"{NAME}.ipynb").write_bytes(text.encode(encoding))
    _, cells, _ = find(place, releases[0], releases)
    assert points(rebuild(releases[0], cells)[0]) == FULL


def test_half_a_character_can_be_written(releases, place):
    sheet = filled()
    sheet.cells[0].source += "\\ud83d"
    text = json.dumps(sheet).replace("\\\\ud83d", "\\ud83d")
    (place / f"{NAME}.ipynb").write_text(text, encoding="utf-8")
    stage(place, releases[0], releases, place.parent / "staged")


# ---------------------------------------------------------------- what lies beside a sheet


def test_links_and_pipes_are_left_out_and_said(releases, place, tmp_path):
    write(place / f"{NAME}.ipynb", filled())
    secret = tmp_path / "gradebook.db"
    secret.write_text("secret", encoding="utf-8")
    (place / "helper.py").write_text("x = 1\n", encoding="utf-8")
    (place / "data").mkdir()
    (place / "data" / "a.csv").write_text("1\n", encoding="utf-8")
    (place / "loot").symlink_to(secret)
    (place / "data" / "broken").symlink_to("nowhere")
    (place / "all").symlink_to(tmp_path)
    os.mkfifo(place / "pipe")
    os.mkfifo(place / "pipe.ipynb")
    (place / "link.ipynb").symlink_to(place / f"{NAME}.ipynb")
    target = tmp_path / "staged"
    notes = [str(note) for note in stage(place, releases[0], releases, target)]
    names = {p.relative_to(target).as_posix() for p in target.rglob("*") if p.is_file()}
    assert names == {f"{NAME}.ipynb", "helper.py", "data/a.csv"}
    assert not any(p.is_symlink() for p in target.rglob("*"))
    assert len(notes) == 1 and all(name in notes[0] for name in ("loot", "broken", "all", "pipe"))
    first = nbformat.read(target / f"{NAME}.ipynb", as_version=4).cells[0]
    assert "loot" in first.source


@pytest.mark.parametrize("made", ["link", "pipe", "folder"])
def test_a_sheet_that_is_no_file_is_refused(releases, place, tmp_path, made):
    path = place / f"{NAME}.ipynb"
    if made == "link":
        path.symlink_to(write(tmp_path / "somebody" / "else.ipynb", filled()))
    elif made == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()
    with pytest.raises(NotGradable, match=rf"{NAME}\.ipynb"):
        find(place, releases[0], releases)


STAMPS = {
    "2026-01-01 10:00:00 UTC": True, "": False, "yesterday-ish": False, "9" * 40: False,
    "\x00": False,
}  # fmt: skip


@pytest.mark.parametrize("text", STAMPS)
def test_a_timestamp_that_is_no_time_is_left_out(releases, place, tmp_path, text):
    write(place / f"{NAME}.ipynb", filled())
    (place / "timestamp.txt").write_text(text, encoding="utf-8")
    notes = stage(place, releases[0], releases, tmp_path / "staged")
    assert (tmp_path / "staged" / "timestamp.txt").exists() == STAMPS[text] == (not notes)


def test_a_folder_of_another_name_is_found(releases, tmp_path):
    learner = tmp_path / "ada"
    learner.mkdir()
    assert place_of(learner, releases[0], releases) is None
    write(learner / "homework.ipynb", filled())
    assert place_of(learner, releases[0], releases) == learner
    assert place_of(learner, releases[1], releases) is None
    (learner / "Dropout_Exercises").mkdir()
    assert place_of(learner, releases[0], releases) == learner / "Dropout_Exercises"
    (learner / NAME).mkdir()
    assert place_of(learner, releases[0], releases) == learner / NAME
    (learner / "weight_decay_exercises").symlink_to(learner / NAME)
    with pytest.raises(NotGradable, match="is a link"):
        place_of(learner, releases[1], releases)


def test_notes_are_in_the_language_of_the_sheet(releases, place, tmp_path):
    chinese = copy.copy(releases[0])
    chinese.language = "zh"
    write(place / "mine.ipynb", filled({"layer-solution": RIGHT["layer-solution"]}))
    stage(place, chinese, [chinese], tmp_path / "staged")
    sheet = nbformat.read(tmp_path / "staged" / f"{NAME}.ipynb", as_version=4)
    assert "应当叫" in sheet.cells[0].source and sheet.metadata.d2l.language == "zh"


# ---------------------------------------------------------------- verdicts


@pytest.fixture
def verdict(monkeypatch, bubblewrap):  # noqa: F811
    monkeypatch.syspath_prepend(str(BOOK.parent / "classroom"))
    return importlib.import_module("verdict")


def held(verdict, notebook, folder):
    """Execute a rebuilt sheet with its hidden tests; return which tests hold."""
    for c in notebook.cells:
        if role(c).get("grade"):
            c.source = cell(PAGE, role(c)["grade_id"]).source
    ran = verdict.Execute(timeout=60, iopub_timeout=20)
    nb, _ = ran.preprocess(notebook, {"metadata": {"path": str(folder)}})
    return {role(c)["grade_id"] for c in nb.cells if role(c).get("grade") and not c.outputs}


def ending(source):
    return re.sub(r"### BEGIN SOLUTION", "import os; os._exit(1)", source)


def test_answers_that_end_the_kernel_cost_their_own_points_alone(releases, place, verdict):
    sheet = filled({k: v if "loop" in k else ending(v) for k, v in RIGHT.items()})
    notebook, _ = graded(sheet, jupyterlab, releases, place)
    assert held(verdict, notebook, place) == {"loop-test"}


def test_the_right_one_of_two_answers_counts_if_the_other_ends_the_kernel(releases, place, verdict):
    sheet = filled({"layer-solution": ending(RIGHT["layer-solution"])})
    sheet.cells.append(code(RIGHT["layer-solution"], id="again"))
    notebook, _ = graded(sheet, jupyterlab, releases, place)
    assert held(verdict, notebook, place) == {"layer-test"}


# ---------------------------------------------------------------- grades.csv


@pytest.fixture
def grading(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(BOOK.parent / "classroom"))
    grading = importlib.import_module("grading")
    monkeypatch.setattr(grading, "HERE", tmp_path)
    path = [str(Path(sys.executable).parent), os.environ["PATH"]]
    monkeypatch.setenv("PATH", os.pathsep.join(path))  # nbgrader calls alembic
    return grading


def row_of(grading, student):
    with grading.Gradebook(f"sqlite:///{grading.HERE}/gradebook.db") as gradebook:
        return grading._row(
            gradebook,
            gradebook.update_or_create_assignment(NAME),
            gradebook.update_or_create_student(student),
        )


@pytest.mark.parametrize("language", ["en", "zh"])
def test_what_is_not_graded_yet_has_no_score(grading, tmp_path, language):
    release = write_release(tmp_path, PAGE, NAME)
    path = tmp_path / "release" / NAME / f"{NAME}.ipynb"
    release.notebook.metadata.d2l.language = language
    nbformat.write(release.notebook, path)
    waits = ("not graded yet", "尚未评分")[language == "zh"]
    absent = ("nothing was handed in", "没有提交")[language == "zh"]
    submitted = tmp_path / "submitted"
    write(submitted / "right" / NAME / f"{NAME}.ipynb", filled())
    write(submitted / "renamed" / "homework (1).ipynb", filled())
    (submitted / "empty" / NAME).mkdir(parents=True)
    write(submitted / "damaged" / NAME / "x.ipynb", filled()).write_text("{")
    (submitted / "link").symlink_to(submitted / "right")
    (submitted / "other").mkdir()
    for student in ("right", "renamed", "empty", "damaged", "link"):
        row = row_of(grading, student)
        assert (row["score"], row["raw_score"], row["note"]) == ("", "", waits), student
    for student in ("absent", "other"):
        row = row_of(grading, student)
        assert (row["score"], row["raw_score"], row["note"]) == (0.0, 0.0, absent), student
    why = "NOT GRADED: it is empty"
    grading.write_notes(NAME, "damaged", {"graded": False, "notes": [why]})
    assert (row_of(grading, "damaged")["score"], row_of(grading, "damaged")["note"]) == ("", why)


def test_what_lies_beside_a_sheet_is_graded_anew_too(grading, releases, place, tmp_path):
    write(place / f"{NAME}.ipynb", filled())
    helper = place / "package" / "mine.py"

    def known():
        target = tmp_path / f"staged-{len(list(tmp_path.glob('staged-*')))}"
        stage(place, releases[0], releases, target)
        return grading.fingerprint(target)

    seen = [known()]
    helper.parent.mkdir()
    for text in ("x = 1\n", "x = 2\n"):
        helper.write_text(text, encoding="utf-8")
        seen.append(known())
    helper.rename(place / "mine.py")
    seen.append(known())
    (place / "mine.py").write_bytes(b"")
    seen.append(known())
    (place / "mine.py").rename(place / "yours.py")
    seen.append(known())
    assert len(set(seen)) == 6
    (place / "timestamp.txt").write_text("2026-01-01 10:00:00 UTC", encoding="utf-8")
    os.utime(place / "yours.py", (1, 1))
    (place / "nothing").mkdir()
    assert known() == known() == seen[-1]
    (place / "yours.py").unlink()
    assert known() == seen[0]

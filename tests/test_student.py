"""The student version of every exercise page gives nothing away, and runs from top to bottom."""

import re

import nbformat
import pytest
from nbclient import NotebookClient

from book.pages import BOOK, EDITIONS, NOTEBOOKS, notebooks
from book.student import STUB, student_version

PAGES = [path for edition in EDITIONS for path in notebooks(edition)]
SOLVED = {path: nbformat.read(path, as_version=4) for path in PAGES}
EXERCISES = [
    path for path, page in SOLVED.items() if any("nbgrader" in c.metadata for c in page.cells)
]
each_exercise_page = pytest.mark.parametrize(
    "path", EXERCISES, ids=lambda path: path.relative_to(BOOK.parent).with_suffix("").as_posix()
)


def notebook(*sources, **nbgrader):
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    for cell in cells:
        cell.metadata.nbgrader = {"schema_version": 3, "grade_id": cell.id, "locked": False}
        cell.metadata.nbgrader |= {"grade": False, "solution": False, "task": False} | nbgrader
    return nbformat.v4.new_notebook(cells=cells)


def test_a_solution_becomes_a_stub_that_returns_none():
    solved = notebook(
        "def f(x):\n    '''Say one.'''\n    ### BEGIN SOLUTION\n    y = 1\n    return y\n"
        "    ### END SOLUTION",
        solution=True,
    )
    solved.cells[0].outputs = [nbformat.v4.new_output("stream", text="1")]
    before = nbformat.writes(solved)
    cell = student_version(solved).cells[0]
    assert cell.source == "def f(x):\n    '''Say one.'''\n    ..."
    assert cell.outputs == []
    assert nbformat.writes(solved) == before


def test_a_hidden_test_disappears():
    solved = notebook(
        "# 2 points\n### BEGIN HIDDEN TESTS\ngrade(f)\n### END HIDDEN TESTS", grade=True, points=2
    )
    assert student_version(solved).cells[0].source == "# 2 points"


@pytest.mark.parametrize(
    "source, kind",
    [
        ("### BEGIN SOLUTION\n1", {"solution": True}),
        ("### BEGIN HIDDEN TESTS\n1", {"grade": True, "points": 1}),
    ],
)
def test_a_region_that_is_not_closed_is_refused(source, kind):
    with pytest.raises(RuntimeError):
        student_version(notebook(source, **kind))


def test_a_solution_in_a_cell_without_metadata_is_refused():
    with pytest.raises(RuntimeError):
        student_version(notebook("### BEGIN SOLUTION\n1\n### END SOLUTION"))


def by_nbgrader(solved):
    from nbgrader.preprocessors import ClearHiddenTests, ClearOutput, ClearSolutions

    solved = nbformat.from_dict(solved.copy())
    for clear in (ClearSolutions(code_stub={"python": STUB}), ClearHiddenTests(), ClearOutput()):
        solved, _ = clear.preprocess(solved, {})
    return solved


@each_exercise_page
def test_it_is_what_nbgrader_makes_of_the_page(path):
    pytest.importorskip("nbgrader")
    assert EXERCISES
    assert student_version(SOLVED[path]) == by_nbgrader(nbformat.read(path, as_version=4))


@pytest.mark.parametrize(
    "source, kind",
    [
        ("x = 1\n  ### BEGIN SOLUTION\n  y\n  ### END SOLUTION\nz", {"solution": True}),
        ("x = 1", {"solution": True}),
        ("### BEGIN SOLUTION\n1\n### BEGIN SOLUTION\n1\n### END SOLUTION", {"solution": True}),
        ("### BEGIN SOLUTION\n1\n### END SOLUTION", {"grade": True, "points": 1}),
        ("### BEGIN HIDDEN TESTS\n1\n### END HIDDEN TESTS\n2", {"grade": True, "points": 1}),
        ("### BEGIN HIDDEN TESTS\n1\n### END HIDDEN TESTS", {"solution": True}),
        ("x = 1", {"grade": True, "points": 1}),
    ],
)
def test_each_region_is_treated_as_nbgrader_treats_it(source, kind):
    pytest.importorskip("nbgrader")
    results = []
    for make in (student_version, by_nbgrader):
        try:
            results.append(make(notebook(source, **kind)).cells[0].source)
        except RuntimeError:
            results.append(RuntimeError)
    assert results[0] == results[1]


@each_exercise_page
def test_no_solution_is_left(path):
    solved = SOLVED[path]
    student = student_version(solved)
    assert len(student.cells) == len(solved.cells)
    assert not re.search("(BEGIN|END) (SOLUTION|HIDDEN)|checks.grade", nbformat.writes(student))
    for before, after in zip(solved.cells, student.cells, strict=True):
        role = before.metadata.get("nbgrader", {})
        assert after.source == before.source or role
        if role.get("solution"):
            assert "..." in after.source.split()
        if role.get("grade"):
            assert all(line.startswith("#") for line in after.source.splitlines())


# The code of a translated page is that of the English one: running it once is enough.
@pytest.mark.parametrize("path", [p for p in EXERCISES if p in NOTEBOOKS], ids=lambda p: p.stem)
def test_it_runs_from_top_to_bottom_and_every_check_hints(path):
    student = student_version(SOLVED[path])
    where = {"metadata": {"path": str(path.parent)}}
    NotebookClient(student, timeout=600, kernel_name="python3", resources=where).execute()
    checks = 0
    for cell in student.cells:
        for output in cell.get("outputs", []):
            assert output.output_type != "error", cell.source
            assert output.get("name") != "stderr", f"{cell.source}\n{output.text}"
        if "d2l.check(" in cell.source and cell.cell_type == "code":
            shown = [o.data["text/plain"] for o in cell.outputs if "data" in o]
            assert shown and all(text.startswith("✗") for text in shown), cell.source
            checks += 1
    assert checks

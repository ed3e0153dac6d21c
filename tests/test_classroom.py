"""A class of honest, clumsy and hostile learners hands in; nbgrader's own commands grade it."""

import ast
import csv
import inspect
import re
import resource
import socket
import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

import tests.answers.weight_decay  # noqa: F401  (it registers its answers)
from book.pages import BOOK
from tests.answers import WRONG

sys.path.insert(0, str(BOOK.parent / "classroom"))
import course  # noqa: E402

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux confines submissions")
ROOT = BOOK.parent.parent
NBGRADER = Path(sys.executable).with_name("nbgrader")
PAGES = course.exercise_pages(BOOK)
SHORT = "short"  # the sheet of those who may hang: three tasks of a real page
CELL_SECONDS, KERNEL_SECONDS = 25, 75


def code(source, **more):
    return nbformat.v4.new_code_cell(source, **more)


def role(cell):
    return cell.metadata.get("nbgrader", {})


def defines_only(cell):
    kinds = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef)
    body = ast.parse(cell.source).body
    return isinstance(body[0], ast.Import) or all(isinstance(node, kinds) for node in body)


def without_experiments(path, tasks=None, checks=False):
    """Return a page with its first tasks alone; executing the rest is test_student's."""
    page = nbformat.read(path, as_version=4)
    kept, graded = [], 0
    for cell in page.cells:
        if cell.cell_type == "code" and graded != tasks:
            if role(cell) or defines_only(cell) or checks and "d2l.check(" in cell.source:
                kept.append(cell)
            graded += bool(role(cell).get("grade"))
    page.cells = kept
    return page


def cell(notebook, cell_id):
    return next(c for c in notebook.cells if c.id == cell_id)


def solutions(page):
    return {c.id: c.source for c in page.cells if role(c).get("solution")}


def tasks_of(page):
    """Return for each task: its solution cell, the name of its answer, its points."""
    found, solution = {}, None
    for c in page.cells:
        if role(c).get("solution"):
            solution = c.id
        if called := re.search(r'^grade\("([\w.]+)", (\w+)\)', c.source, re.MULTILINE):
            found[called[1]] = (solution, called[2], role(c)["points"])
    return found


def as_source(function, name):
    """Return code that defines an answer of the tests under the name that the sheet asks for."""
    text = Path(inspect.getsourcefile(function)).read_text()
    decorators = "def right(*args):\n    return lambda function: function\n\n\nwrong = right"
    text = text.replace("from tests.answers import right, wrong", decorators)
    return f"{text}\n{name} = {function.__name__}"


class Classroom:
    """A course in a folder, and what its learners hand in."""

    def __init__(self, folder, book):
        self.folder, self.book, self.expected = folder, book, {}
        pages = sorted(book.rglob("*.ipynb"))
        self.solved = {
            course.assignment_name(page, book): nbformat.read(page, as_version=4) for page in pages
        }
        self.points = course.build(folder, pages, book)

    def sheet(self, name):
        path = self.folder / "release" / name / f"{name}.ipynb"
        return nbformat.read(path, as_version=4)

    def place(self, student, name=SHORT):
        folder = self.folder / "submitted" / student / name
        folder.mkdir(parents=True)
        return folder / f"{name}.ipynb"

    def hand_in(self, student, expected, answers=(), edit=None, name=SHORT):
        """Fill in a sheet, edit it, hand it in, and note which points it should get."""
        sheet = self.sheet(name)
        for cell_id, source in dict(answers).items():
            cell(sheet, cell_id).source = source
        if edit:
            edit(sheet.cells)
        nbformat.write(sheet, self.place(student, name))
        self.expected[student, name] = expected

    def nbgrader(self, *command):
        done = subprocess.run(
            [NBGRADER, *command], cwd=self.folder, capture_output=True, text=True, timeout=1800
        )
        return done.returncode, done.stdout + done.stderr

    def read_grades(self):
        """Export the grades, and return the score of each (student, assignment)."""
        status, log = self.nbgrader("export")
        assert status == 0, log
        with open(self.folder / "grades.csv") as file:
            rows = list(csv.DictReader(file))
        self.max_scores = {row["assignment"]: float(row["max_score"]) for row in rows}
        return {(row["student_id"], row["assignment"]): float(row["score"]) for row in rows}

    def result(self, student, name=SHORT):
        return self.folder / "autograded" / student / name / f"{name}.ipynb"


def index(cells, cell_id):
    return next(i for i, c in enumerate(cells) if c.id == cell_id)


THIEF = """
import glob, os, pathlib, shutil, socket, subprocess
got = []
def attempt(what):
    try:
        got.append(what() or "")
    except OSError:
        pass
here = pathlib.Path.cwd()
for folder in here.parents:
    attempt(lambda: str(os.listdir(folder)))
for path in {paths!r}:
    attempt(lambda: pathlib.Path(path).read_bytes()[:99])
    attempt(lambda: open(path, "ab").write(b"-- mine"))
    attempt(lambda: subprocess.run(["cat", path], capture_output=True).stdout)
attempt(lambda: os.listdir(f"/proc/{{os.getppid()}}/cwd/"))
attempt(lambda: open(f"/proc/{{os.getppid()}}/environ").read())
attempt(lambda: os.kill(os.getppid(), 9))
attempt(lambda: socket.create_connection({address!r}, timeout=5) and "connected")
got += [value for name, value in os.environ.items() if "TOKEN" in name]
print([thing for thing in got if thing])
"""

CHANGED_CHECKS = """
import sys
import types
import d2lutils.checks
import d2lutils.checks.base
import d2lutils.checks.grade
fine = d2lutils.checks.base.Result("fine", True)
for module in (d2l, d2lutils.checks, d2lutils.checks.base):
    module.check = module.run = lambda *args, **kwargs: fine
d2lutils.checks.base.TASKS.clear()
d2lutils.checks.grade.grade = grade = lambda *args: None
fake = types.ModuleType("d2lutils.checks.grade")
fake.grade = grade
sys.modules["d2lutils.checks.grade"] = fake
"""

REGION = re.compile("### BEGIN SOLUTION\n(.*?)### END SOLUTION", re.DOTALL)
LOOP = "import time\nwhile True:\n    time.sleep(0.01)"
STUBBORN = """
import time
while True:
    try:
        time.sleep(1)
    except BaseException:
        pass
"""


def hand_in_all(room, listener):
    """Hand in the sheets of a class."""
    solved = room.solved[SHORT]
    right, tasks, full = solutions(solved), tasks_of(solved), room.points[SHORT]
    first, (first_cell, first_name, first_points) = next(iter(tasks.items()))
    rest = {key: source for key, source in right.items() if key != first_cell}
    first_test = first_cell.replace("solution", "test")
    second_test = list(tasks.values())[1][0].replace("solution", "test")

    room.hand_in("blank", 0)
    room.hand_in("right", full, right)
    for name, (cell_id, called, points) in tasks.items():
        for number, (_, answer) in enumerate(WRONG[name][:2]):
            room.hand_in(
                f"wrong-{name}-{number}",
                full - points,
                {**right, cell_id: as_source(answer, called)},
            )

    room.hand_in("hangs", full - first_points, {**rest, first_cell: LOOP})
    hanging = f"def {first_name}(*args):\n{textwrap.indent(LOOP, '    ')}"
    room.hand_in("hangs-in-function", full - first_points, {**rest, first_cell: hanging})
    room.hand_in("hangs-for-good", 0, right, lambda cells: cells.insert(0, code(STUBBORN)))
    room.hand_in("ends-the-kernel", 0, {**rest, first_cell: "import os\nos._exit(0)"})

    room.hand_in(
        "floods",
        full,
        right,
        lambda cells: cells.insert(
            1, code("for _ in range(10**6):\n    print('x' * 60)\nprint('x' * 10**8)")
        ),
    )
    loud = right[first_cell].replace(
        "### BEGIN SOLUTION", "print('x' * 10**7)\n    for _ in range(9999):\n        print(_)"
    )
    room.hand_in("floods-in-function", full, {**rest, first_cell: loud})

    def delete(*ids):
        def edit(cells):
            for cell_id in ids:
                del cells[index(cells, cell_id)]

        return edit

    room.hand_in("deletes-test-of-right", full, right, delete(first_test))
    room.hand_in("deletes-test-of-blank", full - first_points, rest, delete(first_test))
    room.hand_in("deletes-task", full - first_points, rest, delete(first_cell, first_test))

    def change(cells):
        cells.insert(1, code(CHANGED_CHECKS))
        test = cells[index(cells, first_test)]
        test.source = "pass  # right"
        test.metadata.nbgrader["points"] = 100
        cells[index(cells, second_test)].cell_type = "markdown"

    room.hand_in("changes-checks", 0, {}, change)
    torch_agrees = "torch.allclose = torch.equal = lambda *args, **kwargs: True"
    wrong = {
        cell_id: as_source(WRONG[name][0][1], called)
        for name, (cell_id, called, _) in tasks.items()
    }
    room.hand_in("changes-torch", 0, wrong, lambda cells: cells.insert(1, code(torch_agrees)))
    room.place("cannot-be-read").write_text('{"cells": [')
    room.expected["cannot-be-read", SHORT] = 0

    gradebook = room.folder / "gradebook.db"
    paths = [gradebook, room.folder / "nbgrader_config.py", PAGES[0], ROOT / "README.md"]
    paths += [room.folder / "submitted" / "right" / SHORT / f"{SHORT}.ipynb"]
    steal = THIEF.format(paths=[str(path) for path in paths], address=listener.getsockname())
    room.hand_in("steals", 0, {}, lambda cells: cells.insert(1, code(steal)))

    for name, page in room.solved.items():
        if name != SHORT:
            room.hand_in("right", room.points[name], solutions(page), name=name)
            room.hand_in("blank", 0, name=name)


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    """A course whose class has handed in and was graded."""
    folder = tmp_path_factory.mktemp("class")
    book = folder / "book"
    book.mkdir()
    hostile = next(path for path in PAGES if path.parent.name == "weight_decay")
    nbformat.write(without_experiments(hostile, tasks=3, checks=True), book / f"{SHORT}.ipynb")
    for path in PAGES:
        target = book / path.relative_to(BOOK)
        target.parent.mkdir(exist_ok=True)
        nbformat.write(without_experiments(path), target)
    room = Classroom(folder / "course", book)
    kernel = room.folder / "kernels" / "confined" / "confined_kernel.py"
    text = kernel.read_text()
    kernel.write_text(re.sub(r"^SECONDS = \d+", f"SECONDS = {KERNEL_SECONDS}", text, flags=re.M))
    with socket.create_server(("127.0.0.1", 0)) as listener, pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOME_TOKEN", "secret of the teacher")
        hand_in_all(room, listener)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        room.logs = {
            name: room.nbgrader("autograde", name, f"--Execute.timeout={CELL_SECONDS}")
            for name in room.points
        }
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    room.cpu = after.ru_utime - before.ru_utime
    room.grades = room.read_grades()
    print(f"\n{len(room.expected)} sheets graded in {room.cpu:.0f} s of CPU")
    return room


def test_each_gets_what_it_deserves(room):
    assert {key: room.grades[key] for key in room.expected} == room.expected


def test_points_add_up(room):
    assert room.max_scores == room.points
    for name, page in room.solved.items():
        assert room.points[name] == sum(points for _, _, points in tasks_of(page).values()) > 0


def test_the_course_holds_no_solution(room):
    sources = "\n".join(c.source for page in room.solved.values() for c in page.cells)
    given = REGION.sub("", sources)
    lines = [line.strip() for region in REGION.findall(sources) for line in region.splitlines()]
    secret = {line for line in lines if len(line) > 20 and line not in given}
    assert len(secret) > 20
    files = [path for path in room.folder.rglob("*") if path.is_file()]
    files = [p for p in files if not {"submitted", "autograded", "feedback"} & set(p.parts)]
    assert {p.name for p in files} >= {"gradebook.db", "nbgrader_config.py", f"{SHORT}.ipynb"}
    for path in files:
        text = path.read_bytes().decode(errors="replace")
        assert "BEGIN SOLUTION" not in text, path
        if path.suffix == ".ipynb":
            assert "checks.grade" not in text, path
            plain = "\n".join(c.source for c in nbformat.reads(text, as_version=4).cells)
            assert not [line for line in secret if line in plain], path
    with sqlite3.connect(room.folder / "gradebook.db") as gradebook:
        kept = "\n".join(row[0] for row in gradebook.execute("select source from source_cell"))
    assert "grade(" in kept
    assert not [line for line in secret if line in kept]


def test_who_steals_gets_nothing(room):
    (cell,) = [
        c
        for c in nbformat.read(room.result("steals"), 4).cells
        if c.source.startswith("\nimport glob")
    ]
    printed = "".join(o.text for o in cell.outputs if o.get("name") == "stdout")
    assert printed.strip() == "[]", cell.outputs
    assert b"-- mine" not in (room.folder / "gradebook.db").read_bytes()


def test_output_is_limited(room):
    for student in ("floods", "floods-in-function"):
        assert room.result(student).stat().st_size < 500_000


def test_only_what_cannot_be_graded_is_reported(room):
    status, log = room.logs[SHORT]
    failed = re.findall("error processing assignment '.*' for student '(.*)'", log)
    assert sorted(failed) == ["cannot-be-read", "ends-the-kernel", "hangs-for-good"]
    assert status != 0
    assert all(status == 0 for name, (status, _) in room.logs.items() if name != SHORT)


def test_feedback_says_what_was_wrong(room):
    status, log = room.nbgrader("generate_feedback", SHORT)
    assert status == 0, log
    pages = {path.parts[-3]: path.read_text() for path in room.folder.glob("feedback/*/*/*.html")}
    graded = {student for student, name in room.expected if name == SHORT}
    assert set(pages) == graded - {"cannot-be-read", "ends-the-kernel", "hangs-for-good"}
    for name in tasks_of(room.solved[SHORT]):
        for number, (diagnosis, _) in enumerate(WRONG[name][:2]):
            assert diagnosis in pages[f"wrong-{name}-{number}"]


def test_a_sheet_works_without_nbgrader(room):
    sheet = room.sheet(SHORT)
    for cell_id, source in solutions(room.solved[SHORT]).items():
        cell(sheet, cell_id).source = source
    # An entry None in sys.modules makes an import fail as if nothing were installed.
    sheet.cells.insert(0, code("import sys\nsys.modules['nbgrader'] = None"))
    NotebookClient(sheet, timeout=300, kernel_name="python3").execute()
    shown = [c.outputs[0].data["text/plain"] for c in sheet.cells if "d2l.check(" in c.source]
    assert len(shown) == len(tasks_of(room.solved[SHORT]))
    assert all(text.startswith("✓") for text in shown)


def test_a_chinese_course_gives_the_same_points_and_hints_in_chinese(tmp_path):
    book = BOOK.parent / "zh"
    english, chinese = (folder / "dropout" / "exercises.ipynb" for folder in (BOOK, book))
    points = course.points(nbformat.read(english, as_version=4))
    assert course.build(tmp_path, [chinese], book) == {"dropout_exercises": points}
    path = tmp_path / "release" / "dropout_exercises" / "dropout_exercises.ipynb"
    sheet = nbformat.read(path, as_version=4)
    assert "暂退法" in sheet.cells[0].source and "BEGIN SOLUTION" not in nbformat.writes(sheet)
    sources = [c.source for c in sheet.cells if c.cell_type == "code"]
    first = next(i for i, source in enumerate(sources) if source.startswith("d2l.check("))
    sheet.cells = [code(source) for source in sources[: first + 1]]
    NotebookClient(sheet, timeout=300, kernel_name="python3").execute()
    hint = sheet.cells[-1].outputs[0].data["text/plain"]
    assert hint.startswith("✗") and re.search("[\u4e00-\u9fff]", hint)


def test_a_second_build_keeps_submissions_and_grades(room):
    course.build(room.folder, [room.book / f"{SHORT}.ipynb"], room.book)
    assert room.read_grades() == room.grades
    assert room.result("right").exists()

"""A class of honest, clumsy and hostile learners hands in; nbgrader's own commands grade it.

Those who hang or flood take minutes, and so do whole pages: they hand in under `make test-all`.
"""

import ast
import csv
import gc
import os
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from book.classroom import confined, course
from book.pages import BOOK, folder, name
from tests.conftest import unavailable

ROOT = BOOK.parent.parent
ALL = os.environ.get("EVERYTHING") == "1"  # make test-all
PAGES = course.exercise_pages("en")
SHORT = "short"  # the sheet of those who may hang: three tasks of a real page
CELL_SECONDS, KERNEL_SECONDS = 25, 150
slow = pytest.mark.everything


@pytest.fixture(scope="module")
def bubblewrap():
    if not shutil.which("bwrap"):
        unavailable("there is no bubblewrap on this machine")
    if why := confined.refusal():
        pytest.skip(why)  # inside many containers nothing can be done about it


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


def doubled(source, function):
    """Return a wrong answer: twice the right one."""
    return f"{source}\nright = {function}\ndef {function}(*args):\n    return 2 * right(*args)"


# ---------------------------------------------------------------- what a submission can reach


THIEF = """
import glob, os, pathlib, socket, subprocess
got = []
def attempt(what):
    try:
        got.append(what() or "")
    except OSError:
        pass
for path in {paths!r}:
    attempt(lambda: pathlib.Path(path).read_bytes()[:99])
    attempt(lambda: subprocess.run(["cat", path], capture_output=True).stdout)
    try:
        open(path, "ab").write(b"-- mine")  # where it does not raise, it is its own /tmp
    except OSError:
        pass
for path in glob.glob("/proc/[0-9]*/environ"):
    attempt(lambda: "secret" in open(path).read())
attempt(lambda: socket.create_connection({address!r}, timeout=5) and "connected")
attempt(lambda: open("sheet.ipynb", "a").write("more") and "changed its sheet")
attempt(lambda: open("/usr/mine", "w").write("mine") and "wrote into the system")
attempt(lambda: open(pathlib.Path(os.__file__), "a").write("mine") and "changed Python")
got += [value for name, value in os.environ.items() if "TOKEN" in name]
attempt(lambda: open("/tmp/big", "wb").write(b"x" * (200 * 2**20)) and "wrote a large file")
print([thing for thing in got if thing])
os.kill(1, 0)  # process 1 is bubblewrap's; no other than it and its children is there
print(sorted(int(p) for p in os.listdir("/proc") if p.isdigit())[-1] < 100)
print(open("sheet.ipynb").read(), os.getcwd(), os.listdir("/tmp"))
"""


def executed(*sources, path, timeout=60, execute=confined.Execute):
    notebook = nbformat.v4.new_notebook(cells=list(map(code, sources)))
    execute(timeout=timeout, iopub_timeout=60).preprocess(
        notebook, {"metadata": {"path": str(path)}}
    )
    return notebook


def execute(*sources, **more):
    return [
        "".join(o.get("text", "") + o.get("ename", "") for o in cell.outputs)
        for cell in executed(*sources, **more).cells
    ]


@pytest.fixture
def sheet(tmp_path):
    """A submission's folder, beside another's, and the files that no submission may reach."""
    sheet = tmp_path / "me"
    for path in (sheet / "sheet.ipynb", tmp_path / "other" / "sheet.ipynb"):
        path.parent.mkdir()
        path.write_text(path.parent.name, encoding="utf-8")
    return sheet


def test_a_submission_reaches_nothing_but_its_sheet(bubblewrap, sheet, monkeypatch):
    monkeypatch.setenv("SOME_TOKEN", "secret of the teacher")
    other = sheet.parent / "other" / "sheet.ipynb"
    home = os.path.expanduser("~/.bashrc")
    paths = [str(path) for path in (other, PAGES[0], ROOT / "README.md", home, "/etc/passwd")]
    before = [Path(path).exists() and Path(path).read_bytes() for path in paths]
    with socket.create_server(("127.0.0.1", 0)) as listener:
        source = THIEF.format(paths=paths, address=listener.getsockname())
        (printed,) = execute(source, path=sheet)
    stolen, alone, seen = printed.splitlines()
    assert stolen == "[]" and alone == "True"
    assert seen.startswith("me /sheet") and "other" not in seen
    assert [Path(path).exists() and Path(path).read_bytes() for path in paths] == before
    assert (sheet / "sheet.ipynb").read_text(encoding="utf-8") == "me"


PROBES = """
import ctypes, os, signal, socket, subprocess
libc, got = ctypes.CDLL(None, use_errno=True), []
def attempt(what):
    try:
        got.append(what())
    except OSError:
        pass
def changed(what, *args):
    attempt(lambda: what({victim!r}, *args) or what)
for what, args in [
    (os.chmod, (0o777,)), (os.chown, (0, 0)), (os.utime, ((1, 1),)), (os.unlink, ()),
    (os.setxattr, ("user.a", b"b")), (os.rename, ("/tmp/mine",)), (os.link, ("/tmp/mine",)),
]:
    changed(what, *args)
def unix():
    with socket.socket(socket.AF_UNIX) as client:
        client.connect({unix!r})
        return "a socket of the teacher's"
def abstract():
    with socket.socket(socket.AF_UNIX) as client:
        client.connect("\\0" + {unix!r})
        return "an abstract socket"
def fast():
    with socket.socket() as client:
        return client.sendto(b"out", socket.MSG_FASTOPEN, {address!r})
def several_paths():
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262) as client:
        return client.connect({address!r}) or "MPTCP"
def datagram():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.sendto(b"out", {address!r})
def raw():
    return socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)
for way in (unix, abstract, fast, several_paths, datagram, raw):
    attempt(way)
for path in ("/etc/shadow", "/dev/sda", "/dev/mem", "/proc/kcore"):
    attempt(lambda: path if open(path, "rb").read(9) else None)
if libc.mount(b"none", b"/tmp", b"tmpfs", 0, None) == 0: got.append("mounted")
attempt(lambda: os.mknod("/tmp/sda", 0o60666, os.makedev(8, 0)) or "a disk")
rights = [line for line in open("/proc/self/status") if line.startswith("CapEff")]
signal.alarm(0)
open("/dev/shm/left", "w").write("mine")
subprocess.Popen(["setsid", "sleep", "{seconds}"])
print([thing for thing in got if thing], rights[0].split()[1].strip("0"))
"""


def test_no_other_way_out_is_open(bubblewrap, sheet, tmp_path):
    victim = tmp_path / "other" / "sheet.ipynb"
    before = victim.stat()
    path = str(tmp_path / "socket")
    seconds = 4000 + os.getpid() % 999 / 1000
    with (
        socket.socket(socket.AF_UNIX) as unix,
        socket.socket(socket.AF_UNIX) as abstract,
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams,
    ):
        for server, address in ((unix, path), (abstract, f"\0{path}")):
            server.bind(address)
            server.listen()
        datagrams.bind(listener.getsockname())
        datagrams.settimeout(0.2)
        words = {"victim": str(victim), "unix": path, "address": listener.getsockname()}
        source = PROBES
        for word, value in {**words, "seconds": seconds}.items():
            source = source.replace(f"{{{word}!r}}", repr(value)).replace(f"{{{word}}}", str(value))
        assert execute(source, path=sheet) == ["[] \n"]
        with pytest.raises(TimeoutError):
            datagrams.recv(9)
    assert victim.stat() == before and not Path("/dev/shm/left").exists()
    left = [p for p in Path("/proc").glob("[0-9]*/cmdline") if str(seconds).encode() in _bytes(p)]
    assert not left


def _bytes(path):
    try:
        return path.read_bytes()
    except OSError:
        return b""


@slow
def test_a_kernel_ends_with_whoever_graded_it(bubblewrap, sheet):
    """Also if that is killed, and cannot clean up."""
    script = (
        "import sys; from tests.test_classroom import execute; "
        'execute(\'import subprocess; subprocess.run(["sleep", "4321.5"])\', path=sys.argv[1])'
    )
    running = subprocess.Popen([sys.executable, "-c", script, str(sheet)], cwd=ROOT)

    def asleep():
        return [p for p in Path("/proc").glob("[0-9]*/cmdline") if b"\x004321.5" in _bytes(p)]

    wait_for(asleep)
    running.kill()
    running.wait()
    wait_for(lambda: not asleep())


def wait_for(what, seconds=60):
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_submission_finds_the_module_and_the_data(bubblewrap, sheet):
    source = "import d2lutils as d2l\ntrain, *_ = d2l.load_fashion_mnist(train_size=300)\n"
    assert execute(source + "print(len(train))", path=sheet) == ["2\n"]


def test_a_cell_that_hangs_is_stopped_and_the_next_one_runs(bubblewrap, sheet):
    loop = "import time\nwhile True:\n    time.sleep(0.01)"
    first, second = execute(loop, "print('on')", path=sheet, timeout=3)
    assert "CellTimeoutError" in first and second == "on\n"


FLOODS = {
    "prints": "for _ in range(9):\n    print('x' * 10**6, flush=True)",
    "displays": "for _ in range(9):\n    display({'text/html': 'x' * 10**6}, raw=True)",
    "updates": """
for _ in range(9):
    display({'text/html': 'x'}, raw=True, display_id='a')
    display({'text/html': 'x' * 10**6}, raw=True, display_id='a', update=True)
""",
    "widgets": "import ipywidgets\nkept = [ipywidgets.HTML('x' * 10**6) for _ in range(9)]",
    "results": "{'x' * 10**7}",
    "errors": """
for _ in range(999):
    get_ipython().showtraceback((ValueError, ValueError("x" * 10**5), None))
""",
}


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS)
def test_what_a_submission_puts_out_is_limited_but_not_its_errors(bubblewrap, sheet, flood):
    name = "'x' * 10**6"
    long_error = f"raise type({name}, (Exception,), {{}})({name})"
    notebook = executed("from IPython.display import display\n" + flood, long_error, path=sheet)
    assert len(nbformat.writes(notebook)) < confined.DISPLAY_CHARS + 2 * confined.OUTPUT_CHARS
    (error,) = notebook.cells[1].outputs
    assert error.output_type == "error" and error.evalue.startswith("xxx")


def test_what_is_left_out_is_said(bubblewrap, sheet):
    (printed,) = execute(FLOODS["prints"], path=sheet)
    assert len(printed) < confined.OUTPUT_CHARS + 100 and printed.endswith(confined.NO_MORE + "\n")
    notebook = executed(FLOODS["results"], path=sheet)
    assert [out.data for out in notebook.cells[0].outputs] == [{"text/plain": confined.NO_MORE}]


OPENS_ITS_FOLDER = """
import os, shutil
for folder, _, _ in os.walk("/tmp"):
    if os.path.basename(folder) != "matplotlib":
        try:
            os.chmod(folder, 0o777)
            shutil.copy("/bin/true", f"{folder}/mine")
            os.chmod(f"{folder}/mine", 0o4777)
            os.symlink("{victim}", f"{folder}/link")
        except OSError:
            pass
"""


def test_nothing_that_a_submission_leaves_is_of_use_to_others(bubblewrap, sheet):
    """It may write in the folder of its sockets, which lies in the /tmp that all users share."""
    victim, found = sheet / "sheet.ipynb", []
    victim.chmod(0o640)

    class Watching(confined.Execute):
        def on_cell_executed(self, **more):
            for path in Path("/tmp").glob("d2l-*/**/mine"):
                around = Path(*path.parts[:3])
                found.append((around, around.stat().st_mode & 0o777))
            super().on_cell_executed(**more)

    source = OPENS_ITS_FOLDER.replace("{victim}", str(victim))
    executed(source, path=sheet, execute=Watching)
    ((around, mode),) = found
    assert mode == 0o700
    gc.collect()
    assert not around.exists()
    assert victim.stat().st_mode & 0o777 == 0o640


PRETENDERS = ("ipykernel_launcher", "ipykernel/kernelapp", "ipykernel/__init__", "torch/__init__")


def test_a_file_that_was_handed_in_takes_no_librarys_place(bubblewrap, sheet):
    for pretender in (*PRETENDERS, "d2lutils/__init__", "random", "sitecustomize"):
        path = sheet / f"{pretender}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text("raise SystemExit('mine')\n", encoding="utf-8")
    (sheet / "helper.py").write_text("help = 3\n", encoding="utf-8")
    source = "import random, helper, torch, d2lutils\nprint(helper.help, torch.zeros(1).item())"
    assert execute(source, path=sheet) == ["3 0.0\n"]


@pytest.mark.parametrize("broken", [None, "exit 1"], ids=["absent", "without namespaces"])
def test_grading_without_bubblewrap_is_refused_in_a_sentence(tmp_path, broken):
    """A stand-in fails as bubblewrap does in a container."""
    course_folder, programs = tmp_path / "course", tmp_path / "bin"
    programs.mkdir()
    for needed in ("env", "timeout", "prlimit"):
        (programs / needed).symlink_to(shutil.which(needed))
    if broken:
        (programs / "bwrap").write_text(f"#!/bin/sh\necho 'bwrap: no namespace' >&2\n{broken}\n")
        (programs / "bwrap").chmod(0o755)
    course_folder.mkdir()
    for script in (BOOK.parent / "classroom").glob("*.py"):
        shutil.copy(script, course_folder)
    environment = {**os.environ, "PATH": str(programs)}
    environment.pop(confined.UNCONFINED, None)
    done = subprocess.run(
        [*course.NBGRADER, "autograde", "any"],
        cwd=course_folder, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode != 0
    said = done.stderr.strip().splitlines()[-1]
    assert f"{confined.UNCONFINED}=yes" in said
    assert ("bwrap: no namespace" if broken else "apt install bubblewrap") in said


# ---------------------------------------------------------------- a class


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
            [*course.NBGRADER, *command],
            cwd=self.folder, capture_output=True, text=True, timeout=1800,
        )  # fmt: skip
        return done.returncode, done.stdout + done.stderr

    def read_grades(self):
        """Export the grades, and return the score of each (student, assignment)."""
        status, log = self.nbgrader("export")
        assert status == 0, log
        with open(self.folder / "grades.csv", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        self.max_scores = {row["assignment"]: float(row["max_score"]) for row in rows}
        self.notes = {(row["student_id"], row["assignment"]): row["note"] for row in rows}
        return {
            (row["student_id"], row["assignment"]): float(row["score"]) if row["score"] else None
            for row in rows
        }

    def result(self, student, name=SHORT):
        return self.folder / "autograded" / student / name / f"{name}.ipynb"


def index(cells, cell_id):
    return next(i for i, c in enumerate(cells) if c.id == cell_id)


CHANGED_CHECKS = """
import sys
import types
import d2lutils.checks.grade
fine = types.SimpleNamespace(passed=True)
for name, module in list(sys.modules.items()):
    if name.startswith("d2lutils"):
        for function in ("check", "run", "grade"):
            if callable(getattr(module, function, None)):
                setattr(module, function, lambda *args, **kwargs: fine)
fake = types.ModuleType("d2lutils.checks.grade")
fake.grade = lambda *args: None
sys.modules["d2lutils.checks.grade"] = fake
torch.allclose = lambda *args, **kwargs: True
"""

TERMINAL_CODES = "import os\nos.write(1, b'\\x1b[31mred')\nos.write(2, b'\\x1b]0;title\\x07')\n"
ODD_NAME = "o'neil [1] {é}"
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


SESSION = """
from jupyter_client.session import Session
real = Session.send
def send(self, stream, kind, content=None, *args, **more):
    if kind != "error":
        if isinstance(content, dict) and content.get("status") == "error":
            content = {"status": "ok", "execution_count": 1, "user_expressions": {}, "payload": []}
        return real(self, stream, kind, content, *args, **more)
Session.send = send
"""
CHEATS = {
    "hooks-import": """
import importlib.abc
import importlib.machinery
import sys
class Hook(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path, target=None):
        if name == "d2lutils.checks.grade":
            return importlib.machinery.ModuleSpec(name, self)
    def create_module(self, spec):
        return None
    def exec_module(self, module):
        module.grade = lambda *args: None
sys.meta_path.insert(0, Hook())
""",
    "replaces-import": """
import builtins
real = builtins.__import__
def replaced(name, *args, **more):
    module = real(name, *args, **more)
    if name == "d2lutils.checks.grade":
        module.grade = lambda *args: None
    return module
builtins.__import__ = replaced
""",
    "empties-cells": """
get_ipython().input_transformers_cleanup.append(
    lambda lines: [] if any("grade(" in line for line in lines) else lines)
""",
    "drops-errors": SESSION,
    "aborts": SESSION.replace('{"status": "ok", ', '{"status": "aborted", '),
    "gives-nan": """
import ast
class Change(ast.NodeTransformer):
    def visit_Expr(self, node):
        if getattr(getattr(node.value, "func", 0), "id", "") == "grade":
            node.value = ast.parse("float('nan')").body[0].value
        return ast.fix_missing_locations(node)
get_ipython().ast_transformers.append(Change())
""",
    "in-a-thread": """
import sys, threading, time
def loop():
    while True:
        if module := sys.modules.get("d2lutils.checks.run"):
            module._examine = lambda *args: None
        time.sleep(0.0005)
threading.Thread(target=loop, daemon=True).start()
""",
}


def forge_marks(cells):
    """Have tests skipped, and nbgrader stop at a format of its metadata that it does not know."""
    for c in cells:
        c.metadata.tags = ["skip-execution"]
        if "nbgrader" in c.metadata:
            c.metadata.nbgrader["schema_version"] = 1


def hand_in_usual(room):
    """Hand in the sheets of a small class."""
    solved = room.solved[SHORT]
    right, tasks, full = solutions(solved), tasks_of(solved), room.points[SHORT]
    (first_cell, called, points), (second_cell, *_), *_ = tasks.values()
    first_test, second_test = (c.replace("solution", "test") for c in (first_cell, second_cell))
    room.hand_in("blank", 0, edit=forge_marks)
    room.hand_in("right", full, right, lambda cells: cells.pop(index(cells, second_test)))
    wrong = {**right, first_cell: doubled(right[first_cell], called)}
    script = "<script>window.ran = 1</script><img src=x onerror=window.ran=2>"
    shown = code(f"from IPython.display import HTML, display\ndisplay(HTML('{script}'))")
    text = nbformat.v4.new_markdown_cell(script)
    room.hand_in("wrong", full - points, wrong, lambda cells: cells.extend([shown, text]))

    def change(cells):
        cells.insert(1, code(CHANGED_CHECKS))
        test = cells[index(cells, first_test)]
        test.source = "pass  # right"
        test.metadata.nbgrader["points"] = 100
        cells[index(cells, second_test)].cell_type = "markdown"

    room.hand_in("changes-checks", None, {}, change)
    room.place("cannot-be-read").write_text('{"cells": [', encoding="utf-8")
    room.expected["cannot-be-read", SHORT] = None

    rest = {key: source for key, source in right.items() if key != first_cell}
    ends = {**rest, first_cell: f"{TERMINAL_CODES}quit()"}
    room.hand_in(ODD_NAME, full - points, ends, lambda cells: cells.insert(1, cells[0]))
    handed_in = room.folder / "submitted" / ODD_NAME / SHORT / f"{SHORT}.ipynb"
    handed_in.rename(handed_in.with_name(f"{SHORT} (1).ipynb"))
    (room.folder / "submitted" / "absent").mkdir()


def hand_in_slow(room):
    """Hand in sheets that hang, flood or lack cells, and whole pages."""
    solved = room.solved[SHORT]
    right, full = solutions(solved), room.points[SHORT]
    first_cell, called, points = next(iter(tasks_of(solved).values()))
    rest = {key: source for key, source in right.items() if key != first_cell}
    first_test = first_cell.replace("solution", "test")

    room.hand_in("hangs", full - points, {**rest, first_cell: LOOP})
    hanging = f"def {called}(*args):\n{textwrap.indent(LOOP, '    ')}"
    room.hand_in("hangs-in-function", full - points, {**rest, first_cell: hanging})
    room.hand_in("hangs-for-good", full, right, lambda cells: cells.insert(0, code(STUBBORN)))
    room.hand_in("ends-the-kernel", full - points, {**rest, first_cell: "import os\nos._exit(0)"})
    stop = code("import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)")
    room.hand_in("stops-itself", full, right, lambda cells: cells.insert(0, stop))
    dying = f"def {called}(*args):\n    import os\n    os._exit(1)"
    room.hand_in("ends-in-function", full - points, {**rest, first_cell: dying})
    room.hand_in(
        "ends-everywhere",
        None,
        {key: "import os\nos._exit(0)" for key in right},
        lambda cells: cells.extend(code("import os\nos._exit(0)") for _ in range(9)),
    )
    for cheat, source in CHEATS.items():
        points = 0 if cheat == "aborts" else None
        room.hand_in(cheat, points, {}, lambda cells, source=source: cells.insert(1, code(source)))
    flood = "for _ in range(10**6):\n    print('x' * 60)\nprint('x' * 10**8)"
    room.hand_in("floods", full, right, lambda cells: cells.insert(1, code(flood)))
    loud = right[first_cell].replace(
        "### BEGIN SOLUTION", "print('x' * 10**7)\n    for _ in range(9999):\n        print(_)"
    )
    room.hand_in("floods-in-function", full, {**rest, first_cell: loud})

    def delete(*ids):
        return lambda cells: [cells.pop(index(cells, cell_id)) for cell_id in ids]

    room.hand_in("deletes-test-of-blank", full - points, rest, delete(first_test))
    room.hand_in("deletes-task", full - points, rest, delete(first_cell, first_test))
    for page_name, page in room.solved.items():
        if page_name != SHORT:
            room.hand_in("right", room.points[page_name], solutions(page), name=page_name)
            room.hand_in("blank", 0, name=page_name)


@pytest.fixture(scope="module")
def room(tmp_path_factory, bubblewrap):
    """A course whose class has handed in and was graded."""
    place = tmp_path_factory.mktemp("class")
    book = place / "book"
    book.mkdir()
    hostile = next(path for path in PAGES if path.parent.name == "weight_decay")
    nbformat.write(without_experiments(hostile, tasks=3, checks=True), book / f"{SHORT}.ipynb")
    for path in PAGES if ALL else ():
        target = book / path.relative_to(BOOK)
        target.parent.mkdir(exist_ok=True)
        nbformat.write(without_experiments(path), target)
    room = Classroom(place / "course", book)
    script = room.folder / "confined.py"
    text = script.read_text(encoding="utf-8")
    text = re.sub(r"^SECONDS = \d+", f"SECONDS = {KERNEL_SECONDS}", text, flags=re.M)
    script.write_text(text, encoding="utf-8")
    hand_in_usual(room)
    if ALL:
        hand_in_slow(room)
    room.logs = {
        name: room.nbgrader("autograde", name, f"--Execute.timeout={CELL_SECONDS}")
        for name in room.points
    }
    room.grades = room.read_grades()
    return room


def test_each_gets_what_it_deserves(room):
    assert {key: room.grades[key] for key in room.expected} == room.expected, room.logs[SHORT]


def test_points_add_up(room):
    assert room.max_scores == room.points
    for sheet, page in room.solved.items():
        assert room.points[sheet] == sum(points for _, _, points in tasks_of(page).values()) > 0


def test_the_course_holds_no_solution(room):
    sources = "\n".join(c.source for page in room.solved.values() for c in page.cells)
    given = REGION.sub("", sources)
    lines = [line.strip() for region in REGION.findall(sources) for line in region.splitlines()]
    secret = {line for line in lines if len(line) > 20 and line not in given}
    assert len(secret) > (20 if ALL else 2)
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


@slow
def test_output_is_limited(room):
    for student in ("floods", "floods-in-function"):
        assert room.result(student).stat().st_size < 500_000


def test_only_what_cannot_be_graded_is_reported(room):
    status, log = room.logs[SHORT]
    failed = {name for (name, sheet), points in room.expected.items() if points is None}
    (line,) = re.findall("^Not graded: (.*)[.]$", log, re.MULTILINE)
    assert set(line.split(", ")) == failed >= {"cannot-be-read", "changes-checks"}
    for student in failed:
        assert "NOT GRADED" in room.notes[student, SHORT] and room.notes[student, SHORT] in log
    assert "is no notebook that can be read" in room.notes["cannot-be-read", SHORT]
    assert "changes what grades it" in room.notes["changes-checks", SHORT]
    assert status != 0
    assert all(status == 0 for name, (status, _) in room.logs.items() if name != SHORT)


def test_each_is_told_what_became_of_the_sheet(room):
    log = room.logs[SHORT][1]
    assert f"right: {room.points[SHORT]} / {room.points[SHORT]}\n" in log
    name = f"{SHORT} (1).ipynb"
    assert name in log and name in room.notes[ODD_NAME, SHORT]
    assert "Nothing was handed in by: absent." in log


def test_nothing_of_a_sheet_commands_the_terminal(room):
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", room.logs[SHORT][1])


@slow
def test_what_is_handed_in_anew_is_graded_anew_and_nothing_else(room):
    before = room.result("wrong").stat().st_mtime_ns, room.result("blank").stat().st_mtime_ns
    path = room.folder / "submitted" / "wrong" / SHORT / f"{SHORT}.ipynb"
    handed_in = path.read_bytes()
    sheet = room.sheet(SHORT)
    for cell_id, source in solutions(room.solved[SHORT]).items():
        cell(sheet, cell_id).source = source
    nbformat.write(sheet, path)
    for student in ("wrong", "blank"):
        assert room.nbgrader("autograde", SHORT, f"--student={student}")[0] == 0
    assert room.read_grades()["wrong", SHORT] == room.points[SHORT]
    assert room.result("wrong").stat().st_mtime_ns != before[0]
    assert room.result("blank").stat().st_mtime_ns == before[1]
    path.write_bytes(handed_in)
    assert room.nbgrader("autograde", SHORT, "--student=wrong")[0] == 0
    assert room.read_grades() == room.grades


@pytest.fixture(scope="module")
def feedback(room):
    status, log = room.nbgrader("generate_feedback", SHORT)
    assert status == 0, log


def test_no_script_of_a_sheet_runs_in_feedback(room, feedback, chromium):
    page = chromium.new_page()
    refused = []
    page.on("console", lambda message: refused.append("Content Security Policy" in message.text))
    path = room.folder / "feedback" / "wrong" / SHORT / f"{SHORT}.html"
    page.goto(path.as_uri(), wait_until="domcontentloaded")
    page.wait_for_timeout(500)
    assert page.evaluate("window.ran") is None and sum(refused) >= 4
    assert page.evaluate("window.MathJax.messageStyle") == "none"  # its own do
    page.close()


def test_feedback_says_what_was_wrong(room, feedback):
    pages = {
        path.parts[-3]: path.read_text(encoding="utf-8")
        for path in room.folder.glob("feedback/*/*/*.html")
    }
    graded = {student for (student, name), points in room.expected.items() if points is not None}
    assert set(pages) == graded
    assert "AssertionError" in pages["wrong"] and "AssertionError" not in pages["right"]


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


@slow
def test_a_second_build_keeps_submissions_and_grades(room):
    course.build(room.folder, [room.book / f"{SHORT}.ipynb"], room.book)
    assert room.read_grades() == room.grades
    assert room.result("right").exists()


@slow
def test_a_chinese_course_gives_the_same_points_and_hints_in_chinese(tmp_path):
    english = next(page for page in PAGES if name(page) == "dropout/exercises")
    chinese = folder("zh") / english.relative_to(BOOK)
    points = course.points(nbformat.read(english, as_version=4))
    assert course.build(tmp_path, [chinese], folder("zh")) == {"dropout_exercises": points}
    path = tmp_path / "release" / "dropout_exercises" / "dropout_exercises.ipynb"
    sheet = nbformat.read(path, as_version=4)
    assert "暂退法" in sheet.cells[0].source and "BEGIN SOLUTION" not in nbformat.writes(sheet)
    sources = [c.source for c in sheet.cells if c.cell_type == "code"]
    first = next(i for i, source in enumerate(sources) if source.startswith("d2l.check("))
    sheet.cells = [code(source) for source in sources[: first + 1]]
    NotebookClient(sheet, timeout=300, kernel_name="python3").execute()
    hint = sheet.cells[-1].outputs[0].data["text/plain"]
    assert hint.startswith("✗") and re.search("[\u4e00-\u9fff]", hint)


# ---------------------------------------------------------------- where a course is made


@pytest.mark.parametrize(
    ("name", "why"),
    [
        *(("", "no name"), ("  ", "no name"), ("~nobody-here/x", "whole path"), ("a[1]", "'\\['")),
        *(("file", "is a file"), ("full", "holds other things"), ("theirs", "another nbgrader")),
    ],
)
def test_a_folder_in_which_no_course_can_be_is_refused(tmp_path, monkeypatch, name, why):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    for path in (tmp_path / "full" / "x", tmp_path / "theirs" / "nbgrader_config.py"):
        path.parent.mkdir()
        path.write_text("c = get_config()\n", encoding="utf-8")
    with pytest.raises(ValueError, match=why):
        course.course_folder(name)


def test_a_folder_is_taken_as_it_was_meant(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert course.course_folder("~/x") == tmp_path / "home" / "x"
    for odd in ("it's a course", "ü", "$HOME", "-x"):
        assert course.course_folder(odd) == tmp_path / odd


def test_a_folder_that_cannot_be_made_is_said_in_a_sentence():
    folder = "/proc/x"
    done = subprocess.run(
        [sys.executable, "-OO", "-m", "book.classroom.course", folder],
        cwd=ROOT, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert done.stderr.startswith(f"No course was made in '{folder}'")


@pytest.fixture
def clone(tmp_path):
    """The Makefile, with a stand-in for Python that prints its arguments."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    for file in ("requirements.txt", "pyproject.toml", ".venv/reader", ".venv/classroom"):
        (tmp_path / file).touch()
    python = tmp_path / ".venv" / "bin" / "python"
    python.write_text('#!/bin/sh\nfor each in "$@"; do echo "<$each>"; done\n', encoding="utf-8")
    python.chmod(0o755)
    return tmp_path


def make(clone, *words):
    environment = {k: v for k, v in os.environ.items() if k not in ("COURSE", "EDITION")}
    return subprocess.run(
        ["make", *words], cwd=clone, env=environment, capture_output=True, text=True, timeout=60
    ).stdout


@pytest.mark.parametrize(
    "name", ["it's", '"a" b', "~/x", "$HOME", "$(touch mine)", "`touch mine`", "a; touch mine", ""]
)
def test_make_hands_the_folder_on_as_it_was_written(clone, name):
    assert f"<{name}>\n<en>\n" in make(clone, "classroom", f"COURSE={name}")
    assert not (clone / "mine").exists()


def test_make_clean_deletes_no_course(clone):
    course_folder = re.search(r"<--?>\n<(.*)>", make(clone, "classroom"))[1]
    kept = [course_folder, "_build/classroom", "_build/.hidden/deep/course", "build/x"]
    for path in kept:
        (clone / path).mkdir(parents=True)
        (clone / path / "gradebook.db").touch()
    for path in ("_build/site", "_build/.jupyter_cache", ".ruff_cache"):
        (clone / path).mkdir(parents=True)
    assert "kept: _build/classroom" in make(clone, "clean")
    assert all((clone / path / "gradebook.db").exists() for path in kept)
    left = {path.name for path in (clone / "_build").iterdir()}
    assert left == {"classroom", ".hidden"} and not (clone / ".ruff_cache").exists()

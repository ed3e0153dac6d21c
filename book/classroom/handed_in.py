"""What a learner handed in: find the sheet, and rebuild it from the one that was released.

A notebook comes back by way of many programs and hands: cells copied, split, merged, moved or
deleted, their ids and metadata lost, the file renamed. So nothing is taken from it but the sources
of its cells, in their order. The tests, their points and all metadata come from the release, and a
test runs where its answer stands: after each cell that defines it, and once more at the end.
"""

import ast
import json
import os
import re
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbgrader.utils import parse_utc

from d2lutils.words import LANGUAGES, Text

READ_BYTES = 100 * 2**20  # of one notebook, and of all other files together
NOT_HANDED_IN = {".ipynb_checkpoints", "__MACOSX", "__pycache__", ".git"}
NOTEBOOK = re.compile(r"\.(ipynb|json)(\.\w+)?$", re.IGNORECASE)  # also .ipynb.txt
TEST = re.compile(r"^# Graded when you hand in.*\n?", re.MULTILINE)
CODE = re.compile(r"^(def|class|import|from|@\w)", re.MULTILINE)
FENCED = re.compile(r"^ *(?:```|~~~)[^\n]*\n(.*?)^ *(?:```|~~~)", re.DOTALL | re.MULTILINE)
ANSWER = r"^(?:async +def|def|class) +{0}\b|^{0} *(?::[^=\n]*)?=(?!=)|^(?:from|import) .*\b{0}\b"
PLACES = 5  # of one test: more copies of an answer than that are not tried


class NotGradable(Exception):
    """Says in every language of the course why a sheet has no points."""

    def __init__(self, en: str, zh: str, **values: object):
        self.text = Text(en, zh).format(**values)
        super().__init__(self.text.en)


@dataclass
class Cell:
    """A cell that was handed in: its source, and by what it may be known."""

    kind: str
    source: str
    ids: set = field(default_factory=set)
    attachments: dict | None = None


@dataclass(frozen=True)
class Task:
    """A solution cell of the release, its test, what the answer is called, and its check."""

    solution: NotebookNode
    test: NotebookNode
    name: str
    check: str

    @property
    def label(self) -> str:
        """What the task is called, such as "layer"."""
        return self.test.metadata.nbgrader.grade_id.removesuffix("-test")

    def is_answered_by(self, cell: Cell) -> bool:
        """Say whether a cell defines the answer, or was the one for it."""
        known = self.solution.metadata.nbgrader.grade_id in cell.ids
        source, pattern = _dedented(cell.source), ANSWER.format(re.escape(self.name))
        return known or bool(re.search(pattern, source, re.MULTILINE))

    def is_tested_by(self, cell: Cell) -> bool:
        """Say whether a cell checks the answer, or was the test."""
        called = f'("{self.check}"' in cell.source.replace("'", '"')
        return called or self.test.metadata.nbgrader.grade_id in cell.ids


class Release:
    """A sheet as it was handed out."""

    def __init__(self, path: Path):
        self.name = path.stem
        self.notebook = nbformat.read(path, as_version=4)
        language = self.notebook.metadata.get("d2l", {}).get("language")
        self.language = language if language in LANGUAGES else LANGUAGES[0]
        cells, solution, check = self.notebook.cells, None, ""
        self.prose = [c.source.strip() for c in cells if c.cell_type == "markdown"]
        self.shown = {code.strip() for text in self.prose for code in FENCED.findall(text)}
        self.tasks, self.setup, self.given = [], [], set()
        for cell in cells:
            role = cell.metadata.get("nbgrader", {})
            if called := re.match(r'd2l\.check\("([\w.]+)"', cell.source):
                check = called[1]
            elif role.get("solution"):
                solution = cell
            elif role.get("grade"):
                named = re.search(r"^(?:def|class) +(\w+)", solution.source, re.MULTILINE)
                name = named[1] if named else solution.metadata.nbgrader.grade_id
                self.tasks.append(Task(solution, cell, name, check))
            elif cell.cell_type == "code":
                self.given.add(cell.source.strip())
                if not solution and _only_prepares(cell.source):
                    self.setup.append(cell)

    def answered_by(self, cell: Cell) -> list[Task]:
        """Return the tasks that a cell answers; one that was handed out like this answers none."""
        if cell.source.strip() in self.given:
            return []
        return [task for task in self.tasks if task.is_answered_by(cell)]

    def tasks_in(self, cells: list[Cell]) -> int:
        """Return how many tasks of this sheet the cells answer or check."""
        return sum(any(t.is_answered_by(c) or t.is_tested_by(c) for c in cells) for t in self.tasks)

    def is_blank(self, cells: list[Cell]) -> bool:
        """Say whether no answer was written."""
        stubs = {task.solution.source.strip() for task in self.tasks}
        return all(cell.source.strip() in stubs for cell in cells if self.answered_by(cell))


def _only_prepares(source):
    """Say whether a cell imports or defines what later ones use, without computing anything."""
    try:
        body = ast.parse(source).body
    except SyntaxError:
        return False
    kinds = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef)
    return bool(body) and (
        isinstance(body[0], kinds[:2]) or all(isinstance(b, kinds) for b in body)
    )


# Reading ------------------------------------------------------------------------------------------


def read(path: Path) -> list[Cell]:
    """Return the cells of a notebook, whatever program wrote it; of the rest of it, nothing.

    Raises
    ------
    NotGradable
        If the file holds no notebook.
    """
    try:
        content = _parsed(path.read_bytes() if path.stat().st_size <= READ_BYTES else None)
        if "worksheets" in content:  # the format of before 2015
            content = {"cells": [c for sheet in content["worksheets"] for c in sheet["cells"]]}
        return [_cell(cell) for cell in content["cells"] if isinstance(cell, dict)]
    except NotGradable as error:
        why = error.text
    except (TypeError, KeyError, AttributeError):
        why = Text("it has no cells", "其中没有单元格")
    except (OSError, ValueError, RecursionError) as error:
        why = f"{type(error).__name__}: {str(error)[:200]}"
    raise NotGradable(
        "{path} is no notebook that can be read ({why}): ask for it again.",
        "{path} 不是可以读取的笔记本（{why}）：请让学习者重新提交。",
        path=path.name, why=why,
    )  # fmt: skip


def _parsed(data: bytes | None) -> object:
    """Return what a JSON file holds; None stands for one that is too large."""
    if data is None:
        raise NotGradable("larger than {mb} MB", "超过 {mb} MB", mb=READ_BYTES // 2**20)
    if not data.strip():
        raise NotGradable("it is empty", "文件是空的")
    try:
        return json.loads(data)
    except UnicodeDecodeError:  # the code is ASCII, and stands there all the same
        return json.loads(data.decode("utf-8", errors="replace"))


def _cell(cell):
    """Return what is used of a cell."""
    source = cell.get("source", cell.get("input", ""))
    if isinstance(source, list):
        lines = [line for line in source if isinstance(line, str)]
        apart = any(line.endswith("\n") for line in lines)
        source = ("" if apart else "\n").join(lines)
    source = source if isinstance(source, str) else ""
    metadata = cell.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    role = metadata.get("nbgrader")
    ids = [cell.get("id"), metadata.get("id"), isinstance(role, dict) and role.get("grade_id")]
    return Cell(
        cell.get("cell_type"),
        re.sub("\r\n?", "\n", source).encode("utf-8", errors="replace").decode(),
        {name for name in ids if isinstance(name, str)},
        cell.get("attachments"),
    )


# Finding ------------------------------------------------------------------------------------------


def place_of(learner: Path, release: Release, others: list[Release]) -> Path | None:
    """Return the folder in which a learner handed in a sheet, None if that was not done.

    Raises
    ------
    NotGradable
        If it is a link, which may lead to somebody else's.
    """
    exact, wanted = learner / release.name, release.name.casefold()
    for path in (learner, exact):
        if path.is_symlink():
            _regular(path)
    if exact.is_dir():
        return exact
    names = {other.name for other in others}
    near = [p for p in learner.iterdir() if p.name.casefold().startswith(wanted)]
    near = [p for p in near if p.is_dir() and not p.is_symlink() and p.name not in names]
    if len(near) == 1:
        return near[0]
    try:
        find(learner, release, others)
    except NotGradable:
        return learner if near or exact.exists() else None
    return learner


def find(folder: Path, release: Release, others: list[Release]) -> tuple[Path, list[Cell], list]:
    """Return the notebook in a folder that is this sheet, its cells, and what is to be told.

    Parameters
    ----------
    folder : Path
        What a learner handed in.
    release : Release
        The sheet that is looked for.
    others : list of Release
        Every sheet of the course.

    Raises
    ------
    NotGradable
        If no notebook is that sheet, or several are.
    """
    expected, fitting, problems = f"{release.name}.ipynb", [], []
    files = list(_files(folder, release, others))
    for path in sorted(files):
        if not NOTEBOOK.search(path.name):
            continue
        try:
            cells = _regular(path) and read(path)
        except NotGradable as problem:
            problems.append((path.name != expected, problem))
            continue
        best = max(others, key=lambda sheet: sheet.tasks_in(cells))
        if release.tasks_in(cells) and release.tasks_in(cells) == best.tasks_in(cells):
            fitting.append((path, cells))
        else:
            problems.append((path.name != expected, _foreign(path, cells, best, release)))
    # An empty sheet beside a filled one is what was downloaded, not what was answered.
    fitting = [fit for fit in fitting if not release.is_blank(fit[1])] or fitting
    exact = [fit for fit in fitting if fit[0] == folder / expected]
    sources = {"\0".join(cell.source for cell in cells) for _, cells in fitting}
    names = ", ".join(path.name for path, _ in fitting)
    if not exact and len(sources) > 1:
        raise NotGradable(
            "Several notebooks could be the sheet ({names}), and none is called {expected}: "
            "give the right one this name.",
            "有几个笔记本都可能是这份作业（{names}），但没有一个叫 {expected}："
            "请把正确的那个改成这个名字。",
            names=names, expected=expected,
        )  # fmt: skip
    if fitting:
        path, cells = (exact or fitting)[0]
        return path, cells, _about_name(path, expected, len(sources) > 1 and names)
    if problems:
        raise min(problems, key=lambda problem: problem[0])[1]
    raise NotGradable(
        "There is no notebook {expected}, but {found}: put it there.",
        "没有找到笔记本 {expected}，只有{found}：请把笔记本放到这里。",
        expected=expected,
        found=", ".join(p.name for p in sorted(files)[:5])
        or Text("an empty folder", "一个空文件夹"),
    )


def _about_name(path, expected, several):
    """Return notes about a notebook that was taken for the sheet."""
    notes = []
    if path.name != expected:
        notes.append(Text(
            "The sheet came as {name}; {expected} was expected.",
            "作业交来时名为 {name}，应当叫 {expected}。",
        ).format(name=path.name, expected=expected))  # fmt: skip
    if several:
        notes.append(Text(
            "Of several notebooks ({names}), {name} was graded.",
            "有几个笔记本（{names}），评分用的是 {name}。",
        ).format(names=several, name=path.name))  # fmt: skip
    return notes


def _files(folder: Path, release: Release, others: list[Release]) -> Iterator[Path]:
    """Yield what lies in a folder and below it, without other sheets; no link is followed."""
    passed_over = NOT_HANDED_IN | {other.name for other in others} - {release.name}
    for place, folders, names in os.walk(folder, onerror=_cannot_look):
        folders[:] = sorted(set(folders) - passed_over)
        links = [name for name in folders if Path(place, name).is_symlink()]
        yield from (Path(place, name) for name in sorted([*names, *links]))


def _cannot_look(error):
    raise error


def _regular(path: Path) -> bool:
    """Return True if it is a file; a link, which may lead anywhere, or a pipe is not graded."""
    if not stat.S_ISREG(path.lstat().st_mode):
        raise NotGradable(
            "{path} is a link or no plain file, which is not read: put the notebook itself there.",
            "{path} 是链接，或者不是普通文件，不予打开：请放入笔记本文件本身。",
            path=path.name,
        )
    return True


def _foreign(path, cells, best, release):
    """Say what a notebook is that is not the sheet."""
    if best.tasks_in(cells):
        return NotGradable(
            "{path} is the sheet {other}, not {name}: move it into the folder {other}.",
            "{path} 是作业 {other}，不是 {name}：请移到文件夹 {other} 中。",
            path=path.name, other=best.name, name=release.name,
        )  # fmt: skip
    return NotGradable(
        "{path} holds none of the tasks of {name}: ask for the sheet that was handed out.",
        "{path} 里没有 {name} 的任何一道题：请学习者提交发下去的那份作业。",
        path=path.name, name=release.name,
    )  # fmt: skip


# Rebuilding ---------------------------------------------------------------------------------------


def rebuild(release: Release, handed_in: list[Cell]) -> tuple[NotebookNode, list]:
    """Return the sheet as it is graded, and what is to be told about it.

    A cell whose metadata hold `{"d2l": {"test": ID}}` is a place where the test ID is tried; one of
    them is the graded cell itself.
    """
    handed_in = _mended(handed_in, release)
    cells, notes, free = [], [], {c.solution.metadata.nbgrader.grade_id for c in release.tasks}
    places = {task.label: [] for task in release.tasks}  # before which of `cells`, and why
    for cell in handed_in:
        answered = release.answered_by(cell) if cell.kind == "code" else []
        cells += _in_the_sheet(cell, answered, free)
        for task in release.tasks:
            if task in answered or task.is_tested_by(cell):
                places[task.label].append((len(cells), task in answered))
    for task in release.tasks:
        several = sum(answers for _, answers in places[task.label])
        if not several:
            # First without the empty answer: `from mine import *` may have brought one.
            places[task.label] += [(len(cells), False), (len(cells) + 1, True)]
            cells.append(_copy(task.solution))
            notes.append(Text(
                "There is no answer to the task {task}: a cell that defines `{name}` was expected.",
                "没有找到任务 {task} 的答案：应当有一个定义 `{name}` 的单元格。",
            ).format(task=task.label, name=task.name))  # fmt: skip
        elif several > 1:
            notes.append(Text(
                "{several} cells answer the task {task}: the best answer counts.",
                "有 {several} 个单元格回答了任务 {task}：以最好的答案为准。",
            ).format(task=task.label, several=several))  # fmt: skip
    present = {c.source.strip() for c in handed_in}
    ids = set().union(*(c.ids for c in handed_in))
    missing = [c for c in release.setup if c.id not in ids and c.source.strip() not in present]
    notebook = nbformat.v4.new_notebook(metadata=release.notebook.metadata)
    notebook.metadata["d2l"] = {"language": release.language}
    notebook.cells = [_copy(c) for c in missing] + _with_tests(cells, places, release)
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"
    return notebook, notes


def _mended(handed_in, release):
    """Return cells apart from the prose and the tests merged into them, and joined if split."""
    mended = []
    for cell in handed_in:
        source = bare = TEST.sub("", cell.source)
        if CODE.search(source):
            for text in release.prose:
                bare = bare.replace(text, "")
        is_code = cell.kind == "code" and source.strip() not in release.prose
        if not is_code and (answer := _lost_answer(bare, cell, handed_in, release)):
            is_code, bare = True, answer
        source = (bare if is_code else source).strip("\n")
        cell = Cell("code" if is_code else "markdown", source, cell.ids, cell.attachments)
        last = mended[-1] if mended else None
        if last and is_code and last.kind == "code" and _continues(last.source, source):
            last.source += f"\n{source}"
            last.ids |= cell.ids
        elif source.strip() or cell.ids:
            cell.source = _dedented(source) if is_code else source
            mended.append(cell)
    return mended


def _lost_answer(source, cell, handed_in, release):
    """Return the code of a text cell that answers a task, if no code cell does; else nothing."""
    code = _code_in(source, release) if CODE.search(source) else ""
    answered = release.answered_by(Cell("code", code, cell.ids)) if code.strip() else []
    others = [c for c in handed_in if c.kind == "code" and c.source.strip() not in release.prose]
    lost = any(not any(task.is_answered_by(c) for c in others) for task in answered)
    return code if lost else ""


def _code_in(text, release):
    """Return what of a text is fenced, but not what a task shows; or all from a definition on."""
    fenced = FENCED.findall(text)
    if fenced:
        return "\n".join(code for code in fenced if code.strip() not in release.shown)
    return text[CODE.search(text).start() :]


def _dedented(source):
    """Return a source without the indentation of its first line, as IPython runs it."""
    indent = re.match(r"\n*([ \t]*)", source)[1]
    return re.sub(f"^{indent}", "", source, flags=re.MULTILINE)


def _continues(first, second):
    """Say whether a cell is the second part of a definition that was split."""
    if second[:1] not in (" ", "\t") or not _compiles(f"{first}\n{second}"):
        return False
    if not _compiles(first) or not _compiles(_dedented(second)):
        return True
    last, rest = ast.parse(first).body[-1:], ast.walk(ast.parse(_dedented(second)))
    if last and isinstance(last[0], ast.ClassDef):
        return any(isinstance(node, ast.arg) and node.arg == "self" for node in rest)
    if not last or not isinstance(last[0], ast.FunctionDef):
        return False
    # A loop, say, that ends without a return: it uses what only the function has.
    (used, others), (_, own) = _names(rest), _names(ast.walk(last[0]))
    return not isinstance(last[0].body[-1], ast.Return) and bool((used - others) & own)


def _names(nodes):
    """Return which names are used, and which are arguments or assigned."""
    nodes = list(nodes)
    names = [node for node in nodes if isinstance(node, ast.Name)]
    used = {node.id for node in names if isinstance(node.ctx, ast.Load)}
    own = {node.arg for node in nodes if isinstance(node, ast.arg)}
    return used, own | {node.id for node in names if not isinstance(node.ctx, ast.Load)}


def _compiles(source):
    try:
        compile(source, "cell", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # the last two: very deep
        return False
    return True


def _in_the_sheet(cell, answered, free):
    """Return the cell for the sheet; the first answer to a task is nbgrader's solution cell."""
    if not cell.source.strip():
        return []
    if cell.kind != "code":
        made = nbformat.v4.new_markdown_cell(cell.source)
        if cell.attachments:
            try:
                made.attachments = nbformat.from_dict(cell.attachments)
                nbformat.v4.new_notebook(cells=[made])  # raises if they are not of the right form
            except nbformat.ValidationError:
                del made["attachments"]
        return [made]
    made = nbformat.v4.new_code_cell(cell.source)
    for task in answered:
        if task.solution.metadata.nbgrader.grade_id in free:
            free.remove(task.solution.metadata.nbgrader.grade_id)
            made.metadata = _copy(task.solution).metadata
            break
    return [made]


def _with_tests(cells, places, release):
    """Return the cells with each test after its answers, where it was, and at the end."""
    here = {}
    for task in release.tasks:
        positions = sorted({at for at, _ in places[task.label]})[-PLACES:]
        graded = max(at for at, answers in places[task.label] if answers)
        for at in {*positions, graded, len(cells)}:
            test = _copy(task.test)
            test.metadata["d2l"] = {"test": test.metadata.nbgrader.grade_id}
            if at != graded:
                del test.metadata["nbgrader"]
            here.setdefault(at, []).append(test)
    result = []
    for at in range(len(cells) + 1):
        result += here.get(at, []) + cells[at : at + 1]
    return result


def _copy(cell):
    """Return a cell of the release for another notebook, without tags."""
    made = nbformat.from_dict(json.loads(json.dumps(cell)))
    made.metadata = nbformat.from_dict(
        {"nbgrader": made.metadata.nbgrader} if "nbgrader" in made.metadata else {}
    )
    return made


def stage(folder: Path, release: Release, others: list[Release], target: Path) -> list:
    """Write the rebuilt sheet and the files beside it into a new folder; return what is to be told.

    See `find`. Links, pipes and more files than there is room for stay out.
    """
    path, cells, notes = find(folder, release, others)
    notebook, more = rebuild(release, cells)
    target.mkdir(parents=True)
    left_out, room = [], READ_BYTES
    for file in _files(path.parent, release, others):
        if NOTEBOOK.search(file.name) or file.name == "timestamp.txt":
            continue
        size = file.lstat().st_size
        if not stat.S_ISREG(file.lstat().st_mode) or size > room:
            left_out.append(file.name)
            continue
        room -= size + 4096  # which a file of no length takes as well
        place = target / file.relative_to(path.parent)
        if place.parts[len(target.parts)] != f"{release.name}.ipynb":
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, place)
    stamp = folder / "timestamp.txt"
    if stamp.exists() or stamp.is_symlink():
        try:
            text = _regular(stamp) and stamp.read_text(encoding="utf-8").strip()
            parse_utc(text)
            (target / stamp.name).write_text(text, encoding="utf-8")
        except (NotGradable, ValueError, OverflowError, OSError):
            left_out.append(stamp.name)
    if left_out:
        more.append(Text(
            "Left out, as a link, no plain file, too large or no time: {names}.",
            "以下内容未予采用（链接、非普通文件、过大，或者不是时间）：{names}。",
        ).format(names=", ".join(left_out[:10])))  # fmt: skip
    notes += more
    if notes:
        lines = "\n".join(f"- {note.to(release.language)}" for note in notes)
        notebook.cells.insert(0, nbformat.v4.new_markdown_cell(lines, id="notes"))
    nbformat.write(notebook, target / f"{release.name}.ipynb")
    return notes

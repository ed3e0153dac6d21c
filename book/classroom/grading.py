"""How a class is graded: each sheet by itself, several at a time, and none stops the others.

`nbgrader autograde` runs once for each learner, in a process of its own. That rebuilds what was
handed in (`handed_in.py`), executes it confined (`confined.py`), and takes the verdict. What is to
be told about a sheet is kept in `notes/` and stands in grades.csv.
"""

import csv
import hashlib
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from fnmatch import fnmatchcase
from pathlib import Path

import confined
import nbformat
from handed_in import NotGradable, Release, place_of, stage
from nbgrader import converters
from nbgrader.api import Gradebook, MissingEntry
from nbgrader.apps import AutogradeApp
from nbgrader.converters.base import NbGraderException
from nbgrader.plugins import ExportPlugin

from d2lutils.checks import load
from d2lutils.files import write_whole
from d2lutils.words import Text

HERE = Path(__file__).resolve().parent
STUDENT = "D2L_GRADE_STUDENT"  # whom this process grades
RESTARTS = 5  # cells of one sheet that may end its kernel
CALL = re.compile(r'^grade\("([\w.]+)", (\w+)\)', re.MULTILINE)
NOT_GRADED = Text("NOT GRADED: {why}", "未评分：{why}")


# The verdict --------------------------------------------------------------------------------------


class Execute(confined.Execute):
    """Executes a sheet and decides which tests hold.

    A cell that ends the kernel, or cannot be stopped, is left out when the sheet runs anew. A test
    runs wherever its answer stands, until it holds. Controls, which must come out as they should,
    tell whether the sheet changed what grades it.
    """

    def preprocess(self, nb, resources):
        """Execute a notebook, and keep of its tests what nbgrader needs."""
        _fill_in(nb)
        self.left_out, started = {}, time.monotonic()
        while True:
            self.running, self.held, self.failed = None, set(), set()
            try:
                nb, resources = super().preprocess(nb, resources)
                break
            except Exception as error:
                over = time.monotonic() - started > confined.SECONDS
                if self.running is None or over or len(self.left_out) == RESTARTS:
                    raise
                self.log.warning("Cell %s ends or blocks the kernel: %s", self.running, error)
                self.left_out[self.running] = type(error).__name__
        self._expect_controls(nb)
        _keep_verdicts(nb, self.held)
        return nb, resources

    def preprocess_cell(self, cell, resources, index):
        """Execute a cell, but none that is left out, and no test that has held already."""
        test = cell.metadata.get("d2l", {}).get("test")
        if index in self.left_out:
            text = _ended(self.left_out[index], self.nb)
            cell.outputs = [nbformat.v4.new_output(
                "error", ename=self.left_out[index], evalue=text, traceback=[text]
            )]  # fmt: skip
            self.failed.add(index)
        elif test not in self.held:
            self.running = index
            cell, resources = super().preprocess_cell(cell, resources, index)
            self.running = None
            if any(out.output_type == "error" for out in cell.get("outputs", ())):
                self.failed.add(index)
            elif test and index not in self.failed:
                self.held.add(test)
        return cell, resources

    def on_cell_executed(self, *, cell_index, execute_reply, **more):
        """Note a reply that is not fine: an error may put out nothing."""
        if execute_reply["content"].get("status") != "ok":
            self.failed.add(cell_index)
        super().on_cell_executed(cell_index=cell_index, execute_reply=execute_reply, **more)

    def _expect_controls(self, nb):
        """Raise unless wrong answers were refused, and a right one accepted."""
        for index, cell in enumerate(nb.cells):
            control = cell.metadata.get("d2l", {}).get("control")
            if control == "wrong" and index not in self.failed:
                raise NotGradable(
                    "while it ran, a wrong answer was taken for right ({name}): it changes what "
                    "grades it. Read it.",
                    "运行这份作业时，一个错误的答案被判为正确（{name}）：它改动了评分程序。请仔细阅读。",
                    name=cell.metadata.d2l.name,
                )
            if control == "right" and index in self.failed and index not in self.left_out:
                raise NotGradable(
                    "while it ran, a right answer was refused ({name}): it changes what grades it. "
                    "Read it.",
                    "运行这份作业时，一个正确的答案被判为错误（{name}）：它改动了评分程序。请仔细阅读。",
                    name=cell.metadata.d2l.name,
                )


def _fill_in(nb):
    """Give each place of a test its source, and put controls beside."""
    sources = {
        cell.metadata.d2l.test: cell.source
        for cell in nb.cells
        if "test" in cell.metadata.get("d2l", {}) and "nbgrader" in cell.metadata
    }
    cells = []
    for cell in nb.cells:
        cells.append(cell)
        test = cell.metadata.get("d2l", {}).get("test")
        if test:
            cell.source = sources[test]
        if test and "nbgrader" in cell.metadata:
            cells += _controls(cell.source, "wrong", "lambda *given, **named: None")
    right = []
    for source in sources.values():
        name = CALL.search(source)[1] if CALL.search(source) else ""
        if name and load(name.partition(".")[0])[name].right:
            chapter = name.partition(".")[0]
            stored = f'__import__("d2lutils").checks.load("{chapter}")["{name}"].right'
            right.append((source, "right", stored))
    nb.cells = cells + (_controls(*random.choice(right)) if right else [])


def _controls(source, kind, answer):
    """Return a test of another answer, which reads like the test; none if that is another kind."""
    called = CALL.search(source)
    if not called:
        return []
    source = CALL.sub(lambda found: f'grade("{found[1]}", ({found[2]}, {answer})[1])', source)
    if kind == "right":  # it stands whether or not the sheet has an answer
        source = source.replace(f"({called[2]}, {answer})[1]", answer)
    made = nbformat.v4.new_code_cell(source)
    made.metadata = nbformat.from_dict({"d2l": {"control": kind, "name": called[1]}})
    return [made]


def _keep_verdicts(nb, held):
    """Leave of the tests the graded ones, and of what those put out the error, if they failed."""
    marks = [cell.metadata.get("d2l", {}) for cell in nb.cells]
    pairs = [(cell, mark) for cell, mark in zip(nb.cells, marks, strict=True)]
    nb.cells = [cell for cell, mark in pairs if not mark or "nbgrader" in cell.metadata]
    for cell, mark in pairs:
        if "test" in mark and "nbgrader" in cell.metadata:
            outputs = [] if mark.test in held else cell.outputs
            cell.outputs = [out for out in outputs if out.output_type == "error"]
            if not cell.outputs and mark.test not in held:
                text = "no verdict"
                cell.outputs = [nbformat.v4.new_output("error", ename="Error", evalue=text)]


def _ended(kind, nb):
    """Say to the learner why a cell was left out."""
    return Text(
        "This cell ended the kernel, or could not be stopped ({kind}): the sheet was graded "
        "without it.",
        "这个单元格使内核终止，或者无法停下（{kind}）：评分时略过了它。",
    ).format(kind=kind).to(nb.metadata.get("d2l", {}).get("language", "en"))  # fmt: skip


# A class ------------------------------------------------------------------------------------------


class Autograde(converters.Autograde):
    """nbgrader's own, for each learner in a process of its own, on a sheet that was rebuilt."""

    def start(self):
        """Grade whom the command names."""
        self.releases = [Release(path) for path in sorted(HERE.glob("release/*/*.ipynb"))]
        named = [r for r in self.releases if r.name == self.coursedir.assignment_id]
        if not named:
            self.log.error(
                "There is no sheet %r in release/, but: %s.",
                self.coursedir.assignment_id, ", ".join(r.name for r in self.releases) or "none",
            )  # fmt: skip
            raise NbGraderException
        self.release = named[0]
        if isinstance(self.parent, AutogradeApp) and STUDENT not in os.environ:
            self._grade_class()
        else:
            self._grade_one(os.environ.get(STUDENT, self.coursedir.student_id))

    def _grade_class(self):
        """Grade each learner in a process, several at once; say what came of it."""
        sys.stdout.reconfigure(errors="backslashreplace")
        if os.geteuid() == 0:
            print(
                "You grade as root: whatever gets out of bubblewrap is root too. Use another user."
            )
        students = self._learners()
        cores = len(os.sched_getaffinity(0))
        jobs, missed, running = min(cores, len(students)), [], set()
        environment = {"OMP_NUM_THREADS": str(max(1, cores // jobs)), **os.environ}
        pool = ThreadPoolExecutor(jobs)
        try:
            futures = [pool.submit(_grade_apart, s, environment, running) for s in students]
            for future in as_completed(futures):
                missed += self._report(*future.result())
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in list(running):  # if the teacher stops it
                process.terminate()
        if missed:
            print(f"\nNot graded: {printable(', '.join(sorted(missed)))}.")
            raise NbGraderException

    def _learners(self):
        """Return who is to be graded, and say who handed in nothing."""
        wanted, excluded = self.coursedir.student_id, self.coursedir.student_id_exclude.split(",")
        submitted, found, absent = self._submitted(), [], []
        for folder in sorted(submitted.iterdir()) if submitted.is_dir() else ():
            if folder.name.startswith(".") or folder.name in excluded or not folder.is_dir():
                continue
            if folder.name == wanted or fnmatchcase(folder.name, wanted):
                try:
                    here = place_of(folder, self.release, self.releases)
                except (NotGradable, OSError):  # its own process will say why
                    here = folder
                (found if here else absent).append(folder.name)
        if absent:
            print(f"Nothing was handed in by: {printable(', '.join(absent))}.")
        if not found:
            self.log.error(
                "There is nothing to grade: put what comes back into %s/STUDENT/%s/%s.ipynb.",
                submitted, self.release.name, self.release.name,
            )  # fmt: skip
            raise NbGraderException
        return found

    def _submitted(self):
        return Path(self.coursedir.root, self.coursedir.submitted_directory)

    def _report(self, student, status, log):
        """Print what came of a sheet; return its learner in a list if it was not graded."""
        kept = read_notes(self.release.name, student)
        if status and kept.get("graded", True):  # it ended before it could say why
            kept = {"notes": [NOT_GRADED.to(self.release.language).format(why="see above")]}
        points = ""
        if kept.get("graded"):
            with Gradebook(self.coursedir.db_url) as gradebook:
                found = gradebook.find_submission(self.release.name, student)
                points = f" {found.score:g} / {found.max_score:g}"
        elif not kept.get("expected"):
            print(printable(log), file=sys.stderr)
        lines = [f"{student}:{points}", *(f"    {note}" for note in kept.get("notes", ()))]
        print(printable("\n".join(lines)), flush=True)
        return [] if kept.get("graded") else [student]

    def _grade_one(self, student):
        """Rebuild what a learner handed in, grade it, and keep what is to be told."""
        name, kept = self.release.name, {}
        with tempfile.TemporaryDirectory(prefix="d2l-sheet-") as staged:
            sheet = Path(staged, student, name)
            try:
                folder = place_of(self._submitted() / student, self.release, self.releases)
                if folder is None:
                    raise NotGradable("nothing was handed in", "没有提交")
                told = stage(folder, self.release, self.releases, sheet)
            except (NotGradable, OSError) as problem:
                self._not_graded(student, problem)
            kept["notes"] = [note.to(self.release.language) for note in told]
            kept["sheet"] = hashlib.sha256((sheet / f"{name}.ipynb").read_bytes()).hexdigest()
            # What was handed in anew is graded anew.
            self.force |= kept["sheet"] != read_notes(name, student).get("sheet", kept["sheet"])
            before = self.coursedir.submitted_directory, self.coursedir.student_id
            self.coursedir.submitted_directory, self.coursedir.student_id = staged, "*"
            self.problem = None
            try:
                super().start()
            except NbGraderException:
                self._not_graded(student, self.problem or RuntimeError("see above"))
            finally:
                self.coursedir.submitted_directory, self.coursedir.student_id = before
        write_notes(name, student, {"graded": True, **kept})

    def _not_graded(self, student, problem):
        """Keep why, with the learner in the gradebook, and raise."""
        language, expected = self.release.language, isinstance(problem, NotGradable)
        why = problem.text.to(language) if expected else f"{type(problem).__name__}: {problem}"
        why = NOT_GRADED.to(language).format(why=why[:500])
        kept = {"graded": False, "expected": expected, "notes": [why]}
        write_notes(self.release.name, student, kept)
        with Gradebook(self.coursedir.db_url, self.coursedir.course_id) as gradebook:
            gradebook.update_or_create_student(student)
        self.log.error("%s: %s", student, why)
        raise NbGraderException(why)

    def convert_single_notebook(self, notebook_filename):
        """Note what goes wrong, which nbgrader prints and forgets."""
        try:
            super().convert_single_notebook(notebook_filename)
        except Exception as problem:
            self.problem = problem
            raise


def _grade_apart(student, environment, running):
    """Run this command for one learner; return the learner, the status and all that it printed."""
    command = [sys.executable, "-m", "nbgrader", *sys.argv[1:]]
    process = subprocess.Popen(
        command, env={**environment, STUDENT: student}, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8", errors="replace",
    )  # fmt: skip
    running.add(process)
    try:
        log, _ = process.communicate()
    finally:
        running.discard(process)
    return student, process.returncode, log


def printable(text: str) -> str:
    """Return a text without what would command a terminal."""
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)


# What is to be told -------------------------------------------------------------------------------


def _notes_file(assignment, student):
    return HERE / "notes" / student / f"{assignment}.json"


def write_notes(assignment: str, student: str, kept: dict) -> None:
    """Keep what is to be told about a sheet."""
    text = json.dumps(kept, ensure_ascii=False, indent=1).encode("utf-8", errors="replace")
    write_whole(_notes_file(assignment, student), lambda file: file.write(text))


def read_notes(assignment: str, student: str) -> dict:
    """Return what was kept about a sheet; nothing if it was never graded."""
    try:
        return json.loads(_notes_file(assignment, student).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


class Export(ExportPlugin):
    """Writes grades.csv as nbgrader does, and a note; who could not be graded has no score."""

    def export(self, gradebook):
        """Write a row for each learner and sheet."""
        fields = "assignment duedate timestamp student_id last_name first_name email raw_score"
        fields = [*fields.split(), "late_submission_penalty", "score", "max_score", "note"]
        with open(self.to or "grades.csv", "w", encoding="utf-8", newline="") as file:
            rows = csv.DictWriter(file, fields)
            rows.writeheader()
            for assignment in gradebook.assignments:
                for student in gradebook.students:
                    if self._is_wanted(assignment.name, student.id):
                        rows.writerow(_row(gradebook, assignment, student))

    def _is_wanted(self, assignment, student):
        return (not self.assignment or assignment in map(str, self.assignment)) and (
            not self.student or student in map(str, self.student)
        )


def _row(gradebook, assignment, student):
    """Return what grades.csv says about a learner and a sheet."""
    kept = read_notes(assignment.name, student.id)
    row = {name: getattr(student, name) for name in ("last_name", "first_name", "email")}
    row |= {"assignment": assignment.name, "duedate": assignment.duedate, "student_id": student.id}
    row |= {"max_score": assignment.max_score, "note": " ".join(kept.get("notes", ()))}
    try:
        submission = gradebook.find_submission(assignment.name, student.id)
    except MissingEntry:
        row |= {"raw_score": 0.0, "late_submission_penalty": 0.0, "score": 0.0}
        row["note"] = row["note"] or str(Text("nothing was handed in", "没有提交"))
    else:
        penalty, score = submission.late_submission_penalty or 0.0, submission.score
        row |= {"timestamp": submission.timestamp, "raw_score": score}
        row |= {"late_submission_penalty": penalty, "score": max(0.0, score - penalty)}
    if not kept.get("graded", True):
        row |= {"raw_score": "", "score": ""}
    return row

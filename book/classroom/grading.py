"""How a class is graded: each sheet by itself, several at a time, and none stops the others.

`nbgrader autograde` runs once for each learner, in a process of its own. That rebuilds what was
handed in (`handed_in.py`), executes it confined (`confined.py`), and takes the verdict
(`verdict.py`). What is to be told about a sheet is kept in `notes/` and stands in grades.csv.
"""

import csv
import functools
import glob
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor, as_completed
from fnmatch import fnmatchcase
from pathlib import Path

from handed_in import NotGradable, Release, place_of, stage
from nbconvert.exporters import HTMLExporter
from nbgrader import converters
from nbgrader.api import Gradebook, MissingEntry
from nbgrader.apps import AutogradeApp
from nbgrader.converters.base import NbGraderException
from nbgrader.plugins import ExportPlugin

from d2lutils.files import write_whole
from d2lutils.words import Text

HERE = Path(__file__).resolve().parent
STUDENT = "D2L_GRADE_STUDENT"  # whom this process grades
MATHJAX = "https://cdnjs.cloudflare.com/ajax/libs/mathjax/"  # whence nbgrader's page takes it
# The page has them in a form that MathJax would have to evaluate, as it would a learner's.
MATHJAX_SETTINGS = (
    r'window.MathJax = {tex2jax: {inlineMath: [["$", "$"], ["\\(", "\\)"]], processEscapes: true, '
    'processEnvironments: true}, displayAlign: "center", messageStyle: "none"};'
)
ABSENT = Text("nothing was handed in", "没有提交")
NOT_GRADED_YET = Text("not graded yet", "尚未评分")
NOT_GRADED = Text("NOT GRADED: {why}", "未评分：{why}")


# A class ------------------------------------------------------------------------------------------


class Autograde(converters.Autograde):
    """nbgrader's own, for each learner in a process of its own, on a sheet that was rebuilt."""

    def start(self):
        """Grade whom the command names."""
        self.releases = _releases(HERE)
        named = [r for r in self.releases if r.name == self.coursedir.assignment_id]
        if not named:
            self.log.error(
                "There is no sheet %r in release/, but: %s.",
                self.coursedir.assignment_id, ", ".join(r.name for r in self.releases) or "none",
            )  # fmt: skip
            raise NbGraderException
        self.release = named[0]
        if self.coursedir.db_url.startswith("sqlite") and "?" not in self.coursedir.db_url:
            self.coursedir.db_url += "?timeout=60"  # seconds to wait while another sheet is entered
        if isinstance(self.parent, AutogradeApp) and STUDENT not in os.environ:
            self._grade_class()
        else:
            self._grade_one(os.environ.get(STUDENT, self.coursedir.student_id))

    def _grade_class(self):
        """Grade each learner in a process, several at once; say what came of it."""
        sys.stdout.reconfigure(errors="backslashreplace")
        if os.geteuid() == 0:
            print("You grade as root: what got out of bubblewrap would be root. Use another user.")
        students = self._learners()
        cores = len(os.sched_getaffinity(0))
        jobs, missed, running = min(cores, len(students)), [], set()
        environment = {"OMP_NUM_THREADS": str(max(1, cores // jobs)), **os.environ}
        pool = ThreadPoolExecutor(jobs)
        try:
            futures = [pool.submit(_grade_apart, s, environment, running) for s in students]
            for future in as_completed(futures):
                missed += _report(self.release, self.coursedir.db_url, *future.result())
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in list(running):  # if the teacher stops it
                process.send_signal(signal.SIGINT)
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

    def _grade_one(self, student):
        """Rebuild what a learner handed in, grade it, and keep what is to be told."""
        name, kept = self.release.name, {}
        with tempfile.TemporaryDirectory(prefix="d2l-sheet-") as staged:
            sheet = Path(staged, student, name)
            try:
                folder = place_of(self._submitted() / student, self.release, self.releases)
                if folder is None:
                    raise NotGradable(ABSENT.en, ABSENT.zh)
                told = stage(folder, self.release, self.releases, sheet)
            except (NotGradable, OSError) as problem:
                self._not_graded(student, problem)
            kept["notes"] = [note.to(self.release.language) for note in told]
            kept["sheet"] = fingerprint(sheet)
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
        kept = {"graded": False, "expected": expected, "notes": [why], "sheet": ""}
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


def fingerprint(folder: Path) -> str:
    """Return what changes with the name or the content of any file of a sheet, save its time."""
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        name = path.relative_to(folder).as_posix()
        if name != "timestamp.txt":
            for part in (os.fsencode(name), path.read_bytes()):
                digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()


def init_notebooks(converter):
    """Find the notebooks of a converter, as nbgrader does, below folders of any name."""
    course, source = converter.coursedir, converter._format_source  # noqa: SLF001  (nbgrader's)
    converter.assignments = {}
    for folder in glob.glob(source(course.assignment_id, course.student_id)):
        found = glob.glob(os.path.join(glob.escape(folder), f"{course.notebook_id}.ipynb"))
        if found:
            converter.assignments[folder] = found
    converter.notebooks = []
    if not converter.assignments:
        converter.log.error("There is no notebook of %s.", course.assignment_id)
        raise NbGraderException


converters.BaseConverter.init_notebooks = init_notebooks


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


def _report(release, db_url, student, status, log):
    """Print what came of a sheet; return its learner in a list if it was not graded."""
    kept = read_notes(release.name, student)
    if status and kept.get("graded", True):  # it ended before it could say why
        kept = {"notes": [NOT_GRADED.to(release.language).format(why="see above")]}
    points = ""
    if kept.get("graded"):
        with Gradebook(db_url) as gradebook:
            found = gradebook.find_submission(release.name, student)
            points = f" {found.score:g} / {found.max_score:g}"
    elif not kept.get("expected"):
        print(printable(log), file=sys.stderr)
    lines = [f"{student}:{points}", *(f"    {note}" for note in kept.get("notes", ()))]
    print(printable("\n".join(lines)), flush=True)
    return [] if kept.get("graded") else [student]


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


class FeedbackPage(HTMLExporter):
    """nbgrader's page, in which no script runs but its own: a sheet may hold any HTML."""

    def from_notebook_node(self, nb, resources=None, **more):
        """Return the page, with a policy that browsers obey."""
        page, resources = super().from_notebook_node(nb, resources, **more)
        own = b64encode(hashlib.sha256(MATHJAX_SETTINGS.encode()).digest()).decode()
        policy = f"script-src {MATHJAX} 'sha256-{own}'; object-src 'none'; frame-src 'none'"
        meta = f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        own = f"<head>{meta}<script>{MATHJAX_SETTINGS}</script>"
        return page.replace("<head>", own, 1), resources


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
        waits, release = _waits(assignment.name, student.id)
        score = "" if waits else 0.0
        row |= {"raw_score": score, "late_submission_penalty": score, "score": score}
        if kept.get("graded", True):
            why = NOT_GRADED_YET if waits else ABSENT
            row["note"] = why.to(release.language) if release else str(why)
    else:
        penalty, score = submission.late_submission_penalty or 0.0, submission.score
        row |= {"timestamp": submission.timestamp, "raw_score": score}
        row |= {"late_submission_penalty": penalty, "score": max(0.0, score - penalty)}
    if not kept.get("graded", True):
        row |= {"raw_score": "", "score": ""}
    return row


def _waits(assignment, student):
    """Say whether something lies there that nobody has graded; and return the sheet's release."""
    folder, releases = HERE / "submitted" / student, _releases(HERE)
    release = next((r for r in releases if r.name == assignment), None)
    if release is None or not os.path.lexists(folder):
        return os.path.lexists(folder / assignment), release
    try:
        return place_of(folder, release, releases) is not None, release
    except (NotGradable, OSError):
        return True, release


@functools.cache
def _releases(course):
    """Return the sheets of a course."""
    return [Release(path) for path in sorted(course.glob("release/*/*.ipynb"))]

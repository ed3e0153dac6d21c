"""Make an nbgrader course of the exercises: `python -m book.classroom.course FOLDER EDITION`.

The folder gets a configuration, the sheets to hand out, and a gradebook. The solved pages are
copied to a temporary folder alone, so none lies in the course.
"""

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import nbformat

from book.pages import EDITIONS, FIRST, folder, notebooks

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
NBGRADER = [sys.executable, "-m", "nbgrader"]
BEGIN_TESTS = "### BEGIN HIDDEN TESTS\n"
# The cell that grades shares its kernel with the submission, which may have replaced the grader.
GRADER_FROM_ITS_FILE = 'import sys\nsys.modules.pop("d2lutils.checks.grade", None)\n'


def exercise_pages(edition: str) -> list[Path]:
    """Return the pages of an edition that hold graded cells."""
    return [p for p in notebooks(edition) if points(nbformat.read(p, as_version=4))]


def points(notebook: nbformat.NotebookNode) -> int:
    """Return how many points the graded cells of a notebook give together."""
    return sum(cell.metadata.get("nbgrader", {}).get("points", 0) for cell in notebook.cells)


def assignment_name(page: Path, book: Path) -> str:
    """Return a name that no other page has, such as "dropout_exercises"."""
    return "_".join(page.relative_to(book).with_suffix("").parts)


def write_source(page: Path, target: Path, language: str) -> None:
    """Copy a page as nbgrader's source, its graded cells proof against a replaced grader.

    Where it is not English, a cell after the title says so, for the hints.
    """
    notebook = nbformat.read(page, as_version=4)
    notebook.metadata["d2l"] = {"language": language}
    if language != FIRST:
        code = f'import os\nos.environ["D2L_LANGUAGE"] = "{language}"'
        notebook.cells.insert(1, nbformat.v4.new_code_cell(code, id="language"))
    for cell in notebook.cells:
        cell.source = cell.source.replace(BEGIN_TESTS, BEGIN_TESTS + GRADER_FROM_ITS_FILE)
    target.mkdir(parents=True)
    nbformat.write(notebook, target / f"{target.name}.ipynb")


def course_folder(name: str) -> Path:
    """Return the folder that was named for a course, if one can be made there.

    Raises
    ------
    ValueError
        If it holds other things, which would be overwritten, or nbgrader cannot work there.
    """
    if not name.strip():
        raise ValueError("it has no name; say COURSE=FOLDER")
    try:
        course = Path(os.path.abspath(Path(name).expanduser()))
    except RuntimeError as error:  # no such user
        raise ValueError(f"{error} Write the whole path.") from None
    if odd := re.search(r"[][{}*?#%\\\n]", str(course)):  # in patterns, formats and URLs
        raise ValueError(f"nbgrader takes no path that holds {odd[0]!r}; choose another one")
    if course.exists() and not course.is_dir():
        raise ValueError("that is a file; choose a folder")
    mine = (HERE / "nbgrader_config.py").read_text(encoding="utf-8").partition("\n")[0]
    config = course / "nbgrader_config.py"
    if not config.exists() and course.is_dir() and any(course.iterdir()):
        raise ValueError("that folder holds other things; choose a new one or an empty one")
    if config.exists() and mine not in config.read_text(encoding="utf-8", errors="replace"):
        raise ValueError("another nbgrader course is there; choose a new folder")
    return course


def build(course: Path, pages: list[Path], book: Path) -> dict[str, int]:
    """Write the course, or bring it up to date, and return each assignment's points.

    Submissions and grades that are in the folder stay.

    Parameters
    ----------
    course : Path
        Where it goes.
    pages : list of Path
        Solved notebooks with nbgrader's metadata, below `book`.
    book : Path
        The folder of the edition, whose language the hints have.

    Raises
    ------
    subprocess.CalledProcessError
        If nbgrader refuses a page; it has said why.
    """
    course.mkdir(parents=True, exist_ok=True)
    config = course / "nbgrader_config.py"
    new = (HERE / config.name).read_bytes()
    if config.exists() and config.read_bytes() != new:  # it may have been changed by hand
        config.replace(f"{config}.before")
        print(f"What {config.name} was before stands in {config.name}.before.")
    for script in sorted({*HERE.glob("*.py")} - {Path(__file__).resolve()}):
        shutil.copy(script, course)
    given = {}
    with tempfile.TemporaryDirectory() as source:
        for page in pages:
            name = assignment_name(page, book)
            write_source(page, Path(source, name), book.name)
            command = [*NBGRADER, "generate_assignment", name, "--force", "--log-level=WARN"]
            # nbgrader joins this to the course folder, and an absolute path wins.
            command += [f"--CourseDirectory.source_directory={source}"]
            subprocess.run(command, cwd=course, check=True)
            given[name] = points(nbformat.read(page, as_version=4))
    return given


def main() -> int:
    """Build the course in the folder named on the command line, and say how to go on."""
    parser = argparse.ArgumentParser(description="Make an nbgrader course of the exercises.")
    parser.add_argument("folder")
    parser.add_argument("edition", nargs="?", default=FIRST, choices=list(EDITIONS))
    arguments = parser.parse_args()
    edition = arguments.edition
    try:
        course = course_folder(arguments.folder)
        given = build(course, exercise_pages(edition), folder(edition))
    except (ValueError, OSError, subprocess.CalledProcessError) as error:
        print(f"No course was made in {arguments.folder!r}: {error}", file=sys.stderr)
        return 1
    print(f"\nThe course: {course}")
    for name, total in [*given.items(), ("in all", sum(given.values()))]:
        print(f"  {name:<32}{total:>4} points")
    example = next(iter(given))
    nbgrader = shlex.join(NBGRADER)
    print(f"""
Hand out release/{example}/{example}.ipynb, and put what
comes back in submitted/STUDENT/{example}/{example}.ipynb. Then:

  cd {shlex.quote(str(course))}
  {nbgrader} autograde {example}
  {nbgrader} export                  # the grades: grades.csv
  {nbgrader} generate_feedback {example}

The last writes feedback/STUDENT/{example}/{example}.html.""")
    return 0


if __name__ == "__main__":
    sys.exit(main())

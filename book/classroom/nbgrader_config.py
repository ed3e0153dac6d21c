"""How nbgrader treats this course; every option: `nbgrader generate_config`."""

import os
import sys
from pathlib import Path

from nbgrader import preprocessors as pp

c = get_config()  # noqa: F821  (nbgrader defines it)
HERE = Path(__file__).resolve().parent

c.CourseDirectory.root = str(HERE)
c.CourseDirectory.course_id = "regularization"


def put_first(variable, folder):
    """Put a folder in front of those that an environment variable lists."""
    others = os.environ.get(variable)
    os.environ[variable] = os.pathsep.join([str(folder), *([others] if others else [])])


# nbgrader calls alembic by its bare name, also where this environment is not activated.
put_first("PATH", Path(sys.executable).parent)

# Submissions run in a kernel that reads nothing but Python and its own sheet; see kernels/confined.
put_first("JUPYTER_PATH", HERE)
c.Execute.kernel_name = "confined"

c.Execute.timeout = 120  # seconds for one cell; the longest takes about 15
c.Execute.iopub_timeout = 60  # seconds in which the output of a stopped cell may still arrive
c.LimitOutput.max_lines = 200
c.LimitOutput.max_traceback = 50


class PutBackCells(pp.OverwriteCells):
    """nbgrader's own, which gives up a whole sheet if a test and what is before it are deleted."""

    def add_missing_grade_cells(self, nb, resources):
        """Put test cells back up to one whose solution is gone as well: those give 0 points."""
        try:
            return super().add_missing_grade_cells(nb, resources)
        except KeyError:
            self.log.warning("A solution was deleted with its test: tests from there on stay out.")
            return nb, resources


c.OverwriteCells.add_missing_cells = True  # a deleted test cell comes back, and is run
c.Autograde.sanitize_preprocessors = [
    *(pp.ClearOutput, pp.DeduplicateIds, pp.OverwriteKernelspec, PutBackCells),
    pp.CheckCellMetadata,
]

# A body that is `...` runs: it returns None, and the check says so.
c.ClearSolutions.code_stub = {"python": "..."}

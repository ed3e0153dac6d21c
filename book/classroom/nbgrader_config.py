"""How nbgrader treats this course; every option: `nbgrader generate_config`."""

import os
import sys
from pathlib import Path

from nbconvert.preprocessors import ClearMetadataPreprocessor
from nbgrader import preprocessors as pp

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import confined  # noqa: E402  (it lies beside this file)

c = get_config()  # noqa: F821  (nbgrader defines it)

c.CourseDirectory.root = str(HERE)
c.CourseDirectory.course_id = "regularization"

# nbgrader calls alembic by its bare name, also where this environment is not activated.
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])

# Submissions run confined, or not at all unless that is wanted.
if "autograde" in sys.argv and not confined.trusted() and confined.refusal():
    sys.exit(confined.refusal())
c.Autograde.autograde_preprocessors = [
    *(confined.Execute, pp.IgnorePattern, ClearMetadataPreprocessor, pp.LimitOutput),
    *(pp.SaveAutoGrades, pp.AssignLatePenalties, pp.CheckCellMetadata),
]
c.Execute.kernel_name = "python3"
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

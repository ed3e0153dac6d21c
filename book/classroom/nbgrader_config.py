"""How nbgrader treats this course; every option: `nbgrader generate_config`."""

import os
import sys
from pathlib import Path

from nbconvert.preprocessors import ClearMetadataPreprocessor
from nbgrader import preprocessors as pp
from nbgrader.apps import api, autogradeapp

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import confined  # noqa: E402  (these lie beside this file)

# Submissions run confined, or not at all unless that is wanted.
if "autograde" in sys.argv and not confined.trusted() and confined.refusal():
    sys.exit(confined.refusal())

import grading  # noqa: E402
import verdict  # noqa: E402

c = get_config()  # noqa: F821  (nbgrader defines it)

c.CourseDirectory.root = str(HERE)
c.CourseDirectory.course_id = "regularization"

# nbgrader calls alembic by its bare name, also where this environment is not activated.
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])

c.Autograde.autograde_preprocessors = [
    *(verdict.Execute, pp.IgnorePattern, ClearMetadataPreprocessor, pp.LimitOutput),
    *(pp.SaveAutoGrades, pp.AssignLatePenalties, pp.CheckCellMetadata),
]
c.Execute.kernel_name = "python3"
c.Execute.timeout = 120  # seconds for one cell; the longest takes about 15
c.Execute.iopub_timeout = 20  # seconds in which the output of a stopped cell may still arrive
c.LimitOutput.max_lines = 200
c.LimitOutput.max_traceback = 50
c.Execute.skip_cells_with_tag = ""  # no tag of a cell decides whether it runs

# nbgrader has no option for the class that grades.
autogradeapp.Autograde = api.Autograde = grading.Autograde
c.Autograde.sanitize_preprocessors = [
    *(pp.ClearOutput, pp.OverwriteKernelspec, pp.OverwriteCells, pp.CheckCellMetadata),
]
c.ExportApp.plugin_class = grading.Export
c.GenerateFeedback.exporter_class = grading.FeedbackPage

# A body that is `...` runs: it returns None, and the check says so.
c.ClearSolutions.code_stub = {"python": "..."}

"""The exercises without their solutions, as a learner downloads them."""

from copy import deepcopy

from nbformat import NotebookNode
from nbgrader.preprocessors import ClearHiddenTests, ClearOutput, ClearSolutions

STUB = "..."  # a body that runs and returns None; every check refuses it with a hint


def student_version(notebook: NotebookNode) -> NotebookNode:
    """Return a copy of a notebook without solutions, hidden tests and outputs.

    Parameters
    ----------
    notebook : nbformat.NotebookNode
        A solved page; one without exercises comes back with its outputs cleared.

    Raises
    ------
    RuntimeError
        If a region is not closed, or stands in a cell without nbgrader's metadata for it.
    """
    notebook = deepcopy(notebook)
    for clear in (ClearSolutions(code_stub={"python": STUB}), ClearHiddenTests(), ClearOutput()):
        notebook, _ = clear.preprocess(notebook, {})
    return notebook

"""The exercises without their solutions, as a learner downloads them.

What nbgrader's ClearSolutions, ClearHiddenTests and ClearOutput do, so that readers need no
nbgrader; a test holds the two equal.
"""

import re
from copy import deepcopy

from nbformat import NotebookNode

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
    for cell in notebook.cells:
        solved = _replace_region(cell, "SOLUTION", "solution", STUB)
        if cell.metadata.get("nbgrader", {}).get("solution") and not solved:
            cell.source = STUB  # the whole cell is the solution
        _replace_region(cell, "HIDDEN TESTS", "grade", None)
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return notebook


def _replace_region(cell: NotebookNode, region: str, role: str, stub: str | None) -> bool:
    """Put the stub, indented like the region, in its place; say whether there was one."""
    lines, inside, found = [], False, False
    for line in cell.source.split("\n"):
        if f"### BEGIN {region}" in line:
            if inside:
                raise RuntimeError(f"A second '### BEGIN {region}' before the first one's end.")
            inside = found = True
            if stub is not None:
                lines.append(re.match(r"\s*", line)[0] + stub)
        elif f"### END {region}" in line:
            inside = False
        elif not inside:
            lines.append(line)
    if inside:
        raise RuntimeError(f"There is no '### END {region}' in the cell:\n{cell.source}")
    if found and not cell.metadata.get("nbgrader", {}).get(role):
        raise RuntimeError(f"'### BEGIN {region}' in a cell whose nbgrader metadata lacks {role}.")
    cell.source = "\n".join(lines)
    return found

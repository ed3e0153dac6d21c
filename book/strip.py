"""Take out of the notebooks what a commit should not hold: `python -m book.strip`.

Outputs go, but for those of cells tagged `nbval-check-output`, which tests compare; so do execution
counts, widget states and whatever an editor noted about its author's machine.
"""

import json

from book.pages import NOTEBOOKS

CHECKED = "nbval-check-output"


def strip(notebook: dict) -> dict:
    """Return the notebook as it is committed."""
    cells = []
    for cell in notebook["cells"]:
        kept = {
            key: cell["metadata"][key]
            for key in ("mystnb", "nbgrader", "tags", "translates")
            if key in cell["metadata"]
        }
        cell = {**cell, "metadata": kept}
        if cell["cell_type"] == "code":
            checked = CHECKED in kept.get("tags", [])
            # nbval takes outputs without a count for a mistake.
            cell["execution_count"] = 1 if checked else None
            cell["outputs"] = cell["outputs"] if checked else []
        cells.append(cell)
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    return {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


if __name__ == "__main__":
    for path in NOTEBOOKS:
        stripped = strip(json.loads(path.read_text(encoding="utf-8")))
        text = json.dumps(stripped, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
        path.write_text(text, encoding="utf-8")

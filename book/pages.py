"""The pages of the book, as tests and benchmarks read and run them."""

import json
from pathlib import Path

BOOK = Path(__file__).parent / "en"
NOTEBOOKS = sorted(p for p in BOOK.rglob("*.ipynb") if ".ipynb_checkpoints" not in p.parts)


def cells(page: str | Path, kind: str | None = None) -> list[dict]:
    """Return the cells of a page such as "weight_decay/mlp", their sources as one string each."""
    path = page if isinstance(page, Path) else BOOK / f"{page}.ipynb"
    return [
        {**cell, "source": "".join(cell["source"]), "tags": cell["metadata"].get("tags", [])}
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]
        if kind in (None, cell["cell_type"])
    ]


def prose(page: str | Path) -> str:
    """Return all that a page says outside its code."""
    return "\n\n".join(cell["source"] for cell in cells(page, "markdown"))


def run_cells(page: str, *ids: str, replace: tuple[str, str] = ("", "")) -> dict:
    """Execute the named code cells of a page, in order, and return what they define.

    `replace` is (old, new): old must stand in one of the cells and becomes new.
    """
    sources = {cell["id"]: cell["source"] for cell in cells(page, "code")}
    text = "\n\n".join(sources[i] for i in ids)
    old, new = replace
    if old not in text:
        raise ValueError(f"{old!r} stands in none of the cells {', '.join(ids)} of {page}")
    defined = {}
    exec(text.replace(old, new) if old else text, defined)
    return defined

"""The editions of the book, their pages, and the cells of a page."""

import json
from pathlib import Path

import yaml

EDITIONS = yaml.safe_load(Path(__file__).with_name("editions.yml").read_text(encoding="utf-8"))
FIRST, *TRANSLATIONS = EDITIONS


def folder(edition: str) -> Path:
    """Return the folder of an edition's pages."""
    return Path(__file__).parent / edition


def pages(edition: str = FIRST) -> list[Path]:
    """Return the pages of an edition, notebooks and plain Markdown; Jupyter's own copies are none.

    A page's name is its path in there without the suffix, such as "weight_decay/mlp".
    """
    return sorted(
        path
        for path in folder(edition).rglob("*")
        if path.suffix in (".ipynb", ".md") and ".ipynb_checkpoints" not in path.parts
    )


def notebooks(edition: str = FIRST) -> list[Path]:
    """Return the pages of an edition that hold code."""
    return [path for path in pages(edition) if path.suffix == ".ipynb"]


def name(path: Path, edition: str = FIRST) -> str:
    """Return the name of a page, such as "weight_decay/mlp"."""
    return path.relative_to(folder(edition)).with_suffix("").as_posix()


BOOK = folder(FIRST)
NOTEBOOKS = notebooks()


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

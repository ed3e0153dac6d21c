"""Keep translated editions in step: `python -m book.translation`, or with `zh` for that one.

A translated page has the cells of its English page, in the same order, with the same ids. Its code
cells are copied from there with all their metadata, by which the build knows that they ran already.
Each of its Markdown cells notes, as `translates` in its metadata, the hash of the English text that
it translates, so that a later change of that text shows. The text alternatives of figures stand in
the metadata of the notebook: `alternatives` leads from the English to the translated. Pages that
are no notebooks note their hash in a comment on their last line.

The command copies what is to be the same, and lists what is to be translated (again). After
translating cells, `python -m book.translation zh --done PAGE [ID …]` notes that.
"""

import argparse
import copy
import hashlib
import json
import re
from pathlib import Path

from book.pages import BOOK, TRANSLATIONS, folder, name, pages

NOTE = re.compile(r"\n<!-- translates (\w+) -->\n$")


def version(text: str) -> str:
    """Return a short hash of an English text."""
    return hashlib.sha256(text.strip().encode()).hexdigest()[:12]


def follow(english: dict, translated: dict | None) -> dict:
    """Return the translated notebook with the cells, the code and the tags of the English one.

    Markdown cells keep their translation; a new one starts with the English text. The text
    alternatives of figures are kept as long as there is an English one of theirs.
    """
    translated = translated or {"cells": [], "metadata": {}}
    old = {cell["id"]: cell for cell in translated["cells"]}
    followed = copy.deepcopy(english)
    known = translated["metadata"].get("alternatives", {})
    kept = {text: known[text] for text in alternatives(english) if text in known}
    if kept:
        followed["metadata"]["alternatives"] = kept
    for cell in followed["cells"]:
        before = old.get(cell["id"], {"metadata": {}})
        if cell["cell_type"] == "markdown":
            cell["source"] = before.get("source", cell["source"])
            if "translates" in before["metadata"]:
                cell["metadata"]["translates"] = before["metadata"]["translates"]
    return followed


def alternatives(notebook: dict) -> list[str]:
    """Return the text alternatives of the figures of an English page."""
    found = (cell["metadata"].get("mystnb", {}).get("image", {}) for cell in notebook["cells"])
    return [image["alt"] for image in found if "alt" in image]


def stale(english: dict, translated: dict) -> list[str]:
    """Return what is to be translated: ids of Markdown cells, and alternatives of figures."""
    now = {cell["id"]: cell for cell in translated["cells"]}
    known = translated["metadata"].get("alternatives", {})
    missing = [
        f"metadata.alternatives lacks {text!r}"
        for text in alternatives(english)
        if text not in known
    ]
    return missing + [
        cell["id"]
        for cell in english["cells"]
        if cell["cell_type"] == "markdown"
        and now[cell["id"]]["metadata"].get("translates") != version("".join(cell["source"]))
    ]


def done(english: dict, translated: dict, ids: list[str]) -> None:
    """Note in the translated notebook that these cells (all, if none is named) are up to date."""
    text = {cell["id"]: "".join(cell["source"]) for cell in english["cells"]}
    for cell in translated["cells"]:
        if cell["cell_type"] == "markdown" and (not ids or cell["id"] in ids):
            cell["metadata"]["translates"] = version(text[cell["id"]])


def noted(page: str) -> str | None:
    """Return the version that a translated page of plain Markdown notes, if any."""
    match = NOTE.search(page)
    return match and match[1]


def read(path: Path) -> dict | None:
    """Return the notebook in the file, or None if there is none."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def write(path: Path, notebook: dict) -> None:
    """Write the notebook to the file, in the form in which notebooks are committed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
    path.write_text(text, encoding="utf-8")


def follow_pages(edition: str, page: str | None, ids: list[str]) -> list[str]:
    """Bring an edition up to date, note what is done, and return what is to be translated."""
    waiting = []
    for source in pages():
        target = folder(edition) / source.relative_to(BOOK)
        this = name(source)
        if source.suffix == ".ipynb":
            english = read(source)
            translated = follow(english, read(target))
            if this == page:
                done(english, translated, ids)
            write(target, translated)
            waiting += [f"{edition}/{this}: {what}" for what in stale(english, translated)]
        else:
            text = source.read_text(encoding="utf-8")
            old = target.read_text(encoding="utf-8") if target.exists() else text
            if this == page:
                old = NOTE.sub("", old).rstrip("\n") + f"\n\n<!-- translates {version(text)} -->\n"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(old, encoding="utf-8")
            waiting += [] if noted(old) == version(text) else [f"{edition}/{this}: the page"]
    return waiting


def main() -> None:
    """Follow the English edition in one other or in all, and print what waits for a translator."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("edition", nargs="?", choices=TRANSLATIONS, help="all of them by default")
    parser.add_argument("--done", nargs="+", metavar=("PAGE", "ID"), default=[])
    arguments = parser.parse_args()
    page, ids = next(iter(arguments.done), None), arguments.done[1:]
    if page:
        path = BOOK / f"{page}.ipynb"
        known = [cell["id"] for cell in read(path)["cells"]] if path.exists() else []
        if not path.exists() and not path.with_suffix(".md").exists():
            parser.error(f"there is no page {page!r}: give one such as weight_decay/mlp")
        if unknown := set(ids) - set(known):
            parser.error(f"{page} has no cell {', '.join(sorted(unknown))}")
    editions = [arguments.edition] if arguments.edition else TRANSLATIONS
    for edition in editions:
        for what in follow_pages(edition, page, ids):
            print(what)


if __name__ == "__main__":
    main()

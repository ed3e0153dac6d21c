"""Translated pages follow the English ones: same cells, same code, nothing left behind."""

import copy

import pytest

from book import translation
from tests.pages import BOOK

TRANSLATED = sorted((BOOK.parent / "zh").rglob("*.ipynb"))
PLAIN = sorted((BOOK.parent / "zh").rglob("*.md"))


def english(path):
    return BOOK / path.relative_to(BOOK.parent / "zh")


def name(path):
    return path.relative_to(BOOK.parent).as_posix()


@pytest.mark.parametrize("path", TRANSLATED, ids=name)
def test_a_notebook_has_the_cells_and_the_code_of_the_english_one(path):
    translated = translation.read(path)
    assert translated == translation.follow(translation.read(english(path)), translated)


@pytest.mark.parametrize("path", TRANSLATED, ids=name)
def test_no_text_is_older_than_the_english_one(path):
    waiting = translation.stale(translation.read(english(path)), translation.read(path))
    assert not waiting, f"translate anew: {', '.join(waiting)}"


@pytest.mark.parametrize("path", PLAIN, ids=name)
def test_no_plain_page_is_older_than_the_english_one(path):
    now = translation.version(english(path).read_text(encoding="utf-8"))
    assert translation.noted(path.read_text(encoding="utf-8")) == now, "translate anew"


def test_a_changed_english_text_and_a_changed_code_cell_show():
    source = translation.read(english(TRANSLATED[0]))
    translated = translation.read(TRANSLATED[0])
    changed = copy.deepcopy(source)
    text = next(cell for cell in changed["cells"] if cell["cell_type"] == "markdown")
    text["source"] = [*text["source"], "\nMore."]
    code = next(cell for cell in changed["cells"] if cell["cell_type"] == "code")
    code["source"] = ["1 + 1"]
    assert translation.stale(changed, translated) == [text["id"]]
    assert translation.follow(changed, translated) != translated
    translation.done(changed, translated, [text["id"]])
    assert translation.stale(changed, translated) == []

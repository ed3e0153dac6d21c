"""Translated pages follow the English ones: same cells, same code, nothing left behind."""

import copy
import re
from collections import Counter

import pytest
from markdown_it import MarkdownIt

from book import translation
from book.pages import BOOK, folder, pages

EDITION = folder("zh")
ENGLISH = pages()
TWINS = [EDITION / path.relative_to(BOOK) for path in ENGLISH]
TRANSLATED = [path for path in TWINS if path.suffix == ".ipynb"]
PLAIN = [path for path in TWINS if path.suffix == ".md"]
CODE = re.compile(r"```.*?```|`[^`]+`", re.DOTALL)
FORMULA = re.compile(r"\$\$.+?\$\$|\$[^$]+\$", re.DOTALL)
WORDS = re.compile(r"(?<=\\text)\{[^}]*\}")  # words in a formula
COMMENT = re.compile(r"\s# .*$", re.MULTILINE)  # in a block of code
LINK = re.compile(r"\]\(([^)#\s]+)")
HEADING = re.compile(r"^#+ ", re.MULTILINE)
# The glossary: | 过拟合 | overfitting |
TERM = re.compile(r"^\| ([^|（]+)(?:（\w+）)? \| ([A-Za-z][^|]*?) \|$", re.MULTILINE)
# Words of the glossary that everyday English uses for other things too.
EVERYDAY = {"activation", "bias", "check", "curve", "kernel", "memorize", "network", "panel"}
EVERYDAY |= {"penalty", "solution", "dropout", "run", "setting", "above", "below", "gap"}


def english(path):
    return BOOK / path.relative_to(EDITION)


def name(path):
    return path.relative_to(BOOK.parent).as_posix()


def texts(path):
    """Return each text of an English page and its translation, by the id of its cell."""
    twin = EDITION / path.relative_to(BOOK)
    if path.suffix == ".md":
        return {"page": (path.read_text(encoding="utf-8"), twin.read_text(encoding="utf-8"))}
    pair = translation.read(path)["cells"], translation.read(twin)["cells"]
    return {
        cell["id"]: ("".join(cell["source"]), "".join(other["source"]))
        for cell, other in zip(*pair, strict=True)
        if cell["cell_type"] == "markdown"
    }


every_page = pytest.mark.parametrize(
    "path", ENGLISH, ids=lambda path: path.relative_to(BOOK).as_posix()
)


def test_every_page_is_translated_and_no_other():
    assert sorted(TWINS) == pages("zh")


@every_page
def test_nothing_is_left_out(path):
    """Code, formulas, links and headings are all there, in a text of comparable length."""
    for cell, (english_text, text) in texts(path).items():
        for what in (CODE, FORMULA, LINK, HEADING):
            before, after = (WORDS.sub("{}", t) for t in (english_text, text))
            if what is CODE:
                before, after = (
                    re.sub(r"```.*?```", lambda m: COMMENT.sub("", m[0]), t, flags=re.S)
                    for t in (before, after)
                )
            if what is not CODE:
                before, after = CODE.sub("", before), CODE.sub("", after)
            before, after = (
                Counter(re.sub(r"\s+", "", found) for found in what.findall(t))
                for t in (before, after)
            )
            assert not before - after, (cell, before - after)
        assert 0.22 < len(text) / len(english_text) < 1.1, cell
        said, says = (FORMULA.sub("", CODE.sub("", t)) for t in (english_text, text))
        assert len(re.findall("[\u4e00-\u9fff]", says)) > 0.12 * len(said) - 12, cell


def shares(text: str) -> Counter:
    """Return what a text says as "61 %", "0.61" or "2.5 points", whatever the language."""
    text = re.sub(r"\]\([^)]*\)|arXiv \d+\.\d+", " ", FORMULA.sub(" ", CODE.sub(" ", text)))
    said = re.findall(r"(\d[\d.]*) ?(%|points?\b|个百分点)|(\d*\.\d+)", text)
    return Counter((share or decimal).rstrip(".") for share, _, decimal in said)


@every_page
def test_numbers_are_those_of_the_english_page(path):
    for cell, (english_text, text) in texts(path).items():
        assert shares(english_text) == shares(text), cell


@every_page
def test_what_is_bold_shows_as_bold(path):
    """Markdown takes `**…。**文` for asterisks: the stop belongs behind the bold words."""
    for cell, (_, text) in texts(path).items():
        shown = MarkdownIt().render(FORMULA.sub("", text))
        assert "**" not in re.sub(r"<(code|pre)\b.*?</\1>", "", shown, flags=re.S), cell


@every_page
def test_terms_are_those_of_the_glossary(path):
    if path.stem in ("notation", "references"):
        pytest.skip("it tells of other terms as well")
    glossary = TERM.findall((EDITION / "appendix" / "notation.md").read_text(encoding="utf-8"))
    assert len(glossary) > 60
    for cell, (english_text, text) in texts(path).items():
        said = " ".join(re.sub(r"\]\([^)]*\)", " ", CODE.sub(" ", english_text)).split()).lower()
        text = CODE.sub("", text).replace("\n", "")
        for term, terms in glossary:
            for word in set(terms.split(", ")) - EVERYDAY:
                if re.search(rf"\b{re.escape(word)}s?\b", said):
                    assert term in text, f"{cell}: {word} is {term}"
        for word in ("权值衰减", "过度拟合", "泛化间隙", "丢弃率", "正规化", "时期", "神经元丢弃"):
            assert word not in text, cell
        assert text.count("丢弃法") <= 1, cell


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


def test_a_text_alternative_that_is_missing_shows_and_goes_with_its_figure():
    page = next(path for path in TRANSLATED if translation.alternatives(translation.read(path)))
    source, translated = translation.read(english(page)), translation.read(page)
    first = translation.alternatives(source)[0]
    del translated["metadata"]["alternatives"][first]
    assert any(first in what for what in translation.stale(source, translated))
    translated["metadata"]["alternatives"]["No figure has this one."] = "无"
    kept = translation.follow(source, translated)["metadata"].get("alternatives", {})
    assert "No figure has this one." not in kept


def test_an_unknown_page_or_cell_is_refused(monkeypatch, capsys):
    for arguments, words in (
        (["weight_decay/mpl"], "no page 'weight_decay/mpl'"),
        (["weight_decay/mlp", "nothing"], "has no cell nothing"),
    ):
        monkeypatch.setattr("sys.argv", ["translation.py", "zh", "--done", *arguments])
        with pytest.raises(SystemExit):
            translation.main()
        assert words in capsys.readouterr().err

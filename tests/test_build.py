"""What the build makes of a page, without building the book."""

import re

import pytest
import yaml
from bs4 import BeautifulSoup

from book import build, mathml, theme

WORDS = theme.WORDS["en"]


def tidied(html, images=None):
    soup = BeautifulSoup(html, "html.parser")
    theme.tidy(soup, images or {}, WORDS)
    return soup


def formula(latex, display=False):
    return mathml.convert(None, latex, display)


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A site of two pages below a root of its own; returns a function that writes its root."""
    monkeypatch.setattr(build, "ROOT", tmp_path)
    monkeypatch.setattr(build, "BUILD", tmp_path / "_build")
    monkeypatch.setattr(build, "SITE", tmp_path / "_build" / "site")
    (tmp_path / "book" / "root").mkdir(parents=True)
    (tmp_path / "book" / "root" / "404.html").write_text("missing")
    for page in ("en/index.html", "en/search.html", "en/dropout/a&b.html"):
        path = build.SITE / page
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()

    def write(baseurl):
        (tmp_path / "_config.yml").write_text(
            yaml.safe_dump(
                {"html": {"baseurl": baseurl}, "execute": {}, "sphinx": {"local_extensions": {}}}
            )
        )
        (tmp_path / "_toc.yml").write_text("root: book/en/index\n")
        build.write_root()
        return build.SITE

    return write


def test_a_base_address_gives_a_sitemap_of_every_page_but_the_search(site):
    written = site("https://example.org/course/")
    addresses = re.findall("<loc>(.*?)</loc>", (written / "sitemap.xml").read_text())
    assert addresses == [
        "https://example.org/course/en/dropout/a&amp;b.html",
        "https://example.org/course/en/index.html",
    ]
    assert "https://example.org/course/sitemap.xml" in (written / "robots.txt").read_text()


def test_without_a_base_address_an_old_sitemap_goes(site):
    site("https://example.org/")
    written = site("")
    assert not (written / "sitemap.xml").exists() and not (written / "robots.txt").exists()
    assert (written / "404.html").read_text() == "missing"


def test_each_edition_has_its_own_canonical_address(site):
    site("https://example.org/course")
    toc, config = build.derive("en")
    assert yaml.safe_load(config.read_text())["html"]["baseurl"] == "https://example.org/course/en/"
    assert yaml.safe_load(toc.read_text()) == {"root": "index"}


def test_a_collapsed_cell_is_named_by_its_visible_words():
    soup = tidied('<details><summary aria-label="Toggle"><p class="collapsed">Show</p></summary>')
    assert not soup.summary.has_attr("aria-label")
    assert soup.summary.span.text == "Show" and not soup.summary.p


def test_tables_get_a_box_that_can_scroll():
    box = tidied('<table border="1"><tr><td>1</td></tr></table>').select_one("div.table")
    assert box["aria-label"] == "Table" and box.table and not box.table.has_attr("border")


def test_images_keep_their_place_while_they_load(tmp_path):
    from PIL import Image

    Image.new("RGB", (30, 20)).save(tmp_path / "a.png")
    images = {"a.png": tmp_path / "a.png"}
    first, second = tidied('<img src="../a.png"><img src="../a.png">', images).select("img")
    assert (first["width"], first["height"]) == ("30", "20")
    assert not first.has_attr("loading") and second["loading"] == "lazy"


def test_a_description_is_made_of_whole_sentences():
    page = "<section><p>{}</p></section>"
    for text, shown in {
        "Short.": "Short.",
        "One sentence of the usual length, which says what the page is about, and why. " * 3: (
            "One sentence of the usual length, which says what the page is about, and why. "
            "One sentence of the usual length, which says what the page is about, and why."
        ),
    }.items():
        soup = BeautifulSoup(page.format(text), "html.parser")
        assert theme.describe(soup) == shown
    endless = BeautifulSoup(page.format("word " * 80), "html.parser")
    assert theme.describe(endless).endswith("word …") and len(theme.describe(endless)) <= 160


def test_mathematics_is_plain_mathml():
    assert formula(r"\frac{1}{1-p}", display=True).startswith('<math display="block">')
    assert "style" in formula(r"\tfrac12") and "displaystyle" not in formula(r"\tfrac12")
    assert formula("h'").count("msup") == 0, "a prime stands beside its letter, in full size"
    assert "<msub>" in formula("h'_i")


def test_mathematics_that_cannot_be_read_is_a_warning_and_shown_as_code(caplog, monkeypatch):
    warned = []
    monkeypatch.setattr(mathml.logger, "warning", lambda *words, location: warned.append(words))
    assert formula(r"\frac{a < b") == r"<code>\frac{a &lt; b</code>"
    assert len(warned) == 1

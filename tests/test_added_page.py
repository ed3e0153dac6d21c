"""A page that a teacher adds: what it may use works, and what does not is named with its page."""

import base64
import subprocess
from pathlib import Path

import nbformat
import pytest
import yaml
from bs4 import BeautifulSoup
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from book.build import JUPYTER_BOOK

ROOT = Path(__file__).parent.parent
ADDED = Path(__file__).with_name("added_page.md")
DOT = base64.b64decode(ADDED.read_text(encoding="utf-8").partition(";base64,")[2].partition(")")[0])
REFERENCES = "@article{author2014, author={First Author}, title={On it}, journal={J}, year={2014}}"
# Outputs that show an image: IPython's Image(url=…), a Styler, a formula of SymPy.
OUTPUTS = [
    {"text/html": '<img src="https://example.org/plot.png">'},
    {"text/html": '<table><tr><td><img src="data:image/svg+xml,%3Csvg/%3E"></td></tr></table>'},
    {"text/latex": r"$\displaystyle \frac{x}{2}$"},
]


@pytest.fixture(scope="module")
def build_book(tmp_path_factory):
    """Return a function that builds a book of these pages as this one is built."""

    def build(pages, language="en"):
        book = tmp_path_factory.mktemp("book")
        config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
        folders = config["sphinx"]["local_extensions"]
        config["sphinx"]["local_extensions"] = dict.fromkeys(folders, str(ROOT / "book"))
        config["sphinx"]["config"]["language"] = language
        config["execute"]["execute_notebooks"] = "off"
        config["bibtex_bibfiles"] = ["references.bib"]
        (book / "_config.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
        toc = {"format": "jb-book", "root": "index", "chapters": [{"file": p} for p in pages]}
        (book / "_toc.yml").write_text(yaml.safe_dump(toc), encoding="utf-8")
        (book / "index.md").write_text("# Home\n", encoding="utf-8")
        (book / "references.bib").write_text(REFERENCES, encoding="utf-8")
        (book / "dot.png").write_bytes(DOT)
        for name, page in pages.items():
            if isinstance(page, str):
                (book / f"{name}.md").write_text(page, encoding="utf-8")
            else:
                nbformat.write(page, book / f"{name}.ipynb")
        command = [*JUPYTER_BOOK, "build", book, "-W", "-n", "--keep-going"]
        done = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace")
        return done, book / "_build" / "html"

    return build


def notebook():
    outputs = [new_output("display_data", data=data) for data in OUTPUTS]
    cell = new_code_cell("1", outputs=outputs)
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3"},
              "language_info": {"name": "python", "pygments_lexer": "ipython3"}}  # fmt: skip
    return new_notebook(cells=[new_markdown_cell("# Outputs"), cell], metadata=kernel)


@pytest.fixture(scope="module")
def page(build_book):
    pages = {"added": ADDED.read_text(encoding="utf-8"), "outputs": notebook()}
    done, html = build_book(pages)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return {p: BeautifulSoup((html / f"{p}.html").read_text(encoding="utf-8"), "html.parser")
            for p in (*pages, "index")}  # fmt: skip


def test_a_labelled_formula_shows_the_number_that_its_reference_says(page):
    for label, number in (("decay", "(1)"), ("lines", "(2)")):
        link = page["added"].find("a", href=f"#equation-{label}", class_="internal")
        target = page["added"].find(id=f"equation-{label}")
        assert link.get_text() == number == target.select_one(".eqno").find(string=True)
    environment = page["added"].select(".equation")[2]
    assert environment.select_one(".eqno").get_text() == "(3)" and not environment.has_attr("id")


def test_lines_of_a_formula_stand_below_each_other_and_have_no_numbers_of_their_own(page):
    _, lines, environment, split = page["added"].select("div.math")
    assert [
        len(math.select("math > semantics > mtable > mtr")) for math in (lines, environment)
    ] == [2, 2]
    assert not page["added"].select("mtext")
    assert split.select("mtable mtable mtr")[1].get_text() == "=c"
    written = environment.select_one("annotation").get_text()
    assert written.startswith("\\begin{align}\n"), "the TeX is that of the page"


def test_images_stay_as_they_are_and_those_of_the_book_keep_their_room(page):
    images = {image["alt"]: image for image in page["added"].select("article img")}
    assert images["from the web"]["src"] == "https://example.org/logo.png"
    assert "60%" in images["from the web, of a width"]["style"]
    for alt in ("with the book", "in the page"):
        assert (images[alt]["width"], images[alt]["height"]) == ("30", "20"), alt
    assert "300px" in images["of a width"]["style"]
    assert "width: 120px" in images["of a directive"]["style"]
    assert {"align-center"} <= set(images["of a directive"]["class"])
    figure = page["added"].select_one("figure#dot")
    assert figure.select_one(".caption-number").get_text().strip() == "Fig. 1"
    assert page["added"].find("a", href="#dot", class_="internal").get_text() == "Fig. 1"
    assert [i["src"][:8] for i in page["outputs"].select("article img")] == ["https://", "data:ima"]
    assert page["outputs"].select_one(".cell_output mfrac")


def test_boxes_fold_without_a_script_and_tabs_bring_their_style_to_their_page_alone(page):
    folded = page["added"].select_one("details.admonition")
    assert folded.summary.get_text() == "My own title" and folded.select_one("pre")
    assert len(page["added"].select(".admonition")) == 3
    assert len(page["added"].select("aside.margin")) == 2
    assert len(page["added"].select(".sd-tab-set > label")) == 2
    styles = {name: len(p.select("link[rel=stylesheet]")) for name, p in page.items()}
    assert styles == {"added": 2, "outputs": 1, "index": 1}


def test_references_lead_somewhere(page):
    ids = {tag["id"] for tag in page["added"].select("[id]")}
    links = [a["href"][1:] for a in page["added"].select('article a[href^="#"]')]
    assert len(links) > 15 and set(links) <= ids
    assert "First Author" in page["added"].select_one(".citation").get_text() or "Author" in str(
        page
    )


def test_a_title_with_a_formula_is_read_once(page):
    title = page["added"].title.get_text()
    assert title.startswith("A page that uses everything, also λ ·")
    assert "\\" not in page["added"].find("meta", attrs={"name": "description"})["content"]


REFUSED = {
    "directive": ("```{prf:theorem}\nText.\n```", "prf:theorem"),
    "role": ("{nonsense}`x`", "nonsense"),
    "lost": ('<div>\n<p>\n<img src="dot.png" alt="x"></p>\n</div>', "stands inside other HTML"),
    "missing": ("![x](nowhere.png)", "nowhere.png"),
    "space": ("![x](my dot.png)", "does not read ![x](my dot.png)"),
    "drawing": ("![x](data:image/svg+xml,%3Csvg/%3E)", "does not read ![x](data:image/svg+xml"),
    "formula": (r"$\nonsense$", "nonsense"),
    "equation": ("{eq}`nothing`", "nothing"),
    "citation": ("{cite}`nobody2000`", "nobody2000"),
    "link": ("[x](nowhere.md)", "nowhere.md"),
}


def test_what_does_not_work_is_refused_in_a_sentence_that_names_the_page(build_book):
    done, _ = build_book({name: f"# Page\n\n{text}\n" for name, (text, _) in REFUSED.items()})
    assert done.returncode
    warnings = [line for line in (done.stdout + done.stderr).splitlines() if "WARNING" in line]
    for name, (_, words) in REFUSED.items():
        assert any(f"{name}.md" in line and words in line for line in warnings), (name, warnings)


def test_words_that_the_build_adds_are_in_the_language_of_the_edition(build_book):
    done, html = build_book({"added": ADDED.read_text(encoding="utf-8")}, "zh_CN")
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    soup = BeautifulSoup((html / "added.html").read_text(encoding="utf-8"), "html.parser")
    labels = [label.get_text() for label in soup.select(".caption-number, p.admonition-title")]
    assert len(labels) > 3
    assert not [label for label in labels if label.isascii()]

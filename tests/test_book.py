"""Rules of the pages (see CONTRIBUTING.md). Each one keeps a reader from a bad surprise."""

import ast
import json
import re
from pathlib import Path

import pytest
import yaml

from book import pages
from book.pages import BOOK, NOTEBOOKS, cells
from book.strip import CHECKED, strip

ROOT = Path(__file__).parent.parent
PAGES = NOTEBOOKS + sorted(BOOK.rglob("*.md"))
LESSONS = [p for p in NOTEBOOKS if p.stem not in ("index", "exercises", "spot_the_bug")]
# The calls that make a figure: the library's own, and matplotlib's.
DRAWS = re.compile(r"\b(plt\.\w+\(|d2l\.(show_images|plot_\w+)\()")


def name(page: Path) -> str:
    return page.relative_to(BOOK).as_posix()


def prose(page: Path) -> str:
    return pages.prose(page) if page.suffix == ".ipynb" else page.read_text(encoding="utf-8")


def without_code(text: str) -> str:
    """Markdown without code blocks and code spans, where anything may stand."""
    return re.sub(r"`[^`\n]*`", "", re.sub(r"```.*?```", "", text, flags=re.DOTALL))


def graded(cell: dict) -> bool:
    return cell["metadata"].get("nbgrader", {}).get("grade", False)


def solution(cell: dict) -> bool:
    return cell["metadata"].get("nbgrader", {}).get("solution", False)


every_notebook = pytest.mark.parametrize("page", NOTEBOOKS, ids=name)
every_lesson = pytest.mark.parametrize("page", LESSONS, ids=name)
every_page = pytest.mark.parametrize("page", PAGES, ids=name)


def test_every_page_is_in_the_table_of_contents_and_no_other():
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text())
    listed = [toc["root"]] + [c["file"] for part in toc["parts"] for c in part["chapters"]]
    present = [(page.relative_to(ROOT).with_suffix("")).as_posix() for page in PAGES]
    assert sorted(listed) == sorted(present)


@every_notebook
def test_notebooks_are_stripped_but_for_checked_outputs(page):
    notebook = json.loads(page.read_text(encoding="utf-8"))
    assert notebook == strip(notebook), "run `make strip`"
    for cell in cells(page, "code"):
        if CHECKED in cell["tags"]:
            assert cell["outputs"], f"{cell['id']} is checked but stores no output: `make outputs`"
            assert all(output["output_type"] == "stream" for output in cell["outputs"])


@every_notebook
def test_cells_have_short_unique_ids(page):
    ids = [cell["id"] for cell in cells(page)]
    assert len(ids) == len(set(ids))
    for cell_id in ids:
        assert re.fullmatch(r"[a-z][a-z0-9-]{1,40}", cell_id), cell_id


@every_notebook
def test_code_cells_are_short(page):
    shown = [cell for cell in cells(page, "code") if not solution(cell)]
    lengths = [len(cell["source"].splitlines()) for cell in shown]
    assert max(lengths) <= 20
    assert sorted(lengths)[len(lengths) // 2] <= 8


@every_notebook
def test_code_is_in_style_and_uses_the_public_module(page):
    code = "\n".join(cell["source"] for cell in cells(page, "code") if not graded(cell))
    assert "import d2lutils as d2l" in code
    assert not re.search(r"d2l\._|from d2lutils|^\s*[%!]", code, re.MULTILINE)
    ast.parse(code)
    assert all(len(line) <= 84 for line in code.splitlines())


@every_notebook
def test_code_uses_only_names_that_d2lutils_exports(page):
    import d2lutils

    code = "\n".join(cell["source"] for cell in cells(page, "code"))
    assert set(re.findall(r"\bd2l\.(\w+)", code)) <= set(d2lutils.__all__)


@every_notebook
def test_only_plotting_code_is_hidden(page):
    for cell in cells(page, "code"):
        if "hide-input" in cell["tags"] and not solution(cell):
            if page.stem == "index" and "d2l.explore(" in cell["source"]:
                continue  # the front page begins with what it makes, not with how
            assert DRAWS.search(cell["source"]), f"{cell['id']} hides something that is no plot"


@every_notebook
def test_every_figure_has_a_text_alternative(page):
    for cell in cells(page, "code"):
        if DRAWS.search(cell["source"]) and not cell["source"].lstrip().startswith("def "):
            alt = cell["metadata"].get("mystnb", {}).get("image", {}).get("alt", "")
            assert len(alt) >= 40, f"{cell['id']} draws: say what its figure shows"


@every_notebook
def test_pages_are_plain_markdown(page):
    text = without_code(prose(page))
    assert not re.search(r"^:::|\{[a-z-]+\}`|^\(.*\)=$", text, re.MULTILINE)
    assert not re.search(r"^```\{", prose(page), re.MULTILINE)
    assert "![" not in text, "a picture is drawn by a cell, so that it is true and stays"


@every_lesson
def test_lessons_follow_the_template(page):
    text = prose(page)
    assert text.startswith("# ")
    for part in ("**You will learn**", "**You need**", "**Time**", "## Recap", "## Try it"):
        assert part in text, part
    assert text.index("## Recap") < text.index("## Try it")
    assert re.search(r"[Pp]redict", text)


@pytest.mark.parametrize("page", [p for p in NOTEBOOKS if any(map(graded, cells(p)))], ids=name)
def test_every_exercise_has_a_time_a_hint_a_solution_a_check_and_points(page):
    by_id = {cell["id"]: cell for cell in cells(page)}
    tasks = [i.removesuffix("-test") for i, cell in by_id.items() if graded(cell)]
    assert sorted(tasks) == sorted(
        i.removesuffix("-solution") for i, cell in by_id.items() if solution(cell)
    )
    for task in tasks:
        text = by_id[task]["source"]
        assert re.search(r"\d+ minutes", text) and "<summary>Hint</summary>" in text, task
        assert "### BEGIN SOLUTION" in by_id[f"{task}-solution"]["source"], task
        asked = re.search(r'd2l\.check\("([\w.]+)", (\w+)\)', by_id[f"{task}-check"]["source"])
        hidden = by_id[f"{task}-test"]
        assert f'grade("{asked[1]}", {asked[2]})' in hidden["source"], task
        assert hidden["metadata"]["nbgrader"]["points"] > 0 and "remove-cell" in hidden["tags"], (
            task
        )


def test_every_check_is_asked_for_once():
    from d2lutils.checks import load

    text = "\n".join(c["source"] for page in NOTEBOOKS for c in cells(page, "code") if graded(c))
    assert sorted(re.findall(r'grade\("([\w.]+)"', text)) == sorted(load())


@every_page
def test_one_title_and_no_skipped_heading_level(page):
    text = re.sub(r"```.*?```", "", prose(page), flags=re.DOTALL)
    levels = [len(marks) for marks in re.findall(r"^(#+) ", text, re.MULTILINE)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after - before <= 1 for before, after in zip(levels, levels[1:], strict=False))


@every_page
def test_every_column_of_a_table_has_a_name(page):
    twin = pages.folder("zh") / page.relative_to(BOOK)
    for text in map(prose, (page, twin)):
        for head in re.findall(r"^(\|.*\|)\n\|[-:| ]+\|$", text, re.MULTILINE):
            assert all(name.strip() for name in head.strip("|").split("|")), head


@every_page
def test_links_between_pages_lead_somewhere(page):
    for target in re.findall(r"\]\((?!https?://|#)([^)#\s]+)", without_code(prose(page))):
        assert (page.parent / target).is_file(), target


@every_page
def test_prose_keeps_to_the_terms_of_the_glossary(page):
    banned = {
        r"\bdropout rate\b": "dropout probability",
        r"\bgeneralisation\b": "generalization",
        r"\bregularis": "regulariz",
        r"\binitialis": "initializ",
        r"\bdev(elopment)? set\b": "validation set",
        r"\bL2-norm penalty\b": "L2 penalty",
    }
    text = without_code(prose(page))
    for pattern, term in banned.items():
        assert not re.search(pattern, text, re.IGNORECASE), f"{pattern}: the term is {term}"

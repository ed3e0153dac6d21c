"""What the build makes of a page, without building the book."""

import errno
import os
import re
import signal
import subprocess
import sys
import time
from importlib.metadata import metadata
from pathlib import Path
from types import SimpleNamespace

import nbformat
import psutil
import pytest
import yaml
from bs4 import BeautifulSoup
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from packaging.specifiers import SpecifierSet
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace

import install
from book import build, mathml, runs, theme
from book.pages import EDITIONS, FIRST, TRANSLATIONS, folder
from book.theme.search import SearchOfBook
from d2lutils import words

ROOT = Path(__file__).parent.parent
WORDS = theme.WORDS[EDITIONS[FIRST]["language"]]


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
    for name in ("index.html", "404.html"):
        (tmp_path / "book" / "root" / name).write_text(
            "at {{ names[0] }}: {{ titles.values() | join }}"
        )
    for page in ("en/index.html", "en/search.html", "en/dropout/a&b.html"):
        path = build.SITE / page
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()

    def write(baseurl, repository=""):
        config = {
            "title": "Book ",
            "html": {"baseurl": baseurl},
            "repository": {"url": repository},
            "execute": {},
            "sphinx": {"local_extensions": {}, "config": {}},
        }
        (tmp_path / "_config.yml").write_text(yaml.safe_dump(config))
        (tmp_path / "_toc.yml").write_text("root: book/en/index\n")
        build.write_root()
        return build.SITE

    return write


def test_an_edition_with_warnings_fails_again_and_leaves_the_site_as_it_is(
    site, monkeypatch, capsys
):
    site("")
    for edition in EDITIONS:
        for part in (".doctrees", "html/reports"):
            (build.BUILD / edition / "_build" / part).mkdir(parents=True)
    logs = {
        "en": SimpleNamespace(returncode=1, stdout="a warning"),
        "zh": SimpleNamespace(returncode=0, stdout="all is well"),
    }
    monkeypatch.setattr(build, "build", logs.get)
    monkeypatch.setattr(build, "publish", lambda edition, wheel: None)
    assert build.build_site(Path("wheel")) == 1
    assert not (build.BUILD / "en" / "_build" / ".doctrees").exists()
    assert (build.BUILD / "zh" / "_build" / ".doctrees").exists()
    # What the log tells of a notebook that failed is there to be read, and comes last.
    assert (build.BUILD / "en" / "_build" / "html" / "reports").exists()
    assert capsys.readouterr().out.splitlines() == [
        "all is well",
        "a warning",
        "Not built: en. The reason is above; the site keeps what it had.",
    ]
    assert (build.SITE / "en" / "index.html").exists()


def test_a_base_address_gives_a_sitemap_of_every_page_but_the_search(site):
    written = site("https://example.org/course/")
    addresses = re.findall(
        "<loc>(.*?)</loc>", (written / "sitemap.xml").read_text(encoding="utf-8")
    )
    assert addresses == [
        "https://example.org/course/en/dropout/a&amp;b.html",
        "https://example.org/course/en/index.html",
    ]
    assert "https://example.org/course/sitemap.xml" in (written / "robots.txt").read_text(
        encoding="utf-8"
    )


def test_without_a_base_address_an_old_sitemap_goes(site):
    site("https://example.org/")
    written = site("")
    assert not (written / "sitemap.xml").exists() and not (written / "robots.txt").exists()
    assert (written / "404.html").read_text(encoding="utf-8") == "at en: Book 动手学正则化"


def test_each_edition_has_its_own_canonical_address(site):
    site("https://example.org/course")
    toc, config = build.derive("en")
    assert (
        yaml.safe_load(config.read_text(encoding="utf-8"))["html"]["baseurl"]
        == "https://example.org/course/en/"
    )
    assert yaml.safe_load(toc.read_text(encoding="utf-8")) == {"root": "index"}


@pytest.fixture
def links(site, tmp_path):
    """Return a function that builds a notebook and a page without one, and reads their links."""

    def build_pages(repository):
        site("", repository)
        _, config = build.derive("en")
        source, html = tmp_path / "source", tmp_path / "html"
        (source / "dropout").mkdir(parents=True, exist_ok=True)
        (source / "index.md").write_text("# Home\n```{toctree}\ndropout/concise\n```\n")
        notebook = new_notebook(cells=[new_markdown_cell("# Page")])
        nbformat.write(notebook, source / "dropout" / "concise.ipynb")
        settings = {
            **yaml.safe_load(config.read_text(encoding="utf-8"))["sphinx"]["config"],
            "extensions": ["myst_nb", "book.theme"],
            "html_theme": "hands_on",
            "html_sourcelink_suffix": "",
            "nb_execution_mode": "off",
        }
        places = (source, None, html, tmp_path / "doctrees", "html")
        with docutils_namespace():
            Sphinx(*places, settings, status=None, freshenv=True, warningiserror=True).build()
        return [
            {
                link.text: link["href"]
                for link in BeautifulSoup(
                    (html / page).read_text(encoding="utf-8"), "html.parser"
                ).select(".actions a")
            }
            for page in ("dropout/concise.html", "index.html")
        ]

    return build_pages


DOWNLOAD = {WORDS["download"]: "../_sources/dropout/concise.ipynb"}


def test_without_a_repository_no_page_links_to_one_or_to_colab(links):
    assert links("") == [DOWNLOAD, {}]


@pytest.mark.parametrize("end", ["", "/", ".git"])
def test_a_github_repository_gives_its_link_and_notebooks_open_in_colab(links, end):
    address = "https://github.com/someone/a-course" + end
    there = {"Repository": address.rstrip("/")}
    colab = (
        "https://colab.research.google.com/github/someone/a-course/blob/gh-pages/en/_sources/"
        "dropout/concise.ipynb"
    )
    assert links(address) == [{**DOWNLOAD, "Open in Colab": colab, **there}, there]


@pytest.mark.parametrize(
    "elsewhere", ["https://gitlab.com/someone/a-course", "https://example.org/github.com/a/b"]
)
def test_a_repository_elsewhere_gives_its_link_alone(links, elsewhere):
    assert links(elsewhere) == [{**DOWNLOAD, "Repository": elsewhere}, {"Repository": elsewhere}]


def test_a_repository_that_a_browser_cannot_open_is_refused(site):
    site("", "git@github.com:someone/a-course.git")
    with pytest.raises(ValueError, match="git@github.com.*https://github.com/OWNER/NAME"):
        build.derive("en")


@pytest.mark.parametrize("language", theme.WORDS)
def test_every_language_has_every_word_of_the_templates(language):
    templates = (ROOT / "book" / "theme").glob("*.html")
    used = {
        word
        for page in templates
        for word in re.findall(r"words\.(\w+)", page.read_text(encoding="utf-8"))
    }
    assert {"colab", "repository"} <= used <= theme.WORDS[language].keys() == WORDS.keys()


def test_no_word_has_the_name_of_a_method_that_a_template_would_find_first():
    for edition in EDITIONS.values():
        assert not (edition.keys() | edition["theme"].keys() | edition["root"].keys()) & {
            *dir(dict)
        }
    assert "copy" in dir(dict)


def test_github_pages_is_told_to_serve_what_begins_with_an_underscore(site, tmp_path, monkeypatch):
    build.shutil.copytree(ROOT / "book" / "root", tmp_path / "book" / "root", dirs_exist_ok=True)
    assert (site("") / ".nojekyll").exists()


WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.y*ml"))


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_every_action_is_pinned_to_a_commit_with_its_version_beside(workflow):
    text = workflow.read_text(encoding="utf-8")
    jobs = yaml.safe_load(text)["jobs"].values()
    used = [step["uses"] for job in jobs for step in job["steps"] if "uses" in step]
    pinned = re.findall(r"uses: ([\w./-]+@[0-9a-f]{40}) # v\d+\.\d+\.\d+$", text, re.MULTILINE)
    assert used and used == pinned


def test_publishing_pushes_the_built_site_to_the_branch_that_colab_reads():
    workflow = yaml.safe_load(
        (ROOT / ".github" / "workflows" / "publish.yml").read_text(encoding="utf-8")
    )
    (job,) = workflow["jobs"].values()
    commands = [step["run"] for step in job["steps"] if "run" in step]
    assert commands[0] == "make book"
    push = job["steps"][-1]
    assert ROOT / push["working-directory"] == ROOT / "_build" / "site"
    assert re.search(r"git push --force .* gh-pages$", push["run"].strip())
    assert workflow["permissions"] == {"contents": "write"}


def test_images_get_the_data_and_a_python_that_the_course_supports():
    (python,) = (ROOT / "runtime.txt").read_text(encoding="utf-8").split()
    name, _, version = python.partition("-")
    assert name == "python" and version in SpecifierSet(metadata("d2lutils")["Requires-Python"])
    package = re.search("Ubuntu package `(.+?)`", (ROOT / "README.md").read_text(encoding="utf-8"))[
        1
    ]
    lines = (ROOT / "apt.txt").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if not line.startswith("#")] == [package]


def test_a_collapsed_cell_is_named_by_its_visible_words():
    soup = tidied('<details><summary aria-label="Toggle"><p class="collapsed">Show</p></summary>')
    assert not soup.summary.has_attr("aria-label")
    assert soup.summary.span.text == "Show" and not soup.summary.p


def test_tables_get_a_box_that_can_scroll():
    box = tidied('<table border="1"><tr><td>1</td></tr></table>').select_one("div.table")
    assert box["aria-label"] == "Table" and box.table and not box.table.has_attr("border")


def test_a_long_formula_in_a_line_can_scroll_and_a_headings_link_speaks_the_pages_language():
    page = tidied(
        f"<p><math>{'x' * 20}</math> <math>y</math></p><h2>A<a class=headerlink>¶</a></h2>"
    )
    assert [formula.text for formula in page.select(".formula")] == ["x" * 20]
    assert page.a.text == "#" and page.a["title"] == WORDS["link"]


def test_the_search_index_holds_what_readers_type():
    index = SearchOfBook({}).split
    assert index("Weight-Decay 0.5") == ["weight", "decay", "0.5"]
    assert index("权重衰减λ") == ["权重", "重衰", "衰减", "λ", "lambda"]
    assert index("熵") == ["熵"]
    assert {"λ", "lambda", "‖", "w", "2"} <= {*index(r"\frac{\lambda}{2}\lVert w\rVert^2")}
    assert {"print", "a"} <= {*index("print('a\\n') # {")}, "what is no formula"


def test_a_number_keeps_its_unit():
    page = tidied("<p>from 90.2 % by 13 points to 3 pointers</p><pre>90.2 %</pre>")
    assert page.p.text == "from 90.2\u00a0% by 13\u00a0points to 3 pointers"
    assert page.pre.text == "90.2 %"


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


def test_an_output_in_several_languages_keeps_that_of_the_page():
    html = f"<p>{words.Text('one', '一').html()}</p>"
    html += '<p><span lang="de">Ansatz</span> and <span lang="fr">raison</span></p>'
    html += '<details class="hide"><summary><span>Show solution</span></summary></details>'
    for language, shown in (("en", "one"), ("zh_CN", "一")):
        soup = BeautifulSoup(html, "html.parser")
        theme.tidy(soup, {}, theme.WORDS[language])
        texts = [p.get_text() for p in soup.select("p")]
        assert texts == [shown, "Ansatz and raison"]
        assert not soup.select("[hidden]")
        assert (soup.summary.get_text() == "Show solution") == (language == "en")


def test_the_module_speaks_the_languages_of_the_editions():
    assert tuple(EDITIONS) == words.LANGUAGES
    assert all((folder(edition) / "index.ipynb").exists() for edition in EDITIONS)


def test_every_edition_has_every_word():
    for edition in TRANSLATIONS:
        for room in ("theme", "root"):
            assert EDITIONS[edition][room].keys() == EDITIONS[FIRST][room].keys()
        parts = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))["parts"]
        assert EDITIONS[edition]["captions"].keys() == {part["caption"] for part in parts}


def test_a_translated_edition_has_its_own_titles(site):
    site("")
    (build.ROOT / "_toc.yml").write_text(
        "root: book/en/index\nparts:\n- caption: Dropout\n  chapters: [{file: book/en/a}]\n"
    )
    toc, config = (yaml.safe_load(p.read_text(encoding="utf-8")) for p in build.derive("zh"))
    assert toc == {"root": "index", "parts": [{"caption": "暂退法", "chapters": [{"file": "a"}]}]}
    assert config["title"] == "动手学正则化"
    assert config["sphinx"]["config"]["language"] == "zh_CN"


def test_alternates_have_whole_addresses_or_are_left_out():
    for base, expected in (
        ("", ["", ""]),
        (
            "https://example.org/c/zh/",
            ["https://example.org/c/en/a/b.html", "https://example.org/c/zh/a/b.html"],
        ),
    ):
        config = SimpleNamespace(
            language="zh_CN", html_baseurl=base, html_theme_options={"editions": "en zh"}
        )
        found = theme.editions(SimpleNamespace(config=config), "a/b")
        assert [edition["alternate"] for edition in found] == expected
        assert [edition["address"] for edition in found] == [
            "../../en/a/b.html",
            "../../zh/a/b.html",
        ]


# ---------------------------------------------------------------- what runs, and when


PAGES = {
    "lesson": "d2l.sweep()",
    "slides": "d2l.explore(runs)",
    "grades": "from d2lutils.checks.grade import grade",
    "draws": "from d2lutils.explorer import runs",
    "asks": 'd2l.check("dropout.layer", f)\ngrade("dropout.layer", f)',
    "asks-another": "d2l.check('decay.update', f)",
    "asks-anything": 'd2l.check("dropout.layer", f)\nfor name in names:\n    d2l.check(name, f)',
}


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A d2lutils and its exercises below a root of their own; returns the root."""
    monkeypatch.setattr(runs, "ROOT", tmp_path)
    monkeypatch.setattr(runs, "BUILD", tmp_path / "_build")
    monkeypatch.setattr(runs, "CACHE", tmp_path / "_build" / ".jupyter_cache")
    for name in (
        *("d2lutils/data.py", "d2lutils/panel/run.py", "d2lutils/explorer/figure.js"),
        *("d2lutils/sweeps/grid.py", "d2lutils/checks/run.py"),
        *("d2lexercises/dropout.py", "d2lexercises/decay.py", "d2lexercises/__init__.py"),
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("old")
    return tmp_path


@pytest.mark.parametrize(
    "changed, stale",
    [
        ("d2lutils/data.py", {*PAGES}),
        ("d2lutils/sweeps/grid.py", {*PAGES}),
        ("d2lutils/explorer/figure.js", {"slides", "draws"}),
        ("d2lutils/panel/run.py", set()),
        ("d2lutils/checks/run.py", {"grades", "asks", "asks-another", "asks-anything"}),
        ("d2lexercises/__init__.py", {"asks", "asks-another", "asks-anything"}),
        ("d2lexercises/dropout.py", {"asks", "asks-anything"}),
        ("d2lexercises/decay.py", {"asks-another", "asks-anything"}),
    ],
)
def test_a_page_is_stale_when_what_it_sees_of_the_module_changed(module, changed, stale):
    before = runs.seen_code(PAGES)
    (module / changed).write_text("new")
    after = runs.seen_code(PAGES)
    assert {page for page in PAGES if after[page] != before[page]} == stale


def test_stale_runs_are_forgotten_and_others_kept(module, monkeypatch):
    pages = {}
    for name, source in {"lesson": "1", "exercises": 'd2l.check("dropout.layer", f)'}.items():
        path = pages[name] = runs.ROOT / "book" / FIRST / f"{name}.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        notebook = new_notebook(cells=[new_code_cell(source, metadata={"tags": []})])
        nbformat.write(notebook, path)
        for edition in EDITIONS:
            doctree = runs.BUILD / edition / "_build" / ".doctrees" / f"{name}.doctree"
            doctree.parent.mkdir(parents=True, exist_ok=True)
            doctree.touch()
    monkeypatch.setattr(runs, "NOTEBOOKS", list(pages.values()))
    monkeypatch.setattr(runs, "name", lambda path: path.stem)
    assert runs.drop_stale_runs() == ["lesson", "exercises"]  # nothing is known of them
    cache = runs.get_cache(runs.CACHE)
    for path in pages.values():
        cache.cache_notebook_file(path, check_validity=False)
        for edition in EDITIONS:
            (runs.BUILD / edition / "_build" / ".doctrees" / f"{path.stem}.doctree").touch()
    assert runs.drop_stale_runs() == []
    assert len(cache.list_cache_records()) == 2

    (module / "d2lexercises" / "dropout.py").write_text("another hint")
    assert runs.drop_stale_runs() == ["exercises"]
    assert [Path(record.uri).stem for record in cache.list_cache_records()] == ["lesson"]
    kept = {path.stem for path in runs.BUILD.rglob("*.doctree")}
    assert kept == {"lesson"}
    assert runs.drop_stale_runs() == []

    (runs.BUILD / "runs.json").write_text('{"lesson":')  # killed as it was written
    assert runs.drop_stale_runs() == ["lesson", "exercises"]


def test_a_folder_is_emptied_when_what_it_is_made_from_changed(module):
    made, files = module / "made", [module / "d2lutils" / "data.py"]
    assert build.empty_when_changed(made, files)
    (made / "result").touch()
    assert not build.empty_when_changed(made, files) and (made / "result").exists()
    files[0].write_text("new")
    assert build.empty_when_changed(made, files) and not (made / "result").exists()


# ---------------------------------------------------------------- what stands beside the book


def test_no_markdown_of_the_root_is_a_page():
    excluded = build.read_config()["exclude_patterns"]
    assert {path.name for path in ROOT.glob("*.md")} <= set(excluded)


def test_a_list_of_arguments_is_quoted_for_powershell():
    texts = [ROOT / "README.md", ROOT / "README.zh.md", *(ROOT / ".github").rglob("*.yml")]
    before = [c for path in texts for c in re.findall(r"(.)@tests/", path.read_text("utf-8"))]
    assert set(before) == {'"'}, before


BUILD = """
import signal, sys
from pathlib import Path
from book import build, runs

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
build.BUILD = runs.BUILD = build.one_at_a_time.__globals__["ROOT"] = Path("clone")
runs.CACHE = Path("clone", "cache").resolve()
runs.PROFILE = Path("profile", "config.py").resolve()
runs.BUILD.mkdir(exist_ok=True)
runs.NOTEBOOKS = sorted(Path("pages").resolve().glob("*.ipynb"))
runs.drop_stale_runs = build.build_site = build.build_wheel = lambda *_: None
sys.exit(build.main())
"""


class Clone:
    """Pages that say who runs them and then take their time, and builds of them."""

    def __init__(self, folder, pages=2, rest="time.sleep(300)"):
        self.folder = folder
        for name in ("pages", "started", "tmp"):
            (folder / name).mkdir()
        code = f"import os, time\nopen({str(folder / 'started')!r} + f'/{{os.getpid()}}', 'w')\n"
        for number in range(pages):
            notebook = new_notebook(cells=[new_code_cell(f"{code}{rest}\n{number}")])
            notebook.metadata.kernelspec = {"name": "python3", "display_name": "", "language": ""}
            nbformat.write(notebook, folder / "pages" / f"{number}.ipynb")

    def build(self):
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(self.folder / "tmp")}
        return subprocess.Popen(
            [sys.executable, "-c", BUILD], cwd=self.folder, env=environment, encoding="utf-8",
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip

    def kernels(self):
        return [psutil.Process(int(path.name)) for path in (self.folder / "started").iterdir()]


def wait_until(condition, seconds=300):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_ends_the_build_and_all_that_it_started(tmp_path, name):
    clone = Clone(tmp_path)
    build = clone.build()
    wait_until(lambda: len(list((tmp_path / "started").iterdir())) == min(2, os.cpu_count()))
    started = [build, *psutil.Process(build.pid).children(recursive=True), *clone.kernels()]
    os.killpg(build.pid, getattr(signal, name))  # as a terminal does
    out, _ = build.communicate(timeout=60)
    assert build.returncode == -getattr(signal, name) and "Traceback" not in out, out
    wait_until(lambda: not any(psutil.pid_exists(process.pid) for process in started), 60)
    assert not list((tmp_path / "tmp").iterdir())


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
def test_kernels_end_with_a_build_that_is_killed(tmp_path):
    clone = Clone(tmp_path, pages=1)
    build = clone.build()
    wait_until(lambda: list((tmp_path / "started").iterdir()))
    (kernel,) = clone.kernels()
    build.kill()
    wait_until(lambda: not kernel.is_running() or kernel.status() == psutil.STATUS_ZOMBIE, 60)
    build.communicate()


@pytest.mark.skipif(os.name == "nt", reason="locks nothing on Windows")
def test_of_two_builds_at_once_one_waits_and_runs_nothing_twice(tmp_path):
    clone = Clone(tmp_path, pages=1, rest="time.sleep(5)")
    builds = [clone.build(), clone.build()]
    outs = [build.communicate(timeout=300)[0] for build in builds]
    assert [build.returncode for build in builds] == [0, 0], outs
    assert sum("A build already runs in this folder" in out for out in outs) == 1
    assert len(list((tmp_path / "started").iterdir())) == 1


def test_without_locks_a_build_runs(monkeypatch, tmp_path):
    fcntl = pytest.importorskip("fcntl")

    def flock(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)
    monkeypatch.setattr(install, "ROOT", tmp_path)
    entered = []
    with install.one_at_a_time("A build"):
        entered.append(True)
    with pytest.raises(ValueError), install.one_at_a_time("A build"):
        raise ValueError  # what happens within goes through
    assert entered


IN_ANY_LOCALE = """
import locale, sys, warnings
from pathlib import Path

warnings.filterwarnings("error", category=EncodingWarning, module=r"(d2lutils|book|install)\\b")
import nbformat
from book import build, mathml, standalone, static_page, strip, theme, translation
from book.classroom import course

assert locale.getpreferredencoding(False).lower() != "utf-8"
build.BUILD, build.SITE = Path("build").resolve(), Path("site").resolve()
wheel = build.build_wheel(Path("wheel"))
for edition in build.EDITIONS:
    build.derive(edition)
    (build.SITE / edition / "_sources").mkdir(parents=True)
    (build.SITE / edition / "_sources" / "index.ipynb").touch()
    build.write_downloads(edition, wheel)
translation.read(build.ROOT / "book" / "zh" / "index.ipynb")
build.write_root()
sys.stdout.reconfigure(errors="replace")
print("动手学正则化 λ")
"""


def test_the_book_is_made_in_any_locale(tmp_path):
    environment = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    (tmp_path / "make.py").write_text(IN_ANY_LOCALE, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-X", "warn_default_encoding", "make.py"],
        cwd=tmp_path, env={**os.environ, **environment, "PYTHONPATH": str(ROOT)},
        capture_output=True, encoding="utf-8",
    )  # fmt: skip
    assert done.returncode == 0 and "λ" not in done.stdout, done.stderr
    assert "动手学正则化" in (tmp_path / "site" / "index.html").read_text(encoding="utf-8")

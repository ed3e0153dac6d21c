"""The built site in a real Chromium: quiet, self-contained, reachable for everybody, on any screen.

`make test` builds the site before it runs this.
"""

import functools
import gzip
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import threading
import venv
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

import nbformat
import pytest
import yaml
from bs4 import BeautifulSoup

from book.theme import WORDS as WORDS_BY_LANGUAGE
from book.theme.search import split
from tests.conftest import unavailable

ROOT = Path(__file__).parent.parent
SITE = ROOT / "_build" / "site"
TOC = yaml.safe_load((ROOT / "_toc.yml").read_text())
# The book in reading order, as addresses in the site.
FILES = [TOC["root"]] + [c["file"] for part in TOC["parts"] for c in part["chapters"]]
BOOK = [file.replace("book/", "") + ".html" for file in FILES]
ZH = [page.replace("en/", "zh/", 1) for page in BOOK]
BOTH = BOOK + ZH
PAGES = [*BOTH, "404.html", "en/search.html", "zh/search.html"]  # and the root, which leads on
WORDS = {words["edition"]: words for words in WORDS_BY_LANGUAGE.values()}
# What a reader would type to find a page; a page that stands not here is found by its title.
TERMS = {
    "en/overfitting/fashion_mnist.html": "Fashion-MNIST",
    "en/overfitting/the_gap.html": "generalization gap",
    "en/weight_decay/linear_regression.html": "linear regression",
    "en/weight_decay/mlp.html": "neural network",
    "en/weight_decay/choosing_lambda.html": "λ",
    "en/dropout/from_scratch.html": "dropout scratch",
    "en/dropout/concise.html": "nn.Dropout",
    "en/dropout/choosing_p.html": "choosing p",
    "en/together/combining.html": "interaction",
}
# Chinese is written without spaces: terms, and what a reader types in one go.
CHINESE_TERMS = [
    "过拟合 验证准确率 decay 多层感知机 蒙特卡洛暂退法 验证集上选择丢弃概率",
    """欠拟合 泛化误差 泛化差距 正则化 权重衰减 暂退法 丢弃概率 标签噪声 交叉熵 训练集 验证集
    测试集 惩罚项 平方范数 学习率 优化器 随机梯度下降 动量 初始化 激活值 隐藏层 早停 掩码
    神经网络 先验 集成 权重衰减的强度""",
]
PHONE = {"width": 320, "height": 640}  # also a screen of 1280 points, magnified four times
DESKTOP = {"width": 1280, "height": 900}
BUDGET = 600_000  # bytes on a first visit, compressed

# An explorer; formulas, a panel and code; exercises with what their checks say.
EXAMPLES = ("index.html", "dropout/from_scratch.html", "weight_decay/exercises.html")
ENGLISH_EXAMPLES = ["en/" + page for page in EXAMPLES]
BOTH_EXAMPLES = ENGLISH_EXAMPLES + ["zh/" + page for page in EXAMPLES]


def everything(*values):
    """Return the parameters of a test that only `make test-all` runs."""
    return pytest.param(*values, marks=pytest.mark.everything)


def chiefly(some, pages):
    """Return some of the pages, and the others to be tested where everything is."""
    return [page if page in some else everything(page) for page in pages]


# What depends on the page is tested on all English pages; one template makes both editions.
every_book_page = pytest.mark.parametrize(
    "tab", chiefly([*BOOK, *BOTH_EXAMPLES], BOTH), indirect=True, scope="module"
)
every_page = pytest.mark.parametrize(
    "tab",
    chiefly([*BOOK, *BOTH_EXAMPLES, "404.html", "en/search.html"], PAGES),
    indirect=True,
    scope="module",
)
# Words differ in length, and labels in language.
every_page_of_both = pytest.mark.parametrize("tab", PAGES, indirect=True, scope="module")
every_edition = pytest.mark.parametrize("edition", WORDS)


@pytest.fixture(scope="module")
def site():
    """Serve the site as a publisher does: what is missing is answered with 404.html."""
    if not (SITE / "404.html").exists():
        unavailable("there is no site: run `make book` first")

    class Publisher(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def send_error(self, code, message=None, explain=None):
            self.send_response(code)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write((SITE / "404.html").read_bytes())

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Publisher, directory=str(SITE)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield {"http": f"http://127.0.0.1:{server.server_port}/", "file": f"{SITE.as_uri()}/"}
    server.shutdown()


def new_tab(chromium, here, problems, **settings):
    """Open a tab that notes what fails there, and requests to other hosts."""
    settings = {"viewport": DESKTOP, "color_scheme": "light"} | settings
    page = chromium.new_context(**settings).new_page()
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda m: m.type in ("error", "warning") and problems.append(m.text))
    left = "net::ERR_ABORTED"  # for another page, before all was there
    page.on(
        "requestfailed", lambda r: r.failure == left or problems.append(f"{r.failure}: {r.url}")
    )
    page.on("response", lambda r: r.status >= 400 and problems.append(f"{r.status} {r.url}"))
    page.on("request", lambda r: r.url.startswith((here, "data:")) or problems.append(r.url))
    return page


@pytest.fixture
def visit(chromium, site):
    """Open a page; at the end nothing may have failed, and no other host been asked."""
    pages, problems = [], []

    def open_page(address, scheme="http", **settings):
        page = new_tab(chromium, site[scheme], problems, **settings)
        pages.append(page)
        page.goto(site[scheme] + address)
        if address == "index.html":
            page.wait_for_url(re.compile("/(en|zh)/index.html$"))
        return page

    open_page.problems = problems
    yield open_page
    for page in pages:
        page.context.close()
    assert not problems


@pytest.fixture(scope="module")
def tab(request, chromium, site):
    """A page in a tab that tests share, seen to its end; they may resize it. The rest as above."""
    problems, weights = [], {}

    def weigh(response):
        body = response.body()
        weights[response.url] = min(len(gzip.compress(body, 6)), len(body))

    page = new_tab(chromium, site["http"], problems, reduced_motion="reduce", has_touch=True)
    page.on("requestfinished", lambda request: weigh(request.response()))
    page.goto(site["http"] + request.param)
    to_the_end(page)
    page.wait_for_load_state("networkidle")
    page.weights = weights
    yield page
    page.context.close()
    assert not problems


@pytest.fixture
def unfolded(tab):
    """That page with everything on it unfolded."""
    tab.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true })")
    yield tab
    tab.set_viewport_size(DESKTOP)


def to_the_end(page):
    """Scroll down, so that what loads late is loaded."""
    page.evaluate("document.querySelectorAll('img').forEach((i) => { i.loading = 'eager' })")
    page.wait_for_function("[...document.images].every((image) => image.complete)")
    assert page.evaluate("[...document.images].every((image) => image.naturalWidth > 0)")


def address(page):
    return urlsplit(page.url).path.lstrip("/")


@functools.cache
def soup(page):
    """Parse a page, named by its address in the site."""
    return BeautifulSoup((SITE / page).read_text(encoding="utf-8"), "html.parser")


def of(edition):
    """Return the addresses of an edition's pages."""
    return [page for page in BOTH if page.startswith(f"{edition}/")]


# ---------------------------------------------------------------- it works, and by itself


@every_book_page
def test_a_first_visit_is_light(tab):
    assert sum(tab.weights.values()) <= BUDGET, tab.weights


@pytest.mark.parametrize("page", chiefly(["index.html", *BOTH_EXAMPLES], ["index.html", *PAGES]))
def test_pages_work_as_files_too(visit, page):
    to_the_end(visit(page, "file"))


def test_links_and_anchors_lead_somewhere(site):
    soups = {path: soup(path.relative_to(SITE).as_posix()) for path in SITE.rglob("*.html")}
    ids = {path: {tag["id"] for tag in page.select("[id]")} for path, page in soups.items()}
    for path, page in soups.items():
        links = [tag["href"] for tag in page.select("a[href], link[href]")]
        for link in links + [tag["src"] for tag in page.select("[src]")]:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc or link == "/":
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            assert target.is_file(), f"{path.relative_to(SITE)}: {link}"
            if parts.fragment and target in ids:
                assert unquote(parts.fragment) in ids[target], f"{path.relative_to(SITE)}: {link}"


@pytest.mark.parametrize("page", BOTH)
def test_a_page_says_what_it_is(site, page):
    html = soup(page)
    assert html.html["lang"] == {"en": "en", "zh": "zh-CN"}[page[:2]]
    assert not html.select(f"article span[lang]:not([lang={page[:2]}])"), "another language shows"
    assert len(html.select("h1")) == 1
    shortest = 40 if page.startswith("en") else 20  # a Chinese word is two characters
    assert shortest <= len(html.select_one("meta[name=description]")["content"]) <= 160
    ids = [tag["id"] for tag in html.select("[id]")]
    assert len(ids) == len(set(ids))
    assert all(image.get("alt") is not None for image in html.select("img"))
    assert all(len(image["alt"]) >= shortest for image in html.select("article img"))


# A piece of a program: an object as Python or JavaScript writes it, a variable not filled in.
ACCIDENT = re.compile(
    r"object at 0x|<built-in|<function|<bound method|<class '|\{\{|\{%|%\}|\}\}|\bundefined\b"
    r"|\[object |\bNaN\b|^(None|null|True|False|\[\]|\{\})$|\$\{|^\{\w*\}|Undefined"
)


@pytest.mark.parametrize("page", PAGES)
def test_no_label_is_a_piece_of_a_program(page):
    shown = BeautifulSoup((SITE / page).read_text(encoding="utf-8"), "html.parser")
    for code in shown.select("script, style, .cell_input, code"):
        code.decompose()
    labels = [shown.get_text(" ")]
    for element in shown.find_all(True):
        labels += [v for k, v in element.attrs.items() if isinstance(v, str) and k != "style"]
    accident = re.compile(r"object at 0x|<built-in|<function|<bound method|\{\{|\bundefined\b")
    assert not [label[:100] for label in labels if accident.search(label)]


# All that is said to a reader who does not see: names, and what names a control, in explorers too;
# [where, text, language, by the theme or the module (not by the page's author)].
LABELS = """() => {
    const texts = "a[href], button, summary, legend, label, output, .caption, .sections p, .bottom";
    const found = [], own = ".actions, .copy, .headerlink, form, summary, .root";
    const look = (tree, language) => {
        for (const element of tree.querySelectorAll("*")) {
            if (element.shadowRoot) look(element.shadowRoot, language);
            if (element.closest("svg, math, pre, .status")) continue;
            const lang = element.closest("[lang]")?.lang ?? language;
            const ours = !element.closest("article") || element.closest(own);
            if (element.querySelector(":scope > code")) continue; // names of the module
            const where = element.outerHTML.slice(0, 80);
            const tell = (what, text) =>
                found.push([`${what}: ${where}`, text.trim(), lang, !!ours]);
            for (const name of ["aria-label", "aria-valuetext", "title", "alt", "placeholder"])
                if (element.hasAttribute(name) && !(name === "alt" && element.closest("a")))
                    tell(name, element.getAttribute(name));
            if (element.matches(texts))
                tell("text", element.getAttribute("aria-label") ?? element.textContent);
            if (element.matches("input") && !element.hasAttribute("aria-label"))
                tell("label", element.labels[0]?.textContent ?? "");
        }
    };
    look(document, document.documentElement.lang);
    return found;
}"""
CHINESE = re.compile("[\u4e00-\u9fff]")


@every_page_of_both
def test_every_label_is_there_and_in_the_language_of_the_page(tab):
    titles = {soup(page).h1.get_text().removesuffix("#") for page in BOTH}
    labels = tab.evaluate(LABELS)
    assert len(labels) > (1 if address(tab) == "404.html" else 40)
    for where, text, language, ours in labels:
        assert text and not ACCIDENT.search(text), (where, text)
        if not (ours and address(tab).startswith(("en/", "zh/"))) or text in titles:
            continue
        if language.startswith("zh"):
            assert CHINESE.search(text) or not re.search("[A-Za-z]{3}", text), (where, text)
        else:
            assert not CHINESE.search(text), (where, text)
    copy = tab.locator(".copy").all_text_contents()
    assert set(copy) <= {WORDS[address(tab)[:2]]["copy_code"]} if copy else True
    assert bool(copy) == bool(tab.locator(".cell_input pre").count())


def test_titles_and_descriptions_are_unlike_each_other(site):
    pages = [soup(page) for page in BOTH]
    for texts in (
        [page.title.get_text() for page in pages],
        [page.select_one("meta[name=description]")["content"] for page in pages],
    ):
        assert len(texts) == len(set(texts))


@pytest.mark.everything
def test_two_builds_of_one_commit_are_the_same_byte_for_byte(site, tmp_path):
    """In other folders, at other times, with other hashes; from the same runs of the notebooks."""
    skip = shutil.ignore_patterns("_build", "build", ".*", "*.egg-info", "__pycache__")
    built = []
    for seed, place in (("1", "one"), ("2", "another, ü")):
        root = shutil.copytree(ROOT, tmp_path / place, ignore=skip)
        for kept in (".jupyter_cache", "ipython"):
            shutil.copytree(ROOT / "_build" / kept, root / "_build" / kept)
        shutil.copy(ROOT / "_build" / "runs.json", root / "_build")
        environment = {**os.environ, "PYTHONPATH": str(root), "PYTHONHASHSEED": seed}
        command = [sys.executable, "-m", "book.build"]
        log = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)
        assert log.returncode == 0, log.stdout[-3000:] + log.stderr[-3000:]
        folder = root / "_build" / "site"
        files = [path for path in folder.rglob("*") if path.is_file()]
        built.append({path.relative_to(folder): path.read_bytes() for path in files})
    assert built[0].keys() == built[1].keys() and len(built[0]) > 100
    assert [str(path) for path in built[0] if built[0][path] != built[1][path]] == []


# ---------------------------------------------------------------- finding the way


def search(page, term):
    """Type a term into the header's field; return the addresses found, the best first."""
    page.get_by_role("searchbox").first.fill(term)
    with page.expect_navigation():
        page.get_by_role("searchbox").first.press("Enter")
    page.wait_for_selector("#search-results .search-summary:not(:empty)")
    page.wait_for_function("document.querySelectorAll('#search-results li').length > 0")
    links = page.locator("#search-results li > a").evaluate_all("all => all.map((a) => a.href)")
    return list(dict.fromkeys(link.split("#")[0] for link in links))


@pytest.mark.parametrize(
    ("edition", "scheme"),
    [("en", "http"), ("zh", "file"), everything("en", "file"), everything("zh", "http")],
)
def test_the_search_finds_each_lesson_by_its_term(visit, edition, scheme):
    page = visit(f"{edition}/index.html", scheme)
    for lesson in of(edition)[1:]:
        term = TERMS.get(lesson) or soup(lesson).h1.get_text().removesuffix("#")
        first = search(page, term)[:4]
        assert any(link.endswith(lesson) for link in first), f"{term!r}: {first}"


@pytest.mark.parametrize("terms", [CHINESE_TERMS[0], everything(CHINESE_TERMS[1])])
def test_the_search_finds_chinese_terms(visit, terms):
    page = visit("zh/index.html", "file")
    for term in terms.split():
        for found in search(page, term)[:2]:
            text = soup(unquote(found).removeprefix(f"{SITE.as_uri()}/")).get_text()
            assert term[:2] in text.replace("\n", ""), f"{term}: {found}"


def test_a_chinese_search_says_so_in_chinese(visit):
    page = visit("zh/index.html", "file")
    search(page, "过拟合")
    assert re.search("[\u4e00-\u9fff]", page.locator(".search-summary").inner_text())


FIND = """(queries) => queries.map((query) =>
    Search._performSearch(...Search._parseQuery(query)).reverse().map(([page]) => page))"""


@pytest.fixture
def found(visit):
    """Return a function that gives for each query the names of the pages found, the best first."""

    def find(edition, *queries):
        page = visit(f"{edition}/search.html?q=dropout")
        page.wait_for_function("Search.hasIndex()")
        return dict(zip(queries, page.evaluate(FIND, queries), strict=True))

    return find


@every_edition
def test_every_heading_is_found_by_its_own_words(found, edition):
    headings = []
    for page in of(edition):
        for heading in soup(page).select("article :is(h1, h2, h3, h4)"):
            headings.append((page[3:-5], heading.get_text().removesuffix("#")))
    assert len(headings) > 150
    results = found(edition, *[text for _, text in headings])
    assert [(page, text) for page, text in headings if page not in results[text]] == []


def test_half_a_word_finds_its_page(found):
    """From the third letter or the second Chinese character on."""
    halves = {}
    for page in of("en"):
        for word in re.findall("[a-z]{4,}", soup(page).h1.get_text().lower()):
            halves |= {(page[3:-5], word[:end]): word for end in range(3, len(word))}
    words = ("regularization", "overfitting", "initialization", "generalization")
    best = {pages[0]: word for word, pages in found("en", *words).items()}
    for page, word in best.items():
        halves |= {(page, word[:end]): word for end in range(3, len(word))}
    results = found("en", *{half for _, half in halves})
    assert [place for place in halves if place[0] not in results[place[1]]] == []
    terms = CHINESE_TERMS[1].split()[:-1]
    results = found("zh", *{term[:end] for term in terms for end in range(2, len(term) + 1)})
    for term in terms:
        assert results[term] and results[term][0] in results[term[:2]], term


BRITISH = """regularisation/regularization generalisation/generalization behaviour/behavior
optimiser/optimizer optimisers/optimizers optimised/optimized initialise/initialize
initialisation/initialization normalise/normalize memorise/memorize memorises/memorizes
neighbour/neighbor neighbours/neighbors labelled/labeled colour/color colours/colors
centre/center favours/favors cancelling/canceling penalised/penalized penalise/penalize
standardise/standardize regularis/regulariz"""


def test_british_and_american_spellings_find_the_same(found):
    pairs = [pair.split("/") for pair in BRITISH.split()]
    results = found("en", *sum(pairs, []), "generalisation gap", "generalization gap")
    for british, american in [*pairs, ("generalisation gap", "generalization gap")]:
        assert set(results[british]) == set(results[american]), british
    assert sum(bool(results[british]) for british, _ in pairs) > len(pairs) / 2
    assert results["generalisation gap"][0] == "overfitting/the_gap"


@every_edition
def test_greek_letters_symbols_and_decimal_numbers_are_found(found, edition):
    queries = [
        "λ",
        "Λ",
        "lambda",
        "η",
        "σ",
        "0.5",
        "0.02",
        "1e-4",
        "‖w‖",
        "±",
        "λ/2",
        "p₁",
        "λ=0.01",
    ]
    queries += ["权重衰减λ", "λ权重衰减", "丢弃概率p"] if edition == "zh" else ["weight decay λ"]
    results = found(edition, *queries)
    assert [query for query, pages in results.items() if not pages] == []
    assert set(results["λ"]) == set(results["Λ"]) <= set(results["lambda"])
    assert len(results["λ"]) >= 10
    if edition == "zh":
        assert "weight_decay/choosing_lambda" in results["权重衰减λ"]
        assert results["权重衰减λ"] == results["λ权重衰减"]


@every_edition
def test_an_excerpt_is_of_the_text_and_shows_what_was_meant(visit, edition):
    page = visit(f"{edition}/index.html")
    search(page, "generalisation" if edition == "en" else "泛化差距")
    page.wait_for_selector("#search-results .context")
    excerpts = page.locator("#search-results .context")
    assert WORDS[edition]["download"] not in "".join(excerpts.all_text_contents())
    marked = {text.lower() for text in page.locator(".context .highlighted").all_text_contents()}
    assert {"en": "generalization", "zh": "泛化差距"}[edition] in marked


# Names that every object has in JavaScript, and what is no word of the book.
STRANGE = """constructor __proto__ toString hasOwnProperty valueOf prototype isPrototypeOf zebra
<img/src=x/onerror=alert(1)> <script>alert(1)</script> "" '' “”
\\ [ ( * .* ^$ % & ;-- 😀""".split()


@pytest.mark.parametrize("edition", ["en", everything("zh")])
def test_a_search_for_what_is_nowhere_ends_and_says_so(visit, site, edition):
    page = visit(f"{edition}/search.html")
    assert page.locator("#search-results").inner_text() == ""
    for query in [*STRANGE, " ", "\u3000"]:
        word = quote(query, errors="replace")
        page.goto(f"{site['http']}{edition}/search.html?q={word}")
        page.wait_for_selector("#search-results .search-summary:not(:empty)")
        assert not page.locator("#search-results :is(li, img, script)").count(), query
        assert page.locator("#search-progress").inner_text() == ""
        said = page.locator("#search-results").inner_text()
        assert bool(CHINESE.search(said)) == (edition == "zh"), said
        assert not (edition == "zh" and re.search("[A-Za-z]{3}", said)), said


@pytest.mark.parametrize(
    "query", ['"weight decay"', "'weight decay'", "“weight decay”", "weight, decay?"]
)
def test_quotes_and_punctuation_change_nothing(found, query):
    results = found("en", query, "weight decay")
    assert set(results[query]) == set(results["weight decay"]) != set()


@every_edition
def test_the_index_and_the_browser_split_alike(visit, edition):
    page = visit(f"{edition}/search.html")
    for name in of(edition):
        text = soup(name).main.get_text(" ")
        assert page.evaluate("(text) => splitQuery(text)", text) == split(text)


@every_edition
def test_next_and_previous_cover_the_book(edition):
    pages = of(edition)
    for direction, order in (("next", pages), ("prev", pages[::-1])):
        for page, neighbour in zip(order, [*order[1:], None], strict=True):
            link = soup(page).select_one(f"a[rel={direction}]")
            leads = link and (SITE / page).parent.joinpath(link["href"]).resolve()
            assert leads == (neighbour and SITE.resolve() / neighbour)


@pytest.mark.parametrize("scheme", ["http", everything("file")])
def test_the_switch_leads_to_the_same_section_of_the_other_edition(visit, scheme):
    page = visit("en/weight_decay/mlp.html", scheme)
    headings = page.locator("article h2")
    for index in (0, 2, headings.count() - 2):
        headings.nth(index).scroll_into_view_if_needed()
        headings.nth(index).evaluate("h => scrollTo(0, h.offsetTop - 80)")
        page.wait_for_timeout(50 if index == 0 else 900)  # scrolling is smooth
        section = headings.nth(index).locator("span[id]").get_attribute("id")
        page.get_by_role("link", name="中文").click()
        page.wait_for_url(f"**/zh/weight_decay/mlp.html#{section}")
        assert page.locator(f"h2 > #{section}").count() == 1
        page.get_by_role("link", name="English").click()
        page.wait_for_url("**/en/weight_decay/mlp.html*")


def test_the_switch_keeps_where_an_explorer_stands(visit):
    page = visit("en/index.html#lam=0.01")
    page.get_by_role("link", name="中文").click()
    page.wait_for_url("**/zh/index.html#lam=0.01")
    assert "0.01" in page.locator("figure.d2l-explorer .setting").first.inner_text()


@pytest.mark.parametrize(
    "language, edition",
    [("zh-CN", "zh"), ("zh-TW", "zh"), ("en-GB", "en"), ("de-DE", "en")],
)
def test_the_root_chooses_by_the_browsers_language(visit, language, edition):
    assert address(visit("index.html", locale=language)) == f"{edition}/index.html"


def test_the_root_remembers_the_readers_choice(visit, site):
    page = visit("index.html", locale="en-US")
    page.get_by_role("link", name="中文").click()
    page.wait_for_url("**/zh/index.html*")
    page.goto(site["http"] + "index.html")
    page.wait_for_url("**/zh/index.html")


@every_edition
def test_pages_link_to_their_twins(edition):
    other = {"en": "zh", "zh": "en"}[edition]
    for page in of(edition):
        twin = soup(page).select_one("a.edition")
        assert twin["href"] == "../" * page.count("/") + other + page[2:]
        assert twin["hreflang"] == twin["lang"] == {"en": "en", "zh": "zh-CN"}[other]


def test_the_page_keeps_still_while_an_explorer_loads(visit):
    for size in (DESKTOP, {"width": 412, "height": 823}):
        page = visit("zh/index.html", viewport=size)
        page.wait_for_selector("figure.d2l-explorer .root")
        shift = page.evaluate("""() => new Promise((done) => new PerformanceObserver((list) =>
            done(list.getEntries().reduce((sum, entry) => sum + entry.value, 0))
        ).observe({type: "layout-shift", buffered: true}) || setTimeout(() => done(0), 500))""")
        assert shift < 0.1  # what counts as good


@every_edition
def test_explorers_speak_the_language_of_the_page(visit, edition):
    page = visit(f"{edition}/dropout/choosing_p.html")
    figure = page.locator("figure.d2l-explorer").first
    shown = figure.inner_text() + figure.locator(".root").inner_text()
    assert ("validation" in shown) == (edition == "en")
    assert ("验证" in shown) == (edition == "zh")


@every_edition
@pytest.mark.parametrize("scripts", ["off", "forbidden"])
def test_where_no_script_may_run_a_page_says_that_its_figure_is_missing(
    chromium, site, edition, scripts
):
    def forbid(route):
        answer = route.fetch()
        policy = {"content-security-policy": "default-src 'self'"}
        route.fulfill(response=answer, headers=answer.headers | policy)

    context = chromium.new_context(java_script_enabled=scripts != "off")
    page = context.new_page()
    if scripts == "forbidden":
        page.route("**/*.html", forbid)
    page.goto(f"{site['http']}{edition}/index.html")
    sentence = page.locator("figure.d2l-explorer > :first-child > p")
    sentence.wait_for(timeout=10_000)
    assert "JavaScript" in sentence.inner_text()
    assert bool(CHINESE.search(sentence.inner_text())) == (edition == "zh")
    assert page.locator("figure.d2l-explorer summary").first.is_visible()
    assert sentence.locator("..").bounding_box()["height"] < 200  # no room is kept for a figure
    context.close()


@pytest.mark.parametrize("nested", ["nowhere.html", "en/nowhere.html", "en/dropout/no/where.html"])
def test_a_missing_page_leads_home(visit, site, nested):
    page = visit(nested)
    assert f"404 {page.url}" in visit.problems
    visit.problems.clear()  # the one failure that is wanted, and Chromium's note of it
    page.get_by_role("link").first.click()
    page.wait_for_url("**/en/index.html")
    assert not [problem for problem in visit.problems if nested not in problem]


# ---------------------------------------------------------------- what is taken away


@pytest.fixture
def download(visit, tmp_path):
    """Press the download button of a page, and read the notebook that comes."""

    def press(page):
        tab = visit(page)
        with tab.expect_download() as started:
            tab.get_by_role("link", name=WORDS[page[:2]]["download"]).click()
        assert started.value.suggested_filename == Path(page).with_suffix(".ipynb").name
        started.value.save_as(tmp_path / "page.ipynb")
        notebook = nbformat.read(tmp_path / "page.ipynb", as_version=4)
        nbformat.validate(notebook)
        return notebook

    return press


def code(notebook):
    return [cell.source for cell in notebook.cells if cell.cell_type == "code"]


@pytest.mark.parametrize(
    "page", ["en/weight_decay/mlp.html", everything("zh/weight_decay/exercises.html")]
)
def test_the_first_cell_of_a_download_brings_d2lutils_where_it_is_missing(download, page, tmp_path):
    venv.create(tmp_path / "python")
    python = tmp_path / "python" / "bin" / "python"
    ask = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = Path(subprocess.check_output([python, "-c", ask], text=True).strip())
    # torch and the like are those of the running Python; its editable d2lutils is not seen.
    (packages / "below.pth").write_text(sysconfig.get_path("purelib"))
    missing = "import importlib.util\nassert importlib.util.find_spec('d2lutils') is None\n"
    there = "\nimport d2lutils; print(d2lutils.__file__)"
    (tmp_path / "run.py").write_text(missing + code(download(page))[0] + there)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    environment["XDG_CACHE_HOME"] = str(tmp_path / "cache")
    done = subprocess.run(
        [python, "run.py"], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    (folder,) = (tmp_path / "cache" / "d2lutils" / "wheels").iterdir()
    assert Path(done.stdout.strip()) == folder / "d2lutils" / "__init__.py"


@pytest.mark.parametrize(
    "page",
    chiefly(
        ["en/weight_decay/exercises.html", "zh/dropout/exercises.html"],
        [page for page in BOTH if page.endswith("/exercises.html")],
    ),
)
def test_downloaded_exercises_hold_no_solution(download, page):
    source = (ROOT / "book" / page).with_suffix(".ipynb")
    solved = "\n".join(code(nbformat.read(source, as_version=4)))
    bodies = re.findall("### BEGIN SOLUTION\n(.+?)\n *### END SOLUTION", solved, re.DOTALL)
    given = "\n".join(code(download(page)))
    assert bodies and not [body for body in bodies if body in given]
    assert not re.search(r"SOLUTION|HIDDEN TESTS|\bgrade\(", given)
    assert given.count("    ...") >= len(bodies)


# ---------------------------------------------------------------- for everybody


def axe(page, *rules):
    """Assert that axe finds nothing; what is hidden in a fold, it does not see."""
    try:
        from axe_playwright_python.sync_playwright import Axe
    except ImportError:
        unavailable("axe-playwright-python is not installed")
    options = {"resultTypes": ["violations"]} | ({"runOnly": list(rules)} if rules else {})
    results = Axe().run(page, options=options)
    assert results.violations_count == 0, results.generate_report()


@every_page
def test_axe_finds_nothing(unfolded):
    axe(unfolded)
    unfolded.set_viewport_size(PHONE)
    unfolded.wait_for_timeout(100)
    axe(unfolded, "scrollable-region-focusable", "target-size")  # what the width can change


@pytest.mark.parametrize("page", chiefly(BOTH_EXAMPLES, PAGES))
def test_colours_contrast_in_the_dark(visit, page):
    tab = visit(page, color_scheme="dark", reduced_motion="reduce")
    to_the_end(tab)
    tab.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true })")
    axe(tab, "color-contrast")


# Text as far apart as readers may want it (WCAG 1.4.12), also in explorers; taken back at the end.
SPACED = """() => {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(`* { line-height: 1.5 !important; letter-spacing: 0.12em !important;
        word-spacing: 0.16em !important } p { margin-bottom: 2em !important }`);
    const hosts = [...document.querySelectorAll("*")].filter((element) => element.shadowRoot);
    const trees = [document, ...hosts.map((host) => host.shadowRoot)];
    for (const tree of trees) tree.adoptedStyleSheets = [...tree.adoptedStyleSheets, sheet];
    window.narrow = () => sheet.replaceSync("");
}"""
# What may be wider than the screen scrolls by itself.
WIDE = """() => {
    const found = [], scrolls = "pre, .table, .math, .formula, [style*=overflow-x]";
    const look = (tree) => {
        for (const box of tree.querySelectorAll("*")) {
            if (box.shadowRoot) look(box.shadowRoot);
            const { left, right, width } = box.getBoundingClientRect();
            if (width && (right > innerWidth + 0.5 || left < -0.5) && box.checkVisibility()
                && !box.closest(`svg, .status, .skip, .contents, .brand, ${scrolls}`))
                found.push(box.outerHTML.slice(0, 120));
        }
    };
    look(document);
    return found;
}"""


@every_page_of_both
def test_a_phone_never_scrolls_sideways_however_far_apart_its_text_is(unfolded):
    unfolded.set_viewport_size(PHONE)
    for change in ("() => {}", SPACED):
        unfolded.evaluate(change)
        unfolded.wait_for_timeout(100)
        assert unfolded.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        assert unfolded.evaluate(WIDE) == []
    unfolded.evaluate("narrow()")


# What a cell puts out that is wider than its block, so that the reader sees a part of it.
CUT = """() => [...document.querySelectorAll(".cell_output, .cell_output *")].filter((box) => {
    const inside = box.parentElement.getBoundingClientRect(), own = box.getBoundingClientRect();
    // The table of an explorer is folded away, and has a box of its own that scrolls.
    return box.clientWidth && box.checkVisibility() && !box.closest(".d2l-explorer > details") &&
        (box.scrollWidth > box.clientWidth + 1 || own.right > inside.right + 1);
}).map((box) => box.outerHTML.slice(0, 200))"""


@every_page
@pytest.mark.parametrize("width", [1280, 390])
def test_no_output_is_cut(tab, width):
    tab.set_viewport_size({"width": width, "height": 900})
    tab.wait_for_timeout(100)
    cut = tab.evaluate(CUT)
    tab.set_viewport_size(DESKTOP)
    assert cut == []


def test_a_wide_output_would_be_seen(visit):
    page = visit("en/index.html")
    assert page.evaluate(CUT) == []
    for wide in ("<pre>" + "0" * 200 + "</pre>", '<img width="2000" style="max-width:none">'):
        page.evaluate("(wide) => { document.querySelector('.cell_output').innerHTML = wide }", wide)
        assert page.evaluate(CUT)


@pytest.mark.parametrize("page", BOTH)
def test_figures_are_drawings_sharp_on_every_screen(page):
    assert all(image["src"].endswith(".svg") for image in soup(page).select(".cell_output img"))


@every_book_page
def test_code_shows_84_characters(tab):
    room = tab.evaluate("""() => [...document.querySelectorAll(".cell_input pre")].map(pre => {
        const ruler = document.createElement("span"), style = getComputedStyle(pre);
        ruler.textContent = "0".repeat(84);
        pre.append(ruler);
        const needed = ruler.getBoundingClientRect().width + parseFloat(style.paddingLeft)
            + parseFloat(style.paddingRight);
        ruler.remove();
        return pre.clientWidth ? pre.clientWidth - needed : 0;
    })""")
    assert all(free >= 0 for free in room)


def test_the_keyboard_skips_to_the_content(visit):
    page = visit(BOOK[1])
    page.keyboard.press("Tab")
    skip = page.locator(".skip")
    assert skip.evaluate("a => a === document.activeElement && a.getBoundingClientRect().top >= 0")
    page.keyboard.press("Enter")
    page.wait_for_function("location.hash === '#content'")
    page.keyboard.press("Tab")
    assert page.evaluate("document.querySelector('main').contains(document.activeElement)")


@pytest.mark.parametrize("theme", ["light", everything("dark")])
def test_whatever_has_the_focus_shows_it(visit, theme):
    page = visit(BOOK[4], color_scheme=theme)
    for _ in range(40):
        page.keyboard.press("Tab")
        width = page.evaluate("""() => {
            let at = document.activeElement;
            while (at.shadowRoot?.activeElement) at = at.shadowRoot.activeElement;
            const shown = getComputedStyle(at);
            const label = at.nextElementSibling && getComputedStyle(at.nextElementSibling);
            const outlined = (style) => style && style.outlineStyle !== "none"
                && parseFloat(style.outlineWidth) >= 1;
            return outlined(shown) || outlined(label) || at === document.body;
        }""")
        assert width, page.evaluate("document.activeElement.outerHTML.slice(0, 200)")


def test_the_contents_open_on_a_phone_by_touch_and_by_keyboard(visit):
    page = visit(BOOK[1], viewport=PHONE, has_touch=True)
    contents = page.get_by_role("navigation", name="Contents")
    menu = page.get_by_role("button", name="Contents")
    assert not contents.is_visible()
    menu.tap()
    assert contents.is_visible()
    page.keyboard.press("Escape")
    assert not contents.is_visible()
    menu.focus()
    page.keyboard.press("Enter")
    contents.get_by_role("link").nth(1).click()
    assert page.url.endswith(BOOK[2])


# ---------------------------------------------------------------- light and dark, screen and paper


def ground(page):
    return page.evaluate("getComputedStyle(document.body).backgroundColor")


def test_the_theme_is_the_systems_until_one_is_chosen(visit):
    page = visit("en/index.html", color_scheme="dark")
    dark = ground(page)
    switch = page.get_by_role("button", name="Dark theme")
    assert switch.get_attribute("aria-pressed") == "true"
    page.emulate_media(color_scheme="light")
    page.wait_for_function("document.documentElement.dataset.theme === 'light'")
    light = ground(page)
    assert light != dark and switch.get_attribute("aria-pressed") == "false"
    switch.click()
    assert ground(page) == dark
    page.locator("a[rel=next]").click()
    assert ground(page) == dark, "a choice holds on the next page"


def test_explorers_follow_the_theme(visit):
    page = visit("en/index.html")
    host = page.locator("figure.d2l-explorer > *").first
    host.wait_for()
    ink = "host => getComputedStyle(host.shadowRoot.querySelector('.root')).color"
    light = host.evaluate(ink)
    page.get_by_role("button", name="Dark theme").click()
    page.wait_for_function(
        "document.querySelector('figure.d2l-explorer > *').shadowRoot"
        ".querySelector('.root').dataset.theme === 'dark'"
    )
    assert host.evaluate(ink) != light


def test_without_javascript_the_system_still_chooses_the_theme(chromium, site):
    grounds = set()
    for theme in ("light", "dark"):
        context = chromium.new_context(java_script_enabled=False, color_scheme=theme)
        page = context.new_page()
        page.goto(site["http"] + BOOK[1])
        grounds.add(page.screenshot(clip={"x": 2, "y": 700, "width": 4, "height": 4}))
        context.close()
    assert len(grounds) == 2


@every_book_page
def test_paper_gets_the_article_alone(tab):
    tab.emulate_media(media="print", color_scheme="dark")
    tab.set_viewport_size({"width": 680, "height": 900})  # about A4 without its margins
    assert ground(tab) == "rgb(255, 255, 255)"
    for frame in (".top", ".contents", ".sections", ".neighbours", ".actions"):
        assert tab.locator(frame).count() == 0 or not tab.locator(frame).is_visible(), frame
    assert tab.locator("h1").is_visible()
    assert tab.evaluate("document.documentElement.scrollWidth") <= 680
    tab.emulate_media(media="screen", color_scheme="light")
    tab.set_viewport_size(DESKTOP)


def test_code_is_copied_as_it_stands(visit):
    page = visit(BOOK[1], permissions=["clipboard-read", "clipboard-write"])
    cell = page.locator(".cell_input .highlight").first
    cell.hover()
    cell.get_by_role("button", name="Copy").click()
    page.wait_for_function("document.querySelector('.copy').textContent === 'Copied'")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == cell.locator("pre").evaluate("pre => pre.textContent")
    assert copied.startswith("import")


def test_mathematics_is_drawn_with_the_books_font(visit):
    page = visit("en/dropout/from_scratch.html")
    assert page.locator("math").count() > 20
    page.wait_for_function("document.fonts.check('16px \"Book Mathematics\"')")
    brace = page.locator("mo", has_text="{").first.bounding_box()
    assert brace["height"] > 40, "braces stretch"


SELECT = """([first, last]) => {
    const range = document.createRange();
    range.setStartBefore(first);
    range.setEndAfter(last);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
}"""


def copied(page, first, last):
    """Select from one element to another, copy with the keyboard, and return the text."""
    page.evaluate(SELECT, [first.element_handle(), last.element_handle()])
    page.keyboard.press("Control+C")
    return page.evaluate("navigator.clipboard.readText()")


def test_a_formula_is_copied_as_its_tex(visit):
    page = visit("en/weight_decay/mlp.html", permissions=["clipboard-read", "clipboard-write"])
    norm = page.locator("math", has=page.locator("mfrac")).first
    tex = norm.locator("annotation").text_content()
    assert r"\frac" in tex
    assert copied(page, norm, norm) == tex
    inside = norm.locator("mi, mn").nth(0), norm.locator("mi, mn").nth(1)
    assert copied(page, *inside) == tex, "part of a formula is copied whole"
    sentence = page.locator("p", has=page.locator("math")).first
    text = copied(page, sentence, sentence)
    within = sentence.locator("annotation").all_text_contents()
    assert all(f"${tex}$" in text for tex in within)
    assert sentence.evaluate("p => p.firstChild.textContent.trim()") in text
    plain = page.locator("p:not(:has(math))").first
    assert copied(page, plain, plain).strip() == plain.inner_text().strip()

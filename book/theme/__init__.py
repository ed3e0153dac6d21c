"""Sphinx extension: the look of the site, with nothing on a page that the page does not use.

`layout.html` and `search.html` are the templates, `static/` holds the one stylesheet, the one
script and the icon. What Sphinx and MyST-NB write into the body of a page is made fit here for
phones, screen readers and the HTML standard.
"""

import base64
import binascii
import io
import json
import re
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

import imagesize
import yaml
from bs4 import BeautifulSoup
from sphinx.util import logging
from sphinx_book_theme.directives import Margin

HERE = Path(__file__).parent
UNREAD_IMAGE = re.compile(r"!\[[^\]]*\]\([^)]+\)")
logger = logging.getLogger(__name__)
EDITIONS = yaml.safe_load((HERE.parent / "editions.yml").read_text(encoding="utf-8"))
# The theme's own words, by the language of the edition.
WORDS = {
    own["language"]: {
        "edition": edition, "name": own["name"], "prompts": own.get("prompts", {}), **own["theme"]
    }
    for edition, own in EDITIONS.items()
}  # fmt: skip


def tidy(soup, images, words):
    """Mend what Sphinx and MyST-NB write into a page; `images` maps file names to sources."""
    for summary in soup.select("summary[aria-label]"):
        del summary["aria-label"]  # its visible words name it, and must not be overruled
        for words_of_state in summary.select("p"):
            words_of_state.name = "span"
    for prompt in soup.select("details.hide > summary span"):
        prompt.string = words["prompts"].get(prompt.get_text(), prompt.get_text())
    for heading in soup.select("[role=heading]:not([aria-level])"):
        del heading["role"]
    for link in soup.select("a.headerlink"):
        link.string = "#"
    for table in soup.select("table"):
        del table["border"]
        table.wrap(soup.new_tag("div", attrs={
            "class": "table", "role": "group", "aria-label": words["table"]
        }))  # fmt: skip
    for texts in soup.select("span.d2l-words"):  # the page keeps its language alone
        others = [t for t in texts.parent.find_all("span", "d2l-words", recursive=False)]
        if texts["lang"] == words["edition"] or (
            texts is others[0] and all(t["lang"] != words["edition"] for t in others)
        ):
            del texts["hidden"]
        else:
            texts.extract()
    for text in soup.find_all(string=re.compile(r"\d (%|points?\b)")):
        if not text.find_parent(
            ["pre", "code", "script", "style", "annotation"]
        ):  # a number keeps its unit
            text.replace_with(re.sub(r"(\d) (?=%|points?\b)", "\\1\u00a0", text))
    for number, heading in enumerate(soup.select("section section > :is(h2, h3, h4)"), 1):
        heading.insert(0, soup.new_tag("span", id=f"s{number}"))  # the same in every edition
    for box in soup.select(".admonition:is(.dropdown, .toggle)"):  # closed, without a script
        box.name, title = "details", box.select_one(".admonition-title")
        title.name = "summary"
    for number, image in enumerate(soup.select("img[src]")):
        image["decoding"] = "async"
        if number:
            image["loading"] = "lazy"
        if image.get("alt") == image["src"]:  # what docutils writes where there is none
            image["alt"] = ""
        size = measure(image["src"], images)
        if size and not image.has_attr("width"):  # the page keeps still as it loads
            image["width"], image["height"] = map(str, size)


def measure(source, images):
    """Return width and height of an image that comes with the page, in pixels; else None."""
    address, file = urlsplit(source), None
    if address.scheme == "data":
        try:
            file = io.BytesIO(base64.b64decode(address.path.partition(";base64,")[2]))
        except binascii.Error:
            return None
    elif not address.scheme and not address.netloc:
        file = images.get(PurePosixPath(unquote(address.path)).name)
    size = imagesize.get(file) if file else ()
    return [round(length) for length in size] if size and min(size) > 0 else None


def name_lost_images(soup, images, pagename):
    """Warn of images that would not be seen on the site.

    Those that only raw HTML names are not brought there; of those that Markdown does not take for
    one, the source would be read.
    """
    for text in soup.find_all(string=UNREAD_IMAGE):
        if not text.find_parent(["pre", "code", "script", "style"]):
            logger.warning(
                "Markdown does not read %s as an image: its address may hold no space, and data: "
                "only as PNG, JPEG, GIF or WebP",
                UNREAD_IMAGE.search(text)[0][:60],
                location=pagename,
            )
    for image in soup.select("img[src]"):
        address = urlsplit(image["src"])
        local = not address.scheme and not address.netloc
        if local and PurePosixPath(unquote(address.path)).name not in images:
            logger.warning(
                "the image %s would be missing on the site, since it stands inside other HTML: "
                'write ![what it shows](%s), or <img src="%s" alt="…" width="300"> by itself',
                *[image["src"]] * 3,
                location=pagename,
            )


def translate_alternatives(soup, page):
    """Give the figures of a translated page their text alternatives in its language."""
    translated = json.loads(page.read_text(encoding="utf-8"))["metadata"].get("alternatives", {})
    for image in soup.select("img[alt]"):
        image["alt"] = translated.get(image["alt"], image["alt"])


def describe(soup, limit=160):
    """Return the first sentences of a page, as many as a search engine shows."""
    first = BeautifulSoup(" ".join(map(str, soup.select("section > p")[:2])), "html.parser")
    for annotation in first.select("annotation"):  # the TeX of what stands before it
        annotation.extract()
    text = " ".join(first.get_text().split())
    if len(text) <= limit:
        return text
    end = max(text.rfind(mark, 0, limit) for mark in (". ", "? ", ": ", "。", "？", "："))
    if end > 60:
        return text[: end + 1]
    space = text.rfind(" ", 60, limit - 2)
    return text[: space if space > 0 else limit - 2] + " …"


def own_sections(toc):
    """Return the list of a page's sections without the page's title, which leads it."""
    inner = BeautifulSoup(toc, "html.parser").select_one("ul ul")
    return str(inner) if inner else ""


def editions(app, pagename):
    """Return language, folder, name and address of this page in every edition of the site.

    Search engines want whole addresses of the alternates: they come with a base address.
    """
    up = "../" * (pagename.count("/") + 1)
    own = WORDS[app.config.language]["edition"] + "/"
    base = (app.config.html_baseurl or "").removesuffix(own)
    return [
        {
            "language": language.replace("_", "-"),
            "folder": words["edition"],
            "name": words["name"],
            "address": f"{up}{words['edition']}/{pagename}.html",
            "alternate": base and f"{base}{words['edition']}/{pagename}.html",
        }
        for language, words in WORDS.items()
        if words["edition"] in app.config.html_theme_options.get("editions", "").split()
    ]


def fill_page(app, pagename, templatename, context, doctree):
    """Hand the templates what they show."""
    words = context["words"] = WORDS[app.config.language]
    context["author"] = app.config.author
    context["editions"] = editions(app, pagename)
    # layout.html names the style sheet and the script that count.
    offered, context["css_files"], context["script_files"] = context["css_files"], [], []
    if doctree is None:
        return
    soup = BeautifulSoup(context["body"], "html.parser")
    sources = {name: Path(app.srcdir, source) for source, name in app.builder.images.items()}
    tidy(soup, sources, words)
    name_lost_images(soup, sources, pagename)
    if soup.select_one('[class^="sd-"], [class*=" sd-"]'):  # tabs, cards, grids
        context["css_files"] = [file for file in offered if "design" in str(file.filename)]
    page = Path(app.env.doc2path(pagename))
    if page.suffix == ".ipynb":
        translate_alternatives(soup, page)
    context["body"] = str(soup)
    context["title"] = re.sub("<annotation.*?</annotation>", "", context["title"], flags=re.DOTALL)
    context["description"] = describe(soup)
    context["sections"] = own_sections(context["toc"])
    source = context.get("sourcename", "")
    context["notebook"] = source if source.endswith(".ipynb") else ""


def cite_nothing(app, config):
    """Let a book that names no `bibtex_bibfiles` in its _config.yml cite nothing."""
    if "bibtex_bibfiles" in config and config.bibtex_bibfiles is None:
        config.bibtex_bibfiles = []


def setup(app):
    """Register the theme and what fills it."""
    app.add_html_theme("hands_on", HERE)
    app.add_directive("margin", Margin)  # Jupyter Book's own theme brings it
    app.connect("config-inited", cite_nothing)
    if app.config.language == "zh_CN":
        from .search_chinese import SearchChineseOfBook

        app.add_search_language(SearchChineseOfBook)
    # Jupyter Book sets this for an extension that is not loaded.
    app.add_config_value("comments_config", {}, "")
    app.connect("html-page-context", fill_page, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

"""Build the site: `python -m book.build` writes `_build/site/`.

The tables of contents and the configurations of the editions are derived here from the one
`_toc.yml` and the one `_config.yml` at the root; all editions share one cache of runs.
"""

import hashlib
import logging
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.sax.saxutils import escape

import nbformat
import yaml
from jupyter_cache import get_cache
from jupyter_cache.executors import load_executor

from book.standalone import build_wheel, standalone

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "_build"
CACHE = BUILD / ".jupyter_cache"  # where `jupyter-book build .` looks as well
SITE = BUILD / "site"
EDITIONS = ("en", "zh")  # the first is the one that others translate
GITHUB = re.compile(r"https?://(?:www\.)?github\.com/([^/]+/[^/]+?)(?:\.git)?")


def base_address() -> str:
    """Return where the site will be published, without a slash at the end; empty if not known."""
    config = yaml.safe_load((ROOT / "_config.yml").read_text())
    return (config["html"]["baseurl"] or "").rstrip("/")


def repository_links(edition: str) -> dict[str, str]:
    """Return the theme's options for its links to the repository and to Colab, if there is one.

    Colab opens notebooks of branches of GitHub alone; publishing pushes the site to `gh-pages`.
    """
    config = yaml.safe_load((ROOT / "_config.yml").read_text())
    url = (config["repository"]["url"] or "").rstrip("/")
    if not url:
        return {}
    if not url.startswith(("https://", "http://")):
        raise ValueError(
            f"repository.url in _config.yml is {url!r}, which a browser cannot open: write it as "
            "https://github.com/OWNER/NAME."
        )
    links = {"repository_url": url}
    if github := GITHUB.fullmatch(url):
        links["colab_url"] = (
            f"https://colab.research.google.com/github/{github[1]}/blob/gh-pages/{edition}/_sources"
        )
    return links


def drop_stale_runs() -> None:
    """Forget executed notebooks when `d2lutils` changed: the cache looks at their cells alone."""
    digest = hashlib.sha256()
    for path in sorted((ROOT / "d2lutils").rglob("*.*")):
        if "__pycache__" in path.parts:
            continue
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    stamp = BUILD / "d2lutils.sha256"
    if not stamp.exists() or stamp.read_text() != digest.hexdigest():
        for folder in (CACHE, *(BUILD / edition for edition in EDITIONS)):
            shutil.rmtree(folder, ignore_errors=True)
        BUILD.mkdir(exist_ok=True)
        stamp.write_text(digest.hexdigest())


def derive(edition: str) -> tuple[Path, Path]:
    """Write the edition's table of contents and configuration below `_build`, and name them.

    What a translated edition has of its own, language and titles, stands in its `edition.yml`.
    """
    folder = BUILD / edition
    folder.mkdir(parents=True, exist_ok=True)
    own = ROOT / "book" / edition / "edition.yml"
    own = yaml.safe_load(own.read_text(encoding="utf-8")) if own.exists() else {}
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text().replace("book/en/", ""))
    for part in toc.get("parts", ()) if own else ():
        part["caption"] = own["captions"][part["caption"]]
    (folder / "_toc.yml").write_text(yaml.safe_dump(toc, allow_unicode=True), encoding="utf-8")
    config = yaml.safe_load((ROOT / "_config.yml").read_text())
    if own:
        config["title"], config["author"] = own["title"], own["author"]
        config["sphinx"]["config"] |= own["config"]
    config["execute"]["cache"] = str(CACHE)
    config["sphinx"]["local_extensions"] = dict.fromkeys(
        config["sphinx"]["local_extensions"], str(ROOT / "book")
    )
    config["sphinx"]["config"]["html_theme_options"] = {
        "editions": " ".join(EDITIONS),
        **repository_links(edition),
    }
    if base := base_address():
        config["html"]["baseurl"] = f"{base}/{edition}/"
    (folder / "_config.yml").write_text(yaml.safe_dump(config))
    return folder / "_toc.yml", folder / "_config.yml"


def run_notebooks() -> None:
    """Execute the notebooks that are not in the cache yet, one for each core at a time.

    Sphinx, which would run them one after another, then finds them there. What fails is not kept:
    Sphinx runs it once more, and shows the error.
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # the cores are taken
    cache, pages = get_cache(CACHE), (ROOT / "book" / EDITIONS[0]).rglob("[!.]*.ipynb")
    paths = [str(path) for path in pages if ".ipynb_checkpoints" not in path.parts]
    for path in paths:
        cache.add_nb_to_project(path)
    logging.basicConfig(format="%(message)s")
    logger = logging.getLogger("notebooks")
    logger.setLevel(logging.INFO)
    load_executor("local-parallel", cache, logger).run_and_cache(filter_uris=paths, timeout=600)


def build(edition: str, wheel: Path) -> None:
    """Run Jupyter Book over one edition, warnings as errors, and move it into the site.

    The wheel of d2lutils goes into the notebooks that the edition gives away.
    """
    toc, config = derive(edition)
    html = BUILD / edition / "_build" / "html"
    shutil.rmtree(html, ignore_errors=True)  # what no page needs any more goes
    subprocess.run(
        [
            Path(sys.executable).with_name("jupyter-book"),
            "build",
            str(ROOT / "book" / edition),
            "-W",
            "-n",
            "--keep-going",
            "--toc",
            str(toc),
            "--config",
            str(config),
            "--path-output",
            str(BUILD / edition),
        ],
        check=True,
    )
    shutil.rmtree(SITE / edition, ignore_errors=True)
    shutil.copytree(html, SITE / edition, ignore=shutil.ignore_patterns(".buildinfo", ".doctrees"))
    write_downloads(edition, wheel)


def write_downloads(edition: str, wheel: Path) -> None:
    """Put notebooks that run by themselves where the pages' download buttons point."""
    base = base_address()
    for path in (SITE / edition / "_sources").rglob("*.ipynb"):
        page = path.relative_to(SITE / edition / "_sources").with_suffix(".html").as_posix()
        address = f"{base}/{edition}/{page}" if base else ""
        notebook = nbformat.read(ROOT / "book" / edition / Path(page).with_suffix(".ipynb"), 4)
        nbformat.write(standalone(notebook, wheel, address, edition), path)


def write_root() -> None:
    """Write what stands above the editions: a page that leads on, 404, and a map of all pages."""
    shutil.copytree(ROOT / "book" / "root", SITE, dirs_exist_ok=True)
    base = base_address()
    for name in ("sitemap.xml", "robots.txt"):
        (SITE / name).unlink(missing_ok=True)
    if not base:
        return
    pages = sorted(path.relative_to(SITE).as_posix() for path in SITE.glob("*/**/*.html"))
    urls = "".join(
        f"<url><loc>{escape(f'{base}/{page}')}</loc></url>\n"
        for page in pages
        if not page.endswith("/search.html")
    )
    (SITE / "sitemap.xml").write_text(
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n{urls}</urlset>\n'
    )
    (SITE / "robots.txt").write_text(f"Sitemap: {base}/sitemap.xml\n")


def main() -> int:
    """Build every edition; the exit status is Jupyter Book's."""
    drop_stale_runs()
    run_notebooks()
    wheel = build_wheel(BUILD / "wheel")
    try:
        for edition in EDITIONS:
            build(edition, wheel)
    except subprocess.CalledProcessError as error:
        return error.returncode
    write_root()
    return 0


if __name__ == "__main__":
    sys.exit(main())

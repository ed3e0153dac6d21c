"""Build the site: `python -m book.build` writes `_build/site/`.

The tables of contents and the configurations of the editions are derived here from the one
`_toc.yml` and the one `_config.yml` at the root; all editions share one cache of runs.
"""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from xml.sax.saxutils import escape

import jinja2
import nbformat
import psutil
import yaml

from book.pages import EDITIONS, FIRST
from book.runs import BUILD, CACHE, ROOT, digest, run_notebooks
from book.standalone import build_wheel, standalone
from install import one_at_a_time

SITE = BUILD / "site"
GITHUB = re.compile(r"https?://(?:www\.)?github\.com/([^/]+/[^/]+?)(?:\.git)?")
# The command, by the module that it calls: the path of an executable differs between systems.
JUPYTER_BOOK = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()"]


def read_config() -> dict:
    """Return what `_config.yml` at the root says."""
    return yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))


def base_address() -> str:
    """Return where the site will be published, without a slash at the end; empty if not known."""
    return (read_config()["html"]["baseurl"] or "").rstrip("/")


def repository_links(edition: str) -> dict[str, str]:
    """Return the theme's options for its links to the repository and to Colab, if there is one.

    Colab opens notebooks of branches of GitHub alone; publishing pushes the site to `gh-pages`.
    """
    url = (read_config()["repository"]["url"] or "").rstrip("/")
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


def derive(edition: str) -> tuple[Path, Path]:
    """Write the edition's table of contents and configuration below `_build`, and name them.

    What a translated edition has of its own, language and titles, stands in `editions.yml`.
    """
    folder, own = BUILD / edition, EDITIONS[edition]
    folder.mkdir(parents=True, exist_ok=True)
    toc = (ROOT / "_toc.yml").read_text(encoding="utf-8").replace(f"book/{FIRST}/", "")
    toc = yaml.safe_load(toc)
    for part in toc.get("parts", ()):
        part["caption"] = own.get("captions", {}).get(part["caption"], part["caption"])
    config = read_config()
    config |= {key: own[key] for key in ("title", "author") if key in own}
    config["execute"]["cache"] = str(CACHE)
    config["bibtex_bibfiles"] = [str(ROOT / file) for file in config.get("bibtex_bibfiles") or ()]
    config["sphinx"]["local_extensions"] = dict.fromkeys(
        config["sphinx"]["local_extensions"], str(ROOT / "book")
    )
    config["sphinx"]["config"] |= {"language": own["language"], **own.get("config", {})}
    config["sphinx"]["config"]["html_theme_options"] = {
        "editions": " ".join(EDITIONS),
        **repository_links(edition),
    }
    if base := base_address():
        config["html"]["baseurl"] = f"{base}/{edition}/"
    for name, content in (("_toc.yml", toc), ("_config.yml", config)):
        text = yaml.safe_dump(content, allow_unicode=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder / "_toc.yml", folder / "_config.yml"


def empty_when_changed(folder: Path, files: list[Path]) -> bool:
    """Empty a folder if the files that it is made from have changed since; say whether it was."""
    note, now = folder / "made_from.sha256", digest(files)
    if note.exists() and note.read_text(encoding="utf-8") == now:
        return False
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    note.write_text(now, encoding="utf-8")
    return True


def build(edition: str) -> subprocess.CompletedProcess:
    """Run Jupyter Book over one edition, warnings as errors.

    Pages whose text and run are the same are not read again, but all are written: each shows the
    titles of others.
    """
    # Sphinx does not see that its own extensions have changed.
    extensions = [*sorted((ROOT / "book").glob("*.py")), ROOT / "requirements.txt"]
    empty_when_changed(BUILD / edition, extensions)
    toc, config = derive(edition)
    shutil.rmtree(BUILD / edition / "_build" / "html", ignore_errors=True)
    options = ["-W", "-n", "--keep-going", "--toc", toc, "--config", config]
    options += ["--path-output", BUILD / edition]
    return subprocess.run(
        [*JUPYTER_BOOK, "build", ROOT / "book" / edition, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        env={**os.environ, "PYTHONIOENCODING": "utf-8", "PYTHONUTF8": "1"},
    )


def build_site(wheel: Path) -> int:
    """Build all editions side by side, and put them into the site; return 1 if one failed."""
    with ThreadPoolExecutor() as pool:
        done = dict(zip(EDITIONS, pool.map(build, EDITIONS), strict=True))
    # What failed comes last, where it is seen.
    for edition, log in sorted(done.items(), key=lambda item: item[1].returncode != 0):
        print(log.stdout, flush=True)
        if log.returncode == 0:
            publish(edition, wheel)
        else:  # what Sphinx has read it would not read, and warn of, again; the reports stay
            shutil.rmtree(BUILD / edition / "_build" / ".doctrees", ignore_errors=True)
    write_root()
    failed = [edition for edition, log in done.items() if log.returncode]
    if failed:
        print(f"Not built: {', '.join(failed)}. The reason is above; the site keeps what it had.")
    return int(bool(failed))


def publish(edition: str, wheel: Path) -> None:
    """Move a built edition into the site."""
    html = BUILD / edition / "_build" / "html"
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
    title = read_config()["title"]
    titles = {edition: own.get("title", title) for edition, own in EDITIONS.items()}
    for name in ("index.html", "404.html"):
        page = jinja2.Template(
            (SITE / name).read_text(encoding="utf-8"), keep_trailing_newline=True
        )
        text = page.render(editions=EDITIONS, titles=titles, names=list(EDITIONS))
        (SITE / name).write_text(text, encoding="utf-8")
    write_map()


def write_map() -> None:
    """Write the list of all pages for search engines, who want whole addresses."""
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
        f'<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n{urls}</urlset>\n',
        encoding="utf-8",
    )
    (SITE / "robots.txt").write_text(f"Sitemap: {base}/sitemap.xml\n", encoding="utf-8")


def end_with_children(folder: Path) -> None:
    """Let Ctrl-C and the like end all that this process started, too, and remove the folder.

    Kernels do not hear Ctrl-C, and threads that wait for them would wait on.
    """

    def end(number, _):
        for child in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        shutil.rmtree(folder, ignore_errors=True)
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)

    for name in ("SIGINT", "SIGTERM", "SIGHUP"):  # Windows lacks the last
        number = getattr(signal, name, None)
        if number and signal.getsignal(number) != signal.SIG_IGN:  # as nohup has it
            signal.signal(number, end)


def set_environment(folder: Path) -> None:
    """Set what children see: the same on every machine, and one folder for all temporary files."""
    for name in ("PYTHONWARNINGS", "PYTHONOPTIMIZE"):  # others' code warns; docstrings are shown
        os.environ.pop(name, None)
    os.environ["PYTHONUTF8"] = "1"  # others' code opens files without naming an encoding
    for name in ("TMPDIR", "TEMP", "TMP", "JUPYTER_RUNTIME_DIR"):
        os.environ[name] = str(folder)
    tempfile.tempdir = str(folder)


def main() -> int:
    """Run what has to run, and build every edition; return the exit status."""
    sys.stdout.reconfigure(errors="replace")  # whatever the terminal can show
    with one_at_a_time("A build"), tempfile.TemporaryDirectory(prefix="d2l-build-") as folder:
        end_with_children(Path(folder))
        set_environment(Path(folder))
        run_notebooks()
        return build_site(build_wheel(BUILD / "wheel"))


if __name__ == "__main__":
    sys.exit(main())

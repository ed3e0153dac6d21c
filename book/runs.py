"""Run the notebooks, each only when its code or the part of d2lutils that it can see has changed.

jupyter-cache holds the runs and knows them by the cells alone; `_build/runs.json` says beside it
which d2lutils they saw.
"""

import contextlib
import hashlib
import json
import logging
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePath

from jupyter_cache import get_cache
from jupyter_cache.executors import load_executor

from book.pages import EDITIONS, NOTEBOOKS, cells, name

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "_build"
CACHE = BUILD / ".jupyter_cache"  # where `jupyter-book build .` looks as well
# What only those pages see whose code says the word. All else in d2lutils is seen by every page.
WORDS = {
    **{"d2lutils/explorer": "explorer?", "d2lutils/panel": "panel", "d2lutils/checks": "checks?"},
    "d2lutils/beat_dropout.json": "beat_dropout",
}
EXERCISES = "d2lexercises"
CHECK = re.compile(r"\b(?:check|grade)\(")
CHAPTER = re.compile(CHECK.pattern + r"""\s*["'](\w+)\.""")
# Figures are drawings, sharp on every screen, and the same in every run.
PROFILE = BUILD / "ipython" / "profile_default" / "ipython_kernel_config.py"
FIGURES = """
c.InlineBackend.figure_formats = {"svg"}
c.InlineBackend.print_figure_kwargs = {
    "bbox_inches": "tight", "dpi": 144, "metadata": {"Date": None}  # dpi: of the images within
}
c.IPKernelApp.exec_lines = ["import matplotlib; matplotlib.rcParams['svg.hashsalt'] = 'book'"]
"""


def module_files() -> list[Path]:
    """Return the files of d2lutils and of the exercises, the same on every machine."""
    files = (path for folder in ("d2lutils", EXERCISES) for path in (ROOT / folder).rglob("*.*"))
    return sorted(p for p in files if p.is_file() and "__pycache__" not in p.parts)


def digest(files: list[Path]) -> str:
    """Return one hash of the names and the contents of files below the root, and how they run."""
    digest = hashlib.sha256(FIGURES.encode())
    for path in files:
        digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def sees(code: str, file: PurePath, chapters: set[str]) -> bool:
    """Say whether a page with this code sees a file, named by its path below the root.

    An exercise chapter, `d2lexercises/dropout.py` say, is seen by pages that check answers of that
    chapter; `chapters` are all that the book has.
    """
    if file.parts[0] != EXERCISES:
        word = WORDS.get("/".join(file.parts[:2]))
        return word is None or bool(re.search(rf"\b{word}\b", code))
    checked = CHAPTER.findall(code)
    by_name = len(checked) == len(CHECK.findall(code))  # else a name is made up while it runs
    if file.stem in chapters and by_name:
        return file.stem in checked
    return bool(CHECK.search(code))


def seen_code(pages: dict[str, str]) -> dict[str, str]:
    """Return for each page, given by name and code, a hash of what it sees of d2lutils."""
    chapters = {chapter for code in pages.values() for chapter in CHAPTER.findall(code)}
    inside = {path: path.relative_to(ROOT) for path in module_files()}
    return {
        page: digest([path for path, file in inside.items() if sees(code, file, chapters)])
        for page, code in pages.items()
    }


def drop_stale_runs() -> list[str]:
    """Forget the runs of pages that saw another d2lutils than today's, and name those pages."""
    code = {name(p): "\n".join(c["source"] for c in cells(p, "code")) for p in NOTEBOOKS}
    now, note = seen_code(code), BUILD / "runs.json"
    before = {}
    with contextlib.suppress(OSError, ValueError):  # not there, or a build was killed in it
        before = json.loads(note.read_text(encoding="utf-8"))
    stale = [page for page in now if now[page] != before.get(page)]
    cache = get_cache(CACHE)
    for record in cache.list_cache_records():
        if PurePath(record.uri).as_posix().endswith(tuple(f"/{page}.ipynb" for page in stale)):
            cache.remove_cache(record.pk)
    for page in stale:
        for edition in EDITIONS:  # Sphinx, too, looks at the page alone
            doctrees = BUILD / edition / "_build" / ".doctrees"
            (doctrees / f"{page}.doctree").unlink(missing_ok=True)
    note.write_text(json.dumps(now, indent=1), encoding="utf-8")
    return stale


def run_notebooks() -> None:
    """Execute the notebooks that have no run, one for each core at a time.

    Sphinx, which would run them one after another, then finds them there. What fails is not kept:
    Sphinx runs it once more, and shows the error.
    """
    BUILD.mkdir(exist_ok=True)
    drop_stale_runs()
    cache, paths = get_cache(CACHE), [str(path) for path in NOTEBOOKS]
    for path in paths:
        cache.add_nb_to_project(path)
    if not cache.list_unexecuted(filter_uris=paths):
        return
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # the cores are taken
    # A sweep that several pages make, or a page and its tests, is computed once.
    os.environ.setdefault("D2L_SWEEPS", str(BUILD / "sweeps"))
    PROFILE.parent.mkdir(parents=True, exist_ok=True)
    PROFILE.write_text(FIGURES, encoding="utf-8")
    os.environ["IPYTHONDIR"] = str(PROFILE.parents[1])
    subprocess.run([sys.executable, "-m", "d2lutils.fetch"], cwd=ROOT, check=True)
    logging.basicConfig(format="%(message)s")
    logger = logging.getLogger("notebooks")
    logger.setLevel(logging.INFO)
    logger.addFilter(lambda record: "notebook(s)" not in record.msg)  # one at a time, each says

    def run(record):
        # Threads, whose kernels are children of this process: they end with it.
        executor = load_executor("local-serial", get_cache(CACHE), logger)
        executor.run_and_cache(filter_uris=[record.uri], timeout=600)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(run, cache.list_unexecuted(filter_uris=paths)))

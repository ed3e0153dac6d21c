"""Build the site: `python book/build.py` writes `_build/site/`.

The tables of contents and the configurations of the editions are derived here from the one
`_toc.yml` and the one `_config.yml` at the root; all editions share one cache of runs.
"""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "_build"
CACHE = BUILD / ".jupyter_cache"  # where `jupyter-book build .` looks as well
EDITIONS = ("en",)

LEAD_ON = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta http-equiv="refresh" content="0; url=en/index.html">
<title>Regularization, Hands-On</title>
<p><a href="en/index.html">Regularization, Hands-On</a></p>
</html>
"""


def drop_stale_runs() -> None:
    """Forget executed notebooks when `d2lutils` changed: the cache looks at their cells alone."""
    digest = hashlib.sha256()
    for path in sorted((ROOT / "d2lutils").glob("*.*")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    stamp = BUILD / "d2lutils.sha256"
    if not stamp.exists() or stamp.read_text() != digest.hexdigest():
        for folder in (CACHE, *(BUILD / edition for edition in EDITIONS)):
            shutil.rmtree(folder, ignore_errors=True)
        BUILD.mkdir(exist_ok=True)
        stamp.write_text(digest.hexdigest())


def derive(edition: str) -> tuple[Path, Path]:
    """Write the edition's table of contents and configuration below `_build`, and name them."""
    folder = BUILD / edition
    folder.mkdir(parents=True, exist_ok=True)
    toc = folder / "_toc.yml"
    toc.write_text((ROOT / "_toc.yml").read_text().replace("book/en/", ""))
    config = yaml.safe_load((ROOT / "_config.yml").read_text())
    config["execute"]["cache"] = str(CACHE)
    config["sphinx"]["local_extensions"] = {"static_page": str(ROOT / "book")}
    (folder / "_config.yml").write_text(yaml.safe_dump(config))
    return toc, folder / "_config.yml"


def build(edition: str) -> None:
    """Run Jupyter Book over one edition, warnings as errors, and move it into the site."""
    toc, config = derive(edition)
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
    html = BUILD / edition / "_build" / "html"
    target = BUILD / "site" / edition
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(html, target, ignore=shutil.ignore_patterns(".buildinfo", ".doctrees"))


def main() -> int:
    """Build every edition; the exit status is Jupyter Book's."""
    drop_stale_runs()
    try:
        for edition in EDITIONS:
            build(edition)
    except subprocess.CalledProcessError as error:
        return error.returncode
    (BUILD / "site" / "index.html").write_text(LEAD_ON)
    return 0


if __name__ == "__main__":
    sys.exit(main())

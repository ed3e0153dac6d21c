"""Notebooks that run by themselves: what the site's download button gives.

The first cell carries d2lutils as a wheel and installs it where it is missing, and what it needs
where that is missing, without touching what is already installed: in Colab, or in an empty folder.
Exercises come as the student version.
"""

import base64
import email
import pprint
import re
import shutil
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path
from urllib.parse import urljoin

from nbformat import NotebookNode
from nbformat.v4 import new_code_cell

from book.pages import EDITIONS
from book.student import student_version

ROOT = Path(__file__).resolve().parent.parent
LINK = re.compile(r"\[([^\]]*)\]\((?!https?:|#)([^)#\s]+)(#[^)\s]*)?\)")  # to another page

INSTALL = '''\
#@title {title}
import base64, importlib.util, os, pathlib, subprocess, sys, tempfile

os.environ["D2L_LANGUAGE"] = "{language}"
WHEEL = """
{text}
"""
if importlib.util.find_spec("d2lutils") is None:
    path = pathlib.Path(tempfile.mkdtemp(), "{name}")
    path.write_bytes(base64.b64decode(WHEEL))
    needs = {needs}
    missing = [needs[name] for name in needs if importlib.util.find_spec(name) is None]
    pip = [sys.executable, "-m", "pip", "install", "--quiet"]
    subprocess.run([*pip, "--no-deps", str(path)], check=True)
    if missing:
        subprocess.run([*pip, *missing], check=True)'''


def build_wheel(folder: Path) -> Path:
    """Build the wheel of d2lutils into the folder, and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.whl"):
        old.unlink()
    shutil.rmtree(ROOT / "build", ignore_errors=True)  # what an earlier build left would go in too
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
    subprocess.run([*pip, "--wheel-dir", str(folder), str(ROOT)], check=True)
    wheel = next(folder.glob("*.whl"))
    _forget_times(wheel)
    return wheel


def _forget_times(wheel: Path) -> None:
    """Write a wheel anew, the same for a commit whenever and by whomever it is built.

    Its files are as old as a zip allows, and everybody may read them.
    """
    with zipfile.ZipFile(wheel) as files:
        contents = {name: files.read(name) for name in files.namelist()}
    fresh = wheel.with_suffix(".new")
    with zipfile.ZipFile(fresh, "w") as files:
        for name, content in contents.items():
            file = zipfile.ZipInfo(name)
            file.external_attr = 0o100644 << 16
            files.writestr(file, content, zipfile.ZIP_DEFLATED)
    fresh.replace(wheel)


def requirements(wheel: Path) -> dict[str, str]:
    """Return what a wheel needs: the requirements, by the names of their modules."""
    with zipfile.ZipFile(wheel) as files:
        (path,) = (name for name in files.namelist() if name.endswith(".dist-info/METADATA"))
        needs = email.message_from_bytes(files.read(path)).get_all("Requires-Dist", [])
    return {re.match(r"[\w-]+", need)[0]: need for need in needs if "extra ==" not in need}


def standalone(
    notebook: NotebookNode, wheel: Path, page_address: str = "", language: str = "en"
) -> NotebookNode:
    """Return a copy of the notebook that runs anywhere.

    Parameters
    ----------
    notebook : nbformat.NotebookNode
        As it stands in the repository.
    wheel : pathlib.Path
        Of d2lutils.
    page_address : str, optional
        Where the page of this notebook is published. Links to other pages lead there; without it
        they become plain words, since the other pages did not come along.
    language : str
        Of the notebook, one of `EDITIONS`; what d2lutils shows in it is in the same.
    """
    notebook = student_version(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = _links(cell.source, page_address)
    text = "\n".join(textwrap.wrap(base64.b64encode(wheel.read_bytes()).decode(), 120))
    install = new_code_cell(
        INSTALL.format(
            title=EDITIONS[language]["install"],
            language=language,
            text=text,
            name=wheel.name,
            needs=pprint.pformat(requirements(wheel), width=100, sort_dicts=False),
        ),
        id="install-d2lutils",
        metadata={"cellView": "form", "jupyter": {"source_hidden": True}},
    )
    notebook.cells.insert(1, install)  # after the title, which a reader should see first
    return notebook


def _links(text: str, page_address: str) -> str:
    if not page_address:
        return LINK.sub(r"\1", text)

    def absolute(match):
        words, target, anchor = match.groups()
        address = re.sub(r"\.(ipynb|md)$", ".html", target)
        return f"[{words}]({urljoin(page_address, address)}{anchor or ''})"

    return LINK.sub(absolute, text)

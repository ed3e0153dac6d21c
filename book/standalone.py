"""Notebooks that run by themselves: what the site's download button gives.

The first cell carries d2lutils as a wheel, unpacks it into a folder of its own, from which the
notebook then imports it, and installs what it needs besides where that is missing: in Colab, or in
an empty folder (`unpack.py`, which goes into the wheel). Exercises come as the student version.
"""

import base64
import hashlib
import os
import re
import sys
import textwrap
import zipfile
from pathlib import Path
from urllib.parse import urljoin

from nbformat import NotebookNode
from nbformat.v4 import new_code_cell

from book.pages import EDITIONS
from book.runs import ROOT, module_files
from book.student import student_version

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # JupyterLab brings it along

LINK = re.compile(r"\[([^\]]*)\]\((?!https?:|#)([^)#\s]+)(#[^)\s]*)?\)")  # to another page

INSTALL = '''\
#@title {title}
import base64, io, os, zipfile

os.environ["D2L_LANGUAGE"] = "{language}"
# d2lutils, packed as text. One of its files, unpack.py, puts it into a folder of its own that
# Python looks into first, and lets pip or uv install what it needs and you do not have yet.
WHEEL = """
{text}
"""
wheel, tools = zipfile.ZipFile(io.BytesIO(base64.b64decode(WHEEL))), {{}}
exec(wheel.read("d2lutils/unpack.py"), tools)
tools["use"](wheel)'''


def build_wheel(folder: Path) -> Path:
    """Write the wheel of d2lutils into the folder, in place of older ones, and return its path.

    The same files give the same bytes, at any time and on any machine; pip would write the time
    into it, and ask a network for tools. Its version tells its content.
    """
    with open(ROOT / "pyproject.toml", "rb") as file:
        settings = tomllib.load(file)
    files = packed_files(["*.py", *settings["tool"]["setuptools"]["package-data"]["*"]])
    about = metadata(settings["project"])
    digest = hashlib.sha256(about.encode())
    for name, content in files.items():
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    # Never digits alone, which would be read as a number.
    version = f"{settings['project']['version']}+h{digest.hexdigest()[:12]}"
    about, stem = about.replace("{version}", version), f"{settings['project']['name']}-{version}"
    path = folder / f"{stem}-py3-none-any.whl"
    folder.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}.part")
    write_wheel(part, files, f"{stem}.dist-info", about)
    os.replace(part, path)
    for old in {*folder.glob("d2lutils-*.whl"), *folder.glob("d2lutils-*.part")} - {path}:
        old.unlink(missing_ok=True)
    return path


def packed_files(patterns: list[str]) -> dict[str, bytes]:
    """Return what the wheel holds of d2lutils and of the exercises, by the names there."""
    files = {
        path.relative_to(ROOT).as_posix(): path.read_bytes()
        for path in module_files()
        if any(path.match(pattern) for pattern in patterns)
    }
    return {**files, "d2lutils/unpack.py": Path(__file__).with_name("unpack.py").read_bytes()}


def metadata(project: dict) -> str:
    """Return what pyproject.toml says of the project, as a wheel says it, without a version."""
    lines = [
        "Metadata-Version: 2.4",
        f"Name: {project['name']}",
        "Version: {version}",
        f"Summary: {project['description']}",
        f"License-Expression: {project['license']}",
        "License-File: LICENSE",
        f"Requires-Python: {project['requires-python']}",
        *(f"Requires-Dist: {need}" for need in project["dependencies"]),
    ]
    return "\n".join(lines) + "\n"


def write_wheel(path: Path, files: dict[str, bytes], folder: str, about: str) -> None:
    """Write files into a wheel, with the folder that says what they are."""
    tags = "Wheel-Version: 1.0\nGenerator: book\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    files = {
        **files,
        f"{folder}/METADATA": about.encode(),
        f"{folder}/WHEEL": tags.encode(),
        f"{folder}/licenses/LICENSE": (ROOT / "LICENSE").read_bytes(),
    }
    record = ""
    for name, content in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
        record += f"{name},sha256={digest},{len(content)}\n"
    files[f"{folder}/RECORD"] = f"{record}{folder}/RECORD,,\n".encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as wheel:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name)  # its time is always 1980
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system, entry.external_attr = 3, 0o100644 << 16  # Unix, rw-r--r--
            wheel.writestr(entry, content)


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
        INSTALL.format(title=EDITIONS[language]["install"], language=language, text=text),
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

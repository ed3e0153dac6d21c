"""Makes a downloaded notebook's own d2lutils the one that it imports.

The notebook carries d2lutils as a wheel, and its first cell runs this file from there, before
anything is installed: it imports nothing but Python's own, and old Pythons can read it.
"""

import atexit
import email
import importlib.util
import os
import re
import shlex
import shutil
import site
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

PACKAGES = ("d2lutils", "d2lexercises")
WORDS = {
    "en": {
        "python": "This notebook needs Python 3.{least} or newer, and its kernel is Python {here}:"
        " choose another kernel.",
        "installing": "Installing {names}, which can take minutes …",
        "no tool": "This notebook needs {names}, which its Python lacks, as it does pip or uv to"
        " install it. Run this in a terminal, then this cell again:\n{command}",
        "failed": "This notebook needs {names}, which its Python lacks, and {tool} could not"
        " install it ({reason}). Run this in a terminal, then this cell again:\n{command}",
        "managed": "This notebook needs {names}, which its Python lacks, and the system lets"
        " nothing be installed into that Python. Run this in a terminal, then open the notebook in"
        " the Jupyter that it starts:\n{command}",
    },
    "zh": {
        "python": "本笔记本需要 Python 3.{least} 或更新的版本，当前内核却是 Python {here}："
        "请换一个内核。",
        "installing": "正在安装 {names}，可能需要几分钟……",
        "no tool": "本笔记本需要 {names}，当前的 Python 中却没有，也没有可用来安装的 pip 或 uv。"
        "请在终端中运行下面的命令，然后重新运行这一格：\n{command}",
        "failed": "本笔记本需要 {names}，当前的 Python 中却没有，{tool} 也没能装上（{reason}）。"
        "请在终端中运行下面的命令，然后重新运行这一格：\n{command}",
        "managed": "本笔记本需要 {names}，当前的 Python 中却没有，而系统不允许往其中安装软件包。"
        "请在终端中运行下面的命令，然后在它启动的 Jupyter 中打开本笔记本：\n{command}",
    },
}


class CannotRun(ImportError):
    """Says in a sentence what to do; Jupyter shows it without the lines of code beneath."""

    def _render_traceback_(self):
        return [str(self)]


def use(wheel):
    """Unpack a wheel of d2lutils, put it first, and have what it needs besides installed.

    Parameters
    ----------
    wheel : zipfile.ZipFile
        The wheel.

    Raises
    ------
    ImportError
        If something is missing that cannot be installed; it says what to do.
    """
    (path,) = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
    metadata = email.message_from_bytes(wheel.read(path))
    least = int(re.search(r">=3\.(\d+)", metadata["Requires-Python"]).group(1))
    if sys.version_info < (3, least):
        here = ".".join(str(number) for number in sys.version_info[:2])
        raise CannotRun(words("python").format(least=least, here=here))
    put_first(unpacked(wheel, metadata["Version"]))
    missing = lacking(metadata.get_all("Requires-Dist", []))
    if missing:
        install(missing)


def words(key):
    """Return one of the texts in the language of the notebook."""
    return WORDS.get(os.environ.get("D2L_LANGUAGE"), WORDS["en"])[key]


def unpacked(wheel, version):
    """Return a folder that holds what the wheel holds: in the user's cache, else a temporary one.

    The version tells the content, so that notebooks of one version share a folder.
    """
    cache = os.environ.get("XDG_CACHE_HOME", "")
    cache = cache if os.path.isabs(cache) else os.path.expanduser("~/.cache")
    try:
        if not os.path.isabs(cache):
            raise OSError("This user has no home folder.")
        folder = Path(cache, "d2lutils", "wheels", version)
        write_files(wheel, folder)
    except OSError:
        folder = Path(tempfile.mkdtemp(prefix="d2lutils-"))
        atexit.register(shutil.rmtree, str(folder), ignore_errors=True)
        write_files(wheel, folder)
    return folder


def write_files(wheel, folder):
    """Write what is not there yet or differs; another kernel may do the same at this moment."""
    for name in wheel.namelist():
        path, content = folder / name, wheel.read(name)
        if path.is_file() and path.read_bytes() == content:
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.{os.urandom(4).hex()}.part")
        try:
            part.write_bytes(content)
            os.replace(part, path)
        finally:
            if part.exists():
                part.unlink()


def put_first(folder):
    """Let imports find the packages of this folder before any others, also imported ones."""
    sys.path[:] = [str(folder), *(place for place in sys.path if place != str(folder))]
    importlib.invalidate_caches()
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None) or ""
        if name.split(".")[0] in PACKAGES and not file.startswith(str(folder)):
            del sys.modules[name]


def lacking(requirements):
    """Return those requirements, such as "scipy<2,>=1.13", whose module cannot be found."""
    importlib.invalidate_caches()
    found = []
    for requirement in requirements:
        name = re.match(r"[\w-]+", requirement).group()
        # A folder of that name that is no package has a specification too, but no origin.
        if name not in sys.modules and not getattr(importlib.util.find_spec(name), "origin", None):
            found.append(requirement)
    return found


def install(missing):
    """Have pip or uv install requirements, or say in a sentence which command would."""
    names = ", ".join(sorted({re.match(r"[\w-]+", need).group() for need in missing}))
    tools = {
        "pip": [sys.executable, "-m", "pip", "install"],
        "uv": ["uv", "pip", "install", "--python", sys.executable],
    }
    tool = "pip" if importlib.util.find_spec("pip") else "uv" if shutil.which("uv") else None
    said, problem = "", "failed" if tool else "no tool"
    if tool:
        print(words("installing").format(names=names), flush=True)
        done = subprocess.run(
            [*tools[tool], "--quiet", *missing], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        # A folder for the user's own packages that pip has only now made is not yet looked into.
        if site.ENABLE_USER_SITE and site.getusersitepackages() not in sys.path:
            site.addsitedir(site.getusersitepackages())
        missing = lacking(missing)
        if not missing:
            return
        said = done.stdout.decode("utf-8", "replace").strip() or f"exit status {done.returncode}"
    command = [shown([*tools[tool or "pip"], *missing])]
    if not tool:
        command.insert(0, shown([sys.executable, "-m", "ensurepip"]))
    if is_managed() and (not tool or re.search("externally.managed", said)):
        problem, new = "managed", "~/d2l-venv"
        command = [
            shown([sys.executable, "-m", "venv"]) + f" {new}",
            f"{new}/bin/pip install jupyterlab",  # there, this cell installs the rest
            f"{new}/bin/jupyter lab",
        ]
    (reason,) = re.findall("(?im)^error.*", said)[:1] or [said.partition("\n")[0]]
    command = "\n".join(command)
    raise CannotRun(words(problem).format(names=names, tool=tool, reason=reason, command=command))


def shown(command):
    """Return a command as one types it in a terminal."""
    if os.name == "nt":
        return subprocess.list2cmdline(command)
    return " ".join(shlex.quote(word) for word in command)


def is_managed():
    """Tell whether the system keeps this Python to itself (PEP 668)."""
    marker = os.path.join(sysconfig.get_path("stdlib"), "EXTERNALLY-MANAGED")
    return sys.prefix == sys.base_prefix and os.path.exists(marker)

"""Set up the course in `.venv`: `python3 install.py`, on Windows `py install.py`; so does `make`.

`install.py test` adds what the tests need, `install.py classroom` what grading needs. torch is what
is large: on Linux, pip's own choice carries CUDA and takes gigabytes. Without an NVIDIA GPU its CPU
build is a tenth of that, if PyTorch's index of those can be reached.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import os
import platform
import shutil
import signal
import subprocess
import sys
import threading
import urllib.parse
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent
# An index of CPU builds: the user's, or PyTorch's own.
NAMED = os.environ.get("D2L_TORCH_INDEX", "").strip().rstrip("/")
CPU_INDEX = NAMED or "https://download.pytorch.org/whl/cpu"
PATIENCE = 3  # seconds that the index has to answer
# Whoever sets one of these has decided where packages come from.
DECIDED = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX")
# These would have pip install elsewhere than into .venv, or a build fail on a warning.
ELSEWHERE = ("PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PYTHONWARNINGS", "PYTHONOPTIMIZE")


def torch_options() -> tuple[list[str], str]:
    """Return pip's options for the build of torch that suits this machine, and say which it is."""
    decided = [name for name in DECIDED if os.environ.get(name)]
    if decided and (not NAMED or "PIP_NO_INDEX" in decided):
        return [], f"torch: the build that pip finds by {', '.join(decided)}"
    if not NAMED:
        if platform.system() != "Linux":
            return [], "torch: pip's build for this system, which carries no CUDA"
        if has_nvidia_gpu():
            return [], "torch: pip's build with CUDA, for the NVIDIA GPU here"
    build, index = "the CPU build, from ", without_password(CPU_INDEX)
    if NAMED:
        build, index = "the build of ", f"D2L_TORCH_INDEX ({index})"
    if answers(f"{CPU_INDEX}/torch/"):
        return ["--extra-index-url", CPU_INDEX], f"torch: {build}{index}"
    return [], f"torch: pip's own choice, since {index} did not answer within {PATIENCE} s"


def has_nvidia_gpu() -> bool:
    """Say whether this machine has an NVIDIA GPU, or at least its driver."""
    return bool(shutil.which("nvidia-smi")) or Path("/proc/driver/nvidia").exists()


def without_password(address: str) -> str:
    """Return an address as it may be shown."""
    before, at, after = address.rpartition("@")
    return f"{before.partition('//')[0]}//…@{after}" if at else address


def answers(address: str) -> bool:
    """Say whether a page can be had in time, looking up its host included."""
    answered = []

    def ask():
        with contextlib.suppress(OSError, ValueError, http.client.HTTPException):
            parts = urllib.parse.urlsplit(address)
            login, at, host = parts.netloc.rpartition("@")
            request = urllib.request.Request(parts._replace(netloc=host).geturl())
            if at:
                login = base64.b64encode(urllib.parse.unquote(login).encode()).decode()
                request.add_header("Authorization", f"Basic {login}")
            with urllib.request.urlopen(request, timeout=PATIENCE):
                answered.append(True)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    return bool(answered)


@contextlib.contextmanager
def one_at_a_time(what: str):
    """Let one process at a time do something in this clone; where files have no locks, all."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(ImportError, OSError):  # Windows; file systems without locks
            import fcntl

            (ROOT / "_build").mkdir(exist_ok=True)
            file = stack.enter_context(open(ROOT / "_build" / ".lock", "wb"))
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                print(f"{what} already runs in this folder: this one waits for it.", flush=True)
                fcntl.flock(file, fcntl.LOCK_EX)
        yield


def make_environment(home: Path) -> Path:
    """Make a virtual environment, or mend one whose Python or pip is gone; return its Python."""
    home = home.resolve()  # venv refuses a link
    python = home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not runs(python, "-c", ""):
        if home.exists() and any(home.iterdir()) and not (home / "pyvenv.cfg").exists():
            sys.exit(f"{home} is in the way of a virtual environment: move it elsewhere.")
        # What an older Python left, which was removed since, goes with --clear.
        call([sys.executable, "-m", "venv", "--without-pip", "--clear", str(home)])
    if not runs(python, "-m", "pip", "--version"):
        if not runs(python, "-m", "ensurepip"):
            version = f"{sys.version_info[0]}.{sys.version_info[1]}"
            sys.exit(
                "This Python has no ensurepip, which would bring pip into .venv. On Debian and"
                f" Ubuntu install it with: sudo apt install python{version}-venv"
            )
    return python


def runs(*command) -> bool:
    """Say whether a command can be started and ends well; it shows nothing."""
    try:
        return not subprocess.run(command, env=environment(), capture_output=True).returncode
    except OSError:
        return False


def call(command: list[str]) -> None:
    """Run a command, and end with its status if that is not 0."""
    done = subprocess.run(command, cwd=ROOT, env=environment())
    if done.returncode:
        sys.exit(done.returncode)


def environment() -> dict[str, str]:
    """Return the environment variables under which pip installs into .venv."""
    kept = {name: value for name, value in os.environ.items() if name not in ELSEWHERE}
    return {**kept, "PIP_USER": "0"}


def main() -> None:
    """Make `.venv`, unless it is there, and install what is asked for."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # whatever the terminal can show
    version = sys.version_info[:2]
    if not (3, 10) <= version <= (3, 13):
        sys.exit(
            f"This is Python {version[0]}.{version[1]}; the course needs 3.10 to 3.13. "
            "Name one: make PYTHON=python3.12, or py -3.12 install.py"
        )
    if (platform.system(), platform.machine()) == ("Darwin", "x86_64") and version > (3, 12):
        sys.exit("For Macs with Intel, torch needs Python 3.10 to 3.12: make PYTHON=python3.12")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # not without ending pip
    extras = sys.argv[1:]
    if set(extras) - {"test", "classroom"}:
        sys.exit(f"install.py takes test, classroom or nothing, not {' '.join(extras)!r}")
    with one_at_a_time("An installation or a build"):
        python = make_environment(ROOT / ".venv")
        options, choice = torch_options()
        print(f"Installing into .venv, which takes minutes. {choice}", flush=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        more = ["-e", f".[{','.join(extras)}]"] if extras else []
        call([*pip, *options, "-r", "requirements.txt", *more])


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)

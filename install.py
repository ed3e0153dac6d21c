"""Set up the course in `.venv`: `python3 install.py`, on Windows `py install.py`; so does `make`.

torch is what is large: on Linux, pip's own choice carries CUDA and takes gigabytes. Without an
NVIDIA GPU its CPU build is a tenth of that, if PyTorch's index of those can be reached.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent
CPU_INDEX = os.environ.get("D2L_TORCH_INDEX", "https://download.pytorch.org/whl/cpu")
PATIENCE = 3  # seconds that the index has to answer
# Whoever sets one of these has decided where packages come from.
DECIDED = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX")


def torch_options() -> tuple[list[str], str]:
    """Return pip's options for the build of torch that suits this machine, and say which it is."""
    decided = [name for name in DECIDED if os.environ.get(name)]
    if decided:
        return [], f"torch: the build that pip finds by {', '.join(decided)}"
    if platform.system() != "Linux":
        return [], "torch: pip's build for this system, which carries no CUDA"
    if has_nvidia_gpu():
        return [], "torch: pip's build with CUDA, for the NVIDIA GPU here"
    if answers(f"{CPU_INDEX}/torch/"):
        return ["--extra-index-url", CPU_INDEX], f"torch: the CPU build, from {CPU_INDEX}"
    return [], f"torch: pip's own choice, since {CPU_INDEX} did not answer within {PATIENCE} s"


def has_nvidia_gpu() -> bool:
    """Say whether this machine has an NVIDIA GPU, or at least its driver."""
    return bool(shutil.which("nvidia-smi")) or Path("/proc/driver/nvidia").exists()


def answers(address: str) -> bool:
    """Say whether a page can be had in time, looking up its host included."""
    answered = []

    def ask():
        try:
            with urllib.request.urlopen(address, timeout=PATIENCE):
                answered.append(True)
        except (OSError, ValueError):
            pass

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    return bool(answered)


def main() -> None:
    """Make `.venv`, unless it is there, and install what a reader needs."""
    version = sys.version_info[:2]
    if not (3, 10) <= version <= (3, 13):
        sys.exit(
            f"This is Python {version[0]}.{version[1]}; the course needs 3.10 to 3.13. "
            "Name one: make PYTHON=python3.12, or py -3.12 install.py"
        )
    home = ROOT / ".venv"
    python = home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
    options, choice = torch_options()
    print(f"Installing into .venv, which takes minutes. {choice}", flush=True)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run([*pip, *options, "-r", str(ROOT / "requirements.txt")], cwd=ROOT)
    sys.exit(done.returncode)


if __name__ == "__main__":
    main()

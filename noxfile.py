"""The unit tests, which need no browser and no built book, under each Python: `nox`.

What `tests/unit_tests.txt` names runs. A Python that this machine lacks is skipped, and named.
"""

import os
import runpy
from pathlib import Path

import nox

nox.options.error_on_missing_interpreters = False
nox.options.reuse_venv = "yes"
VERSIONS = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser() / "versions"
# pyenv's Pythons are on the PATH only as stand-ins that refuse unless one is chosen.
FOUND = sorted(map(str, VERSIONS.glob("3.*/bin")))
os.environ["PATH"] = os.pathsep.join([*FOUND, os.environ["PATH"]])


@nox.session(python=["3.10", "3.11", "3.12", "3.13"])
def units(session: nox.Session) -> None:
    """Install what tests need, with the build of torch for this machine, and run them."""
    options, choice = runpy.run_path("install.py")["torch_options"]()
    session.log(choice)
    session.install(*options, "-r", "requirements.txt", "-e", ".[test]")
    environment = {"OMP_NUM_THREADS": "1", "EVERYTHING": ""}
    session.run("pytest", "@tests/unit_tests.txt", *session.posargs, env=environment)

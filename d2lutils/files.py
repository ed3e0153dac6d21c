"""Files that others see whole or not at all."""

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO


def write_whole(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Let `write` fill an open file, and put it in place at one stroke; may raise OSError."""
    # No lock: each process writes a file of its own, and the last one replaces good by the same.
    part = path.with_name(f"{path.name}.{os.urandom(4).hex()}.part")
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(path.parent)
    try:
        with open(part, "wb") as file:
            write(file)
        os.replace(part, path)
    finally:
        with contextlib.suppress(OSError):
            part.unlink()


def _remove_leftovers(folder: Path) -> None:
    """Remove what processes that were killed were writing; another process may do so, too."""
    for part in folder.glob("*.part"):
        with contextlib.suppress(OSError):
            if time.time() - part.stat().st_mtime > 3600:
                part.unlink()

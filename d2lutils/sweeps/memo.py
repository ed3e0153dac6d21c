"""Finished sweeps, kept in the folder that the environment variable D2L_SWEEPS names, if any."""

import contextlib
import hashlib
import json
import os
from pathlib import Path

import numpy as np
import torch

from d2lutils.files import write_whole


def path_of(*arguments: object) -> Path | None:
    """Return where a sweep is kept, by its arguments, the code that trains, and torch's version."""
    if not os.environ.get("D2L_SWEEPS"):
        return None
    here = Path(__file__).parent
    files = [here / "grid.py", here / "network.py", here / "stack.py", here.parent / "data.py"]
    key = [arguments, torch.__version__, *(path.read_text("utf-8") for path in files)]
    name = hashlib.sha256(json.dumps(key).encode()).hexdigest()[:32]
    return Path(os.path.expanduser(os.environ["D2L_SWEEPS"]), f"{name}.npz")


def read(path: Path | None, result) -> bool:
    """Fill the Dataset with what is kept; return whether it was there, and whole."""
    try:
        with np.load(path or "", allow_pickle=False) as file:
            arrays = {
                name: file[name].reshape(old.shape).astype(old.dtype)
                for name, old in result.items()
            }
    except Exception:  # a damaged file can raise anything
        return False
    for name, array in arrays.items():
        result[name].values[...] = array
    return True


def write(path: Path | None, result) -> None:
    """Keep a finished sweep, whole or not at all."""
    arrays = {name: result[name].values for name in result}
    with contextlib.suppress(OSError):  # a full disk costs nothing that was trained
        if path:
            write_whole(path, lambda file: np.savez_compressed(file, **arrays))

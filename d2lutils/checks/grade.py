"""Grading: one check, read anew from its file, that raises if the answer is wrong.

A submission shares its kernel with the cells that grade it, and may have put something else in the
place of `d2lutils.checks`. So nothing of it that is already imported is used; and what the checks
compare with must still tell two numbers apart.
"""

import importlib
import sys

import torch

import d2lutils

_ENGINE, _CONTENT = "d2lutils.checks", "d2lexercises"


def grade(name: str, answer: object) -> None:
    """Raise AssertionError with the diagnosis unless the answer passes its check."""
    zero, one = torch.zeros(2), torch.ones(2)
    if torch.allclose(zero, one) or torch.equal(zero, one):
        raise AssertionError("torch was changed: it takes 0 for 1. Restart the kernel.")
    held = _take_out()
    try:
        result = importlib.import_module(_ENGINE).check(name, answer)
    finally:
        _take_out()
        sys.modules.update(held)
        d2lutils.checks = held.get(_ENGINE)
    if not result.passed:
        diagnosis, hint = result.words
        raise AssertionError(f"{diagnosis}: {hint}")


def _take_out() -> dict:
    """Remove the modules of the checks from those that are imported, and return them."""
    names = [name for name in sys.modules if name.startswith((_ENGINE, _CONTENT))]
    return {name: sys.modules.pop(name) for name in names}

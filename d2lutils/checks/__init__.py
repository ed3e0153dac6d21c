"""Checks of the exercises: what is right, what is wrong, and a hint.

`base` runs an answer and says what it found; a module for each chapter holds its checks, which test
properties on random inputs and take PyTorch as the oracle where PyTorch knows the answer.
"""

import difflib

from d2lutils.checks import base, bugs, dropout, weight_decay  # noqa: F401  (they register their tasks)
from d2lutils.checks.base import TASKS, Result

__all__ = ["Result", "check"]


def check(name: str, answer: object, *, seed: int | None = None) -> Result:
    """Check an answer to an exercise on fresh random inputs.

    Parameters
    ----------
    name : str
        The exercise, such as ``"dropout.layer"``.
    answer : callable
        The function or class that the exercise asks for, itself, not called.
    seed : int, optional
        Repeats a check with the same inputs; fresh ones by default.

    Returns
    -------
    Result
        Shows itself; its ``passed`` says whether every property held. An answer that fails, does
        not end or returns something of no use gives a hint too, and raises nothing. What the answer
        prints is dropped meanwhile, and the random numbers of the notebook stay as they were.

    Raises
    ------
    ValueError
        If there is no exercise of that name.
    """
    if name not in TASKS:
        near = difflib.get_close_matches(str(name), TASKS, 1) or sorted(TASKS)
        raise ValueError(f"there is no exercise {name!r}: try {', '.join(near)}")
    return base.run(name, answer, seed)

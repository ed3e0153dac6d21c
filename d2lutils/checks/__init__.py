"""The engine that checks answers to exercises; the exercises themselves stand in `d2lexercises`.

`expect` holds what an exercise can ask of an answer, `exercise` what an exercise is made of, `run`
how an answer is run without harm to the notebook, `result` what is shown, `grade` what a class needs.
"""

import difflib
import importlib
import pkgutil

from d2lutils.checks.exercise import EXERCISES
from d2lutils.checks.result import Result
from d2lutils.checks.run import run

__all__ = ["Result", "check", "load"]


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
        not end or returns something of no use gives a hint too, and raises nothing. (On Windows,
        and outside of the main thread, nothing stops an endless one: interrupt the kernel.) What
        the answer prints is dropped, and the notebook's random numbers, its settings and the
        functions of torch and NumPy stay as they were.

    Raises
    ------
    ValueError
        If there is no exercise of that name, or the seed is out of range.
    TypeError
        If the seed is no whole number.
    """
    exercises = load(str(name).partition(".")[0])
    if not isinstance(name, str) or name not in exercises:
        every = load()
        near = difflib.get_close_matches(str(name), every, 1) or sorted(every)
        raise ValueError(f"there is no exercise {name!r}: try {', '.join(near)}")
    return run(exercises[name], answer, seed)


def load(chapter: str | None = None) -> dict:
    """Return the exercises of a chapter by their names, or those of all chapters."""
    # Found by name: the engine does not know its content, and a page loads its own chapter alone.
    content = importlib.import_module("d2lexercises")
    for module in pkgutil.iter_modules(content.__path__):
        if chapter in (None, module.name):
            importlib.import_module(f"{content.__name__}.{module.name}")
    return EXERCISES

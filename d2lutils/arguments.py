"""Checks of arguments: each returns the value as it is to be used, or raises one clear sentence."""

import math
import numbers
import operator

import numpy as np
import torch


def check_int(name: str, value: object, low: int, high: int | None = None, why: str = "") -> int:
    """Return `value` as an int from `low` to `high`, or raise with one clear sentence."""
    allowed = f"of at least {low}" if high is None else f"from {low} to {high}"
    try:
        # True counts as 1 in Python, but is a mistake here.
        if isinstance(value, (bool, np.bool_)) or getattr(value, "dtype", None) is torch.bool:
            raise TypeError
        number = operator.index(value)
    except TypeError:
        message = f"{name}={value!r} is no whole number: give one {allowed}{why}"
        raise TypeError(message) from None
    if number < low or (high is not None and number > high):
        raise ValueError(f"{name}={value!r} is out of range: give a whole number {allowed}{why}")
    return number


def check_number(name: str, value: object, low: float, high: float = math.inf) -> float:
    """Return `value` as a finite float from `low` to `high`, or raise with one clear sentence."""
    allowed = f"of at least {low:g}" if high == math.inf else f"from {low:g} to {high:g}"
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name}={value!r} is no number: give one {allowed}")
    if not (math.isfinite(value) and low <= value <= high):  # NaN fails here too
        raise ValueError(f"{name}={value!r} is out of range: give a number {allowed}")
    return float(value)


def check_choice(name: str, value: object, allowed: tuple[str, ...]) -> str:
    """Return `value` if it is one of the `allowed`, or raise with one clear sentence."""
    if value not in allowed:
        raise ValueError(f"{name}={value!r} is not offered; give {' or '.join(map(repr, allowed))}")
    return value


def check_size(name: str, value: object) -> tuple[int, int]:
    """Return height and width, of at least 1, given as such a pair or as one number for both."""
    if not isinstance(value, (tuple, list)):
        value = (check_int(name, value, low=1),) * 2
    if len(value) != 2:
        raise ValueError(f"{name}={value!r} is out of range: give a size or (height, width)")
    return tuple(check_int(f"{name}[{i}]", side, low=1) for i, side in enumerate(value))


def check_seed(seed: object) -> int:
    """Return a seed that torch, NumPy and Python all accept."""
    return check_int("seed", seed, low=0, high=2**32 - 1)

"""Checks of arguments: each returns the value as it is to be used, or raises one clear sentence."""

import decimal
import math
import numbers
import operator
import os
import reprlib
from collections.abc import Sequence

import numpy as np

LARGEST = 2**31 - 1  # of a whole number: more than any data set, and still an index everywhere


class _Repr(reprlib.Repr):
    """A repr that is short, also of lists of arrays."""

    def __init__(self):
        super().__init__()
        self.maxstring = self.maxother = 60

    def repr_Tensor(self, value, level):  # reprlib looks for this name
        return shown(value)

    repr_ndarray = repr_Parameter = repr_DataArray = repr_Tensor


def shown(value: object) -> str:
    """Return any value in a few words, whatever its own repr does; of an array, what it is."""
    value = _unwrapped(value)
    try:
        if hasattr(value, "shape") and hasattr(value, "dtype"):
            device = str(getattr(value, "device", "cpu"))
            where = "" if device == "cpu" else f" on {device}"
            dtype, kind = str(value.dtype).removeprefix("torch."), type(value).__name__
            return f"<{dtype} {kind} {tuple(value.shape)}{where}>"
        return " ".join(_Repr().repr(value).split())
    except Exception:  # a class of the user's may raise anything here
        return f"<{type(value).__name__}>"


def _unwrapped(value: object) -> object:
    """Return the number in an array or a tensor without dimensions; anything else as it is."""
    try:
        return value.item() if value.shape == () else value
    except Exception:  # it has no shape, or holds no number
        return value


def wrong_type(name: str, value: object, allowed: str) -> TypeError:
    """Return the error that says what `name` is, and what it should be."""
    return TypeError(f"{name}={shown(value)} is of type {type(value).__name__}: give {allowed}")


def check_int(name: str, value: object, low: int, high: int | None = None, why: str = "") -> int:
    """Return `value` as an int from `low` to `high`, or raise with one clear sentence."""
    allowed = f"a whole number of at least {low}"
    if high is not None:
        allowed = f"a whole number from {low} to {high}"
    try:
        number = _unwrapped(value)
        # True counts as 1 in Python, and [8] as 8 in torch, but they are mistakes here.
        if isinstance(number, bool) or hasattr(number, "shape"):
            raise TypeError
        number = operator.index(number)
    except TypeError:
        raise wrong_type(name, value, f"{allowed}{why}") from None
    if high is None and number > LARGEST:
        allowed += f", and of at most {LARGEST}"
    if not low <= number <= (LARGEST if high is None else high):
        raise ValueError(f"{name}={shown(value)} is out of range: give {allowed}{why}")
    return number


def check_number(name: str, value: object, low: float, high: float = math.inf) -> float:
    """Return `value` as a finite float from `low` to `high`, or raise with one clear sentence."""
    allowed = "a finite number" if low == -math.inf else f"a number of at least {low:g}"
    if high < math.inf:
        allowed = f"a number from {low:g} to {high:g}"
    number = _unwrapped(value)
    if isinstance(number, bool) or not isinstance(number, (numbers.Real, decimal.Decimal)):
        raise wrong_type(name, value, allowed)
    try:
        number = float(number)
    except (OverflowError, ValueError):  # 10**400, or a Decimal that is a signalling NaN
        number = math.nan
    if not (math.isfinite(number) and low <= number <= high):  # NaN fails here too
        raise ValueError(f"{name}={shown(value)} is out of range: give {allowed}")
    return number


def check_choice(name: str, value: object, allowed: tuple[str, ...]) -> str:
    """Return `value` if it is one of the `allowed`, or raise with one clear sentence."""
    if not isinstance(value, str) or value not in allowed:
        choice = " or ".join(map(repr, allowed))
        raise ValueError(f"{name}={shown(value)} is not offered; give {choice}")
    return value


def check_flag(name: str, value: object) -> bool:
    """Return True or False, or raise with one clear sentence."""
    if not isinstance(_unwrapped(value), bool):
        raise wrong_type(name, value, "True or False")
    return bool(value)


def check_sequence(
    name: str, value: object, example: str, least: int = 0, most: int = 1_000_000
) -> list:
    """Return the entries of a list, a tuple, a range, an array or a tensor, or raise."""
    array = getattr(value, "values", value) if hasattr(value, "dims") else value  # of xarray
    is_array = hasattr(array, "tolist") and getattr(array, "shape", (0,)) != ()
    if isinstance(array, (str, bytes, bytearray)) or not (is_array or isinstance(array, Sequence)):
        raise TypeError(f"{name}={shown(value)} must be a sequence: give one, such as {example}")
    try:
        if len(array) > most:
            raise OverflowError
    except OverflowError:  # also of a range that has no length in C
        message = f"{name}={shown(value)} is too long: give at most {most:,} values"
        raise ValueError(message) from None
    if len(array) < least:
        raise ValueError(f"{name} is empty: give at least one value, such as {example}")
    return array.tolist() if is_array and array.ndim == 1 else list(array)


def check_size(name: str, value: object) -> tuple[int, int]:
    """Return height and width, of at least 1, given as such a pair or as one number for both."""
    if isinstance(value, Sequence) and not isinstance(value, str) or np.ndim(value) == 1:
        sides = check_sequence(name, value, "(28, 28)")
        if len(sides) != 2:
            raise ValueError(f"{name}={shown(value)} is out of range: give one or (height, width)")
        return tuple(check_int(f"{name}[{i}]", side, low=1) for i, side in enumerate(sides))
    return (check_int(name, value, low=1),) * 2


def check_seed(seed: object, name: str = "seed") -> int:
    """Return a seed that torch, NumPy and Python all accept."""
    return check_int(name, seed, low=0, high=2**32 - 1)


def check_callable(name: str, value: object, example: str) -> None:
    """Raise with one clear sentence unless `value` is an object that can be called."""
    if isinstance(value, type):
        raise TypeError(f"{name} is the class {value.__name__}: give an object, such as {example}")
    if not callable(value):
        raise TypeError(f"{name}={shown(value)} cannot be called: give one such as {example}")


def check_path(name: str, path: object) -> str | None:
    """Return a path as a string, None for None, or raise with one clear sentence."""
    if path is None:
        return None
    if not isinstance(path, (str, os.PathLike)) or not isinstance(os.fspath(path), str):
        raise wrong_type(name, path, "the path of a folder, as a string")
    path = os.fspath(path)
    if not path.strip() or "\0" in path:
        raise ValueError(f"{name}={shown(path)} names no folder: give the path of one")
    return path

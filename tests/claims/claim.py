"""The form of a claim."""

from collections.abc import Callable
from dataclasses import dataclass

SEEDS = (0, 1, 2)


@dataclass(frozen=True)
class Claim:
    """A sentence of a page, and two measurements of which it says that one is larger.

    Attributes
    ----------
    page : str
        Such as ``"weight_decay/mlp"``.
    sentence : str
        As it stands on the page; line breaks do not matter.
    larger, smaller : callable
        From a seed to a number; cache what takes long (`functools.cache`).
    margin : float
        By how much, for every seed, at least; not negative, so that swapped settings fail.
    """

    page: str
    sentence: str
    larger: Callable[[int], float]
    smaller: Callable[[int], float]
    margin: float = 0.0

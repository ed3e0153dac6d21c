"""The form of a claim, and how claims measure what their page ran."""

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import xarray as xr

from book.pages import run_cells

SEEDS = (0, 1, 2)
page = functools.cache(run_cells)  # what cells define, executed once


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

    Raises
    ------
    ValueError
        If `margin` is negative.
    """

    page: str
    sentence: str
    larger: Callable[[int], float]
    smaller: Callable[[int], float]
    margin: float = 0.0

    def __post_init__(self):
        if self.margin < 0:
            raise ValueError(
                f"margin is {self.margin} in the claim {self.sentence!r}; below 0 it would hold "
                "with the two settings swapped, too. Give a margin of 0 or more."
            )


def curve(runs: Callable[[], xr.Dataset], metric: str, **at) -> Callable[[int], np.ndarray]:
    """Return a measurement of a sweep: from a seed to the metric after each epoch.

    `runs` is called when it measures; `at` says where, as in ``lam=0.02, label_noise=0.4``.
    """
    return lambda seed: runs()[metric].sel(seed=seed, **at).squeeze().transpose("epoch").values


def end(runs: Callable[[], xr.Dataset], metric: str, **at) -> Callable[[int], float]:
    """Return a measurement of a sweep: from a seed to the metric after training."""

    def measure(seed):
        values = runs()[metric].sel(seed=seed, **at)
        return (values.isel(epoch=-1) if "epoch" in values.dims else values).item()

    return measure

"""The forms of a claim, and how claims measure what their page ran."""

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import xarray as xr

from book.pages import run_cells
from d2lutils import compare, load_fashion_mnist
from d2lutils.sweeps import Comparison

SEEDS = (0, 1, 2)
page = functools.cache(run_cells)  # what cells define, executed once
WORDS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen"
    " sixteen seventeen eighteen nineteen twenty"
).split()
_UNITS = {"": 1, "%": 100, "percent": 100, "point": 100, "points": 100}


@dataclass(frozen=True)
class Claim:
    """A sentence of a page, and two measurements of which it says that one is larger.

    Attributes
    ----------
    page : str
        Such as ``"weight_decay/mlp"``.
    sentence : str
        As it stands on the page; line breaks do not matter. A number in braces must be the bound
        that the inequality holds, its `margin` or a side that is the same for all seeds:
        ``"it stays above {80 %}."``
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

    def check(self) -> None:
        """Raise AssertionError if it does not hold for every seed, or says another bound."""
        pairs = [(self.larger(seed), self.smaller(seed)) for seed in SEEDS]
        assert all(larger - smaller > self.margin for larger, smaller in pairs), pairs
        bounds = [{self.margin}, *map(set, zip(*pairs, strict=True))]
        for said in numbers_in(self.sentence):
            assert any(np.allclose([*b], said, rtol=0, atol=1e-9) for b in bounds), (said, bounds)


@dataclass(frozen=True)
class Measured:
    """A sentence of a page that states numbers, rounded, and what measures each of them.

    Attributes
    ----------
    page : str
        Such as ``"weight_decay/mlp"``.
    sentence : str
        As it stands on the page, each number in braces with its unit:
        ``"falls to {61 %} while training reaches {97 %}"``, ``"{2.5 points} more"``.
    values : tuple of callable
        For each number, from a seed to what is measured: 0.61, 0.97; its mean over seeds counts.
    within : float
        How far a mean may be from a number said, from the spread over seeds and machines; less
        than each number, which else might as well be zero.

    Raises
    ------
    ValueError
        If there is not one measurement for each number, or `within` is too wide.
    """

    page: str
    sentence: str
    values: tuple[Callable[[int], float], ...]
    within: float

    def __post_init__(self):
        if len(self.values) != len(self.numbers) or not self.values:
            raise ValueError(
                f"{len(self.values)} measurements for the numbers in {self.sentence!r}"
            )
        if any(0 < abs(said) <= self.within for said in self.numbers):
            raise ValueError(f"within={self.within} is too wide for a number in {self.sentence!r}")

    @property
    def numbers(self) -> list[float]:
        """What the sentence says, as fractions of one where it says percent or points."""
        return numbers_in(self.sentence)

    def check(self) -> None:
        """Raise AssertionError if a mean over the seeds is another number."""
        means = [np.mean([value(seed) for seed in SEEDS]) for value in self.values]
        assert np.allclose(means, self.numbers, rtol=0, atol=self.within), (means, self.numbers)


def numbers_in(sentence: str) -> list[float]:
    """Return the numbers that stand in braces."""
    return [number(text) for text in re.findall(r"\{(.+?)\}", sentence)]


def number(text: str) -> float:
    """Return the number that prose says: ``"61 %"``, ``"-0.02"``, ``"two points"``."""
    amount, _, unit = text.replace("−", "-").replace("%", " %").partition(" ")
    amount = amount.lower()
    value = WORDS.index(amount) if amount in WORDS else float(amount.replace(",", ""))
    return value / _UNITS[unit.strip()]


def zero(_: int) -> float:
    """Measure nothing: what a difference is held against."""
    return 0.0


def minus(first: Callable, second: Callable) -> Callable[[int], float]:
    """Return a measurement: by how much the first exceeds the second."""
    return lambda seed: first(seed) - second(seed)


def interval(first: Callable, second: Callable = zero) -> Comparison:
    """Return the difference of two measurements, or of one from zero, over the seeds."""
    return compare(*([measure(seed) for seed in SEEDS] for measure in (first, second)))


def room_for_zero(found: Comparison) -> float:
    """Return how far inside an interval zero lies; negative if it lies outside."""
    return min(found.high, -found.low)


def cannot_tell(page: str, sentence: str, first: Callable, second: Callable = zero) -> Claim:
    """Return the claim that the seeds cannot tell two measurements apart, or one from zero."""
    return Claim(page, sentence, lambda _: room_for_zero(interval(first, second)), zero)


@functools.cache
def share_right(seed: int, **sizes: int) -> float:
    """Measure the share of right labels among 1,000 of which 40 % were redrawn."""
    how = {"train_size": 1000, "label_noise": 0.4, "seed": seed, "device": "cpu"} | sizes
    train_iter, *_ = load_fashion_mnist(**how)
    return (train_iter.labels == train_iter.clean_labels).float().mean().item()


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

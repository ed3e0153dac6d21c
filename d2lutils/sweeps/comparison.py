"""Whether two settings differ by more than seeds do."""

import math
from dataclasses import dataclass

import numpy as np

from d2lutils.arguments import check_number, check_sequence, shown


@dataclass(frozen=True)
class Comparison:
    """The difference of two settings over the same seeds, with a 95 % confidence interval.

    Attributes
    ----------
    difference : float
        Mean over the seeds of the first minus the second.
    low, high : float
        Ends of the interval (Student's t on the paired differences).
    num_seeds : int
        How many pairs there were.
    """

    difference: float
    low: float
    high: float
    num_seeds: int

    @property
    def verdict(self) -> str:
        """Where the interval lies: "below" zero, "above" it, or, around it, "cannot tell"."""
        if self.high < 0:
            return "below"
        return "above" if self.low > 0 else "cannot tell"

    def __str__(self) -> str:
        sign = {"below": "< 0", "above": "> 0", "cannot tell": "?"}[self.verdict]
        style, nearest = "+.4f", min(abs(self.low), abs(self.high))
        if sign != "?" and nearest < 5e-5:  # else what is said not to be zero would be shown as 0
            style = "+.1e"
        return f"{self.difference:{style}} [{self.low:{style}}, {self.high:{style}}] {sign}"

    __repr__ = __str__


def compare(a, b) -> Comparison:
    """Tell whether `a` and `b` differ by more than seeds do.

    Parameters
    ----------
    a, b : xarray.DataArray or sequence of float
        One number for each seed, in the same order: a measurement of one point of a sweep, as in
        ``result.test_accuracy.sel(lam=0.01)``, or any numbers.

    Returns
    -------
    Comparison
        The mean difference and its interval.

    Raises
    ------
    TypeError, ValueError
        If there are fewer than two seeds, not the same ones on both sides, or no finite numbers.
    """
    from scipy.special import stdtrit  # here, since d2lutils is imported faster without

    dtypes = [str(getattr(x, "dtype", "")) for x in (a, b)]
    rounding = 1e-6 if any("float32" in dtype for dtype in dtypes) else 1e-12
    (a, seeds), (b, others) = _per_seed("a", a), _per_seed("b", b)
    if seeds and others and seeds != others:
        message = f"a has seeds {shown(seeds)}, b {shown(others)}; compare the same seeds"
        raise ValueError(message)
    if len(a) != len(b) or len(a) < 2:
        raise ValueError(f"seeds of a: {len(a)}, of b: {len(b)}; give the same, at least two")
    with np.errstate(all="ignore"):
        differences = a - b
        # What rounding alone can leave is no difference.
        differences[abs(differences) < rounding * np.maximum(abs(a), abs(b))] = 0.0
        mean, error = differences.mean(), differences.std(ddof=1) / math.sqrt(len(a))
        reach = stdtrit(len(a) - 1, 0.975) * error
    if not math.isfinite(mean) or not math.isfinite(reach):
        raise ValueError("a and b differ by more than a float can hold: give smaller numbers")
    return Comparison(float(mean), float(mean - reach), float(mean + reach), len(a))


def _per_seed(name: str, x) -> tuple[np.ndarray, list]:
    """Return a number for each seed, and the seeds if they are known, or raise."""
    seeds = []
    if hasattr(x, "dims"):
        x = x.squeeze([dim for dim, size in x.sizes.items() if size == 1 and dim != "seed"])
        if x.dims == ():
            raise ValueError(f"{name} has a single seed left; give all of them, at least two")
        if x.dims != ("seed",) or not hasattr(x, "values") or callable(x.values):
            raise ValueError(
                f"{name} is a grid of {dict(x.sizes)}; pick one point of it, as in"
                " .sel(lam=0.01, label_noise=0.4), and one number for each seed"
            )
        seeds = x.seed.values.tolist() if "seed" in x.coords else []
        lost = [seed for seed, value in zip(seeds, x.values, strict=False) if value != value]
        if lost:
            raise ValueError(
                f"{name} must be finite, and is NaN for seed {shown(lost)[1:-1]}: its training"
                " diverged or is not finished"
            )
    numbers = check_sequence(name, x, "[0.81, 0.82]")
    numbers = [
        check_number(f"{name}[{i}]", value, low=-math.inf) for i, value in enumerate(numbers)
    ]
    return np.array(numbers), seeds

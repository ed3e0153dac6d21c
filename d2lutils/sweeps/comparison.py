"""Whether two settings differ by more than seeds do."""

import math
from dataclasses import dataclass

import numpy as np


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
        return f"{self.difference:+.4f} [{self.low:+.4f}, {self.high:+.4f}] {sign}"

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
    ValueError
        If there are fewer than two seeds, or not the same ones on both sides.
    """
    from scipy.special import stdtrit  # here, since d2lutils is imported faster without

    a, b = _per_seed("a", a), _per_seed("b", b)
    seeds = [x.seed.values.tolist() for x in (a, b) if hasattr(x, "seed")]
    if len(seeds) == 2 and seeds[0] != seeds[1]:
        raise ValueError(f"a has seeds {seeds[0]}, b {seeds[1]}; compare the same seeds")
    if len(a) != len(b) or len(a) < 2:
        raise ValueError(f"seeds of a: {len(a)}, of b: {len(b)}; give the same, at least two")
    differences = np.subtract(*(np.asarray(x, dtype=float) for x in (a, b)))
    mean, error = differences.mean(), differences.std(ddof=1) / math.sqrt(len(a))
    reach = stdtrit(len(a) - 1, 0.975) * error
    return Comparison(float(mean), float(mean - reach), float(mean + reach), len(a))


def _per_seed(name: str, x):
    """Return `x` with its only dimension, or raise."""
    if hasattr(x, "dims"):
        x = x.squeeze([dim for dim, size in x.sizes.items() if size == 1 and dim != "seed"])
        if x.dims == ():
            raise ValueError(f"{name} has a single seed left; give all of them, at least two")
        if x.dims != ("seed",):
            raise ValueError(
                f"{name} is a grid of {dict(x.sizes)}; pick one point of it, as in"
                " .sel(lam=0.01, label_noise=0.4), and one number for each seed"
            )
    values = np.asarray(x, dtype=float)
    if values.ndim != 1 or not np.isfinite(values).all():
        raise ValueError(f"{name} must be one finite number for each seed, not {values.tolist()}")
    return x if hasattr(x, "dims") else values

"""Claims of the page dropout/exercises, measured with its own code and settings."""

import functools

import numpy as np

import d2lutils as d2l
from tests.claims.claim import Claim, curve, end, page

_PAGE = "dropout/exercises"
_T = 2.776  # two-sided 95% of Student's t with four degrees of freedom


def _result(cell):
    """Return a function that runs the sweep of a cell."""
    return lambda: page(_PAGE, "imports", "settings", cell)["result"]


def _swap(p1, p2):
    """Validation accuracy after the last epoch."""
    return end(_result("swap"), "valid_accuracy", p1=p1, p2=p2)


def _swap_difference():
    pairs = [(_swap(0.2, 0.6)(seed), _swap(0.6, 0.2)(seed)) for seed in range(5)]
    return np.array([low_high - high_low for low_high, high_low in pairs])


def _long(metric, p):
    """Validation loss or accuracy, epoch by epoch."""
    return curve(_result("long"), f"valid_{metric}", p=p)


def _minimum(seed, p):
    """The number of epochs with the lowest validation loss."""
    return _long("loss", p)(seed).argmin() + 1


def _rise(seed, p):
    losses = _long("loss", p)(seed)
    return losses[-1] - losses.min()


@functools.cache
def _variances(seed, p):
    """One row for each of the four epochs, one column for each hidden layer."""
    names = page(_PAGE, "imports", "activations-solution", "snapshots")
    _, valid_iter, _ = d2l.load_fashion_mnist(valid_size=1000, device="cpu")
    nets = names["snapshots"](p, seed)
    return [names["activation_variance"](net, valid_iter.images / 255) for net in nets]


def _smallest_lead(seed):
    """By how much the variance without dropout exceeds the one with it, where it does least."""
    return min(
        plain - noisy
        for rows in zip(_variances(seed, 0), _variances(seed, 0.5), strict=True)
        for plain, noisy in zip(*rows, strict=True)
    )


def _smallest_growth(seed):
    """Of the second layer's variance, from the first to the last measurement."""
    return min(_variances(seed, p)[-1][1] - _variances(seed, p)[0][1] for p in (0, 0.5))


def _interaction(seed):
    none, dropout, decay, both = (
        end(_result("together"), "valid_accuracy", lam=lam, p=p)(seed)
        for lam, p in ((0, 0), (0, 0.4), (0.03, 0), (0.03, 0.4))
    )
    return (both - dropout) - (decay - none)


_MINIMUM = "Without dropout the validation loss has its minimum early and climbs afterwards"
_LATER = "With dropout the minimum comes later, and the loss rises much less after it."

CLAIMS: list[Claim] = [
    Claim(
        _PAGE,
        "At these settings (0.2, 0.6) is worth several points of validation accuracy.",
        larger=_swap(0.2, 0.6),
        smaller=_swap(0, 0),
        margin=0.02,
    ),
    Claim(
        _PAGE,
        "with five seeds the interval of the swap contains zero.",
        larger=lambda seed: _T * _swap_difference().std(ddof=1) / 5**0.5,
        smaller=lambda seed: abs(_swap_difference().mean()),
    ),
    Claim(
        _PAGE,
        _MINIMUM,
        larger=lambda seed: 30,  # half of the epochs
        smaller=lambda seed: _minimum(seed, 0),
    ),
    Claim(_PAGE, _MINIMUM, larger=lambda seed: _rise(seed, 0), smaller=lambda seed: 0, margin=0.3),
    Claim(
        _PAGE,
        _LATER,
        larger=lambda seed: _minimum(seed, 0.5),
        smaller=lambda seed: _minimum(seed, 0),
        margin=5,
    ),
    Claim(
        _PAGE,
        _LATER,
        larger=lambda seed: _rise(seed, 0),
        smaller=lambda seed: 2 * _rise(seed, 0.5),
    ),
    Claim(
        _PAGE,
        "after sixty epochs the network with dropout has the higher validation accuracy.",
        larger=lambda seed: _long("accuracy", 0.5)(seed)[-1],
        smaller=lambda seed: _long("accuracy", 0)(seed)[-1],
        margin=0.03,
    ),
    Claim(
        _PAGE,
        "With dropout the activations of both layers vary less than without, at each of the four"
        " epochs",
        larger=_smallest_lead,
        smaller=lambda seed: 0,
        margin=0.05,
    ),
    Claim(
        _PAGE,
        "in the second layer the variance grows during training, in both networks",
        larger=_smallest_growth,
        smaller=lambda seed: 0,
        margin=0.05,
    ),
    Claim(
        _PAGE,
        "Here the interaction is negative for every seed",
        larger=lambda seed: 0,
        smaller=_interaction,
        margin=0.02,
    ),
]

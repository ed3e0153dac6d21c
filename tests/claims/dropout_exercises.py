"""Claims of the page dropout/exercises, measured with its own code and settings."""

import functools

import d2lutils as d2l
from book.pages import run_cells
from tests.claims.claim import Claim

_PAGE = "dropout/exercises"
_T = 2.776  # two-sided 95% of Student's t with four degrees of freedom


@functools.cache
def _page():
    return run_cells(_PAGE, "imports", "settings", "activations-solution", "snapshots")


@functools.cache
def _sweep(seed, lam=(0,), p=((0, 0),), num_epochs=30):
    """The sweep of a cell; `seed` may be a tuple of several."""
    seeds = list(seed) if isinstance(seed, tuple) else [seed]
    settings = {**_page()["small"], "num_epochs": num_epochs, "progress": False}
    return d2l.sweep(lam, p, seeds=seeds, **settings)


def _accuracy(result, lam=0, p=0):
    """Validation accuracy of each seed after the last epoch."""
    return result.valid_accuracy[lam, p, 0, :, -1]


def _swap(seeds):
    return _sweep(seeds, p=((0, 0), (0.2, 0.6), (0.6, 0.2)))


def _swap_difference():
    result = _swap((0, 1, 2, 3, 4))
    return _accuracy(result, p=1) - _accuracy(result, p=2)


def _long(seed, p):
    """Validation loss and accuracy, epoch by epoch."""
    result = _sweep(seed, p=((0, 0), (0.5, 0.5)), num_epochs=60)
    return result.valid_loss[0, p, 0, 0], result.valid_accuracy[0, p, 0, 0]


def _rise(seed, p):
    losses, _ = _long(seed, p)
    return losses[-1] - losses.min()


@functools.cache
def _variances(seed, p):
    """One row for each of the four epochs, one column for each hidden layer."""
    page = _page()
    _, valid_iter, _ = d2l.load_fashion_mnist(valid_size=1000, device="cpu")
    nets = page["snapshots"](p, seed)
    return [page["activation_variance"](net, valid_iter.images / 255) for net in nets]


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
    result = _sweep(seed, lam=(0, 0.03), p=((0, 0), (0.4, 0.4)))
    none, dropout, decay, both = (
        _accuracy(result, lam, p)[0] for lam, p in ((0, 0), (0, 1), (1, 0), (1, 1))
    )
    return (both - dropout) - (decay - none)


_MINIMUM = "Without dropout the validation loss has its minimum early and climbs afterwards"
_LATER = "With dropout the minimum comes later, and the loss rises much less after it."

CLAIMS: list[Claim] = [
    Claim(
        _PAGE,
        "At these settings (0.2, 0.6) is worth several points of validation accuracy.",
        larger=lambda seed: _accuracy(_swap(seed), p=1)[0],
        smaller=lambda seed: _accuracy(_swap(seed), p=0)[0],
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
        smaller=lambda seed: _long(seed, 0)[0].argmin() + 1,
    ),
    Claim(_PAGE, _MINIMUM, larger=lambda seed: _rise(seed, 0), smaller=lambda seed: 0, margin=0.3),
    Claim(
        _PAGE,
        _LATER,
        larger=lambda seed: _long(seed, 1)[0].argmin(),
        smaller=lambda seed: _long(seed, 0)[0].argmin(),
        margin=5,
    ),
    Claim(
        _PAGE,
        _LATER,
        larger=lambda seed: _rise(seed, 0),
        smaller=lambda seed: 2 * _rise(seed, 1),
    ),
    Claim(
        _PAGE,
        "after sixty epochs the network with dropout has the higher validation accuracy.",
        larger=lambda seed: _long(seed, 1)[1][-1],
        smaller=lambda seed: _long(seed, 0)[1][-1],
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

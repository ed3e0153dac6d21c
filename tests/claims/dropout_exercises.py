"""Claims of the page dropout/exercises, measured with its own code and settings."""

import functools

import d2lutils as d2l
from tests.claims.claim import SEEDS, Claim, Measured, cannot_tell, curve, end, interval, page, zero

_PAGE = "dropout/exercises"
_NONE, _LOW_HIGH, _HIGH_LOW = (0, 0), (0.2, 0.5), (0.5, 0.2)


def _plain():
    return page(_PAGE, "imports", "settings", "swap")["result"]


def _decayed():
    """Validation accuracy with λ = 0.02, under the name that it has in a sweep."""
    cells = ("imports", "settings", "swap", "long", "together")
    return page(_PAGE, *cells)["decayed"].to_dataset(name="valid_accuracy")


def _end(p, metric="valid_accuracy", runs=_plain):
    """The metric after the last epoch."""
    return end(runs, metric, p1=p[0], p2=p[1])


def _gain(p, runs=_plain):
    """What a setting adds to training with neither dropout nor decay."""
    return lambda seed: _end(p, runs=runs)(seed) - _end(_NONE)(seed)


def _swap(seed):
    return _end(_HIGH_LOW)(seed) - _end(_LOW_HIGH)(seed)


def _curve(metric, p):
    """Validation loss or accuracy, epoch by epoch."""
    return curve(_plain, f"valid_{metric}", p1=p[0], p2=p[1])


def _best_epoch(p):
    """With the lowest mean validation loss, from 1, as on the page."""
    return 1 + sum(_curve("loss", p)(seed) for seed in SEEDS).argmin()


def _best(metric, p):
    """The metric after that epoch."""
    return lambda seed: _curve(metric, p)(seed)[_best_epoch(p) - 1]


def _lead_at_best(metric):
    return lambda seed: _best(metric, _HIGH_LOW)(seed) - _best(metric, _NONE)(seed)


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


def _largest_ratio(seed):
    """Of the second layer's variance, with dropout to without, over the four epochs."""
    rows = zip(_variances(seed, 0.5), _variances(seed, 0), strict=True)
    return max(noisy[1] / plain[1] for noisy, plain in rows)


def _smallest_growth(seed):
    """Of the second layer's variance, from the first to the last measurement."""
    return min(_variances(seed, p)[-1][1] - _variances(seed, p)[0][1] for p in (0, 0.5))


def _interaction(seed):
    dropout, decay, both = (
        _end(p, runs=runs)(seed)
        for runs, p in ((_plain, _HIGH_LOW), (_decayed, _NONE), (_decayed, _HIGH_LOW))
    )
    return (both - dropout) - (decay - _end(_NONE)(seed))


SWAP = [
    Measured(
        _PAGE,
        "(0.2, 0.5) gains {10.7 points} and (0.5, 0.2) gains {13.1 points}",
        (_gain(_LOW_HIGH), _gain(_HIGH_LOW)),
        within=0.012,  # spread over seeds .001 to .002 here, .010 between draws of the images
    ),
    Measured(
        _PAGE,
        "(0.2, 0.5) ends {2.4 points} *below* (0.5, 0.2)",
        (_swap,),
        within=0.01,  # spread over seeds .003
    ),
    Claim(_PAGE, "in each of the three seeds", _end(_HIGH_LOW), _end(_LOW_HIGH), margin=0.01),
    Claim(_PAGE, "the interval lies below zero.", lambda _: interval(_swap).low, zero),
    Measured(
        _PAGE,
        "Without dropout the training accuracy is {96 %}, with (0.2, 0.5) it is {73 %}, with (0.5,"
        " 0.2) only {66 %}.",
        tuple(_end(p, "final_train_accuracy") for p in (_NONE, _LOW_HIGH, _HIGH_LOW)),
        within=0.015,  # spread over seeds up to .015
    ),
]

EPOCHS = [
    Claim(
        _PAGE,
        "Without dropout the validation loss is lowest around epoch 12",
        lambda seed: 25,
        lambda seed: _best_epoch(_NONE),
    ),
    Measured(
        _PAGE,
        "climbs from {1.02} to {1.31} afterwards",
        (_best("loss", _NONE), _end(_NONE, "valid_loss")),
        within=0.04,  # spread over seeds .01 and .03
    ),
    Measured(
        _PAGE,
        "the accuracy falls with it, from {73 %} to {61 %}.",
        (_best("accuracy", _NONE), _end(_NONE)),
        within=0.012,  # spread over seeds .008 and .009
    ),
    Claim(
        _PAGE,
        "With dropout the minimum comes near the end",
        lambda seed: _best_epoch(_HIGH_LOW),
        lambda seed: 40,
    ),
    Measured(
        _PAGE,
        "nothing is lost after it: {1.00}, and {74 %}.",
        (_end(_HIGH_LOW, "valid_loss"), _end(_HIGH_LOW)),
        within=0.02,  # spread over seeds .012 and .009
    ),
    *(
        cannot_tell(
            _PAGE,
            "three seeds cannot tell them apart, neither by loss nor by accuracy.",
            _lead_at_best(metric),
        )
        for metric in ("loss", "accuracy")
    ),
    Measured(
        _PAGE,
        "here it brings {12 points} of the {13 points}.",
        (lambda seed: _best("accuracy", _NONE)(seed) - _end(_NONE)(seed), _gain(_HIGH_LOW)),
        within=0.015,  # spread over seeds .011 and .001
    ),
]

ACTIVATIONS = [
    Claim(
        _PAGE,
        "With dropout the activations of both layers vary less than without, at each of the four"
        " epochs",
        _smallest_lead,
        lambda seed: 0,
        margin=0.05,
    ),
    Claim(
        _PAGE,
        "in the second layer less than half as much.",
        lambda seed: 0.5,
        _largest_ratio,
    ),
    Claim(
        _PAGE,
        "in the second layer the variance grows during training, in both networks",
        _smallest_growth,
        lambda seed: 0,
        margin=0.05,
    ),
]

INTERACTION = [
    Measured(
        _PAGE,
        "weight decay gains {13.2 points} alone, dropout {13.1 points} alone, and both together"
        " {13.0 points}:",
        (_gain(_NONE, _decayed), _gain(_HIGH_LOW), _gain(_HIGH_LOW, _decayed)),
        within=0.012,  # spread over seeds up to .014
    ),
    Measured(
        _PAGE,
        "as large as a whole gain, {−13.3 points}",
        (_interaction,),
        within=0.015,  # spread over seeds .010
    ),
    Claim(_PAGE, "negative for every seed", lambda seed: 0, _interaction, margin=0.08),
]

CLAIMS: list[Claim | Measured] = [*SWAP, *EPOCHS, *ACTIVATIONS, *INTERACTION]

"""Claims of the page dropout/activations, measured with its own code and settings."""

import functools

from tests.claims.claim import Claim, Measured, page

_PAGE = "dropout/activations"
_NEAR = 0.025  # single variances scatter by .003 to .035 over seeds, most in the first epochs


@functools.cache
def _inside():
    cells = "imports hooks optimizer fit first-run table second-run".split()
    return page(_PAGE, *cells)["inside"]


def _variance(label, layer, epoch):
    return lambda seed: _inside()[label][seed, layer - 1, epoch - 1].item()


def _accuracy(label, epoch=60):
    return lambda seed: _inside()[label][seed, 2, epoch - 1].item()


_NONE, _FIRST, _SECOND, _DECAY = "none", "p = (0.5, 0)", "p = (0, 0.5)", "λ = 0.02"

CLAIMS: list[Claim | Measured] = [
    Measured(
        _PAGE,
        "the variance in the first layer is {0.05} with dropout and {0.30} without, in the second"
        " layer {0.10} and {0.49}.",
        tuple(_variance(p, layer, 60) for layer in (1, 2) for p in (_FIRST, _NONE)),
        within=_NEAR,
    ),
    Measured(
        _PAGE,
        "in epoch 2 it is {0.11} against {0.28} in the first layer.",
        (_variance(_FIRST, 1, 2), _variance(_NONE, 1, 2)),
        within=_NEAR,
    ),
    Measured(
        _PAGE,
        "From epoch 10, where its variance is {0.20}, it more than doubles, while training accuracy"
        " goes to {97 %}.",
        (_variance(_NONE, 2, 10), _accuracy(_NONE)),
        within=0.02,
    ),
    Claim(
        _PAGE,
        "it more than doubles",
        _variance(_NONE, 2, 60),
        lambda seed: 2 * _variance(_NONE, 2, 10)(seed),
    ),
    Measured(
        _PAGE,
        "weight decay has done nothing yet: {0.27} in the first layer, like the {0.28} without."
        " Dropout after the first layer has brought that down to {0.11}.",
        (_variance(_DECAY, 1, 2), _variance(_NONE, 1, 2), _variance(_FIRST, 1, 2)),
        within=_NEAR,
    ),
    Claim(
        _PAGE,
        "training accuracy is far below the share of right labels",
        lambda seed: 0.64,
        _accuracy(_NONE, 2),
        margin=0.05,
    ),
    Measured(
        _PAGE,
        "dropout after the *second* layer brings the first layer down less, to {0.18} in epoch 2,"
        " and at the end it leaves {0.11} where dropout after the first layer leaves {0.05}.",
        (_variance(_SECOND, 1, 2), _variance(_SECOND, 1, 60), _variance(_FIRST, 1, 60)),
        within=_NEAR,
    ),
    Measured(
        _PAGE,
        "In the second layer the variance without regularization goes from {0.20} to {0.49} while"
        " the wrong labels are learned. Weight decay, which adds no noise at all, ends at {0.11},"
        " next to dropout with {0.10}.",
        (
            _variance(_NONE, 2, 10),
            _variance(_NONE, 2, 60),
            _variance(_DECAY, 2, 60),
            _variance(_FIRST, 2, 60),
        ),
        within=_NEAR,
    ),
    Claim(
        _PAGE,
        "noise after one layer shrinks the *other* one too, from the first epochs on.",
        lambda seed: min(_variance(_NONE, 1, 2)(seed), _variance(_NONE, 2, 2)(seed)),
        lambda seed: max(_variance(_SECOND, 1, 2)(seed), _variance(_FIRST, 2, 2)(seed)),
    ),
]

"""Claims of the page weight_decay/prior, measured with its own code and settings."""

import math

from tests.claims.claim import Measured, end, page

_PAGE = "weight_decay/prior"
_TAU = 1 / math.sqrt(1000 * 0.02)
_WEIGHTS = {1: 784 * 128, 2: 128 * 10}


def _runs():
    return page(_PAGE, "imports", "sweep")["runs"]


def _norm(layer):
    return end(_runs, "weight_norm", lam=0.02, label_noise=0.4, layer=layer)


def _rms(layer):
    return lambda seed: _norm(layer)(seed) / math.sqrt(_WEIGHTS[layer])


def _spent(layer):
    return lambda seed: (_norm(layer)(seed) / _TAU) ** 2


# The norms scatter by .1 over the seeds, a fortieth; the page squares the mean norm.
CLAIMS: list[Measured] = [
    Measured(_PAGE, "The belief says {0.22}.", (lambda seed: _TAU,), within=0.005),
    Measured(_PAGE, "have a root mean square of {0.014}", (_rms(1),), within=0.001),
    Measured(_PAGE, "those of the second {0.11}, half.", (_rms(2),), within=0.005),
    Measured(
        _PAGE,
        "‖W‖²/τ² is {377} for the first layer, of 100,352 weights, and {325} for the second",
        (_spent(1), _spent(2)),
        within=20,
    ),
]

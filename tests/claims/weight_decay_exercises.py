"""Claims of the page weight_decay/exercises, measured with its own settings."""

import functools

from book.pages import run_cells
from tests.claims.claim import SEEDS, Claim

_PAGE = "weight_decay/exercises"


@functools.cache
def _sweep():
    """Train the page's networks at a few of its values of λ."""
    page = run_cells(_PAGE, "imports", "settings")
    return page["d2l"].sweep((0, 0.03, 0.3), seeds=SEEDS, progress=False, **page["small"])


def _end(metric, lam):
    """Return a metric after the last epoch."""

    def measure(seed):
        values = getattr(_sweep().at(lam=lam), metric)[0, 0, 0, SEEDS.index(seed)]
        return float(values[-1] if values.ndim else values)

    return measure


def _stopped(lam):
    """Return the validation accuracy at the epoch with the lowest validation loss."""

    def measure(seed):
        point = _sweep().at(lam=lam)
        best = point.valid_loss[0, 0, 0, SEEDS.index(seed)].argmin()
        return float(point.valid_accuracy[0, 0, 0, SEEDS.index(seed), best])

    return measure


def _best_epoch(lam):
    """Return the epoch with the lowest validation loss."""
    return lambda seed: (
        1 + int(_sweep().at(lam=lam).valid_loss[0, 0, 0, SEEDS.index(seed)].argmin())
    )


CLAIMS: list[Claim] = [
    Claim(
        _PAGE,
        "λ = 0.03 ends with a higher validation accuracy than λ = 0",
        _end("valid_accuracy", 0.03),
        _end("valid_accuracy", 0),
        margin=0.015,
    ),
    Claim(
        _PAGE,
        "With λ = 0.3 the network hardly fits its training labels any more",
        _end("final_train_accuracy", 0),
        _end("final_train_accuracy", 0.3),
        margin=0.3,
    ),
    Claim(
        _PAGE,
        "on the test set λ = 0.03 beats λ = 0",
        _end("test_accuracy", 0.03),
        _end("test_accuracy", 0),
        margin=0.015,
    ),
    Claim(
        _PAGE,
        "and ten times that λ ruins the network",
        _end("test_accuracy", 0.03),
        _end("test_accuracy", 0.3),
        margin=0.1,
    ),
    Claim(
        _PAGE,
        "Without decay, the network is better at its lowest validation loss than after the last "
        "epoch",
        _stopped(0),
        _end("valid_accuracy", 0),
        margin=0.03,
    ),
    Claim(
        _PAGE,
        "and it keeps up with λ = 0.03 after the last epoch",
        _stopped(0),
        lambda seed: _end("valid_accuracy", 0.03)(seed) - 0.02,  # not two points behind
    ),
    Claim(
        _PAGE,
        "With λ = 0.03 the lowest loss comes later than with λ = 0",
        _best_epoch(0.03),
        _best_epoch(0),
        margin=2,
    ),
]

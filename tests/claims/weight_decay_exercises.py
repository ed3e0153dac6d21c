"""Claims of the page weight_decay/exercises, measured with its own settings."""

from tests.claims.claim import Claim, curve, end, page

_PAGE = "weight_decay/exercises"


def _sweep():
    return page(_PAGE, "imports", "settings", "sweep")["result"]


def _end(metric, lam):
    return end(_sweep, metric, lam=lam)


def _best_epoch(lam):
    """Return the epoch with the lowest validation loss."""
    losses = curve(_sweep, "valid_loss", lam=lam)
    return lambda seed: 1 + losses(seed).argmin()


def _stopped(lam):
    """Return the validation accuracy at that epoch."""
    accuracies = curve(_sweep, "valid_accuracy", lam=lam)
    return lambda seed: accuracies(seed)[_best_epoch(lam)(seed) - 1]


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

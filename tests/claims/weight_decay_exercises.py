"""Claims of the page weight_decay/exercises, measured with its own settings."""

import functools

from tests.claims.claim import Claim, Measured, cannot_tell, curve, end, page, share_right

_PAGE = "weight_decay/exercises"


def _sweep():
    return page(_PAGE, "imports", "settings", "sweep")["result"]


def _end(metric, lam):
    return end(_sweep, metric, lam=lam)


def _valid(lam):
    """Validation accuracy after the last epoch."""
    return _end("valid_accuracy", lam)


def _train(lam):
    """Accuracy on the training labels after the last epoch."""
    return _end("final_train_accuracy", lam)


def _test_lead(lam, other):
    return lambda seed: _end("test_accuracy", lam)(seed) - _end("test_accuracy", other)(seed)


def _best_epoch(lam):
    """Return the epoch with the lowest validation loss."""
    losses = curve(_sweep, "valid_loss", lam=lam)
    return lambda seed: 1 + losses(seed).argmin()


def _stopped(lam):
    """Return the validation accuracy at that epoch."""
    accuracies = curve(_sweep, "valid_accuracy", lam=lam)
    return lambda seed: accuracies(seed)[_best_epoch(lam)(seed) - 1]


def _gain_of_stopping(seed):
    return _stopped(0)(seed) - _valid(0)(seed)


_share_right = functools.partial(share_right, valid_size=2000)  # of the images that it draws

CLAIMS: list[Claim | Measured] = [
    Measured(
        _PAGE,
        "λ = 0.03 lifts the validation accuracy from {61 %} to {76 %}",
        (_valid(0), _valid(0.03)),
        within=0.012,  # spread over seeds .007 and .010
    ),
    Claim(_PAGE, "and for every seed.", _valid(0.03), _valid(0), margin=0.1),
    Measured(
        _PAGE,
        "the training accuracy falls from {98 %} to {58 %}, below the {64 %} of the labels that are"
        " right.",
        (_train(0), _train(0.03), _share_right),
        within=0.012,  # spread over seeds up to .010
    ),
    Claim(_PAGE, "of the labels that are right.", _share_right, _train(0.03), margin=0.03),
    Measured(
        _PAGE,
        "falls further, to {47 %}, and the validation accuracy falls with it, to {68 %}:",
        (_train(0.1), _valid(0.1)),
        within=0.015,  # spread over seeds .004 and .012
    ),
    Measured(
        _PAGE,
        "λ = 0.03 beats λ = 0 by {15 points}; a third of that λ gives up {5 points} of them, three"
        " times that λ {7 points}.",
        (_test_lead(0.03, 0), _test_lead(0.03, 0.01), _test_lead(0.03, 0.1)),
        within=0.012,  # spread over seeds .005 to .01
    ),
    Measured(
        _PAGE,
        "{73.5 %} at its lowest validation loss, {61 %} after the last epoch.",
        (_stopped(0), _valid(0)),
        within=0.012,  # spread over seeds .002 and .007, but the epoch may be another one
    ),
    Measured(_PAGE, "stopping alone brings {12 points}.", (_gain_of_stopping,), within=0.015),
    Measured(_PAGE, "trained to the end, reaches {75.9 %}:", (_valid(0.03),), within=0.01),
    Claim(_PAGE, "ahead for each of the three seeds", _valid(0.03), _stopped(0)),
    cannot_tell(_PAGE, "so different that `d2l.compare` cannot tell.", _valid(0.03), _stopped(0)),
    Claim(
        _PAGE,
        "With λ = 0.03 the lowest loss comes near the end",
        _best_epoch(0.03),
        _best_epoch(0),
        margin=30,
    ),
    Claim(
        _PAGE,
        "stopping there changes next to nothing",
        lambda seed: 0.01,
        lambda seed: abs(_stopped(0.03)(seed) - _valid(0.03)(seed)),
    ),
]

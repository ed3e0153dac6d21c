"""Claims of the page together/beat_dropout: the race is run, the table is the saved one.

A claim about the table is one about the means over its five seeds, whatever seed is asked for.
"""

import d2lutils as d2l
from tests.claims.claim import Claim, page

_PAGE = "together/beat_dropout"
_HARNESS = ("imports", "net", "method", "optimizer", "fit", "known-methods", "mixup", "best")


def _loss(method):
    """Return the validation loss after the last epoch of the page's race; "yours" stays out."""
    cells = (*_HARNESS, "race")
    without_yours = ('contestants["yours"] = mine\n', "")
    return lambda seed: page(_PAGE, *cells, replace=without_yours)["race"][method][seed][0]


def _scores(method, epochs, key="test_accuracy"):
    """Return a figure of the saved table for each seed."""
    saved = page(_PAGE, "imports", "saved", "table")
    return saved["scores"](saved["table"](epochs)[method], key)


def _difference(method, rival, epochs, factor=0.0):
    """Return the mean difference of test accuracies less `factor` half-intervals, over 5 seeds."""
    found = d2l.compare(_scores(method, epochs), _scores(rival, epochs))
    return found.difference - factor * (found.high - found.difference)


def _surely(sentence, method, rival, epochs):
    """Claim that the 95 % interval of a paired difference lies above zero."""
    return Claim(
        _PAGE, sentence, lambda seed: _difference(method, rival, epochs, 1), lambda seed: 0
    )


def _mean(*figure):
    return lambda seed: sum(_scores(*figure)) / len(_scores(*figure))


CLAIMS = [
    Claim(
        _PAGE,
        "Dropout lowers the cross-entropy, and our best lowers it more.",
        larger=_loss("none"),
        smaller=_loss("dropout"),
        margin=0.01,
    ),
    Claim(
        _PAGE,
        "our best lowers it more",
        larger=_loss("dropout"),
        smaller=_loss("our best"),
        margin=0.03,
    ),
    *(
        _surely('dropout and Gaussian dropout are below "none" in accuracy', "none", method, 30)
        for method in ("dropout", "Gaussian dropout")
    ),
    Claim(
        _PAGE,
        "the cross-entropy more than doubles",
        larger=_mean("none", 100, "test_loss"),
        smaller=lambda seed: 2 * _mean("none", 30, "test_loss")(seed),
    ),
    Claim(
        _PAGE,
        "Without any regularizer, 100 epochs are no better than 30",
        larger=lambda seed: 0.001,
        smaller=lambda seed: _mean("none", 100)(seed) - _mean("none", 30)(seed),
    ),
    *(
        _surely("mixup with a little weight decay has the highest mean", "our best", method, 100)
        for method in ("none", "weight decay", "dropout", "both", "Gaussian dropout")
    ),
    *(
        _surely(
            "After 30 epochs mixup and label smoothing beat dropout; so does none.",
            method,
            "dropout",
            30,
        )  # fmt: skip
        for method in ("mixup", "label smoothing", "none")
    ),
    _surely(
        "After 100 epochs our best beats dropout, by half a percentage point",
        "our best",
        "dropout",
        100,
    ),  # fmt: skip
    *(
        _surely("both dropout and Gaussian dropout now beat none", method, "none", 100)
        for method in ("dropout", "Gaussian dropout")
    ),
    Claim(
        _PAGE,
        "Nor do five seeds tell our best from plain mixup: the interval of that difference contains"
        " zero after 100 epochs, and after 30 plain mixup is ahead.",
        larger=lambda seed: 0,
        smaller=lambda seed: _difference("our best", "mixup", 100, 1),
    ),
    _surely("after 30 plain mixup is ahead", "mixup", "our best", 30),
]

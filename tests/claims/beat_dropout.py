"""Claims of the page together/beat_dropout: the race is measured, the table is the saved run.

A claim about the table is one about the means over its five seeds, whatever seed is asked for.
"""

import functools
import json

from benchmarks.beat_dropout import CELLS, SAVED

import d2lutils as d2l
from book.pages import run_cells
from tests.claims.claim import Claim

_PAGE = "together/beat_dropout"
_LOSS = 0


@functools.cache
def _page():
    return run_cells(_PAGE, *CELLS, "yours-code")


@functools.cache
def _raced(method, seed):
    """The last epoch's validation loss and accuracy, with the settings of the page's race."""
    page = _page()
    method = page["mine"] if method == "yours" else page["methods"][method]
    return page["fit"](method, seed, num_epochs=40, train_size=2000)[1][-1]


@functools.cache
def _table():
    saved = json.loads(SAVED.read_text(encoding="utf-8"))
    return {(entry["method"], entry["epochs"]): entry["runs"] for entry in saved["table"]}


def _difference(method, rival, epochs, factor=0.0):
    """Return the mean difference of test accuracies less `factor` half-intervals, over 5 seeds."""
    a, b = ([run["test_accuracy"] for run in _table()[name, epochs]] for name in (method, rival))
    found = d2l.compare(a, b)
    return found.difference - factor * (found.high - found.difference)


def _surely(sentence, method, rival, epochs):
    """Claim that the 95 % interval of a paired difference lies above zero."""
    return Claim(
        _PAGE, sentence, lambda seed: _difference(method, rival, epochs, 1), lambda seed: 0
    )


def _mean(method, epochs, key):
    runs = _table()[method, epochs]
    return lambda seed: sum(run[key] for run in runs) / len(runs)


CLAIMS = [
    Claim(
        _PAGE,
        "Dropout lowers the cross-entropy, and our best lowers it more.",
        larger=lambda seed: _raced("none", seed)[_LOSS],
        smaller=lambda seed: _raced("dropout", seed)[_LOSS],
        margin=0.01,
    ),
    Claim(
        _PAGE,
        "our best lowers it more",
        larger=lambda seed: _raced("dropout", seed)[_LOSS],
        smaller=lambda seed: _raced("our best", seed)[_LOSS],
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
        smaller=lambda seed: (
            _mean("none", 100, "test_accuracy")(seed) - _mean("none", 30, "test_accuracy")(seed)
        ),
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

"""Claims of the lab on the original notebook's defects, measured with the code of the page."""

import functools

from book.pages import run_cells
from tests.claims.claim import SEEDS, Claim

_PAGE = "together/spot_the_bug"
_CELLS = ("imports", "data", "train-epoch", "old-epoch-loss", "report-cost", "evaluate-cost")
_CELLS += ("groups", "old-penalty", "penalty-cost", "old-compare", "treatments", "start-cost")
_CELLS += ("choose-hits", "choose-luck")


@functools.cache
def _page():
    return run_cells(_PAGE, *_CELLS)


@functools.cache
def _sweeps():
    return run_cells(_PAGE, "imports", "init-cost")["starts"]


@functools.cache
def _report(name, lam, seed):
    """The old number, mended by its factor, or the loss, after five epochs."""
    return dict(zip(("old", "mended", "loss"), _page()["reports"](lam, seed), strict=True))[name]


@functools.cache
def _curves(seed):
    return _page()["both_curves"](seed)


def _lost_to_dropout(seed):
    """The smallest difference between the two measurements of an epoch."""
    on, off = _curves(seed)
    return min(b - a for a, b in zip(on, off, strict=True))


@functools.cache
def _norm(method, seed):
    return _page()["norm_after"](method, seed)


def _accuracy(start, lam, part, seed):
    result = _sweeps()[start].at(lam=lam)
    values = {"training": result.final_train_accuracy, "validation": result.valid_accuracy[..., -1]}
    return float(values[part][0, 0, 0, SEEDS.index(seed)])


def _init(start, lam, part):
    return lambda seed: _accuracy(start, lam, part, seed)


@functools.cache
def _given(order):
    page = _page()
    return page["old_compare"](list(order), SEEDS, page["make_net"], page["fit"])


_FORWARDS = ("nothing", "sugar pill", "λ = 0.01")


def _place(order, place):
    """Accuracy of the treatment that was given first (0) or last (-1)."""
    return lambda seed: _given(order)[order[place]][SEEDS.index(seed)]


def _fair(treatment):
    return lambda seed: _given((treatment,))[treatment][SEEDS.index(seed)]


@functools.cache
def _from(init, seed, masks):
    return _page()["accuracy_from"](init, seed, masks=masks + seed)


def _apart(first, second):
    """How far a pair of networks as on the page lie apart."""
    return lambda seed: abs(_from(first, seed, 100) - _from(second, seed, 200))


@functools.cache
def _told_and_true(seed):
    return _page()["told_and_true"](seed)


def _claims(sentence, *pairs):
    """Return a claim for each (larger, smaller, margin)."""
    return [Claim(_PAGE, sentence, larger, smaller, margin) for larger, smaller, margin in pairs]


def _report_of(name, lam, factor=1):
    return lambda seed: factor * _report(name, lam, seed)


CLAIMS: list[Claim] = [
    *_claims(
        "Without a penalty the old number is more than two hundred times too small.",
        (_report_of("loss", 0), _report_of("old", 0, 200), 0),
    ),
    *_claims(
        "With λ = 0.01 the factor is smaller,",
        (_report_of("old", 0.01, 200), _report_of("loss", 0.01), 0),
    ),
    *_claims(
        "with λ = 0.01 the mended number is still far above the loss.",
        (_report_of("mended", 0.01), _report_of("loss", 0.01), 0.3),
    ),
    *_claims(
        "with the penalty inside, λ seems to do great harm; the loss itself says how much it is.",
        (
            lambda seed: _report("mended", 0.01, seed) - _report("mended", 0, seed),
            lambda seed: 5 * (_report("loss", 0.01, seed) - _report("loss", 0, seed)),
            0.3,
        ),
    ),
    *_claims(
        "measured with dropout on, every network looks worse than it is.",
        (_lost_to_dropout, lambda seed: 0.0, 0.005),
    ),
    *_claims(
        "The old penalty leaves the weights where they end without any decay; the optimizer's λ "
        "makes them much smaller.",
        (
            lambda seed: 0.05,
            lambda seed: abs(_norm("old penalty", seed) - _norm("no decay", seed)),
            0,
        ),
        (lambda seed: _norm("no decay", seed), lambda seed: _norm("optimizer", seed), 3),
    ),
    *_claims(
        "From N(0, 1), decay raises the validation accuracy, and the training accuracy with it.",
        *(
            (_init("N(0, 1)", 0.1, part), _init("N(0, 1)", 0, part), 0.02)
            for part in ("validation", "training")
        ),
    ),
    *_claims(
        "From He's start, the same decay lowers both;",
        *(
            (_init("He", 0, part), _init("He", 0.1, part), 0.02)
            for part in ("validation", "training")
        ),
    ),
    *_claims(
        "without any, He's start beats the old start with decay.",
        *(
            (_init("He", 0, part), _init("N(0, 1)", 0.1, part), 0.01)
            for part in ("validation", "training")
        ),
    ),
    *_claims(
        "Weight decay seems to win for every seed, and the sugar pill comes second.",
        (_place(_FORWARDS, 2), _place(_FORWARDS, 1), 0),
        (_place(_FORWARDS, 1), _place(_FORWARDS, 0), 0.01),
    ),
    *_claims(
        "The last treatment wins in either order,",
        *((_place(order, -1), _place(order, 0), 0.02) for order in (_FORWARDS, _FORWARDS[::-1])),
    ),
    *_claims(
        "With fair starts the sugar pill equals nothing",
        (
            lambda seed: 0.001,
            lambda seed: abs(_fair("sugar pill")(seed) - _fair("nothing")(seed)),
            0,
        ),
    ),
    *_claims(
        "In two epochs there is nothing to cure yet.",
        (lambda seed: 0.01, lambda seed: _fair("λ = 0.01")(seed) - _fair("nothing")(seed), 0),
    ),
    *_claims(
        "Two networks from different starts lie much further apart than two from the same start",
        *((_apart("default", 0.01), _apart(start, start), 0.2) for start in ("default", 0.01)),
    ),
    *_claims(
        "The reported accuracy is higher than the true one for every seed",
        (
            lambda seed: _told_and_true(seed)[0],
            lambda seed: _told_and_true(seed)[1],
            0.004,
        ),
    ),
]

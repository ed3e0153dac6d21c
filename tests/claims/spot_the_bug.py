"""Claims of the lab on the original notebook's defects, measured with the code of the page."""

import functools

from tests.claims.claim import Claim, end, page

_PAGE = "together/spot_the_bug"


def _names(*cells):
    return page(_PAGE, "imports", "data", *cells)


@functools.cache
def _report(name, lam, seed):
    """The old number, mended by its factor, or the loss, after five epochs."""
    reports = _names("train-epoch", "old-epoch-loss", "report-cost")["reports"](lam, seed)
    return dict(zip(("old", "mended", "loss"), reports, strict=True))[name]


def _lost_to_dropout(seed):
    """The smallest difference between the two measurements of an epoch."""
    names = _names("evaluate-cost", "evaluate-curves")
    return (names["off"] - names["on"])[seed].min().item()


@functools.cache
def _norm(method, seed):
    return _names("groups", "old-penalty", "penalty-cost")["norm_after"](method, seed)


def _init(start, lam, part):
    """Training or validation accuracy after training from a start."""
    metric = {"training": "final_train_accuracy", "validation": "valid_accuracy"}[part]
    return end(lambda: page(_PAGE, "imports", "init-cost")["starts"][start], metric, lam=lam)


def _given(order, treatment):
    """Accuracy of a treatment that was given in such an order."""
    cells = ("groups", "old-compare", "treatments", "compare-cost")
    return lambda seed: _names(*cells)["tables"][order][treatment][seed]


_ORDERS = {"forwards": ("nothing", "λ = 0.01"), "backwards": ("λ = 0.01", "nothing")}


def _fair_difference(treatment, seed):
    return _given("fair", treatment)(seed) - _given("fair", "nothing")(seed)


@functools.cache
def _from(init, seed, masks):
    return _names("start-cost")["accuracy_from"](init, seed, masks=masks + seed)


def _apart(first, second):
    """How far a pair of networks as on the page lie apart."""
    return lambda seed: abs(_from(first, seed, 100) - _from(second, seed, 200))


@functools.cache
def _told_and_true(seed):
    return _names("choose-hits", "choose-luck")["told_and_true"](seed)


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
        (_given("forwards", "λ = 0.01"), _given("forwards", "sugar pill"), 0),
        (_given("forwards", "sugar pill"), _given("forwards", "nothing"), 0.01),
    ),
    *_claims(
        "The last treatment wins in either order,",
        *(
            (_given(order, last), _given(order, first), 0.02)
            for order, (first, last) in _ORDERS.items()
        ),
    ),
    *_claims(
        "With fair starts the sugar pill equals nothing",
        (
            lambda seed: 0.001,
            lambda seed: abs(_fair_difference("sugar pill", seed)),
            0,
        ),
    ),
    *_claims(
        "In two epochs there is nothing to cure yet.",
        (lambda seed: 0.01, lambda seed: _fair_difference("λ = 0.01", seed), 0),
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

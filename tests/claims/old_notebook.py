"""Claims of the page old_notebook, measured with the code of that page."""

import copy
import functools

from tests.claims.claim import SEEDS, Claim, Measured, page

PAGE = "weight_decay/old_notebook"
OLD, FALLING, HE = ("N(0, 1)", False), ("N(0, 1)", True), ("He", True)


def _page():
    return page(PAGE, "imports", "make-net", "run", "report", "mean-penalty")


@functools.cache
def _trained(way, lam, seed):
    """Train as on the page: the network and what `run` gives of it."""
    init, falling = way
    net = _page()["make_net"](init, seed)
    return net, _page()["run"](net, lam, seed, falling)


def _accuracy(part, way, lam):
    return lambda seed: _trained(way, lam, seed)[1][part]


def _gain(part, way, lam):
    """By how much λ raises an accuracy."""
    before, after = (_accuracy(part, way, x) for x in (0, lam))
    return lambda seed: after(seed) - before(seed)


def _low(part, way, lam):
    """Return the lower end of the interval of a gain."""
    ends = [[_accuracy(part, way, x)(seed) for seed in SEEDS] for x in (lam, 0)]
    return _page()["d2l"].compare(*ends).low


def _epoch(number, way, lam):
    """Return a measurement of training accuracy while an epoch ran."""
    return lambda seed: _trained(way, lam, seed)[1]["history"].train_accuracy[number - 1]


@functools.cache
def _penalized(seed):
    """Training accuracy of the third epoch with the mean penalty, from fresh weights."""
    net, penalty = _page()["make_net"]("N(0, 1)", seed), _page()["mean_penalty"]
    history = _page()["run"](net, 0, seed, num_epochs=3, penalty=penalty)["history"]
    return history.train_accuracy[2]


@functools.cache
def _used(mean_penalty, seed):
    """Training accuracy of one epoch that starts from decayed weights."""
    net = copy.deepcopy(_trained(OLD, 0.01, seed)[0])
    penalty = _page()["mean_penalty"] if mean_penalty else None
    return _page()["run"](net, 0, seed, num_epochs=1, penalty=penalty)["history"].train_accuracy[0]


def _first_loss(init):
    """Cross-entropy before training."""

    def measure(seed):
        _, valid_iter, _ = _page()["d2l"].load_fashion_mnist(256)
        net = _page()["make_net"](init, seed).cpu()
        return _page()["d2l"].evaluate(net, valid_iter, _page()["cross_entropy"])[0]

    return measure


# Standard deviations over seeds: of an accuracy .012 from N(0, 1) and .006 from He's start, of a
# gain .003 (.002 from He's start); rounding moves a run with a constant rate by about as much.
CLAIMS: list[Claim | Measured] = [
    Measured(
        PAGE,
        "λ = 0.01 raises the validation accuracy by {2.7 points},",
        (_gain("valid", OLD, 0.01),),
        within=0.008,
    ),
    Claim(
        PAGE,
        "and the interval is clear of zero.",
        lambda seed: _low("valid", OLD, 0.01),
        lambda seed: 0.0,
    ),
    Measured(
        PAGE,
        "The *training* accuracy rises too, by {2.9 points},",
        (_gain("train", OLD, 0.01),),
        within=0.008,
    ),
    Claim(
        PAGE,
        "the third epoch's training accuracy moves by less than {0.5 points}.",
        lambda seed: 0.005,
        lambda seed: abs(_penalized(seed) - _epoch(3, OLD, 0)(seed)),
    ),
    Measured(
        PAGE,
        "From used weights the first epoch scores {81 %},",
        (functools.partial(_used, False),),
        within=0.01,
    ),
    Claim(
        PAGE,
        "more than {twenty points} above a fresh one.",
        functools.partial(_used, False),
        _epoch(1, OLD, 0),
        margin=0.2,
    ),
    Claim(
        PAGE,
        "the placebo scores what the medicine scores, seed by seed:",
        lambda seed: 0.005,
        lambda seed: abs(_used(True, seed) - _used(False, seed)),
    ),
    Claim(
        PAGE,
        "The outputs are huge, so the network is utterly sure, and wrong.",
        _first_loss("N(0, 1)"),
        _first_loss("He"),
        margin=50,
    ),
    Measured(
        PAGE,
        "{2.7 points} with the constant one, {1.7 points} with the falling one.",
        (_gain("valid", OLD, 0.01), _gain("valid", FALLING, 0.02)),
        within=0.008,
    ),
    Claim(
        PAGE,
        "From N(0, 1) decay helps under either rate:",
        _accuracy("valid", OLD, 0.01),
        _accuracy("valid", OLD, 0),
        margin=0.005,
    ),
    Claim(
        PAGE,
        "From N(0, 1) decay helps under either rate:",
        _accuracy("valid", FALLING, 0.02),
        _accuracy("valid", FALLING, 0),
        margin=0.005,
    ),
    Measured(
        PAGE,
        "decay *costs* {1.3 points}.",
        (lambda seed: -_gain("valid", HE, 0.02)(seed),),
        within=0.004,
    ),
    Measured(
        PAGE,
        "He's start without any decay reaches {82.5 %},",
        (_accuracy("valid", HE, 0),),
        within=0.005,
    ),
    Measured(
        PAGE,
        "{4.7 points} above the best of the old settings.",
        (lambda seed: _accuracy("valid", HE, 0)(seed) - _accuracy("valid", OLD, 0.01)(seed),),
        within=0.01,
    ),
    Measured(
        PAGE,
        "From a good start, with a rate that falls, decay costs {1.3 points} here.",
        (lambda seed: -_gain("valid", HE, 0.02)(seed),),
        within=0.004,
    ),
]

"""Claims of the lesson "Train well first": means over the page's own five seeds."""

import numpy as np

import d2lutils as d2l
from tests.claims.claim import Claim, Measured, page, room_for_zero, share_right, zero

PAGE = "overfitting/train_well"
CELLS = "imports start loop formula four long stopped stopped-table chosen".split()


def _run():
    return page(PAGE, *CELLS)


def _ends(name, lam, metric="valid_accuracy"):
    """Return what the runs end with of a sweep: "constant", "linear", or such as "20 epochs"."""
    values = (_run()["sweeps"] | _run()["lengths"])[name][metric].sel(lam=lam)
    return (values.isel(epoch=-1) if "epoch" in values.dims else values).squeeze()


def _end(name, lam, metric="valid_accuracy"):
    return lambda seed: _ends(name, lam, metric).mean().item()


def _scatter(name):
    return lambda seed: _ends(name, 0).std(ddof=1).item()


def _gain(name):
    return lambda seed: _end(name, 0.02)(seed) - _end(name, 0)(seed)


def _falling_gain(seed):
    return _end("linear", 0)(seed) - _end("constant", 0)(seed)


def _at_15(seed):
    return _run()["sweeps"]["constant"].valid_accuracy.sel(lam=0, epoch=15).mean().item()


def best(lam):
    """Return the mean validation accuracy at the best of the page's numbers of epochs."""
    return max(_end(name, lam)(0) for name in _run()["lengths"])


def _steps(name):
    """Mean change of the validation accuracy from epoch to epoch, in the last ten, as drawn."""
    return lambda seed: np.abs(np.diff(_run()[name]))[-10:].mean()


def _stopped(name):
    return lambda seed: _run()[name].mean().item()


def _ahead(name, lam):
    """By how much five runs are ahead of stopping early."""
    return lambda seed: _end(name, lam)(seed) - _stopped("other")(seed)


def _highest(seed):
    curves = _run()["lengths"]["80 epochs"].valid_accuracy.sel(lam=0.02)
    return curves.max("epoch").mean().item()


def _test(lam):
    return lambda seed: _run()["tests"][lam].mean().item()


def _room(_):
    """How far inside both intervals, of five seeds, zero lies."""
    against = {"20 epochs": 0, "80 epochs": 0.02}
    pairs = [(_ends(name, lam).values, _run()["other"]) for name, lam in against.items()]
    return min(room_for_zero(d2l.compare(*pair)) for pair in pairs)


# Over machines, what five seeds end with varies little; a constant rate is a lottery, as is the
# epoch where a run is stopped (their means over five seeds have standard errors of .017 and .006).
FALLING, LOTTERY = 0.006, 0.02

TWICE: list[Claim | Measured] = [
    Measured(
        PAGE,
        "the constant one jumps by {2.4 points} from one to the next",
        (_steps("constant"),),
        within=0.012,
    ),
    Measured(
        PAGE,
        "the falling one comes to rest, with {0.3 points}",
        (_steps("falling"),),
        within=0.0015,
    ),
    Measured(
        PAGE,
        "{0.652} becomes {0.710}, a gain of {5.7 points}.",
        (_end("constant", 0), _end("constant", 0.02), _gain("constant")),
        within=LOTTERY,
    ),
    Measured(PAGE, "the *same* λ gains {1.9 points}.", (_gain("linear"),), within=FALLING),
    Measured(
        PAGE,
        "takes the baseline from {0.652} to {0.744}: {9.2 points}, more than weight decay did.",
        (_end("constant", 0), _end("linear", 0), _falling_gain),
        within=LOTTERY,
    ),
    Measured(
        PAGE,
        "Even the {9.2 points} are two repairs in one.",
        (_falling_gain,),
        within=LOTTERY,
    ),
    Claim(
        PAGE,
        "9.2 points, more than weight decay did.",
        _falling_gain,
        _gain("constant"),
        margin=0.01,
    ),
    Measured(
        PAGE,
        "scatter by ±{0.038} with the constant rate, by ±{0.013} with the falling one",
        (_scatter("constant"), _scatter("linear")),
        within=0.012,
    ),
    Claim(
        PAGE,
        "most of the gain was repaired training",
        lambda seed: 0.5 * _gain("constant")(seed),
        _gain("linear"),
    ),
    Measured(
        PAGE,
        "the constant runs stood at {0.718}; later they fell to {0.652}.",
        (_at_15, _end("constant", 0)),
        within=LOTTERY,
    ),
    Claim(PAGE, "later they fell to 0.652.", _at_15, _end("constant", 0), margin=0.02),
    Measured(
        PAGE,
        "The rest, to {0.744}, is what coming to rest is worth.",
        (_end("linear", 0),),
        within=FALLING,
    ),
    Measured(
        PAGE,
        "took the training accuracy from {78 %} down to {57 %}",
        (
            _end("constant", 0, "final_train_accuracy"),
            _end("constant", 0.02, "final_train_accuracy"),
        ),
        within=LOTTERY,
    ),
    Measured(
        PAGE,
        "With a constant rate λ = 0.02 gains {5.7 points}, with a falling one 1.9",
        (_gain("constant"),),
        within=LOTTERY,
    ),
    Measured(
        PAGE,
        "with a falling one {1.9}: most of the gain was repaired training",
        (lambda seed: 100 * _gain("linear")(seed),),
        within=0.7,
    ),
    Measured(PAGE, "a gain of about {six points}", (_gain("constant"),), within=0.01),
]

LONG: list[Claim | Measured] = [
    Measured(
        PAGE,
        "weight decay turned {62 %} of new images into {76 %}",
        (_end("80 epochs", 0), _end("80 epochs", 0.02)),
        within=0.01,
    ),
    Measured(
        PAGE,
        "training set for {98 %} of the images, and is right about {62 %} of new ones. With"
        " λ = 0.02 it is {76 %}: a gain of {13 points}",
        (
            _end("80 epochs", 0, "final_train_accuracy"),
            _end("80 epochs", 0),
            _end("80 epochs", 0.02),
            _gain("80 epochs"),
        ),
        within=0.01,
    ),
    Measured(
        PAGE,
        "It ends at {64 %} in training, and {64 %} of the labels are right.",
        (_end("80 epochs", 0.02, "final_train_accuracy"), share_right),
        within=0.01,
    ),
    Claim(
        PAGE,
        "Of the 13 points, nearly all are to be had for nothing.",
        lambda seed: best(0) - _end("80 epochs", 0)(seed),
        lambda seed: 0.9 * _gain("80 epochs")(seed),
    ),
    Measured(
        PAGE,
        "the network without any weight decay gets {0.754}. The best of the orange line, {0.764}"
        " after 30 epochs, is {one point} above. Of the {13 points},",
        (
            _end("20 epochs", 0),
            _end("30 epochs", 0.02),
            lambda seed: best(0.02) - best(0),
            _gain("80 epochs"),
        ),
        within=FALLING,
    ),
    Claim(
        PAGE,
        "From 20 epochs to 80 the orange line moves by less than a point",
        lambda seed: 0.01,
        lambda seed: abs(_end("20 epochs", 0.02)(seed) - _end("80 epochs", 0.02)(seed)),
    ),
    Measured(
        PAGE,
        "the blue one loses {13 points}.",
        (lambda seed: _end("20 epochs", 0)(seed) - _end("80 epochs", 0)(seed),),
        within=0.01,
    ),
    Measured(
        PAGE,
        "How much of the {13 points} does stopping give at λ = 0?",
        (_gain("80 epochs"),),
        within=0.01,
    ),
    Measured(
        PAGE,
        "How many points are left of the {13 points}?",
        (_gain("80 epochs"),),
        within=0.01,
    ),
    Measured(
        PAGE,
        "That is what the {13 points} come to",
        (_gain("80 epochs"),),
        within=0.01,
    ),
    Measured(
        PAGE,
        "so do 20 epochs instead of 80, but for {one point}",
        (lambda seed: best(0.02) - best(0),),
        within=FALLING,
    ),
    Measured(
        PAGE,
        "A network that memorizes loses {13 points}.",
        (_gain("80 epochs"),),
        within=0.01,
    ),
]

STOPPED: list[Claim | Measured] = [
    Measured(
        PAGE,
        "Stopping early scores {0.749} on the images that chose, and {0.742} on those that had no"
        " say",
        (_stopped("chose"), _stopped("other")),
        within=0.01,
    ),
    Measured(
        PAGE,
        "It turns the {0.625} of the last epoch into {0.742}, and that is {12 points} of the"
        " {13 points}.",
        (
            _end("80 epochs", 0),
            _stopped("other"),
            lambda seed: _stopped("other")(seed) - _end("80 epochs", 0)(seed),
            _gain("80 epochs"),
        ),
        within=0.01,
    ),
    Measured(
        PAGE,
        "is {1.2 points} ahead of that, λ = 0.02 is {1.6 points} ahead",
        (_ahead("20 epochs", 0), _ahead("80 epochs", 0.02)),
        within=0.01,
    ),
    Claim(PAGE, "for either, five seeds cannot tell", _room, zero),
    Claim(
        PAGE,
        "even the highest of the 80 epochs, which flatters, is only half a point above the last",
        lambda seed: 0.01,
        lambda seed: _highest(seed) - _end("80 epochs", 0.02)(seed),
    ),
    Measured(
        PAGE,
        "On the test set {0.748} without weight decay, {0.757} with it: a difference of"
        " {one point}",
        (_test(0), _test(0.02), lambda seed: _test(0.02)(seed) - _test(0)(seed)),
        within=FALLING,
    ),
]

CLAIMS: list[Claim | Measured] = [*TWICE, *LONG, *STOPPED]

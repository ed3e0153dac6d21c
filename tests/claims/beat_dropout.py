"""Claims of the page together/beat_dropout: the race is run, the table is the saved one.

A claim about the table is one about the means over its five seeds, whatever seed is asked for.
"""

import functools

import numpy as np

import d2lutils as d2l
from tests.claims.claim import Claim, Measured, page

_PAGE = "together/beat_dropout"
_HARNESS = ("imports", "net", "method", "optimizer", "fit", "known-methods", "mixup", "best")


@functools.cache
def _race(method, column):
    """Return losses (0) or accuracies (1) of the page's race for each seed; "yours" stays out."""
    cells = (*_HARNESS, "race")
    without_yours = ('contestants["yours"] = mine\n', "")
    race = page(_PAGE, *cells, replace=without_yours)["race"]
    return [pair[column] for pair in race[method]]


def _loss(method):
    return lambda seed: _race(method, 0)[seed]


def _scores(method, epochs, key="test_accuracy"):
    """Return a figure of the saved table for each seed."""
    saved = page(_PAGE, "imports", "saved", "table")
    return saved["scores"](saved["table"](epochs)[method], key)


def _mean(*figure):
    return lambda seed: np.mean(_scores(*figure))


def _difference(a, b):
    """Return a measurement: the mean difference of two settings of the table, (method, epochs)."""
    return lambda seed: d2l.compare(_scores(*a), _scores(*b)).difference


def _surely(sentence, a, b):
    """Claim that the 95 % interval of a paired difference in the table lies above zero."""
    return Claim(
        _PAGE, sentence, lambda seed: d2l.compare(_scores(*a), _scores(*b)).low, lambda seed: 0
    )


def _cannot_tell(sentence, a, b):
    """Claim that the 95 % interval of the difference of two lists of figures holds zero."""

    def half(seed):
        found = d2l.compare(a(), b())
        return found.high - found.difference

    return Claim(_PAGE, sentence, half, lambda seed: abs(d2l.compare(a(), b()).difference))


def _of_table(*figure):
    return lambda: _scores(*figure)


def _third_title(seed):
    """Say whether the third mixed picture is the boot with a dress behind it."""
    titles = page(_PAGE, "imports", "flip", "look")["titles"]
    return titles[8 + 2] == "0.7 ankle boot\n0.3 dress"


def _searched(code):
    """Return the validation accuracy of a candidate of the search."""
    search = page(_PAGE, "imports", "saved")["saved"]["search"]
    return next(entry["runs"][0]["valid_accuracy"] for entry in search if entry["code"] == code)


_FLIPPED = "Method(loss=mixup(0.2, flip), weight_decay=0.0001)"
_OURS = "Method(loss=mixup(0.4), weight_decay=0.0001)"
# The two doses of a method in the search, lighter and heavier.
_DOSES = [
    ("Method(weight_decay=0.0001)", "Method(weight_decay=0.0005)"),
    *(
        (f"Method(noise=({noise}(0.1), {noise}(0.2)){more})",
         f"Method(noise=({noise}(0.2), {noise}(0.5)){more})")
        for noise, more in (
            ("nn.Dropout", ""), ("nn.Dropout", ", weight_decay=0.0001"), ("GaussianDropout", "")
        )
    ),
    ("Method(loss=label_smoothing(0.05))", "Method(loss=label_smoothing(0.1))"),
    ("Method(loss=mixup(0.2))", "Method(loss=mixup(0.4))"),
    (_OURS, "Method(loss=mixup(0.4), weight_decay=0.0005)"),
]  # fmt: skip
_METHODS = ("none", "weight decay", "dropout", "both", "Gaussian dropout", "label smoothing",
            "mixup", "our best")  # fmt: skip
_SAVED = 0.0006  # the table is fixed: rounding to a tenth of a point, and no more

CLAIMS: list[Claim | Measured] = [
    Claim(
        _PAGE,
        "In the third picture of the lower row, a dress stands behind the boot",
        larger=_third_title,
        smaller=lambda seed: 0,
    ),
    Measured(
        _PAGE,
        "they came out {seven} of 5,000 validation images behind",
        (lambda seed: 5000 * (_searched(_OURS) - _searched(_FLIPPED)),),
        within=0.5,
    ),
    *(
        _cannot_tell(
            "The accuracies cannot be told apart: all intervals contain zero.",
            functools.partial(_race, method, 1),
            functools.partial(_race, "none", 1),
        )
        for method in ("stopped", "dropout", "our best")
    ),
    Measured(
        _PAGE,
        '"None" ends at {0.71} and dropout at {0.66}; stopping early, which costs nothing, gives '
        "{0.61}, and our best {0.56}.",
        tuple(_loss(method) for method in ("none", "dropout", "stopped", "our best")),
        within=0.025,  # spread .023, .013, .007, .011
    ),
    *(
        Claim(
            _PAGE,
            "in this race dropout loses to the stopwatch, and our best does not.",
            larger=_loss(larger),
            smaller=_loss(smaller),
            margin=0.02,
        )
        for larger, smaller in (
            ("none", "dropout"),
            ("dropout", "stopped"),
            ("stopped", "our best"),
        )
    ),
    Measured(
        _PAGE,
        "all means lie between {89.7 %} and {90.2 %}.",
        (
            lambda seed: min(_mean(method, 30)(seed) for method in _METHODS),
            lambda seed: max(_mean(method, 30)(seed) for method in _METHODS),
        ),
        within=_SAVED,
    ),
    *(
        _surely("Dropout and Gaussian dropout are", ("none", 30), (method, 30))
        for method in ("dropout", "Gaussian dropout")
    ),
    *(
        Measured(
            _PAGE,
            'are {0.3 points} below "none"',
            (_difference(("none", 30), (method, 30)),),
            within=_SAVED,
        )
        for method in ("dropout", "Gaussian dropout")
    ),
    *(
        Measured(
            _PAGE,
            "label smoothing and mixup gain {0.2 points}.",
            (_difference((method, 30), ("none", 30)),),
            within=_SAVED,
        )
        for method in ("label smoothing", "mixup")
    ),
    *(
        Claim(
            _PAGE,
            "Every method lowers the cross-entropy.",
            larger=_mean("none", 30, "test_loss"),
            smaller=_mean(method, 30, "test_loss"),
            margin=0.02,
        )
        for method in _METHODS[1:]
    ),
    *(
        _cannot_tell(sentence, _of_table(method, 100), _of_table(method, 30))
        for method, sentence in (
            ("none", 'For "none", 100 epochs are no better than 30'),
            ("label smoothing", "Label smoothing wins no accuracy from them either."),
        )
    ),
    *(
        Measured(
            _PAGE,
            "are no better than 30: {90.0 %} both times",
            (_mean("none", epochs),),
            within=_SAVED,
        )
        for epochs in (30, 100)
    ),
    Measured(
        _PAGE,
        "more than doubles, from {0.34} to {0.82}.",
        tuple(_mean("none", epochs, "test_loss") for epochs in (30, 100)),
        within=0.005,
    ),
    Measured(
        _PAGE,
        "Dropout turns the extra passes into {0.6 points} and mixup into {0.3 points}, and mixup "
        "with a little weight decay has the highest mean, {90.8 %}.",
        (
            _difference(("dropout", 100), ("dropout", 30)),
            _difference(("mixup", 100), ("mixup", 30)),
            _mean("our best", 100),
        ),
        within=_SAVED,
    ),
    *(
        Claim(
            _PAGE,
            "has the highest mean",
            larger=_mean("our best", 100),
            smaller=_mean(method, 100),
        )
        for method in _METHODS[:-1]
    ),
    *(
        _surely(sentence, a, b)
        for sentence, a, b in (
            *(
                ("After 30 epochs mixup and label smoothing beat dropout", (m, 30), ("dropout", 30))
                for m in ("mixup", "label smoothing")
            ),
            ("so does none", ("none", 30), ("dropout", 30)),
            *(
                ("Weight decay and our best are above it, too.", (m, 30), ("dropout", 30))
                for m in ("weight decay", "our best")
            ),
            ("our best beats dropout", ("our best", 100), ("dropout", 100)),
            ("Plain mixup beats it as well", ("mixup", 100), ("dropout", 100)),
            *(
                ("Both dropout and Gaussian dropout now beat none", (m, 100), ("none", 100))
                for m in ("dropout", "Gaussian dropout")
            ),
            ("after 30 plain mixup is ahead", ("mixup", 30), ("our best", 30)),
        )
    ),
    *(
        Measured(_PAGE, sentence, tuple(_difference(*pair) for pair in pairs), within=_SAVED)
        for sentence, *pairs in (
            (
                "beat dropout by {0.5 points}; so does none, by {0.3 points}.",
                (("mixup", 30), ("dropout", 30)),
                (("none", 30), ("dropout", 30)),
            ),
            (
                "beat dropout by {0.5 points}; so",
                (("label smoothing", 30), ("dropout", 30)),
            ),
            (
                "our best beats dropout by {0.5 points}, and that is rule 4",
                (("our best", 100), ("dropout", 100)),
            ),
            (
                "now beat none, by {0.3 points} and {0.4 points}.",
                (("dropout", 100), ("none", 100)),
                (("Gaussian dropout", 100), ("none", 100)),
            ),
            ("plain mixup is ahead, by {0.2 points}.", (("mixup", 30), ("our best", 30))),
        )
    ),
    *(
        _cannot_tell(
            "Five seeds cannot tell the two kinds of noise apart, with either budget.",
            _of_table("dropout", epochs),
            _of_table("Gaussian dropout", epochs),
        )
        for epochs in (30, 100)
    ),
    *(
        _cannot_tell(
            "Nor can they tell dropout with weight decay from dropout alone, by accuracy",
            _of_table("both", epochs),
            _of_table("dropout", epochs),
        )
        for epochs in (30, 100)
    ),
    Measured(
        _PAGE,
        "after 100 epochs is far lower, {0.33} against {0.46}.",
        tuple(_mean(method, 100, "test_loss") for method in ("both", "dropout")),
        within=0.005,
    ),
    _cannot_tell(
        "Nor do they tell our best from plain mixup after 100 epochs",
        _of_table("our best", 100),
        _of_table("mixup", 100),
    ),
    Measured(
        _PAGE,
        'from the old notebook\'s 0.849 to "none" it is {5 points}',
        (lambda seed: _mean("none", 100)(seed) - 0.849,),
        within=0.002,
    ),
    *(
        Claim(
            _PAGE,
            "the lighter dose of a pair won every time.",
            larger=lambda seed, light=light: _searched(light),
            smaller=lambda seed, heavy=heavy: _searched(heavy),
        )
        for light, heavy in _DOSES
    ),
]

"""Claims of the page together/combining, measured with its own settings."""

from tests.claims.claim import (
    SEEDS,
    Claim,
    Measured,
    cannot_tell,
    curve,
    end,
    interval,
    minus,
    page,
    share_right,
    zero,
)

_PAGE = "together/combining"
_GAINS = {"within": 0.01}  # standard deviation over seeds of a gain: .003 to .014
_LOSSES = {"within": 0.04}  # of a cross-entropy: .01 to .07


def _sweep():
    return page(_PAGE, "imports", "settings", "sweep")["result"]


def _clean():
    return page(_PAGE, "imports", "settings", "corners", "clean")["clean"]


def _valid(lam, p, metric="valid_accuracy", runs=_sweep):
    """The metric after the last epoch."""
    return end(runs, metric, lam=lam, p=p)


def _gain(lam, p, metric="valid_accuracy", runs=_sweep):
    """What a setting adds to training with neither; of a loss, what it takes off."""
    sign = -1 if metric.endswith("loss") else 1
    after, before = (_valid(*at, metric, runs) for at in ((lam, p), (0, 0)))
    return lambda seed: sign * (after(seed) - before(seed))


def _gains(lam, p, **which):
    """The gains of λ alone, of p alone and of both."""
    return tuple(_gain(*at, **which) for at in ((lam, 0), (0, p), (lam, p)))


def _contrast(lam, p, **which):
    """Gain of both less the gains of each."""
    lam_alone, p_alone, both = _gains(lam, p, **which)
    return lambda seed: both(seed) - lam_alone(seed) - p_alone(seed)


def _smaller(lam, p, **which):
    """The smaller of the two gains alone, in the mean over seeds."""
    alone = _gains(lam, p, **which)[:2]
    return lambda _: min(sum(map(gain, SEEDS)) / len(SEEDS) for gain in alone)


def _stopped(lam, p):
    """Validation accuracy of the epoch with the lowest validation loss."""
    accuracy, loss = (curve(_sweep, f"valid_{x}", lam=lam, p=p) for x in ("accuracy", "loss"))
    return lambda seed: accuracy(seed)[loss(seed).argmin()]


def _ahead_of_stopping(lam, p):
    return lambda seed: _valid(lam, p)(seed) - _stopped(0, 0)(seed)


def _train(lam, p):
    return _valid(lam, p, "final_train_accuracy")


def _test(lam, p):
    return _valid(lam, p, "test_accuracy")


def _lead(at, other, measure=_valid):
    return lambda seed: measure(*at)(seed) - measure(*other)(seed)


SQUARE = [
    Measured(
        _PAGE,
        "rises from {62 %} to {75 %}, with $p$ alone to {74 %}. With both it ends at {73 %}:",
        (_valid(0, 0), _valid(0.02, 0), _valid(0, 0.4), _valid(0.02, 0.4)),
        within=0.012,  # spread over seeds .003 to .013
    ),
    Measured(_PAGE, "Of the training labels {64 %} are right.", (share_right,), within=0.01),
    Measured(
        _PAGE,
        "A network that reaches {97 %} on them has learned the wrong ones by heart. Each medicine"
        " alone brings it down to about the share of right labels, {63 %} and {68 %}. Both together"
        " bring it down to {54 %}",
        (_train(0, 0), _train(0.02, 0), _train(0, 0.4), _train(0.02, 0.4)),
        within=0.025,  # spread over seeds up to .037
    ),
    Claim(_PAGE, "there it misses labels that are right.", share_right, _train(0.02, 0.4), 0.05),
]

CONTRASTS = [
    Measured(
        _PAGE,
        "The light doses gain {2.2 points} and {8.4 points} alone, and {10.0 points} together",
        _gains(0.003, 0.2),
        **_GAINS,
    ),
    cannot_tell(_PAGE, "The interval holds zero, so *additive* fits", _contrast(0.003, 0.2)),
    Claim(
        _PAGE,
        "it is wider than the gain of λ alone",
        lambda _: interval(_contrast(0.003, 0.2)).high - interval(_contrast(0.003, 0.2)).low,
        _smaller(0.003, 0.2),
    ),
    Measured(
        _PAGE,
        "The middling doses gain {7.3 points} and {8.4 points} alone, and {12.8 points} together",
        _gains(0.01, 0.2),
        **_GAINS,
    ),
    Claim(_PAGE, "less than the sum: *diminishing*.", zero, _contrast(0.01, 0.2), margin=0.01),
    Measured(
        _PAGE,
        "The pair is still {four points} ahead of $p$ alone.",
        (_lead((0.01, 0.2), (0, 0.2)),),
        **_GAINS,
    ),
    Measured(
        _PAGE,
        "The strong doses gain {12.4 points} and {11.7 points} alone, and {10.3 points} together:",
        _gains(0.02, 0.4),
        within=0.012,  # spread over seeds of the pair .013
    ),
    Claim(
        _PAGE,
        "*cancelling*, on average.",
        _smaller(0.02, 0.4),
        lambda _: sum(map(_gain(0.02, 0.4), SEEDS)) / len(SEEDS),
    ),
    *(
        Claim(
            _PAGE,
            "the stronger the dose, the lower the contrast",
            _contrast(*weaker),
            _contrast(*stronger),
        )
        for weaker, stronger in (
            ((0.003, 0.2), (0.01, 0.2)),
            ((0.01, 0.2), (0.02, 0.2)),
            ((0.003, 0.4), (0.01, 0.4)),
            ((0.01, 0.4), (0.02, 0.4)),
            ((0.01, 0.2), (0.01, 0.4)),
            ((0.02, 0.2), (0.02, 0.4)),
        )
    ),
    Claim(
        _PAGE,
        "the pair with $p$ = 0.2 sits on its dash",
        lambda _: 0.015,  # a tenth of the axis
        lambda seed: abs(interval(_contrast(0.02, 0.2)).difference + _smaller(0.02, 0.2)(seed)),
    ),
    Claim(
        _PAGE,
        "$p$ = 0.4 lies below it.",
        lambda seed: -_smaller(0.02, 0.4)(seed),
        lambda _: interval(_contrast(0.02, 0.4)).difference,
    ),
]


LOSS = [
    Claim(
        _PAGE,
        "The verdict is the same, diminishing, and harsher.",
        zero,
        _contrast(0.01, 0.2, metric="valid_loss"),
        margin=0.1,
    ),
    Measured(
        _PAGE,
        "λ = 0.01 alone lowers the cross-entropy by {0.25}, $p$ = 0.2 alone by {0.33}, both by"
        " {0.32}:",
        _gains(0.01, 0.2, metric="valid_loss"),
        **_LOSSES,
    ),
    Measured(
        _PAGE,
        "by accuracy the pair was {four points} ahead of $p$ alone",
        (minus(_gain(0.01, 0.2), _gain(0, 0.2)),),
        within=0.006,  # of the difference .005
    ),
    cannot_tell(
        _PAGE,
        "by cross-entropy it is not ahead at all.",
        minus(_gain(0.01, 0.2, "valid_loss"), _gain(0, 0.2, "valid_loss")),
    ),
    Measured(
        _PAGE,
        "share by this measure: {0.12} and {0.33} alone, {0.34} together.",
        _gains(0.003, 0.2, metric="valid_loss"),
        **_LOSSES,
    ),
    Claim(
        _PAGE,
        "share by this measure",
        zero,
        _contrast(0.003, 0.2, metric="valid_loss"),
        margin=0.05,
    ),
    Claim(
        _PAGE,
        "with both strong doses it is right more often than with $p$ = 0.2 alone",
        _valid(0.02, 0.4),
        _valid(0, 0.2),
    ),
    Measured(
        _PAGE,
        "its loss falls by {0.15} in place of {0.33}.",
        (_gain(0.02, 0.4, "valid_loss"), _gain(0, 0.2, "valid_loss")),
        **_LOSSES,
    ),
]

STOPPING = [
    Measured(
        _PAGE,
        "how many of the {13 points} that the best pair gains",
        (_gain(0.01, 0.4),),
        **_GAINS,
    ),
    Measured(
        _PAGE,
        "the network without either reaches {73.2 %}: {10.7 points}, against {13.1 points} for",
        (_stopped(0, 0), lambda seed: -_ahead_of_stopping(0, 0)(seed), _gain(0.01, 0.4)),
        **_GAINS,
    ),
    Measured(
        _PAGE,
        "$p$ alone ends {1.0 points} ahead of the stopped network, λ alone {1.7 points}, the pair"
        " {2.4 points}",
        (_ahead_of_stopping(0, 0.4), _ahead_of_stopping(0.02, 0), _ahead_of_stopping(0.01, 0.4)),
        within=0.007,  # spread over seeds .002 to .006
    ),
    *(
        Claim(_PAGE, "all three intervals lie above zero", _ahead_of_stopping(*at), zero)
        for at in ((0, 0.4), (0.02, 0), (0.01, 0.4))
    ),
    *(
        Claim(
            _PAGE,
            "Stopping *them* as well changes little",
            lambda _: 0.015,
            lambda seed, at=at: abs(_stopped(*at)(seed) - _valid(*at)(seed)),
        )
        for at in ((0, 0.4), (0.02, 0), (0.01, 0.4))
    ),
]

TEST = [
    Measured(
        _PAGE,
        "One medicine is worth {twelve points} on the test images",
        (lambda seed: (_test(0.02, 0)(seed) + _test(0, 0.4)(seed)) / 2 - _test(0, 0)(seed),),
        **_GAINS,
    ),
    Measured(
        _PAGE,
        "The second one is worth about {one} more point",
        (
            lambda seed: (
                100 * _test(0.01, 0.4)(seed) - 50 * (_test(0.02, 0)(seed) + _test(0, 0.4)(seed))
            ),
        ),
        within=0.8,  # spread over seeds .6
    ),
    *(
        cannot_tell(
            _PAGE,
            "**three seeds cannot tell it from nothing**: neither against λ alone nor against $p$"
            " alone",
            _lead((0.01, 0.4), other, _test),
        )
        for other in ((0.02, 0), (0, 0.4))
    ),
    Measured(
        _PAGE,
        "and λ = 0.01 with 0.2 all reach {75 %} on validation.",
        (
            lambda seed: (
                sum(
                    _valid(*at)(seed)
                    for at in ((0.003, 0.4), (0.01, 0.4), (0.02, 0.2), (0.01, 0.2))
                )
                / 4
            ),
        ),
        within=0.012,  # spread over seeds up to .005, and 75.6 % is rounded down
    ),
    Claim(
        _PAGE,
        "none of them takes both doses that are best alone.",
        _valid(0.01, 0.2),
        _valid(0.02, 0.4),
        margin=0.005,
    ),
]


def _loss_gains():
    return _gains(0.01, 0.2, metric="valid_loss", runs=_clean)


CLEAN = [
    Measured(
        _PAGE,
        "The first line is accuracy: {80.9 %} without either",
        (_valid(0, 0, runs=_clean),),
        within=0.008,  # spread over seeds .003
    ),
    *(
        Claim(
            _PAGE,
            "no gain reaches {one point}.",
            lambda _: 0.01,
            lambda _, gain=gain: sum(map(gain, SEEDS)) / len(SEEDS),
        )
        for gain in _gains(0.01, 0.2, runs=_clean)
    ),
    Measured(
        _PAGE,
        "from {0.72} down by {0.16} with λ, by {0.10} with $p$, by {0.18} with both.",
        (_valid(0, 0, "valid_loss", _clean), *_loss_gains()),
        within=0.02,  # spread over seeds up to .01
    ),
    Claim(
        _PAGE,
        "Diminishing again",
        zero,
        _contrast(0.01, 0.2, metric="valid_loss", runs=_clean),
        margin=0.04,
    ),
]

CLAIMS: list[Claim | Measured] = [*SQUARE, *CONTRASTS, *LOSS, *STOPPING, *TEST, *CLEAN]

"""Claims of the page weight_decay/choosing_lambda, measured with its own code and settings."""

from tests.claims.claim import SEEDS, Claim, Measured, cannot_tell, curve, end, page

_PAGE = "weight_decay/choosing_lambda"
_STOP = 11  # the epoch with the highest mean validation accuracy at λ = 0, noisy labels


def _sweep():
    return page(_PAGE, "imports", "settings", "sweep")["result"]


def _at(metric, lam, noise):
    return end(_sweep, metric, lam=lam, label_noise=noise)


def _gain(metric, lam, noise, over=0):
    after, before = (_at(metric, x, noise) for x in (lam, over))
    return lambda seed: after(seed) - before(seed)


def _stopped(seed):
    return curve(_sweep, "valid_accuracy", lam=0, label_noise=0.4)(seed)[_STOP - 1]


def _lead(seed):
    return _at("valid_accuracy", 0.02, 0.4)(seed) - _stopped(seed)


def _range(seed):
    """Return how far the mean test accuracies of small λ lie apart on clean labels."""
    means = [sum(_at("test_accuracy", lam, 0)(s) for s in SEEDS) for lam in (0, 0.003, 0.01, 0.02)]
    return (max(means) - min(means)) / len(SEEDS)


# The standard deviation over the seeds is .002 to .01 for accuracies, .003 to .03 for losses.
CLAIMS: list[Claim | Measured] = [
    Measured(
        _PAGE,
        "training reaches {98 %}, while validation, which stood at {74 %} in epoch 11, "
        "ends at {62 %}.",
        (_at("final_train_accuracy", 0, 0.4), _stopped, _at("valid_accuracy", 0, 0.4)),
        within=0.01,
    ),
    Measured(
        _PAGE,
        "between λ = 0.01 ({80 %} and {72 %}) and λ = 0.02 ({64 %} and {76 %})",
        tuple(
            _at(metric, lam, 0.4)
            for lam in (0.01, 0.02)
            for metric in ("final_train_accuracy", "valid_accuracy")
        ),
        within=0.01,
    ),
    Claim(
        _PAGE,
        "validation goes on rising.",
        _at("valid_accuracy", 0.02, 0.4),
        _at("valid_accuracy", 0.01, 0.4),
        margin=0.02,
    ),
    Measured(
        _PAGE,
        "At λ = 0.05 it is {53 %} and {73 %}",
        (_at("final_train_accuracy", 0.05, 0.4), _at("valid_accuracy", 0.05, 0.4)),
        within=0.01,
    ),
    Measured(
        _PAGE,
        "from {81.4 %} at λ = 0 it falls to {77.1 %} at λ = 0.05.",
        (_at("valid_accuracy", 0, 0), _at("valid_accuracy", 0.05, 0)),
        within=0.006,
    ),
    Measured(
        _PAGE,
        "The cross-entropy falls from {0.70} to {0.55} at λ = 0.01",
        (_at("valid_loss", 0, 0), _at("valid_loss", 0.01, 0)),
        within=0.015,
    ),
    Measured(
        _PAGE,
        "at λ = 0.02 and 0.03, is {13 points} above λ = 0.",
        (
            lambda s: (
                (_gain("valid_accuracy", 0.02, 0.4)(s) + _gain("valid_accuracy", 0.03, 0.4)(s)) / 2
            ),
        ),
        within=0.01,
    ),  # fmt: skip
    Measured(
        _PAGE,
        "it closes from {19 points} to {6 points}, while",
        (_at("gap", 0, 0), _at("gap", 0.05, 0)),
        within=0.01,
    ),
    Measured(
        _PAGE,
        "λ = 0.02 gained {13 points} over λ = 0.",
        (_gain("valid_accuracy", 0.02, 0.4),),
        within=0.01,
    ),
    Measured(
        _PAGE,
        "{Two points} are left, {1.9 points} to be exact",
        (_lead, _lead),
        within=0.006,
    ),
    Claim(_PAGE, "and λ is better still.", _lead, lambda seed: 0.0, margin=0.005),
    Measured(
        _PAGE,
        "{12.8 points} more, and a cross-entropy that is {0.27} lower.",
        (_gain("test_accuracy", 0.02, 0.4), _gain("test_loss", 0, 0.4, over=0.02)),
        within=0.015,
    ),
    Measured(
        _PAGE,
        "({0.2 points}, with an interval around zero)",
        (_gain("test_accuracy", 0.01, 0),),
        within=0.0015,  # spread over seeds .002
    ),
    Measured(
        _PAGE,
        "while the cross-entropy is lower by {0.17}.",
        (_gain("test_loss", 0, 0, over=0.01),),
        within=0.015,
    ),
    cannot_tell(
        _PAGE,
        "the accuracies cannot be told apart",
        _at("test_accuracy", 0.01, 0),
        _at("test_accuracy", 0, 0),
    ),
    Measured(
        _PAGE,
        "λ = 0.03 would have been {0.2 points} better than our 0.02",
        (_gain("test_accuracy", 0.03, 0.4, over=0.02),),
        within=0.0015,
    ),
    cannot_tell(
        _PAGE,
        "three seeds cannot tell the two apart: no regret",
        _gain("test_accuracy", 0.03, 0.4, over=0.02),
    ),
    Measured(
        _PAGE,
        "λ = 0.01 costs {4 points} and λ = 0.003, a seventh of what we chose, costs {10 points}.",
        tuple(_gain("test_accuracy", 0.02, 0.4, over=lam) for lam in (0.01, 0.003)),
        within=0.01,
    ),
    Claim(
        _PAGE,
        "everything from 0 to 0.02 lies within {one point}.",
        lambda seed: 0.01,
        _range,
    ),
    Measured(
        _PAGE,
        "it buys {13 points} over training to the end, and {two points} over stopping early.",
        (_gain("valid_accuracy", 0.02, 0.4), _lead),
        within=0.01,
    ),
]

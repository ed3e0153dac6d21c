"""Claims of the page dropout/uncertainty, measured with its own code and settings."""

import functools

from tests.claims.claim import Claim, Measured, cannot_tell, page

_PAGE = "dropout/uncertainty"
_NEAR = 0.01  # .004 over seeds
_METHODS = ("agreement", "mean of 100", "plain", "no dropout")


@functools.cache
def _names():
    return page(_PAGE, "imports", "vote", "fit", "run", "methods", "mistakes")


def _votes(unanimous):
    """Share of right answers among the unanimous, or among the split votes."""

    def measure(seed):
        (answer, agreement, _), y = _names()["votes"][seed], _names()["nets"][seed][2]
        return (answer == y)[(agreement == 1) == unanimous].float().mean().item()

    return measure


def _united(seed):
    return (_names()["votes"][seed][1] == 1).float().mean().item()


def _surest(seed):
    """Share of right answers among as many images, those of the highest plain confidence."""
    answer, sure = _names()["answers"]["plain"][seed]
    top = sure.argsort(descending=True)[: round(_united(seed) * len(sure))]
    return (answer == _names()["nets"][seed][2])[top].float().mean().item()


def _right(method):
    return lambda seed: (
        (_names()["answers"][method][seed][0] == _names()["nets"][seed][2]).float().mean().item()
    )


def _sure(method):
    return lambda seed: _names()["answers"][method][seed][1].mean().item()


def _share(method):
    return lambda seed: _names()["share"][method][seed].item()


def _excess(method):
    return lambda seed: abs(_sure(method)(seed) - _right(method)(seed))


CLAIMS: list[Claim | Measured] = [
    Measured(
        _PAGE,
        "The unanimous votes are {42 %} of the images, and {97 %} of those answers are right; of"
        " the split ones it is {70 %}.",
        (_united, _votes(True), _votes(False)),
        within=0.02,  # .014 over seeds
    ),
    Claim(
        _PAGE,
        "So the agreement is worth something.",
        _votes(True),
        _votes(False),
        margin=0.2,
    ),
    Measured(
        _PAGE,
        "picked by the plain confidence, are right in {98 %}.",
        (_surest,),
        within=_NEAR,
    ),
    *(
        Measured(
            _PAGE,
            "Each method finds {53 %} of its mistakes in a fifth of the images",
            (_share(method),),
            within=0.015,  # up to .012 over seeds
        )
        for method in _METHODS
    ),
    *(
        cannot_tell(
            _PAGE, "of every difference these runs cannot tell.", _share(method), _share("plain")
        )
        for method in _METHODS
        if method != "plain"
    ),
    Measured(
        _PAGE,
        "The network without dropout is {91 %} sure on average and right in {81 %}, {ten points}"
        " too sure. Dropout in training brings that to {89 %} and {82 %}. The mean of a hundred"
        " passes says {84 %}, {two points} from the truth.",
        (
            _sure("no dropout"),
            _right("no dropout"),
            _excess("no dropout"),
            _sure("plain"),
            _right("plain"),
            _sure("mean of 100"),
            _excess("mean of 100"),
        ),
        within=_NEAR,
    ),
]

"""Claims of the page weight_decay/sparsity, measured with its own code and settings."""

import functools

from tests.claims.claim import Claim, Measured, page

_PAGE = "weight_decay/sparsity"


def _names():
    return page(_PAGE, "imports", "shrink", "linear")


@functools.cache
def _fit(rule, lam, seed):
    names = _names()
    return names["fit_linear"](names[rule], lam, seed)


def _zeros(rule, lam):
    return lambda seed: (_fit(rule, lam, seed)[0] == 0).float().mean().item()


def _unused(seed):
    return (_fit("l1_soft_threshold", 0.003, seed)[0] == 0).all(1).float().mean().item()


def _small(seed):
    return (_fit("l1_subgradient", 0.003, seed)[0].abs() < 0.001).float().mean().item()


def _accuracy(rule, lam):
    return lambda seed: _names()["accuracy"](*_fit(rule, lam, seed))


@functools.cache
def _prune():
    return page(_PAGE, "imports", "shrink", "linear", "prune")["prune"]


def _pruned(lam):
    def measure(seed):
        W, b, valid_iter = _fit("l2", 0, seed)
        W = _prune()(W, _zeros("l1_soft_threshold", lam)(seed))
        return _names()["accuracy"](W, b, valid_iter)

    return measure


# The standard deviation over the seeds is .01 for shares of zeros, .003 to .006 for accuracies.
CLAIMS: list[Claim | Measured] = [
    Measured(
        _PAGE,
        "The soft threshold sets {64 %} of the weights to exactly zero",
        (_zeros("l1_soft_threshold", 0.003),),
        within=0.02,
    ),
    Claim(
        _PAGE,
        "L2 sets none.",
        _zeros("l1_soft_threshold", 0.003),
        _zeros("l2", 0.03),
        margin=0.5,
    ),
    Claim(
        _PAGE,
        "The subgradient makes the same weights small, below 0.001",
        _small,
        _zeros("l1_subgradient", 0.003),
        margin=0.5,
    ),
    Measured(
        _PAGE,
        "The soft threshold has *selected* pixels: {16 %} of them are used by no class.",
        (_unused,),
        within=0.015,
    ),
    Measured(
        _PAGE,
        "Up to {64 %} the cheap way is at least as good: {77.6 %} against {77.0 %}.",
        (
            _zeros("l1_soft_threshold", 0.003),
            _pruned(0.003),
            _accuracy("l1_soft_threshold", 0.003),
        ),
        within=0.01,
    ),
    Measured(_PAGE, "At {86 %} it collapses", (_zeros("l1_soft_threshold", 0.01),), within=0.02),
    Claim(
        _PAGE,
        "it is more than {5 points} behind the soft threshold.",
        _accuracy("l1_soft_threshold", 0.01),
        _pruned(0.01),
        margin=0.05,
    ),
    Measured(_PAGE, "(without any penalty it is {78.9 %})", (_accuracy("l2", 0),), within=0.006),
    Measured(_PAGE, "it arrives: {64 %} zeros", (_zeros("l1_soft_threshold", 0.003),), within=0.02),
]

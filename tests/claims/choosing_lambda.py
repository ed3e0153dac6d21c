"""Claims of the page weight_decay/choosing_lambda, measured with its own code and settings."""

import functools

from tests.claims.claim import Claim, curve, end, page

_PAGE = "weight_decay/choosing_lambda"


def _sweep():
    return page(_PAGE, "imports", "settings", "sweep")["result"]


def _at(metric, lam, noise):
    return end(_sweep, metric, lam=lam, label_noise=noise)


def _gain(lam, noise):
    after, before = (_at("test_accuracy", x, noise) for x in (lam, 0))
    return lambda seed: after(seed) - before(seed)


def _adam_test(decay, lam):
    adam = functools.partial(page, _PAGE, "imports", "settings", "adam")
    return end(lambda: adam()["adam"][decay], "test_accuracy", lam=lam)


@functools.cache
def _zeros(rule, lam, seed):
    names = page(_PAGE, "imports", "shrink", "linear")
    W, _ = names["fit_linear"](names[rule], lam, seed)
    return (W == 0).float().mean().item()


# Validation accuracy over the epochs without weight decay, on noisy labels.
_curve = curve(_sweep, "valid_accuracy", lam=0, label_noise=0.4)


CLAIMS: list[Claim] = [
    Claim(
        _PAGE,
        "the validation curve turns and falls",
        lambda seed: float(_curve(seed).max()),
        lambda seed: float(_curve(seed)[-1]),
        margin=0.03,
    ),
    Claim(
        _PAGE,
        "training accuracy sinks and validation accuracy rises until the two cross",
        _at("gap", 0, 0.4),
        lambda seed: max(0.0, _at("gap", 0.02, 0.4)(seed)),
        margin=0.05,
    ),
    Claim(
        _PAGE,
        "and λ = 0.05 costs accuracy.",
        _at("test_accuracy", 0, 0),
        _at("test_accuracy", 0.05, 0),
        margin=0.01,
    ),
    Claim(
        _PAGE,
        "λ = 0.02 stands several points above λ = 0.",
        _at("test_accuracy", 0.02, 0.4),
        _at("test_accuracy", 0, 0.4),
        margin=0.03,
    ),
    Claim(
        _PAGE,
        "a smaller gap and better probabilities.",
        _at("gap", 0, 0),
        _at("gap", 0.02, 0),
        margin=0.02,
    ),
    Claim(
        _PAGE,
        "With λ = 0.005 the test cross-entropy is lower than with λ = 0 for clean labels.",
        _at("test_loss", 0, 0),
        _at("test_loss", 0.005, 0),
        margin=0.01,
    ),
    Claim(
        _PAGE,
        "So λ = 0.02 gains more with noisy labels than with clean ones.",
        _gain(0.02, 0.4),
        _gain(0.02, 0),
        margin=0.03,
    ),
    Claim(
        _PAGE,
        "a tenth of λ = 0.02 costs several points",
        _at("test_accuracy", 0.02, 0.4),
        _at("test_accuracy", 0.002, 0.4),
        margin=0.03,
    ),
    Claim(
        _PAGE,
        "The soft threshold sets more than half of the weights to exactly zero; L2 sets none.",
        lambda seed: _zeros("l1_soft_threshold", 0.003, seed),
        lambda seed: _zeros("l2", 0.03, seed),
        margin=0.5,
    ),
    Claim(
        _PAGE,
        "At λ = 3, AdamW reaches a higher test accuracy than Adam with an L2 penalty at λ = 0.01.",
        _adam_test("decoupled", 3),
        _adam_test("l2", 0.01),
        margin=0.005,
    ),
]

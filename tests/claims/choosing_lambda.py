"""Claims of the page weight_decay/choosing_lambda, measured with its own code and settings."""

import functools

from book.pages import run_cells
from tests.claims.claim import SEEDS, Claim

_PAGE = "weight_decay/choosing_lambda"
_LAMS = (0, 0.005, 0.02, 0.05)


@functools.cache
def _page():
    return run_cells(_PAGE, "imports", "settings", "shrink", "linear")


@functools.cache
def _sweep():
    """Train the page's networks at a few values of λ."""
    small = _page()["small"] | {"seeds": SEEDS, "progress": False}
    return _page()["d2l"].sweep(_LAMS, label_noise=(0, 0.4), lr=0.05, momentum=0.9, **small)


@functools.cache
def _adam(decay, lam):
    small = _page()["small"] | {"seeds": SEEDS, "progress": False}
    return _page()["d2l"].sweep(
        (lam,), label_noise=(0.4,), lr=0.001, optimizer="adam", decay=decay, **small
    )


def _at(metric, lam, noise):
    def measure(seed):
        point = _sweep().at(lam=lam, label_noise=noise)
        return float(getattr(point, metric)[0, 0, 0, SEEDS.index(seed)])

    return measure


def _gain(lam, noise):
    after, before = (_at("test_accuracy", x, noise) for x in (lam, 0))
    return lambda seed: after(seed) - before(seed)


def _adam_test(decay, lam):
    return lambda seed: float(_adam(decay, lam).test_accuracy[0, 0, 0, SEEDS.index(seed)])


@functools.cache
def _zeros(rule, lam, seed):
    W, _ = _page()["fit_linear"](_page()[rule], lam, seed)
    return (W == 0).float().mean().item()


def _curve(seed):
    """Validation accuracy over the epochs without weight decay, on noisy labels."""
    point = _sweep().at(lam=0, label_noise=0.4)
    return point.valid_accuracy[0, 0, 0, SEEDS.index(seed)]


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

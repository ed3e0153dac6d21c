"""Claims of the page together/combining, measured with its own settings."""

from tests.claims.claim import Claim, end, page

_PAGE = "together/combining"


def _sweep():
    return page(_PAGE, "imports", "settings", "sweep")["result"]


def _valid(lam, p, noise=0.4, metric="valid_accuracy"):
    """The metric after the last epoch."""
    return end(_sweep, metric, lam=lam, p=p, label_noise=noise)


def _effect(lam, p, noise=0.4, metric="valid_accuracy"):
    """What a setting adds to training with neither."""
    after, before = (_valid(*at, noise, metric) for at in ((lam, p), (0, 0)))
    return lambda seed: after(seed) - before(seed)


def _sum_of_effects(lam, p, metric="valid_accuracy"):
    alone = _effect(lam, 0, metric=metric), _effect(0, p, metric=metric)
    return lambda seed: sum(effect(seed) for effect in alone)


CLAIMS: list[Claim] = [
    Claim(
        _PAGE,
        "weight decay alone helps on validation images",
        _valid(0.03, 0),
        _valid(0, 0),
        margin=0.02,
    ),
    Claim(_PAGE, "dropout alone helps, too.", _valid(0, 0.4), _valid(0, 0), margin=0.02),
    Claim(
        _PAGE,
        "the pair λ = 0.01, p = 0.4 is worth far more with noisy labels than with clean ones.",
        _effect(0.01, 0.4, noise=0.4),
        _effect(0.01, 0.4, noise=0),
        margin=0.04,
    ),
    Claim(
        _PAGE,
        "λ = 0.03 with p = 0.6 is worse than p = 0.4 alone.",
        _valid(0, 0.4),
        _valid(0.03, 0.6),
        margin=0.02,
    ),
    Claim(
        _PAGE,
        "at λ = 0.03 and p = 0.4 the two together give clearly less than the sum of their gains.",
        _sum_of_effects(0.03, 0.4),
        _effect(0.03, 0.4),
        margin=0.03,
    ),
    Claim(
        _PAGE,
        "the pair does no better there than p = 0.4 alone.",
        _valid(0, 0.4),
        _valid(0.03, 0.4),
    ),
    Claim(
        _PAGE,
        "the first medicine brings most of the gain on the test images, and the second adds a"
        " little to it.",
        _effect(0, 0.4, metric="test_accuracy"),
        lambda seed: (
            _effect(0.01, 0.4, metric="test_accuracy")(seed)
            - _effect(0, 0.4, metric="test_accuracy")(seed)
        ),
        margin=0.02,
    ),
    Claim(
        _PAGE,
        "and the second adds a little to it.",
        _effect(0.01, 0.4, metric="test_accuracy"),
        _effect(0, 0.4, metric="test_accuracy"),
    ),
    Claim(
        _PAGE,
        "By cross-entropy, too, λ = 0.03 and p = 0.4 together give less than the sum of their"
        " gains.",
        _effect(0.03, 0.4, metric="valid_loss"),
        _sum_of_effects(0.03, 0.4, metric="valid_loss"),
        margin=0.05,
    ),
]

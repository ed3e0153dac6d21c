"""Claims of the page dropout/choosing_p, measured with its own code and settings."""

import functools

import d2lutils as d2l
from tests.claims.claim import Claim, end, page

_PAGE = "dropout/choosing_p"


def _names(*cells):
    return page(_PAGE, "imports", "settings", *cells)


def _valid(p, noise):
    """Validation accuracy after the last epoch."""
    p1, p2 = p
    sweep = functools.partial(_names, "sweep")
    return end(lambda: sweep()["result"], "valid_accuracy", p1=p1, p2=p2, label_noise=noise)


def _variance(dose, layer):
    """Mean over the second half of training."""
    cells = ("hooks", "fit", "variance-def", "variance-run")
    return lambda seed: _names(*cells)["inside"][dose][seed, layer, 15:].mean().item()


def _noisy(noise):
    """Mean validation accuracy of the last five epochs, as on the page."""
    cells = ("fit", "three-noises", "noisy-mlp", "noises-def", "noises-train", "noises-compare")
    return lambda seed: _names(*cells)["ends"][noise][seed]


@functools.cache
def _votes(seed):
    """Accuracy where a hundred passes agree, where they do not; mistakes among the least sure."""
    page = _names("fit", "mc-code")
    net = d2l.mlp((128, 128), (0.2, 0.5), seed=seed).to(page["device"])
    page["fit"](net, seed)
    _, valid_iter, _ = d2l.load_fashion_mnist(
        64, train_size=1000, valid_size=1000, seed=seed, device=page["device"]
    )
    X, y = valid_iter.images / 255, valid_iter.labels
    answer, agreement = page["vote"](net, X)
    right = (answer == y).float()
    confidence = net.eval()(X).softmax(dim=1).max(dim=1).values
    found = [1 - right[s.argsort()[:200]].mean().item() for s in (agreement, confidence)]
    united = agreement == 1
    return right[united].mean().item(), right[~united].mean().item(), *found


_LAYERS = "With dropout the activations of both layers vary less than without"
_SWAP = (
    "(0.2, 0.8) keeps more validation accuracy than (0.8, 0.2), with clean labels and with noisy"
)
_KINDS = ("dropout", "Gaussian")
_NOISES = "Dropout and Gaussian dropout both end above no noise at all"

CLAIMS: list[Claim] = [
    Claim(
        _PAGE,
        "with both probabilities at 0.8 the network falls far behind the one without dropout, on"
        " clean labels too.",
        _valid((0, 0), 0),
        _valid((0.8, 0.8), 0),
        margin=0.1,
    ),
    Claim(
        _PAGE,
        "with noisy labels a dose of (0.2, 0.2) beats no dropout on validation images.",
        _valid((0.2, 0.2), 0.4),
        _valid((0, 0), 0.4),
        margin=0.02,
    ),
    Claim(_PAGE, _SWAP, _valid((0.2, 0.8), 0), _valid((0.8, 0.2), 0), margin=0.03),
    Claim(_PAGE, _SWAP, _valid((0.2, 0.8), 0.4), _valid((0.8, 0.2), 0.4), margin=0.03),
    Claim(
        _PAGE,
        "With noisy labels and a single dose of 0.4, the first layer is the better place for it.",
        _valid((0.4, 0), 0.4),
        _valid((0, 0.4), 0.4),
        margin=0.01,
    ),
    *(
        Claim(_PAGE, _LAYERS, _variance("p = 0", layer), _variance("p = 0.5", layer), margin=0.05)
        for layer in (0, 1)
    ),
    *(
        Claim(
            _PAGE,
            _NOISES,
            _noisy(noise),
            _noisy("none"),
            margin=0.02,
        )
        for noise in _KINDS
    ),
    Claim(
        _PAGE,
        "they differ from each other by less than either gains.",
        lambda seed: min(_noisy(kind)(seed) for kind in _KINDS) - _noisy("none")(seed),
        lambda seed: abs(_noisy("dropout")(seed) - _noisy("Gaussian")(seed)),
        margin=0.01,
    ),
    Claim(
        _PAGE,
        "Where all hundred agree, the network is right far more often than where the votes are"
        " split.",
        lambda seed: _votes(seed)[0],
        lambda seed: _votes(seed)[1],
        margin=0.1,
    ),
    Claim(
        _PAGE,
        "asking a hundred times finds no more mistakes than the plain confidence does, give or take"
        " a few images.",
        lambda seed: _votes(seed)[3] + 0.02,  # four images of 200
        lambda seed: _votes(seed)[2],
    ),
]

"""Claims of the page dropout/choosing_p, measured with its own code and settings."""

import functools

import d2lutils as d2l
from book.pages import run_cells
from tests.claims.claim import Claim

_PAGE = "dropout/choosing_p"
_POINTS = [(0, 0), (0.2, 0.2), (0.8, 0.8), (0, 0.4), (0.4, 0), (0.2, 0.8), (0.8, 0.2)]


@functools.cache
def _page():
    cells = ("imports", "settings", "hooks", "fit", "variance-def", "three-noises")
    return run_cells(_PAGE, *cells, "noisy-mlp", "noises-def", "mc-code")


@functools.cache
def _map(seed):
    settings = _page()["settings"]
    return d2l.sweep(p=_POINTS, label_noise=(0, 0.4), seeds=[seed], progress=False, **settings)


def _valid(p, noise):
    """Validation accuracy after the last epoch."""
    return lambda seed: float(_map(seed).at(p=p, label_noise=noise).valid_accuracy[0, 0, 0, 0, -1])


@functools.cache
def _variances(p, seed):
    return _page()["variances"](p, seed)


def _variance(p, layer):
    """Mean over the second half of training."""
    return lambda seed: _variances(p, seed)[layer, 15:].mean().item()


@functools.cache
def _noisy(noise, seed):
    """Mean validation accuracy of the last five epochs, as on the page."""
    history = _page()["noisy_run"](_page().get(noise), seed)
    return sum(history.valid_accuracy[-5:]) / 5


@functools.cache
def _votes(seed):
    """Accuracy where a hundred passes agree, where they do not; mistakes among the least sure."""
    page = _page()
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
        Claim(_PAGE, _LAYERS, _variance((0, 0), layer), _variance((0.5, 0.5), layer), margin=0.05)
        for layer in (0, 1)
    ),
    *(
        Claim(
            _PAGE,
            _NOISES,
            functools.partial(_noisy, noise),
            functools.partial(_noisy, "none"),
            margin=0.02,
        )
        for noise in ("dropout", "gaussian")
    ),
    Claim(
        _PAGE,
        "they differ from each other by less than either gains.",
        lambda seed: min(_noisy("dropout", seed), _noisy("gaussian", seed)) - _noisy("none", seed),
        lambda seed: abs(_noisy("dropout", seed) - _noisy("gaussian", seed)),
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

"""Claims of the chapter dropout. They run the code of the pages themselves."""

import functools

from tests.claims.claim import Claim, page

_SCRATCH = ("imports", "dropout", "mlp", "fit")


def _full(seed, p):
    """History and accuracies of a run as on the page, which shows two of the three seeds."""
    seeds = ("for seed in (0, 1)]", "for seed in (0, 1, 2)]")
    full = page("dropout/from_scratch", *_SCRATCH, "train-full", replace=seeds)["full"]
    return full["p = (0.2, 0.5)" if p else "p = 0"][seed]


def _noisy(seed, p):
    """The same with few images and wrong labels."""
    cells = (*_SCRATCH, "noisy-settings", "train-noisy")
    return page("dropout/from_scratch", *cells)["few"]["p = 0.5" if p else "p = 0"][seed]


def _lead_of_validation(seed, p):
    """By how much validation accuracy exceeds the training curve, over the last five epochs."""
    history, _ = _full(seed, p)
    return sum(history.valid_accuracy[-5:]) / 5 - sum(history.train_accuracy[-5:]) / 5


@functools.cache
def _concise(seed: int, start: str, layer: str, num_epochs: int = 5):
    names = page("dropout/concise", "imports", "mlp", "by-hand", "starts", "fit")
    layer = {"ByHand": names["ByHand"], "nn.Dropout": names["nn"].Dropout}[layer]
    return names["fit"](names["starts"][start], seed, layer, num_epochs)


def _first_epoch(seed, start, num_epochs):
    return _concise(seed, start, "nn.Dropout", num_epochs)[1].valid_accuracy[0]


def _last_training_accuracy(seed, layer):
    return _concise(seed, "default", layer)[1].train_accuracy[-1]


@functools.cache
def _test_accuracy(seed, num_masks):
    """With dropout left on and the votes of so many masks averaged; 0: evaluation mode."""
    names = page("dropout/concise", "imports", "mlp", "by-hand", "starts", "fit", "vote")
    d2l, net = names["d2l"], _concise(seed, "default", "nn.Dropout")[0].train()
    d2l.set_seed(seed)
    *_, test_iter = d2l.load_fashion_mnist(device=names["device"])
    measured = names["vote"](net, num_masks) if num_masks else net
    return d2l.evaluate(measured, test_iter, names["loss"])[1]


CLAIMS: list[Claim] = [
    Claim(
        "dropout/from_scratch",
        "With dropout, validation keeps up with training.",
        larger=lambda seed: _lead_of_validation(seed, p=True),
        smaller=lambda seed: _lead_of_validation(seed, p=False),
    ),
    Claim(
        "dropout/from_scratch",
        "the dropout network is more accurate on its own training images once dropout is off.",
        larger=lambda seed: _full(seed, p=True)[1]["train"],
        smaller=lambda seed: _full(seed, p=True)[1]["train, dropout on"],
        margin=0.003,
    ),
    Claim(
        "dropout/from_scratch",
        "the network with dropout reaches a test accuracy of at least .84 at these settings.",
        larger=lambda seed: _full(seed, p=True)[1]["test"],
        smaller=lambda seed: 0.84,
    ),
    Claim(
        "dropout/from_scratch",
        "Dropout keeps the network from learning the wrong labels by heart",
        larger=lambda seed: _noisy(seed, p=0)[1]["train"],
        smaller=lambda seed: _noisy(seed, p=0.5)[1]["train"],
        margin=0.1,
    ),
    Claim(
        "dropout/from_scratch",
        "the network with dropout classifies more clean test images correctly than the one without",
        larger=lambda seed: _noisy(seed, p=0.5)[1]["test"],
        smaller=lambda seed: _noisy(seed, p=0)[1]["test"],
        margin=0.05,
    ),
    Claim(
        "dropout/concise",
        "After the first epoch the small start lies far behind the default one",
        larger=lambda seed: _first_epoch(seed, "default", num_epochs=5),
        smaller=lambda seed: _first_epoch(seed, "std 0.01", num_epochs=1),
        margin=0.1,
    ),
    Claim(
        "dropout/concise",
        "The two layers end within a point of each other",
        larger=lambda seed: 0.01,
        smaller=lambda seed: abs(
            _last_training_accuracy(seed, "ByHand") - _last_training_accuracy(seed, "nn.Dropout")
        ),
    ),
    Claim(
        "dropout/concise",
        "With dropout left on, every network loses test accuracy",
        larger=lambda seed: _test_accuracy(seed, num_masks=0),
        smaller=lambda seed: _test_accuracy(seed, num_masks=1),
        margin=0.002,
    ),
    Claim(
        "dropout/concise",
        "An average over ten masks does better than a single one",
        larger=lambda seed: _test_accuracy(seed, num_masks=10),
        smaller=lambda seed: _test_accuracy(seed, num_masks=1),
        margin=0.002,
    ),
]

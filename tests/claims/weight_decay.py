"""Claims of the chapter weight_decay, measured with the code of its pages."""

import copy
import functools

import torch

from book.pages import run_cells
from tests.claims.claim import SEEDS, Claim

# linear_regression


@functools.cache
def _linear():
    return run_cells("weight_decay/linear_regression", "imports", "model", "init", "update", "fit")


@functools.cache
def _line(lam, seed, scale=1.0):
    """Train as on the page: (history, ‖w‖)."""
    w, b = _linear()["init_params"](seed, scale)
    history = _linear()["fit"](w, b, lam, seed=seed)
    return history, w.detach().norm().item()


def _line_loss(part, lam, scale=1.0):
    return lambda seed: getattr(_line(lam, seed, scale)[0], f"{part}_loss")[-1]


def _line_norm(lam):
    return lambda seed: _line(lam, seed)[1]


def _constant(seed):
    """Validation loss of the mean training label, as on the page."""
    train_iter, valid_iter = _linear()["d2l"].linear_data(seed=seed, device="cpu")
    mean = torch.cat([y for _, y in train_iter]).mean()
    return _linear()["squared_loss"](mean, torch.cat([y for _, y in valid_iter])).item()


LINEAR = [
    Claim(
        "weight_decay/linear_regression",
        "Without weight decay the validation loss ends far above the training loss.",
        _line_loss("valid", 0),
        _line_loss("train", 0),
        margin=30,
    ),
    Claim(
        "weight_decay/linear_regression",
        "With λ = 3 the training loss ends higher than without decay,",
        _line_loss("train", 3),
        _line_loss("train", 0),
        margin=1e-4,
    ),
    Claim(
        "weight_decay/linear_regression",
        "and the validation loss ends far lower.",
        _line_loss("valid", 0),
        _line_loss("valid", 3),
        margin=30,
    ),
    Claim(
        "weight_decay/linear_regression",
        "The larger λ, the smaller ‖w‖,",
        _line_norm(0),
        _line_norm(0.3),
        margin=1,
    ),
    Claim(
        "weight_decay/linear_regression",
        "The larger λ, the smaller ‖w‖,",
        _line_norm(0.3),
        _line_norm(3),
        margin=1,
    ),
    Claim(
        "weight_decay/linear_regression",
        "a very large λ shrinks it too.",
        _line_norm(3),
        _line_norm(30),
        margin=0.1,
    ),
    Claim(
        "weight_decay/linear_regression",
        "The validation loss follows ‖w‖ down,",
        _line_loss("valid", 0.3),
        _line_loss("valid", 10),
        margin=1,
    ),
    Claim(
        "weight_decay/linear_regression",
        "close to the dotted line of the model that ignores all 200 inputs.",
        lambda seed: 2 * _constant(seed),
        _line_loss("valid", 30),
    ),
    Claim(
        "weight_decay/linear_regression",
        "Starting from zero without any decay gives a lower validation loss than decaying a "
        "random start with λ = 3.",
        _line_loss("valid", 3),
        _line_loss("valid", 0, scale=0.0),
        margin=0.01,
    ),
]


# mlp


@functools.cache
def _mlp():
    return run_cells("weight_decay/mlp", "imports", "groups", "make-net", "run", "mean-penalty")


@functools.cache
def _trained(init, lam, num_epochs, mean_penalty, seed):
    """Train as on the page: (network, history, test accuracy)."""
    net = _mlp()["make_net"](init, seed)
    penalty = _mlp()["mean_penalty"] if mean_penalty else None
    history, test = _mlp()["run"](net, lam, seed, num_epochs, penalty)
    return net, history, test


@functools.cache
def _used(mean_penalty, seed):
    """Training accuracy in the first epoch of a run that starts from decayed weights."""
    net = copy.deepcopy(_trained("N(0, 1)", 0.01, 10, False, seed)[0])
    penalty = _mlp()["mean_penalty"] if mean_penalty else None
    history, _ = _mlp()["run"](net, 0, seed, 1, penalty, train_size=10_000)
    return history.train_accuracy[0]


def _test(init, lam, num_epochs):
    return lambda seed: _trained(init, lam, num_epochs, False, seed)[2]


def _train(lam, epoch):
    return lambda seed: _trained("N(0, 1)", lam, 10, False, seed)[1].train_accuracy[epoch]


def _change(lam, num_epochs, mean_penalty):
    """By how much a setting moves the validation accuracy after three epochs from N(0, 1)."""

    def measure(seed):
        plain = _trained("N(0, 1)", 0, 10, False, seed)[1]
        other = _trained("N(0, 1)", lam, num_epochs, mean_penalty, seed)[1]
        return abs(other.valid_accuracy[2] - plain.valid_accuracy[2])

    return measure


MLP = [
    Claim(
        "weight_decay/mlp",
        "from N(0, 1), the test accuracy is higher with λ = 0.01 than without, for every seed.",
        _test("N(0, 1)", 0.01, 10),
        _test("N(0, 1)", 0, 10),
        margin=0.02,
    ),
    Claim(
        "weight_decay/mlp",
        "The training accuracy is higher with decay, too.",
        _train(0.01, -1),
        _train(0, -1),
        margin=0.02,
    ),
    Claim(
        "weight_decay/mlp",
        "From the same fresh start, the mean penalty changes the validation accuracy by less "
        "than λ = 0.01 does.",
        _change(0.01, 10, False),
        _change(0, 3, True),
        margin=0.01,
    ),
    Claim(
        "weight_decay/mlp",
        "a run that starts from used weights is far better in its first epoch than a fresh one.",
        lambda seed: _used(False, seed),
        _train(0, 0),
        margin=0.1,
    ),
    Claim(
        "weight_decay/mlp",
        "And the mean penalty adds next to nothing to it:",
        lambda seed: _used(False, seed) - _train(0, 0)(seed),
        lambda seed: abs(_used(True, seed) - _used(False, seed)),
        margin=0.1,
    ),
    Claim(
        "weight_decay/mlp",
        "From He's start the effect reverses: the test accuracy with λ = 0.01 is lower than "
        "without decay.",
        _test("He", 0, 3),
        _test("He", 0.01, 3),
        margin=0.003,
    ),
    Claim(
        "weight_decay/mlp",
        "three epochs from He's start without decay beat ten epochs from N(0, 1) without decay.",
        _test("He", 0, 3),
        _test("N(0, 1)", 0, 10),
        margin=0.01,
    ),
]


# mlp, the explorer

_SMALL = {"hidden": (64,), "train_size": 1000, "valid_size": 1000, "num_epochs": 20}
_SMALL |= {"batch_size": 64, "lr": 0.05, "momentum": 0.9, "progress": False}


@functools.cache
def _patient():
    """Train the page's networks on wrong labels at three values of λ."""
    return _mlp()["d2l"].sweep((0, 0.03, 0.2), label_noise=(0.4,), seeds=SEEDS, **_SMALL)


def _lost(metric, lam):
    """By how much λ lowers an accuracy."""

    def measure(seed):
        before, after = (getattr(_patient().at(lam=x), metric)[0, 0, 0] for x in (0, lam))
        return float(before[SEEDS.index(seed)] - after[SEEDS.index(seed)])

    return measure


PATIENT = [
    Claim(
        "weight_decay/mlp",
        "at λ = 0.03 the network fits its wrong labels less well than at λ = 0,",
        _lost("final_train_accuracy", 0.03),
        lambda seed: 0.0,
        margin=0.05,
    ),
    Claim(
        "weight_decay/mlp",
        "but its accuracy on new images falls by less, if it falls at all.",
        _lost("final_train_accuracy", 0.03),
        _lost("test_accuracy", 0.03),
        margin=0.05,
    ),
    Claim(
        "weight_decay/mlp",
        "Far to the right both break down.",
        _lost("test_accuracy", 0.2),
        lambda seed: 0.0,
        margin=0.03,
    ),
    Claim(
        "weight_decay/mlp",
        "Far to the right both break down.",
        _lost("final_train_accuracy", 0.2),
        lambda seed: 0.0,
        margin=0.1,
    ),
]

CLAIMS: list[Claim] = [*LINEAR, *MLP, *PATIENT]

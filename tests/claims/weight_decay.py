"""Claims of the chapter weight_decay, measured with the code of its pages."""

import copy
import functools

import torch

from tests.claims.claim import Claim, end, page

# linear_regression


def _linear():
    return page("weight_decay/linear_regression", "imports", "model", "init", "update", "fit")


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


def _mlp():
    """Two values of λ and three seeds from N(0, 1), ten epochs each, and what else takes."""
    cells = ("imports", "groups", "make-net", "run", "train", "mean-penalty")
    return page("weight_decay/mlp", *cells)


def _test(lam):
    return lambda seed: _mlp()["tests"][lam][seed]


def _history(lam, seed):
    return _mlp()["histories"][f"N(0, 1), λ = {lam}"][seed]


def _train(lam, epoch):
    return lambda seed: _history(lam, seed).train_accuracy[epoch]


@functools.cache
def _he(lam, seed):
    """Test accuracy after three epochs from He's start."""
    return _mlp()["run"](_mlp()["make_net"]("He", seed), lam, seed, num_epochs=3)[1]


@functools.cache
def _used(mean_penalty, seed):
    """Training accuracy in the first epoch of a run that starts from decayed weights."""
    net = copy.deepcopy(_mlp()["models"][0.01][seed])
    penalty = _mlp()["mean_penalty"] if mean_penalty else None
    history, _ = _mlp()["run"](net, 0, seed, 1, penalty, train_size=10_000)
    return history.train_accuracy[0]


def _change(seed, mean_penalty):
    """By how much the mean penalty, or λ, moves the validation accuracy after three epochs."""
    other = _history(0.01, seed)
    if mean_penalty:
        net = _mlp()["make_net"]("N(0, 1)", seed)
        other, _ = _mlp()["run"](net, 0, seed, 3, _mlp()["mean_penalty"])
    return abs(other.valid_accuracy[2] - _history(0, seed).valid_accuracy[2])


MLP = [
    Claim(
        "weight_decay/mlp",
        "from N(0, 1), the test accuracy is higher with λ = 0.01 than without, for every seed.",
        _test(0.01),
        _test(0),
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
        lambda seed: _change(seed, mean_penalty=False),
        lambda seed: _change(seed, mean_penalty=True),
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
        functools.partial(_he, 0),
        functools.partial(_he, 0.01),
        margin=0.003,
    ),
    Claim(
        "weight_decay/mlp",
        "three epochs from He's start without decay beat ten epochs from N(0, 1) without decay.",
        functools.partial(_he, 0),
        _test(0),
        margin=0.01,
    ),
]


# mlp, the explorer


def _patient():
    return page("weight_decay/mlp", "imports", "patient")["patient"]


def _lost(metric, lam):
    """By how much λ lowers an accuracy."""
    before, after = (end(_patient, metric, lam=x) for x in (0, lam))
    return lambda seed: before(seed) - after(seed)


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

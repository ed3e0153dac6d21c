"""Claims of the pages linear_regression and mlp, measured with the code of those pages."""

import functools

import torch

from book.pages import run_cells
from tests.claims.claim import SEEDS, Claim, Measured, cannot_tell, curve, end, page

# linear_regression

LINE = "weight_decay/linear_regression"


def _linear():
    return page(LINE, "imports", "model", "init", "update", "fit", "concise")


def _problem():
    return page(LINE, "imports", "data", "project")


@functools.cache
def _line(lam, seed, scale=1.0, num_epochs=100):
    """Train as on the page: (history, ‖w‖)."""
    w, b = _linear()["init_params"](seed, scale)
    history = _linear()["fit"](w, b, lam, seed, num_epochs)
    return history, w.detach().norm().item()


def _line_loss(part, lam, epoch=-1, **options):
    return lambda seed: getattr(_line(lam, seed, **options)[0], f"{part}_loss")[epoch]


def _line_norm(lam):
    return lambda seed: _line(lam, seed)[1]


_zero = _line_loss("valid", 0, scale=0.0)
_finished = {
    "longer": _line_loss("valid", 3, num_epochs=400),
    "stronger": _line_loss("valid", 30),
}


@functools.cache
def _mse(seed):
    """How many times as long ‖w‖ is with nn.MSELoss and the same λ."""
    fit, start, MSELoss = (_linear()[x] for x in ("fit_concise", "init_params", "nn"))
    ours, _ = fit(*start(seed), lam=3, seed=seed)
    naive, _ = fit(*start(seed), lam=3, loss=MSELoss.MSELoss(), lr=0.0015, seed=seed)
    return (naive.weight.norm() / ours.weight.norm()).item()


def _constant(seed):
    """Validation loss of the mean training label, as on the page."""
    train_iter, valid_iter = _linear()["d2l"].linear_data(seed=seed, device="cpu")
    mean = torch.cat([y for _, y in train_iter]).mean()
    return _linear()["squared_loss"](mean, torch.cat([y for _, y in valid_iter])).item()


# The three seeds are fixed, and steps at this rate do not amplify rounding: `within` is what
# rounding to the number said takes.
LINEAR = [
    Measured(
        LINE,
        "the predictions move by {9.0} on average, about seventy times the size of a label "
        "({0.13}).",
        (
            lambda seed: (_problem()["X_valid"] @ _problem()["v"]).abs().mean().item(),
            lambda seed: _problem()["y_valid"].abs().mean().item(),
        ),
        within=0.02,
    ),
    Claim(
        LINE,
        "The training loss falls epoch after epoch, to a hundred-thousandth.",
        lambda seed: 5e-5,
        _line_loss("train", 0),
    ),
    Measured(
        LINE,
        "from {80} after the first epoch to {70} at the end,",
        (_line_loss("valid", 0, epoch=0), _line_loss("valid", 0)),
        within=1,
    ),
    Claim(
        LINE,
        "it ends millions of times above the training loss.",
        _line_loss("valid", 0),
        lambda seed: 1e6 * _line_loss("train", 0)(seed),
    ),
    Claim(
        LINE,
        "With λ = 3 the training loss ends higher than without decay",
        _line_loss("train", 3),
        _line_loss("train", 0),
        margin=5e-4,
    ),
    Measured(LINE, "near {0.001};", (_line_loss("train", 3),), within=5e-4),  # spread .0003
    Measured(
        LINE,
        "and the validation loss ends at {0.07} instead of 70.",
        (_line_loss("valid", 3),),
        within=0.005,
    ),
    Claim(
        LINE,
        "and new ones a thousand times better.",
        _line_loss("valid", 0),
        lambda seed: 800 * _line_loss("valid", 3)(seed),
    ),
    Measured(LINE, "and ‖w‖ ends near {0.36}.", (_line_norm(3),), within=0.01),
    Measured(LINE, "ends with a ‖w‖ that is {six} times as long,", (_mse,), within=0.2),
    Measured(
        LINE,
        "the dashed curve ends higher and higher, at {0.003} for λ = 10 and at {0.005} for λ = 30:",
        (_line_loss("train", 10), _line_loss("train", 30)),
        within=0.0006,
    ),
    Claim(
        LINE,
        "From λ = 0.3 on the dashed curve ends higher",
        _line_loss("train", 0.3),
        _line_loss("train", 0),
    ),
    Claim(LINE, "The larger λ, the smaller ‖w‖,", _line_norm(0), _line_norm(0.3), margin=1),
    Claim(LINE, "The larger λ, the smaller ‖w‖,", _line_norm(0.3), _line_norm(3), margin=1),
    Claim(LINE, "a very large λ shrinks it too.", _line_norm(3), _line_norm(30), margin=0.1),
    Claim(
        LINE,
        "The validation loss follows ‖w‖ down,",
        _line_loss("valid", 0.3),
        _line_loss("valid", 10),
        margin=1,
    ),
    Measured(
        LINE,
        "it ends at {0.011} for λ = 30, and {0.010} is what the rival gets",
        (_line_loss("valid", 30), _constant),
        within=0.0008,
    ),
    Claim(
        LINE,
        "After 400 steps the zero start is ahead of λ = 3 on every seed:",
        _line_loss("valid", 3),
        _zero,
        margin=0.02,
    ),
    Measured(
        LINE,
        "{0.011} against {0.069}.",
        (_zero, _line_loss("valid", 3)),
        within=0.001,
    ),
    Measured(
        LINE,
        "{2.7 %} of a length of 13 is left,",
        (lambda seed: (1 - 0.003 * 3) ** 400,),
        within=0.0005,
    ),
    Measured(
        LINE,
        "and the validation loss ends near {0.012} and {0.011}.",
        tuple(_finished.values()),
        within=0.0008,
    ),
    *(
        cannot_tell(
            LINE, "Against these two the interval of the difference holds zero:", _zero, finished
        )
        for finished in _finished.values()
    ),
]


# mlp

MLP_PAGE = "weight_decay/mlp"


@functools.cache
def _corner(seed):
    """Train the network with black corners, as on the page."""
    cells = ("imports", "groups", "make-net", "recipe", "corner", "corner-kept")
    seeds = [f"seed, lam, lr, momentum, num_epochs = {number}," for number in (0, seed)]
    return run_cells(MLP_PAGE, *cells, replace=seeds)


def _predicted(momentum):
    def measure(seed):
        math, S = _corner(seed)["math"], _corner(seed)["S"]
        return math.exp(-S / (1 - momentum))

    return measure


def _length(which):
    return lambda seed: _corner(seed)[which].norm().item()


def _right(seed):
    """Share of the redrawn training labels that are right."""
    data = _corner(seed)["train_iter"]
    return (data.labels == data.clean_labels).float().mean().item()


@functools.cache
def _momentum():
    found = page(MLP_PAGE, "imports", "momentum")
    return (1 - found["w"].item() / found["before"]) / (0.1 * 0.001)


def _runs():
    return page(MLP_PAGE, "imports", "patient")["runs"]


def _train(lam, label_noise=0.4):
    return end(_runs, "final_train_accuracy", lam=lam, label_noise=label_noise)


def _valid(lam, label_noise=0.4):
    return end(_runs, "valid_accuracy", lam=lam, label_noise=label_noise)


def _epoch(seed):
    """The epoch of the best mean validation accuracy at λ = 0."""
    curves = [curve(_runs, "valid_accuracy", lam=0, label_noise=0.4)(s) for s in SEEDS]
    return int(sum(curves).argmax()) + 1


def _stopped(seed):
    """Validation accuracy at λ = 0 after that epoch."""
    return float(curve(_runs, "valid_accuracy", lam=0, label_noise=0.4)(seed)[_epoch(seed) - 1])


def _minus(first, second):
    return lambda seed: first(seed) - second(seed)


# Standard deviation over seeds: .005 of accuracies on redrawn labels, .003 on clean ones.
MLP = [
    Measured(MLP_PAGE, "By {ten}.", (lambda seed: _momentum(),), within=0.1),
    Measured(
        MLP_PAGE,
        "They keep {0.145}, and the steady shrinkage predicts {0.146}; without momentum it "
        "would be {0.825}.",
        (
            lambda seed: _corner(seed)["kept"],
            _predicted(0.9),
            _predicted(0),
        ),
        within=0.002,
    ),
    Measured(
        MLP_PAGE,
        "from about {16} to {7}:",
        (_length("start"), _length("end")),
        within=0.5,
    ),
    Measured(MLP_PAGE, "about {64 %} of the labels are right,", (_right,), within=0.01),
    Measured(MLP_PAGE, "near epoch {11} at λ = 0.", (_epoch,), within=3),
    Measured(
        MLP_PAGE,
        "it answers {98 %} of its own labels as they stand, and only {62 %} of new images "
        "correctly.",
        (_train(0), _valid(0)),
        within=0.01,
    ),
    Measured(
        MLP_PAGE,
        "to {76 %} at λ = 0.02, where the network answers {64 %} of its training labels:",
        (_valid(0.02), _train(0.02)),
        within=0.01,
    ),
    Measured(
        MLP_PAGE,
        "Beyond λ = 0.03, both fall: at λ = 0.05 to {53 %} and {73 %}.",
        (_train(0.05), _valid(0.05)),
        within=0.01,
    ),
    Measured(MLP_PAGE, "and gives {74 %} at λ = 0.", (_stopped,), within=0.01),
    Measured(
        MLP_PAGE,
        "λ = 0.02 gains {13.5 points} on a network that is trained to the end, and {2 points} on "
        "one that is stopped in time.",
        (_minus(_valid(0.02), _valid(0)), _minus(_valid(0.02), _stopped)),
        within=0.007,
    ),
    Claim(
        MLP_PAGE,
        "and 2 points on one that is stopped in time.",
        _valid(0.02),
        _stopped,
        margin=0.005,
    ),
    Measured(
        MLP_PAGE,
        "With clean labels there is nothing to gain: {81 %} at λ = 0,",
        (_valid(0, 0),),
        within=0.006,
    ),
    Measured(
        MLP_PAGE,
        "the same at λ = 0.003, and {80 %} at λ = 0.02.",
        (_valid(0.02, 0),),
        within=0.006,
    ),
    Claim(
        MLP_PAGE,
        "the same at λ = 0.003,",
        lambda seed: 0.008,
        lambda seed: abs(_valid(0.003, 0)(seed) - _valid(0, 0)(seed)),
    ),
    Measured(
        MLP_PAGE,
        "near λ = 0.01, with {80 %} in training and {72 %} in validation.",
        (_train(0.01), _valid(0.01)),
        within=0.01,
    ),
    Measured(
        MLP_PAGE,
        "{36 %} of the training labels are wrong,",
        (lambda seed: 1 - _right(seed),),
        within=0.01,
    ),
    Measured(
        MLP_PAGE,
        "training accuracy falls from {98 %} to {64 %}, validation accuracy rises from {62 %} to "
        "{76 %}.",
        (_train(0), _train(0.02), _valid(0), _valid(0.02)),
        within=0.01,
    ),
]

CLAIMS: list[Claim | Measured] = [*LINEAR, *MLP]

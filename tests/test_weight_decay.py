"""The code of the chapter weight_decay, as it stands on its pages, against PyTorch.

Every comparison is also run on a lesson with a mistake in it, and must then fail.
"""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.functional import cross_entropy

from book.pages import run_cells

SEEDS = (0, 1, 2)
LINE = ("imports", "model", "init", "update", "fit", "concise")
MLP = (
    "imports",
    "init",
    "net",
    "penalty",
    "update",
    "epoch",
    "groups",
    "pair",
    "steps",
    "train-small",
)


def _close(actual, expected):
    torch.testing.assert_close(actual, expected, atol=1e-6, rtol=0)


def _leaf(*shape):
    return torch.randn(*shape, dtype=torch.float64).requires_grad_()


# A lesson is compared with the oracle by a function `check(lesson, seed, ...)`.


def check_line(lesson, seed, lam=0.7, lr=0.02, num_inputs=30):
    """Hand-written steps on a linear model against nn.Linear and SGD(weight_decay)."""
    torch.manual_seed(seed)
    w, b = _leaf(num_inputs, 1), _leaf(1)
    net = nn.Linear(num_inputs, 1).double()
    net.load_state_dict({"weight": w.detach().T, "bias": b.detach()})
    optimizer = torch.optim.SGD(
        [
            {"params": [net.weight], "weight_decay": lam},
            {"params": [net.bias], "weight_decay": 0.0},
        ],
        lr=lr,
    )
    for _ in range(12):
        X = torch.randn(4, num_inputs, dtype=torch.float64)
        y = torch.randn(4, 1, dtype=torch.float64)
        loss = lesson["squared_loss"](lesson["linreg"](X, w, b), y)
        (loss + lam * lesson["l2_penalty"](w)).backward()
        lesson["sgd"]((w, b), lr)
        optimizer.zero_grad()
        (0.5 * nn.functional.mse_loss(net(X), y)).backward()
        optimizer.step()
    _close(w.T, net.weight)
    _close(b, net.bias)


def check_line_fit(lesson, seed):
    """Both fits of the page, on the page's data: same curves, same weights."""
    w, b = lesson["init_params"](seed)
    net, concise = lesson["fit_concise"](w, b, lam=3, seed=seed)
    by_hand = lesson["fit"](w, b, lam=3, seed=seed)
    torch.testing.assert_close(net.weight.T, w, atol=1e-5, rtol=0)
    torch.testing.assert_close(net.bias, b, atol=1e-5, rtol=0)
    for name in ("train_loss", "valid_loss"):
        torch.testing.assert_close(
            getattr(concise, name), getattr(by_hand, name), atol=1e-5, rtol=1e-4
        )


def _mlp_start(seed, sizes):
    """The same random parameters, biases included, for the page and for nn.Sequential."""
    torch.manual_seed(seed)
    num_inputs, num_hiddens, num_outputs = sizes
    params = [
        _leaf(num_inputs, num_hiddens),
        _leaf(num_hiddens),
        _leaf(num_hiddens, num_outputs),
        _leaf(num_outputs),
    ]
    net = nn.Sequential(
        nn.Flatten(),
        nn.Linear(num_inputs, num_hiddens),
        nn.ReLU(),
        nn.Linear(num_hiddens, num_outputs),
    ).double()
    with torch.no_grad():
        for own, param in zip(net.parameters(), params, strict=True):
            own.copy_(param.t())
    batches = [
        (torch.randn(6, 1, 1, num_inputs, dtype=torch.float64), torch.randint(num_outputs, (6,)))
        for _ in range(8)
    ]
    return params, net, batches


def _train_oracle(net, batches, lam, lr):
    """Train with torch.optim.SGD(weight_decay) on the weights alone; return mean loss, accuracy."""
    weights = [p for p in net.parameters() if p.ndim == 2]
    biases = [p for p in net.parameters() if p.ndim == 1]
    optimizer = torch.optim.SGD(
        [{"params": weights, "weight_decay": lam}, {"params": biases, "weight_decay": 0.0}], lr=lr
    )
    losses, correct = [], 0
    for X, y in batches:
        y_hat = net(X)
        loss = cross_entropy(y_hat, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        correct += (y_hat.argmax(1) == y).sum().item()
    return sum(losses) / len(losses), correct / sum(len(y) for _, y in batches)


def _compare(params, net):
    for param, own in zip(params, net.parameters(), strict=True):
        _close(param.t(), own)


def check_epoch(lesson, seed, lam=0.3, lr=0.1, sizes=(12, 7, 4)):
    """The page's epoch: parameters, mean loss without the penalty, and accuracy."""
    params, net, batches = _mlp_start(seed, sizes)
    reported = lesson["train_epoch"](params, batches, lam, lr)
    _close(torch.tensor(reported), torch.tensor(_train_oracle(net, batches, lam, lr)))
    _compare(params, net)


def _check_step(step, seed, lam=0.3, lr=0.1, sizes=(12, 7, 4)):
    params, net, batches = _mlp_start(seed, sizes)
    for X, y in batches:
        step(params, X, y, lam, lr)
    _train_oracle(net, batches, lam, lr)
    _compare(params, net)


def check_penalty_step(lesson, seed, **settings):
    _check_step(lesson["penalty_step"], seed, **settings)


def check_decay_step(lesson, seed, **settings):
    _check_step(lesson["decay_step"], seed, **settings)


def check_groups(lesson, seed, lam=0.3, lr=0.1):
    """The page's parameter groups decay weights and spare biases."""
    params, net, batches = _mlp_start(seed, (12, 7, 4))
    optimizer = lesson["make_optimizer"](params, lam, lr=lr)
    for X, y in batches:
        optimizer.zero_grad()
        cross_entropy(lesson["net"](X, params), y).backward()
        optimizer.step()
    _train_oracle(net, batches, lam, lr)
    _compare(params, net)


CHECKS = [
    ("linear_regression", LINE, check_line),
    ("linear_regression", LINE, check_line_fit),
    ("mlp", MLP, check_epoch),
    ("mlp", MLP, check_penalty_step),
    ("mlp", MLP, check_decay_step),
    ("mlp", MLP, check_groups),
]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    ("page", "cells", "check"), CHECKS, ids=[check.__name__ for _, _, check in CHECKS]
)
def test_lesson_agrees_with_torch(page, cells, check, seed):
    check(run_cells(f"weight_decay/{page}", *cells), seed)


MISTAKES = [
    # the penalty without its half
    ("linear_regression", LINE, check_line, ("(w ** 2).sum() / 2", "(w ** 2).sum()")),
    ("linear_regression", LINE, check_line_fit, ("(w ** 2).sum() / 2", "(w ** 2).sum()")),
    # the norm in place of half its square
    ("linear_regression", LINE, check_line, ("(w ** 2).sum() / 2", "w.norm()")),
    # a loss without its half
    ("linear_regression", LINE, check_line, (".mean() / 2", ".mean()")),
    # gradients that pile up
    ("linear_regression", LINE, check_line, ("param.grad.zero_()", "pass")),
    # the penalty inside the reported loss
    (
        "linear_regression",
        LINE,
        check_line_fit,
        ("total += loss.item()", "total += (loss + lam * l2_penalty(w)).item()"),
    ),
    # a decayed bias
    (
        "linear_regression",
        LINE,
        check_line_fit,
        ('{"params": [net.bias]}', '{"params": [net.bias], "weight_decay": lam}'),
    ),
    (
        "mlp",
        MLP,
        check_groups,
        ('"weight_decay": 0.0}], **options', '"weight_decay": lam}], **options'),
    ),
    # one layer forgotten
    ("mlp", MLP, check_epoch, (" + (W2 ** 2).sum()", "")),
    ("mlp", MLP, check_decay_step, ("(params[0], params[2])", "(params[0],)")),
    # a mean in place of a sum
    ("mlp", MLP, check_penalty_step, ("(W1 ** 2).sum()", "(W1 ** 2).mean()")),
    # decay that forgets the learning rate
    ("mlp", MLP, check_decay_step, ("1 - lr * lam", "1 - lam")),
    # the penalty inside the reported loss
    (
        "mlp",
        MLP,
        check_epoch,
        ("loss_sum += loss.item()", "loss_sum += (loss + lam * penalty(params)).item()"),
    ),
]


@pytest.mark.parametrize(
    ("page", "cells", "check", "mistake"),
    MISTAKES,
    ids=[f"{check.__name__}: {old} to {new or 'nothing'}" for *_, check, (old, new) in MISTAKES],
)
def test_a_mistake_in_the_lesson_is_seen(page, cells, check, mistake):
    lesson = run_cells(f"weight_decay/{page}", *cells, replace=mistake)
    for seed in SEEDS:
        with pytest.raises(AssertionError):
            check(lesson, seed)


_line = run_cells("weight_decay/linear_regression", *LINE)
_mlp = run_cells("weight_decay/mlp", *MLP)
_lam = st.sampled_from((0.0, 1e-3, 0.1, 1.0))
_lr = st.sampled_from((1e-3, 0.02))
_width = st.integers(1, 9)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**31), lam=_lam, lr=_lr, num_inputs=st.integers(1, 40))
def test_line_agrees_for_any_setting(seed, lam, lr, num_inputs):
    check_line(_line, seed, lam, lr, num_inputs)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**31), lam=_lam, lr=_lr, sizes=st.tuples(_width, _width, _width))
def test_mlp_agrees_for_any_setting(seed, lam, lr, sizes):
    for check in (check_epoch, check_penalty_step, check_decay_step):
        check(_mlp, seed, lam=lam, lr=lr, sizes=sizes)


# Which λ belongs to which formula, for every weight matrix of the page's small network.

FORMULAS = {
    "lam / 2 * sum is lam": (lambda W, lam: lam * (W**2).sum() / 2, lambda W, lam: lam),
    "lam * sum is 2 lam": (lambda W, lam: lam * (W**2).sum(), lambda W, lam: 2 * lam),
    "lam / 2 * mean is lam / N": (
        lambda W, lam: lam * (W**2).mean() / 2,
        lambda W, lam: lam / W.numel(),
    ),
}


def _difference(lam, formula, decay, **options):
    W1, _, W2, _ = _mlp["small_start"]()
    by_decay = _mlp["train_small"]((decay(W1, lam), decay(W2, lam)), **options)
    by_formula = _mlp["train_small"]((0, 0), lambda W: formula(W, lam), **options)
    return _mlp["distance"](by_decay, by_formula)


@pytest.mark.parametrize("decay", FORMULAS)
@pytest.mark.parametrize("formula", FORMULAS)
def test_each_formula_has_one_lambda(formula, decay):
    same = _difference(0.5, FORMULAS[formula][0], FORMULAS[decay][1]) < 1e-6
    assert same == (formula == decay)


@pytest.mark.parametrize(
    ("optimizer", "options", "agrees"),
    [
        (torch.optim.SGD, {}, True),
        (torch.optim.SGD, {"momentum": 0.9}, True),
        (torch.optim.SGD, {"momentum": 0.9, "nesterov": True}, True),
        (torch.optim.Adam, {}, True),
        (torch.optim.AdamW, {}, False),
    ],
)
def test_where_penalty_and_decay_part(optimizer, options, agrees):
    formula, decay = FORMULAS["lam / 2 * sum is lam"]
    difference = _difference(0.1, formula, decay, optimizer=optimizer, **options)
    assert (difference < 1e-6) == agrees


@pytest.mark.parametrize("lam", (0.0, 0.5, 3.0))
@pytest.mark.parametrize("seed", SEEDS)
def test_the_orthogonal_part_decays_and_does_nothing_else(seed, lam):
    page = run_cells("weight_decay/linear_regression", "imports", "data", "project", *LINE[1:])
    w, b = page["init_params"](seed)
    start = (w - page["inside"](w)).detach().clone()
    page["fit"](w, b, lam, num_epochs=20)
    kept = (w - page["inside"](w)).detach()
    torch.testing.assert_close(kept, (1 - 0.003 * lam) ** (20 * 4) * start, atol=1e-4, rtol=0)
    with pytest.raises(AssertionError):  # the part inside the span does more than decay
        torch.testing.assert_close(
            page["inside"](w).detach(),
            (1 - 0.003 * lam) ** (20 * 4) * page["inside"](page["init_params"](seed)[0]).detach(),
            atol=1e-4,
            rtol=0,
        )

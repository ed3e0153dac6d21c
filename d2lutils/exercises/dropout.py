"""Checks of the exercises on dropout."""

import copy
import itertools

import torch
from torch import nn
from torch.nn import functional as F

from d2lutils.checks.base import (
    Wrong,
    elsewhere,
    expect,
    expect_close,
    number,
    numbers,
    task,
    tensor,
    unchanged,
)


def _uniform(low: float, high: float) -> float:
    return float(torch.empty((), dtype=torch.float64).uniform_(low, high))


def _far_from_zero(*shape: int, dtype=torch.float32) -> torch.Tensor:
    """Return random numbers of both signs between 1 and 3: only a dropped one is zero."""
    magnitude = torch.empty(shape, dtype=dtype).uniform_(1, 3)
    return magnitude * (torch.randint(0, 2, shape) * 2 - 1)


# What several layers have in common ---------------------------------------------------------------


def _drops(draw, p: float, what: str) -> None:
    """State that `draw()`, the output over the input, is 0 with probability p and else 1/(1-p)."""
    ratio = draw()
    kept = ratio != 0
    share, spread = kept.double().mean().item(), (p * (1 - p) / kept.numel()) ** 0.5
    expect(
        share < 1,
        "nothing dropped",
        "`{what}` with p = {p} left no zero in {count} entries.",
        what=what,
        p=f"{p:.2f}",
        count=kept.numel(),
    )
    expect(
        share > 0,
        "everything dropped",
        "`{what}` with p = {p} left nothing but zeros in {count} entries.",
        what=what,
        p=f"{p:.2f}",
        count=kept.numel(),
    )
    _each_entry_by_itself(kept)
    expect(
        abs(share - 1 + p) < 6 * spread,
        "keeps with probability p" if abs(share - p) < 6 * spread else "wrong share dropped",
        "With p = {p}, {want} of the entries should stay; in yours {got} do. "
        "p is the probability of being dropped, for each entry by itself.",
        p=f"{p:.2f}",
        want=f"{1 - p:.0%}",
        got=f"{share:.0%}",
    )
    expect_close(
        ratio[kept],
        torch.full_like(ratio[kept], 1 / (1 - p)),
        f"{what} / input, where it is not zero",
        suspects={
            "mask not rescaled by 1/(1-p)": (
                torch.ones_like(ratio[kept]),
                "What stays should be divided by 1-p, so that the mean stays as it was; yours is "
                "left as it is.",
            ),
            "rescaled by the wrong factor": (
                torch.full_like(ratio[kept], 1 / p),
                "A share of 1-p stays, so the mean stays if you divide by 1-p, not by p.",
            ),
            "multiplied instead of divided by 1-p": (
                torch.full_like(ratio[kept], 1 - p),
                "What stays should grow, to make up for what is lost: divide by 1-p.",
            ),
        },
    )
    others = [draw() != 0 for _ in range(6)]
    _differ(kept, others[0], what)
    expect(
        any(other.sum() != kept.sum() for other in others),
        "the same number dropped every time",
        "Seven calls all dropped {count} entries. Each entry should decide by itself, so that the "
        "number varies.",
        count=int((~kept).sum()),
    )


def _each_entry_by_itself(kept: torch.Tensor) -> None:
    """Raise `Wrong` if neighbours along some dimension always share their fate."""
    share = kept.double().mean()
    by_chance = share**2 + (1 - share) ** 2
    for dim in range(kept.ndim):
        pairs = kept.unfold(dim, 2, 2)
        expect(
            (pairs[..., 0] == pairs[..., 1]).double().mean() < (1 + by_chance) / 2,
            "mask shared between entries",
            "Entries that differ in index {dim} only are dropped together. Each entry needs a "
            "random number of its own.",
            dim=dim,
        )


def _differ(first, second, what):
    expect(
        not torch.equal(first, second),
        "the same mask every time",
        "Two calls of `{what}` drew the same random numbers. Draw new ones in each call, and set "
        "no seed inside.",
        what=what,
    )


def _same_dtype(out, X, what):
    expect(
        out.dtype == X.dtype,
        "dtype changed",
        "X is {want}, but `{what}` is {got}. Make new tensors with the dtype of X.",
        want=X.dtype,
        got=out.dtype,
        what=what,
    )


class _Probe(nn.Module):
    """Hands on its input, and notes in which mode it did so."""

    def __init__(self):
        super().__init__()
        self.training_seen = []

    def forward(self, X):
        self.training_seen.append(self.training)
        return X


# The layer, by hand and as a module ---------------------------------------------------------------


@task("dropout.layer", "dropout(X, p)")
def layer(dropout):
    """Check inverted dropout; Srivastava et al. (2014), section 10."""
    call = "dropout(X, p)"
    for *shape, dtype, grad in (
        (64, 50, torch.float32, True),
        (40, 8, 10, torch.float64, True),
        (50, 40, torch.float32, False),
    ):
        low, X = _uniform(0.15, 0.4), _far_from_zero(*shape, dtype=dtype)
        what = call if grad else f"with torch.no_grad(): {call}"
        for p in (low, 1 - low):
            with torch.set_grad_enabled(grad):
                with unchanged(X=X):
                    out = tensor(dropout(X, p), what, shape)
                _same_dtype(out, X, what)
                _drops(lambda X=X, p=p: tensor(dropout(X, p), call, X.shape) / X, p, what)
    X = torch.randn(5, 7)
    expect_close(tensor(dropout(X, 0.0), call, X.shape), X, "dropout(X, 0)")
    expect_close(tensor(dropout(X, 1.0), call, X.shape), torch.zeros_like(X), "dropout(X, 1)")
    out = tensor(dropout(X.requires_grad_(), 0.5), call, X.shape)
    expect(
        out.requires_grad,
        "no gradient",
        "Nothing can be learned through your layer: `{call}` has lost its link to X. Compute it "
        "from X itself, without `detach`, `data`, `no_grad` or NumPy.",
        call=call,
    )
    with elsewhere("X"):
        dropout(X, 0.5)


@task("dropout.module", "Dropout(p)")
def module(Dropout):
    """Check a dropout module inside a network, in both modes; nn.Dropout is the model."""
    expect(
        isinstance(Dropout, type) and issubclass(Dropout, nn.Module),
        "not a module",
        "`Dropout` should be a class that inherits from `nn.Module`: only then do `net.train()` "
        "and `net.eval()` reach it.",
    )
    for method in ("__init__", "forward"):
        expect(
            getattr(Dropout, method) is not getattr(nn.Module, method),
            "method missing",
            "`Dropout` needs a method `{method}` of its own.",
            method=method,
        )
    p, X = _uniform(0.2, 0.4), _far_from_zero(64, 50)
    layers = [Dropout(p), Dropout(1 - p)]
    for layer in layers:
        expect(
            "training" in vars(layer),
            "super().__init__() is missing",
            "Begin `__init__` with `super().__init__()`: it makes the object a module.",
        )
    for layer, want in zip(layers, (p, 1 - p), strict=True):
        expect(
            getattr(layer, "p", None) == want,
            "p not stored",
            "After `layer = Dropout({want})`, `layer.p` should be {want}; yours is {got}.",
            want=f"{want:.2f}",
            got=getattr(layer, "p", None),
        )
    net = nn.Sequential(nn.Identity(), nn.Sequential(layers[0]))
    for _ in range(2):  # to and fro: the mode may be changed at any time
        with unchanged(X=X):
            out = tensor(net.eval()(X), "net.eval()(X)", X.shape)
        expect(
            not (out == 0).any(),
            "active in eval mode",
            "After `net.eval()` your layer still drops entries. `self.training` says in which mode "
            "it is.",
        )
        expect_close(
            out,
            X,
            "net.eval()(X)",
            suspects={
                "rescaled in eval mode": (
                    X * (1 - p),
                    "In evaluation mode the layer should do nothing. You have rescaled by 1-p "
                    "there; with inverted dropout that is done in train mode, by 1/(1-p).",
                ),
                "rescaled by 1/(1-p) in eval mode": (
                    X / (1 - p),
                    "In evaluation mode nothing is dropped, so nothing needs to be made up for.",
                ),
            },
        )
        net.train()
        with unchanged(X=X):
            out = tensor(net(X), "net.train()(X)", X.shape)
        _same_dtype(out, X, "net.train()(X)")
        _drops(lambda: tensor(net(X), "net.train()(X)", X.shape) / X, p, "net.train()(X)")
    with elsewhere("X"):
        net(X)
    layers[0].p = 0.0
    expect(
        torch.allclose(net(X[:2]), X[:2]),
        "a change of p has no effect",
        "After `layer.p = 0.0` your layer still drops entries, with the probability that it was "
        "made with. Read `self.p` in each call, as `nn.Dropout` does.",
    )


# Measuring ----------------------------------------------------------------------------------------


@task("dropout.evaluate", "accuracy(net, data_iter)")
def evaluate(accuracy):
    """Check that all examples are counted, in evaluation mode, and that nothing is left behind."""
    call, batch_size = "accuracy(net, data_iter)", 16
    for training in (True, False):
        net = nn.Sequential(nn.Flatten(), nn.Linear(12, 4), nn.Dropout(0.8))
        seen = []  # (train mode, gradients) of each module that ran, also in a copy of the net

        def note(module, inputs, seen=seen):
            seen.append((module.training, torch.is_grad_enabled()))

        # The share of right labels differs from batch to batch, and the last batch is smaller.
        sizes, hits = (batch_size, batch_size, 4), (12, 7, 1) if training else (13, 9, 1)
        data = []
        for size, num_right in zip(sizes, hits, strict=True):
            X = torch.randn(size, 3, 4)
            y = net.eval()(X).argmax(1)
            mistaken = torch.randperm(size)[num_right:]
            y[mistaken] = (y[mistaken] + torch.randint(1, 4, (size - num_right,))) % 4
            data.append((X, y))
        want = sum(hits) / sum(sizes)
        net.train(training)
        for module in net.modules():
            module.register_forward_pre_hook(note)
        weights = {name: value.clone() for name, value in net.state_dict().items()}
        got = number(accuracy(net, data), call)
        expect(
            seen,
            "network not used",
            "`{call}` never called `net(X)`.",
            call=call,
        )
        expect(
            not any(train_mode for train_mode, _ in seen),
            "measured in train mode",
            "The net was in train mode while you measured it, so dropout was active and luck "
            "decided. Call `net.eval()` first.",
        )
        expect(
            not any(gradients for _, gradients in seen),
            "gradients recorded",
            "While you measure, PyTorch keeps every intermediate result for a backward pass that "
            "never comes. Measure inside `with torch.no_grad():`.",
        )
        per_batch = [h / n for h, n in zip(hits, sizes, strict=True)]
        expect_close(
            got,
            want,
            call,
            suspects={
                "last batch counted like the others": (
                    sum(per_batch) / len(data),
                    "You average the accuracies of the batches, but the last batch is smaller. "
                    "Count right answers and examples.",
                ),
                "last batch taken for a full one": (
                    sum(hits) / (len(data) * batch_size),
                    "You divide by batches times batch size, but the last batch is smaller. Count "
                    "the examples.",
                ),
                "percent instead of a share": (
                    100 * want,
                    "Return a number between 0 and 1, not percent.",
                ),
                "not divided by the number of examples": (
                    sum(hits),
                    "That is the number of right answers: divide it by the number of examples.",
                ),
                "error rate instead of accuracy": (
                    1 - want,
                    "That is the share of wrong answers.",
                ),
                "divided by the number of batches": (
                    sum(hits) / len(data),
                    "Divide the right answers by the number of examples, not of batches.",
                ),
                "only the last batch": (per_batch[-1], "You return the last batch's accuracy."),
                "only the first batch": (per_batch[0], "You return after the first batch."),
            },
        )
        expect(
            net.training == training and all(m.training == training for m in net.modules()),
            "mode not restored",
            "The net came in {before} mode and leaves in {after} mode. Remember `net.training`, "
            "and put it back at the end.",
            before="train" if training else "evaluation",
            after="train" if net.training else "evaluation",
        )
        expect(
            all(torch.equal(value, weights[name]) for name, value in net.state_dict().items()),
            "network changed",
            "Measuring has changed the weights of the net.",
        )


@task("dropout.activation_variance", "activation_variance(net, X)")
def activation_variance(answer):
    """Check the variance after each ReLU, in the mode of the net, and that no hook is left."""
    call = "activation_variance(net, X)"
    for container, training, depth in itertools.product(
        (nn.Sequential, _LastFirst), (False, True), (1, 3)
    ):
        blocks = []
        for _ in range(depth):
            block = [nn.Linear(24, 24), nn.ReLU(), nn.Dropout(0.5, inplace=True)]
            nn.init.normal_(block[0].weight, std=_uniform(1, 2) / 24**0.5)
            nn.init.normal_(block[0].bias)  # some units are more active than others
            blocks.append(nn.Sequential(*block))
        net = nn.Sequential(nn.Flatten(), _Probe(), container(*blocks), nn.Linear(24, 5))
        net.append(nn.LeakyReLU()).train(training)
        probe, X = net[1], torch.randn(256, 4, 6)
        outputs = _outputs(net, X)
        probe.training_seen.clear()
        modes = [m.training for m in net.modules()]
        returned = answer(net, X)
        expect(
            not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules()),
            "hook left behind",
            "The net still has your hook, so it will go on measuring at every later call. Keep "
            "what `register_forward_hook` returns, and call its `remove()`.",
        )
        expect(
            all(seen == training for seen in probe.training_seen)
            and [m.training for m in net.modules()] == modes,
            "mode changed",
            "The net came in {mode} mode; measure it in the mode it is in, and leave it there.",
            mode="train" if training else "evaluation",
        )
        if torch.is_tensor(returned) and returned.ndim == 0:
            returned = [returned]
        got = numbers(returned, call, depth)

        def value(kind, statistic, outputs=outputs):
            return [float(statistic(H)) for H in outputs[kind]]

        after_dropout = {
            "measured after dropout": (
                value(nn.Dropout, torch.var),
                "That is the variance after dropout has disturbed the activations. Measure what "
                "comes out of the ReLU at once: a later layer may change it in place.",
            )
        }
        others = {
            "measured before the ReLU": (
                value(nn.Linear, torch.var)[:depth],
                "That is the variance of what goes into the ReLU. Measure what comes out.",
            ),
            "standard deviation instead of variance": (
                value(nn.ReLU, torch.std),
                "That is the standard deviation, the square root of the variance.",
            ),
            "mean instead of variance": (
                value(nn.ReLU, torch.mean),
                "That is the mean of the activations.",
            ),
            "mean of the squares instead of variance": (
                value(nn.ReLU, lambda H: H.square().mean()),
                "That is the mean of the squares: the variance subtracts the squared mean.",
            ),
            "variance of each unit": (
                value(nn.ReLU, lambda H: H.var(0).mean()),
                "You take a variance over the batch for each unit, and average. Take one over all "
                "entries of the layer's output.",
            ),
            "variance of each example": (
                value(nn.ReLU, lambda H: H.var(1).mean()),
                "You take a variance over the units for each example, and average. Take one over "
                "all entries of the layer's output.",
            ),
            "layers called in the order of definition": (
                value(nn.ReLU, torch.var, _outputs(nn.Sequential(*net[:2], *blocks), X)),
                "You call the layers one by one, as they are defined. Only `net(X)` knows in which "
                "order they run.",
            ),
            "in reverse order": (
                value(nn.ReLU, torch.var)[::-1],
                "The values are right, but their order is not. Begin with the layer next to the "
                "input, and go on as the layers run, wherever they are defined.",
            ),
        }
        # In train mode the answer drew other masks than `_outputs`.
        expect_close(
            got,
            value(nn.ReLU, torch.var),
            call,
            rtol=0.5 if training else 1e-3,
            suspects=after_dropout if training else others,
        )


class _LastFirst(nn.Module):
    """Runs its blocks from the last to the first: they are not defined in the order they run."""

    def __init__(self, *blocks):
        super().__init__()
        self.blocks = nn.ModuleList(blocks)

    def forward(self, X):
        for block in reversed(self.blocks):
            X = block(X)
        return X


def _outputs(net: nn.Module, X: torch.Tensor) -> dict[type, list[torch.Tensor]]:
    """Return what each layer of a kind puts out, in one pass."""
    found = {nn.Linear: [], nn.ReLU: [], nn.Dropout: []}

    def note(layer, inputs, output):
        found[type(layer)].append(output.clone())

    hooks = [m.register_forward_hook(note) for m in net.modules() if type(m) in found]
    with torch.no_grad():
        net(X)
    for hook in hooks:
        hook.remove()
    return found


@task("dropout.fix_loop", "train_epoch(net, train_iter, loss, optimizer)")
def fix_loop(train_epoch):
    """Check one epoch of training against the textbook loop."""
    call = "train_epoch(net, train_iter, loss, optimizer)"
    for momentum, old_gradient in ((0.0, None), (0.9, 1.0)):
        start = nn.Sequential(_Probe(), nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3)).eval()
        start.training = old_gradient is not None  # then only its parts are in evaluation mode
        data = [(3 * torch.randn(n, 6), torch.randint(0, 3, (n,))) for n in (10, 10, 10, 3)]
        loss = nn.CrossEntropyLoss()

        def run(
            epoch, start=start, data=data, loss=loss, momentum=momentum, old=old_gradient, **options
        ):
            net = copy.deepcopy(start)
            for p in net.parameters():
                p.grad = old and torch.full_like(p, old)
            optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=momentum)
            value = epoch(net, data, loss, optimizer, **options)
            with torch.no_grad():
                return net, value, nn.utils.parameters_to_vector(net.parameters()).clone()

        net, value, got = run(train_epoch)
        losses, want = run(_epoch)[1:]
        single = number(value, call)
        expect(
            not torch.equal(got, nn.utils.parameters_to_vector(start.parameters())),
            "nothing learned",
            "The weights of the net are the same as before: somebody must call "
            "`optimizer.step()`, after `backward()`.",
        )
        expect(
            all(net[0].training_seen),
            "not in train mode",
            "The net, or a part of it, came in evaluation mode and was trained like that, so its "
            "dropout layers did nothing. Call `net.train()` first, whatever `net.training` says.",
        )
        expect_close(
            got,
            want,
            "the weights after an epoch",
            rtol=1e-3,
            atol=1e-5,
            suspects={
                "gradients pile up": (
                    run(_epoch, zero_grad="never")[2],
                    "Each step also used the gradients of all batches before it: `backward()` "
                    "adds to what is there. Clear them with `optimizer.zero_grad()`.",
                ),
                "one step an epoch": (
                    run(_epoch, zero_grad="never", step_each=False)[2],
                    "You take one step at the end of the epoch. Take one after each batch.",
                ),
                "old gradients used": (
                    run(_epoch, zero_grad="after")[2],
                    "The net came with gradients of an earlier `backward()`, and your first step "
                    "used them too. Clear the gradients before `backward()`, not after the step.",
                ),
            },
        )
        sizes = [len(y) for _, y in data]
        total = sum(value * n for value, n in zip(losses, sizes, strict=True))
        expect_close(
            single,
            total / sum(sizes),
            call,
            rtol=1e-3,
            suspects={
                "loss of the last batch": (
                    losses[-1],
                    "You return the loss of the last batch. Return the mean over all examples of "
                    "the epoch.",
                ),
                "last batch counted like the others": (
                    sum(losses) / len(losses),
                    "You average over batches, but the last batch is smaller. Weight each batch's "
                    "loss by its number of examples.",
                ),
                "divided twice": (
                    sum(losses) / sum(sizes),
                    "The loss of a batch is a mean already. Multiply it by the number of examples "
                    "before you add up.",
                ),
                "sum instead of mean": (
                    total,
                    "That is the sum over all examples: divide it by their number.",
                ),
                "sum over the batches": (
                    sum(losses),
                    "You add up the losses of the batches. Return the mean over all examples.",
                ),
            },
        )
        expect(
            not getattr(value, "requires_grad", False),
            "loss keeps its graph",
            "You return a tensor that holds on to the network's whole computation. Add up plain "
            "numbers: `.item()`.",
        )


def _epoch(net, data, loss, optimizer, *, zero_grad="before", step_each=True) -> list[float]:
    """Train as the textbook does, or not quite; return the loss of each batch."""
    net.train()
    losses = []
    for X, y in data:
        batch_loss = loss(net(X), y)
        if zero_grad == "before":
            optimizer.zero_grad()
        batch_loss.backward()
        if step_each:
            optimizer.step()
        if zero_grad == "after":
            optimizer.zero_grad()
        losses.append(batch_loss.item())
    if not step_each:
        optimizer.step()
    return losses


# Judging experiments ------------------------------------------------------------------------------


def _accuracies(num_seeds: int, center: float):
    """Return one accuracy for each seed, as a NumPy array, as a sweep does."""
    return (center + 0.02 * torch.randn(num_seeds, dtype=torch.float64)).numpy()


@task("dropout.paired_difference", "paired_difference(a, b)")
def paired_difference(answer):
    """Check mean and standard error of paired differences."""
    call = "paired_difference(a, b)"
    for n in (5, 2, 9):
        a, gain = (torch.from_numpy(_accuracies(n, center)) for center in (0.8, 0.005))
        gain[:2] = gain[:2].abs() * torch.tensor([1, -1])  # each of the two wins at some seed
        b = a - 0.2 * gain  # a seed is good or bad for both
        with unchanged(a=a, b=b):
            returned = answer(a.numpy(), b.numpy())
        mean, error = numbers(returned, call, 2)
        difference = a - b
        std = difference.std()
        expect_close(
            mean,
            difference.mean(),
            "mean of a - b",
            suspects={
                "difference the wrong way round": (
                    -difference.mean(),
                    "That is the mean of b - a.",
                ),
                "sum instead of mean": (difference.sum(), "That is the sum of the differences."),
                "absolute differences": (
                    difference.abs().mean(),
                    "You drop the signs. Where b is better than a, the difference is negative, and "
                    "counts against a.",
                ),
                "mean and standard error swapped": (
                    std / n**0.5,
                    "The mean comes first, then its standard error.",
                ),
            },
        )
        expect_close(
            error,
            std / n**0.5,
            "standard error",
            suspects={
                "standard deviation instead of standard error": (
                    std,
                    "That is the standard deviation of a single difference. The mean of n of them "
                    "is surer by a factor of √n.",
                ),
                "pairing ignored": (
                    ((a.var() + b.var()) / n) ** 0.5,
                    "You treat a and b as unrelated groups. A good seed is good for both: take "
                    "the differences first, then look at how they spread.",
                ),
                "divided by n instead of n-1": (
                    difference.std(correction=0) / n**0.5,
                    "With the mean estimated from the same numbers, the variance divides by n-1: "
                    "NumPy's `ddof=1`.",
                ),
                "divided by n instead of √n": (std / n, "Divide by the square root of n."),
                "variance instead of standard error": (
                    std**2 / n,
                    "That is the squared standard error: take the root.",
                ),
                "interval instead of standard error": (
                    1.96 * std / n**0.5,
                    "Return the standard error itself, not an interval's half-width.",
                ),
            },
        )


@task("dropout.best_epoch", "best_epoch(valid_loss)")
def best_epoch(answer):
    """Check the epoch of the lowest mean loss, counted from 1; of equal ones the first."""
    call = "best_epoch(valid_loss)"
    for num_seeds, num_epochs in ((3, 20), (5, 12)):
        for _ in range(200):  # until the usual mistakes would show
            loss = torch.rand(num_seeds, num_epochs, dtype=torch.float64) + 0.5
            want = int(loss.mean(0).argmin()) + 1
            single = loss.argmin(1) + 1
            wrong = {
                "counted from 0": (want - 1, "Index 0 is epoch 1: count the epochs from 1."),
                "mean of the seeds' best epochs": (
                    single.double().mean(),
                    "You average the best epochs of the single seeds. Average the losses first, "
                    "then look for the lowest.",
                ),
                "one seed only": (
                    single[0],
                    "You look at the first seed only. Average over the seeds.",
                ),
                "seeds and epochs swapped": (
                    int(loss.mean(1).argmin()) + 1,
                    "That is the best seed. `valid_loss[seed, epoch]`: average over the first "
                    "index.",
                ),
                "median instead of mean": (
                    int(loss.quantile(0.5, dim=0).argmin()) + 1,
                    "That is the median of the seeds; take their mean.",
                ),
                "highest instead of lowest": (
                    int(loss.mean(0).argmax()) + 1,
                    "You look for the highest loss.",
                ),
                "the loss instead of the epoch": (
                    loss.mean(0).min(),
                    "That is the lowest loss. Return the epoch in which it occurs.",
                ),
                "always the last epoch": (num_epochs, "That is the last epoch, not the best."),
                "lowest loss of a single seed": (
                    int(loss.min(0).values.argmin()) + 1,
                    "You look for the lowest single loss, so one lucky seed decides. Average over "
                    "the seeds first.",
                ),
            }
            values = [float(value) for value, _ in wrong.values()]
            if want not in values and len(set(values)) == len(values):
                break
        with unchanged(valid_loss=loss):
            got = number(answer(loss.numpy()), call)
        expect_close(got, want, call, suspects=wrong)
    single = torch.rand(1, 7, dtype=torch.float64)
    expect_close(number(answer(single.numpy()), call), single.argmin() + 1, call)
    tie = torch.tensor([[0.9, 0.5, 0.7, 0.5], [0.9, 0.5, 0.7, 0.5]], dtype=torch.float64)
    expect(
        number(answer(tie.numpy()), call) == 2,
        "last of equal epochs",
        "Epochs 2 and 4 are equally good: return the first of them.",
    )


@task("dropout.interaction", "interaction(none, decay, dropout, both)")
def interaction(answer):
    """Check the mean of (both - dropout) - (decay - none) over the seeds."""
    call = "interaction(none, decay, dropout, both)"
    for n in (5, 3, 1):
        none, decay, dropout, both = (
            torch.from_numpy(_accuracies(n, center)) for center in (0.60, 0.68, 0.75, 0.87)
        )
        with unchanged(none=none, decay=decay, dropout=dropout, both=both):
            value = answer(none.numpy(), decay.numpy(), dropout.numpy(), both.numpy())
        want = ((both - dropout) - (decay - none)).mean()
        got = number(value, call)
        expect_close(
            got,
            want,
            call,
            suspects={
                "sign turned round": (
                    -want,
                    "Positive should mean that weight decay gains more when dropout is there.",
                ),
                "baseline forgotten": (
                    (both - dropout - decay).mean(),
                    "The gain of weight decay alone is decay - none.",
                ),
                "gains added": (
                    ((both - dropout) + (decay - none)).mean(),
                    "Compare the two gains of weight decay: subtract one from the other.",
                ),
                "gain of both against none": (
                    (both - none).mean(),
                    "That is what both gain together. How does it compare with the sum of the "
                    "single gains?",
                ),
                "gain of both against the better one": (
                    (both - torch.maximum(decay, dropout)).mean(),
                    "That is what the second one adds to the better one. Compare it with what it "
                    "adds to no regularization at all.",
                ),
                "baseline counted twice": (
                    (both - dropout - decay - none).mean(),
                    "Mind the signs: minus (decay - none) is minus decay plus none.",
                ),
                "sum instead of mean": (
                    want * n,
                    "You add up over the seeds: return the mean.",
                ),
            },
        )


# Theory -------------------------------------------------------------------------------------------


@task("dropout.variance", "output_variance(w, x, p)")
def variance(output_variance):
    """Check the variance of a linear unit's output against an average over all masks."""
    call = "output_variance(w, x, p)"
    for n in (4, 1, 9):
        w, x, low = torch.randn(n) + 1, torch.randn(n) - 1, _uniform(0.1, 0.4)
        for p in (low, 1 - low, 0.0):
            with unchanged(w=w, x=x):
                got = number(output_variance(w, x, p), call)
            wx = (w * x).double()
            squares, ratio = wx.square().sum(), p / (1 - p)
            expect_close(
                got,
                _variance_over_all_masks(wx, p),
                call,
                suspects={
                    "mask not rescaled by 1/(1-p)": (
                        p * (1 - p) * squares,
                        "That is the variance if the mask is not divided by 1-p. Dividing a "
                        "random number by c divides its variance by c².",
                    ),
                    "divided by 1-p only": (
                        p * squares,
                        "Dividing a random number by 1-p divides its variance by (1-p)².",
                    ),
                    "p and 1-p swapped": (
                        (1 - p) / p * squares if p else torch.inf,
                        "p is the probability of being dropped, and the more is dropped, the "
                        "larger the variance.",
                    ),
                    "mean of the square instead of variance": (
                        squares / (1 - p),
                        "For one input that is the mean of the square. The variance subtracts the "
                        "square of the mean.",
                    ),
                    "sum squared instead of squares summed": (
                        ratio * wx.sum() ** 2,
                        "You square the sum. The masks are independent, so the variances of the "
                        "terms add up: square each term, then sum.",
                    ),
                    "squares missing": (
                        ratio * wx.sum(),
                        "Multiplying a random number by c multiplies its variance by c².",
                    ),
                    "inputs left out": (
                        ratio * w.square().sum(),
                        "An input that is large makes a large difference when it is dropped: x "
                        "belongs into the formula.",
                    ),
                    "mean instead of sum": (
                        ratio * squares / n,
                        "The variances of the terms add up: take their sum.",
                    ),
                    "standard deviation instead of variance": (
                        (ratio * squares).sqrt(),
                        "That is the standard deviation, the square root of the variance.",
                    ),
                },
            )


def _variance_over_all_masks(terms: torch.Tensor, p: float) -> torch.Tensor:
    """Return the variance of the sum of masked and rescaled terms: no formula, all 2ⁿ masks."""
    masks = torch.tensor(list(itertools.product((0, 1), repeat=len(terms))), dtype=torch.float64)
    probability = (masks * (1 - p) + (1 - masks) * p).prod(1)
    outputs = masks @ terms / (1 - p)
    mean = probability @ outputs
    return probability @ (outputs - mean).square()


# Relatives of dropout -----------------------------------------------------------------------------


@task("dropout.dropconnect", "dropconnect(X, W, b, p)")
def dropconnect(answer):
    """Check a linear layer with dropped weights; Wan et al. (2013), one mask a call."""
    call = "dropconnect(X, W, b, p)"
    num_inputs, num_outputs = 60, 50
    W, b = _far_from_zero(num_outputs, num_inputs), torch.randn(num_outputs)
    X, low = torch.randn(8, num_inputs), _uniform(0.2, 0.4)
    one_each = torch.eye(num_inputs)  # with it as X, the outputs are the weights themselves

    def layer(X, p):
        return tensor(answer(X, W, b, p), call, (len(X), num_outputs))

    with unchanged(X=X, W=W, b=b):
        layer(X, low)
    expect_close(layer(X, 0.0), F.linear(X, W, b), "dropconnect(X, W, b, 0)", rtol=1e-3, atol=1e-4)
    for p in (low, 1 - low):
        out = layer(torch.zeros_like(X), p)
        expect(
            (out == 0).all() or (out != 0).all(),
            "bias dropped too",
            "With X = 0 the output should be b; in yours a part of it is zero. Only weights are "
            "dropped.",
        )
        expect_close(
            out,
            b.expand(8, -1),
            "dropconnect(0, W, b, p)",
            suspects={
                "bias rescaled too": (
                    b.expand(8, -1) / (1 - p),
                    "With X = 0 the output should be b. Only the weights are masked and rescaled.",
                ),
                "bias left out": (torch.zeros(8, num_outputs), "Add the bias b."),
            },
        )
        same = layer(X[:1].expand(8, -1), p)
        expect(
            torch.allclose(same, same[:1].expand(8, -1), rtol=1e-3, atol=1e-3),
            "different for each example",
            "Equal rows of X gave different outputs. What is dropped are weights, by one mask in a "
            "call, and all examples share them.",
        )
        try:
            _drops(lambda p=p: (layer(one_each, p) - b).round(decimals=5) / W.T, p, call)
        except Wrong as wrong:
            expect(
                wrong.diagnosis != "mask shared between entries",
                "activations dropped instead of weights",
                "All weights of an input or of an output are dropped together, as if activations "
                "had been dropped. Each single weight needs a random number of its own.",
            )
            raise
    expect_close(layer(X, 1.0), b.expand(8, -1), "dropconnect(X, W, b, 1)")
    with elsewhere("W"):
        answer(X, W, b, 0.5)


@task("dropout.gaussian", "gaussian_dropout(X, p)")
def gaussian(gaussian_dropout):
    """Check multiplicative noise N(1, p/(1-p)); Srivastava et al. (2014), section 10."""
    call = "gaussian_dropout(X, p)"
    X = torch.randn(7, 9, dtype=torch.float64)
    with unchanged(X=X):
        out = tensor(gaussian_dropout(X, 0.3), call, X.shape)
    _same_dtype(out, X, call)
    expect_close(tensor(gaussian_dropout(X, 0.0), call, X.shape), X, "gaussian_dropout(X, 0)")
    expect(
        not torch.equal(out, X),
        "no noise",
        "`{call}` returns X itself.",
        call=call,
    )
    zero = tensor(gaussian_dropout(torch.zeros(20, 20), 0.5), call, (20, 20))
    expect(
        not zero.any(),
        "noise added instead of multiplied",
        "Where X is 0 the output should be 0 as well: multiply X by the noise.",
    )
    _differ(out, tensor(gaussian_dropout(X, 0.3), call, X.shape), call)
    low = _uniform(0.1, 0.3)
    for p in (low, 1 - low):
        X = _far_from_zero(400, 500)
        noise = (tensor(gaussian_dropout(X, p), call, X.shape) / X).double()
        want, n = p / (1 - p), X.numel()
        mean, var = noise.mean().item(), noise.var().item()
        expect(
            (noise == 0).double().mean() < 0.01,
            "zeros instead of Gaussian noise",
            "{share} of the entries are 0: that is dropout itself. Multiply each entry by a "
            "normally distributed number.",
            share=f"{(noise == 0).double().mean():.0%}",
        )
        for dim in (0, 1):
            pairs = noise.unfold(dim, 2, 2)
            expect(
                (pairs[..., 0] - pairs[..., 1]).square().mean() > 1e-3 * want,
                "mask shared between entries",
                "Whole rows or columns get the same noise. Each entry needs a random number of its "
                "own.",
            )
        expect(
            abs(mean) > 6 * (var / n) ** 0.5,
            "noise of mean 0",
            "Your noise has mean 0, so on average nothing of X is left. Its mean should be 1.",
        )
        expect(
            abs(mean - 1) < 6 * (var / n) ** 0.5,
            "wrong mean",
            "The mean of output / input should be 1; yours is {mean}.",
            mean=f"{mean:.3g}",
        )
        inside = ((noise - mean).abs() < var**0.5).double().mean().item()
        expect(
            abs(inside - 0.6827) < 6 * (0.6827 * 0.3173 / n) ** 0.5 + 1e-3,
            "not Gaussian",
            "Of normally distributed noise 68% lies within one standard deviation of the mean; of "
            "yours {inside} does.",
            inside=f"{inside:.0%}",
        )
        tolerance = 6 * (2 / n) ** 0.5
        expect_close(
            var,
            want,
            "variance of the noise",
            rtol=tolerance,
            suspects={
                "p/(1-p) as standard deviation": (
                    want**2,
                    "p/(1-p) is the variance; `randn` must be multiplied by the standard "
                    "deviation, its root.",
                ),
                "variance of a mask that is not rescaled": (
                    p * (1 - p),
                    "p(1-p) is the variance of the bare mask. Dividing the mask by 1-p divides "
                    "its variance by (1-p)².",
                ),
                "standard deviation 1": (
                    1.0,
                    "The noise must grow with p: p/(1-p) is its variance.",
                ),
                "p and 1-p swapped": (
                    (1 - p) / p,
                    "The larger p, the more noise: p/(1-p) is its variance.",
                ),
                "p as variance": (p, "The variance of dropout's noise is p/(1-p)."),
                "p as standard deviation": (p**2, "The variance of dropout's noise is p/(1-p)."),
            },
        )
    with elsewhere("X"):
        gaussian_dropout(X, 0.5)

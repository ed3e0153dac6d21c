"""Checks of the lab on the defects of the original notebook."""

import copy
import itertools

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from d2lutils.checks.base import expect, expect_close, number, returned, task


@task("bugs.report", "epoch_loss(log)")
def report(epoch_loss):
    """Check the mean loss per example, recovered from what a loop logged of each batch."""
    call = "epoch_loss(log)"
    for sizes in ([64] * 6 + [5], [32], [7, 50, 1, 30]):
        losses, penalties = (torch.rand(len(sizes)).double() + 0.2 for _ in range(2))
        objectives, examples = losses + penalties, torch.tensor(sizes).double()
        log = list(zip(objectives.tolist(), penalties.tolist(), sizes, strict=True))
        given = list(log)
        value = number(epoch_loss(log), call)
        expect(
            log == given,
            "input changed in place",
            "Your code changed the list `log`, which belongs to the caller. Only read it.",
        )

        def per_example(values, examples=examples):
            return (values * examples).sum() / examples.sum()

        expect_close(
            value,
            per_example(losses),
            call,
            suspects={
                "penalty inside the reported loss": (
                    per_example(objectives),
                    "Your mean is one of loss plus penalty, so a run with a penalty cannot be "
                    "compared with one without. Report the loss alone.",
                ),
                "penalty added twice": (
                    per_example(objectives + penalties),
                    "The objective holds the penalty already, and you add it once more. It has to "
                    "come out.",
                ),
                "divided by the examples twice": (
                    losses.sum() / examples.sum(),
                    "The objective of a batch is a mean over its examples already, and you divide "
                    "by their number once more.",
                ),
                "divided by the examples twice, penalty inside": (
                    objectives.sum() / examples.sum(),
                    "This is what the old code printed. Two things are wrong with it: what is the "
                    "objective of a batch a mean of, and what else is in it?",
                ),
                "every batch counts the same": (
                    losses.mean(),
                    "You take the mean over batches. A small last batch then counts as much as a "
                    "full one: weight each batch by its number of examples.",
                ),
                "sum instead of mean": (
                    (losses * examples).sum(),
                    "This is the loss of all examples together; divide by how many there are.",
                ),
            },
        )


class _Witness(nn.Module):
    """A net with a fixed mask for dropout, which notes in which mode it saw which data."""

    def __init__(self):
        super().__init__()
        self.hidden, self.output = nn.Linear(6, 16), nn.Linear(16, 3)
        self.register_buffer("mask", 2.0 * (torch.arange(16) % 2))
        self.calls = []  # (is it a batch for validation, train mode, gradients)

    def forward(self, X):
        self.calls.append((bool(X[0, 0] > 50), self.training, torch.is_grad_enabled()))
        hidden = self.hidden(X / 100).relu()
        return self.output(hidden * self.mask if self.training else hidden)


def _batches(sizes, first):
    """Batches of 6 inputs, the first of which tells where the batch belongs."""
    batches = [(torch.randn(n, 6) * 100, torch.randint(3, (n,))) for n in sizes]
    for X, _ in batches:
        X[:, 0] = first
    return batches


def _fit(net, train_iter, valid_iter, optimizer, num_epochs, measured_with_dropout=False):
    """Return hits and sizes of the validation batches after each epoch."""
    hits = []
    for _ in range(num_epochs):
        net.train()
        for X, y in train_iter:
            optimizer.zero_grad()
            cross_entropy(net(X), y).backward()
            optimizer.step()
        net.train(measured_with_dropout)
        with torch.no_grad():
            hits.append([(net(X).argmax(1) == y).sum().item() for X, y in valid_iter])
    return torch.tensor(hits).double(), torch.tensor([len(y) for _, y in valid_iter]).double()


@task("bugs.evaluate", "accuracy_curve(net, train_iter, valid_iter, optimizer, num_epochs)")
def evaluate(accuracy_curve):
    """Check that dropout is on in each training step of a run, and off whenever it is measured."""
    for num_epochs, mode in ((2, True), (4, True), (3, False)):
        net = _Witness().train(mode)
        oracle = copy.deepcopy(net)
        train_iter, valid_iter = _batches((20, 20, 8), 0.0), _batches((40, 40, 3), 100.0)
        optimizers = [torch.optim.SGD(n.parameters(), lr=0.5) for n in (net, oracle)]
        curve = accuracy_curve(net, train_iter, valid_iter, optimizers[0], num_epochs)
        returned(curve, "accuracy_curve(…)")
        expect(
            hasattr(curve, "__len__") and len(curve) == num_epochs,
            "not one accuracy for each epoch",
            "After {num_epochs} epochs the curve should have {num_epochs} entries; yours has "
            "{got}.",
            num_epochs=num_epochs,
            got=len(curve) if hasattr(curve, "__len__") else "none, it is no list",
        )
        training = [mode for valid, mode, _ in net.calls if not valid]
        measuring = [mode for valid, mode, _ in net.calls if valid]
        expect(measuring, "never measured", "The network never saw a batch of `valid_iter`.")
        expect(
            all(training),
            "trained with dropout off",
            "In {off} of {all} training steps the network was in evaluation mode, so dropout did "
            "nothing there. Whatever switches it off has to switch it on again.",
            off=training.count(False),
            all=len(training),
        )
        expect(
            not any(measuring),
            "measured with dropout on",
            "{on} of {all} validation batches met a network in train mode, and so with parts of "
            "it missing. Measure in evaluation mode.",
            on=measuring.count(True),
            all=len(measuring),
        )
        expect(
            not any(gradients for valid, _, gradients in net.calls if valid),
            "gradients while measuring",
            "The accuracies are measured with gradients recorded, which costs time and memory. "
            "`torch.no_grad()` turns that off.",
        )
        hits, sizes = _fit(oracle, train_iter, valid_iter, optimizers[1], num_epochs)
        moved = all(
            torch.allclose(a, b, atol=1e-5)
            for a, b in zip(net.parameters(), oracle.parameters(), strict=True)
        )
        expect(
            moved,
            "trained differently",
            "After {num_epochs} epochs the weights are not those that plain training leads to. "
            "One step for each batch: gradients to zero, loss, backward, step.",
            num_epochs=num_epochs,
        )
        expect_close(
            torch.tensor(
                [number(value, f"accuracy_curve(…)[{i}]") for i, value in enumerate(curve)]
            ),
            hits.sum(1) / sizes.sum(),
            "accuracy_curve(…)",
            suspects={
                "every batch counts the same": (
                    (hits / sizes).mean(1),
                    "You take the mean over batches. A small last batch then counts as much as a "
                    "full one: count hits, and divide by the number of examples.",
                ),
                "number of hits instead of a share": (
                    hits.sum(1),
                    "This is the number of right answers; divide by the number of examples.",
                ),
            },
        )


@task("bugs.penalty", "penalty(groups)")
def penalty(penalty):
    """Check a loss term whose gradient is what SGD's weight_decay adds to the gradient."""
    call = "penalty(groups)"
    matrices, vectors = [(6, 4), (4, 3)], [(4,), (3,)]
    for rates in ((0.3, 0.0), (0.02, 0.0, 0.7), (1.5,)):
        groups = [
            {
                "params": [(torch.randn(shape) + 0.5).requires_grad_() for shape in shapes],
                "weight_decay": rate,
            }
            for rate, shapes in zip(rates, (matrices, vectors, [(2, 3, 2), (5,)]), strict=False)
        ]
        params = [w for group in groups for w in group["params"]]
        decays = [group["weight_decay"] for group in groups for _ in group["params"]]
        before = [w.detach().clone() for w in params]
        value = penalty(groups)
        single = number(value, call)
        expect(
            all(torch.equal(a, b) for a, b in zip(before, params, strict=True)),
            "input changed in place",
            "Your code changed the parameters themselves. The penalty only looks at them.",
        )
        squares = torch.stack([w.detach().double().square().sum() for w in params])
        numel = torch.tensor([w.numel() for w in params])
        rate, ndim = torch.tensor(decays), torch.tensor([w.ndim for w in params])
        expect_close(
            single,
            (rate * squares).sum() / 2,
            call,
            suspects={
                "mean instead of sum": (
                    (rate * squares / numel).sum() / 2,
                    "You take the mean of the squares, as the old code did: each tensor's λ is "
                    "divided by its number of entries.",
                ),
                "the half is missing": (
                    (rate * squares).sum(),
                    "Up to a factor it is right: the gradient of w² is 2w, and decay is λw.",
                ),
                "bias decayed too": (
                    rate[0] * squares.sum() / 2,
                    "Every group has a `weight_decay` of its own, here 0 for the biases; you use "
                    "that of the first group for all.",
                ),
                "vectors left out": (
                    (rate * squares)[ndim > 1].sum() / 2,
                    "You leave out what has one dimension. The optimizer does not look at shapes: "
                    "it decays each parameter of a group with the λ of the group.",
                ),
                "λ left out": (
                    squares.sum() / 2,
                    "Half the squared norm it is, but each group has a λ of its own, under "
                    "`weight_decay`.",
                ),
                "λ left out where it is not 0": (
                    squares[rate > 0].sum() / 2,
                    "The right tensors are in it, but each group's squares are to be multiplied "
                    "by its λ.",
                ),
                "norm instead of its square": (
                    (rate * squares.sqrt()).sum() / 2,
                    "‖w‖² is the sum of the squares; you took the root as well.",
                ),
            },
        )
        expect(
            isinstance(value, torch.Tensor) and value.requires_grad,
            "no gradient",
            "The value is right, but it has no gradient, so as a part of the loss it would change "
            "nothing. Keep to tensor operations: no `item()`, `detach()` or `no_grad`.",
        )
        grads = torch.autograd.grad(value, params, allow_unused=True)
        # PyTorch is the oracle: with no other gradient, a step of size 1 takes off what decays.
        optimizer = torch.optim.SGD(groups, lr=1.0)
        for w in params:
            w.grad = torch.zeros_like(w)
        optimizer.step()
        for old, w, grad in zip(before, params, grads, strict=True):
            expect_close(
                torch.zeros_like(old) if grad is None else grad,
                old - w.detach(),
                "the gradient of penalty(groups)",
                atol=1e-5,
            )


def _returns(value, net, call):
    """Expect the very network that was handed over."""
    returned(value, call)
    expect(
        value is net,
        "another object returned",
        "`{call}` should set the values of `net` in place and return `net` itself.",
        call=call,
    )


@task("bugs.init", "init(net)")
def init(init):
    """Check that the signal keeps its size; He et al. (2015), arXiv 1502.01852, section 2.2."""
    for widths in ([256] * 9, [2400, 150, 100, 60], [40, 100, 200, 400, 400, 400]):
        layers = [nn.Flatten()]
        for fan_in, fan_out in itertools.pairwise(widths):
            layers += [nn.Linear(fan_in, fan_out), nn.ReLU()]
        net = nn.Sequential(*layers[:-1])
        linears = [layer for layer in net if isinstance(layer, nn.Linear)]
        owned = list(net.parameters())
        _returns(init(net), net, "init(net)")
        now = list(net.parameters())
        expect(
            len(now) == len(owned) and all(a is b for a, b in zip(now, owned, strict=True)),
            "parameters replaced",
            "The network has new parameter objects, so an optimizer that was made before would go "
            "on to train the old ones. Change the values of those that are there.",
        )
        expect(
            all(param.requires_grad for param in now),
            "parameters do not learn",
            "Some parameters of `net` no longer require a gradient.",
        )
        X = torch.randn(500, widths[0])
        for i, layer in enumerate(linears, start=1):
            weight = layer.weight.detach()
            expect(
                weight.std(0).mean() > 1e-3 * weight.std() > 0,
                "all units alike",
                "In layer {i} every unit has the same weights. They would get the same gradients "
                "and stay copies of each other; start from random values.",
                i=i,
            )
            outputs = X @ weight.T
            # A ReLU leaves half of the mean square: at √2 the signal keeps its size. The draw of
            # a layer moves it by a few percent.
            size = outputs.square().mean().sqrt() / 2**0.5
            values = {
                "i": i,
                "num": len(linears),
                "fan_in": layer.in_features,
                "fan_out": layer.out_features,
                "size": f"{size:.2g}",
            }
            expect(
                size > 1 / 3,
                "the signal fades",
                "In layer {i} of {num} (from {fan_in} to {fan_out} units) the signal has {size} "
                "times the size it should have. How does the variance of an output depend on the "
                "number of inputs, and how much of it does a ReLU let through?",
                **values,
            )
            expect(
                size < 3,
                "the signal grows",
                "In layer {i} of {num} (from {fan_in} to {fan_out} units) the signal has {size} "
                "times the size it should have. A unit sums over its inputs: the more there are, "
                "the smaller each weight has to be.",
                **values,
            )
            X = outputs.relu()
        expect(
            not any(layer.bias.any() for layer in linears),
            "biases not zero",
            "The weights are fine, but the biases are not 0. They shift all examples alike and "
            "carry no signal.",
        )


@task("bugs.same_start", "same_start(params, net)")
def same_start(same_start):
    """Check that a net gets the values, and only the values, of matrices kept by hand."""
    for widths in ((9, 9, 9, 9), (12, 7, 4), (6, 20, 20, 5)):
        params, layers = [], [nn.Flatten()]
        for fan_in, fan_out in itertools.pairwise(widths):
            params += [torch.randn(fan_in, fan_out), torch.randn(fan_out)]
            layers += [nn.Linear(fan_in, fan_out), nn.ReLU(), nn.Dropout(0.5)]
        net = nn.Sequential(*layers[:-2])
        params = [param.requires_grad_() for param in params]
        given = [param.detach().clone() for param in params]
        linears = [layer for layer in net if isinstance(layer, nn.Linear)]
        owned, start = list(net.parameters()), [p.detach().clone() for p in net.parameters()]
        _returns(same_start(params, net), net, "same_start(params, net)")
        expect(
            all(torch.equal(a, b) for a, b in zip(given, params, strict=True)),
            "copied the wrong way round",
            "Your code changed `params`. They give the start, and `net` takes it.",
        )
        now = list(net.parameters())
        expect(
            len(now) == len(owned) and all(a is b for a, b in zip(now, owned, strict=True)),
            "parameters replaced",
            "The network has new parameter objects, so an optimizer that was made before would go "
            "on to train the old ones. Change the values of those that are there.",
        )
        expect(
            all(param.requires_grad for param in now),
            "parameters do not learn",
            "Some parameters of `net` no longer require a gradient.",
        )
        weights, biases = given[0::2], given[1::2]
        for i, (layer, W, b) in enumerate(zip(linears, weights, biases, strict=True), start=1):
            position = list(net).index(layer)
            expect(
                layer.weight.shape == W.T.shape,
                "transpose forgotten",
                "W{i} is (inputs, outputs) and was used as `X @ W`; `nn.Linear` keeps (outputs, "
                "inputs).",
                i=i,
            )
            expect_close(
                layer.weight,
                W.T,
                f"net[{position}].weight",
                suspects={
                    "transpose forgotten": (
                        W if W.shape == layer.weight.shape else W.T,
                        "Here W is square, so nothing crashed, but W was used as `X @ W`, and "
                        "`nn.Linear` computes X @ weight.T.",
                    ),
                    "weights not copied": (
                        start[2 * i - 2],
                        "The weights of a Linear layer are still those it was made with.",
                    ),
                },
            )
            expect_close(
                layer.bias,
                b,
                f"net[{position}].bias",
                suspects={
                    "biases not copied": (
                        start[2 * i - 1],
                        "The weights are the same now, but the biases are still those that the "
                        "net was made with.",
                    ),
                    "biases not copied, set to 0": (
                        torch.zeros_like(b),
                        "The weights are the same now, but the biases are 0, whatever `params` "
                        "holds.",
                    ),
                },
            )
        with torch.no_grad():
            for param in params:
                param += 1.0
        expect(
            all(torch.equal(a.T, b.weight) for a, b in zip(weights, linears, strict=True))
            and all(torch.equal(a, b.bias) for a, b in zip(biases, linears, strict=True)),
            "one memory for both",
            "When `params` is trained, `net` changes too: they share their memory. Copy the "
            "values.",
        )


@task("bugs.fair_comparison", "compare(settings, seeds, make_net, fit)")
def fair_comparison(compare):
    """Check that each setting of a seed gets its own fresh net and the same random numbers."""
    settings, seeds = ["none", "λ = 0.1", "p = 0.5"], torch.randperm(10_000)[:3].tolist()
    first = _comparison(compare, settings, seeds)
    for k in range(len(seeds)):
        expect(
            all(torch.equal(first[s][k]["start"], first["none"][k]["start"]) for s in settings),
            "starts differ",
            "With one and the same seed, the networks of two settings started from other weights. "
            "Set the seed anew for each setting.",
        )
        expect(
            all(torch.equal(first[s][k]["draws"], first["none"][k]["draws"]) for s in settings),
            "same start, other random numbers",
            "The weights are the same, but while they train, two settings of one seed draw other "
            "random numbers, and so see other batches and masks. Set the seed anew for each "
            "setting.",
        )
    expect(
        not torch.equal(first["none"][0]["start"], first["none"][1]["start"]),
        "the seeds are not used",
        "Seed {a} and seed {b} gave the same weights, so the results say nothing about luck. "
        "Use each entry of `seeds`.",
        a=seeds[0],
        b=seeds[1],
    )
    again = _comparison(compare, settings[::-1], seeds[::-1])
    expect(
        all(torch.equal(first["none"][k]["start"], again["none"][-1 - k]["start"]) for k in (0, 1)),
        "the seeds are not used",
        "Asked once more for seed {a}, your code started from other weights than before. The seed "
        "itself should decide them, and not its place in the list.",
        a=seeds[0],
    )


def _comparison(compare, settings, seeds):
    """Run a comparison; return for each setting what was seen of its training, one for a seed."""
    calls = []

    def make_net():
        return nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Dropout(0.5), nn.Linear(4, 2))

    def flat(net):
        return torch.cat([p.detach().flatten() for p in net.parameters()])

    def fit(net, setting):
        start, draws = flat(net), torch.rand(4)
        with torch.no_grad():
            for param in net.parameters():
                param.mul_(0.5).add_(0.1 * (1 + settings.index(setting)))
        value = 0.5 + len(calls) / 1024  # tells each result from all others, in any dtype
        calls.append({"net": net, "setting": setting, "start": start, "draws": draws})
        calls[-1] |= {"end": flat(net), "value": value}
        return value

    results = compare(list(settings), list(seeds), make_net, fit)
    returned(results, "compare(settings, seeds, make_net, fit)")
    expect(
        isinstance(results, dict) and set(results) == set(settings),
        "not one entry for each setting",
        "The result should be a dictionary with one entry for each of {num} settings.",
        num=len(settings),
    )
    expect(
        all(isinstance(v, (list, tuple)) and len(v) == len(seeds) for v in results.values()),
        "not one result for each seed",
        "With {num} seeds, each setting should have a list of {num} results.",
        num=len(seeds),
    )
    expect(
        len({id(call["net"]) for call in calls}) == len(calls)
        and not any(torch.equal(a["end"], b["start"]) for a in calls for b in calls),
        "goes on from used weights",
        "A network that had been trained with one setting was trained on with another. "
        "Each call of `fit` needs a net of its own, fresh from `make_net()`.",
    )
    seen = {call["value"]: call for call in calls}
    found = {s: [seen.get(number(v, f"compare(…)[{s!r}]")) for v in results[s]] for s in settings}
    expect(
        all(call is not None and call["setting"] == s for s in settings for call in found[s]),
        "results of another setting",
        "An entry of the dictionary holds something else than what `fit` returned for its setting.",
    )
    return found


@task("bugs.choose", "choose(settings, validate, test)")
def choose(choose):
    """Check that validation chooses, and that the test set is opened once, for the chosen one."""
    call = "choose(settings, validate, test)"
    both = [0.0, 0.001, 0.01, 0.1, 1.0], [(0.0, 0.5), (0.2, 0.5), (0.5, 0.2)]
    for choices, best in [(some, one) for some in both for one in some] * 2:
        # The highest test accuracy and the lowest validation accuracy belong to other settings,
        # wherever they stand; so does a validation accuracy that is nearly as high.
        settings = [choices[i] for i in torch.randperm(len(choices))]
        ranked = [setting for setting in settings if setting != best] + [best]
        accuracies = torch.linspace(0.7, 0.9, len(ranked)).tolist()
        accuracies[-2] = accuracies[-1] - 0.0004
        valid = dict(zip(ranked, accuracies, strict=True))
        test = dict(zip(ranked[1:] + ranked[:1], accuracies[::-1], strict=True))
        test = {setting: accuracy - 0.013 for setting, accuracy in test.items()}
        opened = []

        def open_test(setting, test=test, opened=opened):
            opened.append(setting)
            return test[setting]

        answer = choose(list(settings), valid.__getitem__, open_test)
        returned(answer, call)
        expect(
            isinstance(answer, (tuple, list)) and len(answer) == 2,
            "not a pair",
            "`{call}` should return two things: the chosen setting, and its test accuracy.",
            call=call,
        )
        expect(
            len(opened) <= 1,
            "test set opened more than once",
            "`test` was called {num} times. Whatever is chosen by looking at the test set, the "
            "test set can no longer judge: choose first, then call it once.",
            num=len(opened),
        )
        chosen, accuracy = answer
        expect(
            chosen in settings,
            "not a setting",
            "The first of the two should be one of the settings; yours is {got}.",
            got=repr(chosen)[:40],
        )
        expect(
            chosen == best,
            "lowest instead of highest" if chosen == ranked[0] else "another one is better",
            "You chose {got}, with a validation accuracy of {low}; {want} has {high}.",
            got=chosen,
            low=f"{valid[chosen]:.4f}",
            want=best,
            high=f"{valid[best]:.4f}",
        )
        expect_close(
            number(accuracy, f"{call}[1]"),
            test[best],
            f"{call}[1]",
            suspects={
                "validation accuracy reported": (
                    valid[best],
                    "The highest of several validation accuracies flatters: luck helped to choose "
                    "it. Report what `test` says of the chosen setting.",
                ),
            },
        )

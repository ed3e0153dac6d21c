"""Networks of one shape that train side by side, stacked along a leading dimension."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from d2lutils.data import TensorLoader, load_fashion_mnist
from d2lutils.sweeps.network import start_std, starting_net


class Stack:
    """M networks and their optimizer; `points` holds λ, p of each layer, label noise and seed.

    The networks do not see each other, so the gradient of their summed loss is each one's own,
    and torch.optim, which works entry by entry, trains them all. Only λ differs by network.
    """

    def __init__(self, points: Sequence[tuple], settings: dict, device: torch.device):
        lams, ps, _, seeds = zip(*points, strict=True)
        nets = [starting_net(settings["hidden"], settings["init"], s).to(device) for s in seeds]
        stacked = [tensor.detach() for tensor in torch.func.stack_module_state(nets)[0].values()]
        # nn.Linear keeps (out, in); here (M, in, out), so that activations stand on the left.
        self.weights = [W.transpose(1, 2).contiguous().requires_grad_() for W in stacked[::2]]
        self.biases = [b[:, None].requires_grad_() for b in stacked[1::2]]
        parameters, lr = [*self.weights, *self.biases], settings["lr"]
        of_each = {"device": device, "dtype": torch.float32}
        self.lam = torch.tensor(lams, **of_each).reshape(-1, 1, 1)
        self.p = [torch.tensor(p, **of_each).reshape(-1, 1, 1) for p in zip(*ps, strict=True)]
        self.decay = settings["decay"] if any(lams) else None
        if settings["optimizer"] == "adam":
            self.optimizer = torch.optim.Adam(parameters, lr)
        else:
            self.optimizer = torch.optim.SGD(parameters, lr, settings["momentum"])
        end = 0.0 if settings["schedule"] == "linear" else 1.0  # of the rate, as a share of lr
        steps = settings["num_epochs"] * math.ceil(settings["train_size"] / settings["batch_size"])
        self.scheduler = torch.optim.lr_scheduler.LinearLR(self.optimizer, 1.0, end, steps)

    def logits(self, X: torch.Tensor, uniform: Sequence[torch.Tensor] = ()) -> torch.Tensor:
        """Return logits (M, B, 10) for X (M, B, 784).

        With `uniform`, random numbers (M, B, width) for each hidden layer, dropout is active.
        """
        for layer, (W, b) in enumerate(zip(self.weights, self.biases, strict=True)):
            X = torch.baddbmm(b, X, W)
            if layer < len(self.p):
                X = X.relu()
            if layer < len(uniform):
                p = self.p[layer]
                # p = 1 drops everything, as nn.Dropout(1) does: no division by zero.
                X = X * ((uniform[layer] >= p) * (1 / (1 - p).clamp(min=1e-9)))
        return X

    def step(self, X, y, uniform=()) -> tuple[torch.Tensor, torch.Tensor]:
        """Take one optimizer step on X (M, B, 784), y (M, B); return summed loss and hits (M,)."""
        logits = self.logits(X, uniform)
        loss = _loss(logits, y)
        self.optimizer.zero_grad()
        (loss.sum() / y.shape[1]).backward()
        with torch.no_grad():
            for W in self.weights:  # biases are not decayed
                if self.decay == "l2":
                    W.grad.addcmul_(W, self.lam)
                elif self.decay == "decoupled":
                    W.mul_(1 - self.optimizer.param_groups[0]["lr"] * self.lam)
        self.optimizer.step()
        self.scheduler.step()
        return loss.detach(), (logits.argmax(-1) == y).sum(-1)

    @torch.no_grad()
    def evaluate(self, batches: Iterable) -> tuple[torch.Tensor, torch.Tensor]:
        """Return mean loss and accuracy (M,) over batches of X (M, B, 784) and y (M, B)."""
        loss, hits, count = 0.0, 0.0, 0
        for X, y in batches:
            logits = self.logits(X)
            loss += _loss(logits, y)
            hits += (logits.argmax(-1) == y).sum(-1).float()
            count += y.shape[1]
        return _means(loss, hits, count)


class _Data:
    """What each network sees: the images of its seed, with the labels of its noise."""

    def __init__(self, points: Sequence[tuple], settings: dict, device: torch.device):
        *_, noises, seeds = zip(*points, strict=True)
        self.seeds, columns = sorted(set(seeds)), sorted(set(noises))
        self.whose = torch.tensor([self.seeds.index(seed) for seed in seeds], device=device)
        self.column = torch.tensor([columns.index(noise) for noise in noises], device=device)
        names = ("batch_size", "train_size", "valid_size")
        how = {name: settings[name] for name in names} | {"device": device}
        loaders = [
            [load_fashion_mnist(label_noise=noise, seed=seed, **how) for noise in columns]
            for seed in self.seeds
        ]
        self.train, self.valid, self.test = (
            [[_in_float32(parts[i]) for parts in row] for row in loaders] for i in range(3)
        )

    def of_each(self, by_seed: list[torch.Tensor]) -> torch.Tensor:
        """Return for each network what belongs to its seed."""
        if len(by_seed) == 1:  # then a view does: no network needs a copy
            return by_seed[0].expand(len(self.whose), *by_seed[0].shape)
        return torch.stack(by_seed)[self.whose]

    def batches(self, loaders: list[list]) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield X (M, B, 784) and y (M, B), given a loader for each seed and label noise."""
        for parts in zip(*(zip(*row, strict=True) for row in loaders), strict=True):
            X = self.of_each([row[0][0].flatten(1) for row in parts])
            labels = torch.stack([torch.stack([y for _, y in row]) for row in parts])
            yield X, labels[self.whose, self.column]

    def in_order(self, loaders: list[list]) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield the same in large batches that keep their order."""
        return self.batches(
            [[_in_float32(TensorLoader(part.images, part.labels, 1000)) for part in row]
             for row in loaders]
        )  # fmt: skip


def _in_float32(loader: TensorLoader) -> TensorLoader:
    """Let a loader give float32, whatever the default dtype was when it was made."""
    loader.white = loader.white.float()
    return loader


def train_stack(
    points: Sequence[tuple], settings: dict, device: torch.device, report: Callable[[int], None]
) -> dict[str, np.ndarray]:
    """Train networks side by side; return an array per measurement, the network first."""
    data, stack = _Data(points, settings, device), Stack(points, settings, device)
    # A stream of its own: the same seed alone would repeat the draws of the starting weights.
    states = [np.random.SeedSequence((seed, 1)).generate_state(1).item() for seed in data.seeds]
    generators = [torch.Generator(device).manual_seed(state) for state in states]
    widths = settings["hidden"] if any(map(torch.any, stack.p)) else ()  # () without dropout
    curves, kind = [], {"device": device, "dtype": torch.float32}
    for _ in range(settings["num_epochs"]):
        loss, hits = torch.zeros(2, len(points), **kind)
        for X, y in data.batches(data.train):
            # All networks of a seed share their draws: cheap, and their differences are paired.
            uniform = [
                data.of_each([torch.rand(X.shape[1], width, generator=generator, **kind)
                              for generator in generators])
                for width in widths
            ]  # fmt: skip
            batch_loss, batch_hits = stack.step(X, y, uniform)
            loss += batch_loss
            hits += batch_hits
        valid = stack.evaluate(data.in_order(data.valid))
        curves.append(torch.stack([*_means(loss, hits, settings["train_size"]), *valid]))
        report(len(points))
    train, test = (stack.evaluate(data.in_order(part)) for part in (data.train, data.test))
    names = ("train_loss", "train_accuracy", "valid_loss", "valid_accuracy")
    results = dict(zip(names, torch.stack(curves, dim=-1), strict=True))
    names = ("final_train_loss", "final_train_accuracy", "test_loss", "test_accuracy", "gap")
    results |= zip(names, (*train, *test, train[1] - valid[1]), strict=True)
    weights = [W.detach().flatten(1).cpu() for W in stack.weights]
    results["weight_norm"] = torch.stack([W.norm(dim=1) for W in weights], dim=1)
    results = {name: value.cpu().numpy() for name, value in results.items()}
    results["weight_histogram"] = np.stack(
        [[np.histogram(w.clip(e[0], e[-1]), e)[0] for w in W.numpy()]
         for W, e in zip(weights, bin_edges(settings), strict=True)], axis=1)  # fmt: skip
    return results


def bin_edges(settings: dict) -> np.ndarray:
    """Return the edges of the weight histograms, (layer, edge): six deviations of the start."""
    stds = [start_std(settings["init"], fan_in) for fan_in in (784, *settings["hidden"])]
    # An odd number of bins, so that one of them is centred on zero.
    return np.stack([np.linspace(-6 * std, 6 * std, 42) for std in stds])


def _loss(logits: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return cross_entropy(logits.flatten(0, 1), y.flatten(), reduction="none").view_as(y).sum(1)


def _means(loss: torch.Tensor, hits: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return mean loss and accuracy; where the loss is not finite there is no accuracy."""
    return loss / count, torch.where(loss.isfinite(), hits / count, math.nan)

"""Networks of one shape that train side by side, stacked along a leading dimension."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from d2lutils.data import TensorLoader, load_fashion_mnist
from d2lutils.sweeps.network import mlp, start_std

_NUM_BINS = 41  # of the weight histograms; odd, so that one of them is centred on zero


class Settings(NamedTuple):
    """What all networks of a sweep share; see `sweep`."""

    hidden: tuple[int, ...]
    train_size: int
    valid_size: int
    num_epochs: int
    batch_size: int
    lr: float
    momentum: float
    optimizer: str
    decay: str
    init: str | float


class Point(NamedTuple):
    """One network of a sweep: what it does not share with the others."""

    lam: float
    p: tuple[float, ...]  # of each hidden layer
    label_noise: float
    seed: int


class Stack:
    """M networks of one shape and their optimizer.

    The networks do not see each other, so the gradient of their summed loss is each one's own,
    and torch.optim, which works entry by entry, trains them all. Only λ differs by network.
    """

    def __init__(self, points: Sequence[Point], settings: Settings, device: torch.device):
        nets = {pt.seed: mlp(settings.hidden, init=settings.init, seed=pt.seed) for pt in points}
        linears = [[m for m in nets[pt.seed] if isinstance(m, nn.Linear)] for pt in points]

        def stacked(tensors):
            return torch.stack([t.detach() for t in tensors]).to(device).requires_grad_()

        # nn.Linear keeps (out, in); here (M, in, out), so that activations stand on the left.
        layers = list(zip(*linears, strict=True))
        self.weights = [stacked(linear.weight.T for linear in layer) for layer in layers]
        self.biases = [stacked(linear.bias[None] for linear in layer) for layer in layers]
        self.lam = torch.tensor([pt.lam for pt in points], device=device).reshape(-1, 1, 1)
        p = torch.tensor([pt.p for pt in points], device=device).reshape(len(points), -1, 1, 1)
        self.p = [p[:, i] if (p[:, i] > 0).any() else None for i in range(len(settings.hidden))]
        self.decay = settings.decay if (self.lam > 0).any() else None
        parameters, lr = [*self.weights, *self.biases], settings.lr
        if settings.optimizer == "adam":
            self.optimizer = torch.optim.Adam(parameters, lr=lr)
        else:
            self.optimizer = torch.optim.SGD(parameters, lr=lr, momentum=settings.momentum)

    def logits(self, X: torch.Tensor, uniform: Sequence[torch.Tensor] = ()) -> torch.Tensor:
        """Return logits (M, B, 10) for X (M, B, 784).

        With `uniform`, a tensor of draws (M or 1, B, width) per hidden layer, dropout is active.
        """
        for layer, (W, b) in enumerate(zip(self.weights, self.biases, strict=True)):
            X = torch.baddbmm(b, X, W)
            if layer < len(self.p):
                X = X.relu()
                if uniform and self.p[layer] is not None:
                    p = self.p[layer]
                    # p = 1 drops everything, as nn.Dropout(1) does: no division by zero.
                    X = X * ((uniform[layer] >= p) * (1 / (1 - p).clamp(min=1e-9)))
        return X

    def step(self, X, y, uniform=()) -> tuple[torch.Tensor, torch.Tensor]:
        """Take one optimizer step on X (M, B, 784), y (M, B); return summed loss and hits (M,)."""
        logits = self.logits(X, uniform)
        loss = _losses(logits, y).sum(1)
        self.optimizer.zero_grad()
        (loss.sum() / y.shape[1]).backward()
        with torch.no_grad():
            for W in self.weights:  # biases are not decayed
                if self.decay == "l2":
                    W.grad.addcmul_(W, self.lam)
                elif self.decay == "decoupled":
                    W.mul_(1 - self.optimizer.param_groups[0]["lr"] * self.lam)
        self.optimizer.step()
        return loss.detach(), (logits.argmax(-1) == y).sum(-1)

    @torch.no_grad()
    def evaluate(self, batches: Iterable) -> tuple[torch.Tensor, torch.Tensor]:
        """Return mean loss and accuracy (M,) over batches of X (M, B, 784) and y (M, B)."""
        loss, hits, count = 0.0, 0.0, 0
        for X, y in batches:
            logits = self.logits(X)
            loss += _losses(logits, y).sum(1)
            hits += (logits.argmax(-1) == y).sum(-1)
            count += y.shape[1]
        return _means(loss, hits, count)


class _Data:
    """What each network of a stack sees: the images of its seed, with the labels of its noise."""

    def __init__(self, points: Sequence[Point], settings: Settings, device: torch.device):
        self.seeds = sorted({pt.seed for pt in points})
        noises = sorted({pt.label_noise for pt in points})
        self.whose = torch.tensor([self.seeds.index(pt.seed) for pt in points], device=device)
        self.column = torch.tensor([noises.index(pt.label_noise) for pt in points], device=device)
        self.loaders, valid = [], []
        for seed in self.seeds:
            parts = [
                load_fashion_mnist(
                    settings.batch_size,
                    train_size=settings.train_size,
                    valid_size=settings.valid_size,
                    label_noise=noise,
                    seed=seed,
                    device=device,
                )
                for noise in noises
            ]
            train_iter, valid_iter, test_iter = parts[0]
            # A column of labels for each noise: the same images in the same order for all.
            labels = torch.stack([part[0].labels for part in parts], dim=1)
            images, generator = train_iter.images.flatten(1), train_iter.generator
            self.loaders.append(
                TensorLoader(images, labels, settings.batch_size, generator=generator)
            )
            valid.append(valid_iter)
        self.train = (
            torch.stack([loader.images for loader in self.loaders]),
            self._labels([loader.labels for loader in self.loaders]),
        )
        self.valid = (
            torch.stack([part.images.flatten(1) for part in valid]),
            torch.stack([part.labels for part in valid])[self.whose],
        )
        self.test = (test_iter.images.flatten(1)[None], test_iter.labels.expand(len(points), -1))

    def of_each(self, by_seed: torch.Tensor) -> torch.Tensor:
        """Return for each network what belongs to its seed: (S, …) becomes (M, …)."""
        if len(by_seed) == 1:  # then a view does: no network needs a copy
            return by_seed.expand(len(self.whose), *by_seed.shape[1:])
        return by_seed[self.whose]

    def _labels(self, by_seed: list[torch.Tensor]) -> torch.Tensor:
        return torch.stack(by_seed)[self.whose, :, self.column]

    def epoch(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield training batches X (M, B, 784) and y (M, B), in each seed's next order."""
        for batches in zip(*self.loaders, strict=True):
            X = torch.stack([X for X, _ in batches])
            yield self.of_each(X), self._labels([y for _, y in batches])

    def in_order(self, images, labels, batch_size: int = 1000):
        """Yield X (M, B, 784) and y (M, B) of images (1 or S, N, 784) uint8 and labels (M, N)."""
        for X, y in zip(images.split(batch_size, 1), labels.split(batch_size, 1), strict=True):
            yield self.of_each(X.float() / 255), y


def train_stack(
    points: Sequence[Point],
    settings: Settings,
    device: torch.device,
    report: Callable[[int], None],
) -> dict[str, np.ndarray]:
    """Train networks side by side; return an array per measurement, the network first."""
    data, stack = _Data(points, settings, device), Stack(points, settings, device)
    generators = [torch.Generator(device).manual_seed(seed) for seed in data.seeds]
    dropout = any(p is not None for p in stack.p)
    curves = {name: [] for name in ("train_loss", "train_accuracy", "valid_loss", "valid_accuracy")}
    for _ in range(settings.num_epochs):
        loss, hits = torch.zeros(2, len(points), device=device)
        for X, y in data.epoch():
            # All networks of a seed share their draws: cheap, and their differences are paired.
            uniform = [
                data.of_each(torch.stack([torch.rand(X.shape[1], width, generator=g, device=device)
                                          for g in generators]))
                for width in settings.hidden if dropout
            ]  # fmt: skip
            batch_loss, batch_hits = stack.step(X, y, uniform)
            loss += batch_loss
            hits += batch_hits
        measured = _means(loss, hits, settings.train_size) + stack.evaluate(
            data.in_order(*data.valid)
        )
        for values, value in zip(curves.values(), measured, strict=True):
            values.append(value)
        report(len(points))
    results = {name: torch.stack(values, dim=1) for name, values in curves.items()}
    for part, (images, labels) in {"final_train": data.train, "test": data.test}.items():
        measured = stack.evaluate(data.in_order(images, labels))
        results[f"{part}_loss"], results[f"{part}_accuracy"] = measured
    results["gap"] = results["final_train_accuracy"] - results["test_accuracy"]
    results = {name: value.cpu().numpy() for name, value in results.items()}
    weights = [W.detach().cpu() for W in stack.weights]
    results["weight_norm"] = torch.stack([W.flatten(1).norm(dim=1) for W in weights], 1).numpy()
    results["weight_histogram"] = np.stack(
        [[np.histogram(np.clip(W, e[0], e[-1]), e)[0] for W in layer.numpy()]
         for layer, e in zip(weights, bin_edges(settings), strict=True)], axis=1)  # fmt: skip
    return results


def bin_edges(settings: Settings) -> np.ndarray:
    """Return the edges of the weight histograms, (layer, edge): six deviations of the start."""
    stds = [start_std(settings.init, fan_in) for fan_in in (784, *settings.hidden)]
    return np.stack([np.linspace(-6 * std, 6 * std, _NUM_BINS + 1) for std in stds])


def _means(loss: torch.Tensor, hits: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return mean loss and accuracy; where the loss is not finite there is no accuracy."""
    return loss / count, torch.where(loss.isfinite(), hits / count, math.nan)


def _losses(logits: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return cross_entropy(logits.flatten(0, 1), y.flatten(), reduction="none").view_as(y)

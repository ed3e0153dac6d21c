"""Train a whole grid of MLPs at once, their parameters stacked along a leading dimension."""

import concurrent.futures
import itertools
import json
import math
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from d2lutils.arguments import check_choice, check_int, check_number, check_seed
from d2lutils.data import TensorLoader, default_device, load_fashion_mnist
from d2lutils.progress import shows_bars

__all__ = ["Comparison", "Sweep", "compare", "mlp", "sweep"]

# Models trained at once. On the CPU a dozen keep their weights near the core; a GPU wants many.
_CHUNK_SIZE = {"cpu": 13, "cuda": 256, "mps": 64}
_NUM_BINS = 41  # of the weight histograms; odd, so that one of them is centred on zero
_FORMAT, _VERSION = "d2lutils.Sweep", 1
_PER_EPOCH = ("train_loss", "train_accuracy", "valid_loss", "valid_accuracy")
_AT_THE_END = (
    "final_train_loss",
    "final_train_accuracy",
    "test_loss",
    "test_accuracy",
    "calibration_error",
)
_PER_LAYER = ("weight_norm", "weight_histogram")


# ---------------------------------------------------------------- one network


def mlp(
    hidden: Sequence[int] = (256, 256),
    p: float | Sequence[float] = 0.0,
    *,
    init: str | float = "he",
    seed: int = 0,
) -> nn.Sequential:
    """Return the MLP 784-hidden-10 that a sweep trains, with ReLU and dropout after each layer.

    Parameters
    ----------
    hidden : sequence of int, default (256, 256)
        Width of each hidden layer; may be empty.
    p : float or sequence of float, default 0
        Dropout probability of all hidden layers, or of each.
    init : {"he", "default"} or float, default "he"
        Start of the weights: He et al. (2015, arXiv 1502.01852) with biases 0, PyTorch's own, or
        N(0, init²) with biases 0.
    seed : int, default 0
        Decides the starting weights; the global random state is left alone.

    Returns
    -------
    torch.nn.Sequential
        Takes X of shape (B, 1, 28, 28) or (B, 784), gives logits (B, 10); on the CPU.

    Raises
    ------
    TypeError, ValueError
        If an argument is not what it must be.
    """
    hidden, init = _check_hidden(hidden), _check_init(init)
    widths, probabilities = (784, *hidden, 10), _check_p(p, len(hidden))
    layers = [nn.Flatten()]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(check_seed(seed))
        for fan_in, fan_out in itertools.pairwise(widths):
            linear = nn.Linear(fan_in, fan_out)
            if init != "default":
                nn.init.zeros_(linear.bias)
                nn.init.normal_(linear.weight, std=_start_std(init, fan_in))
            layers += [linear, nn.ReLU(), nn.Dropout(0.0)]
    for layer, probability in zip(layers[3::3], probabilities, strict=False):
        layer.p = probability
    return nn.Sequential(*layers[:-2])  # no ReLU and no dropout after the last layer


# ---------------------------------------------------------------- the stacked networks


@dataclass(frozen=True)
class _Config:
    """What all models of a sweep share. Small and picklable: it travels to workers."""

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


@dataclass(frozen=True)
class _Job:
    """Models that train together: of each, where it stands in the grid, and its settings."""

    config: _Config
    index: list[tuple[int, int, int, int]]
    lam: list[float]
    p: list[tuple[float, ...]]
    label_noise: list[float]
    seed: list[int]


class _Stack:
    """M networks of one shape, as stacked parameters, with their optimizer.

    The backward pass is written out, since it can then update the weights in place, inside the
    matrix product that gives their gradient.
    """

    def __init__(self, job: _Job, device: torch.device):
        config = job.config
        nets = {seed: mlp(config.hidden, init=config.init, seed=seed) for seed in set(job.seed)}
        linears = [[m for m in nets[seed] if isinstance(m, nn.Linear)] for seed in job.seed]
        # nn.Linear keeps (out, in); here (M, in, out), so that activations stand on the left.
        self.weights = [
            torch.stack([layer.weight.detach().T for layer in layers]).to(device)
            for layers in zip(*linears, strict=True)
        ]
        self.biases = [
            torch.stack([layer.bias.detach()[None] for layer in layers]).to(device)
            for layers in zip(*linears, strict=True)
        ]
        self.config, self.steps = config, 0
        self.lam = torch.tensor(job.lam, device=device).reshape(-1, 1, 1)
        p = torch.tensor(job.p, device=device).reshape(len(job.lam), -1, 1, 1)
        self.p = [p[:, i] if (p[:, i] > 0).any() else None for i in range(len(config.hidden))]
        needs = {"sgd": config.momentum > 0, "adam": 2}[config.optimizer]
        self.state = [
            [torch.zeros_like(tensor) for _ in range(needs)]
            for tensor in (*self.weights, *self.biases)
        ]

    def logits(self, X: torch.Tensor, uniform: Sequence[torch.Tensor] = ()) -> list[torch.Tensor]:
        """Return the activations of each layer: X (M, B, 784), hidden ones, logits (M, B, 10).

        With `uniform`, one (M or 1, B, width) tensor of draws a hidden layer, dropout is active.
        """
        outputs = [X]
        for layer, (W, b) in enumerate(zip(self.weights, self.biases, strict=True)):
            z = torch.baddbmm(b, outputs[-1], W)
            if layer < len(self.p):
                z.relu_()
                if uniform and self.p[layer] is not None:
                    p = self.p[layer]
                    # p = 1 drops everything, as nn.Dropout(1) does: no division by zero.
                    scale = torch.where(p < 1, 1 / (1 - p), torch.zeros_like(p))
                    z.mul_((uniform[layer] >= p) * scale)
            outputs.append(z)
        return outputs

    def step(self, X, y, uniform) -> tuple[torch.Tensor, torch.Tensor]:
        """Take one optimizer step on X (M, B, 784), y (M, B); return summed loss and hits (M,)."""
        outputs = self.logits(X, uniform)
        log_probabilities = outputs[-1].log_softmax(-1)
        losses = -log_probabilities.gather(-1, y[..., None]).squeeze(-1).sum(-1)
        hits = (log_probabilities.argmax(-1) == y).sum(-1)
        # The gradient of the mean cross-entropy with respect to the logits.
        gradient = log_probabilities.exp_()
        gradient.scatter_add_(-1, y[..., None], gradient.new_full((), -1.0).expand(*y.shape, 1))
        gradient /= y.shape[-1]
        self.steps += 1
        for layer in reversed(range(len(self.weights))):
            h, W = outputs[layer], self.weights[layer]
            below = torch.bmm(gradient, W.transpose(1, 2)) if layer else None
            self._update(layer, h, gradient)
            if layer:
                # What was rectified or dropped is zero in h, and passes no gradient.
                below.mul_(h > 0)
                if uniform and self.p[layer - 1] is not None:
                    p = self.p[layer - 1]
                    below.mul_(torch.where(p < 1, 1 / (1 - p), torch.zeros_like(p)))
                gradient = below
        return losses, hits

    def _update(self, layer: int, h: torch.Tensor, gradient: torch.Tensor) -> None:
        """Update weights and biases of a layer as torch.optim does; biases are not decayed."""
        W, b, lr = self.weights[layer], self.biases[layer], self.config.lr
        decayed = bool((self.lam > 0).any())
        if self.config.decay == "decoupled" and decayed:
            W.mul_(1 - lr * self.lam)
        bias_gradient = gradient.sum(1, keepdim=True)
        if self.config.optimizer == "sgd" and not self.config.momentum:
            if self.config.decay == "l2" and decayed:
                W.mul_(1 - lr * self.lam)  # the same number: w - lr (g + λw) = (1 - lr λ) w - lr g
            W.baddbmm_(h.transpose(1, 2), gradient, alpha=-lr)
            b.sub_(bias_gradient, alpha=lr)
            return
        weight_gradient = torch.bmm(h.transpose(1, 2), gradient)
        if self.config.decay == "l2" and decayed:
            weight_gradient.addcmul_(W, self.lam)
        rule = self._momentum if self.config.optimizer == "sgd" else self._adam
        rule(W, weight_gradient, self.state[layer])
        rule(b, bias_gradient, self.state[layer + len(self.weights)])

    def _momentum(self, parameter, gradient, state) -> None:
        (velocity,) = state
        velocity.mul_(self.config.momentum).add_(gradient)
        parameter.sub_(velocity, alpha=self.config.lr)

    def _adam(self, parameter, gradient, state, beta1=0.9, beta2=0.999, eps=1e-8) -> None:
        """Kingma and Ba (2015, arXiv 1412.6980), algorithm 1."""
        mean, square = state
        mean.lerp_(gradient, 1 - beta1)
        square.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
        denominator = (square / (1 - beta2**self.steps)).sqrt_().add_(eps)
        parameter.addcdiv_(mean, denominator, value=-self.config.lr / (1 - beta1**self.steps))

    @torch.no_grad()
    def evaluate(self, images: torch.Tensor, labels: torch.Tensor, batch_size: int = 1000):
        """Return mean loss, accuracy and calibration error (M,) on images (S, N, 784) uint8.

        `images` and `labels` (M, N) are what each model sees; S is 1 or M.
        """
        loss, hits, bins = 0.0, 0.0, 0.0
        num_models, num_examples = labels.shape
        for X, y in zip(images.split(batch_size, 1), labels.split(batch_size, 1), strict=True):
            X = (X.float() / 255).expand(num_models, -1, -1)
            log_probabilities = self.logits(X)[-1].log_softmax(-1)
            loss = loss - log_probabilities.gather(-1, y[..., None]).sum((1, 2))
            confidence, prediction = log_probabilities.max(-1)
            right = (prediction == y).float()
            hits = hits + right.sum(-1)
            # Expected calibration error, 15 bins (Guo et al. 2017, arXiv 1706.04599).
            which = confidence.exp().mul_(15).long().clamp_(0, 14)
            bins = bins + torch.zeros(num_models, 15, device=y.device).scatter_add_(
                1, which, right - confidence.exp()
            )
        error = bins.abs().sum(1) / num_examples
        finite = loss.isfinite()
        nan = torch.full_like(loss, math.nan)
        return (
            loss / num_examples,
            torch.where(finite, hits / num_examples, nan),
            torch.where(finite, error, nan),
        )


def _train_job(job: _Job, device: str | None, report: Callable[[int], None] | None = None) -> dict:
    """Train the models of a job; return a NumPy array per quantity, the model first."""
    device, config = torch.device(device or default_device()), job.config
    seeds, noises = sorted(set(job.seed)), sorted(set(job.label_noise))
    loaders, valid, test = [], [], None
    for seed in seeds:
        parts = [
            load_fashion_mnist(
                config.batch_size,
                train_size=config.train_size,
                valid_size=config.valid_size,
                label_noise=noise,
                seed=seed,
                device=device,
            )
            for noise in noises
        ]
        train_iter, valid_iter, test = parts[0]
        labels = torch.stack([part[0].labels for part in parts], dim=1)
        # One column of labels for each noise: the same images in the same order for all models.
        loaders.append(
            TensorLoader(
                train_iter.images.flatten(1),
                labels,
                config.batch_size,
                generator=train_iter.generator,
            )
        )
        valid.append(valid_iter)
    whose = torch.tensor([seeds.index(seed) for seed in job.seed], device=device)
    column = torch.tensor([noises.index(noise) for noise in job.label_noise], device=device)
    shared = len(seeds) == 1  # then no model needs a copy of the images

    def images_of(parts):
        return torch.stack(parts) if shared else torch.stack(parts)[whose]

    stack = _Stack(job, device)
    results = {name: [] for name in _PER_EPOCH}
    num_models, hidden = len(job.lam), config.hidden
    generators = [torch.Generator(device).manual_seed(seed) for seed in seeds]
    valid_images = images_of([v.images.flatten(1) for v in valid])
    valid_labels = torch.stack([v.labels for v in valid])[whose]
    dropout = any(p is not None for p in stack.p)
    for _ in range(config.num_epochs):
        loss, hits = torch.zeros(2, num_models, device=device)
        for batches in zip(*loaders, strict=True):
            X = images_of([X for X, _ in batches]).expand(num_models, -1, -1)
            y = torch.stack([y for _, y in batches])[whose, :, column]
            # All models of a seed share their draws: cheap, and their differences are paired.
            uniform = dropout and [
                images_of([torch.rand(X.shape[1], width, generator=g, device=device)
                           for g in generators])
                for width in hidden
            ]  # fmt: skip
            batch_loss, batch_hits = stack.step(X, y, uniform or ())
            loss += batch_loss
            hits += batch_hits
        loss, hits = loss / config.train_size, hits / config.train_size
        hits[~loss.isfinite()] = math.nan
        measured = (loss, hits, *stack.evaluate(valid_images, valid_labels)[:2])
        for values, value in zip(results.values(), measured, strict=True):
            values.append(value)
        if report is not None:
            report(num_models)
    results = {name: torch.stack(values, dim=1) for name, values in results.items()}
    train_images = images_of([loader.images for loader in loaders])
    train_labels = torch.stack([loader.labels for loader in loaders])[whose, :, column]
    final = stack.evaluate(train_images, train_labels)[:2]
    test_images = test.images.flatten(1)[None]
    final += stack.evaluate(test_images, test.labels.expand(num_models, -1))
    results |= dict(zip(_AT_THE_END, final, strict=True))
    results["weight_norm"] = torch.stack([W.flatten(1).norm(dim=1) for W in stack.weights], 1)
    edges = _bin_edges(config)
    results = {name: value.cpu().numpy() for name, value in results.items()}
    results["weight_histogram"] = np.stack(
        [[np.histogram(np.clip(W, e[0], e[-1]), e)[0] for W in weights.cpu().numpy()]
         for weights, e in zip(stack.weights, edges, strict=True)], axis=1)  # fmt: skip
    return results


def _start_std(init: str | float, fan_in: int) -> float:
    """Return the standard deviation of a layer's starting weights."""
    if init == "he":
        return math.sqrt(2 / fan_in)
    # PyTorch's own draws from ±1/√fan_in, evenly.
    return math.sqrt(1 / (3 * fan_in)) if init == "default" else float(init)


def _bin_edges(config: _Config) -> np.ndarray:
    """Edges of the weight histograms, (layers, bins + 1): six standard deviations of the start."""
    stds = [_start_std(config.init, fan_in) for fan_in in (784, *config.hidden)]
    return np.stack([np.linspace(-6 * std, 6 * std, _NUM_BINS + 1) for std in stds])


# ---------------------------------------------------------------- the grid


@dataclass(frozen=True, eq=False)
class Sweep:
    """A grid of settings, and what training measured at each of its points.

    Every array begins with the axes of the grid, (λ, p, label noise, seed), in the order of
    `settings`. What was not trained is NaN (0 in the histograms); so is what diverged.

    Attributes
    ----------
    settings : dict
        The arguments of `sweep`; ``lam``, ``p`` (a tuple per point, one number per hidden layer),
        ``label_noise`` and ``seeds`` are the axes.
    finished : numpy.ndarray of bool, shape (λ, p, noise, seed)
        Which models were trained to the end.
    train_loss : numpy.ndarray, shape (λ, p, noise, seed, epoch)
        Cross-entropy on the training labels while the epoch ran, dropout active.
    train_accuracy : numpy.ndarray, shape (λ, p, noise, seed, epoch)
        Accuracy, counted in the same way.
    valid_loss : numpy.ndarray, shape (λ, p, noise, seed, epoch)
        Cross-entropy on validation data after the epoch, in evaluation mode.
    valid_accuracy : numpy.ndarray, shape (λ, p, noise, seed, epoch)
        Accuracy, counted in the same way.
    final_train_loss : numpy.ndarray, shape (λ, p, noise, seed)
        Cross-entropy on the training labels after the last epoch, in evaluation mode.
    final_train_accuracy : numpy.ndarray, shape (λ, p, noise, seed)
        Accuracy, counted in the same way.
    test_loss : numpy.ndarray, shape (λ, p, noise, seed)
        Cross-entropy on the 10,000 test images, measured once, after the last epoch.
    test_accuracy : numpy.ndarray, shape (λ, p, noise, seed)
        Accuracy, counted in the same way.
    calibration_error : numpy.ndarray, shape (λ, p, noise, seed)
        Expected calibration error on the test images, 15 bins (Guo et al. 2017).
    weight_norm : numpy.ndarray, shape (λ, p, noise, seed, layer)
        Euclidean (Frobenius) norm of each layer's weights, biases left out.
    weight_histogram : numpy.ndarray of int, shape (λ, p, noise, seed, layer, bin)
        Numbers of weights; those beyond the outer edges count in the outer bins.
    bin_edges : numpy.ndarray, shape (layer, bin + 1)
        Where the bins begin and end: six standard deviations of the starting weights.
    """

    settings: dict
    finished: np.ndarray
    train_loss: np.ndarray
    train_accuracy: np.ndarray
    valid_loss: np.ndarray
    valid_accuracy: np.ndarray
    final_train_loss: np.ndarray
    final_train_accuracy: np.ndarray
    test_loss: np.ndarray
    test_accuracy: np.ndarray
    calibration_error: np.ndarray
    weight_norm: np.ndarray
    weight_histogram: np.ndarray
    bin_edges: np.ndarray

    @property
    def complete(self) -> bool:
        """Whether every model of the grid was trained to the end."""
        return bool(self.finished.all())

    @property
    def gap(self) -> np.ndarray:
        """Final training accuracy less test accuracy, shape (λ, p, noise, seed)."""
        return self.final_train_accuracy - self.test_accuracy

    def at(self, *, lam=None, p=None, label_noise=None) -> "Sweep":
        """Return the part of the grid with these values; what is not given keeps all of its own.

        Raises
        ------
        KeyError
            If the grid does not hold the value.
        """
        wanted = {"lam": lam, "p": p, "label_noise": label_noise}
        settings, where = dict(self.settings), [slice(None)] * 3
        for axis, (name, value) in enumerate(wanted.items()):
            if value is None:
                continue
            if name == "p":
                value = _check_p(value, len(settings["hidden"]))
            if value not in settings[name]:
                raise KeyError(f"{name}={value!r} is not in the grid; it holds {settings[name]}")
            i = settings[name].index(value)
            where[axis], settings[name] = slice(i, i + 1), (value,)
        arrays = {name: getattr(self, name)[tuple(where)] for name in _arrays()}
        return Sweep(settings, bin_edges=self.bin_edges, **arrays)

    def save(self, path: str | os.PathLike) -> Path:
        """Write a NumPy ``.npz`` file: the arrays, and the settings as JSON.

        Returns
        -------
        pathlib.Path
            Where it lies, with the ending ``.npz``.
        """
        path = Path(path)
        path = path if path.suffix == ".npz" else path.with_name(path.name + ".npz")
        header = {"format": _FORMAT, "version": _VERSION, "settings": self.settings}
        arrays = {name: getattr(self, name) for name in (*_arrays(), "bin_edges")}
        part = path.with_name(path.name + ".part")
        try:
            with open(part, "wb") as out:
                np.savez_compressed(out, header=np.array(json.dumps(header)), **arrays)
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)
        return path

    @classmethod
    def load(cls, path: str | os.PathLike) -> "Sweep":
        """Read what `save` wrote. Nothing in the file is ever executed.

        Raises
        ------
        ValueError
            If the file is damaged, not a saved sweep, or of a newer version.
        OSError
            If it cannot be opened.
        """
        with open(path, "rb") as source:
            try:
                with np.load(source, allow_pickle=False) as file:
                    header = json.loads(str(file["header"]))
                    arrays = {name: file[name] for name in (*_arrays(), "bin_edges")}
                if header["format"] != _FORMAT:
                    raise ValueError(f"its format is {header['format']!r}")
                version, settings = header["version"], header["settings"]
            except Exception as error:  # zip, JSON and NumPy each have their own
                raise ValueError(f"{path} is no saved sweep, or damaged: {error}") from error
        if version != _VERSION:
            raise ValueError(
                f"{path} has version {version} of the format; this d2lutils reads {_VERSION}"
            )
        for name in ("lam", "label_noise", "seeds", "hidden"):
            settings[name] = tuple(settings[name])
        settings["p"] = tuple(tuple(p) for p in settings["p"])
        grid = tuple(len(settings[name]) for name in ("lam", "p", "label_noise", "seeds"))
        for name in _arrays():
            if arrays[name].shape[:4] != grid:
                raise ValueError(
                    f"{path} is damaged: {name} has shape {arrays[name].shape}, and the grid {grid}"
                )
        return cls(settings, **arrays)


def _arrays() -> tuple[str, ...]:
    return ("finished", *_PER_EPOCH, *_AT_THE_END, *_PER_LAYER)


def sweep(
    lam: Sequence[float] = (0.0,),
    p: Sequence[float | Sequence[float]] = (0.0,),
    *,
    label_noise: Sequence[float] = (0.0,),
    seeds: int | Sequence[int] = 5,
    hidden: Sequence[int] = (256, 256),
    train_size: int = 2000,
    valid_size: int = 2000,
    num_epochs: int = 50,
    batch_size: int = 256,
    lr: float = 0.1,
    momentum: float = 0.0,
    optimizer: str = "sgd",
    decay: str = "l2",
    init: str | float = "he",
    device: torch.device | str | None = None,
    chunk_size: int | None = None,
    executor: concurrent.futures.Executor | None = None,
    resume: Sweep | None = None,
    progress: bool = True,
) -> Sweep:
    """Train an MLP for every combination of λ, p, label noise and seed.

    Models train side by side, a chunk at a time, so that memory grows with the chunk and not with
    the grid. All settings of one seed start from the same weights, see the same batches and share
    the random draws of dropout: their differences are paired. Interrupted from the keyboard, it
    returns what is finished.

    Parameters
    ----------
    lam : sequence of float, default (0,)
        Weight decay λ, at least 0, as in ``torch.optim``'s ``weight_decay``; biases are not
        decayed.
    p : sequence of float or of one float per hidden layer, default (0,)
        Dropout probabilities.
    label_noise : sequence of float, default (0,)
        Fractions of the training labels that are redrawn, as in `load_fashion_mnist`.
    seeds : int or sequence of int, default 5
        How many seeds (0, 1, …), or which.
    hidden : sequence of int, default (256, 256)
        Widths of the hidden layers.
    train_size, valid_size : int, default 2000
        Numbers of images.
    num_epochs : int, default 50
        Passes over the training images.
    batch_size : int, default 256
        Examples in a batch.
    lr : float, default 0.1
        Learning rate.
    momentum : float, default 0
        Momentum of SGD.
    optimizer : {"sgd", "adam"}, default "sgd"
        As in ``torch.optim``.
    decay : {"l2", "decoupled"}, default "l2"
        λ times the weights added to the gradient, or taken off the weights themselves: Adam with
        "decoupled" is AdamW (Loshchilov and Hutter 2019, arXiv 1711.05101).
    init : {"he", "default"} or float, default "he"
        The starting weights, see `mlp`.
    device : torch.device or str, optional
        By default `default_device`; with an `executor` that of each worker.
    chunk_size : int, optional
        Models trained at once; it changes speed and memory, not the results.
    executor : concurrent.futures.Executor, optional
        Where the chunks run: a process pool, or a cluster's, such as Dask's
        ``client.get_executor()``.
    resume : Sweep, optional
        An incomplete sweep of the same grid, whose finished models are not trained again.
    progress : bool, default True
        Show a bar with the time left.

    Returns
    -------
    Sweep
        All settings and measurements.

    Raises
    ------
    TypeError, ValueError
        If an argument is not what it must be.
    MemoryError
        If one chunk cannot fit into memory, before anything is trained (Linux and CUDA).
    RuntimeError
        If the executor failed. The exception's ``sweep`` holds what is finished.
    """
    axes = _check_axes(lam, p, label_noise, seeds, len(_check_hidden(hidden)))
    config = _Config(
        hidden=_check_hidden(hidden),
        train_size=check_int("train_size", train_size, low=1, high=60_000),
        valid_size=check_int("valid_size", valid_size, low=1, high=59_999),
        num_epochs=check_int("num_epochs", num_epochs, low=1),
        batch_size=check_int("batch_size", batch_size, low=1),
        lr=check_number("lr", lr, low=0),
        momentum=check_number("momentum", momentum, low=0, high=1),
        optimizer=check_choice("optimizer", optimizer, ("sgd", "adam")),
        decay=check_choice("decay", decay, ("l2", "decoupled")),
        init=_check_init(init),
    )
    if config.optimizer == "adam" and config.momentum:
        raise ValueError(f"momentum={momentum!r} belongs to optimizer='sgd'; give 0 with 'adam'")
    settings = {**axes, **asdict(config)}
    name = "cpu" if executor and device is None else str(device or default_device())
    if chunk_size is None:
        chunk_size = _CHUNK_SIZE.get(torch.device(name).type, 13)
    chunk_size = check_int("chunk_size", chunk_size, low=1)
    result = _resumed(resume, settings) if resume else _empty(settings)
    jobs = _jobs(axes, config, chunk_size, result.finished)
    _check_memory(jobs, torch.device(name))

    total = config.num_epochs * sum(len(job.lam) for job in jobs)
    bar = tqdm(total=total, unit="epoch", leave=False, file=sys.stdout,
               disable=not (progress and shows_bars()))  # fmt: skip
    run = partial(_train_job, device=name if executor is None or device else None)
    with bar:
        if executor is None:
            _run_here(jobs, run, result, bar)
        else:
            _run_there(jobs, run, result, bar, executor)
    return result


def _run_here(jobs, run, result, bar) -> None:
    try:
        for job in jobs:
            _store(result, job, run(job, report=bar.update))
    except KeyboardInterrupt:
        num = int(result.finished.sum())
        print(f"Stopped: {num} of {result.finished.size} models are finished, and returned.")


def _run_there(jobs, run, result, bar, executor) -> None:
    futures = {}
    try:
        futures = {executor.submit(run, job): job for job in jobs}
        for future in concurrent.futures.as_completed(futures):
            job = futures[future]
            _store(result, job, future.result())
            bar.update(len(job.lam) * job.config.num_epochs)
    except KeyboardInterrupt:
        num = int(result.finished.sum())
        print(f"Stopped: {num} of {result.finished.size} models are finished, and returned.")
    except Exception as error:
        for future, job in futures.items():  # what finished meanwhile is kept as well
            if future.done() and not future.cancelled() and future.exception() is None:
                _store(result, job, future.result())
        num = int(result.finished.sum())
        failure = RuntimeError(
            f"the executor failed after {num} of {result.finished.size} models:"
            f" {type(error).__name__}: {error}. What is finished is in this exception's attribute"
            " `sweep`; hand it to sweep(..., resume=...) with a working executor, or with none."
        )
        failure.sweep = result
        raise failure from error
    finally:
        for future in futures:
            future.cancel()


def _jobs(axes: dict, config: _Config, chunk_size: int, finished: np.ndarray) -> list[_Job]:
    """Cut the grid into chunks, seed by seed, since models of one seed share their images."""
    points = [
        (seed, (i, j, k, s))
        for s, seed in enumerate(axes["seeds"])
        for i, j, k in itertools.product(*(range(n) for n in finished.shape[:3]))
        if not finished[i, j, k, s]
    ]
    jobs = []
    for start in range(0, len(points), chunk_size):
        chunk = points[start : start + chunk_size]
        jobs.append(
            _Job(
                config,
                index=[index for _, index in chunk],
                lam=[axes["lam"][i] for _, (i, _, _, _) in chunk],
                p=[axes["p"][j] for _, (_, j, _, _) in chunk],
                label_noise=[axes["label_noise"][k] for _, (_, _, k, _) in chunk],
                seed=[seed for seed, _ in chunk],
            )
        )
    return jobs


def _empty(settings: dict) -> Sweep:
    grid = tuple(len(settings[name]) for name in ("lam", "p", "label_noise", "seeds"))
    layers = len(settings["hidden"]) + 1
    config = _Config(**{name: settings[name] for name in _Config.__dataclass_fields__})

    def nans(*shape):
        return np.full((*grid, *shape), np.nan, dtype=np.float32)

    arrays = {name: nans(settings["num_epochs"]) for name in _PER_EPOCH}
    arrays |= {name: nans() for name in _AT_THE_END}
    return Sweep(
        settings,
        finished=np.zeros(grid, dtype=bool),
        weight_norm=nans(layers),
        weight_histogram=np.zeros((*grid, layers, _NUM_BINS), dtype=np.int32),
        bin_edges=_bin_edges(config),
        **arrays,
    )


def _resumed(resume: Sweep, settings: dict) -> Sweep:
    different = [name for name in settings if resume.settings.get(name) != settings[name]]
    if different:
        raise ValueError(
            f"resume has another {different[0]}: {resume.settings.get(different[0])!r} instead of"
            f" {settings[different[0]]!r}; it must be a sweep of the same grid"
        )
    arrays = {name: getattr(resume, name).copy() for name in _arrays()}
    return Sweep(settings, bin_edges=resume.bin_edges, **arrays)


def _store(result: Sweep, job: _Job, measured: dict) -> None:
    where = tuple(np.array(job.index).T)
    for name, values in measured.items():
        getattr(result, name)[where] = values
    result.finished[where] = True


# ---------------------------------------------------------------- is a difference real?


@dataclass(frozen=True)
class Comparison:
    """The difference of two settings over the same seeds, with a 95 % confidence interval.

    Attributes
    ----------
    difference : float
        Mean over the seeds of the first minus the second.
    low, high : float
        Ends of the interval (Student's t on the paired differences).
    num_seeds : int
        How many pairs there were.
    """

    difference: float
    low: float
    high: float
    num_seeds: int

    @property
    def real(self) -> bool:
        """Whether the interval leaves out zero."""
        return self.low > 0 or self.high < 0

    def __str__(self) -> str:
        sign = "≠ 0" if self.real else "≈ 0"
        return (
            f"{self.difference:+.4f} [{self.low:+.4f}, {self.high:+.4f}] {sign}"
            f" ({self.num_seeds} seeds)"
        )


def compare(a: Sweep | Sequence[float], b: Sweep | Sequence[float],
            metric: str = "test_accuracy") -> Comparison:  # fmt: skip
    """Tell whether `a` and `b` differ by more than seeds do.

    Parameters
    ----------
    a, b : Sweep or sequence of float
        Single points of a sweep, as ``sweep.at(lam=0.01)`` gives them, or one number for each
        seed, in the same order.
    metric : str, default "test_accuracy"
        An attribute of `Sweep` with one number for each seed, such as ``"test_loss"`` or
        ``"gap"``.

    Returns
    -------
    Comparison
        The mean difference and its interval.

    Raises
    ------
    ValueError
        If there are fewer than two seeds, or not the same ones on both sides.
    """
    if isinstance(a, Sweep) and isinstance(b, Sweep) and a.settings["seeds"] != b.settings["seeds"]:
        raise ValueError(
            f"a has seeds {a.settings['seeds']}, b {b.settings['seeds']}; compare the same seeds"
        )
    a, b = (_per_seed(name, x, metric) for name, x in (("a", a), ("b", b)))
    if len(a) != len(b) or len(a) < 2:
        raise ValueError(f"a has {len(a)} seeds, b {len(b)}; give the same ones, at least two")
    differences = a - b
    mean, error = differences.mean(), differences.std(ddof=1) / math.sqrt(len(a))
    reach = _student_t(len(a) - 1) * error
    return Comparison(float(mean), float(mean - reach), float(mean + reach), len(a))


def _per_seed(name: str, x, metric: str) -> np.ndarray:
    if isinstance(x, Sweep):
        x = getattr(x, metric)
        if x.ndim != 4 or x.shape[:3] != (1, 1, 1):
            raise ValueError(
                f"{name} holds a grid of shape {x.shape} of {metric}; pick one point of it with"
                " at(lam=..., p=..., label_noise=...) and a metric with one number for each seed"
            )
        x = x[0, 0, 0]
    x = np.asarray(x, dtype=float)
    if x.ndim != 1 or not np.isfinite(x).all():
        raise ValueError(f"{name} must be one finite number for each seed, not {x.tolist()}")
    return x


def _student_t(degrees: int) -> float:
    """Return the 97.5 % quantile of Student's t, to about 1e-4."""
    if degrees > 200:
        return 1.96 + 2.4 / degrees
    # The density, up to a factor that its own sum removes; t = tan(angle) has no tail to cut off.
    angle = (np.arange(400_000) + 0.5) / 400_000 * math.pi / 2
    t = np.sqrt(degrees) * np.tan(angle)
    mass = np.cumsum(np.cos(angle) ** (degrees - 1))
    return float(t[np.searchsorted(mass / mass[-1], 0.95)])


# ---------------------------------------------------------------- checks of arguments


def _check_hidden(hidden: object) -> tuple[int, ...]:
    if isinstance(hidden, (int, str)) or not isinstance(hidden, Sequence):
        raise TypeError(f"hidden={hidden!r} must be a sequence of widths, such as (256, 256)")
    return tuple(check_int(f"hidden[{i}]", width, low=1) for i, width in enumerate(hidden))


def _check_p(p: object, num_hidden: int) -> tuple[float, ...]:
    """Return one probability for each hidden layer."""
    if not isinstance(p, Sequence) or isinstance(p, str):
        return (check_number("p", p, low=0, high=1),) * num_hidden
    if len(p) != num_hidden:
        raise ValueError(
            f"p={p!r} has {len(p)} entries for {num_hidden} hidden layers; give one each"
        )
    return tuple(check_number(f"p[{i}]", value, low=0, high=1) for i, value in enumerate(p))


def _check_init(init: object) -> str | float:
    if isinstance(init, str):
        return check_choice("init", init, ("he", "default"))
    if check_number("init", init, low=0) == 0:
        raise ValueError(f"init={init!r} would start all weights at 0; give a positive number")
    return float(init)


def _check_axes(lam, p, label_noise, seeds, num_hidden: int) -> dict:
    if isinstance(seeds, int) and not isinstance(seeds, bool):
        seeds = range(check_int("seeds", seeds, low=1))
    checks = {
        "lam": (lam, lambda name, value: check_number(name, value, low=0)),
        "p": (p, lambda name, value: _check_p(value, num_hidden)),
        "label_noise": (label_noise, lambda name, value: check_number(name, value, 0, 1)),
        "seeds": (seeds, lambda name, value: check_seed(value)),
    }
    axes = {}
    for name, (values, check) in checks.items():
        if isinstance(values, str) or not isinstance(values, (Sequence, np.ndarray, torch.Tensor)):
            raise TypeError(f"{name}={values!r} must be a sequence, such as [{values!r}]")
        values = values.tolist() if hasattr(values, "tolist") else values
        axes[name] = tuple(check(f"{name}[{i}]", value) for i, value in enumerate(values))
        if not axes[name]:
            raise ValueError(f"{name} is empty; give at least one value")
        if len(set(axes[name])) < len(axes[name]):
            raise ValueError(f"{name}={values!r} holds a value twice; give each once")
    return axes


def _check_memory(jobs: list[_Job], device: torch.device) -> None:
    """Raise MemoryError before training if a chunk cannot fit, with an estimate from above."""
    if not jobs:
        return
    config, num_models = jobs[0].config, max(len(job.lam) for job in jobs)
    widths = (784, *config.hidden, 10)
    weights = sum(a * b for a, b in itertools.pairwise(widths))
    copies = 2 + (2 if config.optimizer == "adam" else bool(config.momentum))
    activations = 4 * sum(widths) * max(config.batch_size, 1000)
    need = 4 * num_models * (copies * weights + activations) + 800 * config.train_size
    if device.type == "cuda":
        free = torch.cuda.mem_get_info(device)[0]
    elif os.path.exists("/proc/meminfo"):
        with open("/proc/meminfo") as lines:
            free = next(int(x.split()[1]) * 1024 for x in lines if x.startswith("MemAvailable"))
    else:
        return
    if need > free:
        raise MemoryError(
            f"{num_models} models at once need about {need / 2**30:.1f} GiB, and {device} has"
            f" {free / 2**30:.1f} GiB free; give a smaller chunk_size, batch_size or hidden"
        )

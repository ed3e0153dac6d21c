"""Train a network, watch it honestly, and measure it once."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn

from d2lutils import calls
from d2lutils.arguments import check_callable, check_flag, check_int
from d2lutils.progress import bar_of_epochs, in_notebook

__all__ = ["History", "evaluate", "train"]


@dataclass
class History:
    """What `train` saw, one entry per epoch in every list.

    Attributes
    ----------
    train_loss, train_accuracy : list of float
        Mean loss, and fraction that was right, of the training examples *while the epoch ran*: the
        network was in train mode (dropout active) and its weights moved from batch to batch.
    valid_loss, valid_accuracy : list of float
        The same of the validation examples after the epoch, in evaluation mode. Empty without such.
    penalty : list of float
        Mean value of the penalty over the epoch; it is never part of a loss. Empty without one.
    """

    train_loss: list[float] = field(default_factory=list)
    train_accuracy: list[float] = field(default_factory=list)
    valid_loss: list[float] = field(default_factory=list)
    valid_accuracy: list[float] = field(default_factory=list)
    penalty: list[float] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.train_loss)


def evaluate(net: Callable, data_iter: Iterable, loss: Callable) -> tuple[float, float]:
    """Measure a network on data it is not trained on: evaluation mode, no gradients.

    Parameters
    ----------
    net : torch.nn.Module or callable
        Maps a batch ``X`` to predictions ``y_hat`` (B, classes), or (B, 1) for regression. A module
        is put into evaluation mode and given back as it was; a function is called as it is.
    data_iter : iterable of (X, y)
        Batches of any size; examples count equally whatever batch they are in.
    loss : callable
        ``loss(y_hat, y)``, the mean over a batch, such as ``nn.CrossEntropyLoss()``.

    Returns
    -------
    loss, accuracy : float
        Means over all examples. Accuracy is a fraction in [0, 1]; NaN if ``y`` holds no classes.

    Raises
    ------
    TypeError, ValueError
        If an argument is not what it must be, or fails with a batch: it names which, and both.
    """
    check_callable("net", net, "nn.Linear(784, 10)")
    calls.check_loss(loss)
    return _evaluate(net, data_iter, loss, "data_iter")


@torch.no_grad()
def _evaluate(net, data_iter, loss, name: str) -> tuple[float, float]:
    modes = {m: m.training for m in net.modules()} if isinstance(net, nn.Module) else {}
    total = None
    try:
        for module in modes:
            module.training = False
        for X, y in calls.batches(name, data_iter):
            y_hat = calls.predict(net, X)
            sums = _sums(y_hat, y, calls.measure(loss, y_hat, y, first=total is None))
            total = sums if total is None else total + sums
    finally:
        for module, mode in modes.items():  # each as it was: some layers may have been frozen
            module.training = mode
    return tuple(_means(name, total))


def epochs(
    net: nn.Module,
    train_iter: Iterable,
    valid_iter: Iterable | None,
    loss: Callable,
    optimizer: torch.optim.Optimizer,
    num_epochs: int,
    *,
    scheduler: torch.optim.lr_scheduler.LRScheduler | None = None,
    penalty: Callable | None = None,
) -> Iterator[History]:
    """Train like `train`, and yield the growing `History` after each epoch: to watch, or to leave.

    ``for history in epochs(...): ...`` takes what `train` takes and raises what `train` raises.
    """
    calls.check_training(net, loss, optimizer, scheduler, penalty)
    history = History()
    try:
        for epoch in range(1, check_int("num_epochs", num_epochs, low=1) + 1):
            total = _train_epoch(net, train_iter, loss, optimizer, scheduler, penalty, epoch)
            train_loss, *train_penalty, train_accuracy = _means("train_iter", total)
            if valid_iter is not None:
                valid_loss, valid_accuracy = _evaluate(net, valid_iter, loss, "valid_iter")
                history.valid_loss.append(valid_loss)
                history.valid_accuracy.append(valid_accuracy)
            history.penalty += train_penalty
            history.train_loss.append(train_loss)
            history.train_accuracy.append(train_accuracy)
            yield history
    except Exception as error:
        error.history = history
        raise


@torch.inference_mode(False)  # whatever the caller has switched off
@torch.enable_grad()
def _train_epoch(net, train_iter, loss, optimizer, scheduler, penalty, epoch) -> np.ndarray | None:
    """Take one optimizer step for each batch; return sums over all of them."""
    net.train()
    total = None
    for X, y in calls.batches("train_iter", train_iter):
        y_hat = calls.predict(net, X)
        terms = [calls.measure(loss, y_hat, y, first=total is None)]
        if penalty is not None:
            terms.append(calls.single_number("penalty", calls.call("penalty", penalty, net=net)))
        sums = _sums(y_hat, y, *terms)
        calls.check_finite(sums[:-2] / len(y), epoch, optimizer)
        optimizer.zero_grad()
        calls.backward(sum(terms))
        calls.call("optimizer.step", optimizer.step)
        torch.clear_autocast_cache()  # of the weights as they were before the step
        if scheduler is not None:
            scheduler.step()
        total = sums if total is None else total + sums
    return total


def train(
    net: nn.Module,
    train_iter: Iterable,
    valid_iter: Iterable | None,
    loss: Callable,
    optimizer: torch.optim.Optimizer,
    num_epochs: int,
    *,
    scheduler: torch.optim.lr_scheduler.LRScheduler | None = None,
    penalty: Callable | None = None,
    progress: bool = True,
) -> History:
    """Minimize ``loss + penalty`` by minibatches and record a curve per quantity.

    The test set has no place here: keep it, and call `evaluate` on it once, at the end.
    Interrupted (Ctrl-C, the stop button), it says how far it came and returns the finished epochs.

    Parameters
    ----------
    net : torch.nn.Module
        Trained in place, on the device it lies on; left in train mode.
    train_iter, valid_iter : iterable of (X, y)
        Batches on the same device as `net`; `valid_iter` may be None.
    loss : callable
        ``loss(y_hat, y)``, the mean over a batch.
    optimizer : torch.optim.Optimizer
        Holds the parameters of `net`.
    num_epochs : int
        Passes over `train_iter`, at least 1.
    scheduler : torch.optim.lr_scheduler.LRScheduler, optional
        Of this `optimizer`, for its steps: it takes one after each of them, not after each epoch.
    penalty : callable, optional
        ``penalty(net)``, a scalar tensor added to what is minimized, and reported apart.
    progress : bool, default True
        In a notebook a bar that clears itself; elsewhere one line per epoch.

    Returns
    -------
    History
        One list per curve.

    Raises
    ------
    FloatingPointError
        As soon as a batch's loss or penalty is NaN or infinite.
    TypeError, ValueError, MemoryError
        If an argument is not what it must be, or fails with a batch: it names which, and both.
        The ``history`` of any error holds the finished epochs.
    """
    num_epochs, progress = check_int("num_epochs", num_epochs, 1), check_flag("progress", progress)
    epoch_by_epoch = epochs(net, train_iter, valid_iter, loss, optimizer, num_epochs,
                            scheduler=scheduler, penalty=penalty)  # fmt: skip
    bar = bar_of_epochs(epoch_by_epoch, num_epochs, shown=progress and in_notebook())
    history = History()
    try:
        for history in bar:
            last = {name: curve[-1] for name, curve in vars(history).items() if curve}
            line = ", ".join(f"{k} {v:.3f}" for k, v in last.items() if not np.isnan(v))
            bar.set_postfix_str(line, refresh=False)
            if progress and bar.disable:
                print(f"epoch {len(history)}/{num_epochs}: {line}", flush=True)
    except KeyboardInterrupt:
        for curve in vars(history).values():
            del curve[len(history.train_accuracy) :]  # which is noted last
        print(f"Interrupted: {len(history)} of {num_epochs} epochs are finished.")
    return history


def _sums(y_hat: torch.Tensor, y: torch.Tensor, *means: torch.Tensor) -> np.ndarray:
    """Return sums over a batch: quantities given by their means, right predictions, examples."""
    right = torch.tensor(np.nan, device=y.device)  # of a regression: nothing is right or wrong
    classes = not y.is_floating_point() and y_hat.ndim > 1 and y_hat.shape[1] > 1
    if classes and y_hat[:, 0].numel() == y.numel():
        hits = y_hat.argmax(dim=1).reshape(y.shape) == y
        right = hits.float().reshape(len(y), -1).mean(1).sum()  # y may hold a label for each pixel
    # One transfer instead of several, since the program waits for the device in each.
    *means, right = torch.stack([*means, right]).tolist()
    return np.array([*(mean * len(y) for mean in means), right, len(y)])


def _means(name: str, total: np.ndarray | None) -> list[float]:
    if total is None:
        raise ValueError(f"{name} holds no batch; pass what can be iterated over again and again")
    return (total[:-1] / total[-1]).tolist()

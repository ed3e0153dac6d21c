"""Train a network, watch it honestly, and measure it once."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn

from d2lutils.arguments import check_int
from d2lutils.progress import bar_of_epochs, in_notebook

__all__ = ["History", "epochs", "evaluate", "train"]


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


@torch.no_grad()
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
        Means over all examples. Accuracy is a fraction in [0, 1]; NaN if ``y`` is real-valued.

    Raises
    ------
    TypeError, ValueError
        If `data_iter` holds no batch, or `loss` gives no single number.
    """
    modes = {m: m.training for m in net.modules()} if isinstance(net, nn.Module) else {}
    total = 0
    try:
        for module in modes:
            module.training = False
        for X, y in data_iter:
            y_hat = net(X)
            total += _sums(y_hat, y, _number("loss", loss(y_hat, y)))
    finally:
        for module, mode in modes.items():  # each as it was: some layers may have been frozen
            module.training = mode
    return tuple(_means("data_iter", total))


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
    history = History()
    for epoch in range(1, check_int("num_epochs", num_epochs, low=1) + 1):
        net.train()
        total = 0
        for X, y in train_iter:
            y_hat = net(X)
            terms = [_number("loss", loss(y_hat, y))]
            if penalty is not None:
                terms.append(_number("penalty", penalty(net)))
            batch = _sums(y_hat, y, *terms)
            if not np.isfinite(batch[:-2]).all():
                raise _diverged(epoch, optimizer, history, objective=sum(terms).item())
            optimizer.zero_grad()
            sum(terms).backward()
            optimizer.step()
            if scheduler is not None:
                scheduler.step()
            total += batch
        train_loss, *train_penalty, train_accuracy = _means("train_iter", total)
        if valid_iter is not None:
            valid_loss, valid_accuracy = evaluate(net, valid_iter, loss)
            history.valid_loss.append(valid_loss)
            history.valid_accuracy.append(valid_accuracy)
        history.penalty += train_penalty
        history.train_loss.append(train_loss)
        history.train_accuracy.append(train_accuracy)
        yield history


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
        As soon as a batch's loss is NaN or infinite; its ``history`` holds the finished epochs.
    TypeError, ValueError
        If `num_epochs` is no positive integer, `train_iter` is empty, or `loss` or `penalty` gives
        no single number.
    """
    check_int("num_epochs", num_epochs, low=1)
    epoch_by_epoch = epochs(net, train_iter, valid_iter, loss, optimizer, num_epochs,
                            scheduler=scheduler, penalty=penalty)  # fmt: skip
    bar = bar_of_epochs(epoch_by_epoch, num_epochs, shown=progress and in_notebook())
    history = History()
    try:
        for history in bar:
            line = ", ".join(f"{k} {v[-1]:.3f}" for k, v in vars(history).items() if v)
            bar.set_postfix_str(line, refresh=False)
            if progress and bar.disable:
                print(f"epoch {len(history)}/{num_epochs}: {line}", flush=True)
    except KeyboardInterrupt:
        print(f"Interrupted: {len(history)} of {num_epochs} epochs are finished.")
    return history


def _number(name: str, value: object) -> torch.Tensor:
    """Return a loss or a penalty as a tensor without dimensions, or say what is wrong with it."""
    if not isinstance(value, torch.Tensor) or value.numel() != 1:
        what = f"shape {tuple(value.shape)}" if hasattr(value, "shape") else f"{value!r}"
        raise TypeError(f"{name} gave {what}, no single number: give a tensor such as a mean")
    return value.reshape(())


def _sums(y_hat: torch.Tensor, y: torch.Tensor, *means: torch.Tensor) -> np.ndarray:
    """Return sums over a batch: quantities given by their means, right predictions, examples."""
    regression = y.is_floating_point()  # nothing is right or wrong
    right = torch.tensor(np.nan).to(y) if regression else (y_hat.argmax(dim=1) == y).sum()
    # One transfer instead of several, since the program waits for the device in each.
    *means, right = torch.stack([*means, right.float()]).tolist()
    return np.array([*(mean * len(y) for mean in means), right, len(y)])


def _means(name: str, total: np.ndarray | int) -> list[float]:
    if np.ndim(total) == 0:
        raise ValueError(f"{name} holds no batch; pass what can be iterated over again and again")
    return (total[:-1] / total[-1]).tolist()


def _diverged(epoch, optimizer, history, objective) -> FloatingPointError:
    """Say where training left the rails, what drove it there, and what to try."""
    rates = sorted({f"{g.get('initial_lr', g['lr']):g}" for g in optimizer.param_groups})
    error = FloatingPointError(
        f"the loss became {objective} in epoch {epoch} with learning rate {', '.join(rates)}. Try"
        " one that is ten times smaller, from fresh weights, since these may be spoilt; if that"
        " changes nothing, look for NaN in the inputs, the starting weights or the penalty."
    )
    error.history = history
    return error

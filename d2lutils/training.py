"""Train a network, watch it honestly, and measure it once."""

import math
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import torch
from torch import nn
from tqdm import tqdm

from d2lutils.arguments import check_int
from d2lutils.progress import in_notebook

__all__ = ["History", "evaluate", "train"]

_NO_BATCH = "{} holds no batch; pass something that can be iterated over again and again"


@dataclass
class History:
    """What `train` saw, one entry per epoch in every list.

    Attributes
    ----------
    train_loss : list of float
        Mean over the training examples *while the epoch ran*: the network was in train mode
        (dropout active) and its weights moved from batch to batch.
    train_accuracy : list of float
        Fraction that was right, counted in the same way.
    valid_loss : list of float
        Mean over the validation examples after the epoch, in evaluation mode. Empty if `train`
        got no validation data.
    valid_accuracy : list of float
        Fraction that is right, counted in the same way.
    penalty : list of float
        Mean value of the penalty over the epoch; it is never part of a loss. Empty without one.
    seconds : list of float
        Wall-clock time of the epoch, validation included.
    """

    train_loss: list[float] = field(default_factory=list)
    train_accuracy: list[float] = field(default_factory=list)
    valid_loss: list[float] = field(default_factory=list)
    valid_accuracy: list[float] = field(default_factory=list)
    penalty: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.train_loss)


def _num_correct(y_hat: torch.Tensor, y: torch.Tensor) -> float:
    """Count right predictions; for real-valued targets there is no such thing, so NaN."""
    if y.is_floating_point():
        return math.nan
    return (y_hat.argmax(dim=1) == y).sum().item()


@torch.no_grad()
def evaluate(net: Callable, data_iter: Iterable, loss: Callable) -> tuple[float, float]:
    """Measure a network on data it is not trained on: evaluation mode, no gradients.

    Parameters
    ----------
    net : torch.nn.Module or callable
        Maps a batch ``X`` to predictions ``y_hat`` of shape (B, classes), or (B, 1) for
        regression. A module is put into evaluation mode and given back in the mode it was in;
        a plain function is called as it is.
    data_iter : iterable of (X, y)
        Batches of any size; examples count equally whatever batch they are in.
    loss : callable
        ``loss(y_hat, y)``, the mean over a batch, such as ``nn.CrossEntropyLoss()``.

    Returns
    -------
    loss, accuracy : float
        Means over all examples. Accuracy is a fraction in [0, 1], and NaN if ``y`` is
        real-valued.

    Raises
    ------
    ValueError
        If `data_iter` holds no batch.
    """
    modes = {m: m.training for m in net.modules()} if isinstance(net, nn.Module) else {}
    loss_sum, correct, count = 0.0, 0.0, 0
    try:
        for module in modes:
            module.training = False
        for X, y in data_iter:
            y_hat = net(X)
            loss_sum += loss(y_hat, y).item() * len(y)
            correct += _num_correct(y_hat, y)
            count += len(y)
    finally:
        for module, mode in modes.items():  # each as it was: some layers may have been frozen
            module.training = mode
    if count == 0:
        raise ValueError(_NO_BATCH.format("data_iter"))
    return loss_sum / count, correct / count


def train(
    net: nn.Module,
    train_iter: Iterable,
    valid_iter: Iterable | None,
    loss: Callable,
    optimizer: torch.optim.Optimizer,
    num_epochs: int,
    *,
    penalty: Callable | None = None,
    progress: bool = True,
) -> History:
    """Minimize ``loss + penalty`` by minibatches and record a curve per quantity.

    The test set has no place here: keep it, and call `evaluate` on it once, at the end.

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
        As soon as the loss of a batch is NaN or infinite. The exception's ``history`` holds the
        finished epochs.
    TypeError, ValueError
        If `num_epochs` is not a positive integer or `train_iter` holds no batch.
    """
    check_int("num_epochs", num_epochs, low=1)
    history = History()
    for epoch in _epochs(num_epochs, history, progress):
        start = time.perf_counter()
        loss_sum, penalty_sum, correct, count = 0.0, 0.0, 0.0, 0
        net.train()
        for X, y in train_iter:
            y_hat = net(X)
            objective = batch_loss = loss(y_hat, y)
            if penalty is not None:
                batch_penalty = penalty(net)
                objective = batch_loss + batch_penalty
                penalty_sum += batch_penalty.item() * len(y)
            if not math.isfinite(objective.item()):
                raise _diverged(objective.item(), epoch, optimizer, history)
            optimizer.zero_grad()
            objective.backward()
            optimizer.step()
            loss_sum += batch_loss.item() * len(y)
            correct += _num_correct(y_hat, y)
            count += len(y)
        if count == 0:
            raise ValueError(_NO_BATCH.format("train_iter"))
        history.train_loss.append(loss_sum / count)
        history.train_accuracy.append(correct / count)
        if penalty is not None:
            history.penalty.append(penalty_sum / count)
        if valid_iter is not None:
            valid_loss, valid_accuracy = evaluate(net, valid_iter, loss)
            history.valid_loss.append(valid_loss)
            history.valid_accuracy.append(valid_accuracy)
        history.seconds.append(time.perf_counter() - start)
    return history


def _epochs(num_epochs: int, history: History, progress: bool) -> Iterator[int]:
    """Count 1 to `num_epochs`, telling the reader what `history` says after each."""
    # Standard output, since graders and nbval read standard error as failure; plain text, since
    # a widget would be dead in the published page.
    bar = tqdm(
        total=num_epochs,
        unit="epoch",
        leave=False,
        file=sys.stdout,
        disable=not (progress and in_notebook()),
    )
    with bar:
        for epoch in range(1, num_epochs + 1):
            yield epoch
            line = f"loss {history.train_loss[-1]:.3f}, accuracy {history.train_accuracy[-1]:.3f}"
            if history.valid_loss:
                line += (
                    f" | validation {history.valid_loss[-1]:.3f}, {history.valid_accuracy[-1]:.3f}"
                )
            bar.set_postfix_str(line, refresh=False)
            bar.update()
            if progress and bar.disable:
                print(f"epoch {epoch}/{num_epochs}: {line}", flush=True)


def _diverged(objective, epoch, optimizer, history) -> FloatingPointError:
    """Say where training left the rails, what drove it there, and what to try."""
    rates = sorted({group["lr"] for group in optimizer.param_groups})
    error = FloatingPointError(
        f"the loss became {objective} in epoch {epoch} with learning rate"
        f" {', '.join(f'{lr:g}' for lr in rates)}, so training stopped. Try a learning rate ten"
        " times smaller; if that changes nothing, look for NaN in the inputs, the starting"
        " weights or the penalty. Start from fresh weights: these may be spoilt."
    )
    error.history = history
    return error

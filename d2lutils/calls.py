"""What a user gives to the training loop: checked, and called so that an error names it."""

import functools
import inspect
import math
import types
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import torch
from torch import nn
from torch.nn import functional as F
from torch.optim.lr_scheduler import ReduceLROnPlateau

from d2lutils.arguments import check_callable, shown
from d2lutils.words import error_text

LOSS = "nn.CrossEntropyLoss()"
# Losses that compare number with number: class labels or another shape they take without a word.
ELEMENTWISE = (nn.MSELoss, nn.L1Loss, nn.SmoothL1Loss, nn.HuberLoss)
ELEMENTWISE_FUNCTIONS = (F.mse_loss, F.l1_loss, F.smooth_l1_loss, F.huber_loss)


def check_loss(loss: object) -> None:
    """Raise with one clear sentence unless `loss` can be called and says that it is a mean."""
    check_callable("loss", loss, LOSS)
    reduction, source = getattr(loss, "reduction", None), type(loss)
    if isinstance(loss, functools.partial):
        reduction, source = loss.keywords.get("reduction"), loss.func
    # A user's own loss may take the mean itself of what a reduction leaves.
    if _is_of_torch(source) and isinstance(reduction, str) and reduction in ("none", "sum"):
        raise ValueError(f"loss has reduction={shown(reduction)}: give one with reduction='mean'")


def _is_of_torch(source: object) -> bool:
    """Tell whether a class or a function is PyTorch's own."""
    return str(getattr(source, "__module__", "")).startswith("torch.")


def check_training(net, loss, optimizer, scheduler, penalty) -> None:
    """Raise with one clear sentence unless these belong together and can train."""
    check_callable("net", net, "nn.Linear(784, 10)")
    if not isinstance(net, nn.Module):
        raise TypeError(f"net={shown(net)} is no torch.nn.Module: give one, or use evaluate")
    check_loss(loss)
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise TypeError(
            f"optimizer={shown(optimizer)} is none of torch.optim: give an object, such as"
            " torch.optim.SGD(net.parameters(), lr=0.1)"
        )
    held = {id(param) for group in optimizer.param_groups for param in group["params"]}
    params = list(net.parameters())
    # What a lazy layer has not made yet cannot be asked.
    drawn = [p for p in params if not isinstance(p, nn.parameter.UninitializedParameter)]
    if any(param.is_inference() for param in drawn):
        raise ValueError("net was made in torch.inference_mode: make it outside, to train it")
    if params and not any(param.requires_grad and id(param) in held for param in params):
        raise ValueError(
            "optimizer holds no parameter of net that can be trained: make it from"
            " net.parameters(), some of which must have requires_grad=True"
        )
    if scheduler is not None:
        _check_scheduler(scheduler, optimizer)
    if penalty is not None:
        check_callable("penalty", penalty, "a function of the network")


def _check_scheduler(scheduler, optimizer) -> None:
    example = "torch.optim.lr_scheduler.LinearLR(optimizer, 1, 0, num_steps)"
    if isinstance(scheduler, type) or not callable(getattr(scheduler, "step", None)):
        raise TypeError(f"scheduler={shown(scheduler)} is none: give an object, such as {example}")
    if isinstance(scheduler, ReduceLROnPlateau):
        raise TypeError(
            "scheduler is a ReduceLROnPlateau, which wants a loss for each step: give one that"
            f" follows the number of steps alone, such as {example}"
        )
    if getattr(scheduler, "optimizer", optimizer) is not optimizer:
        raise ValueError(f"scheduler belongs to another optimizer: make it anew, such as {example}")


def batches(name: str, data_iter: Iterable) -> Iterator[tuple]:
    """Yield the batches (X, y) of `data_iter`, or raise with its name."""
    example = "batches (X, y) of tensors, such as a DataLoader or a list of pairs"
    try:
        iterator = iter(data_iter)
    except TypeError as error:
        raise TypeError(f"{name}={shown(data_iter)} holds no batches: give {example}") from error
    for batch in iterator:
        try:  # two rows of a tensor, or two letters, are no pair
            X, y = () if isinstance(batch, (torch.Tensor, str, Mapping)) else batch
        except (TypeError, ValueError) as error:
            message = f"{name} gave {shown(batch)}, no pair (X, y): give {example}"
            raise TypeError(message) from error
        if not isinstance(y, torch.Tensor) or y.ndim == 0:
            raise TypeError(f"{name} gave y={shown(y)}, not the labels of a batch: give {example}")
        if len(y) == 0:
            raise ValueError(f"{name} gave a batch without examples: give at least one in each")
        # What was made in inference mode could not be trained on.
        yield tuple(part.clone() if _is_inference(part) else part for part in (X, y))


def _is_inference(part: object) -> bool:
    return isinstance(part, torch.Tensor) and part.is_inference()


def call(name: str, function: Callable, **arguments: object) -> object:
    """Call what the user gave; an error of the usual kinds says what it was called with."""
    try:
        return function(*arguments.values())
    except (TypeError, ValueError, IndexError, RuntimeError, AttributeError) as error:
        kind = TypeError if isinstance(error, (TypeError, AttributeError)) else ValueError
        values = ", ".join(f"{key}={shown(value)}" for key, value in arguments.items())
        where = f" where {values}" if values else ""
        words = " ".join(error_text(error).split())
        if isinstance(error, torch.cuda.OutOfMemoryError) or "can't allocate memory" in words:
            kind, words = MemoryError, "there is not enough memory: give a smaller batch or network"
        raise kind(f"{name}({', '.join(arguments)}) failed{where}: {words}") from error


def predict(net: Callable, X: object) -> torch.Tensor:
    """Return what the network says of a batch."""
    y_hat = call("net", net, X=X)
    if not isinstance(y_hat, torch.Tensor):
        raise TypeError(f"net gave {shown(y_hat)}: give one that returns a tensor of predictions")
    return y_hat


def measure(loss: Callable, y_hat: torch.Tensor, y: torch.Tensor, first: bool) -> torch.Tensor:
    """Return the mean loss of a batch; of the `first` one, look whether it is a mean."""
    if type(loss) in ELEMENTWISE or loss in ELEMENTWISE_FUNCTIONS:
        if y_hat.shape != y.shape:
            name = getattr(loss, "__name__", type(loss).__name__)
            raise ValueError(
                f"loss={name} compares numbers, and y_hat={shown(y_hat)}, y={shown(y)}: give a y in"
                f" the shape of y_hat, or for class labels a loss such as {LOSS}"
            )
        y = y if y.is_floating_point() else y.to(y_hat.dtype)  # some have no gradient otherwise
    value = single_number("loss", call("loss", loss, y_hat=y_hat, y=y))
    if first and _is_sum(loss, value.item(), y_hat.detach(), y):
        raise ValueError(
            "loss gave the sum over the batch: give one that returns the mean, such as " + LOSS
        )
    return value


def _is_sum(loss: Callable, value: float, y_hat: torch.Tensor, y: torch.Tensor) -> bool:
    """Tell whether a loss that is suspiciously large doubles with the batch."""
    usual = math.log(max(y_hat.numel() / len(y), 2))  # of a network that knows nothing
    if y.shape == y_hat.shape:
        usual = (y_hat - y.to(y_hat.dtype)).square().mean().item()
    if y_hat.ndim == 0 or len(y) == 1 or not 3 * usual < value < math.inf:
        return False
    try:
        if _may_keep_state(loss):  # of what it sees, and this it would see twice
            return False
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            twice = loss(torch.cat([y_hat, y_hat]), torch.cat([y, y]))
        return math.isclose(twice, 2 * value, rel_tol=1e-3)
    except Exception:  # a loss that takes this very batch alone is none
        return False


def _may_keep_state(used: object) -> bool:
    """Tell whether this is more than functions and losses of torch, and functions of these."""
    if isinstance(used, types.ModuleType):
        return used.__name__.partition(".")[0] not in ("torch", "math", "numpy")
    if not isinstance(used, types.FunctionType):
        stateless = isinstance(used, (str, types.BuiltinFunctionType))
        return not stateless and type(used).__module__ != nn.modules.loss.__name__
    if _is_of_torch(used):
        return False
    names = inspect.getclosurevars(used)
    held = [*names.nonlocals.values(), *names.globals.values(), *(used.__defaults__ or ())]
    return any(map(_may_keep_state, [*held, *(used.__kwdefaults__ or {}).values()]))


def single_number(name: str, value: object) -> torch.Tensor:
    """Return a loss or a penalty as a tensor without dimensions, or say what is wrong with it."""
    if not isinstance(value, torch.Tensor) or value.numel() != 1:
        raise TypeError(f"{name} gave {shown(value)}, no single number: give a tensor, as a mean")
    return value.reshape(())


def backward(objective: torch.Tensor) -> None:
    """Compute the gradients of what is minimized."""
    if not objective.requires_grad:
        raise ValueError(
            "loss has no gradient: give one that is computed from y_hat by torch, as real numbers"
            " and without detach() or item()"
        )
    call("backward", objective.backward)


def check_finite(terms: Sequence[float], epoch: int, optimizer: torch.optim.Optimizer) -> None:
    """Say where training left the rails, what drove it there, and what to try."""
    for name, value in zip(("loss", "penalty"), terms, strict=False):
        if not math.isfinite(value):
            rates = {f"{g.get('initial_lr', g['lr']):g}" for g in optimizer.param_groups}
            raise FloatingPointError(
                f"the {name} became {value} in epoch {epoch} with learning rate"
                f" {', '.join(sorted(rates))}. Try one that is ten times smaller, from fresh"
                " weights, since these may be spoilt; if that changes nothing, look for NaN in the"
                " inputs, the starting weights or the penalty."
            )

"""The network that sweeps train."""

import itertools
import math
from collections.abc import Sequence

import torch
from torch import nn

from d2lutils.arguments import check_choice, check_int, check_number, check_seed


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
    hidden, init = check_hidden(hidden), check_init(init)
    p = check_p(p, len(hidden))
    probabilities = p if isinstance(p, tuple) else (p,) * len(hidden)
    layers = [nn.Flatten()]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(check_seed(seed))
        for fan_in, fan_out in itertools.pairwise((784, *hidden, 10)):
            linear = nn.Linear(fan_in, fan_out)
            if init != "default":
                nn.init.zeros_(linear.bias)
                nn.init.normal_(linear.weight, std=start_std(init, fan_in))
            layers += [linear, nn.ReLU(), nn.Dropout(0.0)]
    for layer, probability in zip(layers[3::3], probabilities, strict=False):
        layer.p = probability
    return nn.Sequential(*layers[:-2])  # no ReLU and no dropout after the last layer


def start_std(init: str | float, fan_in: int) -> float:
    """Return the standard deviation of a layer's starting weights."""
    if init == "he":
        return math.sqrt(2 / fan_in)
    # PyTorch's own draws from ±1/√fan_in, evenly.
    return math.sqrt(1 / (3 * fan_in)) if init == "default" else float(init)


def check_hidden(hidden: object) -> tuple[int, ...]:
    """Return the widths of the hidden layers, or raise with one clear sentence."""
    if isinstance(hidden, (int, str)) or not isinstance(hidden, Sequence):
        raise TypeError(f"hidden={hidden!r} must be a sequence of widths, such as (256, 256)")
    return tuple(check_int(f"hidden[{i}]", width, low=1) for i, width in enumerate(hidden))


def check_p(p: object, num_hidden: int) -> float | tuple[float, ...]:
    """Return one probability for all hidden layers, or for each, or raise."""
    if not isinstance(p, Sequence) or isinstance(p, str):
        return check_number("p", p, low=0, high=1)
    if len(p) != num_hidden:
        raise ValueError(
            f"p={p!r} has {len(p)} entries for {num_hidden} hidden layers; give one each"
        )
    return tuple(check_number(f"p[{i}]", value, low=0, high=1) for i, value in enumerate(p))


def check_init(init: object) -> str | float:
    """Return how weights start, or raise with one clear sentence."""
    if isinstance(init, str):
        return check_choice("init", init, ("he", "default"))
    if check_number("init", init, low=0) == 0:
        raise ValueError(f"init={init!r} would start all weights at 0; give a positive number")
    return float(init)

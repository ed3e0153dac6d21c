"""The network that sweeps train."""

import itertools
import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from d2lutils.arguments import (
    check_choice,
    check_int,
    check_number,
    check_seed,
    check_sequence,
    shown,
)
from d2lutils.memory import check_memory
from d2lutils.state import usual_state


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
    TypeError, ValueError, MemoryError
        If an argument is not what it must be, or the layers do not fit into memory.
    """
    hidden, init = check_hidden(hidden), check_init(init)
    p = check_p("p", p, len(hidden))
    probabilities = p if isinstance(p, tuple) else (p,) * len(hidden)
    shapes = itertools.pairwise((784, *hidden, 10))
    check_memory(8 * sum(a * b for a, b in shapes), "these layers", "hidden")
    net = starting_net(hidden, init, check_seed(seed))
    for layer, probability in zip(net[3::3], probabilities, strict=True):
        layer.p = probability
    return net.to(torch.get_default_dtype())


@usual_state()
def starting_net(hidden: Sequence[int], init: str | float, seed: int) -> nn.Sequential:
    """Return the MLP in float32, whatever the default dtype, without dropout."""
    # A stream of its own, since threads share the global one.
    generator = torch.Generator("cpu").manual_seed(seed)
    layers = [nn.Flatten()]
    for shape in itertools.pairwise((784, *hidden, 10)):
        layers += [_linear(*shape, init, generator), nn.ReLU(), nn.Dropout(0.0)]
    return nn.Sequential(*layers[:-2])  # no ReLU and no dropout after the last layer


def _linear(fan_in: int, fan_out: int, init: str | float, generator: torch.Generator) -> nn.Linear:
    """Return a layer as nn.Linear draws it, or with the weights of `init` drawn after that."""
    linear = nn.utils.skip_init(nn.Linear, fan_in, fan_out, device="cpu", dtype=torch.float32)
    nn.init.kaiming_uniform_(linear.weight, a=math.sqrt(5), generator=generator)
    bound = 1 / math.sqrt(fan_in)
    nn.init.uniform_(linear.bias, -bound, bound, generator=generator)
    if init != "default":
        nn.init.zeros_(linear.bias)
        nn.init.normal_(linear.weight, std=start_std(init, fan_in), generator=generator)
    return linear


def start_std(init: str | float, fan_in: int) -> float:
    """Return the standard deviation of a layer's starting weights."""
    if init == "he":
        return math.sqrt(2 / fan_in)
    # PyTorch's own draws from ±1/√fan_in, evenly.
    return math.sqrt(1 / (3 * fan_in)) if init == "default" else float(init)


def check_hidden(hidden: object) -> tuple[int, ...]:
    """Return the widths of the hidden layers, or raise with one clear sentence."""
    widths = check_sequence("hidden", hidden, "(256, 256)", most=100)
    return tuple(check_int(f"hidden[{i}]", width, low=1) for i, width in enumerate(widths))


def check_p(name: str, p: object, num_hidden: int) -> float | tuple[float, ...]:
    """Return one probability for all hidden layers, or for each, or raise."""
    if isinstance(p, str) or not isinstance(p, Sequence) and np.ndim(p) == 0:
        return check_number(name, p, low=0, high=1)
    ps = check_sequence(name, p, "[0.2, 0.5]")
    if len(ps) != num_hidden:
        raise ValueError(
            f"{name}={shown(p)} has {len(ps)} entries for {num_hidden} hidden layers: give one each"
        )
    return tuple(check_number(f"{name}[{i}]", value, low=0, high=1) for i, value in enumerate(ps))


def check_init(init: object) -> str | float:
    """Return how weights start, or raise with one clear sentence."""
    if isinstance(init, str):
        return check_choice("init", init, ("he", "default"))
    if check_number("init", init, low=0) == 0:
        raise ValueError(f"init={shown(init)} would start all weights at 0; give a positive number")
    return float(init)

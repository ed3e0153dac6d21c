"""A grid of settings, trained a chunk at a time, and its measurements as an xarray.Dataset."""

import itertools
import math
from collections.abc import Sequence

import numpy as np
import torch

from d2lutils.arguments import (
    check_choice,
    check_flag,
    check_int,
    check_number,
    check_seed,
    check_sequence,
    shown,
)
from d2lutils.device import check_device
from d2lutils.memory import check_memory
from d2lutils.progress import bar_of_epochs, shows_bars
from d2lutils.state import usual_state
from d2lutils.sweeps import memo
from d2lutils.sweeps.network import check_hidden, check_init, check_p
from d2lutils.sweeps.stack import bin_edges, train_stack

MOST = 100_000  # networks in a sweep: days of work
# Networks trained at once. On the CPU a dozen keep their weights near the core; a GPU wants many.
AT_ONCE = {"cpu": 13, "cuda": 256, "mps": 64}


@usual_state()
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
    schedule: str = "linear",
    init: str | float = "he",
    device: torch.device | str | None = None,
    progress: bool = True,
):
    """Train an MLP for every combination of λ, p, label noise and seed.

    Networks train side by side. All settings of one seed start from the same weights, see the
    same batches and share the random draws of dropout: their differences are paired. Interrupted
    from the keyboard, it returns what is finished; so does the ``result`` of any error.

    Parameters
    ----------
    lam : sequence of float, default (0,)
        Weight decay λ, at least 0, as in ``torch.optim``; biases are not decayed.
    p : sequence of float or of one float per hidden layer, default (0,)
        Dropout probabilities: the same in all hidden layers, or one for each.
    label_noise : sequence of float, default (0,)
        Fractions of the training labels that are redrawn, as in `load_fashion_mnist`.
    seeds : int or sequence of int, default 5
        How many seeds (0, 1, …), or which.
    hidden : sequence of int, default (256, 256)
        Widths of the hidden layers.
    train_size, valid_size : int, default 2000
        Numbers of images.
    num_epochs, batch_size : int, default 50 and 256
        Passes over the training images, and examples in a batch.
    lr, momentum : float, default 0.1 and 0
        Learning rate at the start; momentum of SGD.
    optimizer : {"sgd", "adam"}, default "sgd"
        As in ``torch.optim``.
    decay : {"l2", "decoupled"}, default "l2"
        λ times the weights added to the gradient, or taken off the weights themselves: Adam with
        "decoupled" is AdamW (Loshchilov and Hutter 2019, arXiv 1711.05101).
    schedule : {"linear", "constant"}, default "linear"
        The learning rate falls evenly, step by step, from `lr` to 0, or stays where it is.
    init : {"he", "default"} or float, default "he"
        The starting weights, see `mlp`.
    device : torch.device or str, optional
        By default `default_device`.
    progress : bool, default True
        Show a bar with the time left.

    Returns
    -------
    xarray.Dataset
        Its dimensions ``lam``, ``p`` (or ``p1``, ``p2``, … if `p` holds a number for each layer),
        ``label_noise`` and ``seed`` carry the values given: ``result.sel(lam=0.01, p=0)``. What
        was not trained is NaN, and so is what diverged, from the epoch on in which its loss was no
        longer finite (0 in the histograms); ``finished`` is True where training came to its end.
        The other settings are in ``attrs``. There are, in evaluation mode if nothing else is said,

        - ``train_loss``, ``train_accuracy``, along ``epoch`` too: cross-entropy and accuracy on
          the training labels while the epoch ran, dropout active;
        - ``valid_loss``, ``valid_accuracy``, along ``epoch`` too: on validation data after it;
        - ``final_train_loss``, ``final_train_accuracy``, ``test_loss``, ``test_accuracy``: on the
          training labels and on the 10,000 test images after the last epoch;
        - ``gap``: ``final_train_accuracy`` less the last ``valid_accuracy``;
        - ``weight_norm``, along ``layer`` too: Frobenius norm, biases left out;
        - ``weight_histogram``, along ``layer`` and ``bin`` too: numbers of weights between the
          ``bin_edges``, six standard deviations of the start, and beyond in the outer bins.

    Raises
    ------
    TypeError, ValueError
        If an argument is not what it must be.
    MemoryError
        If it cannot fit into memory, before anything is trained (Linux and CUDA).
    """
    valid_size = check_int("valid_size", valid_size, low=1, high=59_999)
    rest, why = 60_000 - valid_size, f" (60,000 images less valid_size={valid_size})"
    settings = {
        "hidden": list(check_hidden(hidden)),
        "train_size": check_int("train_size", train_size, 1, rest, why),
        "valid_size": valid_size,
        "num_epochs": check_int("num_epochs", num_epochs, low=1),
        "batch_size": check_int("batch_size", batch_size, low=1),
        "lr": check_number("lr", lr, low=0),
        "momentum": check_number("momentum", momentum, low=0, high=1),
        "optimizer": check_choice("optimizer", optimizer, ("sgd", "adam")),
        "decay": check_choice("decay", decay, ("l2", "decoupled")),
        "schedule": check_choice("schedule", schedule, ("linear", "constant")),
        "init": check_init(init),
    }
    if optimizer == "adam" and settings["momentum"]:
        message = f"momentum={shown(momentum)} belongs to optimizer='sgd'; give 0 with 'adam'"
        raise ValueError(message)
    device, progress = check_device(device), check_flag("progress", progress)
    dims, ps = _check_axes(lam, p, label_noise, seeds, len(settings["hidden"]))
    result = _empty(dims, settings)
    chunks = _chunks(dims, ps, len(settings["hidden"]), device)
    kept = memo.path_of(dims, ps, settings, device.type)
    if not memo.read(kept, result):
        num_seeds = 1 if device.type == "cpu" else len(dims["seed"])
        _check_memory(max(map(len, chunks)), num_seeds, settings, device)
        _train(chunks, settings, device, result, progress, kept)
    return result


def _check_axes(lam, p, label_noise, seeds, num_hidden: int) -> tuple[dict[str, list], list]:
    """Return the dimensions of the grid with their values, and the values of each p in them."""
    if not isinstance(seeds, Sequence) and np.ndim(seeds) == 0:
        seeds = range(check_int("seeds", seeds, low=1, high=MOST, why=", or a list of seeds"))
    checks = {
        "lam": (lam, lambda name, value: check_number(name, value, low=0)),
        "p": (p, lambda name, value: check_p(name, value, num_hidden)),
        "label_noise": (label_noise, lambda name, value: check_number(name, value, 0, 1)),
        "seeds": (seeds, lambda name, value: check_seed(value, name)),
    }
    axes = {}
    for name, (values, _) in checks.items():
        axes[name] = check_sequence(name, values, "[0, 1]", least=1, most=MOST)
    if (num := math.prod(map(len, axes.values()))) > MOST:
        raise ValueError(
            f"lam, p, label_noise and seeds make {num:,} networks: give fewer values, which make"
            f" {MOST:,} at most"
        )
    for name, (_, check) in checks.items():
        axes[name] = [check(f"{name}[{i}]", value) for i, value in enumerate(axes[name])]
    names, ps = ["p"], [(p,) for p in axes["p"]]
    if any(isinstance(p, tuple) for p in axes["p"]):
        names = [f"p{layer}" for layer in range(1, num_hidden + 1)]
        ps = [p if isinstance(p, tuple) else (p,) * num_hidden for p in axes["p"]]
    for name, values in {**axes, "p": ps}.items():
        if len(set(values)) < len(values):
            raise ValueError(f"{name}={shown(axes[name])} holds a value twice; give each once")
    dims = {"lam": axes["lam"]}
    dims |= {name: list(dict.fromkeys(p[i] for p in ps)) for i, name in enumerate(names)}
    return dims | {"label_noise": axes["label_noise"], "seed": axes["seeds"]}, ps


def _empty(dims: dict[str, list], settings: dict):
    """Return the Dataset of a grid of which nothing is trained yet."""
    import xarray  # here, since d2lutils is imported faster without

    edges, epochs = bin_edges(settings), range(1, settings["num_epochs"] + 1)
    coords = dims | {"epoch": epochs, "layer": range(1, len(edges) + 1)}
    sizes = {dim: len(values) for dim, values in coords.items()} | {"bin": edges.shape[1] - 1}
    num = math.prod(len(values) for values in dims.values())
    need = 4 * num * (4 * len(epochs) + (sizes["bin"] + 1) * len(edges) + 200)
    check_memory(need, f"the results of {num:,} networks", "num_epochs, or fewer settings")

    def empty(*more, fill=np.nan, dtype=np.float32):
        return (*dims, *more), np.full([sizes[dim] for dim in (*dims, *more)], fill, dtype)

    dims_of = {"train": ["epoch"], "valid": ["epoch"], "final_train": [], "test": []}
    names = itertools.product(dims_of, ("loss", "accuracy"))
    variables = {f"{part}_{what}": empty(*dims_of[part]) for part, what in names}
    variables |= {"gap": empty(), "finished": empty(fill=False, dtype=bool)}
    variables["weight_norm"] = empty("layer")
    variables["weight_histogram"] = empty("layer", "bin", fill=0, dtype=np.int32)
    variables["bin_edges"] = (("layer", "edge"), edges)
    return xarray.Dataset(variables, coords, settings)


def _chunks(dims: dict[str, list], ps: list, num_hidden: int, device: torch.device) -> list[list]:
    """Return what trains together: each network's λ, p, noise and seed, and its place."""
    # A GPU trains all seeds at once; on the CPU those of one seed can share their images.
    groups = [[seed] for seed in dims["seed"]] if device.type == "cpu" else [dims["seed"]]
    places = [{value: i for i, value in enumerate(values)} for values in dims.values()]
    chunks = []
    for seeds in groups:
        networks = []
        for point in itertools.product(dims["lam"], ps, dims["label_noise"], seeds):
            lam, p, *rest = point
            along = zip(places, (lam, *p, *rest), strict=True)
            of_layers = p * num_hidden if "p" in dims else p
            networks.append(((lam, of_layers, *rest), [place[x] for place, x in along]))
        num = math.ceil(len(networks) / AT_ONCE.get(device.type, 13))
        chunks += [networks[i::num] for i in range(num)]
    return chunks


def _train(chunks, settings, device, result, progress, kept) -> None:
    """Train chunk by chunk into the Dataset, and keep it once it is whole."""
    num = sum(map(len, chunks))
    bar = bar_of_epochs(None, num * settings["num_epochs"], shown=progress and shows_bars())
    try:
        with bar:
            for chunk in chunks:
                points, places = zip(*chunk, strict=True)
                where = tuple(np.array(places).T)
                for name, values in train_stack(points, settings, device, bar.update).items():
                    result[name].values[where] = values
                result.finished.values[where] = True
        memo.write(kept, result)
    except KeyboardInterrupt:
        finished = int(result.finished.sum())
        print(f"Interrupted: {finished} of {num} networks are finished, and returned.")
    except Exception as error:
        error.result = result
        raise


def _check_memory(num: int, num_seeds: int, settings: dict, device: torch.device) -> None:
    """Raise MemoryError before training if a chunk cannot fit, with an estimate from above."""
    widths = (784, *settings["hidden"], 10)
    weights = sum(a * b for a, b in itertools.pairwise(widths))
    copies = 4 if settings["optimizer"] == "adam" else 2 + (settings["momentum"] > 0)
    batch_size = max(min(settings["batch_size"], settings["train_size"]), 1000)
    activations = 4 * sum(widths) * batch_size
    images = settings["train_size"] + settings["valid_size"] + 10_000  # 784 bytes and a label each
    need = 4 * num * (copies * weights + activations) + 800 * images * num_seeds
    check_memory(need, f"{num} networks at once", "hidden or batch_size", device)

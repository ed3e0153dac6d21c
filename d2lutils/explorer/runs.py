"""Finished runs as an explorer shows them, wherever they come from."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real

import numpy as np
import torch
import xarray as xr

from d2lutils.training import History
from d2lutils.words import Text

CROSS_ENTROPY, LOSS = Text("cross-entropy", "交叉熵"), Text("loss", "损失")
OF_SWEEP = Text("{widths}, {images} training images, ", "{widths}，{images} 幅训练图像，")
CURVES = ("train_accuracy", "valid_accuracy", "train_loss", "valid_loss")


@dataclass(frozen=True)
class Runs:
    """Runs at each point of a grid, a point being one position of the switch and the sliders.

    Attributes
    ----------
    axes : dict of str to list of float
        The sliders, one or two, and where they stop, in ascending order.
    switch : list of float
        The shares of random labels if these are a switch; else empty.
    data : xarray.Dataset
        The variables of a `d2lutils.sweep`, with the dimension ``point`` for its grid, in which
        the first slider changes fastest and the switch slowest: (point, seed), (point, seed,
        epoch), (point, seed, layer, bin). Runs of another model may lack all but losses.
    loss, about : Text
        What the loss is called, and what the caption begins with.
    label : str or None
        What the only slider is called, if it is not λ.
    """

    axes: dict[str, list[float]]
    switch: list[float]
    data: xr.Dataset
    loss: Text
    about: Text
    label: str | None = None

    @property
    def diverged(self) -> xr.DataArray:
        """Which runs were trained, but led nowhere, shape (point, seed)."""
        return self.data.finished & ~np.isfinite(self.data.valid_loss[..., -1])


def of_sweep(sweep: xr.Dataset) -> Runs:
    """Make sliders of the dimensions that have more than one value."""
    if "finished" not in sweep:
        raise TypeError("runs is a Dataset without 'finished'; give one that sweep() returned")
    for dim in ("seed", "epoch"):
        if dim not in sweep.dims:
            raise ValueError(
                f"runs has no dimension {dim!r} left; give all seeds and epochs, neither picked nor"
                " averaged, as in explore(runs.sel(lam=0.01))"
            )
    grid = [key for key in sweep.finished.dims if key != "seed"]
    varies = [key for key in grid if sweep.sizes[key] > 1]
    sliders = [key for key in varies if key != "label_noise"] or varies
    if not 1 <= len(sliders) <= 2:
        raise ValueError(
            f"the sweep varies {', '.join(sliders)}; an explorer has one or two sliders: pick a"
            " value of the others, as in explore(runs.sel(lam=0.01))"
            if sliders
            else "the sweep varies nothing; an explorer moves between settings: train several"
        )
    if not sweep.finished.astype(bool).any():
        raise ValueError("no network of the sweep is finished; train it again, to the end")
    order = [key for key in varies if key not in sliders] + sliders[::-1]
    data = sweep.isel({key: 0 for key in grid if key not in varies}).sortby(order)
    return Runs(
        axes={key: data[key].values.tolist() for key in sliders},
        switch=data["label_noise"].values.tolist() if order[0] not in sliders else [],
        data=data.stack(point=order, create_index=False).transpose("point", "seed", ...),
        loss=CROSS_ENTROPY,
        about=_about(sweep.attrs),
    )


def _about(settings: Mapping) -> Text:
    """Say what was trained; nothing if the settings went lost on the way, as in a sum of sweeps."""
    if "hidden" not in settings or "train_size" not in settings:
        return Text("", "")
    hidden = np.atleast_1d(settings["hidden"])  # a file keeps a list of one width as a number
    widths = "-".join(str(int(width)) for width in (784, *hidden, 10))
    return OF_SWEEP.format(widths=widths, images=f"{settings['train_size']:,}")


def of_histories(
    runs: Mapping[float, Sequence[History]],
    weights: Mapping[float, Sequence] | None,
    label: str | None,
) -> Runs:
    """Make one slider of the numbers that runs of any model belong to."""
    if not all(isinstance(value, Real) and math.isfinite(value) for value in runs):
        raise TypeError(f"the keys of runs must be finite numbers, not {list(runs)!r}")
    values = sorted(runs)
    lists = [[runs[v]] if isinstance(runs[v], History) else list(runs[v]) for v in values]
    if len(values) < 2 or len({len(histories) for histories in lists}) > 1 or not lists[0]:
        raise ValueError("give runs of at least two values, with the same number of seeds each")
    try:
        curves = {
            name: np.array([[getattr(h, name) for h in hs] for hs in lists]) for name in CURVES
        }
        curves = {name: curve for name, curve in curves.items() if not np.isnan(curve).all()}
        data = xr.Dataset({n: (("point", "seed", "epoch"), curve) for n, curve in curves.items()})
    except ValueError as error:
        raise ValueError("runs differ in their numbers of epochs; give the same") from error
    if "train_loss" not in data or "valid_loss" not in data:
        raise ValueError("runs need train_loss and valid_loss for every epoch")
    data["finished"] = xr.ones_like(data.train_loss[..., 0], dtype=bool)
    for name in set(data) & {"train_accuracy", "train_loss"}:
        data[f"final_{name}"] = data[name][..., -1]
    if weights is not None:
        data = data.merge(_measure(weights, values, data.finished.shape))
    return Runs({"x" if label else "lam": values}, [], data, LOSS, Text("", ""), label)


def _measure(weights: Mapping, values: list[float], shape: tuple[int, int]) -> xr.Dataset:
    """Return norms and histograms of one array of weights for each run."""
    try:
        w = [
            [torch.as_tensor(w).detach().cpu().double().ravel() for w in weights[v]] for v in values
        ]
        w = np.array(w)
    except (KeyError, ValueError) as error:
        raise ValueError("weights must hold as many weights for every run in runs") from error
    if w.shape[:2] != shape:
        raise ValueError("weights must hold one array for each run in runs")
    edges = np.linspace(-1, 1, 42) * (np.abs(w[np.isfinite(w)]).max(initial=0) or 1)
    counts = np.apply_along_axis(lambda w: np.histogram(w, edges)[0], 2, w)
    dims = ("point", "seed", "layer")
    return xr.Dataset(
        {
            "weight_norm": (dims, np.sqrt((w**2).sum(-1, keepdims=True))),
            "weight_histogram": ((*dims, "bin"), counts[:, :, None]),
            "bin_edges": (("layer", "edge"), edges[None]),
        }
    )

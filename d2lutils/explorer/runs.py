"""Finished runs as an explorer shows them, wherever they come from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import xarray as xr

from d2lutils.arguments import check_number, check_sequence, shown
from d2lutils.training import History
from d2lutils.words import Text

CROSS_ENTROPY, LOSS = Text("cross-entropy", "交叉熵"), Text("loss", "损失")
OF_SWEEP = Text("{widths}, {images} training images, ", "{widths}，{images} 幅训练图像，")
LIMIT = 1e100  # of what a slider moves through: beyond, differences are no numbers any more
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
    finals = ("final_train_accuracy", "final_train_loss")
    weights = ("weight_norm", "weight_histogram", "bin_edges")
    for name in ("finished", *CURVES, *finals, *weights):
        if name not in sweep or sweep[name].dtype.kind not in "biuf":
            what = "without numbers in" if name in sweep else "without"
            raise TypeError(f"runs is a Dataset {what} {name!r}; give one that sweep() returned")
    for dim in ("seed", "epoch"):
        if not sweep.sizes.get(dim):
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
    for key in varies:
        for value in sweep[key].values:
            check_number(f"{key} of runs", value, low=-LIMIT, high=LIMIT)
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
    try:
        hidden = np.atleast_1d(settings["hidden"])  # a file keeps a list of one width as a number
        widths = "-".join(str(int(width)) for width in (784, *hidden, 10))
        return OF_SWEEP.format(widths=widths, images=f"{int(settings['train_size']):,}")
    except (TypeError, ValueError):  # of a file that somebody has changed
        return Text("", "")


def of_histories(
    runs: Mapping[float, Sequence[History]],
    weights: Mapping[float, Sequence] | None,
    label: str | None,
) -> Runs:
    """Make one slider of the numbers that runs of any model belong to."""
    lists = {}
    for key, histories in runs.items():
        try:
            value = check_number("key", key, low=-LIMIT, high=LIMIT)
        except (TypeError, ValueError) as error:
            message = f"the keys of runs must be finite numbers, not {shown(key)}"
            raise type(error)(message) from None
        if value in lists:
            raise ValueError(f"runs has {shown(key)} twice among its keys; give each number once")
        histories = [histories] if isinstance(histories, History) else histories
        lists[value] = check_sequence(f"runs[{shown(key)}]", histories, "[history]", least=1)
        if wrong := [h for h in lists[value] if not isinstance(h, History)]:
            message = f"runs[{shown(key)}] holds {shown(wrong[0])}; give a History for each seed"
            raise TypeError(message)
    values = sorted(lists)
    if len(values) < 2 or len(set(map(len, lists.values()))) > 1:
        raise ValueError("give runs of at least two values, with the same number of seeds each")
    try:
        curves = {
            name: np.array([[getattr(h, name) for h in lists[v]] for v in values], dtype=float)
            for name in CURVES
        }
        curves = {name: curve for name, curve in curves.items() if not np.isnan(curve).all()}
        data = xr.Dataset({n: (("point", "seed", "epoch"), curve) for n, curve in curves.items()})
    except (TypeError, ValueError) as error:
        raise ValueError("runs differ in their numbers of epochs; give the same") from error
    if "train_loss" not in data or "valid_loss" not in data:
        raise ValueError("runs need train_loss and valid_loss for every epoch")
    data["finished"] = xr.ones_like(data.train_loss[..., 0], dtype=bool)
    for name in set(data) & {"train_accuracy", "train_loss"}:
        data[f"final_{name}"] = data[name][..., -1]
    if weights is not None:
        if not isinstance(weights, Mapping):
            message = f"weights={shown(weights)} must be a mapping from the same numbers as runs"
            raise TypeError(message)
        keys = sorted(runs, key=lambda key: check_number("key", key, -LIMIT, LIMIT))
        data = data.merge(_measure(weights, keys, data.finished.shape))
    return Runs({"x" if label else "lam": values}, [], data, LOSS, Text("", ""), label)


def _measure(weights: Mapping, keys: list, shape: tuple[int, int]) -> xr.Dataset:
    """Return norms and histograms of one array of weights for each run."""
    try:
        w = [
            [torch.as_tensor(w).detach().cpu().double().ravel() for w in weights[key]]
            for key in keys
        ]
        w = np.array(w)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ValueError("weights must hold as many weights for every run in runs") from error
    if w.shape[:2] != shape or w.ndim != 3 or not w.size:
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

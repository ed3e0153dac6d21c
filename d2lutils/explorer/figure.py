"""What the script draws: the numbers of the runs, rounded as they are shown, and their names."""

import math
from dataclasses import dataclass

import numpy as np
import xarray as xr

from d2lutils.explorer.runs import Runs
from d2lutils.words import Text, number

AXES = {
    "lam": Text("weight decay λ", "权重衰减 λ"),
    "p": Text("dropout probability p", "丢弃概率 p"),
    "label_noise": Text("label noise", "标签噪声"),
}
LAYER_P = Text("dropout p{i}, hidden layer {n}", "丢弃概率 p{i}，第 {n} 个隐藏层")
ACCURACY = Text("accuracy", "准确率")
STATS = {
    "train_accuracy": Text("training accuracy", "训练准确率"),
    "valid_accuracy": Text("validation accuracy", "验证准确率"),
    "gap": Text("gap, training − validation", "差距（训练 − 验证）"),
    "train_loss": Text("training {loss}, last epoch", "训练{loss}（最后一轮）"),
    "valid_loss": Text("validation {loss}", "验证{loss}"),
    "norm": Text("‖w‖", "‖w‖"),
    "test_accuracy": Text("test accuracy", "测试准确率"),
    "test_loss": Text("test {loss}", "测试{loss}"),
}
NONE, PERCENT, POINTS = Text("", ""), Text("%", "%"), Text("points", "个百分点")
CLEAN, NOISY = Text("clean", "干净"), Text("{percent} % random", "{percent}% 随机")
_SUBSCRIPTS = str.maketrans("0123456789_", "₀₁₂₃₄₅₆₇₈₉ ")  # p1 is shown as p₁


@dataclass(frozen=True)
class Band:
    """Mean, lowest and highest value over the seeds, their spread, and how to write them."""

    values: np.ndarray  # (4, points, …), in the unit that is shown, NaN where there is nothing
    digits: int | None  # after the point; None stands for three significant ones
    unit: Text

    @classmethod
    def of(cls, name: str, data: xr.Dataset, log: bool = False) -> "Band":
        """Summarize a variable (point, seed, …) over the seeds that are finished.

        What diverged for one of them is NaN: a mean of the others would flatter the setting.
        """
        known = data.finished & np.isfinite(data[name])
        array = data[name].astype(float).where(known)
        diverged = (data.finished & ~known).any("seed")
        largest = float(np.abs(array).max())
        scale = largest if largest > 1e100 else 1.0  # so that no sum, no square of it overflows
        array = array / scale
        # Of a single seed there is no standard deviation: NaN.
        spread = xr.zeros_like(array).std("seed") * np.nan
        if data.sizes["seed"] > 1:
            spread = array.std("seed", ddof=1)
        bands = [array.mean("seed"), array.min("seed"), array.max("seed"), spread]
        bands = [band.where(~diverged) for band in bands]
        values = np.stack([band.values for band in bands]) * scale
        if "accuracy" in name or name == "gap":
            return cls(100 * values, 1, POINTS if name == "gap" else PERCENT)
        if log and "loss" in name:
            return cls(values, None, NONE)
        typical = np.abs(values[0][np.isfinite(values[0]) & (values[0] != 0)])
        size = math.floor(math.log10(np.median(typical))) if typical.size else 0
        return cls(values, min(max(2 - size, 0), 6), NONE)

    def packed(self, names: tuple[str, ...], digits: int | None = None) -> dict[str, list]:
        """Return what is named of the values, rounded, with None where there is nothing."""
        digits = self.digits if digits is None else digits
        if digits is None:
            rounded = np.vectorize(lambda value: float(f"{value:.2e}"))(self.values)
        else:
            exact = np.abs(self.values) > 1e15  # nothing to round, and rounding could overflow
            rounded = np.where(
                exact, self.values, np.round(np.where(exact, 0, self.values), digits)
            )
            rounded += 0.0  # no -0
        rounded = np.where(~np.isfinite(rounded), None, rounded).tolist()
        values = dict(zip(("mean", "low", "high", "spread"), rounded, strict=True))
        return {name: values[name] for name in names}

    def text(self, point: int) -> str:
        """Return mean ± standard deviation of one point; the mean alone of a single seed."""
        written = [
            number(value, digits)
            if self.digits is None or abs(value) >= 1e6
            else f"{value:.{self.digits}f}"
            for value, digits in zip(self.values[[0, 3], point], (3, 2), strict=True)
            if math.isfinite(value)
        ]
        text = " ± ".join(written) or "–"
        return text if self.digits is None else text.replace("-", "−")  # 1e-4 keeps its hyphen


def final_values(runs: Runs, log: bool) -> dict[str, Band]:
    """Return what is told in numbers, by its name in `STATS`."""
    last = runs.data.isel(epoch=-1)
    last = last.assign({name: last[f"final_{name}"] for name in last if f"final_{name}" in last})
    if "weight_norm" in last:
        last["norm"] = np.sqrt((last.weight_norm.astype(float) ** 2).sum("layer", skipna=False))
    if "test_loss" in last:  # one loss is enough
        last = last.drop_vars("train_loss")
    return {name: Band.of(name, last, log) for name in STATS if name in last}


def figure(runs: Runs, start: dict[str, int], final: dict[str, Band], log: bool) -> dict:
    """Return all that the script needs; `start` holds the place of each slider and the switch."""
    noises = [
        NOISY.format(percent=number(100 * share, 3)) if share else CLEAN for share in runs.switch
    ]
    metrics = {}
    for metric, label in (("accuracy", ACCURACY), ("loss", runs.loss)):
        if f"valid_{metric}" in runs.data:
            names = {"train": "train", "valid": "valid", "final": "final_train"}
            bands = {
                key: Band.of(f"{name}_{metric}", runs.data, log) for key, name in names.items()
            }
            digits, unit = bands["valid"].digits, bands["valid"].unit  # the same for all
            ends = ("mean", "low", "high")
            numbers = {key: band.packed(ends, digits) for key, band in bands.items()}
            metrics[metric] = {"label": label, "digits": digits, "unit": unit, **numbers}
    return {
        "axes": [axis(key, runs.label, values) for key, values in runs.axes.items()],
        "noise": {"values": [number(share) for share in runs.switch], "labels": noises},
        "start": start,
        "log": log,
        "seeds": runs.data.sizes["seed"],
        "finished": runs.data.finished.sum("seed").values.tolist(),
        "diverged": runs.diverged.sum("seed").values.tolist(),
        "metrics": metrics,
        "stats": {
            name: {
                "label": STATS[name].format(loss=runs.loss),
                "digits": band.digits,
                "unit": band.unit,
                **band.packed(("mean", "spread")),
            }
            for name, band in final.items()
        },
        "weights": _weights(runs) if "weight_norm" in runs.data else False,
    }


def axis(key: str, label: str | None, values: list[float]) -> dict:
    """Return names and stops of a slider, with the places of the stops between 0 and 1."""
    x, positive = np.array(values, dtype=float), [value for value in values if value > 0]
    log = values[0] >= 0 and len(positive) > 1 and positive[-1] > 20 * positive[0]
    apart = log and values[0] == 0
    if log:  # powers of ten, which zero is none of: it stands apart, at the left end
        left = 0.12 if apart else 0.0
        x = np.log10(np.maximum(x, positive[0]))
        x = left + (1 - left) * (x - x[0]) / (x[-1] - x[0])
        x[0] = 0.0
    else:
        x = (x - x[0]) / (x[-1] - x[0])
    # As many digits as tell the values apart.
    enough = (d for d in range(6, 17) if len({number(x, d) for x in values}) == len(values))
    digits = next(enough, 17)
    symbol = "λ" if key == "lam" else key.translate(_SUBSCRIPTS)
    name = AXES.get(key) or LAYER_P.format(i=symbol[1:], n=key[1:])
    return {
        "key": key,
        "label": Text(label, label) if label else name,
        "symbol": label or symbol,
        "values": [number(value, digits) for value in values],
        "at": x.round(4).tolist(),
        "apart": apart,
    }


def _weights(runs: Runs) -> dict:
    """Return histograms, in thousandths of a layer's weights, and norms."""
    data, norm = runs.data, Band.of("weight_norm", runs.data)
    counts = data.weight_histogram.where(data.finished & ~runs.diverged.any("seed"), 0).sum("seed")
    share = np.rint(1000 * counts / np.maximum(counts.sum("bin"), 1)).astype(int)
    return {
        "edges": [[float(f"{e[0]:.4g}"), float(f"{e[-1]:.4g}")] for e in data.bin_edges.values],
        "share": share.transpose("point", "layer", "bin").values.tolist(),
        "digits": norm.digits,
        **norm.packed(("mean",)),
    }

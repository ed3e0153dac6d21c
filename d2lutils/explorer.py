"""Explorers: sliders over runs that are finished, as one self-contained HTML output."""

import html
import itertools
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from numbers import Real
from pathlib import Path

import numpy as np

from d2lutils.training import History
from d2lutils.words import LANGUAGES, in_each, say, spans

__all__ = ["Explorer", "explore"]

# All words that an explorer shows. {…} is filled in, here or in explorer.js.
_ENGLISH = {
    "lam": "weight decay λ",
    "p": "dropout probability p",
    "p#": "dropout p{i}, hidden layer {n}",
    "label_noise": "label noise",
    "labels": "training labels",
    "clean": "clean",
    "noisy": "{percent} % random",
    "show": "show",
    "accuracy": "accuracy",
    "loss": "loss",
    "cross-entropy": "cross-entropy",
    "training": "training",
    "as it ran": "training, as it ran",
    "validation": "validation",
    "epoch": "epoch",
    "in epoch": "epoch {n}",
    "over epochs": "{metric} over epochs",
    "after training": "{metric} after training",
    "map": "validation {metric} after training",
    "weights": "weights",
    "layers": "weights, layer by layer",
    "layer": "layer {i}",
    "reference": "outline: {setting}",
    "best": "Best validation {metric}: {value} at {setting}.",
    "train_accuracy": "training accuracy",
    "valid_accuracy": "validation accuracy",
    "test_accuracy": "test accuracy",
    "gap": "gap, training − test",
    "test_loss": "test cross-entropy",
    "train_loss": "training loss, last epoch",
    "valid_loss": "validation loss",
    "norm": "‖w‖",
    "points": "points",
    "range": "from {low} to {high} over seeds",
    "diverged": "diverged",
    "of seeds": "{n} of {seeds} seeds",
    "missing": "not trained",
    "table": "The final values as a table",
    "mean": "mean ± half the range over seeds",
}
_CAPTION = (
    "{points} settings, {seeds} seeds, {epochs} epochs. "
    "Lines are means, bands run from the lowest to the highest seed."
)
_CAPTION_OF_SWEEP = (
    "{widths}, {images} training images, {points} settings, {seeds} seeds, {epochs} epochs. "
    "Lines are means, bands run from the lowest to the highest seed."
)
_INCOMPLETE = "{finished} of {models} networks are trained so far."
_WORDS = {to: {key: say(text, to) for key, text in _ENGLISH.items()} for to in LANGUAGES}

_DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_SUBSCRIPTS = str.maketrans("0123456789_", "₀₁₂₃₄₅₆₇₈₉ ")  # p1 is shown as p₁


class Explorer:
    """A figure with sliders; what a notebook cell shows when this is its value.

    Attributes
    ----------
    data : dict
        What the figure draws, rounded, as it travels in the HTML.
    """

    def __init__(self, data: dict, captions: Mapping[str, str], table: str):
        self.data, self._captions, self._table = data, captions, table

    def __repr__(self) -> str:
        axes = " × ".join(f"{len(axis['values'])} {axis['key']}" for axis in self.data["axes"])
        return f"Explorer({axes})"

    def _repr_html_(self) -> str:
        script, tag = _script()
        # Inside a script element only "<" can end or open anything; JSON may escape it anywhere.
        data = json.dumps(self.data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        for character in "<>&\u2028\u2029":
            data = data.replace(character, f"\\u{ord(character):04x}")
        # pydata-sphinx-theme leaves outputs with a table.dataframe in the colours of the page.
        return (
            f'<figure class="d2l-explorer" style="margin:1em 0;padding:0"><{tag}>'
            f'<script type="application/json">{data}</script></{tag}>'
            # HTML wants a figcaption first or last, and alone it names the figure.
            f"<details><summary>{spans(_each('table'))}</summary>"
            f'<div style="overflow-x:auto" tabindex="0">{self._table}</div></details>'
            f'<figcaption style="color:inherit;font:inherit;font-size:.9em;'
            f'margin:0;padding:0;text-align:start">'
            f"{spans(self._captions)}</figcaption></figure>\n"
            f'<script type="module">{script}</script>'
        )


def explore(
    runs: Mapping[float, Sequence[History]],
    *,
    caption: str | Mapping[str, str] | None = None,
    name: str | None = None,
    start: Mapping[str, float] | None = None,
    metric: str = "accuracy",
    label: str | None = None,
    weights: Mapping[float, Sequence] | None = None,
    log: bool = False,
) -> Explorer:
    """Make a figure with sliders out of finished runs; it needs no kernel once it is shown.

    Parameters
    ----------
    runs : Sweep or mapping from a number to a sequence of History
        A sweep that varies one or two of λ and the dropout probabilities, and perhaps label
        noise, which becomes a switch. Or, for any other model, the runs of each λ, one per seed:
        ``{0: [history, …], 3: [history, …]}``. What of a sweep is not trained, or diverged, is
        shown as such.
    caption : str or mapping from language to str, optional
        Text below the figure.
    name : str, optional
        Goes before the state in the address, as in ``#name.lam=0.01``. By default the first
        explorer of a page has ``#lam=0.01`` and the second ``#2.lam=0.01``.
    start : mapping, optional
        Where the sliders stand at first, as in ``{"lam": 0.01, "label_noise": 0.4}``; the keys
        are ``lam``, ``p`` (or ``p1``, ``p2``) and ``label_noise``; ``x`` with a `label`. Else at
        the smallest values.
    metric : {"accuracy", "loss"}, default "accuracy"
        What the curves show at first; the loss where there is no accuracy.
    label : str, optional
        What the mapping's numbers are; λ by default.
    weights : mapping from the same numbers to a sequence of arrays or tensors, optional
        Final weights of each run of a mapping, for ‖w‖ and the histogram.
    log : bool, default False
        Draw losses on a logarithmic axis, and tell them to three significant digits.

    Returns
    -------
    Explorer
        Displays itself.

    Raises
    ------
    TypeError, ValueError
        If the runs cannot be explored: nothing or too much varies, p is no full grid, nothing is
        trained, numbers of seeds or epochs differ, or an argument is not what it must be.

    Examples
    --------
    >>> explore(sweep([0, 1e-3, 1e-2], label_noise=[0, 0.4]), start={"lam": 1e-2})
    >>> explore({lam: [fit(lam, seed) for seed in range(3)] for lam in (0, 0.3, 3)}, log=True)
    """
    if metric not in ("accuracy", "loss"):
        raise ValueError(f"metric={metric!r} is not offered; give 'accuracy' or 'loss'")
    if name is not None and not (isinstance(name, str) and name.isidentifier()):
        raise ValueError(f"name={name!r} stands in an address; give letters, digits and _")
    if isinstance(runs, Mapping):
        parts = _of_histories(runs, weights, label)
    elif hasattr(runs, "settings") and hasattr(runs, "finished"):
        if weights is not None or label is not None:
            raise ValueError("weights and label belong to a mapping of runs; a sweep has its own")
        parts = _of_sweep(runs)
    else:
        raise TypeError(
            f"runs is a {type(runs).__name__}; give a Sweep, or a mapping from λ to Histories"
        )
    axes, switch, finished, curves, final, stats, histogram = parts
    if not finished.any():
        raise ValueError("no network of the sweep is finished; there is nothing to explore")
    values = {key: of for key, _, of in axes} | ({"label_noise": switch} if switch else {})
    start = {key: of[0] for key, of in values.items()} | dict(start or {})
    for key, value in start.items():
        if value not in values.get(key, ()):
            raise ValueError(f"start has {key}={value!r}, and the runs have only {values}")
    diverged = finished & ~np.isfinite(curves["loss"][1][..., -1])
    stats = {key: _Band.of(key, array, finished, log) for key, array in stats.items()}
    data = {
        "name": name,
        "axes": [_axis(*axis) for axis in axes],
        "noise": switch,
        "start": {key: values[key].index(value) for key, value in start.items()},
        "metric": metric if metric in curves else "loss",
        "log": log,
        "loss": "loss" if isinstance(runs, Mapping) else "cross-entropy",
        "seeds": finished.shape[1],
        "finished": finished.sum(1).tolist(),
        "diverged": diverged.sum(1).tolist(),
        "metrics": {},
        "stats": {key: band.packed() for key, band in stats.items()},
        "words": _WORDS,
    }
    for key, (train, valid) in curves.items():
        bands = {"train": train, "valid": valid, "final": final[key]}
        bands = {part: _Band.of(key, array, finished, log) for part, array in bands.items()}
        digits = bands["valid"].digits
        data["metrics"][key] = {part: band.packed(digits) for part, band in bands.items()}
    if histogram is not None:
        norm, counts, edges = histogram
        counts = (counts * finished[:, :, None, None]).sum(1)
        counts[diverged.any(1)] = 0
        share = 1000 * counts / np.maximum(counts.sum(-1, keepdims=True), 1)
        data["weights"] = {
            "edges": [[float(f"{e[0]:.4g}"), float(f"{e[-1]:.4g}")] for e in edges],
            "share": _encode(_steps(np.rint(share).reshape(-1, share.shape[-1]))),
            "bins": share.shape[-1],
            "norm": _Band.of("norm", norm, finished, log).packed(),
        }
    if caption is None:
        captions = _captions(runs, len(finished), finished.shape[1], curves["loss"][0].shape[-1])
    else:
        captions = {"en": caption} if isinstance(caption, str) else dict(caption)
    if not finished.all():
        note = in_each(_INCOMPLETE, finished=finished.sum(), models=finished.size)
        captions = {to: f"{text} {note.get(to, note['en'])}" for to, text in captions.items()}
    return Explorer(data, captions, _table(data, stats))


def _captions(runs: Mapping, points: int, seeds: int, epochs: int) -> dict[str, str]:
    """Return what stands below a figure if its maker says nothing."""
    counts = {"points": points, "seeds": seeds, "epochs": epochs}
    if isinstance(runs, Mapping):
        return in_each(_CAPTION, **counts)
    widths = "-".join(map(str, (784, *runs.settings["hidden"], 10)))
    images = f"{runs.settings['train_size']:,}"
    return in_each(_CAPTION_OF_SWEEP, widths=widths, images=images, **counts)


# ---------------------------------------------------------------- what varies


def _of_sweep(sweep):
    """Return axes, switch, and arrays whose first axis runs over the points of the explorer."""
    settings, numeric = sweep.settings, []
    if len(settings["lam"]) > 1:
        numeric.append(("lam", 0, {value: {i} for i, value in enumerate(settings["lam"])}))
    columns = {}  # layers that always have the same p share one slider
    for layer, column in enumerate(zip(*settings["p"], strict=True), start=1):
        if len(set(column)) > 1:
            columns.setdefault(column, []).append(layer)
    for column, layers in columns.items():
        values = {v: {j for j, p in enumerate(column) if p == v} for v in column}
        key = "p" if len(layers) == len(settings["hidden"]) else f"p{layers[0]}"
        numeric.append((key, 1, values))
    if len(settings["p"]) != math.prod(len(v) for _, axis, v in numeric if axis == 1):
        raise ValueError(
            f"p={settings['p']!r} is no full grid; give every combination of the layers' values,"
            " or pick one with sweep.at(p=...)"
        )
    noise = {value: {k} for k, value in enumerate(settings["label_noise"])}
    if not numeric and len(noise) > 1:
        numeric, noise = [("label_noise", 2, noise)], {0.0: set(range(len(noise)))}
    if not 1 <= len(numeric) <= 2:
        varies = ", ".join(key for key, _, _ in numeric) or "nothing"
        hint = (
            "pick one value with explore(sweep.at(lam=...)) or explore(sweep.at(p=...))"
            if numeric
            else "give sweep() at least two values of lam, p or label_noise"
        )
        raise ValueError(f"the sweep varies {varies}; an explorer has one or two sliders: {hint}")
    points = []  # the switch outermost, the first axis innermost
    for k in sorted(noise):
        for values in itertools.product(*(sorted(values) for _, _, values in reversed(numeric))):
            where = [set(range(n)) for n in sweep.finished.shape[:2]] + [noise[k]]
            for (_, axis, of), value in zip(reversed(numeric), values, strict=True):
                where[axis] = where[axis] & of[value]
            points.append([min(indices) for indices in where])
    index = tuple(np.array(points).T)

    def take(name):
        return np.asarray(getattr(sweep, name)[index], dtype=float)

    curves = {
        "accuracy": ("train_accuracy", "valid_accuracy"),
        "loss": ("train_loss", "valid_loss"),
    }
    curves = {metric: tuple(take(name) for name in names) for metric, names in curves.items()}
    final = {metric: take(f"final_train_{metric}") for metric in curves}
    norm, counts = take("weight_norm"), take("weight_histogram")
    stats = {
        "train_accuracy": final["accuracy"],
        "valid_accuracy": curves["accuracy"][1][..., -1],
        "test_accuracy": take("test_accuracy"),
        "gap": take("gap"),
        "test_loss": take("test_loss"),
        "norm": np.sqrt((norm**2).sum(-1)),
    }
    axes = [(key, None, sorted(values)) for key, _, values in numeric]
    switch = sorted(noise) if len(noise) > 1 else None
    finished = sweep.finished[index]
    return axes, switch, finished, curves, final, stats, (norm, counts, sweep.bin_edges)


def _of_histories(runs: Mapping, weights: Mapping | None, label: str | None):
    """Return the same for the runs of any model, one list of histories for each value."""
    if not all(isinstance(value, Real) and math.isfinite(value) for value in runs):
        raise TypeError(f"the keys of runs must be finite numbers, not {list(runs)!r}")
    values = sorted(runs)
    lists = [[runs[v]] if isinstance(runs[v], History) else list(runs[v]) for v in values]
    if len(values) < 2 or len({len(histories) for histories in lists}) > 1 or not lists[0]:
        raise ValueError("give runs of at least two values, with the same number of seeds each")
    curves = {}
    for metric in ("accuracy", "loss"):
        try:
            pair = tuple(
                np.array(
                    [[getattr(h, f"{part}_{metric}") for h in hs] for hs in lists], dtype=float
                )
                for part in ("train", "valid")
            )
        except ValueError as error:
            raise ValueError("runs differ in their numbers of epochs; give the same") from error
        if all(part.size and not np.isnan(part).all() for part in pair):
            curves[metric] = pair
    if "loss" not in curves or curves["loss"][0].shape != curves["loss"][1].shape:
        raise ValueError("runs need train_loss and valid_loss for every epoch")
    final = {metric: pair[0][..., -1] for metric, pair in curves.items()}
    stats, histogram = {}, None
    for metric, (_, valid) in curves.items():
        stats |= {f"train_{metric}": final[metric], f"valid_{metric}": valid[..., -1]}
    if weights is not None:
        try:
            w = np.array([[np.ravel(_numpy(w)) for w in weights[v]] for v in values], dtype=float)
        except (KeyError, ValueError) as error:
            raise ValueError("weights must hold as many weights for every run in runs") from error
        if w.shape[:2] != final["loss"].shape:
            raise ValueError("weights must hold one array for each run in runs")
        stats["norm"] = np.sqrt((w**2).sum(-1))
        edges = np.linspace(-1, 1, 42) * (np.abs(w[np.isfinite(w)]).max(initial=0) or 1)
        counts = np.apply_along_axis(lambda w: np.histogram(w, edges)[0], 2, w)
        histogram = (stats["norm"][..., None], counts[:, :, None], edges[None])
    finished = np.ones(final["loss"].shape, dtype=bool)
    return (
        [("x" if label else "lam", label, values)],
        None,
        finished,
        curves,
        final,
        stats,
        histogram,
    )


def _numpy(w):
    return w.detach().cpu().numpy() if hasattr(w, "detach") else np.asarray(w)


# ---------------------------------------------------------------- numbers on their way


@dataclass(frozen=True)
class _Band:
    """Mean, smallest and largest value over the seeds: (3, points, …), and how to write them."""

    values: np.ndarray
    factor: int
    digits: int | None  # after the point; None stands for three significant ones

    @classmethod
    def of(cls, key: str, array: np.ndarray, finished: np.ndarray, log: bool) -> "_Band":
        """Summarize (points, seeds, …) over the seeds that are finished.

        What diverged for one of them is NaN: a mean of the others would flatter the setting.
        """
        mask = np.broadcast_to(
            ~finished.reshape(*finished.shape, *[1] * (array.ndim - 2)), array.shape
        )
        array = np.ma.array(np.where(np.isfinite(array), array, np.nan), mask=mask)
        with np.errstate(invalid="ignore"):
            values = np.stack([f(1).filled(np.nan) for f in (array.mean, array.min, array.max)])
        if "accuracy" in key or key == "gap":
            return cls(values, 100, 1)
        if log and "loss" in key:
            return cls(values, 1, None)
        typical = np.abs(values[0][np.isfinite(values[0]) & (values[0] != 0)])
        size = math.floor(math.log10(np.median(typical))) if typical.size else 0
        return cls(values, 1, min(max(2 - size, 0), 6))

    def packed(self, digits: int | None = None) -> dict:
        """Return the band as text, each number as its distance from another, to be short.

        A mean is sent less the mean before it (of the last epoch, or of the last point), low and
        high as distances from the mean. On a logarithmic axis, numbers are sent as they are.
        """
        digits = self.digits if digits is None else digits
        rows = self.values.reshape(3, -1, self.values.shape[-1]) * self.factor
        if digits is not None:
            mean, low, high = np.rint(rows * 10**digits)
            rows = [_steps(mean), mean - low, high - mean]
        texts = [_encode(part, exact=digits is None) for part in rows]
        packed = {"factor": self.factor, "digits": digits, "row": self.values.shape[-1]}
        return packed | dict(zip(("mean", "low", "high"), texts, strict=True))

    def text(self, point: int) -> str:
        """Return mean ± half the range of one point."""
        mean, low, high = self.values[:, point] * self.factor
        if not math.isfinite(mean):
            return "–"
        if self.digits is None:
            return f"{_short(mean)} ± {_short((high - low) / 2, 2)}"
        text = f"{mean:.{self.digits}f} ± {(high - low) / 2:.{self.digits}f}"
        return text.replace("-", "−")


def _steps(rows: np.ndarray) -> np.ndarray:
    """Return the differences along each row, from one number to the next that is there."""
    steps = np.full(rows.shape, np.nan)
    for row, out in zip(rows, steps, strict=True):
        known = np.isfinite(row)
        out[known] = np.diff(row[known], prepend=0)
    return steps


def _encode(values: np.ndarray, exact: bool = False) -> str:
    """Write integers as in source maps (base64 VLQ: one character up to 15), and NaN as a dot.

    Exact ones become two integers each: three digits, and a power of ten.
    """
    text = []
    for value in values.ravel().tolist():
        if math.isnan(value):
            text.append(".." if exact else ".")
            continue
        mantissa, power = f"{value:.2e}".split("e")
        for number in (round(float(mantissa) * 100), int(power) - 2) if exact else (value,):
            rest = 2 * abs(int(number)) + (number < 0)
            text.append(_DIGITS[rest % 32 + 32 * (rest > 31)])
            while rest := rest // 32:
                text.append(_DIGITS[rest % 32 + 32 * (rest > 31)])
    return "".join(text)


def _short(value: float, digits: int = 3) -> str:
    """Write a number as 0.01 or 3e-5, never as 1e-02."""
    if value == 0 or 1e-3 <= abs(value) < 1e4:
        return f"{float(f'{value:.{digits}g}'):.6g}"
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    return f"{float(mantissa):g}e{int(exponent)}"


def _axis(key: str, label: str | None, values: list[float]) -> dict:
    """Return an axis, with the places of its values between 0 and 1."""
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
    labels = {
        to: label
        or words.get(key)
        or words["p#"].format(i=key[1:].translate(_SUBSCRIPTS), n=key[1:])
        for to, words in _WORDS.items()
    }
    return {
        "key": key,
        "label": labels,
        "symbol": label or ("λ" if key == "lam" else key.translate(_SUBSCRIPTS)),
        "values": [_short(value, 6) for value in values],
        "at": x.round(4).tolist(),
        "apart": apart,
    }


# ---------------------------------------------------------------- HTML


def _table(data: dict, stats: Mapping[str, _Band]) -> str:
    """Return the final values of all points, for whom the picture is not there."""
    axes = [("label_noise", [_short(v, 6) for v in data["noise"]])] if data["noise"] else []
    axes += [(axis["key"], axis["values"]) for axis in reversed(data["axes"])]
    labels = {axis["key"]: axis["label"] for axis in data["axes"]}
    head = [labels.get(key) or _each(key) for key, _ in axes]
    for key, band in stats.items():
        texts = _each(key)
        if band.factor == 100:
            units = _each("points") if key == "gap" else dict.fromkeys(LANGUAGES, "%")
            texts = {to: f"{text} ({units[to]})" for to, text in texts.items()}
        head.append(texts)
    rows = []
    for point, setting in enumerate(itertools.product(*(values for _, values in axes))):
        cells = [f'<th scope="row">{html.escape(value)}</th>' for value in setting]
        cells += [f"<td>{band.text(point)}</td>" for band in stats.values()]
        rows.append(f"<tr>{''.join(cells)}</tr>")
    head = "".join(f'<th scope="col">{spans(texts)}</th>' for texts in head)
    return (
        f'<table class="dataframe" style="font-size:.8rem;line-height:1.5">'
        f'<caption style="text-align:start">{spans(_each("mean"))}</caption>'
        f'<thead><tr>{head}</tr></thead><tbody style="white-space:nowrap">'
        f"{''.join(rows)}</tbody></table>"
    )


def _each(key: str) -> dict[str, str]:
    """Return one of the explorer's words in every language."""
    return {to: words[key] for to, words in _WORDS.items()}


@cache
def _script() -> tuple[str, str]:
    """Return the module that draws, and the name of its element, which changes with the module.

    Comments and indents stay at home. (So no text in explorer.js may begin a line.)
    """
    folder = Path(__file__).parent
    code, css = ((folder / f"explorer.{kind}").read_text("utf-8") for kind in ("js", "css"))
    code = re.sub(r"^\s*((//|/\*\*).*\n)?|\s+// .*$", "", code, flags=re.M)
    css = json.dumps(re.sub(r"\s+", " ", css), ensure_ascii=False).replace("<", "\\u003c")
    tag = f"d2l-explorer-{sha256((code + css).encode()).hexdigest()[:6]}"
    return f'const TAG = "{tag}", CSS = {css};\n{code}', tag

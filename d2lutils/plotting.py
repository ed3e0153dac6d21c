"""Figures: images in a grid, curves over epochs. Data in, matplotlib axes out."""

from collections.abc import Iterable, Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes

from d2lutils.arguments import check_choice, check_int, check_number, check_sequence, shown
from d2lutils.images import check_image
from d2lutils.training import History

__all__ = ["PALETTE", "plot_history", "show_images"]

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
"""Colours that stay apart for colour-blind readers (Okabe and Ito, 2008)."""


def show_images(
    images: torch.Tensor | Sequence,
    titles: Sequence[str] | None = None,
    *,
    num_cols: int = 8,
    scale: float = 1.2,
) -> np.ndarray:
    """Draw grey images in a grid, row by row.

    Parameters
    ----------
    images : tensor or sequence of tensors
        Each (H, W), (1, H, W) or (H, W, 1); as one tensor (N, H, W), (N, 1, H, W), (N, H, W, 1).
    titles : sequence of str, optional
        One line above each image.
    num_cols : int, default 8
        Images in a row; the last row may be shorter.
    scale : float, default 1.2
        Side of an image in inches.

    Returns
    -------
    numpy.ndarray of matplotlib.axes.Axes
        Shape (rows, columns), also for a single image.

    Raises
    ------
    TypeError, ValueError
        If there is no image, an image has another shape, or `titles` has another length.
    """
    images = check_sequence("images", images, "a tensor of them", least=1, most=1000)
    images = [check_image(f"images[{i}]", image) for i, image in enumerate(images)]
    titles = [""] * len(images) if titles is None else check_sequence("titles", titles, '["bag"]')
    if len(titles) != len(images):
        raise ValueError(f"titles has {len(titles)} for {len(images)} images: give one each")
    num_cols = min(check_int("num_cols", num_cols, low=1), len(images))
    scale = check_number("scale", scale, low=0.1, high=100)
    num_rows = -(-len(images) // num_cols)
    figsize = (num_cols * scale, num_rows * scale * 1.15)
    _, axes = plt.subplots(num_rows, num_cols, figsize=figsize, squeeze=False, layout="constrained")
    for i, ax in enumerate(axes.flat):
        ax.axis("off")
        if i < len(images):
            ax.imshow(images[i], cmap="gray_r")
            ax.set_title(titles[i], fontsize=9)
    return axes


def plot_history(
    runs: History | Iterable[History] | Mapping[str, History | Iterable[History]],
    metrics: str | Sequence[str] = ("loss", "accuracy"),
    *,
    ax: Axes | Sequence[Axes] | None = None,
) -> np.ndarray:
    """Draw training curves (dashed, train mode) and validation curves (solid, eval mode).

    Parameters
    ----------
    runs : History, iterable of History, or mapping from label to either
        Several are one setting trained from several seeds: its mean is drawn, with a band from
        the smallest to the largest value. A mapping draws one colour per label.
    metrics : "loss", "accuracy" or a sequence of them, default both
        One panel each.
    ax : matplotlib axes or sequence of them, optional
        Where to draw, one per metric; a new figure if not given.

    Returns
    -------
    numpy.ndarray of matplotlib.axes.Axes
        Shape (len(metrics),).

    Raises
    ------
    TypeError, ValueError
        If there is no run, runs of one label do not match, or a metric or the axes do not fit.
    """
    runs = dict(runs) if isinstance(runs, Mapping) else {"": runs}
    for label, run in runs.items():
        several = isinstance(run, Iterable) and getattr(run, "shape", None) != ()
        runs[label] = list(run) if several else [run]
    if wrong := [h for run in runs.values() for h in run if not isinstance(h, History)]:
        raise TypeError(f"runs holds {shown(wrong[0])}: give a History each, as train returns it")
    if not runs or not all(runs.values()) or not any(h for run in runs.values() for h in run):
        raise ValueError("runs holds no run with an epoch: give a History, a list or a mapping")
    for label, histories in runs.items():
        if len({(len(history), len(history.valid_loss)) for history in histories}) > 1:
            raise ValueError(f"runs of {label!r} differ in length or in kind: label them apart")
    metrics = [metrics] if isinstance(metrics, str) else metrics
    metrics = check_sequence("metrics", metrics, '["loss"]', least=1)
    for metric in metrics:
        check_choice("metric", metric, ("loss", "accuracy"))
    if ax is None:
        figsize = (4.2 * len(metrics), 3.2)
        _, ax = plt.subplots(1, len(metrics), figsize=figsize, squeeze=False, layout="constrained")
    axes = np.array([one for one in np.atleast_1d(ax).ravel() if isinstance(one, Axes)])
    if len(axes) != len(metrics):
        raise ValueError(f"ax={shown(ax)} has {len(axes)} axes for {len(metrics)} metrics")
    # Without right and wrong answers it is a regression, whose loss has another name each time.
    regression = all(np.isnan(h.train_accuracy).all() for run in runs.values() for h in run)
    names = {"loss": "loss" if regression else "cross-entropy", "accuracy": "accuracy"}
    for panel, metric in zip(axes, metrics, strict=True):
        for i, (label, histories) in enumerate(runs.items()):
            color = PALETTE[i % len(PALETTE)]
            for part, word, style in (("train", "training", "--"), ("valid", "validation", "-")):
                name = word if label == "" else f"{label}, {word}"
                _curve(panel, histories, f"{part}_{metric}", style, color=color, label=name)
        panel.set(xlabel="epoch", ylabel=names[metric])
        panel.grid(alpha=0.3)
    axes[0].legend(fontsize="small")
    return axes


def _curve(ax, histories, name, style, **options):
    """Draw one quantity against the epoch: the mean over runs, and a band if there are several."""
    values = np.array([getattr(history, name) for history in histories])
    if values.size:  # without validation data there is none
        epochs = np.arange(1, values.shape[1] + 1)
        ax.plot(epochs, values.mean(0), style, marker="." if len(epochs) == 1 else "", **options)
        if len(values) > 1:
            low, high = values.min(0), values.max(0)
            ax.fill_between(epochs, low, high, color=options["color"], alpha=0.15, linewidth=0)

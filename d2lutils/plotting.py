"""Figures: images in a grid, curves over epochs. Data in, matplotlib axes out."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes

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
        Each (H, W) or (1, H, W); as one tensor (N, H, W) or (N, 1, H, W).
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
    ValueError
        If there is no image, an image has another shape, or `titles` has another length.
    """
    if len(images) == 0:
        raise ValueError("images is empty; pass at least one image")
    if titles is not None and len(titles) != len(images):
        raise ValueError(
            f"titles has {len(titles)} entries for {len(images)} images; pass one each"
        )
    num_cols = min(num_cols, len(images))
    num_rows = -(-len(images) // num_cols)
    _, axes = plt.subplots(
        num_rows,
        num_cols,
        figsize=(num_cols * scale, num_rows * scale * 1.15),
        squeeze=False,
        layout="constrained",
    )
    for i, ax in enumerate(axes.flat):
        ax.axis("off")
        if i < len(images):
            ax.imshow(_grey(images[i]), cmap="gray_r")
            if titles is not None:
                ax.set_title(titles[i], fontsize=9)
    return axes


def _grey(image) -> np.ndarray:
    """Turn an image of shape (H, W) or (1, H, W) into an array (H, W)."""
    array = np.asarray(torch.as_tensor(image).detach().cpu())
    if array.ndim == 3 and array.shape[0] == 1:
        array = array[0]
    if array.ndim != 2:
        raise ValueError(f"an image has shape {array.shape}; allowed are (H, W) and (1, H, W)")
    return array


def plot_history(
    runs: "History | Sequence[History] | Mapping[str, History | Sequence[History]]",
    metrics: str | Sequence[str] = ("loss", "accuracy"),
    *,
    ax: Axes | Sequence[Axes] | None = None,
) -> np.ndarray:
    """Draw training curves (dashed, train mode) and validation curves (solid, eval mode).

    Parameters
    ----------
    runs : History, sequence of History, or mapping from label to either
        A sequence is one setting trained from several seeds: its mean is drawn, with a band from
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
    ValueError
        If there is no run, runs of one label differ in length, a metric is unknown, or the number
        of axes is wrong.
    """
    if not isinstance(runs, Mapping):
        runs = {"": runs}
    runs = {label: [run] if isinstance(run, History) else list(run) for label, run in runs.items()}
    if not runs or not all(runs.values()):
        raise ValueError("runs holds no run; pass a History, a list of them, or a mapping of those")
    if any(len({len(history) for history in histories}) > 1 for histories in runs.values()):
        raise ValueError(
            "one label has runs of different numbers of epochs; give them labels of their own"
        )
    if any(len({len(h.valid_loss) for h in histories}) > 1 for histories in runs.values()):
        raise ValueError(
            "one label has runs with and without validation data; give them labels of their own"
        )
    metrics = [metrics] if isinstance(metrics, str) else metrics
    if unknown := set(metrics) - {"loss", "accuracy"}:
        raise ValueError(f"metrics holds {sorted(unknown)}; allowed are 'loss' and 'accuracy'")
    if ax is None:
        _, ax = plt.subplots(
            1, len(metrics), figsize=(4.2 * len(metrics), 3.2), squeeze=False, layout="constrained"
        )
    axes = np.atleast_1d(ax).ravel()
    if len(axes) != len(metrics):
        raise ValueError(f"ax holds {len(axes)} axes for {len(metrics)} metrics; pass one each")
    # Without right and wrong answers it is a regression, whose loss has another name each time.
    regression = all(np.isnan(h.train_accuracy).all() for run in runs.values() for h in run)
    names = {"loss": "loss" if regression else "cross-entropy", "accuracy": "accuracy"}
    for panel, metric in zip(axes, metrics, strict=True):
        for i, (label, histories) in enumerate(runs.items()):
            color = PALETTE[i % len(PALETTE)]
            prefix = f"{label}, " if label else ""
            _curve(panel, histories, f"train_{metric}", prefix + "training", color, "--")
            _curve(panel, histories, f"valid_{metric}", prefix + "validation", color, "-")
        panel.set(xlabel="epoch", ylabel=names[metric])
        panel.grid(alpha=0.3)
    axes[0].legend(fontsize="small")
    return axes


def _curve(ax, histories, name, label, color, linestyle):
    """One quantity against the epoch: the mean over runs, and a band if there are several."""
    values = np.array([getattr(history, name) for history in histories])
    if values.size == 0:  # no validation data
        return
    epochs = np.arange(1, values.shape[1] + 1)
    ax.plot(
        epochs,
        values.mean(axis=0),
        linestyle,
        color=color,
        label=label,
        marker="." if values.shape[1] == 1 else None,
    )
    if len(values) > 1:
        ax.fill_between(
            epochs, values.min(axis=0), values.max(axis=0), color=color, alpha=0.15, linewidth=0
        )

"""Explorers: sliders over runs that are finished, as one self-contained HTML output."""

import math
from collections.abc import Mapping, Sequence

import xarray as xr

from d2lutils.arguments import check_flag, check_number, shown
from d2lutils.explorer.figure import figure, final_values
from d2lutils.explorer.page import Explorer
from d2lutils.explorer.runs import of_histories, of_sweep
from d2lutils.training import History
from d2lutils.words import Text

__all__ = ["Explorer", "explore"]

CAPTION = Text(
    "{about}{points} settings, {seeds} seeds, {epochs} epochs. "
    "Lines are means, bands run from the lowest to the highest seed.",
    "{about}{points} 种设置，{seeds} 个随机种子，{epochs} 轮。"
    "曲线为均值，色带为各随机种子的最低值到最高值。",
)
UNFINISHED = Text(
    " {finished} of {all} networks are finished.", "{all} 个网络中有 {finished} 个已训练完毕。"
)


def explore(
    runs: xr.Dataset | Mapping[float, Sequence[History]],
    *,
    start: Mapping[str, float] | None = None,
    label: str | None = None,
    weights: Mapping[float, Sequence] | None = None,
    log: bool = False,
) -> Explorer:
    """Make a figure with sliders out of finished runs; it needs no kernel once it is shown.

    Parameters
    ----------
    runs : xarray.Dataset or mapping from a number to a sequence of History
        What `sweep` returned, if it varies one or two of λ and the dropout probabilities, and
        perhaps label noise, which becomes a switch. Or, for any other model, the runs of each λ,
        one per seed: ``{0: [history, …], 3: [history, …]}``.
    start : mapping, optional
        Where the sliders stand at first, as in ``{"lam": 0.01, "label_noise": 0.4}``; the keys
        are ``lam``, ``p`` (or ``p1``, ``p2``) and ``label_noise``; ``x`` with a `label`. Else at
        the smallest values.
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
        If the runs cannot be explored: nothing or too much varies, numbers of seeds or epochs
        differ, or an argument is not what it must be.

    Examples
    --------
    >>> explore(sweep([0, 1e-3, 1e-2], label_noise=[0, 0.4]), start={"lam": 1e-2})
    >>> explore({lam: [fit(lam, seed) for seed in range(3)] for lam in (0, 0.3, 3)}, log=True)
    """
    check_flag("log", log)
    if label is not None and (not isinstance(label, str) or not 0 < len(label) <= 100):
        raise TypeError(f"label={shown(label)} must be a string of 1 to 100 letters, such as 'k'")
    if isinstance(runs, xr.Dataset):
        if weights is not None or label is not None:
            raise ValueError("weights and label belong to a mapping of runs; a sweep has its own")
        found = of_sweep(runs)
    elif isinstance(runs, Mapping):
        found = of_histories(runs, weights, label)
    else:
        raise TypeError(
            f"runs is a {type(runs).__name__}; give what sweep() returned, or a mapping from λ to"
            " Histories"
        )
    values = found.axes | ({"label_noise": found.switch} if found.switch else {})
    if start is not None and not isinstance(start, Mapping):
        example = ", ".join(f'"{key}": {stops[-1]:g}' for key, stops in values.items())
        raise TypeError(f"start={shown(start)} must be a mapping, such as {{{example}}}")
    start = {key: stops[0] for key, stops in values.items()} | dict(start or {})
    for key, value in start.items():
        name = key if isinstance(key, str) else shown(key)
        start[key] = check_number(f"start of {name}", value, low=-math.inf)
        if start[key] not in values.get(key, ()):
            there = ", ".join(f"{axis}: {shown(stops)}" for axis, stops in values.items())
            raise ValueError(f"start has {name}={shown(value)}, and the runs have only {there}")
    places = {key: values[key].index(value) for key, value in start.items()}
    points, seeds, epochs = found.data.train_loss.shape
    caption = CAPTION.format(about=found.about, points=points, seeds=seeds, epochs=epochs)
    finished = int(found.data.finished.sum())
    if finished < points * seeds:
        lack = UNFINISHED.format(finished=finished, all=points * seeds)
        caption = Text(caption.en + lack.en, caption.zh + lack.zh)
    final = final_values(found, log)
    return Explorer(figure(found, places, final, log), final, caption)

"""What a panel draws of its runs: curves as SVG, and a table."""

import math

from matplotlib.ticker import MaxNLocator

from d2lutils.panel.run import METRICS, SLIDERS, Run
from d2lutils.words import Text, number

_NAMES = {"loss": Text("loss", "损失"), "accuracy": Text("accuracy", "准确率")}
_RUN, _EPOCH = Text("run", "运行"), Text("epoch", "轮")
_LEGEND = Text(
    "– – training, as it runs   —— validation", "– – 训练（边训边测）   —— 验证"
)  # fmt: skip
_SPOKEN = Text(
    "{metric} against the epoch, training dashed, validation solid. {latest}",
    "{metric}随轮数的变化，虚线为训练，实线为验证。{latest}",
)


def table(runs: list[Run]) -> str:
    """List settings and final numbers of the runs."""
    if not runs:
        return ""
    metrics = [metric for metric in METRICS if any(run.final(metric) for run in runs)]
    heads = [_RUN, *(SLIDERS[name][0] for name in runs[0].settings)]
    heads += [METRICS[metric] for metric in metrics]
    rows = [[f'<th scope="col">{head}</th>' for head in heads]]
    for run in runs:
        *values, num_epochs = map(number, run.settings.values())
        if len(run.history) < run.settings["num_epochs"]:
            num_epochs = f"{len(run.history)} / {num_epochs}"
        key = f'<span style="color:{run.color}" aria-hidden="true">■</span> {run.number}'
        cells = [key, *values, num_epochs, *(run.final(metric) for metric in metrics)]
        rows.append([f"<td>{cell}</td>" for cell in cells])
    body = "".join(f"<tr>{''.join(row)}</tr>" for row in rows)
    return f'<table style="text-align:right;border-spacing:1em 0">{body}</table>'


def charts(runs: list[Run], log_loss: bool) -> str:
    """Draw the loss and, where there is one, the accuracy, with earlier runs pale."""
    drawn = ""
    for metric in _NAMES:
        curves = [
            (run, dash, [(e, v) for e, v in enumerate(values, 1) if math.isfinite(v)])
            for run in runs
            for dash, part in (("6 4", "train"), ("", "valid"))
            if (values := getattr(run.history, f"{part}_{metric}"))
        ]
        curves = [curve for curve in curves if curve[2]]
        drawn += _chart(metric, curves, log_loss and metric == "loss") if curves else ""
    # A light card in every theme, since no colour stands out on light and dark grounds alike.
    card = "display:flex;flex-wrap:wrap;max-width:860px;background:#fff"
    return f'<div style="{card}">{drawn}</div>'


def _chart(metric: str, curves: list[tuple[Run, str, list]], log: bool) -> str:
    """Draw curves against the epoch as SVG, in a hundredth of the time of a matplotlib figure."""
    left, right, top, bottom = 52, 404, 34, 214
    latest = curves[-1][0]
    last = max(len(points) for *_, points in curves)
    if latest.state == "running":
        last = max(last, latest.settings["num_epochs"])
    scale = (lambda value: math.log10(max(value, 1e-12))) if log else float
    heights = [scale(value) for *_, points in curves for _, value in points]
    low, high = min(heights), max(heights)
    if log:  # whole decades
        low, high = math.floor(low), max(math.ceil(high), math.floor(low) + 1)
    ticks = MaxNLocator(5, integer=log).tick_values(low, high)

    def across(epoch):
        return f"{left + epoch / last * (right - left):.1f}"

    def down(height):
        return f"{bottom - (height - ticks[0]) / (ticks[-1] - ticks[0]) * (bottom - top):.1f}"

    def text(x, y, words, anchor="middle"):
        return f'<text x="{x}" y="{y}" dy=".35em" text-anchor="{anchor}">{words}</text>'

    parts = [text(left, 14, _NAMES[metric], "start"), text(right, 14, _LEGEND, "end")]
    parts.append(text((left + right) / 2, bottom + 32, _EPOCH))
    for tick in ticks:
        parts.append(f'<path d="M{left},{down(tick)}H{right}" stroke="#ddd"/>')
        parts.append(text(left - 6, down(tick), f"{10.0**tick if log else tick:.4g}", "end"))
    for tick in MaxNLocator(5, integer=True).tick_values(0, last):
        parts.append(text(across(tick), bottom + 14, f"{tick:g}") if tick <= last else "")
    for run, dash, points in curves:
        path = " ".join(f"{across(epoch)},{down(scale(value))}" for epoch, value in points)
        x, y = path.split(" ")[-1].split(",")
        parts.append(
            f'<g stroke="{run.color}" opacity="{1 if run is latest else 0.35}"><title>{run}</title>'
            f'<polyline points="{path}" fill="none" stroke-width="2" stroke-dasharray="{dash}"/>'
            f'<circle cx="{x}" cy="{y}" r="3" stroke="none" fill="{run.color}"/></g>'
        )
    words = _SPOKEN.format(metric=_NAMES[metric], latest=latest)
    style = "flex:1 1 320px;max-width:424px;font:12px sans-serif;fill:#222"
    svg = f'<svg viewBox="0 0 416 256" role="img" aria-label="{words}" style="{style}">'
    return f"{svg}{''.join(parts)}</svg>"

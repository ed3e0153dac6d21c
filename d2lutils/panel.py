"""The live panel: sliders and a Train button around a function that the page shows."""

import html
import inspect
import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, fields
from functools import partial

import numpy as np
from matplotlib.ticker import MaxNLocator

from d2lutils.arguments import check_int, check_number
from d2lutils.plotting import PALETTE
from d2lutils.training import History, train
from d2lutils.words import in_each, say, spans

__all__ = ["Panel", "Run", "panel"]

# What a page without a kernel shows.
_OFFLINE = "This panel trains networks: run this page in Jupyter or Colab."
_VIEW = "application/vnd.jupyter.widget-view+json"
_REDRAW = 0.3  # seconds between two pictures; drawing takes a few milliseconds
_METRICS = {
    f"{part}_{metric}": f"{word} {metric}"
    for metric in ("loss", "accuracy")
    for part, word in (("train", "training"), ("valid", "validation"))
}


def _steps(low: int, high: int, kind: type = float) -> list:
    """Four stops a decade from 10**low to 10**high, as exact as if they were typed."""
    return [kind(float(f"{m}e{e}")) for e in range(low, high) for m in (1, 2, 3, 5)] + [
        kind(10**high)
    ]


_SHARE = (partial(check_number, low=0, high=1), [i / 20 for i in range(21)])
_COUNT = partial(check_int, low=1)
# The name beside the slider, what a value must be, and where the slider stops.
_SLIDERS = {
    "lam": ("λ", partial(check_number, low=0), [0.0, *_steps(-5, 2)]),
    "p": ("p", *_SHARE),
    "p1": ("p₁", *_SHARE),
    "p2": ("p₂", *_SHARE),
    "label_noise": ("label noise", *_SHARE),
    "noise": ("noise", partial(check_number, low=0), [0.0, *_steps(-3, 1)]),
    "num_train": ("training examples", _COUNT, _steps(0, 3, int)[3:]),
    "num_epochs": ("epochs", _COUNT, [*_steps(0, 2, int), 200]),
}


@dataclass
class Run:
    """One press of Train.

    Attributes
    ----------
    number : int
        Counts the runs of a panel from 1.
    settings : dict
        What the sliders said.
    history : History
        As `train` returns it, up to the last finished epoch.
    state : {"running", "done", "stopped", "failed"}
        Whether more is to come.
    """

    number: int
    settings: dict
    history: History = field(default_factory=History)
    state: str = "running"


class _Stopped(Exception):
    """Somebody pressed Stop."""


def panel(setup: Callable, *, num_epochs=20, log_loss: bool = False, **settings) -> "Panel":
    """Show sliders, Train and Stop, and draw each training run while it goes on.

    Parameters
    ----------
    setup : callable
        ``setup(**settings)`` returns ``net, train_iter, valid_iter, loss, optimizer``, which go to
        `train`. If it sets the seed, equal settings give equal runs.
    num_epochs : int or list of int, default 20
        A slider too; `setup` does not get it.
    log_loss : bool, default False
        Draw the loss on a logarithmic axis.
    **settings
        A slider each: ``lam``, ``p``, ``p1``, ``p2``, ``label_noise``, ``noise``, ``num_train``.
        A number is where the slider starts. A list names all stops, and the first is the start.

    Returns
    -------
    Panel
        Its ``runs`` hold settings and history of each run, to look at or plot in other cells.
        One run goes on at a time: a run in another panel, or a new panel, stops it. A cell that
        draws random numbers meanwhile takes them from the run's stream.

    Raises
    ------
    TypeError, ValueError
        If a setting is unknown, holds no sensible value, or is no parameter of `setup`.
    """
    if not callable(setup):
        raise TypeError(f"setup={setup!r} cannot be called: give a function of the settings")
    stops = {name: _check_stops(name, value) for name, value in settings.items()}
    try:
        inspect.signature(setup).bind(**settings)
    except TypeError as error:
        raise TypeError(f"the sliders do not fit the parameters of setup: {error}") from None
    return Panel(setup, {**stops, "num_epochs": _check_stops("num_epochs", num_epochs)}, log_loss)


def _check_stops(name: str, value: object) -> tuple[list, object]:
    """Return where a slider stops, in order, and where it starts."""
    if name not in _SLIDERS:
        raise TypeError(f"{name}={value!r} has no slider: there are {', '.join(_SLIDERS)}")
    _, check, stops = _SLIDERS[name]
    if not isinstance(value, (list, tuple)):
        value = check(name, value)
        return sorted({value, *stops}), value
    if not value:
        raise ValueError(f"{name} is empty: give at least one value")
    stops = [check(f"{name}[{i}]", stop) for i, stop in enumerate(value)]
    return sorted(set(stops)), stops[0]


class Panel:
    """What `panel` returns: widgets that start, show and stop runs.

    Attributes
    ----------
    sliders : dict of str to ipywidgets.SelectionSlider
        Their ``value`` is the setting itself.
    runs : list of Run
        The latest seven at most, one for each colour.
    error : BaseException or None
        What ended the latest run, if it failed; ``raise`` it to see where.
    """

    _latest = None  # of all panels, the one that started a run last

    def __init__(self, setup: Callable, stops: dict, log_loss: bool):
        import ipywidgets as widgets  # here, since the rest of d2lutils works without

        self.runs, self.error = [], None
        self._setup, self._log_loss, self._count = setup, log_loss, 0
        self._thread, self._stop = None, threading.Event()
        self._lock = threading.RLock()  # the thread and the buttons take turns
        self._started = self._shown = -math.inf
        if Panel._latest:
            Panel._latest.stop()
        self.sliders = {
            name: widgets.SelectionSlider(
                options=[(_text(stop), stop) for stop in slider_stops],
                value=start,
                description=say(_SLIDERS[name][0]),
                style={"description_width": "8.5em"},
                layout={"width": "30em", "max_width": "98%"},
            )
            for name, (slider_stops, start) in stops.items()
        }
        self.buttons = {}
        for name, action in (("Train", self.start), ("Stop", self.stop), ("Clear", self.clear)):
            self.buttons[name] = widgets.Button(description=say(name))
            self.buttons[name].on_click(lambda _, action=action: action())
        self.buttons["Train"].button_style = "primary"
        self.status, self.chart, self.table, spoken = (widgets.HTML() for _ in range(4))

        def speak(change):
            # Unseen: a SelectionSlider tells screen readers the position, not the value.
            words = f"{change['owner'].description} = {_text(change['new'])}"
            spoken.value = f'<span role="status" style="position:absolute;opacity:0">{words}</span>'

        for slider in self.sliders.values():
            slider.observe(speak, "value")
        buttons = widgets.HBox([*self.buttons.values(), spoken])
        self._box = widgets.VBox(
            [*self.sliders.values(), buttons, self.status, self.chart, self.table]
        )
        self._show(say("Choose, then press Train."))

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        view = {"version_major": 2, "version_minor": 0, "model_id": self._box.model_id}
        offline = f'<p class="d2l-panel">{spans(in_each(_OFFLINE))}</p>'
        return {"text/plain": say(_OFFLINE), "text/html": offline, _VIEW: view}

    def start(self) -> None:
        """Do what the button Train does."""
        with self._lock:
            # The second click of two fast ones may come when a short run is over already.
            if self._is_running() or time.monotonic() - self._started < 0.5:
                return
            before, Panel._latest = Panel._latest, self
            if before:
                before.stop()
            self._started, self._count, self.error = time.monotonic(), self._count + 1, None
            settings = {name: slider.value for name, slider in self.sliders.items()}
            run = Run(self._count, settings)
            self.runs = [*self.runs, run][-len(PALETTE) :]
            self._stop = threading.Event()
            self._show(say("Run {run} starts …", run=run.number))
            self._thread = threading.Thread(
                target=self._work, args=(run, self._stop, before and before._thread), daemon=True
            )
            self._thread.start()

    def stop(self) -> None:
        """Do what the button Stop does: at once, and the thread ends at its next batch."""
        with self._lock:
            self._stop.set()
            if self._is_running():
                self._started = -math.inf
                self._finish(self.runs[-1], "stopped")

    def clear(self) -> None:
        """Do what the button Clear does: forget all runs but one that still goes on."""
        with self._lock:
            self.runs = [run for run in self.runs if run.state == "running"]
            self._show()

    def close(self) -> None:
        """Stop, and take the widgets off the page."""
        self.stop()
        for box in (*self._box.children, self._box):
            for widget in (*getattr(box, "children", ()), box):
                widget.close()

    def _is_running(self) -> bool:
        return bool(self.runs) and self.runs[-1].state == "running"

    def _work(self, run: Run, stop: threading.Event, before: threading.Thread | None) -> None:
        """Train, in a thread of its own; once `stop` is set, it shows nothing any more."""

        def batches(data_iter: Iterable) -> Iterator:
            for batch in data_iter:
                if stop.is_set():
                    raise _Stopped
                yield batch

        try:
            if before:
                before.join()  # two runs at once would share one stream of random numbers
            if stop.is_set():
                return
            settings = dict(run.settings)
            num_epochs = settings.pop("num_epochs")
            parts = self._setup(**settings)
            if not isinstance(parts, (tuple, list)) or len(parts) != 5:
                raise TypeError("setup must return net, train_iter, valid_iter, loss, optimizer")
            net, train_iter, valid_iter, loss, optimizer = parts
            for epoch in range(1, num_epochs + 1):
                valid = None if valid_iter is None else batches(valid_iter)
                once = train(net, batches(train_iter), valid, loss, optimizer, 1, progress=False)
                with self._lock:
                    if stop.is_set():
                        return
                    for curve in fields(History):
                        getattr(run.history, curve.name).extend(getattr(once, curve.name))
                    if epoch == num_epochs:
                        self._finish(run, "done")
                    elif time.monotonic() - self._shown > _REDRAW:
                        self._show(
                            say(
                                "Run {run}: epoch {epoch} of {epochs} …",
                                run=run.number,
                                epoch=epoch,
                                epochs=num_epochs,
                            )
                        )
        except _Stopped:
            pass
        except BaseException as error:  # above a thread there is nobody to catch it
            with self._lock:
                if not stop.is_set():
                    self.error = error
                    # `train` counts the epochs of one call, and each call had one.
                    words = str(error).replace("in epoch 1 ", f"in epoch {len(run.history) + 1} ")
                    words = " ".join(f"{type(error).__name__}: {words}".split())
                    self._finish(run, "failed", words)

    def _finish(self, run: Run, state: str, words: str = "") -> None:
        run.state = state
        if len(run.history):
            words = f"{words} {_in_words(run)}".strip()
        else:
            self.runs.remove(run)
        self._show(words or say("Stopped within the first epoch."))

    def _show(self, words: str | None = None) -> None:
        """Bring everything up to date; without `words` the line of words stays."""
        running = self._is_running()
        self.buttons["Train"].disabled, self.buttons["Stop"].disabled = running, not running
        if words:
            role = "" if running else ' role="status"'  # read out at the end, not every epoch
            self.status.value = f"<div{role}>{html.escape(words)}</div>"
        self.chart.value = _charts(self.runs, self._log_loss)
        self.table.value = _table(self.runs)
        self._shown = time.monotonic()


def _text(value: float) -> str:
    """Write a setting as one would type it: 0.00001, not 1e-05."""
    return np.format_float_positional(value, trim="-")


def _final(run: Run, metric: str) -> str:
    """Write the last value of a curve; nothing where there is none."""
    values = getattr(run.history, metric)
    if not values or math.isnan(values[-1]):
        return ""
    return f"{values[-1]:.3f}" if "accuracy" in metric else f"{values[-1]:.4g}"


def _in_words(run: Run) -> str:
    finals = [f"{say(words)} {_final(run, m)}" for m, words in _METRICS.items() if _final(run, m)]
    settings = [f"{say(_SLIDERS[key][0])} = {_text(value)}" for key, value in run.settings.items()]
    return say(
        "Run {run} ({settings}), {state} after epoch {epoch}: {finals}.",
        run=run.number,
        settings=", ".join(settings),
        state=run.state,
        epoch=len(run.history),
        finals=", ".join(finals),
    )


def _table(runs: list[Run]) -> str:
    """List settings and final numbers of the runs."""
    if not runs:
        return ""
    metrics = [metric for metric in _METRICS if any(_final(run, metric) for run in runs)]
    heads = ["run", *(_SLIDERS[name][0] for name in runs[0].settings)]
    heads += [_METRICS[metric] for metric in metrics]
    rows = [[f'<th scope="col">{say(head)}</th>' for head in heads]]
    for run in runs:
        *values, num_epochs = map(_text, run.settings.values())
        if len(run.history) < run.settings["num_epochs"]:
            num_epochs = f"{len(run.history)} / {num_epochs}"
        key = f'<span style="color:{_color(run)}" aria-hidden="true">■</span> {run.number}'
        cells = [key, *values, num_epochs, *(_final(run, metric) for metric in metrics)]
        rows.append([f"<td>{cell}</td>" for cell in cells])
    body = "".join(f"<tr>{''.join(row)}</tr>" for row in rows)
    return f'<table style="text-align:right;border-spacing:1em 0">{body}</table>'


def _color(run: Run) -> str:
    return PALETTE[(run.number - 1) % len(PALETTE)]


def _charts(runs: list[Run], log_loss: bool) -> str:
    """Draw the loss and, where there is one, the accuracy, with earlier runs pale."""
    charts = ""
    for metric in ("loss", "accuracy"):
        curves = [
            (run, dash, [(e, v) for e, v in enumerate(values, 1) if math.isfinite(v)])
            for run in runs
            for dash, part in (("6 4", "train"), ("", "valid"))
            if (values := getattr(run.history, f"{part}_{metric}"))
        ]
        curves = [curve for curve in curves if curve[2]]
        charts += _chart(metric, curves, log_loss and metric == "loss") if curves else ""
    # A light card in every theme, since no colour stands out on light and dark grounds alike.
    card = "display:flex;flex-wrap:wrap;max-width:860px;background:#fff"
    return f'<div style="{card}">{charts}</div>'


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

    legend = say("– – training, as it runs   —— validation")
    parts = [text(left, 14, say(metric), "start"), text(right, 14, legend, "end")]
    parts.append(text((left + right) / 2, bottom + 32, say("epoch")))
    for tick in ticks:
        parts.append(f'<path d="M{left},{down(tick)}H{right}" stroke="#ddd"/>')
        parts.append(text(left - 6, down(tick), f"{10.0**tick if log else tick:.4g}", "end"))
    for tick in MaxNLocator(5, integer=True).tick_values(0, last):
        parts.append(text(across(tick), bottom + 14, f"{tick:g}") if tick <= last else "")
    for run, dash, points in curves:
        path = " ".join(f"{across(epoch)},{down(scale(value))}" for epoch, value in points)
        x, y = path.split(" ")[-1].split(",")
        parts.append(
            f'<g stroke="{_color(run)}" opacity="{1 if run is latest else 0.35}">'
            f"<title>{_in_words(run)}</title>"
            f'<polyline points="{path}" fill="none" stroke-width="2" stroke-dasharray="{dash}"/>'
            f'<circle cx="{x}" cy="{y}" r="3" stroke="none" fill="{_color(run)}"/></g>'
        )
    words = say(
        "{metric} against the epoch, training dashed, validation solid. {latest}",
        metric=metric,
        latest=_in_words(latest),
    )
    style = "flex:1 1 320px;max-width:424px;font:12px sans-serif;fill:#222"
    svg = f'<svg viewBox="0 0 416 256" role="img" aria-label="{words}" style="{style}">'
    return f"{svg}{''.join(parts)}</svg>"

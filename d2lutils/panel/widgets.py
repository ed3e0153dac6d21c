"""The widgets of a panel, and the thread that trains."""

import copy
import html
import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator

from d2lutils.panel.chart import charts, table
from d2lutils.panel.run import SLIDERS, Run
from d2lutils.plotting import PALETTE
from d2lutils.training import History, epochs
from d2lutils.words import Text, error_text, number

_OFFLINE = Text(  # what a page without a kernel shows, and Jupyter if it cannot draw widgets
    "This panel trains networks: run this page in Jupyter or Colab. If you are there already,"
    " install ipywidgets where Jupyter itself is installed (pip install ipywidgets), start Jupyter"
    " again, and run this cell.",
    "此处的训练面板可以现场训练网络：请在 Jupyter 或 Colab 中运行本页。如果已经在其中运行，"
    "请在 Jupyter 所在的环境中安装 ipywidgets（pip install ipywidgets），重启 Jupyter，"
    "再运行这个单元格。",
)
_MISSING = Text(
    "The panel needs ipywidgets, which this kernel does not have: run %pip install ipywidgets in a"
    " cell, restart the kernel, and run this page again.",
    "训练面板需要 ipywidgets，而当前内核中没有安装：请在单元格中运行 %pip install ipywidgets，"
    "重启内核，再运行本页。",
)
_TRAIN, _STOP, _CLEAR = Text("Train", "训练"), Text("Stop", "停止"), Text("Clear", "清除")
_CHOOSE = Text("Choose, then press Train.", "选好设置，然后按“训练”。")
_STARTS = Text("Run {run} starts …", "第 {run} 次运行开始……")
_GOES_ON = Text(
    "Run {run}: epoch {epoch} of {epochs} …", "第 {run} 次运行：第 {epoch} 轮，共 {epochs} 轮……"
)
_NOTHING = Text("Stopped within the first epoch.", "第一轮尚未结束就已停止。")
_UNSEEN = '<span role="status" style="position:absolute;opacity:0">{}</span>'
_VIEW = "application/vnd.jupyter.widget-view+json"
REDRAW = 0.3  # seconds between two pictures; drawing takes a few milliseconds
DOUBLE_CLICK = 0.5  # seconds in which a second click on Train does not count


class _Stopped(Exception):
    """Somebody pressed Stop."""


class _Batches:
    """The batches of `data_iter`, until `stop` is set."""

    def __init__(self, data_iter: Iterable, stop: threading.Event):
        self.data_iter, self.stop = data_iter, stop

    def __iter__(self) -> Iterator:
        for batch in self.data_iter:
            if self.stop.is_set():
                raise _Stopped
            yield batch


def _histories(
    setup: Callable, taken: list[str], settings: dict, stop: threading.Event
) -> Iterator[History]:
    """Train as the settings say, those `setup` takes given to it; yield the history so far."""
    parts = setup(**{name: settings[name] for name in taken})
    if not isinstance(parts, (tuple, list)) or len(parts) not in (5, 6):
        raise TypeError(
            "setup must return net, train_iter, valid_iter, loss, optimizer, and a scheduler if any"
        )
    net, train_iter, valid_iter, loss, optimizer, *scheduler = parts
    # What is nothing to iterate over goes on as it is, to be named.
    train_iter, valid_iter = (
        _Batches(batches, stop) if hasattr(batches, "__iter__") else batches
        for batches in (train_iter, valid_iter)
    )
    scheduler = scheduler[0] if scheduler else None
    return epochs(
        net, train_iter, valid_iter, loss, optimizer, settings["num_epochs"], scheduler=scheduler
    )


def _slider(name: str, stops: list, start: object) -> dict:
    """Return the arguments of an ipywidgets.SelectionSlider, whose value is the setting itself."""
    return {
        "options": [(number(stop), stop) for stop in stops],
        "value": start,
        "description": str(SLIDERS[name][0]),
        "style": {"description_width": "8.5em"},
        "layout": {"width": "30em", "max_width": "98%"},
    }


class NoPanel:
    """What `panel` returns where ipywidgets is missing: it says what to install."""

    def __repr__(self) -> str:
        return str(_MISSING)

    def _repr_html_(self) -> str:
        return f'<p class="d2l-panel">{_MISSING.html()}</p>'


class Panel:
    """What `panel` returns: widgets that start, show and stop runs.

    Attributes
    ----------
    sliders : dict of str to ipywidgets.SelectionSlider
        Their ``value`` is the setting itself.
    error : BaseException or None
        What ended the latest run, if it failed; ``raise`` it to see where.
    """

    _latest = None  # of all panels, the one that started a run last

    def __init__(self, setup: Callable, taken: list[str], sliders: dict, log_loss: bool):
        import ipywidgets as widgets  # here, since the rest of d2lutils works without

        self._taken = taken  # of the settings, by setup
        self.runs = []  # the latest seven at most, one for each colour
        self.error, self.thread = None, None
        self._setup, self._log_loss, self._count = setup, log_loss, 0
        self._stop = threading.Event()
        self._lock = threading.RLock()  # the thread and the buttons take turns
        self._started = self._shown = -math.inf
        if Panel._latest:
            Panel._latest.stop()
        self.sliders = {
            name: widgets.SelectionSlider(**_slider(name, stops, start))
            for name, (stops, start) in sliders.items()
        }
        self.buttons = {}
        for name, action in ((_TRAIN, self.start), (_STOP, self.stop), (_CLEAR, self.clear)):
            self.buttons[name.en] = widgets.Button(description=str(name))
            self.buttons[name.en].on_click(lambda _, action=action: action())
        self.buttons["Train"].button_style = "primary"
        self.status, self.chart, self.table, self.spoken = (widgets.HTML() for _ in range(4))
        for slider in self.sliders.values():
            slider.observe(self._speak, "value")
        buttons = widgets.HBox([*self.buttons.values(), self.spoken])
        shown = [buttons, self.status, self.chart, self.table]
        self.box = widgets.VBox([*self.sliders.values(), *shown])
        self._show(_CHOOSE)

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        view = {"version_major": 2, "version_minor": 0, "model_id": self.box.model_id}
        offline = f'<p class="d2l-panel">{_OFFLINE.html()}</p>'
        return {"text/plain": str(_OFFLINE), "text/html": offline, _VIEW: view}

    def start(self) -> None:
        """Do what the button Train does."""
        with self._lock:
            # The second click of two fast ones may come when a short run is over already.
            if self._is_running() or time.monotonic() - self._started < DOUBLE_CLICK:
                return
            before, Panel._latest = Panel._latest, self
            if before:
                before.stop()
            self._started, self._count, self.error = time.monotonic(), self._count + 1, None
            run = Run(self._count, {name: slider.value for name, slider in self.sliders.items()})
            self.runs = [*self.runs, run][-len(PALETTE) :]
            self._stop = threading.Event()
            self._show(_STARTS.format(run=run.number))
            work = (run, self._stop, before and before.thread)
            self.thread = threading.Thread(target=self._work, args=work, daemon=True)
            self.thread.start()

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

    def _is_running(self) -> bool:
        return bool(self.runs) and self.runs[-1].state == "running"

    def _work(self, run: Run, stop: threading.Event, before: threading.Thread | None) -> None:
        """Train, in a thread of its own; once `stop` is set, it shows nothing any more."""
        try:
            if before:
                before.join()  # two runs at once would share one stream of random numbers
            if stop.is_set():
                return
            for history in _histories(self._setup, self._taken, run.settings, stop):
                with self._lock:
                    if stop.is_set():
                        return
                    run.history = copy.deepcopy(history)  # the next epoch may not be finished
                    of = {"epoch": len(history), "epochs": run.settings["num_epochs"]}
                    if of["epoch"] == of["epochs"]:
                        self._finish(run, "done")
                    elif time.monotonic() - self._shown > REDRAW:
                        self._show(_GOES_ON.format(run=run.number, **of))
        except BaseException as error:  # above a thread there is nobody to catch it
            with self._lock:
                if not stop.is_set():
                    self.error = error
                    words = " ".join(f"{type(error).__name__}: {error_text(error)}".split())
                    self._finish(run, "failed", words)

    def _finish(self, run: Run, state: str, words: str = "") -> None:
        run.state = state
        if len(run.history):
            words = f"{words} {run}".strip()
        else:
            self.runs.remove(run)
        self._show(words or _NOTHING)

    def _speak(self, change: dict) -> None:
        """Say it where it is not seen: a SelectionSlider tells screen readers its position only."""
        words = f"{change['owner'].description} = {number(change['new'])}"
        self.spoken.value = _UNSEEN.format(words)

    def _show(self, words: str | Text = "") -> None:
        """Bring everything up to date; without `words` the line of words stays."""
        running = self._is_running()
        self.buttons["Train"].disabled, self.buttons["Stop"].disabled = running, not running
        if words:
            role = "" if running else ' role="status"'  # read out at the end, not every epoch
            self.status.value = f"<div{role}>{html.escape(str(words))}</div>"
        self.chart.value, self.table.value = charts(self.runs, self._log_loss), table(self.runs)
        self._shown = time.monotonic()

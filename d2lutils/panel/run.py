"""One press of Train: its settings, what came of it, and both in words."""

import math
from dataclasses import dataclass, field
from functools import partial

from d2lutils.arguments import check_int, check_number
from d2lutils.plotting import PALETTE
from d2lutils.training import History
from d2lutils.words import Text, number

METRICS = {
    "train_loss": Text("training loss", "训练损失"),
    "valid_loss": Text("validation loss", "验证损失"),
    "train_accuracy": Text("training accuracy", "训练准确率"),
    "valid_accuracy": Text("validation accuracy", "验证准确率"),
}
_STATES = {
    "running": Text("running", "仍在进行"),
    "done": Text("done", "完成"),
    "stopped": Text("stopped", "停止"),
    "failed": Text("failed", "出错"),
}
_SUMMARY = Text(
    "Run {run} ({settings}), {state} after epoch {epoch}: {finals}.",
    "第 {run} 次运行（{settings}），第 {epoch} 轮后{state}：{finals}。",
)


def _steps(low: int, high: int, kind: type = float) -> list:
    """Four stops a decade from 10**low to 10**high, as exact as if they were typed."""
    stops = [kind(float(f"{m}e{e}")) for e in range(low, high) for m in (1, 2, 3, 5)]
    return [*stops, kind(10**high)]


_SHARE = (partial(check_number, low=0, high=1), [i / 20 for i in range(21)])
_COUNT = partial(check_int, low=1)
# The name beside the slider, what a value must be, and where the slider stops.
SLIDERS = {
    "lam": (Text("λ", "λ"), partial(check_number, low=0), [0.0, *_steps(-5, 2)]),
    "p": (Text("p", "p"), *_SHARE),
    "p1": (Text("p₁", "p₁"), *_SHARE),
    "p2": (Text("p₂", "p₂"), *_SHARE),
    "label_noise": (Text("label noise", "标签噪声"), *_SHARE),
    "noise": (Text("noise", "噪声"), partial(check_number, low=0), [0.0, *_steps(-3, 1)]),
    "num_train": (Text("training examples", "训练样本数"), _COUNT, _steps(0, 3, int)[3:]),
    "num_epochs": (Text("epochs", "轮数"), _COUNT, [*_steps(0, 2, int), 200]),
}


@dataclass
class Run:
    """One press of Train; as a string, what came of it."""

    number: int  # from 1
    settings: dict  # what the sliders said
    history: History = field(default_factory=History)  # up to the last finished epoch
    state: str = "running"  # or another key of _STATES

    @property
    def color(self) -> str:
        """The colour of its curves."""
        return PALETTE[(self.number - 1) % len(PALETTE)]

    def final(self, metric: str) -> str:
        """Return the last value of a curve; nothing where there is none."""
        values = getattr(self.history, metric)
        if not values or math.isnan(values[-1]):
            return ""
        return f"{values[-1]:.3f}" if "accuracy" in metric else f"{values[-1]:.4g}"

    def __str__(self) -> str:
        finals = [f"{name} {self.final(m)}" for m, name in METRICS.items() if self.final(m)]
        settings = [f"{SLIDERS[key][0]} = {number(value)}" for key, value in self.settings.items()]
        summary = _SUMMARY.format(
            run=self.number,
            settings=", ".join(settings),
            state=_STATES[self.state],
            epoch=len(self.history),
            finals=", ".join(finals),
        )
        return str(summary)

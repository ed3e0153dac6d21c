"""What the lessons of *Regularization, Hands-On* share: data, training, sweeps and figures."""

from d2lutils.checks import check
from d2lutils.data import (
    class_names,
    default_device,
    linear_data,
    load_fashion_mnist,
    set_seed,
)
from d2lutils.explorer import explore
from d2lutils.fetch import fetch_fashion_mnist
from d2lutils.panel import panel
from d2lutils.plotting import PALETTE, plot_history, show_images
from d2lutils.sweeps import compare, mlp, sweep
from d2lutils.training import History, evaluate, train

__all__ = [
    "PALETTE",
    "History",
    "check",
    "class_names",
    "compare",
    "default_device",
    "evaluate",
    "explore",
    "fetch_fashion_mnist",
    "linear_data",
    "load_fashion_mnist",
    "mlp",
    "panel",
    "plot_history",
    "set_seed",
    "show_images",
    "sweep",
    "train",
]

"""What the lessons of *Regularization, Hands-On* share: data, training and figures."""

from d2lutils.data import (
    class_names,
    default_device,
    fetch_fashion_mnist,
    linear_data,
    load_fashion_mnist,
    set_seed,
)
from d2lutils.plotting import PALETTE, plot_history, show_images
from d2lutils.training import History, evaluate, train

__all__ = [
    "PALETTE",
    "History",
    "class_names",
    "default_device",
    "evaluate",
    "fetch_fashion_mnist",
    "linear_data",
    "load_fashion_mnist",
    "plot_history",
    "set_seed",
    "show_images",
    "train",
]

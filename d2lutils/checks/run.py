"""How a check runs an answer: registered tasks, expectations, a time limit, a result that shows.

A check is a function of the learner's answer. It calls the answer on random inputs and states what
must hold with `expect` and the other helpers here, which raise `Wrong` at the first property that
does not. Whatever else happens (an exception in the answer, an endless loop, a value of no use)
becomes a hint as well: nothing is raised to the learner.
"""

import ctypes
import html
import importlib
import inspect
import linecache
import math
import random
import re
import secrets
import sys
import sysconfig
import threading
import traceback
import warnings
from collections.abc import Callable, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_flatten

from d2lutils.words import in_each, say, spans

_RIGHT = "right, on fresh random inputs"
TIME_LIMIT = 10.0  # seconds; a right answer needs less than two
TASKS: dict[str, "Task"] = {}
_NOT_THE_LEARNERS = [Path(__file__).parent, Path(torch.__file__).parent] + [
    Path(sysconfig.get_path(name)) for name in ("stdlib", "purelib", "platlib")
]


class Wrong(Exception):
    """The answer lacks a property: what is wrong in a few words, and a hint with numbers.

    The hint is a template that `values` fill, so that it can be translated.
    """

    def __init__(self, diagnosis: str, hint: str, **values):
        super().__init__(diagnosis)
        self.diagnosis, self.hint, self.values = diagnosis, hint, values


@dataclass(frozen=True)
class Task:
    """One exercise: its name, how its answer is called, and the function that checks it."""

    name: str
    call: str
    run: Callable


def task(name: str, call: str) -> Callable:
    """Register a check, as a decorator.

    Parameters
    ----------
    name : str
        ``"chapter.exercise"``.
    call : str
        How the answer will be called, such as ``"dropout(X, p)"``: shown in hints, and compared
        with the parameters of the answer before the check starts.
    """

    def register(run):
        TASKS[name] = Task(name, call, run)
        return run

    return register


@dataclass(frozen=True)
class Result:
    """What `check` returns: shows itself in a notebook, a built page and a terminal.

    Attributes
    ----------
    name : str
        Of the exercise.
    passed : bool
        Whether every property held.
    diagnosis : str
        What is wrong, in a few words; empty if nothing is.
    template, values : str, dict
        The hint, with `{…}`, and what to fill in.
    seed : int
        Repeats this very check: ``check(name, answer, seed=seed)``.
    """

    name: str
    passed: bool
    diagnosis: str = ""
    template: str = ""
    values: Mapping = field(default_factory=dict, hash=False, repr=False)
    seed: int = 0

    @property
    def hint(self) -> str:
        """A sentence or two that lead on, in English; empty if nothing is wrong."""
        return say(self.template, "en", **self.values)

    def __repr__(self) -> str:
        """Show the result in a terminal, in the language of the notebook."""
        if self.passed:
            return f"✓ {self.name}: {say(_RIGHT)}"
        return f"✗ {self.name}: {say(self.diagnosis)}\n  {say(self.template, **self.values)}"

    def _repr_html_(self) -> str:
        # The colours are the result's own: it must be legible on a light and on a dark page.
        if self.passed:
            mark, ink, ground, edge = "✓", "#0f3d1e", "#e9f6ec", "#1a7f37"
            words = spans(in_each(_RIGHT))
        else:
            mark, ink, ground, edge = "✗", "#4a2500", "#fff3e3", "#b35900"
            words = f"<b>{spans(in_each(self.diagnosis), _code)}</b>"
        hint = spans(in_each(self.template, **self.values), _code) if self.template else ""
        hint = hint and f'<div style="margin-top:.3em">{hint}</div>'
        return (
            f'<div class="d2l-check" style="color:{ink};background:{ground};'
            f'border-left:.3em solid {edge};padding:.4em .8em;overflow-wrap:anywhere">'
            f'<span aria-hidden="true">{mark}</span> {_code(f"`{self.name}`")}: {words}{hint}</div>'
        )


def _code(text: str) -> str:
    """Return the text as HTML, with `…` as code."""
    style = "color:inherit;background:none;border:0;padding:0"  # a theme may have others
    code = rf'<code style="{style}">\1</code>'
    return re.sub(r"`([^`]+)`", code, html.escape(text, quote=False))


# What checks say ----------------------------------------------------------------------------------


def expect(condition: object, diagnosis: str, hint: str, **values) -> None:
    """Raise `Wrong` unless the condition holds."""
    if not condition:
        raise Wrong(diagnosis, hint, **values)


def expect_close(got, want, what: str, *, suspects: dict = {}, rtol=1e-4, atol=1e-6) -> None:  # noqa: B006
    """Raise `Wrong` unless the two agree, and say which usual mistake would give `got`.

    Parameters
    ----------
    got, want : torch.Tensor or float
        What the answer returned, already of the right type and shape, and what is right.
    what : str
        What is compared, such as ``"penalty(w)"``.
    suspects : dict of str to (value, str)
        A diagnosis, the value that this mistake leads to, and the hint to give then, which may
        use `{what}`.
    rtol, atol : float
        As in `torch.isclose`.
    """
    got, want = _double(got), _double(want)

    def agree(value):
        value = _double(value)
        return value.shape == got.shape and torch.allclose(got, value, rtol, atol, equal_nan=True)

    if agree(want):
        return
    for diagnosis, (value, hint) in suspects.items():
        if agree(value) and not torch.allclose(_double(value), want, rtol, atol):
            raise Wrong(diagnosis, hint, what=what)
    expect(
        torch.isfinite(got).all() or not torch.isfinite(want).all(),
        "not a finite number",
        "`{what}` gave nan or inf. Look for a division by zero or the logarithm of zero.",
        what=what,
    )
    worst = (got - want).abs().argmax()
    raise Wrong(
        "wrong value",
        "`{what}` should be {want} at index {index}; yours is {got}."
        if got.ndim
        else "`{what}` should be {want}; yours is {got}.",
        what=what,
        want=_short(want.flatten()[worst]),
        got=_short(got.flatten()[worst]),
        index=_index(worst, want.shape),
    )


def _double(value) -> torch.Tensor:
    return torch.as_tensor(value).detach().to("cpu", torch.float64)


def _short(value) -> str:
    return f"{float(value):.4g}"


def _index(flat: int, shape: torch.Size) -> list[int]:
    return [int(i) for i in torch.unravel_index(torch.as_tensor(flat), shape)]


def tensor(value: object, what: str, shape: tuple | None = None) -> torch.Tensor:
    """Return the value if it is a tensor of that shape; raise `Wrong` if not."""
    returned(value, what)
    expect(
        isinstance(value, torch.Tensor),
        "wrong type returned",
        "`{what}` should return a tensor; yours returns something of type `{kind}`.",
        what=what,
        kind=type(value).__name__,
    )
    expect(
        shape is None or value.shape == torch.Size(shape),
        "wrong shape",
        "`{what}` should have shape {want}; yours has {got}.",
        what=what,
        want=tuple(shape or ()),
        got=tuple(value.shape),
    )
    return value


def number(value: object, what: str) -> float:
    """Return the value as a float if it is one number, also a tensor of one; else raise `Wrong`."""
    returned(value, what)
    shape = getattr(value, "shape", ())
    expect(
        math.prod(shape) == 1,
        "not one number",
        "`{what}` should be one number; yours has shape {shape}.",
        what=what,
        shape=tuple(shape),
    )
    try:
        if not isinstance(value, (str, bytes, bool)):
            return float(value)
    except (TypeError, ValueError, RuntimeError):
        pass
    raise Wrong(
        "not one number",
        "`{what}` should be one number; yours is of type `{kind}`.",
        what=what,
        kind=type(value).__name__,
    )


def numbers(values: object, what: str, count: int) -> torch.Tensor:
    """Return so many numbers, from a list, a tuple or a tensor, as a tensor of float64."""
    returned(values, what)
    try:
        several = list(values)
    except TypeError:
        several = None
    expect(
        several is not None and not isinstance(values, (str, bytes, dict, set)),
        "wrong type returned",
        "`{what}` should return {count} numbers; yours returns something of type `{kind}`.",
        what=what,
        count=count,
        kind=type(values).__name__,
    )
    expect(
        len(several) == count,
        "wrong number of values",
        "`{what}` should return {count} numbers; yours returns {got}.",
        what=what,
        count=count,
        got=len(several),
    )
    return torch.tensor([number(value, what) for value in several], dtype=torch.float64)


def returned(value: object, what: str) -> None:
    """Raise `Wrong` if the answer is still the stub, or does not return."""
    expect(
        value is not None and value is not ...,
        "nothing returned",
        "`{what}` returned nothing. Replace the `...`, and end with `return`.",
        what=what,
    )


@contextmanager
def unchanged(**tensors: torch.Tensor):
    """Raise `Wrong` if one of the named tensors holds other values afterwards."""
    before = {name: value.detach().clone() for name, value in tensors.items()}
    yield
    for name, value in tensors.items():
        expect(
            torch.equal(before[name], value.detach()),
            "input changed in place",
            "Your code changed the values of `{name}` itself, which belongs to the caller. "
            "Work on a new tensor: `{name} * mask`, not `{name} *= mask`.",
            name=name,
        )


@contextmanager
def elsewhere(name: str):
    """Raise `Wrong` if an answer would fail on a GPU: run it on a CPU tensor in here.

    Tensors that are made without naming a device land on another device than the input. They lie on
    "meta", which has no values; an answer that looks at their values is let through.
    """
    try:
        with _NewTensorsElsewhere():
            yield
    except (RuntimeError, NotImplementedError) as error:
        expect(
            "expected device" not in str(error),
            "mask on the CPU",
            "With `{name}` on a GPU, your code would mix two devices. Make new tensors where "
            "`{name}` is: `torch.rand_like({name})`, or `device={name}.device`.",
            name=name,
        )


class _NewTensorsElsewhere(TorchFunctionMode):
    """Puts each tensor on "meta" that is made from no other and without a device."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        given, _ = tree_flatten((args, kwargs))
        made = not any(isinstance(value, (torch.Tensor, torch.device)) for value in given)
        # A tensor of one number may stand beside those of any device.
        return out.to("meta") if made and isinstance(out, torch.Tensor) and out.ndim else out


# Running an answer --------------------------------------------------------------------------------


def run(name: str, answer: object, seed: int | None = None) -> Result:
    """Run one check in a thread of its own, and return what it found; see `check`."""
    seed = secrets.randbits(31) if seed is None else seed
    found = []
    # The first optimizer of a process loads this, for seconds: a thread that is stopped meanwhile
    # would leave half a module behind, and no optimizer would work any more.
    importlib.import_module("torch._dynamo")

    def examine():
        try:
            found.append(_examine(name, answer, seed))
        except _OutOfTime:
            pass  # nobody waits any more

    worker = threading.Thread(target=examine, daemon=True)
    with _notebook_undisturbed():
        try:
            worker.start()
            worker.join(TIME_LIMIT)
            wrong = _too_slow(worker) if worker.is_alive() else found[0]
        except KeyboardInterrupt:
            wrong = Wrong("interrupted", "You stopped the check before it was done.")
        if worker.is_alive():
            reaper = threading.Thread(target=_end, args=(worker,), daemon=True)
            reaper.start()
            reaper.join(1.0)  # most have stopped by then; the notebook waits no longer
    if wrong is None:
        return Result(name, True, seed=seed)
    # As text: what belongs to the learner may change until the result is shown.
    values = {key: str(value) for key, value in wrong.values.items()}
    return Result(name, False, wrong.diagnosis, wrong.hint, values, seed)


@contextmanager
def _notebook_undisturbed():
    """Drop what is printed meanwhile, and put back what an answer may change for the notebook."""
    dtype, rng = torch.get_default_dtype(), torch.get_rng_state()
    python_rng, numpy_rng = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        with redirect_stdout(_Sink()), redirect_stderr(_Sink()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        torch.set_default_dtype(dtype)
        torch.set_rng_state(rng)
        random.setstate(python_rng)
        np.random.set_state(numpy_rng)  # noqa: NPY002


def _too_slow(worker: threading.Thread) -> Wrong:
    """Say how long a thread has had, and where in the learner's code it is."""
    frame = sys._current_frames().get(worker.ident)
    line = _learners_line(traceback.extract_stack(frame) if frame else [])
    return Wrong(
        "takes too long",
        "No end after {limit} seconds, in line {line}: `{code}`. Does a loop ever stop?"
        if line
        else "No end after {limit} seconds. Does a loop ever stop?",
        limit=f"{TIME_LIMIT:g}",
        **line,
    )


class _Sink:
    """Takes whatever is written, and keeps nothing."""

    def write(self, text):
        return len(text)

    def flush(self):
        pass


class _OutOfTime(BaseException):
    """Raised inside an answer that does not end; no `except Exception` holds it."""


def _end(worker: threading.Thread) -> None:
    """Ask a thread to stop until it does: an answer may catch what is raised, and run on."""
    while worker.is_alive():
        ctypes.pythonapi.PyThreadState_SetAsyncExc(
            ctypes.c_ulong(worker.ident), ctypes.py_object(_OutOfTime)
        )
        worker.join(0.05)


def _learners_line(stack: list[traceback.FrameSummary]) -> dict:
    """Return the innermost line that the learner wrote and its number; nothing if there is none."""
    for frame in reversed(stack):
        code = linecache.getline(frame.filename, frame.lineno).strip()
        if code and not _is_ours_or_installed(frame.filename):
            return {"line": frame.lineno, "code": code}
    return {}


def _is_ours_or_installed(filename: str) -> bool:
    path = Path(filename)
    return any(path.is_relative_to(folder) for folder in _NOT_THE_LEARNERS)


def _examine(name: str, answer: object, seed: int) -> Wrong | None:
    """Return what is wrong with the answer, or None."""
    torch.default_generator.manual_seed(seed)  # the inputs lie on the CPU
    try:
        _fits(TASKS[name].call, answer)
        TASKS[name].run(answer)
    except Wrong as wrong:
        return wrong
    except _OutOfTime:
        raise
    except BaseException as error:  # also exit() and what a learner derives from BaseException
        return _raised(error, TASKS[name].call)
    return None


def _raised(error: BaseException, call: str) -> Wrong:
    """Return a hint in place of an exception, with the learner's line if it came from there."""
    line = _learners_line(traceback.extract_tb(error.__traceback__))
    what = {"kind": type(error).__name__, "error": _message(error)}
    if line or isinstance(error, (SystemExit, KeyboardInterrupt)):
        return Wrong(
            "raises an exception",
            "Your code raised {kind} in line {line}, `{code}`: {error}"
            if line
            else "Your code raised {kind}: {error}",
            **what,
            **line,
        )
    return Wrong(
        "cannot be used",
        "`{call}` does not give what is asked for, so that the check stopped ({kind}: {error}).",
        call=call,
        **what,
    )


def _message(error: BaseException) -> str:
    """Return what an exception says, in at most a few lines."""
    try:
        text = str(error)
    except Exception:  # the learner's own class may fail even here
        text = ""
    return (text if len(text) <= 400 else text[:400] + " …") or "no message"


def _fits(call: str, answer: object) -> None:
    """Raise `Wrong` unless the answer can be called like that."""
    expect(
        answer is not None and answer is not ...,
        "nothing returned",
        "There is no answer yet: write `{call}` where the `...` stands.",
        call=call,
    )
    expect(
        callable(answer),
        "not a function",
        "Hand over the function itself, `{function}`, which is called as `{call}`; this is of type "
        "`{kind}`.",
        function=call.partition("(")[0],
        call=call,
        kind=type(answer).__name__,
    )
    parameters = re.findall(r"[\w*]+", call.partition("(")[2])
    try:
        inspect.signature(answer).bind(*parameters)
    except TypeError:
        raise Wrong(
            "wrong parameters",
            "It is called as `{call}`; yours takes `{yours}`.",
            call=call,
            yours=str(inspect.signature(answer)),
        ) from None
    except ValueError:  # a built-in function without a signature
        pass

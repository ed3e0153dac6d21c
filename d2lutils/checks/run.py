"""How an answer is run: for a limited time, and with nothing left behind in the notebook.

Whatever happens (an exception in the answer, an endless loop, a value of no use) becomes a hint:
nothing is raised to the learner. Where there is no time limit, an endless loop is interrupted by
hand, and that gives a hint too.
"""

import builtins
import contextlib
import functools
import linecache
import math
import operator
import os
import random
import secrets
import signal
import sys
import sysconfig
import threading
import time
import traceback
import warnings
from collections.abc import Callable
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path
from types import FrameType

import numpy as np
import torch
from torch import nn

from d2lutils.arguments import check_seed
from d2lutils.checks.exercise import Exercise, expect_parameters
from d2lutils.checks.expect import HOOKS_OF_ALL_NETS, Wrong, unchanged
from d2lutils.checks.result import Result
from d2lutils.words import Text, error_text

TIME_LIMIT = 10.0  # seconds; a right answer needs less than two
# Where prints go. Never closed: the answer may have kept it, as a handler of logging does.
_SINK = open(os.devnull, "w", encoding="utf-8", errors="replace")
_PACKAGE = Path(__file__).parent.parent
_NOT_THE_LEARNERS = [
    *(_PACKAGE, _PACKAGE.with_name("d2lexercises"), Path(torch.__file__).parent),
    *(Path(sysconfig.get_path(name)) for name in ("stdlib", "purelib", "platlib")),
]

def run(exercise: Exercise, answer: object, seed: int | None = None) -> Result:
    """Run one check, for a limited time, and return what it found; see `check`."""
    seed = secrets.randbits(31) if seed is None else check_seed(seed)
    with _notebook_undisturbed():
        wrong = _examine(exercise, answer, seed)
    if wrong is None:
        return Result(exercise.name, True, seed)
    return Result(exercise.name, False, seed, (wrong.diagnosis, wrong.hint))

def _examine(exercise: Exercise, answer: object, seed: int) -> Wrong | None:
    """Return what is wrong with the answer, or None."""
    replaced = []
    try:
        _optimizers_loading().join()
        before = _namespaces()
        torch.default_generator.manual_seed(seed ^ 1 << 40)  # the same numbers, but no seed that an answer sets
        try:
            with _time_limit():
                _judge(exercise, answer)
            wrong = None
        except Wrong as error:
            wrong = error
        finally:
            replaced = _put_back(before)
    except _OutOfTime as error:
        return _too_slow(error)
    except BaseException as error:  # also exit() and what a learner derives from BaseException
        wrong = _raised(error, exercise.call)
        if not replaced or wrong.diagnosis.en != "cannot be used":
            return wrong
    return _left_replaced(replaced) if replaced else wrong

def _judge(exercise: Exercise, answer: object) -> None:
    """Raise what is wrong with the answer; the time limit stops what is called from here, only."""
    expect_parameters(exercise.call, answer)

    @functools.wraps(answer)
    def watched(*arguments, **named):
        with unchanged(seed=False):
            return answer(*arguments, **named)

    with unchanged(seed=False):
        exercise.run(answer if isinstance(answer, type) else watched)

@functools.cache
def _optimizers_loading() -> threading.Thread:
    """Load the modules of torch that the first optimizer needs: not in the learner's time.

    That takes seconds. In a thread of its own it is done even if the learner interrupts the check;
    torch would not work with half of them.
    """
    load = functools.partial(torch.optim.SGD, [torch.zeros(1)], lr=1.0)
    thread = threading.Thread(target=load, daemon=True)
    thread.start()
    return thread

class _OutOfTime(BaseException):
    """Raised inside an answer that does not end; no `except Exception` holds it."""

@contextmanager
def _time_limit():
    """Raise `_OutOfTime` once the time is over, again and again: an answer may catch it.

    Windows has no such signal, and other threads than the main one get none: no limit there.
    """
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return
    first = []

    def ring(signum, frame):
        stack = _stack_below_judge(frame)
        if any("importlib._bootstrap" in place.filename for place in stack):
            return  # half a module would stay behind; the next ring comes soon
        if stack:
            first.append(_OutOfTime(_learners_line(stack)))
            raise first[-1]

    started, handler = time.monotonic(), signal.signal(signal.SIGALRM, ring)
    timer, interval = signal.setitimer(signal.ITIMER_REAL, TIME_LIMIT, 0.05)
    try:
        yield
    except _OutOfTime:
        pass
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler or signal.SIG_DFL)
        if timer:  # somebody else's, which goes on
            left = timer - (time.monotonic() - started)
            signal.setitimer(signal.ITIMER_REAL, max(left, 1e-3), interval)
        if first:  # whatever the answer did about it
            raise first[0]

def _stack_below_judge(frame: FrameType | None) -> list[traceback.FrameSummary]:
    """Return the stack from `_judge` to this frame; nothing if it is not called from there."""
    count = 0
    for inner, _ in traceback.walk_stack(frame):
        count += 1
        if inner.f_code is _judge.__code__:
            return traceback.extract_stack(frame, limit=count)
    return []

def _fill(container: dict | list, content: dict | list) -> None:
    if container != content:
        container.clear()
        (container.update if isinstance(content, dict) else container.extend)(content)

_SETTINGS = [  # of the process: how to get one, how to set it, and what an answer finds
    (torch.get_default_dtype, torch.set_default_dtype, torch.float32),
    (torch.get_deterministic_debug_mode, torch.set_deterministic_debug_mode, 0),
    (torch.is_anomaly_enabled, torch.autograd.set_detect_anomaly, False),
    (torch.get_num_threads, torch.set_num_threads),
    (np.geterr, lambda kept: np.seterr(**kept), {"all": "warn"}),
    (vars(torch._tensor_str.PRINT_OPTS).copy, lambda kept: torch.set_printoptions(**kept)),
    (np.get_printoptions, lambda kept: np.set_printoptions(**kept)),
    (random.getstate, random.setstate),
    (np.random.get_state, np.random.set_state),  # noqa: NPY002
    (sys.getrecursionlimit, sys.setrecursionlimit),
    (os.getcwd, os.chdir),
    (os.environ.copy, functools.partial(_fill, os.environ)),
    (sys.path.copy, functools.partial(_fill, sys.path)),
    (lambda: {number: signal.getsignal(number) for number in signal.valid_signals()},
     lambda kept: [signal.signal(*pair) for pair in kept.items() if pair[1] != signal.getsignal(pair[0])]),
    *((hooks.copy, functools.partial(_fill, hooks)) for hooks in HOOKS_OF_ALL_NETS),
]

@contextmanager
def _notebook_undisturbed():
    """Give the answer torch's usual settings, drop what it prints, and put back what it changes."""
    gpus = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    with ExitStack() as stack:
        for get, put, *usual in _SETTINGS:
            with suppress(OSError):  # the working directory may be gone
                stack.callback(_quietly, put, get())
            for value in usual:
                put(value)
        with (
            _new_tensors_on_the_cpu(), torch.random.fork_rng(gpus), warnings.catch_warnings(),
            torch.inference_mode(False), torch.autocast("cpu", enabled=False),  # nor `no_grad`
            contextlib.redirect_stdout(_SINK), contextlib.redirect_stderr(_SINK),
        ):  # fmt: skip
            warnings.simplefilter("ignore")
            yield

def _quietly(put: Callable, value: object) -> None:
    with suppress(Exception):  # whatever happens to one setting, the others are put back
        put(value)

@contextmanager
def _new_tensors_on_the_cpu():
    """Let no default device count, neither one that was set nor one of `with torch.device(…)`."""
    device = torch.empty(0).device
    with suppress(RuntimeError):  # the answer may have taken the context away
        with nullcontext() if device.type == "cpu" else torch.device("cpu"):
            yield
    if torch.empty(0).device != device:
        torch.set_default_device(None if device.type == "cpu" else device)

def _namespaces() -> list[tuple]:
    """Return the modules and classes in which an answer may replace something, with what they hold."""
    modules = [torch, nn, nn.functional, nn.init, torch.optim, np, np.random, random, math, time, builtins]
    classes = {c for m in modules[:5] for c in vars(m).values() if isinstance(c, type)}
    return [(space, dict(vars(space))) for space in (*modules, *classes)]

def _put_back(before: list[tuple]) -> list[str]:
    """Put back what was replaced, and return its names."""
    replaced = []
    torch.set_default_dtype(torch.float32)  # which decides what some names of torch stand for
    for space, kept in before:
        now = dict(vars(space))
        if len(now) == len(kept) and all(map(operator.is_, now.values(), kept.values())):
            continue
        added = now.keys() - kept.keys() if isinstance(space, type) else ()
        for name in {n for n in kept if n not in now or now[n] is not kept[n]} | set(added):
            new, original = now.get(name), kept.get(name) if name in kept else getattr(space.__base__, name, None)
            wrapped = getattr(new, "__wrapped__", None)
            # Python and torch add names, and wrap functions, when something is used for the first time.
            by_torch = wrapped is not None and wrapped is original and _is_ours_or_installed(new.__code__.co_filename)
            if name[0] == "_" or by_torch:
                continue
            replaced.append(f"{space.__name__}.{name}")
            setattr(space, name, original) if name in kept else delattr(space, name)
    return sorted(replaced)

# What went wrong, in words ------------------------------------------------------------------------

def _too_slow(error: _OutOfTime) -> Wrong:
    """Say where in the learner's code the time ran out."""
    (line,) = error.args
    where = Text(", in line {line}: `{code}`", "，当时正执行第 {line} 行：`{code}`").format(**line) if line else ""
    return Wrong("takes too long", "运行时间过长",
                 "Stopped after {limit} seconds{where}. Either a loop never ends, or the code is slow: then let one "
                 "operation on a whole tensor take the place of a loop over its entries.",
                 "运行了 {limit} 秒，被停了下来{where}。要么有循环停不下来，要么代码太慢：太慢时，"
                 "请用对整个张量的一次运算代替逐个元素的循环。", limit=f"{TIME_LIMIT:g}", where=where)

def _left_replaced(names: list[str]) -> Wrong:
    return Wrong("library function replaced", "库函数被替换",
                 "Your code left something else in the place of `{name}`, for everything that runs later; the check has "
                 "put it back. Leave it alone, or put it back yourself at the end.",
                 "你的代码把 `{name}` 换成了别的东西，会影响此后运行的一切；检查已把它恢复原样。请不要改动它，或在最后自己恢复。",
                 name=names[0])

def _raised(error: BaseException, call: str) -> Wrong:
    """Return a hint in place of an exception, with the learner's line if it came from there."""
    if isinstance(error, KeyboardInterrupt):
        return Wrong("interrupted", "已中断",
                     "You stopped the check before it was done.",
                     "检查还没做完，就被你中断了。")
    line = _learners_line(traceback.extract_tb(error.__traceback__))
    what = {"kind": type(error).__name__, "error": error_text(error)}
    if line:
        return Wrong("raises an exception", "抛出异常",
                     "Your code raised {kind} in line {line}, `{code}`: {error}",
                     "你的代码在第 {line} 行 `{code}` 抛出 {kind}：{error}", **what, **line)
    if isinstance(error, SystemExit):
        return Wrong("raises an exception", "抛出异常",
                     "Your code raised {kind}: {error}",
                     "你的代码抛出 {kind}：{error}", **what)
    return Wrong("cannot be used", "结果无法使用",
                 "`{call}` does not give what is asked for, so that the check stopped ({kind}: {error}).",
                 "`{call}` 给出的不是题目要求的结果，检查无法继续（{kind}：{error}）。", call=call, **what)

def _learners_line(stack: list[traceback.FrameSummary]) -> dict:
    """Return the innermost line that the learner wrote and its number; nothing if there is none."""
    for frame in reversed(stack):
        code = linecache.getline(frame.filename, frame.lineno).strip()
        if code and not _is_ours_or_installed(frame.filename):
            return {"line": frame.lineno, "code": code}
    return {}

def _is_ours_or_installed(filename: str) -> bool:
    return any(Path(filename).is_relative_to(folder) for folder in _NOT_THE_LEARNERS)

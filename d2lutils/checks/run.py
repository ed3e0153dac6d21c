"""How an answer is run: for a limited time, and with nothing left behind in the notebook.

Whatever happens (an exception in the answer, an endless loop, a value of no use) becomes a hint:
nothing is raised to the learner. Where there is no time limit, an endless loop is interrupted by
hand, and that gives a hint too.
"""

import functools
import linecache
import os
import random
import secrets
import signal
import sysconfig
import threading
import time
import traceback
import warnings
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from types import FrameType

import numpy as np
import torch

from d2lutils.checks.exercise import Exercise, expect_parameters
from d2lutils.checks.expect import Wrong
from d2lutils.checks.result import Result
from d2lutils.words import error_text

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
    seed = secrets.randbits(31) if seed is None else seed
    with _notebook_undisturbed():
        wrong = _examine(exercise, answer, seed)
    if wrong is None:
        return Result(exercise.name, True, seed)
    return Result(exercise.name, False, seed, (wrong.diagnosis, wrong.hint))


def _examine(exercise: Exercise, answer: object, seed: int) -> Wrong | None:
    """Return what is wrong with the answer, or None."""
    torch.default_generator.manual_seed(seed)  # the inputs lie on the CPU
    try:
        _optimizers_loading().join()
        with _time_limit():
            _judge(exercise, answer)
    except Wrong as wrong:
        return wrong
    except _OutOfTime as error:
        return _too_slow(error)
    except BaseException as error:  # also exit() and what a learner derives from BaseException
        return _raised(error, exercise.call)
    return None


def _judge(exercise: Exercise, answer: object) -> None:
    """Raise what is wrong with the answer; the time limit stops what is called from here, only."""
    expect_parameters(exercise.call, answer)
    exercise.run(answer)


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


@contextmanager
def _notebook_undisturbed():
    """Give the answer torch's usual settings, drop what it prints, and put back what it changes."""
    device, dtype = torch.empty(0).device, torch.get_default_dtype()
    python_rng, numpy_rng = random.getstate(), np.random.get_state()  # noqa: NPY002
    gpus = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    torch.set_default_device(None)
    torch.set_default_dtype(torch.float32)
    try:
        with (
            torch.random.fork_rng(gpus), torch.enable_grad(), warnings.catch_warnings(),
            redirect_stdout(_SINK), redirect_stderr(_SINK),
        ):  # fmt: skip
            warnings.simplefilter("ignore")
            yield
    finally:
        torch.set_default_device(None if device.type == "cpu" else device)
        torch.set_default_dtype(dtype)
        random.setstate(python_rng)
        np.random.set_state(numpy_rng)  # noqa: NPY002


# What went wrong, in words ------------------------------------------------------------------------


def _too_slow(error: _OutOfTime) -> Wrong:
    """Say where in the learner's code the time ran out."""
    (line,) = error.args
    words = ("takes too long", "运行时间过长")
    if line:
        return Wrong(*words,
                     "No end after {limit} seconds, in line {line}: `{code}`. Does a loop ever stop?",
                     "运行 {limit} 秒仍未结束，正执行到第 {line} 行：`{code}`。是不是有循环停不下来？",
                     limit=f"{TIME_LIMIT:g}", **line)
    return Wrong(*words,
                 "No end after {limit} seconds. Does a loop ever stop?",
                 "运行 {limit} 秒仍未结束。是不是有循环停不下来？", limit=f"{TIME_LIMIT:g}")


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

"""What an exercise is, and the two ways to write one.

Most answers compute a value: `value_exercise` compares it with the right one and names the usual
mistake that would give it. What an answer *does* (a layer, a loop, an optimizer) is checked by a
function of one's own, under the decorator `exercise`.
"""

import inspect
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from d2lutils.checks.expect import (
    Mistake,
    agree,
    expect,
    expect_close,
    number,
    short,
    tensor,
    unchanged,
)

EXERCISES: dict[str, "Exercise"] = {}

@dataclass(frozen=True)
class Exercise:
    """One exercise.

    Attributes
    ----------
    name : str
        ``"chapter.exercise"``.
    call : str
        How the answer will be called, such as ``"dropout(X, p)"``: shown in hints, and compared
        with the parameters of the answer before the check starts.
    run : callable
        ``run(answer)`` raises `Wrong` at the first property that does not hold.
    right : callable or None
        A right answer, of an exercise that computes a value.
    mistakes : sequence of Mistake
        Wrong answers, each with the diagnosis that it must draw.
    """

    name: str
    call: str
    run: Callable
    right: Callable | None = None
    mistakes: Sequence[Mistake] = ()

def exercise(name: str, call: str, mistakes: Sequence[Mistake] = ()) -> Callable:
    """Register a function of the answer as the check of an exercise, as a decorator.

    Parameters
    ----------
    name, call, mistakes
        See `Exercise`. The check raises each mistake's diagnosis by itself.
    """

    def register(run):
        EXERCISES[name] = Exercise(name, call, run, mistakes=mistakes)
        return run

    return register

def value_exercise(
    name: str,
    call: str,
    *,
    inputs: Callable[[], Iterable[Mapping]],
    right: Callable,
    mistakes: Sequence[Mistake],
    returns: Callable = lambda value, call, arguments: number(value, call),
    also: Callable | None = None,
    rtol: float = 1e-4,
    atol: float = 1e-6,
) -> None:
    """Register an exercise whose answer computes a value.

    Parameters
    ----------
    name, call
        See `Exercise`.
    inputs : callable
        Yields the arguments of each call, by name, in the order of `call`.
    right : callable
        A right answer.
    mistakes : sequence of Mistake
        Each with a wrong answer. One is named if it explains every value.
    returns : callable, default one number
        ``returns(value, call, arguments)`` raises `Wrong` unless the value is of the right kind,
        and returns what is compared: a number, a tensor, or a mapping of those from the name of
        each part. See `like`.
    also : callable, optional
        ``also(answer, arguments, value)`` states what must hold besides, once the value is right.
    rtol, atol : float
        As in `torch.isclose`.
    """

    def read(value, arguments):
        value = returns(value, call, arguments)
        return value if isinstance(value, Mapping) else {"": value}

    def outcome(function, given):
        try:
            return read(function(*given.values()), given)
        except Exception:  # not every wrong formula has a value everywhere
            return None

    def explains(mistake, part, cases):
        pairs = [(outcome(mistake.gives, given), got) for given, got in cases]
        return all(agree(a[part], b[part], rtol, atol) if a and b else a is b for a, b in pairs)

    def ask(answer, arguments):
        kept = (torch.Tensor, np.ndarray, list, nn.Module)
        with unchanged(**{k: v for k, v in arguments.items() if isinstance(v, kept)}):
            value = answer(*arguments.values())
        return value, read(value, arguments)

    def run(answer):
        cases, coming = [], iter(inputs())
        for arguments in coming:
            value, got = ask(answer, arguments)
            want = read(right(*arguments.values()), arguments)
            cases.append((arguments, got))
            for part in want:
                if agree(got[part], want[part], rtol, atol):
                    continue
                cases += [(later, outcome(answer, later)) for later in coming]
                what = part or _with_values(call, arguments)
                for mistake in mistakes:
                    if explains(mistake, part, cases):
                        raise mistake.wrong(what)
                expect_close(got[part], want[part], what, rtol=rtol, atol=atol)
            if also:
                also(answer, arguments, value)

    EXERCISES[name] = Exercise(name, call, run, right, mistakes)

def _with_values(call: str, arguments: Mapping) -> str:
    """Return a call with the values of its arguments, where these are numbers and few."""

    def show(name, value):
        few = hasattr(value, "tolist") and math.prod(value.shape) <= 30
        try:
            text = short(value.tolist() if few else value)
        except (TypeError, ValueError, RuntimeError):  # no numbers
            return name
        return text if len(text) < 300 else name

    return f"{call.partition('(')[0]}({', '.join(map(show, arguments, arguments.values()))})"

def like(argument: str) -> Callable:
    """Return a `returns` for `value_exercise`: a tensor with shape and dtype of an argument."""
    return lambda value, call, arguments: tensor(value, call, like=arguments[argument])

def expect_parameters(call: str, answer: object) -> None:
    """Raise `Wrong` unless the answer can be called like that."""
    expect(answer is not None and answer is not ..., "nothing returned", "什么都没有返回",
           "There is no answer yet: write `{call}` where the `...` stands.",
           "还没有答案：请在 `...` 处写出 `{call}`。", call=call)
    expect(callable(answer), "not a function", "不是函数",
           "Hand over the function itself, `{function}`, which is called as `{call}`; this is of type "
           "`{kind}`.",
           "请把函数本身交给检查，即 `{function}`，检查会以 `{call}` 的形式调用它；"
           "你交来的类型是 `{kind}`。", function=call.partition("(")[0], call=call, kind=type(answer).__name__)
    try:
        signature = inspect.signature(answer)
    except ValueError:  # a built-in function without a signature
        return
    try:
        signature.bind(*re.findall(r"[\w*]+", call.partition("(")[2]))
        fits = True
    except TypeError:
        fits = False
    expect(fits, "wrong parameters", "参数不对",
           "It is called as `{call}`; yours takes `{yours}`.",
           "调用方式是 `{call}`，你的函数接收的却是 `{yours}`。", call=call, yours=signature)

"""What a check can ask of an answer; the first thing that does not hold raises `Wrong`.

Every complaint is four strings: a diagnosis of a few words in English and in Chinese, then a hint in
English and in Chinese, with `{…}` for the numbers that were seen.
"""

import copy
import math
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from d2lutils.words import Text


class Wrong(Exception):
    """The answer lacks a property: a diagnosis and a hint, with the values filled in."""

    def __init__(self, diagnosis: str, diagnosis_zh: str, hint: str, hint_zh: str, /, **values):
        super().__init__(diagnosis)
        # As text at once: what belongs to the learner may change until it is shown.
        values = {k: v if isinstance(v, Text) else str(v) for k, v in values.items()}
        self.diagnosis = Text(diagnosis, diagnosis_zh)
        self.hint = Text(hint, hint_zh).format(**values)


@dataclass(frozen=True)
class Mistake:
    """A usual mistake: what it gives, and what to tell the learner who made it.

    `gives` is a value, or, in a whole exercise, the wrong answer itself: a function of the same
    arguments. The hint may use ``{what}``.
    """

    gives: object
    diagnosis: str
    diagnosis_zh: str
    hint: str
    hint_zh: str

    @property
    def words(self) -> tuple[str, str, str, str]:
        """The diagnosis and the hint, as `expect` takes them."""
        return self.diagnosis, self.diagnosis_zh, self.hint, self.hint_zh

    def wrong(self, what: str) -> Wrong:
        """Return what is to be raised."""
        return Wrong(*self.words, what=what)


def expect(condition: object, *words: str, **values: object) -> None:
    """Raise `Wrong` with these four strings, and the values filled in, unless the condition holds."""
    if not condition:
        raise Wrong(*words, **values)


def agree(a: object, b: object, rtol: float = 1e-4, atol: float = 1e-6) -> bool:
    """Tell whether two numbers or tensors have the same shape and nearly the same values."""
    a, b = _double(a), _double(b)
    return a.shape == b.shape and torch.allclose(a, b, rtol, atol, equal_nan=True)


def expect_close(
    got: object,
    want: object,
    what: str,
    mistakes: Sequence[Mistake] = (),
    *,
    rtol: float = 1e-4,
    atol: float = 1e-6,
) -> None:
    """Raise `Wrong` unless the two agree, and say which usual mistake would give `got`.

    Parameters
    ----------
    got, want : torch.Tensor or float
        What the answer returned, already of the right type and shape, and what is right.
    what : str
        What is compared, such as ``"penalty(w)"``.
    mistakes : sequence of Mistake
        Each with the value that it leads to.
    rtol, atol : float
        As in `torch.isclose`.
    """
    if agree(got, want, rtol, atol):
        return
    for mistake in mistakes:
        if agree(got, mistake.gives, rtol, atol) and not agree(mistake.gives, want, rtol, atol):
            raise mistake.wrong(what)
    got, want = _double(got), _double(want)
    expect(torch.isfinite(got).all() or not torch.isfinite(want).all(), "not a finite number", "不是有限的数",
           "`{what}` gave nan or inf. Look for a division by zero or the logarithm of zero.",
           "`{what}` 给出了 nan 或 inf。看看有没有除以零，或者对零取对数。", what=what)
    worst = (got - want).abs().argmax()
    where = [int(i) for i in torch.unravel_index(worst, want.shape)]
    expect(got.numel() <= 3, "wrong value", "值不对",
           "`{what}` should be {want} at index {index}; yours is {got}.",
           "`{what}` 在下标 {index} 处应为 {want}，你的是 {got}。",
           what=what, index=where, want=short(want.flatten()[worst]), got=short(got.flatten()[worst]))
    raise Wrong("wrong value", "值不对",
                "`{what}` should be {want}; yours is {got}.",
                "`{what}` 应为 {want}，你的是 {got}。", what=what, want=short(want.tolist()), got=short(got.tolist()))


def _double(value) -> torch.Tensor:
    return torch.as_tensor(value).detach().to("cpu", torch.float64)


def short(value: object) -> str:
    """Write a number, or several, as hints do: to four significant digits."""
    if isinstance(value, (tuple, list)):
        return "[" + ", ".join(map(short, value)) + "]"
    return f"{float(value):.4g}"


# What came back -----------------------------------------------------------------------------------


def returned(value: object, what: str) -> None:
    """Raise `Wrong` if the answer is still the stub, or does not return."""
    expect(value is not None and value is not ..., "nothing returned", "什么都没有返回",
           "`{what}` returned nothing. Replace the `...`, and end with `return`.",
           "`{what}` 什么都没有返回。请把 `...` 换成代码，最后用 `return` 返回结果。", what=what)


def tensor(
    value: object, what: str, shape: tuple | None = None, like: torch.Tensor | None = None
) -> torch.Tensor:
    """Return the value if it is a tensor of that shape, or of shape and dtype of `like`."""
    returned(value, what)
    expect(isinstance(value, torch.Tensor), "wrong type returned", "返回值的类型不对",
           "`{what}` should return a tensor; yours returns something of type `{kind}`.",
           "`{what}` 应返回张量，你返回的类型却是 `{kind}`。", what=what, kind=type(value).__name__)
    shape = like.shape if like is not None else shape
    expect(shape is None or value.shape == torch.Size(shape), "wrong shape", "形状不对",
           "`{what}` should have shape {want}; yours has {got}.",
           "`{what}` 的形状应为 {want}，你的是 {got}。", what=what, want=tuple(shape or ()), got=tuple(value.shape))
    expect(like is None or value.dtype == like.dtype, "dtype changed", "数据类型变了",
           "`{what}` should have the dtype of its input, {want}; yours is {got}.",
           "`{what}` 的数据类型应与输入相同，即 {want}，你的是 {got}。",
           what=what, want=getattr(like, "dtype", ""), got=value.dtype)
    return value


def number(value: object, what: str) -> float:
    """Return the value as a float if it is one number, also a tensor of one; else raise `Wrong`."""
    returned(value, what)
    shape = getattr(value, "shape", ())
    words = ("not one number", "不是单个数")
    expect(math.prod(shape) == 1, *words,
           "`{what}` should be one number; yours has shape {shape}.",
           "`{what}` 应是单个数，你给出的形状却是 {shape}。", what=what, shape=tuple(shape))
    try:
        if not isinstance(value, (str, bytes, bool)):
            return float(value)
    except (TypeError, ValueError, RuntimeError):
        pass
    raise Wrong(*words,
                "`{what}` should be one number; yours is of type `{kind}`.",
                "`{what}` 应是单个数，你给出的类型却是 `{kind}`。", what=what, kind=type(value).__name__)


def numbers(values: object, what: str, count: int) -> torch.Tensor:
    """Return so many numbers, from a list, a tuple or a tensor, as a tensor of float64."""
    returned(values, what)
    try:
        several = list(values)
    except TypeError:
        several = None
    expect(several is not None and not isinstance(values, (str, bytes, dict, set)), "wrong type returned", "返回值的类型不对",
           "`{what}` should return {count} numbers; yours returns something of type `{kind}`.",
           "`{what}` 应返回 {count} 个数，你返回的类型却是 `{kind}`。",
           what=what, count=count, kind=type(values).__name__)
    expect(len(several) == count, "wrong number of values", "返回值的个数不对",
           "`{what}` should return {count} numbers; yours returns {got}.",
           "`{what}` 应返回 {count} 个数，你返回了 {got} 个。", what=what, count=count, got=len(several))
    return torch.tensor([number(value, what) for value in several], dtype=torch.float64)


# What must not happen meanwhile -------------------------------------------------------------------


@contextmanager
def unchanged(**values: object):
    """Raise `Wrong` if one of the named tensors, arrays or lists (of tensors, too) is another one afterwards."""
    before = {name: _copy(value) for name, value in values.items()}
    yield
    for name, value in values.items():
        same = _same(before[name], value)
        expect(same or not isinstance(value, list), "input changed in place", "就地改动了输入",
               "Your code changed the list `{name}` or what it holds, which belongs to the caller. Only read it.",
               "你的代码改动了传进来的列表 `{name}` 或其中的内容。请只读取，不要改动。", name=name)
        expect(same, "input changed in place", "就地改动了输入",
               "Your code changed the values of `{name}` itself, which belongs to the caller. "
               "Work on something new: `{name} * 2`, not `{name} *= 2`.",
               "你的代码改动了传进来的 `{name}` 本身，调用方还要用它。"
               "请另建新的：用 `{name} * 2`，不要用 `{name} *= 2`。", name=name)


def _copy(value):
    if isinstance(value, (list, tuple)):
        return [_copy(part) for part in value]
    if isinstance(value, dict):
        return {key: _copy(part) for key, part in value.items()}
    return value.detach().clone() if isinstance(value, torch.Tensor) else copy.deepcopy(value)


def _same(a, b) -> bool:
    if isinstance(a, (list, tuple)):
        return isinstance(b, (list, tuple)) and len(a) == len(b) and all(map(_same, a, b))
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(_same(a[key], b[key]) for key in a)
    if hasattr(a, "dtype"):
        return hasattr(b, "dtype") and torch.equal(torch.as_tensor(a), torch.as_tensor(b))
    return a == b


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
        expect("expected device" not in str(error),
               "mask on the CPU", "掩码在 CPU 上",
               "With `{name}` on a GPU, your code would mix two devices. Make new tensors where "
               "`{name}` is: `torch.rand_like({name})`, or `device={name}.device`.",
               "如果 `{name}` 在 GPU 上，你的代码就会混用两个设备。新张量要建在 `{name}` 所在的设备上："
               "用 `torch.rand_like({name})`，或者写明 `device={name}.device`。", name=name)


class _NewTensorsElsewhere(TorchFunctionMode):
    """Puts each tensor on "meta" that is made from no other and without a device.

    `torch.device("meta")` would do so with a tensor of one number too, but that may stand beside
    those of any device.
    """

    def __torch_function__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        made = not any(isinstance(given, (torch.Tensor, torch.device)) for given in tree_leaves((args, kwargs)))
        return out.to("meta") if made and isinstance(out, torch.Tensor) and out.ndim else out

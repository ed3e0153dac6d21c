"""What a check can ask of an answer; the first thing that does not hold raises `Wrong`.

Every complaint is four strings: a diagnosis of a few words in English and in Chinese, then a hint in
English and in Chinese, with `{…}` for the numbers that were seen.
"""

import copy
import itertools
import math
import re
from collections.abc import Callable, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

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
    try:  # not as a list at once: a million would take seconds
        values = values if hasattr(values, "__len__") else [*itertools.islice(values, count + 1)]
        got = len(values)
    except TypeError:
        got = None
    expect(got is not None and not isinstance(values, (str, bytes, dict, set)), "wrong type returned", "返回值的类型不对",
           "`{what}` should return a list of length {count}; yours returns something of type `{kind}`.",
           "`{what}` 应返回长度为 {count} 的列表，你返回的类型却是 `{kind}`。",
           what=what, count=count, kind=type(values).__name__)
    expect(got == count, "wrong number of values", "返回值的个数不对",
           "`{what}` should return a list of length {count}; yours has length {got}.",
           "`{what}` 应返回长度为 {count} 的列表，你的长度是 {got}。", what=what, count=count, got=got)
    return torch.tensor([number(value, what) for value in values], dtype=torch.float64)

# What must not happen meanwhile -------------------------------------------------------------------

HOOKS_OF_ALL_NETS = [
    hooks for name, hooks in vars(nn.modules.module).items() if re.fullmatch("_global.*_hooks.*", name)
]

@contextmanager
def unchanged(*, seed: bool = True, **values: object):
    """Raise `Wrong` if an answer that runs in here changes what is not its own.

    That is one of the named tensors, arrays, lists (of tensors, too) or nets (their modes, hooks,
    weights, …); whether gradients are recorded, for each tensor, too; on which device and in which
    dtype new tensors are made; or, unless `seed` is False, the seed of torch's random numbers.
    """
    before, switches = {name: _copy(value) for name, value in values.items()}, _switches(seed, values)
    yield
    for switch, now in _switches(seed, values).items():
        expect(now == switches[switch] or switch != "torch.initial_seed()", "seed set inside", "在内部设置了随机种子",
               "Your code sets torch's seed to {now}. That decides all random numbers that come later, in your code and elsewhere, so "
               "that they repeat. Set no seed.",
               "你的代码把 torch 的随机种子设成了 {now}。此后的所有随机数（不只是你的代码里的）都由它决定，于是会重复。请不要设置种子。",
               now=now)
        expect(now == switches[switch], "setting of torch not restored", "torch 的设置没有恢复",
               "After your code `{switch}` is {now}; before, it was {before}. That holds for all that runs later, too. Leave it as it "
               "was, or put it back; for the recording of gradients, `with torch.no_grad():` does so by itself.",
               "你的代码运行之后，`{switch}` 是 {now}，之前却是 {before}。这会影响此后运行的一切。请不要改动它，或在最后恢复原样；"
               "梯度的记录与否，`with torch.no_grad():` 会自动恢复。", switch=switch, now=now, before=switches[switch])
    for name, value in values.items():
        if isinstance(value, nn.Module):
            _expect_same_net(before[name], _copy(value))
            continue
        same = _same(before[name], _copy(value))
        expect(same or not isinstance(value, list), "input changed in place", "就地改动了输入",
               "Your code changed the list `{name}` or what it holds, which belongs to the caller. Only read it.",
               "你的代码改动了传进来的列表 `{name}` 或其中的内容。请只读取，不要改动。", name=name)
        expect(same, "input changed in place", "就地改动了输入",
               "Your code changed the values of `{name}` itself, which belongs to the caller. "
               "Work on something new: `{name} * 2`, not `{name} *= 2`.",
               "你的代码改动了传进来的 `{name}` 本身，调用方还要用它。"
               "请另建新的：用 `{name} * 2`，不要用 `{name} *= 2`。", name=name)

def _switches(seed: bool, values: dict) -> dict:
    asked = torch.is_grad_enabled, torch.get_default_dtype, *[torch.initial_seed] * seed
    flags = {f"{name}.requires_grad": x.requires_grad for name, x in values.items() if isinstance(x, torch.Tensor)}
    device = {"torch.get_default_device()": torch.empty(0).device}  # torch 2.2 has no such function yet
    return {f"torch.{ask.__name__}()": ask() for ask in asked} | device | flags

def _state(net: nn.Module) -> dict:
    """Return the modes of all parts of a net, its hooks, and what else it consists of."""
    parts, rest = {name or "itself": part for name, part in net.named_modules()}, {}
    for name, part in parts.items():
        rest |= {name: id(part), **{f"{name}.{key}": value for key, value in vars(part).items() if callable(value)}}
    for name, value in (*net.named_parameters(), *net.named_buffers()):
        grad = value.grad if value.is_leaf else None
        rest |= {f"{name}.requires_grad": value.requires_grad, f"{name}.dtype": value.dtype,
                 name: _copy(value), f"{name}.grad": None if grad is None else _copy(grad)}
    hooks = [h for part in parts.values() for key, h in sorted(vars(part).items()) if key.endswith("_hooks")]
    return {
        "parts": parts,
        "modes": {f"{name} ({type(part).__name__})": part.training for name, part in parts.items()},
        "hooks": [list(h) for h in hooks + HOOKS_OF_ALL_NETS],
        "rest": rest,
    }

def _expect_same_net(before: dict, after: dict) -> None:
    old, new = before["rest"], after["rest"]
    rest = [key for key in {**old, **new} if not _same(old.get(key, ...), new.get(key, ...))]
    modes = [part for part, mode in before["modes"].items() if after["modes"].get(part) != mode]
    same_parts = before["parts"] == after["parts"]
    expect(not (same_parts and modes), "mode not restored", "模式没有恢复",
           "`training` of `{part}` in the net is another one than before. Remember the mode before you change it, and put it "
           "back for every part of the net.",
           "网络中 `{part}` 的 `training` 与原来不同。请在改动之前先记下模式，最后恢复网络的每一部分。", part="".join(modes[:1]))
    expect(not same_parts or before["hooks"] == after["hooks"], "hooks changed", "钩子变了",
           "The net does not have the hooks with which it came: one of yours stays, and will run at every later call, or one "
           "of others is gone. Keep what `register_forward_hook` returns, and call its `remove()`.",
           "网络上的钩子与来时不同：要么还留着你的钩子，以后每次调用都会运行；要么别人的钩子被撤掉了。"
           "请保存 `register_forward_hook` 的返回值，并调用它的 `remove()`。")
    expect(not rest, "network changed", "网络被改动",
           "Your code has changed `{part}` of the net. Here the net is only to be read: leave its parts, weights, gradients and "
           "`requires_grad` as they were.",
           "你的代码改动了网络的 `{part}`。这里只应读取网络：它的各部分、权重、梯度和 `requires_grad` 都应保持原样。",
           part="".join(rest[:1]))

def _copy(value):
    if isinstance(value, nn.Module):
        return _state(value)
    if isinstance(value, (list, tuple)):
        return [_copy(part) for part in value]
    if isinstance(value, torch.Tensor):
        return [value.detach().clone(), value.dtype, value.requires_grad]
    return copy.deepcopy(value)

def _same(a, b) -> bool:
    if isinstance(a, (list, tuple)):
        return isinstance(b, (list, tuple)) and len(a) == len(b) and all(map(_same, a, b))
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(_same(a[key], b[key]) for key in a)
    if hasattr(a, "dtype"):
        return hasattr(b, "dtype") and torch.equal(torch.as_tensor(a), torch.as_tensor(b))
    return a is b or a == b

def expect_on_its_device(call: Callable, given: Sequence, names: str, fresh: str) -> None:
    """Raise `Wrong` if an answer would fail on a GPU: `call(*given)` with the tensors elsewhere.

    No GPU is needed, since the tensors have no values there. An answer that looks at values is let
    through; but one that looks at those of its own random numbers may do so with the device "meta".
    """
    for mode, device in ((FakeTensorMode(allow_non_fake_inputs=True), "cuda"), (nullcontext(), "meta")):
        with mode:
            there = [torch.empty_like(x, device=device) if isinstance(x, torch.Tensor) else x for x in given]
            try:
                mixed, decided = call(*there).device != there[0].device, True
            except Exception as error:
                mixed = decided = re.search("two (different )?devices|not on the expected device", str(error))
        if decided:
            break
    expect(not mixed, "on the CPU", "在 CPU 上",
           "With {names} on a GPU, your code makes a new tensor on the CPU. Make it where {names} is: `{fresh}`, or "
           "`device=….device`.",
           "如果 {names} 在 GPU 上，你的代码却会在 CPU 上新建张量。新张量要建在 {names} 所在的设备上："
           "用 `{fresh}`，或者写明 `device=….device`。", names=names, fresh=fresh)

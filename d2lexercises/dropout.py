"""The exercises on dropout."""

import copy
import itertools
import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from d2lutils.checks.exercise import exercise, value_exercise
from d2lutils.checks.expect import (
    Mistake,
    expect,
    expect_close,
    expect_on_its_device,
    number,
    numbers,
    short,
    tensor,
    unchanged,
)
from d2lutils.words import Text


def _small_and_large(low: float, high: float) -> tuple[float, float]:
    """Return a probability and 1 minus it: who takes one for the other has too few or too many."""
    p = low + (high - low) * float(torch.rand(()))
    return p, 1 - p

def _far_from_zero(*shape: int, dtype=torch.float32) -> torch.Tensor:
    """Return random numbers of both signs between 1 and 3: only a dropped one is zero."""
    return torch.empty(shape, dtype=dtype).uniform_(1, 3) * (torch.randint(0, 2, shape) * 2 - 1)

def _kept(X, p):
    return torch.rand_like(X) >= p

def _as(make: Callable, mistakes: Iterable[Mistake]) -> Iterator[Mistake]:
    """Yield mistakes in a formula as mistakes in what is made of it, when it is asked for."""
    return (replace(mistake, gives=make(mistake.gives)) for mistake in mistakes)

# What several layers have in common ---------------------------------------------------------------

_NOTHING_DROPPED = ("nothing dropped", "什么也没有丢弃",
    "`{what}` with p = {p} left no zero in {count} entries.", "p = {p} 时，`{what}` 的 {count} 个元素中没有一个零。")
_EVERYTHING_DROPPED = Mistake(lambda X, p: X * torch.rand_like(X).long(), "everything dropped", "全部丢弃了",
    "`{what}` with p = {p} left nothing but zeros in {count} entries.", "p = {p} 时，`{what}` 的 {count} 个元素全是零。")
_SHARE = ("With p = {p}, {want} of the entries should stay; in yours {got} do. p is the probability of being dropped, "
    "for each entry by itself.", "p = {p} 时，保留的元素应占 {want}，你的占 {got}。p 是丢弃概率，每个元素各自独立。")
_KEEPS_P = ("keeps with probability p", "把 p 当成了保留概率", *_SHARE)
_WRONG_SHARE = ("wrong share dropped", "丢弃的比例不对", *_SHARE)
_SHARED = ("random numbers shared between entries", "几个元素共用随机数",
    "In `{what}` entries at a fixed distance, or mirrored ones, are correlated. Each entry needs a random number of its own.",
    "`{what}` 中，相隔固定距离或位置对称的元素彼此相关。每个元素都要有自己的随机数。")
_DEPENDENT = Mistake(lambda X, p: X * (torch.randperm(X.numel()).view(X.shape) >= p * X.numel()) / (1 - p),
    "entries depend on each other", "各元素之间不独立",
    "In {calls} calls of `{what}` with p = {p} on one input of shape {shape}, the sum of output / input had mean {mean} and "
    "variance {variance}; if each entry draws by itself, these are {count} and {want}. Draw once for each entry, and leave "
    "the numbers alone: fix no count, normalize nothing, draw nothing again.",
    "p = {p} 时，对形状为 {shape} 的同一输入调用 `{what}` {calls} 次，输出 / 输入之和的均值为 {mean}，方差为 {variance}；"
    "如果每个元素各自独立抽取，两者应为 {count} 和 {want}。每个元素只抽一次，抽到什么就用什么：不要固定个数，不要归一化，也不要重抽。")
_SAME_NUMBERS = ("the same random numbers every time", "每次的随机数都相同",
    "Two calls of `{what}` with the same input came out the same: they drew the same random numbers, or none. Draw new ones in "
    "each call; set no seed inside, and do not put torch's random state back (`fork_rng` does).",
    "用同样的输入两次调用 `{what}`，结果完全相同：抽到的是相同的随机数，或者根本没有抽取。每次调用都要重新抽取；"
    "内部不要设置随机种子，也不要恢复 torch 的随机状态（`fork_rng` 就会恢复）。")
_NO_GRADIENT = ("no gradient", "没有梯度",
    "Nothing can be learned through `{what}`: it has lost its link to {input}. Compute it from {input} itself, without "
    "`detach`, `data`, `no_grad` or NumPy.",
    "梯度传不过 `{what}`：它与 {input} 之间断了计算图。请直接由 {input} 计算，不要用 `detach`、`data`、`no_grad` 或 NumPy。")
_GRADIENT_OF_ANOTHER_CALL = ("gradient of another call", "用了另一次调用的梯度",
    "Once `{what}` is called again, `backward()` of the first call gives another gradient. Its numbers must stay its own: keep them in "
    "a local variable or in `ctx`, not on a class, a module or globally.",
    "再次调用 `{what}` 之后，第一次调用的 `backward()` 给出的梯度就变了。每次调用的随机数都要各自保存：放在局部变量或 `ctx` 里，"
    "不要放在类、模块或全局变量上。")
_FACTORS = [  # of what stays, as functions of p
    Mistake(lambda p: 1.0, "mask not rescaled by 1/(1-p)", "掩码没有按 1/(1-p) 重新缩放",
            "What stays should be divided by 1-p, so that the mean stays as it was; yours is left as it is.",
            "保留下来的应除以 1-p，均值才不变；你却原样未动。"),
    Mistake(lambda p: 1 / p, "rescaled by the wrong factor", "缩放的倍数不对",
            "A share of 1-p stays, so the mean stays if you divide by 1-p, not by p.",
            "保留的比例是 1-p，所以除以 1-p 均值才不变，而不是除以 p。"),
    Mistake(lambda p: 1 - p, "multiplied instead of divided by 1-p", "该除以 1-p，却乘了 1-p",
            "What stays should grow, to make up for what is lost: divide by 1-p.",
            "保留下来的应当放大，以补偿失去的部分：要除以 1-p。"),
]

def _noise(layer: Callable, X: torch.Tensor, p: float, what: str) -> torch.Tensor:
    """Return the layer's output over its input: what the entries were multiplied by."""
    with unchanged(X=X):
        return (tensor(layer(X, p), what, like=X) / X).detach()

_LARGE = (56, 50), (7, 5, 8, 10), (12, 10, 20), (5, 4, 7, 4, 5)

def _expect_dropped(layer: Callable, what: str, shapes: tuple = _LARGE, shared: tuple = _SHARED, dims: tuple = (0, 1, 2)):
    """State that a layer's noise is 0 with probability p and else 1/(1-p), and new in each call."""
    for few in ((0.15, 0.4), (0.005, 0.01)):
        doses = itertools.product(shapes, _small_and_large(*few))
        _expect_shares([(p, _noise(layer, _far_from_zero(*shape), p, what)) for shape, p in doses], what, shared)
    _expect_fresh(layer, what, _NOTHING_DROPPED, dims)

def _expect_shares(found: list, what: str, shared: tuple) -> None:
    kept, misses = torch.cat([ratio[ratio != 0].flatten() for _, ratio in found]), []
    for p, ratio in found:
        stay, spread = (ratio != 0).double(), (p * (1 - p) / ratio.numel()) ** 0.5
        share = stay.mean().item()
        expect(share < 1, *_NOTHING_DROPPED, what=what, p=f"{p:.3f}", count=stay.numel())
        expect(share > 0, *_EVERYTHING_DROPPED.words, what=what, p=f"{p:.3f}", count=stay.numel())
        alike = any((stay == stay.narrow(dim, 0, 1)).all() for dim in range(stay.ndim))
        expect(not 0.1 < p < 0.9 or not _share_numbers(stay), *(shared if alike else _SHARED), what=what)  # a few may lie in line
        misses.append((abs(share - 1 + p) / spread, abs(share - p) / spread, p, share))
    worst, _, p, share = max(misses)
    expect(worst < 6, *(_KEEPS_P if max(miss[1] for miss in misses) < 6 else _WRONG_SHARE),
           p=f"{p:.3f}", want=f"{1 - p:.1%}", got=f"{share:.1%}")
    of_the_kept = Text("{what} / input, where it is not zero", "非零处的 {what} / 输入").format(what=what)
    full = lambda factor: torch.cat([torch.full_like(ratio[ratio != 0], factor(p)).flatten() for p, ratio in found])  # noqa: E731
    expect_close(kept, full(lambda p: 1 / (1 - p)), of_the_kept, _as(full, _FACTORS))

def _share_numbers(noise: torch.Tensor) -> bool:
    """Tell whether entries at any fixed distance, or mirrored at any point, are correlated."""
    noise = noise.double() - noise.double().mean()
    waves = torch.fft.fftn(noise)
    shifted, mirrored = (torch.fft.ifftn(waves * other).real.flatten().abs() for other in (waves.conj(), waves))
    return max(shifted[1:].max(), mirrored.max()) > 0.25 * shifted[0] or shifted[0] < 1e-10 * noise.numel()

def _expect_fresh(layer: Callable, what: str, no_noise: tuple, dims: tuple) -> None:
    """State that each call draws anew, with gradients or without, and each entry whatever the others are."""
    for shape in ((9, 7), *((1,) * n for n in dims), *((2,) + (1,) * (n - 1) for n in dims if n)):
        X, p, calls, noises = _far_from_zero(*shape), 0.6 + 0.15 * float(torch.rand(())), 128, []
        for i in range(calls):  # on the same input, with nothing drawn in between
            with torch.set_grad_enabled(i % 2 > 0):
                noises.append(_noise(layer, X.requires_grad_(i % 4 > 1), p, what).flatten())
        noise = torch.stack(noises).double()
        if X.numel() > 9:
            for i, where in enumerate(("with torch.no_grad(): ", "X.requires_grad = False; ") * 2):
                expect((noise[i::4] != 1).any(), *no_noise, what=where * (i != 3) + what, p=f"{p:.2f}", count=X.numel())
            expect(len(noise.unique(dim=0)) == calls, *_SAME_NUMBERS, what=what)
        sums, want = noise.sum(1), X.numel() * p / (1 - p)
        mean, variance = sums.mean(), sums.var(correction=0)
        expect(abs(mean - X.numel()) < 6 * (want / calls) ** 0.5 and 0.25 < variance / want < 1.75, *_DEPENDENT.words, calls=calls,
               what=what, p=f"{p:.2f}", shape=shape, mean=short(mean), variance=short(variance), count=X.numel(), want=short(want))

_SHAPES = {  # by their dtypes
    torch.float64: ((), (2, 3, 4), (1, 5)), torch.float32: ((6,), (1, 1), (5, 1)), torch.float16: ((5, 7),),
    torch.bfloat16: ((2, 3, 4, 5), (6, 6)),
}

def _expect_a_layer(
    layer: Callable, call: str, probabilities: tuple, fresh="torch.rand_like(X)", dims=(0, 1, 2, 3, 4), name="X", no_noise=_NOTHING_DROPPED
) -> None:
    """State what holds for any `layer(X, p)`: X of any shape and dtype, on any device, with gradients."""
    cases = [(shape, dtype) for dtype, shapes in _SHAPES.items() for shape in shapes if len(shape) in dims]
    for (shape, dtype), p in itertools.product(cases, probabilities):
        # Not contiguous in memory, and a leaf.
        X = _far_from_zero(*shape[::-1], dtype=dtype).permute([*range(len(shape))][::-1]).detach().requires_grad_()
        what = f"{call.format(p=p)}, {name} of shape {shape}"
        for grad in (False, True):  # without gradients, a leaf can be changed in place
            with torch.set_grad_enabled(grad), unchanged(**{name: X}):
                out = tensor(layer(X, p), what, like=X)
        factor = (out / X).detach().double() + 0.0  # no -0
        want = torch.full_like(factor, 1 - p) if p in (0, 1) else factor.nan_to_num()
        rounding = {"rtol": 1e-5, "atol": 30 * torch.finfo(dtype).eps}
        expect_close(factor, want, Text("{what} / input", "{what} / 输入").format(what=what), **rounding)
        expect(p in (0, 1) or X.numel() < 30 or (factor != factor.flatten()[0]).any(), *no_noise, what=what, p=p, count=X.numel())
        gradient_of = partial(torch.autograd.grad, inputs=X, retain_graph=True, allow_unused=True)
        (gradient,) = gradient_of(out.sum()) if out.requires_grad else (None,)
        expect(gradient is not None or not out.any(), *_NO_GRADIENT, what=what, input=name)
        if gradient is not None:
            expect_close(gradient, factor, Text("the gradient of {what}", "{what} 的梯度").format(what=what), **rounding)
            layer(X, p)
            expect(torch.equal(gradient_of(out.sum())[0], gradient), *_GRADIENT_OF_ANOTHER_CALL, what=what)
        expect_on_its_device(layer, (X, p), name, fresh)

_MODES = {True: Text("train", "训练"), False: Text("evaluation", "评估")}

class _Probe(nn.Module):
    """Hands on its input, and notes in which mode it did so."""

    def __init__(self):
        super().__init__()
        self.training_seen = []

    def forward(self, X):
        self.training_seen.append(self.training)
        return X

# The layer, by hand and as a module ---------------------------------------------------------------

@exercise("dropout.layer", "dropout(X, p)", mistakes=[
    *_as(lambda factor: lambda X, p: X * _kept(X, p) * factor(p), _FACTORS),
    _EVERYTHING_DROPPED, _DEPENDENT,
    Mistake(lambda X, p: X, *_NOTHING_DROPPED),
    Mistake(lambda X, p: X * ~_kept(X, p) / (1 - p), *_KEEPS_P),
    Mistake(lambda X, p: X * torch.randint_like(X, 2) / (1 - p), *_WRONG_SHARE),
    Mistake(lambda X, p: X * _kept(X[0], p) / (1 - p), *_SHARED),
    Mistake(lambda X, p: X * _kept(X[..., :1], p) / (1 - p), *_SHARED),
])
def layer(dropout):
    """Check inverted dropout; Srivastava et al. (2014), section 10."""
    _expect_dropped(dropout, "dropout(X, p)")
    _expect_a_layer(dropout, "dropout(X, {p})", (0, 0.5, 1))

def _module(forward: Callable) -> type[nn.Module]:
    """Return a module made with p, with this forward: a function of the module and X."""

    def __init__(self, p):
        nn.Module.__init__(self)
        self.p = p

    return type("Dropout", (nn.Module,), {"__init__": __init__, "forward": forward})

_ACTIVE = ("active in eval mode", "评估模式下仍在起作用",
    "After `net.eval()` your layer still drops entries. `self.training` says in which mode it is.",
    "`net.eval()` 之后，你的层仍在丢弃元素。`self.training` 说明它处于哪种模式。")
_IN_EVAL_MODE = [  # factors of the output there, as functions of p
    Mistake(lambda p: 1 - p, "rescaled in eval mode", "评估模式下重新缩放了",
            "In evaluation mode the layer should do nothing. You have rescaled by 1-p there; with inverted dropout "
            "that is done in train mode, by 1/(1-p).",
            "评估模式下，这一层什么也不该做。你却在这里乘了 1-p；我们的暂退法（inverted dropout）是在训练模式下缩放的，"
            "乘的是 1/(1-p)。"),
    Mistake(lambda p: 1 / (1 - p), "rescaled by 1/(1-p) in eval mode", "评估模式下按 1/(1-p) 重新缩放了",
            "In evaluation mode nothing is dropped, so nothing needs to be made up for.",
            "评估模式下什么也没有丢弃，也就不需要补偿。"),
]

@exercise("dropout.module", "Dropout(p)", mistakes=[
    *_as(lambda factor: _module(
        lambda self, X: X * _kept(X, self.p) * factor(self.p) if self.training else X), _FACTORS),
    *_as(lambda factor: _module(
        lambda self, X: F.dropout(X, self.p) if self.training else X * factor(self.p)), _IN_EVAL_MODE),
    Mistake(_module(lambda self, X: F.dropout(X, self.p)), *_ACTIVE),
    Mistake(_module(lambda self, X: F.dropout(X, self.p, not self.training)), *_ACTIVE),
    Mistake(_module(lambda self, X: X), *_NOTHING_DROPPED),
])
def module(Dropout):
    """Check a dropout module inside a network, in both modes; nn.Dropout is the model."""
    expect(isinstance(Dropout, type) and issubclass(Dropout, nn.Module), "not a module", "不是模块",
           "`Dropout` should be a class that inherits from `nn.Module`: only then do `net.train()` and `net.eval()` reach it.",
           "`Dropout` 应是继承自 `nn.Module` 的类，否则 `net.train()` 和 `net.eval()` 找不到它。")
    for method in ("__init__", "forward"):
        expect(getattr(Dropout, method) is not getattr(nn.Module, method), "method missing", "缺少方法",
               "`Dropout` needs a method `{method}` of its own.", "`Dropout` 需要有自己的方法 `{method}`。", method=method)
    p, large = _small_and_large(0.2, 0.4)
    layers = {p: Dropout(p) for p in (p, large, 0, 1)}
    for want, layer in layers.items():
        expect("training" in vars(layer), "super().__init__() is missing", "缺少 super().__init__()",
               "Begin `__init__` with `super().__init__()`: it makes the object a module.",
               "`__init__` 要以 `super().__init__()` 开头：有了它，对象才是模块。")
        got = getattr(layer, "p", Text("missing", "不存在"))
        expect(got == want, "p not stored", "没有保存 p",
               "After `layer = Dropout({want})`, and other layers made after it, `layer.p` should be {want}; yours is {got}.",
               "执行 `layer = Dropout({want})`，接着又新建了别的层之后，`layer.p` 应为 {want}，你的是 {got}。",
               want=f"{want:.2f}", got=got)
    _expect_two_modes(layers[p], p)
    _expect_a_layer_in_train_and_eval_mode(Dropout, layers[p])
    _expect_mode_kept(layers[p])

def _expect_two_modes(layer: nn.Module, p: float) -> None:
    """State that the layer does nothing in evaluation mode, asks its own mode and p, and has no state."""
    what, X = "net.train()(X)", _far_from_zero(13, 17)
    net = nn.Sequential(nn.Identity(), nn.Sequential(layer))
    for _ in range(2):  # to and fro: the mode may be changed at any time
        with unchanged(X=X):
            out = tensor(net.eval()(X), "net.eval()(X)", like=X)
        expect(not (out == 0).any(), *_ACTIVE)
        expect_close(out, X, "net.eval()(X)", _as(lambda factor: X * factor(p), _IN_EVAL_MODE))
        with unchanged(X=X):
            out = tensor(net.train()(X), what, like=X)
        expect((out == 0).any(), *_NOTHING_DROPPED, what=what, p=f"{p:.2f}", count=out.numel())
    state = [*net.state_dict(), *dict(net.named_parameters()), *dict(net.named_buffers())]
    expect(not state, "state of its own", "有了自己的状态",
           "After a call `net.state_dict()` holds `{name}`, so it does not fit a net with `nn.Dropout`, or one that never ran. Keep "
           "p as a plain number, and the mask in a local variable: neither a parameter nor a buffer.",
           "调用之后，`net.state_dict()` 里有 `{name}`，于是与用 `nn.Dropout` 的网络或没运行过的网络对不上。p 应是普通的数，"
           "掩码放在局部变量里：都不要设为参数或缓冲区。", name="".join(state[:1]))
    layer.p = 0.95
    dropped = (net.train()(X) == 0).double().mean().item()
    expect(dropped > 0.8, "a change of p has no effect", "改变 p 不起作用",
           "After `layer.p = 0.95` your layer drops {dropped} of the entries, not 95%. Read `self.p`, the probability of being "
           "dropped, in each call, as `nn.Dropout` does.",
           "执行 `layer.p = 0.95` 之后，你的层丢弃了 {dropped} 的元素，而不是 95%。请像 `nn.Dropout` 那样，每次调用时都读取丢弃概率 `self.p`。",
           dropped=f"{dropped:.0%}")

def _expect_mode_kept(layer: nn.Module) -> None:
    """State that a call leaves the mode alone, also where there is nothing to drop."""
    for mode in (True, False):
        layer.p = 0
        layer.train(mode)(torch.ones(3))
        expect(layer.training == mode, "mode changed by a call", "调用改变了模式",
               "After a call in {mode} mode `layer.training` is {now}. A layer only reads `self.training`; `net.train()` and "
               "`net.eval()` set it.",
               "在{mode}模式下调用一次之后，`layer.training` 变成了 {now}。层只应读取 `self.training`，由 `net.train()` 和 `net.eval()` 来设置。",
               mode=_MODES[mode], now=layer.training)

def _expect_a_layer_in_train_and_eval_mode(Dropout: type, layer: nn.Module) -> None:
    """State that it is a layer: one that is kept, whose p changes, or a new one for each call."""

    def kept(X, p):
        layer.p = p
        return layer.train()(X)

    layers = itertools.cycle((kept, lambda X, p: Dropout(p)(X), lambda X, p: Dropout(p)(X)))
    for method in (layer.eval, layer.train):
        expect(method() is layer, "not the layer itself returned", "没有返回层本身",
               "`layer.{method}()` should return the layer itself, as that of `nn.Module` does: `return self`.",
               "`layer.{method}()` 应像 `nn.Module` 的那样返回层本身：`return self`。", method=method.__name__)
    _expect_dropped(lambda X, p: next(layers)(X, p), "Dropout(p)(X)")
    layer.p, twin = 0.5, copy.deepcopy(layer).eval()
    twin.p, X = 0, _far_from_zero(13, 17)
    expect((layer.train()(X) == 0).any() and torch.equal(twin(X), X) and torch.equal(twin.train()(X), X), "a copy asks the original", "副本仍在问原件",
           "After `copy.deepcopy(layer)`, the mode or `p` of one of the two layers decides for both. Ask `self` in `forward` each time: a "
           "function that was made in `__init__` keeps the first object, and a class is shared by all.",
           "执行 `copy.deepcopy(layer)` 之后，其中一个层的模式或 `p` 同时决定了两者。请每次都在 `forward` 中询问 `self`："
           "在 `__init__` 中造出的函数记住的是最初的对象，而类为所有对象共有。")
    _expect_a_layer(lambda X, p: next(layers)(X, p), "Dropout({p})(X)", (0, 0.5, 1))
    for layer.p in (1.0, 0.5):
        _expect_a_layer(lambda X, p: layer.eval()(X), "layer.eval()(X)", (0,))

# Measuring ----------------------------------------------------------------------------------------

def _counted(statistic: Callable, *, training=False, grad=False) -> Callable:
    """Return an answer that makes something of the hits and sizes of the batches."""

    def accuracy(net, data_iter):
        before = net.training
        net.train(training)
        with torch.set_grad_enabled(grad):
            pairs = [((net(X).argmax(1) == y).sum().item(), len(y)) for X, y in data_iter]
        net.train(before)
        return statistic(*np.array(pairs).T)

    return accuracy

def _share(hits, sizes):
    return hits.sum() / sizes.sum()

_IN_TRAIN_MODE = Mistake(_counted(_share, training=True), "measured in train mode", "在训练模式下度量",
    "While you measured, parts of the net were in train mode ({parts}), where dropout and normalization act as in training. "
    "Call `net.eval()` first: it reaches every part.",
    "你度量时，网络有些部分处于训练模式（{parts}），暂退法和归一化在其中都像训练时那样起作用。请先调用 `net.eval()`，它会作用到每一部分。")
_GRADIENTS_RECORDED = Mistake(_counted(_share, grad=True), "gradients recorded", "记录了梯度",
    "While you measure, PyTorch keeps every intermediate result for a backward pass that never comes. Measure inside "
    "`with torch.no_grad():`.",
    "度量时，PyTorch 为反向传播保留了所有中间结果，而反向传播根本不会发生。请放在 `with torch.no_grad():` 之内度量。")

_READ_TWICE = ("batches read twice", "批量读了两次",
    "With a generator in the place of a list you lose batches: it gives each one once. Go through `{name}` in a single loop, and count there.",
    "`{name}` 换成生成器之后，你丢掉了一些批量：生成器的每个批量只给一次。请只遍历一次，计数也在同一个循环中进行。")

def _nets_and_data():
    """Yield nets of several kinds in either mode, with data of which the last batch is smaller and harder."""
    nets = (
        nn.Sequential(nn.Flatten(), nn.Linear(12, 6), nn.BatchNorm1d(6), nn.Sequential(nn.Dropout(0.8)), nn.Linear(6, 24)),
        nn.Sequential(nn.Conv1d(3, 4, 4), nn.BatchNorm1d(4), nn.Sequential(nn.Dropout(0.8)), nn.Flatten()).double(),
        nn.Sequential(nn.Dropout(0.8), nn.AvgPool2d((3, 1)), nn.Flatten()),  # no parameters
    )
    cases = (True, (16, 16, 4), (12, 7, 1)), (False, (150, 150, 20, 1), (140, 120, 9, 1)), (True, (9, 5), (7, 2))
    for net, (training, sizes, right_ones) in zip(nets, cases, strict=True):
        for parameter in [*net.eval().parameters()][1::2]:
            parameter.requires_grad_(False)
        for parameter in [*net.parameters()][::2]:
            parameter.grad = torch.ones_like(parameter)
        data = []
        for size, hits in zip(sizes, right_ones, strict=True):
            X = torch.randn(size, 3, 4).to([*net.parameters(), torch.zeros(())][0].dtype)
            y = net(X).argmax(1)
            missed = torch.randperm(size)[hits:]
            y[missed] = (y[missed] + torch.randint(1, 4, (size - hits,))) % 4
            data.append((X, y))
        calls = net.calls = []  # also of a copy

        def before(module, inputs):
            parts = {type(part).__name__: None for part in module.modules() if part.training}
            expect(not parts, *_IN_TRAIN_MODE.words, parts=", ".join(parts))

        def after(module, inputs, output, calls=calls):
            expect(not output.requires_grad, *_GRADIENTS_RECORDED.words)
            calls.append(output)

        for part in net.modules():
            part.register_forward_pre_hook(before)
        net.register_forward_hook(after)
        yield {"net": net.train(training), "data_iter": data}

def _measured_well(value, call, arguments):
    value = number(value, call)
    expect(arguments["net"].calls, "network not used", "没有用到网络",
           "`{call}` never called `net(X)`.", "`{call}` 从来没有调用 `net(X)`。", call=call)
    arguments["net"].calls.clear()
    return value

def _also_from_a_generator(answer, arguments, value):
    (net, data), got = arguments.values(), math.nan
    with torch.no_grad(), suppress(ZeroDivisionError, ValueError, RuntimeError):  # where nothing was left to count
        got = number(answer(net, (batch for batch in data)), "accuracy(net, data_iter)")
    expect(math.isclose(got, value, abs_tol=1e-5), *_READ_TWICE, name="data_iter")

value_exercise("dropout.evaluate", "accuracy(net, data_iter)", inputs=_nets_and_data, right=_counted(_share),
               returns=_measured_well, also=_also_from_a_generator, mistakes=[
    Mistake(_counted(lambda hits, sizes: (hits / sizes).mean()),
            "last batch counted like the others", "把较小的最后一个批量与其他批量同等看待",
            "You average the accuracies of the batches, but the last batch is smaller. Count right answers and examples.",
            "你对各批量的准确率取了平均，而最后一个批量较小。应累计答对的个数和样本的个数。"),
    Mistake(_counted(lambda hits, sizes: hits.sum() / (len(sizes) * sizes[0])),
            "last batch taken for a full one", "把最后一个批量当成了完整的批量",
            "You divide by batches times batch size, but the last batch is smaller. Count the examples.",
            "你除以的是批量数乘批量大小，而最后一个批量较小。应累计样本的个数。"),
    Mistake(_counted(lambda hits, sizes: 100 * _share(hits, sizes)),
            "percent instead of a share", "用了百分数，而不是比例",
            "Return a number between 0 and 1, not percent.", "请返回 0 与 1 之间的数，不要用百分数。"),
    Mistake(_counted(lambda hits, sizes: hits.sum()), "not divided by the number of examples", "没有除以样本数",
            "That is the number of right answers: divide it by the number of examples.", "这是答对的个数，还要除以样本数。"),
    Mistake(_counted(lambda hits, sizes: 1 - _share(hits, sizes)),
            "error rate instead of accuracy", "该给准确率，却给了错误率",
            "That is the share of wrong answers.", "这是答错的比例，应返回答对的比例。"),
    Mistake(_counted(lambda hits, sizes: hits.sum() / len(sizes)), "divided by the number of batches", "除以了批量数",
            "Divide the right answers by the number of examples, not of batches.", "答对的个数应除以样本数，而不是批量数。"),
    Mistake(_counted(lambda hits, sizes: hits[-1] / sizes[-1]), "only the last batch", "只有最后一个批量",
            "You return the last batch's accuracy.", "你返回的是最后一个批量的准确率，应统计所有批量。"),
    Mistake(_counted(lambda hits, sizes: hits[0] / sizes[0]), "only the first batch", "只有第一个批量",
            "You return after the first batch.", "第一个批量之后你就返回了，应等循环结束再返回。"),
    _IN_TRAIN_MODE, _GRADIENTS_RECORDED,
])

class _LastFirst(nn.Sequential):
    """Runs its blocks from the last to the first: they are not defined in the order they run."""

    def forward(self, X):
        for block in reversed(self):
            X = block(X)
        return X

def _deep_nets():
    """Yield nets in evaluation mode whose ReLUs run in either order and are followed by dropout in place."""
    for container, depth in itertools.product((_LastFirst, nn.Sequential), (3, 1)):
        blocks = []
        for _ in range(depth):
            linear = nn.Linear(24, 24)
            nn.init.normal_(linear.weight, std=(1 + float(torch.rand(()))) / 24**0.5)
            nn.init.normal_(linear.bias)  # some units are more active than others
            blocks.append(nn.Sequential(linear, nn.ReLU(), nn.Dropout(0.5, inplace=True)))
        net = nn.Sequential(nn.Flatten(), _Probe(), container(*blocks), nn.LayerNorm(24), nn.Linear(24, 5), nn.LeakyReLU())
        net.register_forward_hook(lambda *passed: None)  # somebody else's
        yield {"net": net.eval(), "X": torch.randn(256, 4, 6)}
    images = nn.Sequential(nn.Unflatten(1, (2, 2)), nn.Conv2d(2, 5, 2), nn.ReLU(), _Probe(), nn.Dropout(), nn.Flatten(), nn.Linear(25, 3))
    images.eval()[4].train()  # one part in another mode
    yield {"net": images.double(), "X": torch.randn(64, 4, 6).double()}
    yield {"net": nn.Sequential(_Probe(), nn.ReLU(), nn.Dropout()).eval(), "X": torch.randn(1, 40, 60)}

def _hooked(statistic: Callable = torch.var, kind: type = nn.ReLU, *, before=False, as_defined=False) -> Callable:
    """Return an answer that measures all layers of a kind, behind or before them, as they run."""

    def activation_variance(net, X):
        found = []

        def note(layer, inputs, output):
            found.append((layer, float(statistic(inputs[0] if before else output))))

        layers = [module for module in net.modules() if type(module) is kind]
        hooks = [layer.register_forward_hook(note) for layer in layers]
        with torch.no_grad():
            net(X)
        for hook in hooks:
            hook.remove()
        return [value for _, value in sorted(found, key=lambda pair: layers.index(pair[0]) if as_defined else 0)]

    return activation_variance

def _one_by_one(net, X):
    found = []
    for layer in net.modules():
        if not list(layer.children()):
            X = layer(X)
            if type(layer) is nn.ReLU:
                found.append(float(X.var()))
    return found

def _a_number_for_each_relu(value, call, arguments):
    net = arguments["net"]
    (probe,) = (module for module in net.modules() if isinstance(module, _Probe))
    seen = probe.training_seen.copy()
    probe.training_seen.clear()
    expect(all(training == probe.training for training in seen), "mode changed", "模式变了",
           "The net came in {mode} mode, and was measured in the other one. Measure it in the mode in which it is.",
           "网络来时处于{mode}模式，你却在另一种模式下度量。请就在它所处的模式下度量。", mode=_MODES[probe.training])
    if torch.is_tensor(value) and value.ndim == 0:
        value = [value]
    return numbers(value, call, sum(type(module) is nn.ReLU for module in net.modules()))

_AFTER_DROPOUT = Mistake(_hooked(kind=nn.Dropout), "measured after dropout", "在暂退法之后度量",
    "That is the variance after dropout has disturbed the activations. Measure what comes out of the ReLU at once: a "
    "later layer may change it in place.", "这是激活值受暂退法扰动之后的方差。ReLU 的输出要当场度量：后面的层可能会就地修改它。")

def _also_in_train_mode(answer, arguments, value):
    net, X = arguments.values()
    call, modes = "activation_variance(net, X)", [module.training for module in net.modules()]
    net.train()
    with torch.no_grad(), unchanged(net=net, X=X):
        got = answer(net, X)
    got = _a_number_for_each_relu(got, call, arguments)
    # With other masks, the variances of deeper layers differ a little; those after dropout differ a lot.
    expect_close(got, torch.tensor(_hooked()(net, X)), call,
                 _as(lambda measure: torch.tensor(measure(net, X)), [_AFTER_DROPOUT]), rtol=0.5)
    for module, mode in zip(net.modules(), modes, strict=True):
        module.training = mode

value_exercise("dropout.activation_variance", "activation_variance(net, X)", inputs=_deep_nets, right=_hooked(),
               returns=_a_number_for_each_relu, also=_also_in_train_mode, rtol=1e-3, mistakes=[
    _AFTER_DROPOUT,
    Mistake(_hooked(before=True), "measured before the ReLU", "在 ReLU 之前度量",
            "That is the variance of what goes into the ReLU. Measure what comes out.",
            "这是 ReLU 输入的方差。要度量的是它的输出。"),
    Mistake(_hooked(torch.std), "standard deviation instead of variance", "该用方差，却用了标准差",
            "That is the standard deviation, the square root of the variance.", "这是标准差，即方差的平方根。"),
    Mistake(_hooked(torch.mean), "mean instead of variance", "该用方差，却用了均值",
            "That is the mean of the activations.", "这是激活值的均值，应求方差。"),
    Mistake(_hooked(lambda H: H.square().mean()),
            "mean of the squares instead of variance", "该用方差，却用了平方的均值",
            "That is the mean of the squares: the variance subtracts the squared mean.",
            "这是平方的均值：方差还要减去均值的平方。"),
    Mistake(_hooked(lambda H: H.var(0).mean()), "variance of each unit", "逐个单元求了方差",
            "You take a variance over the batch for each unit, and average. Take one over all entries of the layer's output.",
            "你对每个单元在批量上求方差，再取平均。应把该层输出的所有元素合在一起，求一个方差。"),
    Mistake(_hooked(lambda H: H.var(1).mean()), "variance of each example", "逐个样本求了方差",
            "You take a variance over the units for each example, and average. Take one over all entries of the layer's output.",
            "你对每个样本在各单元上求方差，再取平均。应把该层输出的所有元素合在一起，求一个方差。"),
    Mistake(_one_by_one, "layers called in the order of definition", "按定义的顺序调用了各层",
            "You call the layers one by one, as they are defined. Only `net(X)` knows in which order they run.",
            "你按定义的先后逐个调用各层。它们按什么顺序运行，只有 `net(X)` 知道。"),
    Mistake(_hooked(as_defined=True), "in the wrong order", "顺序不对",
            "The values are right, but their order is not. Begin with the layer next to the input, and go on as the "
            "layers run, wherever they are defined.",
            "值都对，顺序不对。要从最靠近输入的层开始，按各层运行的先后排列，与定义的先后无关。"),
])

# Training -----------------------------------------------------------------------------------------

def _mean(losses, sizes):
    return sum(loss * size for loss, size in zip(losses, sizes, strict=True)) / sum(sizes)

def _loop(
    value: Callable = _mean, *, mode=True, clear: str = "before", step: str = "each", item=torch.Tensor.item, late=False
) -> Callable:
    """Return the textbook's loop over an epoch, or not quite; what it returns, `value` makes of losses and sizes."""

    def train_epoch(net, train_iter, loss, optimizer):
        net.train(mode)
        losses, sizes = [], []
        for X, y in train_iter:
            batch_loss = loss(net(X), y)
            if clear == "before":
                optimizer.zero_grad()
            batch_loss.backward()
            if step == "each":
                optimizer.step()
            if clear == "after":
                optimizer.zero_grad()
            losses.append(item(loss(net(X), y) if late else batch_loss))
            sizes.append(len(y))
        if step == "last":
            optimizer.step()
        return value(losses, sizes)

    return train_epoch

_NOTHING_LEARNED = Mistake(_loop(step="none"), "nothing learned", "什么也没有学到",
    "The weights of the net are the same as before: somebody must call `optimizer.step()`, after `backward()`.",
    "网络的权重与之前相同：`backward()` 之后，别忘了调用 `optimizer.step()`。")
_NOT_IN_TRAIN_MODE = Mistake(_loop(mode=False), "not in train mode", "不在训练模式",
    "A part of the net was in evaluation mode each time that you called the net, so dropout layers did nothing there. Call "
    "`net.train()` first, whatever `net.training` says.",
    "你每次调用网络时，网络都有一部分处于评估模式，其中的暂退层没有起作用。无论 `net.training` 是什么，都请先调用 `net.train()`。")
_NOT_ALL_IN_TRAIN_MODE = ("not always in train mode", "并非始终处于训练模式",
    "Of {count} passes through the net, {off} were in evaluation mode. Train on every batch in train mode, and return the "
    "loss of that very pass.",
    "网络共运行了 {count} 次，其中 {off} 次处于评估模式。每个批量都要在训练模式下训练，返回的损失也要取自同一次前向计算。")
_KEEPS_GRAPH = Mistake(_loop(item=torch.Tensor.clone), "loss keeps its graph", "损失还带着计算图",
    "You return a tensor that holds on to the network's whole computation. Add up plain numbers: `.item()`.",
    "你返回的张量还牵着网络的整个计算图。请累加普通的数：`.item()`。")

_WRONG_STEPS = [
    _NOTHING_LEARNED, _NOT_IN_TRAIN_MODE,
    Mistake(_loop(clear="never"), "gradients pile up", "梯度越积越多",
            "Each step also used the gradients of all batches before it: `backward()` adds to what is there. Clear "
            "them with `optimizer.zero_grad()`.", "每一步还用上了之前所有批量的梯度：`backward()` 会把梯度加到已有的上面。"
            "请用 `optimizer.zero_grad()` 清零。"),
    Mistake(_loop(clear="never", step="last"), "one step an epoch", "每轮只走一步",
            "You take one step at the end of the epoch. Take one after each batch.",
            "你在一轮结束时才走一步。应在每个批量之后走一步。"),
    Mistake(_loop(clear="after"), "old gradients used", "用上了旧的梯度",
            "The net came with gradients of an earlier `backward()`, and your first step used them too. Clear the "
            "gradients before `backward()`, not after the step.",
            "网络带着之前某次 `backward()` 留下的梯度而来，你的第一步把它们也用上了。梯度要在 `backward()` 之前清零，"
            "而不是在更新之后。"),
]
_WRONG_SUMS = [
    _KEEPS_GRAPH,
    Mistake(_loop(lambda losses, sizes: losses[-1]), "loss of the last batch", "最后一个批量的损失",
            "You return the loss of the last batch. Return the mean over all examples of the epoch.",
            "你返回的是最后一个批量的损失。应返回这一轮所有样本的平均损失。"),
    Mistake(_loop(lambda losses, sizes: sum(losses) / len(losses)),
            "last batch counted like the others", "把较小的最后一个批量与其他批量同等看待",
            "You average over batches, but the last batch is smaller. Weight each batch's loss by its number of examples.",
            "你对批量取了平均，而最后一个批量较小。请按样本数给各批量的损失加权。"),
    Mistake(_loop(lambda losses, sizes: sum(losses) / sum(sizes)), "divided twice", "重复除以了样本数",
            "The loss of a batch is a mean already. Multiply it by the number of examples before you add up.",
            "批量的损失已经是平均值。请先乘以样本数，再累加。"),
    Mistake(_loop(lambda losses, sizes: _mean(losses, sizes) * sum(sizes)), "sum instead of mean", "该取平均，却求了和",
            "That is the sum over all examples: divide it by their number.", "这是所有样本之和，还要除以样本数。"),
    Mistake(_loop(late=True), "loss measured after the step", "在更新之后才度量损失",
            "That is the loss after the step. Return the loss with which each step began.",
            "这是更新之后的损失。应返回每一步更新之前的损失。"),
    Mistake(_loop(lambda losses, sizes: sum(losses)), "sum over the batches", "各批量之和",
            "You add up the losses of the batches. Return the mean over all examples.",
            "你把各批量的损失加了起来。应返回所有样本的平均损失。"),
]

@exercise("dropout.fix_loop", "train_epoch(net, train_iter, loss, optimizer)", mistakes=_WRONG_STEPS + _WRONG_SUMS)
def fix_loop(train_epoch):
    """Check one epoch of training against the textbook loop."""
    call = "train_epoch(net, train_iter, loss, optimizer)"
    cases = (0.0, None, (10, 10, 10, 3), list), (0.9, 1.0, (12, 12, 5), iter)
    for (momentum, gradient, sizes, batches), dtype in zip(cases, (torch.float32, torch.float64), strict=True):
        first = nn.Sequential(_Probe(), nn.Conv1d(2, 4, 2), nn.Flatten())
        start = nn.Sequential(first, nn.Linear(8, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 3)).to(dtype).eval()
        start.training = gradient is not None  # then only its parts are in evaluation mode
        start[4].bias.requires_grad_(False)
        data = [(3 * torch.randn(n, 2, 3, dtype=dtype), torch.randint(0, 3, (n,))) for n in sizes]
        run = partial(_after_an_epoch, start=start, data=data, momentum=momentum, gradient=gradient, batches=batches)
        net, value, weights = run(train_epoch)
        got = number(value, call)
        seen = net[0][0].training_seen
        expect(batches is list or len(seen) >= len(sizes), *_READ_TWICE, name="train_iter")
        unlearned = torch.equal(weights, nn.utils.parameters_to_vector(start.parameters()))
        expect(not unlearned, *_NOTHING_LEARNED.words)
        expect(any(seen), *_NOT_IN_TRAIN_MODE.words)
        expect(all(seen), *_NOT_ALL_IN_TRAIN_MODE, count=len(seen), off=seen.count(False))
        _, right_value, right_weights = run(_loop())
        after = Text("the weights after an epoch", "训练一轮后的权重")
        expect_close(tensor(weights, after, like=right_weights), right_weights, after,
                     _as(lambda loop, run=run: run(loop)[2], _WRONG_STEPS), rtol=1e-3, atol=1e-5)
        expect_close(got, right_value, call, _as(lambda loop, run=run: run(loop)[1], _WRONG_SUMS), rtol=1e-3)
        expect(not getattr(value, "requires_grad", False), *_KEEPS_GRAPH.words)
        expect(len(seen) == len(sizes), "not one pass for each batch", "不是每个批量运行一次",
               "You ran the net {count} times for {batches} batches. The loss is that of the pass that trains: in another one "
               "dropout draws anew, and normalization counts the batch twice.",
               "{batches} 个批量，你却运行了网络 {count} 次。损失应取自训练的那一次前向计算：再运行一次，暂退法会重新抽取，"
               "归一化也会把批量算两遍。", count=len(seen), batches=len(sizes))

def _after_an_epoch(epoch, start, data, momentum, gradient, batches):
    """Return a copy of the net after the epoch, what the epoch returned, and the weights."""
    net = copy.deepcopy(start)
    for parameter in filter(lambda parameter: parameter.requires_grad, net.parameters()):
        parameter.grad = gradient and torch.full_like(parameter, gradient)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=momentum)
    with unchanged(train_iter=data):
        value = epoch(net, batches(data), nn.CrossEntropyLoss(label_smoothing=0.2), optimizer)
    return net, value, nn.utils.parameters_to_vector(net.parameters()).detach()

# Judging experiments ------------------------------------------------------------------------------

def _accuracies(num_seeds: int, center: float) -> np.ndarray:
    """Return one accuracy for each seed, as a sweep does."""
    return (center + 0.02 * torch.randn(num_seeds, dtype=torch.float64)).numpy()

def _pairs():
    for n, sign in ((5, 1), (2, -1), (9, 1)):
        a, gain = _accuracies(n, 0.8), _accuracies(n, 0.005)
        gain[:2] = np.abs(gain[:2]) * [1, -1]  # each of the two wins at some seed
        gain *= sign * np.sign(gain.mean())
        yield {"a": a, "b": a - 0.2 * gain}  # a seed is good or bad for both

def _of_difference(mean: Callable = np.mean, error: Callable = lambda d: d.std(ddof=1) / len(d) ** 0.5) -> Callable:
    """Return an answer from what it takes for the mean and the error of the differences."""
    return lambda a, b: (mean(a - b), error(a - b))

def _mean_and_error(value, call, arguments):
    mean, error = numbers(value, call, 2)
    return {Text("mean of a - b", "a - b 的均值"): mean, Text("standard error", "标准误"): error}

value_exercise("dropout.paired_difference", "paired_difference(a, b)",
               inputs=_pairs, right=_of_difference(), returns=_mean_and_error, mistakes=[
    Mistake(lambda a, b: _of_difference()(b, a), "difference the wrong way round", "差的方向反了",
            "That is the mean of b - a.", "这是 b - a 的均值，应求 a - b 的均值。"),
    Mistake(_of_difference(np.sum), "sum instead of mean", "该取平均，却求了和",
            "That is the sum of the differences.", "这是各个差之和，应求均值。"),
    Mistake(lambda a, b: _of_difference()(np.abs(a - b), 0), "absolute differences", "用了差的绝对值",
            "You drop the signs. Where b is better than a, the difference is negative, and counts against a.",
            "你丢掉了正负号。b 比 a 好时差为负，应当算作对 a 不利。"),
    Mistake(lambda a, b: _of_difference()(a, b)[::-1], "mean and standard error swapped", "均值与标准误的次序反了",
            "The mean comes first, then its standard error.", "均值在前，它的标准误在后。"),
    Mistake(_of_difference(error=lambda d: d.std(ddof=1)),
            "standard deviation instead of standard error", "该用标准误，却用了标准差",
            "That is the standard deviation of a single difference. The mean of n of them is surer by a factor of √n.",
            "这是单个差的标准差。n 个差的均值更可靠，误差只有它的 1/√n。"),
    Mistake(lambda a, b: ((a - b).mean(), ((a.var(ddof=1) + b.var(ddof=1)) / len(a)) ** 0.5),
            "pairing ignored", "没有利用配对",
            "You treat a and b as unrelated groups. A good seed is good for both: take the differences first, then "
            "look at how they spread.",
            "你把 a 和 b 当成了互不相干的两组。一个走运的随机种子，对两者都有利：先求差，再看这些差有多分散。"),
    Mistake(_of_difference(error=lambda d: d.std() / len(d) ** 0.5),
            "divided by n instead of n-1", "该除以 n-1，却除以了 n",
            "With the mean estimated from the same numbers, the variance divides by n-1: NumPy's `ddof=1`.",
            "均值也是由这些数估计的，所以方差要除以 n-1：NumPy 的 `ddof=1`。"),
    Mistake(_of_difference(error=lambda d: d.std(ddof=1) / len(d)),
            "divided by n instead of √n", "该除以 √n，却除以了 n", "Divide by the square root of n.", "应除以 n 的平方根。"),
    Mistake(_of_difference(error=lambda d: d.var(ddof=1) / len(d)),
            "variance instead of standard error", "该用标准误，却用了方差",
            "That is the squared standard error: take the root.", "这是标准误的平方，还要开方。"),
    Mistake(_of_difference(error=lambda d: 1.96 * d.std(ddof=1) / len(d) ** 0.5),
            "interval instead of standard error", "该用标准误，却用了置信区间",
            "Return the standard error itself, not an interval's half-width.", "请返回标准误本身，而不是置信区间的半宽。"),
])

def _losses():
    """Yield losses with the best epoch anywhere: alone, by very little, or first of equals."""
    for shape, place in itertools.product(((3, 20), (5, 12), (1, 7), (4, 9), (3, 1), (1, 1), (2, 4)), (0, -1, None, None)):
        losses = (torch.rand(shape, dtype=torch.float64) + 0.5).numpy()
        if place is not None:
            losses[:, place] -= losses.mean(0)[place] - losses.mean(0).min() + 0.01
        yield {"valid_loss": losses * 10 ** float(torch.randint(-2, 3, ()))}
    losses = np.random.default_rng(int(torch.randint(99, ()))).uniform(1, 2, (4, 12))
    losses[:, [3, 8]] = [1, 1 - 1e-6]
    yield {"valid_loss": losses}
    yield {"valid_loss": np.array([[0.9, 0.5, 0.7, 0.5]] * 2)}
    yield {"valid_loss": np.array([[20.0, 12.0, 15.0], [15.0, 20.0, 25.0]])}

value_exercise("dropout.best_epoch", "best_epoch(valid_loss)", inputs=_losses,
               right=lambda loss: loss.mean(0).argmin() + 1, mistakes=[
    Mistake(lambda loss: loss.mean(0).argmin(), "counted from 0", "从 0 数起",
            "Index 0 is epoch 1: count the epochs from 1.", "下标 0 是第 1 轮：轮次要从 1 数起。"),
    Mistake(lambda loss: loss.argmin(1).mean() + 1, "mean of the seeds' best epochs", "取了各随机种子最佳轮次的平均",
            "You average the best epochs of the single seeds. Average the losses first, then look for the lowest.",
            "你对各随机种子自己的最佳轮次取了平均。应先对损失取平均，再找最低的。"),
    Mistake(lambda loss: loss[0].argmin() + 1, "one seed only", "只用了一个随机种子",
            "You look at the first seed only. Average over the seeds.", "你只看了第一个随机种子。应对所有随机种子取平均。"),
    Mistake(lambda loss: loss.mean(1).argmin() + 1, "seeds and epochs swapped", "随机种子与轮次弄反了",
            "That is the best seed. `valid_loss[seed, epoch]`: average over the first index.",
            "这是最好的随机种子。`valid_loss[seed, epoch]`：应沿第一个下标取平均。"),
    Mistake(lambda loss: np.median(loss, 0).argmin() + 1, "median instead of mean", "该用均值，却用了中位数",
            "That is the median of the seeds; take their mean.", "这是各随机种子的中位数，应取均值。"),
    Mistake(lambda loss: loss.mean(0).argmax() + 1, "highest instead of lowest", "该取最低，却取了最高",
            "You look for the highest loss.", "你找的是最高的损失，应找最低的。"),
    Mistake(lambda loss: loss.max(0).argmin() + 1, "worst seed instead of mean", "该用均值，却用了最差的随机种子",
            "You judge each epoch by its worst seed; take the mean.", "你按最差的随机种子来评判每一轮，应取均值。"),
    Mistake(lambda loss: loss.mean(0).min(), "the loss instead of the epoch", "给了损失，而不是轮次",
            "That is the lowest loss. Return the epoch in which it occurs.", "这是最低的损失。应返回它出现在哪一轮。"),
    Mistake(lambda loss: loss.shape[1], "always the last epoch", "总是最后一轮",
            "That is the last epoch, not the best.", "这是最后一轮，不是最好的一轮。"),
    Mistake(lambda loss: loss.min(0).argmin() + 1, "lowest loss of a single seed", "取了单个随机种子的最低损失",
            "You look for the lowest single loss, so one lucky seed decides. Average over the seeds first.",
            "你找的是所有单个损失中最低的，于是一个走运的随机种子就说了算。应先对随机种子取平均。"),
    Mistake(lambda loss: loss.shape[1] - loss.mean(0)[::-1].argmin(), "last of equal epochs", "几轮相等时取了最后一个",
            "Of several equally good epochs return the first.", "有几轮一样好时，应返回最前面的那一轮。"),
])

def _four_groups():
    for n, with_dropout, without in ((5, 0.12, 0.08), (3, 0.01, 0.12), (1, -0.05, 0.04), (4, -0.1, -0.03), (8, 0.05, -0.06)):
        none, dropout = _accuracies(n, 0.6), _accuracies(n, 0.65)
        decay, both = none + _accuracies(n, without), dropout + _accuracies(n, with_dropout)
        yield {"none": none, "decay": decay, "dropout": dropout, "both": both}

value_exercise("dropout.interaction", "interaction(none, decay, dropout, both)", inputs=_four_groups,
               right=lambda none, decay, dropout, both: ((both - dropout) - (decay - none)).mean(), mistakes=[
    Mistake(lambda none, decay, dropout, both: ((decay - none) - (both - dropout)).mean(),
            "sign turned round", "符号反了", "Positive should mean that weight decay gains more when dropout is there.",
            "正值应表示：有暂退法时，权重衰减的增益更大。"),
    Mistake(lambda none, decay, dropout, both: (both - dropout - decay).mean(), "baseline forgotten", "忘了基准",
            "The gain of weight decay alone is decay - none.", "权重衰减单用时的增益是 decay - none。"),
    Mistake(lambda none, decay, dropout, both: ((both - dropout) + (decay - none)).mean(),
            "gains added", "两个增益加在了一起", "Compare the two gains of weight decay: subtract one from the other.",
            "应比较权重衰减的两个增益：用一个减去另一个。"),
    Mistake(lambda none, decay, dropout, both: (both - none).mean(),
            "gain of both against none", "两者并用相对于 none 的增益",
            "That is what both gain together. How does it compare with the sum of the single gains?",
            "这是两者并用的总增益。它与各自单用的增益之和相比如何？"),
    Mistake(lambda none, decay, dropout, both: (both - np.maximum(decay, dropout)).mean(),
            "gain of both against the better one", "两者并用相对于较好一个的增益",
            "That is what the second one adds to the better one. Compare it with what it adds to no regularization at all.",
            "这是第二个在较好的一个之上带来的增益。应把它与没有正则化时带来的增益相比。"),
    Mistake(lambda none, decay, dropout, both: (both - dropout - decay - none).mean(),
            "baseline counted twice", "基准算了两次", "Mind the signs: minus (decay - none) is minus decay plus none.",
            "注意符号：减去 (decay - none)，就是减 decay 加 none。"),
    Mistake(lambda none, decay, dropout, both: ((both - dropout) - (decay - none)).sum(),
            "sum instead of mean", "该取平均，却求了和",
            "You add up over the seeds: return the mean.", "你对随机种子求了和，应返回均值。"),
])

# Theory -------------------------------------------------------------------------------------------

def _units():
    for n, dtype in ((4, torch.float32), (1, torch.float64), (9, torch.float32)):
        w, x = torch.randn(n, dtype=dtype) + 1, torch.randn(n, dtype=dtype) - 1
        for p in (*_small_and_large(0.1, 0.4), 0.0, *_small_and_large(0.005, 0.05)):
            yield {"w": w, "x": x, "p": p}

def _variance_over_all_masks(w, x, p):
    """Return the variance of a linear unit whose inputs are dropped: no formula, all 2ⁿ masks."""
    masks = torch.tensor(list(itertools.product((0, 1), repeat=len(w))), dtype=torch.float64)
    probability = (masks * (1 - p) + (1 - masks) * p).prod(1)
    outputs = masks @ (w * x).double() / (1 - p)
    return probability @ (outputs - probability @ outputs).square()

def _squares(w, x):
    return (w * x).double().square().sum()

value_exercise("dropout.variance", "output_variance(w, x, p)", inputs=_units, right=_variance_over_all_masks, mistakes=[
    Mistake(lambda w, x, p: p * (1 - p) * _squares(w, x), "mask not rescaled by 1/(1-p)", "掩码没有按 1/(1-p) 重新缩放",
            "That is the variance if the mask is not divided by 1-p. Dividing a random number by c divides its variance by c².",
            "这是掩码不除以 1-p 时的方差。随机数除以 c，方差就除以 c²。"),
    Mistake(lambda w, x, p: p * _squares(w, x), "divided by 1-p only", "只除以了 1-p",
            "Dividing a random number by 1-p divides its variance by (1-p)².", "随机数除以 1-p，方差就除以 (1-p)²。"),
    Mistake(lambda w, x, p: (1 - p) / p * _squares(w, x), "p and 1-p swapped", "p 与 1-p 弄反了",
            "p is the probability of being dropped, and the more is dropped, the larger the variance.",
            "p 是丢弃概率；丢弃得越多，方差越大。"),
    Mistake(lambda w, x, p: _squares(w, x) / (1 - p),
            "mean of the square instead of variance", "该用方差，却用了平方的均值",
            "For one input that is the mean of the square. The variance subtracts the square of the mean.",
            "只有一个输入时，这是平方的均值。方差还要减去均值的平方。"),
    Mistake(lambda w, x, p: p / (1 - p) * (w * x).sum() ** 2,
            "sum squared instead of squares summed", "该先平方再求和，次序反了",
            "You square the sum. The masks are independent, so the variances of the terms add up: square each term, then sum.",
            "你对和取了平方。各个掩码相互独立，所以各项的方差相加：先逐项平方，再求和。"),
    Mistake(lambda w, x, p: p / (1 - p) * (w * x).sum(), "squares missing", "漏了平方",
            "Multiplying a random number by c multiplies its variance by c².", "随机数乘以 c，方差就乘以 c²。"),
    Mistake(lambda w, x, p: p / (1 - p) * w.square().sum(), "inputs left out", "漏了输入",
            "An input that is large makes a large difference when it is dropped: x belongs into the formula.",
            "大的输入一旦被丢弃，影响也大：公式里应当有 x。"),
    Mistake(lambda w, x, p: p / (1 - p) * _squares(w, x) / len(w), "mean instead of sum", "该求和，却取了平均",
            "The variances of the terms add up: take their sum.", "各项的方差相加：应求和。"),
    Mistake(lambda w, x, p: (p / (1 - p) * _squares(w, x)).sqrt(),
            "standard deviation instead of variance", "该用方差，却用了标准差",
            "That is the standard deviation, the square root of the variance.", "这是标准差，即方差的平方根。"),
])

# Relatives of dropout -----------------------------------------------------------------------------

_BIAS_DROPPED = Mistake(lambda X, W, b, p: F.linear(X, F.dropout(W, p), F.dropout(b, p)),
    "bias dropped too", "偏置也丢弃了",
    "With X = 0 the output should be b; in yours a part of it is zero. Only weights are dropped.",
    "X = 0 时输出应为 b，你的输出却有一部分是零。丢弃的只是权重。")
_BIAS_RESCALED = Mistake(lambda X, W, b, p: F.linear(X, W * _kept(W, p), b) / (1 - p),
    "bias rescaled too", "偏置也重新缩放了", "With X = 0 the output should be b. Only the weights are masked and rescaled.",
    "X = 0 时输出应为 b。加掩码并重新缩放的只是权重。")
_BIAS_LEFT_OUT = Mistake(lambda X, W, b, p: F.linear(X, F.dropout(W, p)),
    "bias left out", "漏了偏置", "Add the bias b.", "请加上偏置 b。")
_FOR_EACH_EXAMPLE = ("different for each example", "每个样本各不相同",
    "Equal rows of X gave different outputs. What is dropped are weights, by one mask in a call, and all examples share them.",
    "X 中相同的行得到了不同的输出。丢弃的是权重，每次调用只用一个掩码，所有样本共用。")
_ACTIVATIONS = ("activations dropped instead of weights", "该丢弃权重，却丢弃了激活值",
    "All weights of an input or of an output are dropped together, as if activations had been dropped. Each single "
    "weight needs a random number of its own.",
    "同一个输入或同一个输出的所有权重一起被丢弃，就像丢弃的是激活值。每个权重都要有自己的随机数。")

@exercise("dropout.dropconnect", "dropconnect(X, W, b, p)", mistakes=[
    *_as(lambda factor: lambda X, W, b, p: F.linear(X, W * _kept(W, p) * (factor(p) if p else 1), b), _FACTORS),
    Mistake(lambda X, W, b, p: F.linear(X, W, b), *_NOTHING_DROPPED),
    Mistake(lambda X, W, b, p: F.linear(X, W * ~_kept(W, p) / (1 - p) if p else W, b), *_KEEPS_P),
    Mistake(lambda X, W, b, p: F.linear(X * _kept(X[0], p) / (1 - p), W, b), *_ACTIVATIONS),
    Mistake(lambda X, W, b, p: F.linear(X, W * _kept(W[:, :1], p) / (1 - p), b), *_ACTIVATIONS),
    Mistake(lambda X, W, b, p: F.linear(F.dropout(X, p), W, b), *_FOR_EACH_EXAMPLE),
    Mistake(lambda X, W, b, p: F.dropout(X @ W.T, p) + b, *_FOR_EACH_EXAMPLE),
    _BIAS_DROPPED, _BIAS_RESCALED, _BIAS_LEFT_OUT,
])
def dropconnect(answer):
    """Check a linear layer with dropped weights; Wan et al. (2013), one mask a call."""
    call = "dropconnect(X, W, b, p)"

    def layer(X, W, b, p):
        with unchanged(X=X, W=W, b=b):
            return tensor(answer(X, W, b, p), call, like=X.new_empty(len(X), len(W)))

    def of_the_weights(W, p):  # The outputs are the weights themselves.
        return layer(torch.eye(W.shape[1], dtype=W.dtype, device=W.device), W, torch.zeros_like(W[:, 0]), p).T

    for shape in ((9, 14), (7, 7), (1, 4)):
        _expect_the_bias(layer, _far_from_zero(*shape))
    _expect_dropped(of_the_weights, call, ((56, 50), (30, 90)), _ACTIVATIONS, (2,))
    W, b, X = _far_from_zero(9, 14), torch.randn(9), torch.randn(8, 14)
    expect_close(layer(X, W, b, 1.0), b.expand(8, -1), "dropconnect(X, W, b, 1)")
    _expect_a_layer(of_the_weights, "dropconnect(X, W, b, {p})", (0, 0.5, 1), "torch.rand_like(W)", (2,), "W")
    for p, dtype in itertools.product((0, 0.5, 1), (torch.float32, torch.float64)):
        _expect_gradients_of_dropconnect(answer, f"dropconnect(X, W, b, {p})", p, dtype)

def _expect_the_bias(layer: Callable, W: torch.Tensor) -> None:
    """State that all is linear with p = 0, the bias is left alone, and all examples share their weights."""
    b, X = torch.randn(len(W)), torch.randn(8, W.shape[1])
    b_only, zeros = b.expand(8, -1), torch.zeros_like(X)
    expect_close(layer(X, W, b, 0.0), F.linear(X, W, b), f"dropconnect(X, W, b, 0), W of shape {(*W.shape,)}",
                 _as(lambda wrong: wrong(X, W, b, 0.0), [_BIAS_LEFT_OUT]), rtol=1e-3, atol=1e-4)
    for p in (0.6, 0.5, 0.7, 0.3):
        out = layer(zeros, W, b, p)
        expect((out == 0).all() or (out != 0).all(), *_BIAS_DROPPED.words)
        expect_close(out, b_only, "dropconnect(0, W, b, p)",
                     _as(lambda wrong, p=p: wrong(zeros, W, b, p), [_BIAS_RESCALED, _BIAS_LEFT_OUT]))
        same = layer(X[:1].expand(8, -1), W, b, p)
        expect(torch.allclose(same, same[:1].expand(8, -1), rtol=1e-3, atol=1e-3), *_FOR_EACH_EXAMPLE)

def _expect_gradients_of_dropconnect(answer: Callable, call: str, p: float, dtype: torch.dtype) -> None:
    """State that X and b, of any layout and dtype, feel the output."""
    W, X = (values.T.detach().requires_grad_() for values in (_far_from_zero(6, 5, dtype=dtype), torch.eye(6, dtype=dtype)))
    b = torch.randn(5, dtype=dtype).requires_grad_()
    out = answer(X, W, b, p)
    want = {"X": (out - b).detach().sum(1).expand(6, -1), "b": torch.full_like(b, 6)}
    gradients = torch.autograd.grad(out.sum(), (X, b), allow_unused=True) if out.requires_grad else (None,) * 2
    for (name, right), gradient in zip(want.items(), gradients, strict=True):
        expect(gradient is not None or not right.any(), *_NO_GRADIENT, what=call, input=name)
        if gradient is not None:
            expect_close(gradient, right, Text("the gradient of {what} at {name}", "{what} 对 {name} 的梯度").format(
                what=call, name=name), rtol=1e-3, atol=1e-4)

def _noisy(variance: Callable = lambda p: p / (1 - p), mean=1.0, draw: Callable = torch.randn_like) -> Callable:
    """Return an answer that multiplies by noise of this variance; with p = 0 it does nothing."""
    return lambda X, p: X * (mean + variance(p) ** 0.5 * draw(X)) if p else X

_NO_NOISE = Mistake(lambda X, p: X.clone(), "no noise", "没有噪声", "`{what}` returns X itself.", "`{what}` 原样返回了 X。")
_NOISE_ADDED = Mistake(lambda X, p: X + (p / (1 - p)) ** 0.5 * torch.randn_like(X),
    "noise added instead of multiplied", "噪声是加上去的，不是乘上去的",
    "Where X is 0 the output should be 0 as well: multiply X by the noise.", "X 为 0 之处，输出也应为 0：请把 X 乘以噪声。")
_ZEROS = Mistake(F.dropout, "zeros in the noise", "噪声里有零",
    "{share} of the entries came out as 0. Normally distributed numbers are hardly ever 0: nothing is dropped here, and nothing "
    "cut off.", "{share} 的元素成了 0。服从正态分布的数几乎从不为 0：这里什么也不丢弃，也不截断。")
_MEAN_0 = Mistake(_noisy(mean=0.0), "noise of mean 0", "噪声的均值为 0",
    "Your noise has mean 0, so on average nothing of X is left. Its mean should be 1.",
    "你的噪声均值为 0，平均来说 X 什么也不剩。均值应为 1。")
_WRONG_MEAN = Mistake(lambda X, p: _noisy()(X, p) / (1 - p), "wrong mean", "均值不对",
    "The mean of output / input should be 1; for p in {p} yours is {mean}.", "输出 / 输入的均值应为 1；p 取 {p} 时，你的是 {mean}。")
_NOT_GAUSSIAN = Mistake(_noisy(draw=lambda X: 12**0.5 * (torch.rand_like(X) - 0.5)), "not Gaussian", "不是高斯分布",
    "The fourth power of (noise - mean) / standard deviation has mean 3 if the noise is normally distributed; with yours it is "
    "{fourth}.", "若噪声服从正态分布，(噪声 - 均值) / 标准差 的四次方均值为 3；你的噪声是 {fourth}。")
_VARIANCE_OF_DROPOUT = ("The variance of dropout's noise is p/(1-p).", "暂退法噪声的方差是 p/(1-p)。")
_VARIANCES = [  # of the noise, as functions of p
    Mistake(lambda p: (p / (1 - p)) ** 2, "p/(1-p) as standard deviation", "把 p/(1-p) 当成了标准差",
            "p/(1-p) is the variance; `randn` must be multiplied by the standard deviation, its root.",
            "p/(1-p) 是方差；`randn` 要乘的是标准差，即它的平方根。"),
    Mistake(lambda p: p * (1 - p), "variance of a mask that is not rescaled", "用了未经重新缩放的掩码的方差",
            "p(1-p) is the variance of the bare mask. Dividing the mask by 1-p divides its variance by (1-p)².",
            "p(1-p) 是掩码本身的方差。掩码除以 1-p，方差就除以 (1-p)²。"),
    Mistake(lambda p: 1.0, "standard deviation 1", "标准差是 1",
            "The noise must grow with p: p/(1-p) is its variance.", "噪声应随 p 增大：方差是 p/(1-p)。"),
    Mistake(lambda p: (1 - p) / p, "p and 1-p swapped", "p 与 1-p 弄反了",
            "The larger p, the more noise: p/(1-p) is its variance.", "p 越大，噪声越大：方差是 p/(1-p)。"),
    Mistake(lambda p: p, "p as variance", "把 p 当成了方差", *_VARIANCE_OF_DROPOUT),
    Mistake(lambda p: p**2, "p as standard deviation", "把 p 当成了标准差", *_VARIANCE_OF_DROPOUT),
]

@exercise("dropout.gaussian", "gaussian_dropout(X, p)", mistakes=[
    *_as(_noisy, _VARIANCES), _NO_NOISE, _NOISE_ADDED, _ZEROS, _MEAN_0, _WRONG_MEAN, _NOT_GAUSSIAN,
    Mistake(_noisy(draw=lambda X: torch.randn_like(X[0])), *_SHARED),
    Mistake(_noisy(draw=lambda X: torch.randn_like(X[:, :1])), *_SHARED),
])
def gaussian(gaussian_dropout):
    """Check multiplicative noise N(1, p/(1-p)); Srivastava et al. (2014), section 10."""
    call = "gaussian_dropout(X, p)"
    expect((_noise(gaussian_dropout, _far_from_zero(7, 9), 0.3, call) != 1).any(), *_NO_NOISE.words, what=call)
    expect(not tensor(gaussian_dropout(torch.zeros(9, 9), 0.5), call, (9, 9)).any(), *_NOISE_ADDED.words)
    for shape, ps in (((50, 100), (0.1, 0.3)), ((10, 20, 25), (0.1, 0.3)), ((5, 4, 10, 25), (0.02, 0.05))):
        _expect_gaussian({p: _noise(gaussian_dropout, _far_from_zero(*shape).double(), p, call) for p in _small_and_large(*ps)}, call)
    _expect_fresh(gaussian_dropout, call, _NO_NOISE.words, (2, 3))
    _expect_a_layer(gaussian_dropout, "gaussian_dropout(X, {p})", (0, 0.3), "torch.randn_like(X)", (2, 3, 4), no_noise=_NO_NOISE.words)

def _expect_gaussian(noises: dict[float, torch.Tensor], what: str) -> None:
    """State that the numbers for each p are independent, and of N(1, p/(1-p))."""
    for noise in noises.values():
        zeros = (noise == 0).double().mean()
        expect(zeros < 0.01, *_ZEROS.words, share=f"{zeros:.0%}")
        expect(not _share_numbers(noise > noise.mean() + 1e-6), *_SHARED, what=what)  # not by how large the largest are
    noise = torch.stack([noise.flatten() for noise in noises.values()])
    mean, std, n = noise.mean(1), noise.std(1), noise.shape[1]
    expect(((mean - 0).abs() > 6 * std / n**0.5).any(), *_MEAN_0.words)
    expect(((mean - 1).abs() < 6 * std / n**0.5).all(), *_WRONG_MEAN.words, p=short([*noises]), mean=short(mean.tolist()))
    fourth = ((noise - mean[:, None]) / std[:, None]).pow(4).mean()
    expect(abs(fourth - 3) < 8 * (24 / noise.numel()) ** 0.5, *_NOT_GAUSSIAN.words, fourth=short(fourth))
    of_all = lambda variance: torch.tensor([variance(p) for p in noises], dtype=torch.float64)  # noqa: E731
    expect_close(std**2, of_all(lambda p: p / (1 - p)),
                 Text("variances of the noise for p in {p}", "p 取 {p} 时噪声的方差").format(p=short([*noises])),
                 _as(of_all, _VARIANCES), rtol=6 * (2 / n) ** 0.5)

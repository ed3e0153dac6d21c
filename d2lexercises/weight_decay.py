"""The exercises on weight decay."""

import copy
import operator
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from itertools import product

import torch
from torch import nn
from torch.nn.functional import cross_entropy, softshrink

from d2lutils.checks.exercise import exercise, like, value_exercise
from d2lutils.checks.expect import (
    Mistake,
    agree,
    expect,
    expect_close,
    number,
    returned,
    short,
    tensor,
    unchanged,
)

_DTYPES = (torch.float32, torch.float64)
_CUT_OFF = ("no gradient", "没有梯度",
            "The value of `{what}` is cut off from the weights, so training cannot feel it. Stay with tensors all the "
            "way: no `.item()`, `.data`, `.detach()` or `torch.no_grad()`.",
            "`{what}` 的值与权重之间断了计算图，对它求导影响不到权重。请自始至终使用张量：不要用 `.item()`、`.data`、"
            "`.detach()` 或 `torch.no_grad()`。")

def _between(low: float, high: float) -> float:
    return low + (high - low) * float(torch.rand(()))

def _pair(value: object, what: str) -> tuple:
    """Return the two values of an answer that must return two."""
    returned(value, what)
    expect(isinstance(value, (tuple, list)) and len(value) == 2, "not two values", "不是两个值",
           "`{what}` should return two values, as in `return first, second`.",
           "`{what}` 应返回两个值，例如 `return first, second`。", what=what)
    return tuple(value)


# The penalty --------------------------------------------------------------------------------------

def _weights_with_gradient():
    for shape, dtype in product(((5,), (7, 3), (2, 3, 4), (1,), ()), _DTYPES):
        yield {"w": (torch.randn(shape, dtype=dtype) + 0.5).requires_grad_()}
        yield {"w": torch.zeros(shape, dtype=dtype).requires_grad_()}

def _expect_slope_w(answer, arguments, value):
    """Check that the gradient is w, which is what makes the penalty weight decay."""
    (w,) = arguments.values()
    expect(getattr(value, "requires_grad", False), *_CUT_OFF, what="l2_penalty(w)")
    (gradient,) = torch.autograd.grad(value, w, allow_unused=True)
    expect(gradient is not None, *_CUT_OFF, what="l2_penalty(w)")
    expect(w.grad is None, "backward called inside", "在内部调用了 backward",
           "Only compute the value. Whoever calls `l2_penalty` takes its gradient.",
           "只需计算数值。求梯度是 `l2_penalty` 的调用者的事。")
    expect(w.any() or torch.isfinite(gradient).all(), "no slope at zero", "在零处不可导",
           "With w = 0 the gradient of `l2_penalty(w)` is not a finite number: a root has no slope "
           "there. Add up the squares, and take no root on the way.",
           "w = 0 时，`l2_penalty(w)` 的梯度不是有限的数，因为平方根在零处不可导。直接把平方加起来，中途不要开根号。")
    expect_close(gradient, w, "the gradient of l2_penalty(w)")

value_exercise("weight_decay.penalty", "l2_penalty(w)", inputs=_weights_with_gradient,
               right=lambda w: w.square().sum() / 2, also=_expect_slope_w, mistakes=[
    Mistake(lambda w: w.square().mean() / 2, "mean instead of sum", "该求和，却取了平均",
            "You take the mean of the squares: the penalty then shrinks as the layer grows. Take their sum.",
            "你对平方取了平均，层越大，惩罚项就越小。应求和。"),
    Mistake(lambda w: w.square().sum(), "the half is missing", "漏了二分之一",
            "The sum of squares is right; halve it.", "平方和是对的，还要减半。"),
    Mistake(lambda w: w.norm() / 2, "norm instead of its square", "该用范数的平方，却用了范数",
            "‖w‖² is the sum of the squares; you took its root as well.", "‖w‖² 就是平方和，你却又开了根号。"),
    Mistake(lambda w: w.sum().square() / 2, "sum squared instead of squares summed", "该先平方再求和，次序反了",
            "Square each weight first, then sum: in your order weights of opposite sign cancel.",
            "先把每个权重平方，再求和：按你的次序，符号相反的权重会互相抵消。"),
    Mistake(lambda w: w.abs().sum() / 2, "L1 instead of L2", "该用 L2，却用了 L1",
            "You sum the absolute values, which is the L1 norm. Sum the squares.",
            "你对绝对值求了和，这是 L1 范数。应对平方求和。"),
])


# Nets and the penalty of a net --------------------------------------------------------------------

class _Misnamed(nn.Module):
    """Scales and mixes its input; the names of its parameters tell nothing of their dimensions."""

    def __init__(self, width: int):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(())), nn.Linear(width, width)
        self.weight_g = nn.Parameter(torch.ones(1, width))

    def forward(self, X):
        return self.weight * self.bias(X * self.weight_g)

def _random_net(*layers: nn.Module) -> nn.Sequential:
    """Return the layers in double precision, each in some mode, no parameter at zero: a decayed bias must show."""
    net = nn.Sequential(*layers).double()
    for p in net.parameters():
        nn.init.normal_(p, mean=0.3, std=0.5)
    for module in net.modules():
        module.training = bool(torch.randint(2, ()))
    return net

def _nets() -> list[nn.Sequential]:
    """Return nets for X of shape (B, 6) and 3 classes: nested, linear, with kernels, with shared and frozen weights."""
    width = int(torch.randint(4, 9, ()))
    nested = nn.Sequential(nn.Linear(6, width), nn.ReLU(), nn.Linear(width, width, bias=False))
    shared, again = nn.Linear(6, 6), nn.Linear(6, 6)
    again.weight, frozen = shared.weight, nn.Conv1d(2, 4, 2)
    frozen.weight.requires_grad_(False)
    nets = [
        _random_net(nested, _Misnamed(width), nn.Tanh(), nn.Linear(width, 3)),
        _random_net(nn.Linear(6, 3)),
        _random_net(nn.Unflatten(1, (1, 2, 3)), nn.Conv2d(1, 4, 2), nn.BatchNorm2d(4, track_running_stats=False),
                    nn.ReLU(), nn.Flatten(), nn.LayerNorm(8), nn.Linear(8, 3)),
        _random_net(shared, nn.Tanh(), again, nn.Unflatten(1, (2, 3)), nn.Conv1d(2, 2, 1), frozen,
                    nn.Flatten(), nn.Linear(8, 3)),
    ]
    nn.init.zeros_(nets[-1][-1].weight)  # where a root has no slope
    return nets

def _batch(size: int) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(size, 6, dtype=torch.float64), torch.randint(3, (size,))

def _modes(net: nn.Module) -> list[bool]:
    return [module.training for module in net.modules()]

def _weights(net: nn.Module) -> list[nn.Parameter]:
    """Return what is decayed: matrices and kernels, not biases, nor BatchNorm's scale and shift."""
    return [p for p in net.parameters() if p.ndim > 1]

def _penalty(weights: Iterable[torch.Tensor], lam: float) -> torch.Tensor:
    return lam * sum(w.square().sum() for w in weights) / 2

_SQUARED = ("The penalty is in proportion to λ; yours is to λ².", "惩罚项与 λ 成正比，你的却与 λ² 成正比。")
_BIAS = ("bias or scale decayed too", "偏置或缩放参数也衰减了",
         "Your penalty pulls at `{name}`, which has fewer than two dimensions. Leave out biases and BatchNorm's scale "
         "and shift: take the parameters with `ndim` of 2 or more.",
         "你的惩罚项作用到了 `{name}`，而它不足两维。偏置，以及 BatchNorm 的缩放和平移参数，都不算在内：只取 `ndim` "
         "不小于 2 的参数。")
_LEFT_OUT = ("a layer is left out", "漏了一层",
             "Your penalty does not contain `{name}`. Take every parameter with two or more dimensions, in whatever "
             "layer it is and whatever its name, also in nested ones.",
             "你的惩罚项里没有 `{name}`。凡是维数不少于二的参数都要算上，不论在哪一层、叫什么名字，嵌套在内层的也不例外。")
_PENALTIES = [  # each of the weights and λ
    Mistake(lambda weights, lam: lam * sum(w.square().mean() for w in weights) / 2,
            "mean instead of sum", "该求和，却取了平均",
            "You take the mean over each weight tensor, so large layers are hardly decayed. Sum the squares of all "
            "weights.",
            "你对每个权重张量取了平均，大的层几乎得不到衰减。应对所有权重的平方求和。"),
    Mistake(lambda weights, lam: _penalty(weights, 1), "penalty without λ", "惩罚项里没有 λ",
            "λ plays no part in your penalty.", "λ 在你的惩罚项里不起作用。"),
    Mistake(lambda weights, lam: _penalty(weights, lam) / sum(w.numel() for w in weights),
            "mean over all weights", "对所有权重取了平均",
            "You divide by the number of weights in the net. Sum the squares of all weights.",
            "你除以了网络中权重的个数。应对所有权重的平方求和。"),
    Mistake(lambda weights, lam: _penalty(weights, lam / 2), "halved twice", "减半了两次",
            "The penalty is λ/2 times the sum of squares; yours is half of that.",
            "惩罚项是平方和乘以 λ/2，你的只有它的一半。"),
    Mistake(lambda weights, lam: _penalty(weights, lam**2), "λ squared", "λ 取了平方", *_SQUARED),
    Mistake(lambda weights, lam: _penalty(weights, 2 * lam), "the half is missing", "漏了二分之一",
            "The penalty is λ/2 times the sum of squares; yours is twice that.",
            "惩罚项是平方和乘以 λ/2，你的是它的两倍。"),
    Mistake(lambda weights, lam: _penalty(weights, -lam), "penalty subtracted", "减去了惩罚项",
            "You subtract the penalty, so that large weights are rewarded. Add it.",
            "你减去了惩罚项，大的权重反而受到奖励。应当加上。"),
    Mistake(lambda weights, lam: lam * sum(w.norm() for w in weights) / 2,
            "norm instead of its square", "该用范数的平方，却用了范数",
            "‖w‖² is the sum of the squares; you took its root as well.", "‖w‖² 就是平方和，你却又开了根号。"),
    Mistake(lambda weights, lam: lam * sum(w.abs().sum() for w in weights), "L1 instead of L2", "该用 L2，却用了 L1",
            "You sum the absolute values, which is the L1 penalty. Sum the squares, and halve.",
            "你对绝对值求了和，这是 L1 惩罚。应对平方求和，再减半。"),
]

def _pulls_like(gives, cases: list) -> bool:
    """Tell whether a penalty of the weights and λ explains each pull, where there is one."""
    for _, parameters, pulls, lam in cases:
        pairs = [(p.detach().clone().requires_grad_(), pull) for p, pull in zip(parameters, pulls, strict=False)
                 if _felt(pull) or not p.any()]
        held = [p for p, _ in pairs]
        if held and not all(map(agree, [pull for _, pull in pairs], torch.autograd.grad(
                gives([*held, *parameters[len(pulls):]], lam), held))):
            return False
    return True

def _felt(pull: torch.Tensor) -> bool:
    return not pull.abs().max() <= 1e-9  # nan is felt

def _known(cases: list) -> list[Mistake]:
    """Return the mistakes, that of no penalty at all too, that explain the pulls in all cases."""
    return [mistake for mistake in _PENALTIES if _pulls_like(mistake.gives, cases)]

def _explained(cases: list) -> bool:
    return _pulls_like(_penalty, cases) or bool(_known(cases)) or _counts(cases) is not None

def _counts(cases: list) -> list | None:
    """Return (name, parameter, how often a penalty contains it), going by the pulls; None if nothing tells."""
    counts = []
    for names, parameters, pulls, lam in cases:
        for name, p, pull in zip(names, parameters, pulls, strict=False):
            times = ((pull * p).sum() / ((lam * p * p).sum() or 1)).round()
            if not times >= 0 or not agree(pull, times * lam * p):
                return None
            counts.append((name, p, int(times)))
    return counts

def _expect_pulls(cases: list) -> None:
    """Raise what explains the pulls of a penalty in all cases, unless they are right or nothing explains them.

    A case is the names of parameters, these and then frozen weights, their pulls, and λ: right is λw at each
    weight, and nothing else.
    """
    for mistake in [] if _pulls_like(_penalty, cases) else _known(cases):
        raise mistake.wrong("")
    counts = _counts(cases) or ()
    for name, p, times in counts:
        expect(p.ndim > 1 or times != 1, *_BIAS, name=name)
    for name, p, times in counts:
        expect(p.ndim < 2 or times or not p.any(), *_LEFT_OUT, name=name)
    for name, _, times in counts:
        expect(times < 2, "counted more than once", "重复计算",
               "Your penalty contains `{name}` {times} times. `net.parameters()` gives each parameter once, also "
               "those of nested modules and those that two layers share.",
               "你的惩罚项把 `{name}` 算了 {times} 次。`net.parameters()` 已经包含嵌套模块的参数，"
               "两层共用的参数也只给出一次。", name=name, times=times)


# What is minimized --------------------------------------------------------------------------------

_SUMMED = ("cross-entropy summed over the batch", "交叉熵对批量求了和",
           "With λ = 0 only the cross-entropy is left, and yours grows with the batch. Take the mean over the "
           "examples; only the penalty is a sum.",
           "λ = 0 时只剩下交叉熵，你的却随批量增大。应对样本取平均；求和的只有惩罚项。")
_SOFTMAX = ("softmax taken twice", "softmax 用了两次",
            "`cross_entropy` takes the outputs of the net as they are: it contains the softmax.",
            "`cross_entropy` 直接接收网络的输出：它已经包含 softmax。")
_NO_PENALTY = ("no penalty", "没有惩罚项",
               "With λ = {lam} your value is the cross-entropy alone. Add the penalty.",
               "λ = {lam} 时，你的值只有交叉熵。请加上惩罚项。")

def _objective(net, X, y, lam, *, loss=cross_entropy, decayed=_weights, penalty=_penalty):
    return loss(net(X), y) + penalty(decayed(net), lam)

@exercise("weight_decay.objective", "objective(net, X, y, lam)", [
    *(replace(m, gives=partial(_objective, penalty=m.gives)) for m in _PENALTIES),
    Mistake(partial(_objective, decayed=nn.Module.parameters), *_BIAS),
    Mistake(partial(_objective, decayed=lambda net: [p for p in net.parameters() if p.ndim == 2]), *_LEFT_OUT),
    Mistake(partial(_objective, loss=partial(cross_entropy, reduction="sum")), *_SUMMED),
    Mistake(partial(_objective, loss=lambda output, y: cross_entropy(output.softmax(1), y)), *_SOFTMAX),
    Mistake(partial(_objective, penalty=lambda weights, lam: 0), *_NO_PENALTY),
])
def _objective_is_right(objective):
    """Check cross-entropy plus penalty, by its value and by the pull on each parameter."""
    rows, cases, gradients = zip(*map(partial(_objective_of, objective), _nets()), strict=True)
    plain, with_penalty, loss, summed, softmax, penalty, learning, penalty_1 = torch.tensor(rows, dtype=torch.float64).T
    expect_close(plain, loss, "objective(net, X, y, 0)", [
        Mistake(summed, *_SUMMED),
        Mistake(softmax, *_SOFTMAX),
        Mistake(loss + penalty_1, "penalty without λ", "惩罚项里没有 λ",
                "With λ = 0 there must be no penalty left; yours is still there.",
                "λ = 0 时不应再有惩罚项，你的却还在。"),
    ])
    extra = with_penalty - loss
    expect(extra.abs().max() > 1e-9, *_NO_PENALTY, lam=f"{cases[0][-1]:.2f}")
    expect(any(_felt(pull) for _, _, pulls, _ in cases for pull in pulls), *_CUT_OFF, what="objective(net, X, y, lam)")
    _expect_pulls(cases)
    for (names, parameters, pulls, lam), of_loss in zip(cases, gradients, strict=True):
        for name, p, pull, gradient in zip(names, parameters, pulls, of_loss, strict=False):
            expect_close(gradient + pull, gradient + lam * p * (p.ndim > 1), f"the gradient of objective(…) at {name}")
    expect_close(extra, penalty, "objective(net, X, y, lam) - cross_entropy(net(X), y)",
                 [Mistake(learning, "frozen weights left out", "漏了冻结的权重",
                          "The penalty is one of all weights, also of those with `requires_grad=False`.",
                          "惩罚项包含所有权重，`requires_grad=False` 的也算在内。")])

def _objective_of(objective, net) -> tuple[list, tuple]:
    """Return values for one net, the answer's and right and wrong ones, and the pulls of the penalty."""
    call, values, came = "objective(net, X, y, lam)", [], _modes(net)
    X, y = _batch(int(torch.randint(4, 12, ())))
    output, learns = net(X), {name: p for name, p in net.named_parameters() if p.requires_grad}
    loss = cross_entropy(output, y)
    gradients = torch.autograd.grad(loss, learns.values(), retain_graph=True)
    for p in learns.values():
        p.grad = torch.randn_like(p)
    net.register_forward_pre_hook(lambda net, _: expect(
        _modes(net) == came, "mode changed", "模式变了",
        "You call the net in another mode than it came in, so dropout and BatchNorm do something else. Whoever calls "
        "`objective` has chosen the mode: call neither `net.eval()` nor `net.train()`.",
        "你在调用网络时换了模式，暂退法和 BatchNorm 的行为就变了。模式由 `objective` 的调用者决定："
        "不要调用 `net.eval()` 或 `net.train()`。"))
    for lam in (0.0, _between(0.1, 0.9)):
        with unchanged(X=X, y=y, net=net):
            values.append(objective(net, X, y, lam))
    numbers, value = [number(value, call) for value in values], values[-1]
    expect(getattr(value, "requires_grad", False), *_CUT_OFF, what=call)
    theirs = torch.autograd.grad(value, learns.values(), allow_unused=True)
    pulls = [torch.zeros_like(g) if t is None else t - g for t, g in zip(theirs, gradients, strict=True)]
    learning, frozen = ([w for w in _weights(net) if w.requires_grad == flag] for flag in (True, False))
    row = [*numbers, loss, loss * len(y), cross_entropy(output.softmax(1), y),
           _penalty(_weights(net), lam), _penalty(learning, lam), _penalty(_weights(net), 1)]
    return row, ([*learns], [*learns.values(), *frozen], pulls, lam), gradients


# The update ---------------------------------------------------------------------------------------

def _steps():
    """Yield w, grad, lr, λ: several shapes and dtypes, weights of both signs, tiny ones and one at zero."""
    for shape, dtype in product(((40,), (5, 7), (2, 4, 5), ()), _DTYPES):
        w, grad = torch.randn(shape, dtype=dtype) * 2, torch.randn(shape, dtype=dtype)
        w.view(-1)[:5] = torch.tensor([0.0, 1.7, -0.6, 1e-6, -1e-6])[:w.numel()]
        for lam in (_between(0.1, 0.8), 0.0):
            yield {"w": w, "grad": grad, "lr": _between(0.1, 0.6), "lam": lam}

def _torch_sgd(w, grad, lr, lam):
    new = w.clone()
    new.grad = grad
    torch.optim.SGD([new], lr=lr, weight_decay=lam).step()
    return new

value_exercise("weight_decay.update", "sgd_step(w, grad, lr, lam)", inputs=_steps, right=_torch_sgd,
               returns=like("w"), mistakes=[
    Mistake(lambda w, grad, lr, lam: w - lr * grad, "no decay", "没有衰减",
            "That is SGD without weight decay: λ plays no part. Add the gradient of λ/2 ‖w‖² to the gradient.",
            "这是不带权重衰减的 SGD：λ 没有起作用。请把 λ/2 ‖w‖² 的梯度加到梯度上。"),
    Mistake(lambda w, grad, lr, lam: w - lr * grad - lam * w, "decay not scaled by lr", "衰减没有乘以学习率",
            "You take λw off the weights in each step. The penalty's gradient is part of the gradient, so the learning "
            "rate scales it too.",
            "你每一步都从权重中减去 λw。惩罚项的梯度是梯度的一部分，所以也要乘以学习率。"),
    Mistake(lambda w, grad, lr, lam: w - lr * (grad - lam * w), "weights grow", "权重在增大",
            "With no gradient from the loss your weights grow. Mind the sign of the decay.",
            "损失不给梯度时，你的权重会增大。注意衰减的符号。"),
    Mistake(lambda w, grad, lr, lam: (1 - lr * lam) * (w - lr * grad), "decay after the step", "走完一步才衰减",
            "You shrink the weights that the step has already moved. Decay the weights from before the step.",
            "你缩小的是走完这一步之后的权重。应对走这一步之前的权重作衰减。"),
    Mistake(lambda w, grad, lr, lam: w - lr * (grad + 2 * lam * w), "decay twice too strong", "衰减强了一倍",
            "The gradient of λ/2 ‖w‖² has no factor 2: the half cancels it.",
            "λ/2 ‖w‖² 的梯度里没有因子 2：它与二分之一抵消了。"),
    Mistake(lambda w, grad, lr, lam: w - lr * (grad + lam / 2 * w), "decay half as strong", "衰减只有一半",
            "The gradient of λ/2 ‖w‖² is λw: the half is used up by the square.",
            "λ/2 ‖w‖² 的梯度是 λw：二分之一与平方带来的因子 2 抵消了。"),
    Mistake(lambda w, grad, lr, lam: w - lr * (grad + lam**2 * w), "λ squared", "λ 取了平方", *_SQUARED),
    Mistake(lambda w, grad, lr, lam: w + lr * (grad + lam * w), "uphill", "方向反了，在爬坡",
            "You walk up the gradient. A step goes against it.", "你沿着梯度往上走。走一步应当逆着梯度。"),
    Mistake(lambda w, grad, lr, lam: w - lr * (1 - lam) * grad, "gradient decayed", "衰减了梯度",
            "You shrink the gradient. It is the weight that decays.", "你缩小的是梯度。该衰减的是权重。"),
])


# Parameter groups ---------------------------------------------------------------------------------

_ALL_DECAYED = ("bias or scale decayed too", "偏置或缩放参数也衰减了",
                "Biases, and BatchNorm's scale and shift, are decayed as well. Give what has fewer than two dimensions "
                "a group with `weight_decay` 0.",
                "偏置，以及 BatchNorm 的缩放和平移参数，也衰减了。请把不足两维的参数放进 `weight_decay` 为 0 "
                "的参数组。")
_NOT_DECAYED = ("weights not decayed", "权重没有衰减",
                "There are weights that are not decayed. Every parameter with two or more dimensions belongs to the "
                "group with `weight_decay=lam`.",
                "有些权重没有衰减。凡是维数不少于二的参数，都属于 `weight_decay=lam` 的那一组。")
_SGD_ONLY = ("`make_optimizer` should return a `torch.optim.SGD`; yours returns {kind}.",
             "`make_optimizer` 应返回 `torch.optim.SGD`，你返回的是 {kind}。")
_RATE = ("another learning rate", "学习率不同",
         "lr is {want}, but one of your groups learns with {got}. Hand `lr` on to SGD.",
         "lr 是 {want}，你有一组的学习率却是 {got}。请把 `lr` 传给 SGD。")
_MOMENTUM = ("momentum added", "加了动量", "One of your groups has a momentum of {got}. Asked for is plain SGD with decay.",
             "你有一组的动量是 {got}。题目要的是只带衰减的普通 SGD。")
_STRENGTH = ("decay of another strength", "衰减强度不对",
             "lam is {want}, but one of your groups has `weight_decay` {got}. SGD adds weight_decay · w to the "
             "gradient, as does the penalty λ/2 ‖w‖²: hand `lam` on as it is.",
             "lam 是 {want}，你有一组的 `weight_decay` 却是 {got}。SGD 给梯度加上 weight_decay · w，惩罚项 λ/2 ‖w‖² "
             "也是如此：请把 `lam` 原样传给它。")
_MISSING = ("a parameter is missing", "漏了一个参数",
            "`{name}` is in none of the groups, so it never learns. Whatever is no weight needs a group too, and so "
            "does a parameter that is frozen for now.",
            "`{name}` 不属于任何参数组，所以永远不会学习。不算权重的参数也要归入某一组，暂时冻结的参数也一样。")

def _groups(net, lam, spared=0.0):
    others = [p for p in net.parameters() if p.ndim < 2]
    return [{"params": _weights(net), "weight_decay": lam}, {"params": others, "weight_decay": spared}]

@exercise("weight_decay.optimizer", "make_optimizer(net, lr, lam)", [
    Mistake(lambda net, lr, lam: torch.optim.SGD(net.parameters(), lr, weight_decay=lam), *_ALL_DECAYED),
    Mistake(lambda net, lr, lam: torch.optim.SGD(net.parameters(), lr), *_NOT_DECAYED),
    Mistake(lambda net, lr, lam: torch.optim.SGD(_groups(net, 0.0, lam), lr), *_NOT_DECAYED),
    Mistake(lambda net, lr, lam: torch.optim.SGD(_weights(net), lr, weight_decay=lam), *_MISSING),
    Mistake(lambda net, lr, lam: torch.optim.SGD(_groups(net, lam), 0.1), *_RATE),
    Mistake(lambda net, lr, lam: torch.optim.SGD(_groups(net, lam), lr, momentum=0.9), *_MOMENTUM),
    Mistake(lambda net, lr, lam: torch.optim.SGD(_groups(net, lam / 2), lr), *_STRENGTH),
    Mistake(lambda net, lr, lam: torch.optim.AdamW(_groups(net, lam), lr),
            "another optimizer", "用了别的优化器", *_SGD_ONLY),
    Mistake(lambda net, lr, lam: _groups(net, lam), "no optimizer", "不是优化器", *_SGD_ONLY),
])
def _optimizer_is_right(make_optimizer):
    """Check parameter groups by what they say, and by what three steps do to each parameter."""
    for net in _nets():
        lr, lam = _between(0.05, 0.3), _between(0.2, 0.8)
        for p in net.parameters():
            p.grad = torch.randn_like(p)
        with unchanged(net=net):
            theirs = make_optimizer(net, lr, lam)
        returned(theirs, "make_optimizer(net, lr, lam)")
        other = isinstance(theirs, torch.optim.Optimizer)
        expect(isinstance(theirs, torch.optim.SGD), "another optimizer" if other else "no optimizer",
               "用了别的优化器" if other else "不是优化器", *_SGD_ONLY, kind=type(theirs).__name__)
        _expect_each_once(net, [p for group in theirs.param_groups for p in group["params"]])
        for group in theirs.param_groups:
            expect(group["lr"] == lr, *_RATE, want=short(lr), got=short(group["lr"]))
            expect(not group["momentum"], *_MOMENTUM, got=short(group["momentum"]))
            expect(group["weight_decay"] in (0, lam), *_STRENGTH, want=short(lam), got=short(group["weight_decay"]))
        for _ in range(3):
            before = [p.detach().clone() for p in net.parameters()]
            for p in net.parameters():
                p.grad = torch.randn_like(p)
            gradients = [p.grad.clone() for p in net.parameters()]
            theirs.step()
            for (name, p), old, grad in zip(net.named_parameters(), before, gradients, strict=True):
                decayed, plain = old - lr * (grad + lam * old), old - lr * grad
                expect_close(p, decayed if p.ndim > 1 else plain, f"optimizer.step(); {name}",
                             [Mistake(decayed, *_ALL_DECAYED), Mistake(plain, *_NOT_DECAYED)])

def _expect_each_once(net: nn.Module, held: list) -> None:
    for name, p in net.named_parameters():
        times = sum(q is p for q in held)
        expect(times > 0, *_MISSING, name=name)
        expect(times == 1, "a parameter twice", "有参数重复出现",
               "`{name}` is in the groups {times} times, and would be updated as often.",
               "`{name}` 在参数组里出现了 {times} 次，每一步也会更新同样多次。", name=name, times=times)


# The loop -----------------------------------------------------------------------------------------

_PLAIN_LOSS = ("no penalty", "没有惩罚项",
               "You train on the loss alone. What is differentiated is loss plus penalty.",
               "你只用损失来训练。求导的对象应是损失加惩罚项。")
_NOT_IN_TRAIN_MODE = ("not in train mode", "不在训练模式",
                      "The net, or a part of it, came in evaluation mode, and you trained it so. Call `net.train()` "
                      "first: it reaches every module in the net.",
                      "网络（或其中一部分）来时处于评估模式，你就这样训练了它。请先调用 `net.train()`："
                      "它会传到网络中的每个模块。")
_IN_BETWEEN = ("evaluation mode in between", "中途处于评估模式",
               "{off} of {all} times your loop called the net while it, or a part of it, was in evaluation mode. Stay "
               "in train mode, and measure the loss in the same call that is differentiated.",
               "你的循环调用了 {all} 次网络，其中 {off} 次网络（或其中一部分）处于评估模式。请始终留在训练模式，"
               "损失就取求导的那一次调用的。")
_PILED_UP = ("gradients pile up", "梯度越积越多",
             "The gradients of earlier batches are still there in later steps, because `backward` adds to them. Clear "
             "them once per batch.",
             "之前批量的梯度还留在后面的步骤里，因为 `backward` 会累加。每个批量都要清零一次。")
_LEFT_OVER = ("old gradients used", "用上了旧的梯度",
              "Gradients that the parameters held before the call are part of your first step, because `backward` adds "
              "to them. Clear them before the first `backward`, too.",
              "调用之前参数里留下的梯度进入了你的第一步，因为 `backward` 会累加。第一次 `backward` 之前也要清零。")
_OTHER_LOSS = ("another loss", "用了别的损失",
               "You train with a loss of your own. Call the `loss` that was handed over.",
               "你用自己的损失来训练。请调用传进来的 `loss`。")
_NOT_TRAINED = ("not trained", "未训练",
                "After your epoch all parameters are the old ones. Who takes the step?",
                "你的一轮结束之后，所有参数还是原来的值。更新参数的那一步在哪里？")
_REPORTS = [  # each of the batches' losses, penalties, sizes, and losses after the step
    Mistake(lambda losses, penalties, sizes, later: ((losses + penalties) * sizes).sum() / sizes.sum(),
            "penalty inside the reported loss", "报告的损失里混有惩罚项",
            "What you report contains the penalty, so runs with different λ cannot be compared. Differentiate the sum "
            "of both, report the loss alone.",
            "你报告的数里含有惩罚项，不同 λ 的运行就无法比较。对两者之和求导，只报告损失。"),
    Mistake(lambda losses, penalties, sizes, later: losses.mean(), "the last batch counts too much", "最后一个批量的权重过大",
            "You take the mean over the batches, but the last one is smaller. Weight each batch by its number of "
            "examples, and divide by the number of all.",
            "你对批量取了平均，而最后一个批量较小。请按样本数给各批量加权，再除以样本总数。"),
    Mistake(lambda losses, penalties, sizes, later: losses.sum() / sizes.sum(), "divided twice", "重复除以了样本数",
            "The loss of a batch is already a mean over its examples; you divide it by the number of examples once "
            "more. Multiply it by the batch's size first.",
            "批量的损失已经是对其中样本取的平均，你又除以了一次样本数。应先乘以批量的大小。"),
    Mistake(lambda losses, penalties, sizes, later: (losses * sizes).sum(), "sum instead of mean", "该取平均，却求了和",
            "You report the sum over all examples. Divide by their number.", "你报告的是所有样本之和，还要除以样本数。"),
    Mistake(lambda losses, penalties, sizes, later: losses[-1], "last batch only", "只有最后一个批量",
            "You report the loss of the last batch only. Gather it over the epoch.",
            "你只报告了最后一个批量的损失。应累计整轮的损失。"),
    Mistake(lambda losses, penalties, sizes, later: (later * sizes).sum() / sizes.sum(),
            "loss measured after the step", "走完一步才度量损失",
            "You measure the loss of a batch when the step has been taken. Take the loss that you differentiate.",
            "你在参数更新之后才度量批量的损失。应取求导的那个损失。"),
]

def _mean_loss(losses, penalties, sizes, later):
    return (losses * sizes).sum() / sizes.sum()

def _epoch(net, train_iter, loss, optimizer, lam, *, train_mode=True, clear=("first", "later"), step=True,
           decayed=_weights, penalty=_penalty, report=_mean_loss, measure_mode=None):
    """Train an epoch; each option can put one mistake in."""
    if train_mode:
        net.train()
    rows = []
    for X, y in train_iter:
        if ("later" if rows else "first") in clear:
            optimizer.zero_grad()
        batch_loss, extra = loss(net(X), y), penalty(decayed(net), lam)
        (batch_loss + extra).backward()
        if step:
            optimizer.step()
        if measure_mode is not None:
            net.train(measure_mode)
        rows.append([float(batch_loss), float(extra), len(y), float(loss(net(X), y))])
    return report(*torch.tensor(rows, dtype=torch.float64).T)

@exercise("weight_decay.fix_loop", "train_epoch(net, train_iter, loss, optimizer, lam)", [
    *(replace(m, gives=partial(_epoch, penalty=m.gives)) for m in _PENALTIES),
    *(replace(m, gives=partial(_epoch, report=m.gives)) for m in _REPORTS),
    Mistake(partial(_epoch, penalty=lambda weights, lam: 0), *_PLAIN_LOSS),
    Mistake(partial(_epoch, decayed=nn.Module.parameters), *_BIAS),
    Mistake(partial(_epoch, train_mode=False), *_NOT_IN_TRAIN_MODE),
    Mistake(partial(_epoch, measure_mode=False), *_IN_BETWEEN),
    Mistake(partial(_epoch, clear=()), *_PILED_UP),
    Mistake(partial(_epoch, clear=("later",)), *_LEFT_OVER),
    Mistake(partial(_epoch, step=False), *_NOT_TRAINED),
    Mistake(lambda net, train_iter, loss, optimizer, lam: _epoch(net, train_iter, cross_entropy, optimizer, lam),
            *_OTHER_LOSS),
])
def _loop_is_right(train_epoch):
    """Check an epoch by the gradients of each step, by what the step does, and by the loss that is reported."""
    def smoothed(output, y):
        return cross_entropy(output, y, label_smoothing=0.2)

    steps, reports, measured, calls, nets = [], [], [], [], _nets_in_training()
    for net in nets:
        batches, lam = [_batch(size) for size in (6, 6, 4, 6, 2)], _between(0.2, 0.6)
        groups = [{"params": [p]} for p in net.parameters()]
        optimizer = torch.optim.SGD(groups, _between(0.05, 0.2), momentum=0.5)
        for p in net.parameters():
            p.grad = torch.randn_like(p) if p.requires_grad else None
        optimizer.step()  # an earlier epoch leaves gradients, and momentum
        twins, old = copy.deepcopy((net, optimizer)), _filled([p.grad for p in net.parameters()], net)
        reported, called, seen = _watch(train_epoch, net, batches, smoothed, optimizer, lam)
        rows, losses = zip(*_follow(seen, *twins, old, batches, smoothed, lam), strict=True)
        expect(all(map(agree, net.parameters(), twins[0].parameters()))
               and _fixed(net, optimizer) == _fixed(*twins), *_BESIDE)
        steps += rows
        reports.append(reported)
        calls.append(called)
        measured.append(torch.tensor(losses, dtype=torch.float64).T)
    _expect_gradients(steps)
    for mistake in _REPORTS:
        explained = agree(torch.tensor(reports), torch.stack([mistake.gives(*rows) for rows in measured]))
        expect(not explained, *mistake.words)
    for reported, rows in zip(reports, measured, strict=True):
        expect_close(reported, _mean_loss(*rows), "train_epoch(…)")
    expect(max(calls) == len(batches), "net called twice for a batch", "同一批量调用了两次网络",
           "For {want} batches, the net was called {got} times. Each call draws other dropout masks, and moves BatchNorm's "
           "statistics: take the loss that you report from the call that is differentiated.",
           "共 {want} 个批量，却调用了 {got} 次网络。每次调用都会抽取不同的暂退掩码，也会更新 BatchNorm 的统计量："
           "报告的损失应取自求导的那一次调用。", want=len(batches), got=max(calls))

def _nets_in_training() -> list[nn.Sequential]:
    """Return nets in evaluation mode, or with a part in it, a bias frozen."""
    nets = [*_nets(), _random_net(nn.Linear(6, 3))]
    for k, net in enumerate(nets):
        net.requires_grad_(True)
        net.train(k % 2 == 0)
        [*net.modules()][-1].eval()
    nets[0][-1].bias.requires_grad_(False)
    return nets

_BESIDE = ("more than the optimizer's step", "优化器之外的改动",
           "The parameters, their `requires_grad`, the hooks of the net or the settings of the optimizer are not as "
           "`optimizer.step()` leaves them: your code changes them besides. What is frozen stays frozen.",
           "参数、参数的 `requires_grad`、网络的钩子或优化器的设置与 `optimizer.step()` 留下的不同：你的代码另外改动了它们。"
           "冻结的应保持冻结。")

def _fixed(net: nn.Module, optimizer: torch.optim.Optimizer) -> list:
    """Return what no step changes."""
    hooks = [len(kept) for part in net.modules() for key, kept in vars(part).items() if key.endswith("_hooks")]
    hooks += [len(param._backward_hooks or ()) for param in net.parameters()]
    groups = [{**group, "params": 0} for group in optimizer.param_groups]
    return [[p.requires_grad for p in net.parameters()], hooks, groups]

def _filled(gradients: Iterable, net: nn.Module) -> list[torch.Tensor]:
    """Return copies of the gradients, zero where there is none."""
    return [torch.zeros_like(p) if g is None else g.clone() for g, p in zip(gradients, net.parameters(), strict=True)]

class _Loader:
    """Batches that count how often somebody goes through them."""

    def __init__(self, batches: list):
        self.batches, self.passes = batches, 0

    def __len__(self):
        return len(self.batches)

    def __iter__(self):
        self.passes += 1
        return iter(self.batches)

def _watch(train_epoch, net, batches, loss, optimizer, lam) -> tuple[float, int, list]:
    """Return what an answer reports, its calls of the net, and of each step the parameters before it and gradients."""
    modes, before, gradients, params, train_iter = [], [], [], list(net.parameters()), _Loader(batches)
    start = copy.deepcopy(params)
    hooks = [
        net[0].register_forward_pre_hook(lambda *_: modes.append(all(_modes(net)))),  # of `net.forward(X)`, too
        optimizer.register_step_pre_hook(lambda *_: before.append(copy.deepcopy(params))),
        optimizer.register_step_post_hook(lambda *_: gradients.append(copy.deepcopy([p.grad for p in params]))),
    ]
    with unchanged(train_iter=batches):
        reported = number(train_epoch(net, train_iter, loss, optimizer, lam), "train_epoch(…)")
    for hook in hooks:
        hook.remove()
    expect(not modes or any(modes), *_NOT_IN_TRAIN_MODE)
    expect(all(modes), *_IN_BETWEEN, off=modes.count(False), all=len(modes))
    expect(not all(map(torch.equal, params, start)), *_NOT_TRAINED)
    expect(len(gradients) == len(batches), "not one step for each batch", "没有做到每个批量走一步",
           "For {want} batches, `optimizer.step()` should be called {want} times; it was called {got} times.",
           "有 {want} 个批量，就应调用 `optimizer.step()` {want} 次，实际调用了 {got} 次。",
           want=len(batches), got=len(gradients))
    expect(train_iter.passes == 1, "more than one pass", "遍历不止一次",
           "Your code goes through `train_iter` {got} times. A generator is empty after the first, and a loader shuffles "
           "anew: count the examples while you train.",
           "你的代码遍历了 `train_iter` {got} 次。生成器遍历一次就空了，加载器则会重新打乱：请边训练边数样本。",
           got=train_iter.passes)
    return reported, len(modes), list(zip(before, gradients, strict=True))

def _follow(seen, net, optimizer, old, batches, loss, lam):
    """Yield of each step a row for `_expect_gradients` and one for `_REPORTS`; twins of net and optimizer take it."""
    names, params = zip(*net.named_parameters(), strict=True)
    learns = [p for p in params if p.requires_grad]
    net.train()

    def slopes(value):
        found = iter(torch.autograd.grad(value, learns, retain_graph=True, allow_unused=True))
        return _filled([next(found) if p.requires_grad else None for p in params], net)

    for k, ((before, gradients), (X, y)) in enumerate(zip(seen, batches, strict=True)):
        expect(all(map(agree, params, before)), *_BESIDE)
        output, extra = net(X), float(_penalty(_weights(net), lam))
        value, right, other = loss(output, y), slopes(loss(output, y)), slopes(cross_entropy(output, y))
        for p, gradient in zip(params, gradients, strict=True):
            p.grad = gradient
        optimizer.step()
        found = _filled(gradients, net)
        yield (names, before, lam, k == 0, found, right, other, old), [value, extra, len(y), loss(net(X), y)]
        old = found

def _expect_gradients(steps: list) -> None:
    """Raise `Wrong` unless each step of all runs found the gradient of loss plus penalty."""
    def cases(other_loss=False, piled=()):
        for names, before, lam, first, gradients, right, other, old in steps:
            rows = zip(gradients, other if other_loss else right, old, strict=True)
            yield names, before, [gradient - loss - left * (first in piled) for gradient, loss, left in rows], lam

    ours = list(cases())
    expect(any(_felt(pull) for _, _, pulls, _ in ours for pull in pulls), *_PLAIN_LOSS)
    if not _explained(ours):
        for words, piled in ((_PILED_UP, [False]), (_PILED_UP, [True, False]), (_LEFT_OVER, [True])):
            expect(not _explained(list(cases(piled=piled))), *words)
        expect(not _explained(list(cases(other_loss=True))), *_OTHER_LOSS)
    _expect_pulls(ours)
    for names, before, lam, _, gradients, right, *_ in steps:
        for name, p, gradient, mine in zip(names, before, gradients, right, strict=True):
            expect_close(gradient, mine + lam * p * (p.ndim > 1), f"the gradient that optimizer.step() finds at {name}")


# Choosing λ ---------------------------------------------------------------------------------------

def _runs_and_t():
    for shape, dtype in product(((4, 3), (2, 8), (6, 2), (1, 5)), _DTYPES):
        yield {"accuracy": 0.5 + 0.4 * torch.rand(shape, dtype=dtype), "t": _between(2.1, 4.5)}

def _mean_and_half(value, call, arguments):
    """Return the parts of an answer: one number for each λ."""
    mean, half = _pair(value, call)
    shape = arguments["accuracy"].shape[:1]
    return {"mean": tensor(mean, "mean", shape), "half_width": tensor(half, "half_width", shape)}

def _interval(accuracy, t, *, spread=torch.std, power=0.5, n=None):
    return accuracy.mean(1), t * spread(accuracy, dim=1) / (n or accuracy.shape[1]) ** power

_SAME_N = ("n does not come from the data", "n 不是由数据得来的",
           "You divide by the root of one and the same number each time. n is the number of seeds, `shape[1]`.",
           "你每次都除以同一个数的平方根。n 是随机种子的个数，即 `shape[1]`。")
_SAME_T = ("t is not used", "没有用上 t", "You multiply by a number of your own. Use the `t` that is handed over.",
           "你乘的是自己写的数。请使用传进来的 `t`。")

value_exercise("weight_decay.interval", "mean_and_interval(accuracy, t)", inputs=_runs_and_t, right=_interval,
               returns=_mean_and_half, mistakes=[
    Mistake(lambda accuracy, t: (accuracy.mean(1) - _interval(accuracy, t)[1], _interval(accuracy, t)[1]),
            "the ends of the interval", "给了置信区间的端点",
            "You return where the interval begins. Return its middle, the mean, and how far it reaches to either side.",
            "你返回的是置信区间的起点。应返回它的中点，也就是均值，以及它向每一侧延伸多远。"),
    Mistake(lambda accuracy, t: (accuracy.median(1).values, _interval(accuracy, t)[1]),
            "median instead of mean", "该用均值，却用了中位数",
            "That is the median of the seeds; take their mean.", "这是各随机种子的中位数，应取均值。"),
    Mistake(partial(_interval, power=0), "spread instead of uncertainty", "给了离散程度，而不是不确定度",
            "That says how much single runs scatter. A mean of n runs scatters less, by the factor √n.",
            "这说的是单次运行有多分散。n 次运行的均值没有这么分散，要除以 √n。"),
    Mistake(partial(_interval, spread=partial(torch.std, correction=0)),
            "divided by n, not by n - 1", "该除以 n - 1，却除以了 n",
            "The standard deviation of a few runs divides by n - 1: with n it is too small on average.",
            "次数不多的运行，标准差要除以 n - 1：除以 n，平均来说偏小。"),
    Mistake(lambda accuracy, t: _interval(accuracy, 1), "t is missing", "漏了 t",
            "That is the standard error, s/√n. For a 95 % interval multiply it by t.",
            "这是标准误 s/√n。要得到 95% 置信区间，还要乘以 t。"),
    *(Mistake(partial(_interval, n=n), *_SAME_N) for n in range(2, 11)),
    *(Mistake(lambda accuracy, t, own=own: _interval(accuracy, own), *_SAME_T)
      for own in (1.96, 2.0, 4.303, 2.776, 2.262)),
    Mistake(lambda accuracy, t: _interval(accuracy, t, n=len(accuracy)), "n is the number of λ", "n 用成了 λ 的个数",
            "You divide by the root of the number of λ. n is the number of seeds, `accuracy.shape[1]`.",
            "你除以了 λ 的个数的平方根。n 是随机种子的个数，即 `accuracy.shape[1]`。"),
    Mistake(lambda accuracy, t: _interval(accuracy, t)[::-1], "the two swapped", "两个值弄反了",
            "Return the means first, then the half-widths.", "先返回均值，再返回半宽。"),
    Mistake(partial(_interval, spread=torch.var), "variance instead of standard deviation", "该用标准差，却用了方差",
            "You use the variance; its root is the standard deviation.", "你用的是方差，它的平方根才是标准差。"),
    Mistake(partial(_interval, power=1), "divided by n instead of √n", "该除以 √n，却除以了 n",
            "The mean of n runs scatters less by the factor √n, not n.",
            "n 次运行的均值，分散程度要除以 √n，而不是 n。"),
    Mistake(lambda accuracy, t: _interval(accuracy, 2 * t), "whole width", "给了全宽",
            "That is the width of the whole interval; return the reach to one side.",
            "这是整个置信区间的宽度，应返回它向一侧延伸多远。"),
])

def _ties_and_near_ties():
    for round_ in range(24):
        num_lams, num_seeds = int(torch.randint(3, 7, ())), (2, 3, 4, 5, 4, 2)[round_ % 6]
        lams = tuple(0.0 if i == 0 else 0.0007 * 3.0**i for i in range(num_lams))
        # Multiples of 2**-22 have exact sums: then a tie is one in every order of adding up.
        accuracy = torch.randint(32, 60, (num_lams, num_seeds)) / 64
        best, other = accuracy.mean(1).argmax(), torch.randint(num_lams, ())
        if round_ % 3:
            accuracy[other] = accuracy[best].flip(0)
        if round_ % 3 == 2:  # as nearly a tie as float32 can hold, and the smaller λ is better
            accuracy[min(best, other), 0] += 2**-22
        yield {"lams": lams, "valid_accuracy": accuracy}

def _last_best(lams, scores):
    return lams[max(i for i, score in enumerate(scores) if score == scores.max())]

_NO_TIE = ("not an exact tie", "并非完全相等",
           "You take the larger λ where two means are almost equal. Only exactly equal means are a tie; otherwise the "
           "higher one wins, by however little.",
           "两个均值几乎相等时，你取了较大的 λ。只有均值完全相等才算并列；否则哪怕只高一点，也以较高的为准。")

value_exercise("weight_decay.choose_lambda", "choose_lambda(lams, valid_accuracy)",
               inputs=_ties_and_near_ties, right=lambda lams, accuracy: _last_best(lams, accuracy.mean(1)),
               mistakes=[
    Mistake(lambda lams, accuracy: lams.index(_last_best(lams, accuracy.mean(1))),
            "index instead of λ", "该给 λ，却给了下标",
            "You return the place of the best λ in the list. Return the λ that stands there.",
            "你返回的是最佳 λ 在列表中的位置。应返回那个位置上的 λ。"),
    Mistake(lambda lams, accuracy: accuracy.mean(1).max(), "accuracy instead of λ", "该给 λ，却给了准确率",
            "You return the best mean accuracy. Return the λ that reached it.",
            "你返回的是最高的平均准确率。应返回取得它的那个 λ。"),
    Mistake(lambda lams, accuracy: lams[accuracy.amax(1).argmax()], "best single run", "只看了最好的一次运行",
            "You pick the λ of the luckiest run. Take the mean over the seeds first.",
            "你选的是最走运的那次运行的 λ。应先对随机种子取平均。"),
    Mistake(lambda lams, accuracy: lams[accuracy.mean(1).argmax()], "smaller λ of a tie", "相等时取了较小的 λ",
            "Where two λ have the same mean you take the smaller; the larger one was asked for.",
            "两个 λ 的均值相同时，你取了较小的；题目要的是较大的。"),
    Mistake(lambda lams, accuracy: _last_best(lams, accuracy.mean(1) > accuracy.mean(1).max() - 1e-3), *_NO_TIE),
    Mistake(lambda lams, accuracy: _last_best(lams, accuracy.mean(1).round(decimals=3)), *_NO_TIE),
    Mistake(lambda lams, accuracy: lams[accuracy.mean(1).argmin()], "worst λ", "取了最差的 λ",
            "You take the lowest accuracy; take the highest.", "你取了最低的准确率，应取最高的。"),
])


# L1 and the Frobenius norm ------------------------------------------------------------------------

def _l1_step(w, grad, lr, lam):
    leaf = w.clone().requires_grad_()  # autograd takes 0 as the slope at 0
    (slope,) = torch.autograd.grad(lam * leaf.abs().sum(), leaf)
    return w - lr * (grad + slope)

_PULLED = ("At w = 0 your penalty still pulls. Take 0 as the slope of |w| there.",
           "在 w = 0 处，你的惩罚项仍在拉。|w| 在那里的斜率取 0。")

value_exercise("weight_decay.l1_step", "l1_step(w, grad, lr, lam)", inputs=_steps, right=_l1_step,
               returns=like("w"), mistakes=[
    Mistake(lambda w, grad, lr, lam: w - lr * (grad + lam * w), "L2 instead of L1", "该用 L1，却用了 L2",
            "You pull at each weight in proportion to its size: that is L2. The slope of |w| does not depend on the "
            "size of w.",
            "你拉每个权重的力与它的大小成正比：这是 L2。|w| 的斜率与 w 的大小无关。"),
    Mistake(lambda w, grad, lr, lam: w - lr * grad, "no penalty", "没有惩罚项",
            "λ plays no part in your step.", "λ 在你的更新里不起作用。"),
    Mistake(lambda w, grad, lr, lam: w - lr * grad - lam * w.sign(), "decay not scaled by lr", "衰减没有乘以学习率",
            "The penalty's gradient is part of the gradient: the learning rate scales it too.",
            "惩罚项的梯度是梯度的一部分，也要乘以学习率。"),
    Mistake(lambda w, grad, lr, lam: w - lr * (grad - lam * w.sign()), "weights grow", "权重在增大",
            "With no gradient from the loss your weights move away from zero. Mind the sign.",
            "损失不给梯度时，你的权重会远离零。注意符号。"),
    Mistake(lambda w, grad, lr, lam: w - lr * (grad + lam), "always downwards", "总是往下拉",
            "You pull every weight down. A negative weight is pulled up, towards zero.",
            "你把每个权重都往下拉。负的权重应当往上拉，拉向零。"),
    Mistake(lambda w, grad, lr, lam: w - lr * (grad + lam * w.abs()),
            "|w| instead of its slope", "该用 |w| 的斜率，却用了 |w|",
            "You put |w| itself into the step; what belongs there is its derivative.",
            "你把 |w| 本身放进了更新里，该放的是它的导数。"),
    Mistake(lambda w, grad, lr, lam: w - lr * (grad + lam / 2 * w.sign()), "halved", "多除了一个 2",
            "λ‖w‖₁ has no ½: that belongs to the squared norm.", "λ‖w‖₁ 没有 ½：它属于平方范数。"),
    Mistake(lambda w, grad, lr, lam: w - lr * (grad + lam**2 * w.sign()), "λ squared", "λ 取了平方", *_SQUARED),
    Mistake(lambda w, grad, lr, lam: w - lr * (grad + lam * w.sign().sum()), "signs summed", "对符号求了和",
            "You pull all weights alike, by the sum of the signs. Each weight is pulled by its own sign.",
            "你用符号之和去拉所有权重。每个权重应由它自己的符号来拉。"),
    Mistake(lambda w, grad, lr, lam: w - lr * (grad + lam * grad.sign()), "sign of the gradient", "用了梯度的符号",
            "You take the sign of the gradient; the penalty depends on w alone.",
            "你取的是梯度的符号，而惩罚项只取决于 w。"),
    Mistake(lambda w, grad, lr, lam: w - lr * (grad + lam * (2.0 * (w >= 0) - 1).to(w.dtype)),
            "pulled at zero", "在零处仍往下拉", *_PULLED),
    Mistake(lambda w, grad, lr, lam: w - lr * (grad + lam * (2.0 * (w > 0) - 1).to(w.dtype)),
            "pushed at zero", "在零处仍往上推", *_PULLED),
])

def _weights_and_thresholds():
    """Yield weights on either side of t, and at zero; also t = 0."""
    for shape, dtype in product(((40,), (6, 9), (2, 4, 5)), _DTYPES):
        w, t = torch.randn(shape, dtype=dtype), _between(0.3, 0.9)
        w.view(-1)[:4] = torch.tensor([0.0, t / 2, -t / 2, -2 * t])
        yield {"w": w, "t": t}
        yield {"w": w, "t": 0.0}

value_exercise("weight_decay.soft_threshold", "soft_threshold(w, t)", inputs=_weights_and_thresholds,
               right=softshrink, returns=lambda value, call, arguments: tensor(value, call, arguments["w"].shape),
               mistakes=[
    Mistake(lambda w, t: w - t * w.sign(), "crosses zero", "越过了零",
            "A weight whose size is less than t jumps to the other side of zero. It should stop at zero.",
            "大小不到 t 的权重跳到了零的另一边。它应停在零。"),
    Mistake(lambda w, t: w.masked_fill(w.abs() <= t, 0), "hard threshold", "硬阈值",
            "Small weights become zero, but the others stay as they were. They, too, move by t towards zero.",
            "小的权重变成了零，其余的却原样不动。它们也应向零移动 t。"),
    Mistake(lambda w, t: torch.where(w.abs() <= t, w, w - t * w.sign()), "small weights stay", "小的权重没有变",
            "Weights whose size is at most t should become exactly zero; yours stay.",
            "大小不超过 t 的权重应恰好变成零，你的却没有变。"),
    Mistake(lambda w, t: (w.abs() - t).clamp(min=0), "sign lost", "丢了符号",
            "Negative weights come out positive. Give each its own sign back.",
            "负的权重变成了正的。请把各自的符号还给它们。"),
    Mistake(lambda w, t: (w - t).clamp(min=0), "negative weights become zero", "负的权重变成了零",
            "Every negative weight becomes zero. One below -t moves up by t.",
            "负的权重全都变成了零。小于 -t 的应向上移动 t。"),
    Mistake(lambda w, t: w.clamp(-t, t), "clipped", "截断了",
            "You cut off what is larger than t. Take t off each size instead, and stop at zero.",
            "你把大于 t 的部分截掉了。应从每个权重的大小中减去 t，减到零为止。"),
])

def _matrices():
    for shape, dtype in product(((5, 5), (4, 7), (7, 4), (1, 6), (6, 1)), _DTYPES):
        yield {"W": torch.randn(shape, dtype=dtype) + 0.3}

value_exercise("weight_decay.frobenius", "squared_frobenius(W)", inputs=_matrices,
               right=lambda W: torch.linalg.matrix_norm(W) ** 2, mistakes=[
    Mistake(torch.linalg.matrix_norm, "root taken", "多开了根号",
            "That is ‖W‖, the root. Asked for is the squared norm.", "这是 ‖W‖，已经开了根号。题目要的是平方范数。"),
    Mistake(lambda W: (W.T @ W).sum(), "all entries of the product", "加了乘积的所有元素",
            "You sum all entries of the product. Its diagonal holds the squared lengths of the columns; what stands "
            "beside it does not belong to the norm.",
            "你把乘积的所有元素都加了起来。对角线上是各列长度的平方，对角线以外的不属于范数。"),
    Mistake(lambda W: torch.linalg.matrix_norm(W, 2) ** 2, "spectral norm", "谱范数",
            "That is the square of the spectral norm, the largest singular value. The squared Frobenius norm adds up "
            "the squares of all singular values.",
            "这是谱范数（即最大奇异值）的平方。弗罗贝尼乌斯范数的平方则是所有奇异值的平方和。"),
    Mistake(lambda W: W.square().mean(), "mean instead of sum", "该求和，却取了平均",
            "You take the mean of the squared entries; take their sum.", "你对元素的平方取了平均，应求和。"),
    Mistake(lambda W: W.square().sum() / 2, "halved", "多除了一个 2",
            "The norm itself has no ½: that belongs to the penalty.", "范数本身没有 ½：它属于惩罚项。"),
    Mistake(lambda W: W.sum() ** 2, "sum squared instead of squares summed", "该先平方再求和，次序反了",
            "Square each entry first, then sum.", "先把每个元素平方，再求和。"),
    Mistake(lambda W: (W @ W).trace(), "not transposed", "没有转置",
            "tr(WW) multiplies each entry with its mirror image across the diagonal. One of the two factors is "
            "transposed.",
            "tr(WW) 是每个元素与它关于对角线的镜像相乘。两个因子中有一个要转置。"),
])


# Other ways, and beliefs --------------------------------------------------------------------------

def _curves():
    """Yield losses that fall and then rise, small and large, in exact steps: with ties, and near ties."""
    for patience, scale in product((1, 2, 3, 5), (-12, -12, 0, 0, 0, 0, 10, 10)):
        falls = torch.randint(-4, 3, (int(torch.randint(1, 12, ())),))
        rises = torch.randint(-2, 4, (int(torch.randint(0, 8, ())),))
        steps = torch.cat([falls, rises]).double() / 16
        tiny = (torch.rand(len(steps)) < 0.4) & (steps <= 0)
        steps[tiny] = -(2.0**-20)  # as little as float32 can hold
        yield {"valid_loss": ((4 + steps.cumsum(0)) * 2.0**scale).tolist(), "patience": patience}

def _stop(losses, patience, *, better=operator.lt, against_last=False, reset=True) -> tuple[int, int]:
    """Return the epoch to keep and the last one trained; the options are usual mistakes."""
    best = bad = i = 0
    for i in range(1, len(losses)):
        if not better(losses[i], losses[i - 1 if against_last else best]):
            bad += 1
        elif reset:
            bad = 0
        best = i if better(losses[i], losses[best]) else best
        if bad == patience:
            break
    return best + 1, i + 1

_EARLY = ("stops one epoch early", "早停了一轮",
          "You wait for one epoch fewer than `patience` says.", "你比 `patience` 规定的少等了一轮。")

def _two_epochs(value, call, arguments):
    best, stop = _pair(value, call)
    return torch.tensor([number(best, "best_epoch"), number(stop, "stop_epoch")])

value_exercise("weight_decay.early_stopping", "early_stopping(valid_loss, patience)", inputs=_curves,
               right=_stop, returns=_two_epochs, mistakes=[
    Mistake(lambda losses, patience: [epoch - 1 for epoch in _stop(losses, patience)],
            "epochs counted from 0", "轮次从 0 数起",
            "Your epochs begin at 0; the first one is epoch 1.", "你的轮次从 0 开始；第一轮应是第 1 轮。"),
    Mistake(lambda losses, patience: _stop(losses, patience)[::-1], "the two swapped", "两个值弄反了",
            "Return the epoch to keep first, then the epoch at which training stops.",
            "先返回保留哪一轮，再返回训练停在哪一轮。"),
    Mistake(lambda losses, patience: 2 * _stop(losses, patience)[1:], "keeps the last epoch", "保留了最后一轮",
            "You keep the weights of the epoch at which training stopped. Keep those of the epoch with the lowest loss "
            "so far.",
            "你保留的是训练停止那一轮的权重。应保留迄今损失最低那一轮的权重。"),
    Mistake(lambda losses, patience: _stop(losses, len(losses)), "never stops", "从不停止",
            "You look at the whole curve. Training stops as soon as `patience` epochs in a row were no better than the "
            "best; nobody sees what would have come after.",
            "你看了整条曲线。只要连续 `patience` 轮都没有好过最佳值，训练就停止；此后会怎样，谁也看不到。"),
    Mistake(lambda losses, patience: (_stop(losses, len(losses))[0], _stop(losses, patience)[1]),
            "looks past the stop", "用到了停止之后的结果",
            "The epoch you keep can lie after the stop, where nothing was trained any more.",
            "你保留的那一轮可能在停止之后，可那时训练已经停了，不会有这一轮的权重。"),
    Mistake(lambda losses, patience: _stop(losses, patience + 1), "stops one epoch late", "晚停了一轮",
            "You wait for one epoch more than `patience` says.", "你比 `patience` 规定的多等了一轮。"),
    Mistake(lambda losses, patience: _stop(losses, max(patience - 1, 1)), *_EARLY),
    Mistake(lambda losses, patience: _stop(losses, patience - 1) if patience > 1 else (1, 1), *_EARLY),
    *(Mistake(partial(_stop, better=better), "a small gain does not count", "小的改进不算数",
              "An epoch whose loss is only a little below the best is no improvement to you. Any loss below it counts, "
              "by however little.",
              "损失只比最佳值低一点的轮次，你不算作改进。只要更低，哪怕只低一点点，也算改进。")
      for better in (*(lambda a, b, gain=10.0**-k: a < b - gain for k in range(1, 9)),
                     *(lambda a, b, share=1 - 10.0**-k: a < b * share for k in range(1, 6)),
                     *(lambda a, b, k=k: round(a, k) < round(b, k) for k in range(1, 7)))),
    Mistake(partial(_stop, better=operator.le), "a tie counts as better", "把相等当成了更好",
            "An epoch with the same loss as the best is no improvement: keep the earlier one, and go on counting.",
            "损失与最佳值相等，不算改进：保留较早的那一轮，继续计数。"),
    Mistake(partial(_stop, against_last=True), "compared with the epoch before", "与前一轮比较",
            "You compare each epoch with the one before. Compare with the best so far.",
            "你拿每一轮与前一轮比较。应与迄今最好的比较。"),
    Mistake(partial(_stop, reset=False), "count never reset", "计数从不清零",
            "You count all epochs without an improvement. A new best starts the count anew.",
            "你累计了所有没有改进的轮次。一出现新的最佳值，就要从头计数。"),
])

def _beliefs():
    for _ in range(4):
        yield {"noise_std": _between(0.2, 0.8), "prior_std": _between(1.2, 3.0),
               "num_examples": int(torch.randint(12, 60, ()))}

value_exercise("weight_decay.lambda_of_prior", "lambda_of_prior(noise_std, prior_std, num_examples)",
               inputs=_beliefs, right=lambda noise, prior, n: noise**2 / prior**2 / n, atol=0.0, mistakes=[
    Mistake(lambda noise, prior, n: noise**2 / prior**2, "number of examples missing", "漏了样本数",
            "That λ fits a loss that is summed over the examples. Ours is a mean, so the belief weighs less the more "
            "examples there are.",
            "这个 λ 适用于对样本求和的损失。我们的损失是平均值，所以样本越多，先验所占的比重越小。"),
    Mistake(lambda noise, prior, n: n * noise**2 / prior**2, "multiplied by the number of examples", "多乘了样本数",
            "With more examples a belief should matter less, and your λ grows.",
            "样本越多，先验的作用应当越小，你的 λ 却在增大。"),
    Mistake(lambda noise, prior, n: noise / prior / n, "standard deviations not squared", "标准差没有平方",
            "The logarithm of a normal density contains the variance: both standard deviations are squared.",
            "正态密度的对数里出现的是方差：两个标准差都要平方。"),
    Mistake(lambda noise, prior, n: 1 / prior**2 / n, "noise missing", "漏了噪声",
            "Your λ does not depend on the noise. The noisier the labels, the less they say against the belief.",
            "你的 λ 与噪声无关。标签的噪声越大，数据就越不足以推翻先验，λ 应当越大。"),
    Mistake(lambda noise, prior, n: prior**2 / noise**2 / n, "upside down", "分子分母颠倒了",
            "A narrower prior is a stronger belief, so its λ is larger; yours is smaller.",
            "先验越窄，信念越强，λ 也就越大；你的却越小。"),
    Mistake(lambda noise, prior, n: n * prior**2 / noise**2, "the inverse", "成了倒数",
            "That is 1/λ. Divide the negative log-posterior so that the mean of ½ (y - ŷ)² stands alone, and read off "
            "what stands before ½ ‖w‖².",
            "这是 1/λ。请给负对数后验除以适当的数，使 ½ (y - ŷ)² 的平均前面没有系数，再看 ½ ‖w‖² 前面是什么。"),
    Mistake(lambda noise, prior, n: noise**2 / prior**2 / n / 2, "the half counted twice", "二分之一算了两次",
            "Our penalty is λ/2 ‖w‖²: the half is already there.", "我们的惩罚项是 λ/2 ‖w‖²：二分之一已经在里面了。"),
    Mistake(lambda noise, prior, n: 2 * noise**2 / prior**2 / n, "the half is missing", "漏了二分之一",
            "Our penalty is λ/2 ‖w‖², with a half, and so is the loss: they cancel.",
            "我们的惩罚项 λ/2 ‖w‖² 带有二分之一，损失也带有：两者抵消。"),
])

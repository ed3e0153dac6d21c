"""The exercises of the lab on the defects of the original notebook."""

import copy
import itertools
import operator
import statistics
from functools import partial

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from d2lutils.checks.exercise import exercise, value_exercise
from d2lutils.checks.expect import (
    Mistake,
    agree,
    expect,
    expect_close,
    number,
    numbers,
    returned,
    unchanged,
)
from d2lutils.words import Text

# The reported loss --------------------------------------------------------------------------------

def _logs():
    """Yield logs of (objective, penalty, examples) for each batch: with a small last one, of one, of all sizes."""
    for sizes in ([64] * 6 + [5], [32], [7, 50, 1, 30]):
        losses, penalties = (torch.rand(len(sizes)).double() + 0.2 for _ in range(2))
        yield {"log": list(zip((losses + penalties).tolist(), penalties.tolist(), sizes, strict=True))}

def _mean(of, over=lambda log: sum(n for _, _, n in log)):
    """Return an answer: what is to be summed over the batches, and what the sum is divided by."""
    return lambda log: sum(of(*batch) for batch in log) / over(log)

value_exercise("bugs.report", "epoch_loss(log)", inputs=_logs, right=_mean(lambda o, p, n: (o - p) * n), mistakes=[
    Mistake(_mean(lambda o, p, n: o * n), "penalty inside the reported loss", "报告的损失里混有惩罚项",
            "Your mean is one of loss plus penalty, so a run with a penalty cannot be compared with one without. "
            "Report the loss alone.",
            "你取的是损失加惩罚项的平均，有惩罚项和没有惩罚项的运行就无法比较。请只报告损失。"),
    Mistake(_mean(lambda o, p, n: (o + p) * n), "penalty added twice", "惩罚项加了两次",
            "The objective holds the penalty already, and you add it once more. It has to come out.",
            "目标值里已经含有惩罚项，你又加了一次。应当把它去掉。"),
    Mistake(_mean(lambda o, p, n: o - p), "divided by the examples twice", "重复除以了样本数",
            "The objective of a batch is a mean over its examples already, and you divide by their number once more.",
            "批量的目标值已经是对其中样本取的平均，你又除了一遍样本数。"),
    Mistake(_mean(lambda o, p, n: o),
            "divided by the examples twice, penalty inside", "重复除以了样本数，还混有惩罚项",
            "This is what the old code printed. Two things are wrong with it: what is the objective of a batch a "
            "mean of, and what else is in it?",
            "旧代码打印的正是这个数。它有两处错误：批量的目标值是对什么取的平均？其中还混有什么？"),
    Mistake(_mean(lambda o, p, n: o - p, over=len), "every batch counts the same", "把大小不同的批量同等看待",
            "You take the mean over batches. A small last batch then counts as much as a full one: weight each "
            "batch by its number of examples.",
            "你对批量取了平均，于是较小的最后一个批量与完整的批量分量相同。请按样本数给每个批量加权。"),
    Mistake(_mean(lambda o, p, n: (o - p) * n, over=lambda log: 1), "sum instead of mean", "该取平均，却求了和",
            "This is the loss of all examples together; divide by how many there are.",
            "这是所有样本的损失之和，还要除以样本数。"),
])


# Dropout off while measuring ----------------------------------------------------------------------

class _Notes(list):
    """A list that copies of a net share."""

    def __deepcopy__(self, memo):
        return self

class _Mask(nn.Dropout):
    """Dropout with one and the same mask."""

    def forward(self, X):
        return X * (torch.arange(16) % 2) * (1 + self.p) if self.training else X

class _Witness(nn.Sequential):
    """A net with dropout inside another module, and something frozen, which notes in which modes it saw which data."""

    def __init__(self):
        mask = _Mask(0.1 + 0.3 * torch.rand(()).item())
        super().__init__(nn.Linear(6, 16), nn.Sequential(nn.ReLU(), mask), nn.Linear(16, 3))
        self[0].bias.requires_grad_(False)
        self.calls = _Notes()  # (is it a batch for validation, modes of all parts, gradients)

    def forward(self, X):
        output = super().forward(X / 100)
        self.calls.append((bool(X[0, 0] > 50), {part.training for part in self.modules()}, output.requires_grad))
        return output

class _Loader:
    """Batches whose examples come in another order in each pass, as from a loader that shuffles."""

    def __init__(self, batches):
        self.batches, self.passes = batches, 0

    def __len__(self):
        return len(self.batches)

    def __iter__(self):
        self.passes += 1
        for X, y in self.batches:
            yield X.roll(self.passes, 0), y.roll(self.passes, 0)

def _batches(sizes, first):
    """Batches of 6 inputs, the first of which tells where the batch belongs."""
    batches = [(torch.randn(n, 6) * 100, torch.randint(3, (n,))) for n in sizes]
    for X, _ in batches:
        X[:, 0] = first
    return batches

def _fit(net, train_iter, valid_iter, optimizer, num_epochs, *, modes=(True, False), zero=(0, 1), gradients=False):
    """Return hits after each epoch, (epochs, batches), and sizes of the validation batches, (batches,).

    The keywords are what can go wrong: train mode in training and in measuring, zeroed gradients (of
    the first step, of later ones), gradients recorded while measuring.
    """
    hits, steps = [], 0
    for _ in range(num_epochs):
        net.train(modes[0])
        for X, y in train_iter:
            if min(steps, 1) in zero:
                optimizer.zero_grad()
            cross_entropy(net(X), y).backward()
            optimizer.step()
            steps += 1
        net.train(modes[1])
        with torch.set_grad_enabled(gradients):
            hits.append([(net(X).argmax(1) == y).sum().item() for X, y in valid_iter])
    return torch.tensor(hits).double(), torch.tensor([len(y) for _, y in valid_iter]).double()

def _curve(*run, of=lambda hits, sizes: hits.sum(1) / sizes.sum(), **flaw):
    return of(*_fit(*run, **flaw))

_TRAINED_OFF = Mistake(partial(_curve, modes=(False, False)), "trained with dropout off", "训练时暂退法关着",
    "In {off} of {all} training steps the network, or a part of it, was in evaluation mode. Whatever switches dropout off "
    "has to switch it on again, and `net.train()` reaches every part: it may come in either mode.",
    "{all} 个训练步中，有 {off} 步网络（或其中一部分）处于评估模式。在哪里关掉暂退法，就要在哪里负责重新打开；"
    "`net.train()` 会传到每个部分，它们来时可能处于任何一种模式。")
_MEASURED_ON = Mistake(partial(_curve, modes=(True, True)), "measured with dropout on", "度量时暂退法开着",
    "{on} of {all} validation batches met a network that was, or had a part, in train mode. `net.eval()` reaches every "
    "part: dropout layers, BatchNorm, and the net's own `training`.",
    "{all} 个验证批量中，有 {on} 个是在网络（或其中一部分）处于训练模式时计算的。`net.eval()` 会传到每个部分："
    "暂退层、BatchNorm，以及网络自己的 `training`。")
_GRADIENTS = Mistake(partial(_curve, gradients=True), "gradients while measuring", "度量时记录了梯度",
    "The accuracies are measured with gradients recorded, which costs time and memory. `torch.no_grad()` turns that "
    "off.",
    "度量准确率时还在记录梯度，既费时间又占内存。`torch.no_grad()` 可以关掉它。")
_OTHER_STEPS = Mistake(partial(_curve, zero=()), "trained differently", "训练方式不同",
    "After {num_epochs} epochs the weights are not those that plain training leads to. One step of `optimizer` for "
    "each batch: gradients to zero (also those from before the call), loss, backward, step.",
    "训练 {num_epochs} 轮之后，权重与普通训练得到的不同。每个批量用 `optimizer` 走一步："
    "梯度清零（调用之前留下的也要清），计算损失，反向传播，更新参数。")
_LEFT = ("more changed than the weights", "改动的不只是权重",
    "Your code leaves {what} other than it was. Only the weights are to be trained.",
    "你的代码改动了{what}，没有恢复。该改变的只有权重。")
_BATCH_MEAN = Mistake(
    partial(_curve, of=lambda hits, sizes: (hits / sizes).mean(1)),
    "every batch counts the same", "把大小不同的批量同等看待",
    "You take the mean over batches. A small last batch then counts as much as a full one: count hits, and divide by "
    "the number of examples.",
    "你对批量取了平均，于是较小的最后一个批量与完整的批量分量相同。请累计答对的个数，再除以样本数。")
_HITS = Mistake(
    partial(_curve, of=lambda hits, sizes: hits.sum(1)),
    "number of hits instead of a share", "给了答对的个数，而不是比例",
    "This is the number of right answers; divide by the number of examples.", "这是答对的个数，还要除以样本数。")

@exercise("bugs.evaluate", "accuracy_curve(net, train_iter, valid_iter, optimizer, num_epochs)",
          mistakes=[_TRAINED_OFF, _MEASURED_ON, _GRADIENTS, _OTHER_STEPS, _BATCH_MEAN, _HITS,
                    Mistake(partial(_curve, zero=(1,)), *_OTHER_STEPS.words)])
def _evaluate(accuracy_curve):
    """Expect dropout on in each training step of a run, and off whenever the net is measured."""
    modes = (True, True), (True, False), (False, False)  # of the net itself, and of its dropout
    found = [_run_of(accuracy_curve, num_epochs, *mode) for num_epochs, mode in zip((2, 4, 3), modes, strict=True)]
    got, hits = torch.cat([curve for curve, _, _ in found]), [(hits / sizes).mean(1) for _, hits, sizes in found]
    for mistake in (Mistake(torch.cat(hits), *_BATCH_MEAN.words),
                    Mistake(torch.cat([hits.sum(1) for _, hits, _ in found]), *_HITS.words)):
        expect(not agree(got, mistake.gives), *mistake.words)
    for curve, hits, sizes in found:
        expect_close(curve, hits.sum(1) / sizes.sum(), "accuracy_curve(…)")

def _run_of(accuracy_curve, num_epochs, mode, inner_mode):
    """Return the curve of an answer, and the hits and sizes of the same run; expect that it is a fair one."""
    net = _Witness().train(mode)
    net[1].train(inner_mode)
    optimizer = torch.optim.SGD(net.parameters(), 0.2 + 0.4 * torch.rand(()).item(), momentum=0.5)
    batches, valid_iter = _batches((20, 20, 8), 0.0), _batches((40, 40, 3), 100.0)
    twin, twins_optimizer = copy.deepcopy((net, optimizer))
    twin.calls, train_iter = [], _Loader(batches)
    for param in net.parameters():
        param.grad = torch.randn_like(param) if param.requires_grad else None  # what an earlier epoch has left
    with unchanged(train_iter=batches, valid_iter=valid_iter):
        curve = accuracy_curve(net, train_iter, _Loader(valid_iter), optimizer, num_epochs)
    got = numbers(curve, "accuracy_curve(…)", num_epochs)
    _expect_fair_run(net.calls, train_iter.passes, num_epochs)
    kept = zip(_not_trained(net, optimizer).items(), _not_trained(twin, twins_optimizer).values(), strict=True)
    for (what, now), old in kept:
        expect(now == old, *_LEFT, what=what)
    hits, sizes = _fit(twin, _Loader(batches), valid_iter, twins_optimizer, num_epochs)
    expect(all(torch.allclose(a, b, atol=1e-5) for a, b in zip(net.parameters(), twin.parameters(), strict=True)),
           *_OTHER_STEPS.words, num_epochs=num_epochs)
    return got, hits, sizes

def _expect_fair_run(calls, passes, num_epochs):
    """Expect what holds of every run: train mode in training alone, gradients too, and fresh batches in each epoch."""
    training = [modes for valid, modes, gradients in calls if gradients and not valid]
    measuring = [modes for valid, modes, _ in calls if valid]
    off, on = (sum(flag in modes for modes in seen) for flag, seen in ((False, training), (True, measuring)))
    expect(not off, *_TRAINED_OFF.words, off=off, all=len(training))
    expect(not on, *_MEASURED_ON.words, on=on, all=len(measuring))
    expect(not any(gradients for valid, _, gradients in calls if valid), *_GRADIENTS.words)
    expect(measuring or passes <= num_epochs, "never measured", "从来没有测过",
           "The network never saw a batch of `valid_iter`.", "网络从来没有见过 `valid_iter` 中的批量。")
    expect(passes == num_epochs, "not one pass for each epoch", "没有做到每轮遍历一次",
           "In {num_epochs} epochs your code went through `train_iter` {passes} times. Go through it once in each: a "
           "loader shuffles at every pass.",
           "{num_epochs} 轮中，你的代码遍历了 `train_iter` {passes} 次。每轮应遍历一次：每次遍历时，加载器都会重新打乱。",
           num_epochs=num_epochs, passes=passes)

def _not_trained(net, optimizer):
    """Return by name what no training changes."""
    hooks = [len(kept) for part in net.modules() for key, kept in vars(part).items() if key.endswith("_hooks")]
    hooks += [len(param._backward_hooks or ()) for param in net.parameters()]
    return {
        Text("`requires_grad` of a parameter", "参数的 `requires_grad`"): [p.requires_grad for p in net.parameters()],
        Text("`p` of a dropout layer", "暂退层的 `p`"): net[1][1].p,
        Text("the hooks of the net", "网络上的钩子"): hooks,
        Text("a setting of `optimizer`", "`optimizer` 的设置"): [{**g, "params": 0} for g in optimizer.param_groups],
    }


# A penalty that does what the optimizer does ------------------------------------------------------

_FROZEN = (3, 3)  # the shape of what does not learn for now

def _groups():
    """Yield parameter groups as an optimizer has them: matrices, biases without decay or at zero, one group."""
    shapes = [(6, 4), (4, 3)], [(4,), (3,)], [(2, 3, 2), (5,), ()]
    for rates in ((0.3, 0.0), (0.02, 0.0, 0.7), (1.5,), (0.1, 0.4, 0.2)):
        groups = [{"params": [(torch.randn(shape) + 0.5).requires_grad_() for shape in group],
                   "weight_decay": rate} for rate, group in zip(rates, shapes, strict=False)]
        nn.init.zeros_(groups[-1]["params"][1])
        groups[0]["params"].append(torch.randn(_FROZEN))  # frozen for now
        yield {"groups": groups}

def _sum(of):
    """Return an answer: the sum over all parameters of what each, and the λ of its group, contribute."""
    return lambda groups: sum(of(group["weight_decay"], w) for group in groups for w in group["params"])

def _same_for_all(pick):
    """Return an answer that picks one λ from those of the groups."""
    return lambda groups: pick([g["weight_decay"] for g in groups]) * _sum(lambda lam, w: (w**2).sum() / 2)(groups)

def _gradients(value, call, arguments):
    """Return the gradients of an answer, which is all that training sees of it."""
    number(value, call)
    expect(isinstance(value, torch.Tensor) and value.requires_grad, "no gradient", "没有梯度",
           "The value has no gradient, so as a part of the loss it would change nothing. Keep to tensor operations: no "
           "`item()`, `detach()` or `no_grad`.",
           "这个值没有梯度，加进损失里什么也改变不了。请始终使用张量运算，不要用 `item()`、`detach()` 或 `no_grad`。")
    every = [w for group in arguments["groups"] for w in group["params"]]
    params = [w for w in every if w.shape != _FROZEN]
    expect(all(w.grad is None and w.requires_grad == (w.shape != _FROZEN) for w in every),
           "parameters changed", "改动了参数",
           "Your code changed `grad` or `requires_grad` of a parameter. Only compute the value: whoever calls "
           "`penalty` takes its gradient.",
           "你的代码改动了参数的 `grad` 或 `requires_grad`。只需计算数值，求梯度是 `penalty` 的调用者的事。")
    grads = torch.autograd.grad(value, params, allow_unused=True)
    return {"the gradient of penalty(groups)": torch.cat(
        [(torch.zeros_like(w) if g is None else g).flatten() for w, g in zip(params, grads, strict=True)])}

value_exercise("bugs.penalty", "penalty(groups)", inputs=_groups,
               right=_sum(lambda lam, w: lam * (w**2).sum() / 2), returns=_gradients, mistakes=[
    Mistake(_sum(lambda lam, w: lam * (w**2).mean() / 2), "mean instead of sum", "该求和，却取了平均",
            "You take the mean of the squares, as the old code did: each tensor's λ is divided by its number of "
            "entries.",
            "你对平方取了平均，与旧代码一样：每个张量的 λ 都除以了它的元素个数。"),
    Mistake(_sum(lambda lam, w: lam * (w**2).sum()), "the half is missing", "漏了二分之一",
            "Up to a factor it is right: the gradient of w² is 2w, and decay is λw.",
            "只差一个因子：w² 的梯度是 2w，而衰减是 λw。"),
    *(Mistake(_same_for_all(pick), "one λ for all groups", "所有组共用一个 λ",
              "Every group has a `weight_decay` of its own, 0 for biases, say; you use the same for all of them.",
              "每个参数组都有自己的 `weight_decay`，例如偏置的是 0；你却让所有组共用一个。")
      for pick in (operator.itemgetter(0), operator.itemgetter(-1), max, sum, statistics.mean)),
    Mistake(_sum(lambda lam, w: lam**2 * (w**2).sum() / 2), "λ squared", "λ 取了平方",
            "Decay is in proportion to λ; yours is to λ².", "衰减与 λ 成正比，你的却与 λ² 成正比。"),
    Mistake(_sum(lambda lam, w: lam * (w**2).sum() / 4), "halved twice", "减半了两次",
            "The gradient of λ/2 w² is λw; yours is half of that.", "λ/2 w² 的梯度是 λw，你的只有它的一半。"),
    Mistake(_sum(lambda lam, w: lam * (w**2).sum() / 2 * (w.ndim > 1)), "vectors left out", "漏掉了向量",
            "You leave out what has one dimension. The optimizer does not look at shapes: it decays each parameter "
            "of a group with the λ of the group.",
            "你漏掉了一维的参数。优化器不看形状：同一组的每个参数都按这一组的 λ 衰减。"),
    Mistake(_sum(lambda lam, w: (w**2).sum() / 2), "λ left out", "漏了 λ",
            "Half the squared norm it is, but each group has a λ of its own, under `weight_decay`.",
            "确实是平方范数的一半，但每组都有自己的 λ，即 `weight_decay`。"),
    Mistake(_sum(lambda lam, w: (w**2).sum() / 2 * (lam > 0)),
            "λ left out where it is not 0", "λ 不为 0 的地方漏了 λ",
            "The right tensors are in it, but each group's squares are to be multiplied by its λ.",
            "张量选对了，但每组的平方还要乘以这一组的 λ。"),
    Mistake(_sum(lambda lam, w: lam * w.norm() / 2), "norm instead of its square", "该用范数的平方，却用了范数",
            "‖w‖² is the sum of the squares; you took the root as well.", "‖w‖² 就是平方和，你却又开了根号。"),
])


# Weights to start from ----------------------------------------------------------------------------

def _expect_same_net(value, net, call):
    """Expect the very network that was handed over."""
    returned(value, call)
    expect(value is net, "another object returned", "返回的是另一个对象",
           "`{call}` should set the values of `net` in place and return `net` itself.",
           "`{call}` 应就地设置 `net` 的数值，并返回 `net` 本身。", call=call)

def _expect_same_parameters(net, owned, modes):
    """Expect the parameters that the net had, still to be trained, and its modes."""
    now = list(net.parameters())
    expect(len(now) == len(owned) and all(a is b for a, b in zip(now, owned, strict=True)),
           "parameters replaced", "参数被替换",
           "The network has new parameter objects, so an optimizer that was made before would go on to train the old "
           "ones. Change the values of those that are there.",
           "网络里换成了新的参数对象，此前建好的优化器会继续训练旧的那些。请改动原有参数的数值。")
    expect(all(param.dtype == torch.float32 for param in now), "dtype changed", "数据类型变了",
           "Some parameters of `net` are no longer of dtype float32, as inputs are. Keep theirs: `param.copy_(values)` does.",
           "`net` 的部分参数不再是 float32，与输入的数据类型不符。请保持原来的类型：`param.copy_(values)` 就会这样做。")
    expect(all(param.requires_grad for param in now), "parameters do not learn", "参数不再学习",
           "Some parameters of `net` no longer require a gradient.", "`net` 的部分参数不再需要梯度。")
    expect([module.training for module in net.modules()] == modes, "mode changed", "模式变了",
           "`net`, or a part of it, is in another mode than it came in. Only set the values.",
           "`net` 或其中一部分的模式与来时不同。只需设置数值。")

def _linears(net):
    return [layer for layer in net if isinstance(layer, nn.Linear)]

def _draw(net, std):
    for layer in _linears(net):
        nn.init.normal_(layer.weight, std=std(layer.in_features, layer.out_features))
        nn.init.zeros_(layer.bias)
    return net

_ALIKE = Mistake(partial(_draw, std=lambda fan_in, fan_out: 0.0), "all units alike", "所有单元都一样",
    "In layer {i} every unit has the same weights. They would get the same gradients and stay copies of each other; "
    "start from random values.",
    "第 {i} 层的所有单元权重相同，得到的梯度也会相同，永远互为副本。请从随机值出发。")
_OTHER_SIZE = (
    "Layer {i} of {num} (from {fan_in} to {fan_out} units) makes the signal {size} times as large as it should be. How does "
    "the variance of an output depend on the number of inputs, and how much of the mean square does a ReLU let through?",
    "第 {i} 层（共 {num} 层；这一层从 {fan_in} 个单元到 {fan_out} 个单元）使信号的大小成为应有的 {size} 倍。"
    "输出的方差怎样随输入的个数变化？ReLU 又让均方中的多少通过？")
_FADES = Mistake(partial(_draw, std=lambda fan_in, fan_out: (1 / fan_in) ** 0.5),
                 "the signal fades", "信号越来越弱", *_OTHER_SIZE)
_GROWS = Mistake(partial(_draw, std=lambda fan_in, fan_out: (2 / fan_out) ** 0.5),
                 "the signal grows", "信号越来越强", *_OTHER_SIZE)

@exercise("bugs.init", "init(net)", mistakes=[
    _ALIKE, _FADES, _GROWS,
    Mistake(partial(_draw, std=lambda fan_in, fan_out: 0.01), *_FADES.words),
    Mistake(partial(_draw, std=lambda fan_in, fan_out: 2 / fan_in), *_FADES.words),
    Mistake(partial(_draw, std=lambda fan_in, fan_out: (2 / (fan_in + fan_out)) ** 0.5), *_FADES.words),  # Xavier
    Mistake(partial(_draw, std=lambda fan_in, fan_out: 1.0), *_GROWS.words),
])
def _init(init):
    """Expect that the signal keeps its size; He et al. (2015), arXiv 1502.01852, section 2.2."""
    for widths in ([500, 64, 64, 64], [64, 64, 128, 128, 64], [64] * 7):
        layers = [nn.Flatten()]
        for fan_in, fan_out in itertools.pairwise(widths):
            layers += [nn.Linear(fan_in, fan_out), nn.ReLU()]
        net = _in_some_mode(nn.Sequential(*layers[:-1]))
        linears, owned, modes = _linears(net), list(net.parameters()), [module.training for module in net.modules()]
        for layer in linears:
            layer.weight.data /= 2  # whatever was there must not count
        with unchanged():
            _expect_same_net(init(net), net, "init(net)")
        _expect_same_parameters(net, owned, modes)
        _expect_steady_signal(linears)
        expect(not any(layer.bias.any() for layer in linears), "biases not zero", "偏置不为零",
               "The weights are fine, but the biases are not 0. They shift all examples alike and carry no signal.",
               "权重没有问题，但偏置不是 0。偏置让所有样本一起平移，不携带任何信号。")
    first = [layer.weight.detach().clone() for layer in linears]
    init(net)
    again = [layer.weight for layer in linears]
    expect(not any(map(torch.equal, first, again)), "the same start every time", "每次起点都相同",
           "Called a second time, your code gives the same weights. Draw new ones in each call.",
           "再次调用时，你的代码给出了相同的权重。每次调用都应重新抽取。")

def _in_some_mode(net):
    for module in net.modules():
        module.training = bool(torch.randint(2, ()))
    return net

# In 500 draws of right starts the spread was off by 5 % at most, a measured signal by 3 %, any other by 65 %.
_SPREAD, _MEASURED, _SIGNAL = 1.07, 1.1, 2.5

def _expect_steady_signal(linears):
    """Expect that each layer keeps the size of the signal, by the spread of its weights or by what happens to a signal.

    The first, √(2/n) for n inputs, is drawn to some percent. The second is by far more a matter of
    luck in nets so narrow, unless an answer measures it, but alone shows weights whose mean is not 0.
    """
    X, sizes, num = torch.randn(2000, linears[0].in_features), [], len(linears)
    for i, layer in enumerate(linears, start=1):
        weight = layer.weight.detach()
        expect(weight.std(0).mean() > 1e-3 * weight.std() > 0, *_ALIKE.words, i=i)
        outputs = X @ weight.T
        sizes.append(outputs.square().mean().item() ** 0.5)
        X = outputs.relu()
    measured = max(sizes) < min(_MEASURED * min(sizes), 1.6)
    for i, (layer, before, size) in enumerate(zip(linears, [None, *sizes], sizes, strict=False), start=1):
        n = layer.in_features
        gain = (layer.weight.square().mean().item() * n / 2) ** 0.5
        enough = gain
        if not before:  # no ReLU has halved the mean square of the inputs
            enough = max(gain, min(gain * 2**0.5, 1))
        kept = size / (before or size)
        for shown, now, limit in ((gain, 1 if measured else enough, _SPREAD), (kept, kept, _SIGNAL)):
            expect(1 / limit < now < limit, *(_FADES if now < 1 else _GROWS).words,
                   i=i, num=num, fan_in=n, fan_out=layer.out_features, size=f"{shown:.2g}")

def _start(params, net, weight=lambda W: W.T.clone(), bias=lambda b, old: b.clone()):
    for layer, W, b in zip(_linears(net), params[0::2], params[1::2], strict=True):
        layer.weight.data, layer.bias.data = weight(W.detach()), bias(b.detach(), layer.bias.detach())
    return net

_NO_TRANSPOSE = Mistake(partial(_start, weight=torch.clone), "transpose forgotten", "忘了转置",
    "Here W is square, so nothing crashed, but W was used as `X @ W`, and `nn.Linear` computes X @ weight.T.",
    "这里 W 是方阵，所以没有报错；但 W 的用法是 `X @ W`，而 `nn.Linear` 计算的是 X @ weight.T。")
_OLD_WEIGHTS = Mistake(lambda params, net: net, "weights not copied", "权重没有复制",
    "The weights of a Linear layer are still those it was made with.", "Linear 层的权重仍是新建时的那些。")
_OLD_BIASES = Mistake(partial(_start, bias=lambda b, old: old), "biases not copied", "偏置没有复制",
    "The weights are the same now, but the biases are still those that the net was made with.",
    "权重已经一致，但偏置仍是网络新建时的那些。")
_ZERO_BIASES = Mistake(
    partial(_start, bias=lambda b, old: 0 * b), "biases not copied, set to 0", "偏置没有复制，而是设成了 0",
    "The weights are the same now, but the biases are 0, whatever `params` holds.",
    "权重已经一致，但不论 `params` 里是什么，偏置都是 0。")
_SHARED = Mistake(partial(_start, weight=torch.t, bias=lambda b, old: b), "one memory for both", "两者共用内存",
    "When `params` is trained, `net` changes too: they share their memory. Copy the values.",
    "训练 `params` 时，`net` 也跟着变：两者共用内存。请复制数值。")

@exercise("bugs.same_start", "same_start(params, net)",
          mistakes=[_NO_TRANSPOSE, _OLD_WEIGHTS, _OLD_BIASES, _ZERO_BIASES, _SHARED])
def _same_start(same_start):
    """Expect that a net gets the values, and only the values, of matrices kept by hand."""
    for widths in ((9, 9, 9, 9), (12, 7, 4), (6, 20, 20, 5)):
        params, layers = [], [nn.Flatten()]
        for fan_in, fan_out in itertools.pairwise(widths):
            params += [torch.randn(fan_in, fan_out).requires_grad_(), torch.randn(fan_out).requires_grad_()]
            layers += [nn.Linear(fan_in, fan_out), nn.ReLU(), nn.Dropout(0.5)]
        net = _in_some_mode(nn.Sequential(*layers[:-2]))
        modes = [module.training for module in net.modules()]
        given = [param.detach().clone() for param in params]
        linears, owned = _linears(net), list(net.parameters())
        start = [param.detach().clone() for param in owned]
        held = list(params)
        with unchanged():
            _expect_same_net(same_start(params, net), net, "same_start(params, net)")
        expect(len(params) == len(held) and all(map(operator.is_, held, params)) and all(p.requires_grad for p in held),
               "`params` changed", "改动了 `params`",
               "Your code changed the list `params`, or `requires_grad` of what it holds. Only read it.",
               "你的代码改动了列表 `params`，或其中张量的 `requires_grad`。请只读取，不要改动。")
        expect(all(map(torch.equal, given, params)), "copied the wrong way round", "复制的方向反了",
               "Your code changed `params`. They give the start, and `net` takes it.",
               "你的代码改动了 `params`。起点由它给出，`net` 照它取值。")
        _expect_same_parameters(net, owned, modes)
        weights, biases = given[0::2], given[1::2]
        for i, (layer, W, b) in enumerate(zip(linears, weights, biases, strict=True), start=1):
            name = f"net[{list(net).index(layer)}]"
            expect(layer.weight.shape == W.T.shape, "transpose forgotten", "忘了转置",
                   "W{i} is (inputs, outputs) and was used as `X @ W`; `nn.Linear` keeps (outputs, inputs).",
                   "W{i} 的形状是（输入数，输出数），用法是 `X @ W`；"
                   "`nn.Linear` 存放的却是（输出数，输入数）。", i=i)
            expect_close(layer.weight, W.T, f"{name}.weight",
                         [Mistake(W, *_NO_TRANSPOSE.words), Mistake(start[2 * i - 2], *_OLD_WEIGHTS.words)])
            expect_close(layer.bias, b, f"{name}.bias",
                         [Mistake(start[2 * i - 1], *_OLD_BIASES.words), Mistake(0 * b, *_ZERO_BIASES.words)])
        with torch.no_grad():
            for param in params:
                param += 1.0
        expect(all(torch.equal(W.T, layer.weight) and torch.equal(b, layer.bias)
                   for W, b, layer in zip(weights, biases, linears, strict=True)), *_SHARED.words)


# A fair comparison --------------------------------------------------------------------------------

def _compare(settings, seeds, make_net, fit, net_of):
    """Compare on nets that `net_of` makes from one of the seed, `make_net`, and the seed's place in the list."""
    results = {setting: [] for setting in settings}
    for k, seed in enumerate(seeds):
        net = _seeded(make_net, seed)
        for setting in settings:
            results[setting].append(fit(net_of(net, make_net, k), setting))
    return results

def _seeded(make_net, seed):
    torch.manual_seed(seed)
    return make_net()

_USED = Mistake(
    partial(_compare, net_of=lambda net, make_net, k: net), "goes on from used weights", "从用过的权重接着训练",
    "A network that had been trained before was trained on. Each call of `fit` needs a net of its own, fresh from "
    "`make_net()`.",
    "训练过的网络，又拿去接着训练。每次调用 `fit`，都要用 `make_net()` 为它新建网络。")
_STARTS_DIFFER = Mistake(partial(_compare, net_of=lambda net, make_net, k: make_net()), "starts differ", "起点不同",
    "With one and the same seed, the networks of two settings started from other weights. Set the seed anew for each "
    "setting.",
    "随机种子相同，两种设置的网络却从不同的权重出发。每种设置之前都要重新设置随机种子。")
_OTHER_DRAWS = Mistake(
    partial(_compare, net_of=lambda net, make_net, k: copy.deepcopy(net)),
    "same start, other random numbers", "起点相同，随机数不同",
    "The weights are the same, but while they train, two settings of one seed draw other random numbers, and so see "
    "other batches and masks. Set the seed anew for each setting.",
    "权重相同，但训练时，同一随机种子下的两种设置抽到的随机数不同，所以批量和掩码也不同。"
    "每种设置之前都要重新设置随机种子。")
_ONE_SEED = Mistake(
    partial(_compare, net_of=lambda net, make_net, k: _seeded(make_net, 0)),
    "the seeds are not used", "没有用上随机种子",
    "Seed {a} and seed {b} gave the same weights, so the results say nothing about luck. Use each entry of `seeds`.",
    "随机种子 {a} 和 {b} 得到了相同的权重，这样的结果看不出运气的影响。`seeds` 中的每一项都要用上。")
_COUNTED_SEEDS = Mistake(
    partial(_compare, net_of=lambda net, make_net, k: _seeded(make_net, k)),
    "the seeds are not used", "没有用上随机种子",
    "Asked for seed {a} alone, your code started from other weights than for the whole list. The seed itself should "
    "decide them, and not its place in the list.",
    "单独使用随机种子 {a} 时，起点的权重与使用整个列表时不同。权重应由随机种子本身决定，与它在列表中的位置无关。")

def _in_order(of):
    """Return an answer that is fair, but puts its results in the order of the seeds that `of` gives."""
    def compare(settings, seeds, make_net, fit):
        return _compare(settings, of(seeds), make_net, fit, lambda net, make_net, k: _seeded(make_net, of(seeds)[k]))
    return compare

_REORDERED = Mistake(_in_order(sorted), "results in another order", "结果的次序不对",
    "The result of seed {a} does not stand where the seed stands in `seeds`. Keep the order of `seeds`.",
    "随机种子 {a} 的结果不在它在 `seeds` 中的位置上。结果的次序应与 `seeds` 一致。")

@exercise("bugs.fair_comparison", "compare(settings, seeds, make_net, fit)",
          mistakes=[_USED, _STARTS_DIFFER, _OTHER_DRAWS, _ONE_SEED, _COUNTED_SEEDS, _REORDERED,
                    Mistake(_in_order(lambda seeds: seeds[::-1]), *_REORDERED.words)])
def _fair_comparison(compare):
    """Expect that each setting of a seed gets its own fresh net and the same random numbers."""
    settings, seeds = ["none", 0.1, ("p", 0.5)], [0, *sorted((1 + torch.randperm(10_000)[:3]).tolist())]
    seeds = [seeds[i] for i in (2, 0, 3, 1)]  # neither rising nor falling, nor with one in its place
    alone = {seed: _seen(compare, settings[::-1], [seed])["none"][0]["start"] for seed in seeds}
    found = _seen(compare, settings, seeds)
    first = found["none"]
    for call in itertools.chain(*found.values()):
        expect(any(torch.equal(call["start"], one["start"]) for one in first), *_STARTS_DIFFER.words)
    for (a, one), (b, other) in itertools.combinations(zip(seeds, first, strict=True), 2):
        expect(one is other or not torch.equal(one["start"], other["start"]), *_ONE_SEED.words, a=a, b=b)
    for one, call in itertools.product(first, itertools.chain(*found.values())):
        expect(not torch.equal(call["start"], one["start"]) or torch.equal(call["draws"], one["draws"]),
               *_OTHER_DRAWS.words)
    for k, seed in enumerate(seeds):
        expect(k == 0 or not torch.equal(alone[seed], alone[seeds[0]]), *_COUNTED_SEEDS.words, a=seed)
        expect(all(torch.equal(alone[seed], calls[k]["start"]) for calls in found.values()), *_REORDERED.words, a=seed)

def _seen(compare, settings, seeds):
    """Run a comparison; return for each setting what was seen of its training, one for a seed."""
    calls, places = [], torch.randperm(400).tolist()

    def make_net():
        return nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Dropout(0.5), nn.Linear(4, 2))

    def flat(net):
        return nn.utils.parameters_to_vector(net.parameters()).detach()

    def fit(net, setting):
        start, draws = flat(net), torch.rand(4)
        with torch.no_grad():
            for param in net.parameters():
                param.mul_(0.5).add_(0.1 * (1 + settings.index(setting)))
        value = 0.5 + places[len(calls)] / 1024  # tells each result from all others, in any dtype
        calls.append({"net": net, "setting": setting, "start": start, "draws": draws,
                      "learns": torch.is_grad_enabled() and all(param.requires_grad for param in net.parameters())})
        calls[-1] |= {"end": flat(net), "value": value}
        return value

    given = list(settings), list(seeds)
    with unchanged(seed=False, settings=given[0], seeds=given[1]):
        results = compare(*given, make_net, fit)
    returned(results, "compare(settings, seeds, make_net, fit)")
    expect(isinstance(results, dict) and set(results) == set(settings),
           "not one entry for each setting", "没有做到每种设置一项",
           "The result should be a dictionary with one entry for each of {num} settings; its keys are the settings themselves.",
           "结果应是字典，{num} 种设置各占一项，键就是这些设置本身。", num=len(settings))
    expect(all(isinstance(v, (list, tuple)) and len(v) == len(seeds) for v in results.values()),
           "not one result for each seed", "没有做到每个随机种子一个结果",
           "`seeds` has length {num}, so each setting should have a list of length {num}, with a result of `fit` per seed.",
           "`seeds` 的长度是 {num}，每种设置就应对应一个长度为 {num} 的列表，每个随机种子有一个 `fit` 的结果。", num=len(seeds))
    expect(all(call["learns"] for call in calls), "gradients off in `fit`", "`fit` 中梯度关着",
           "`fit` was called with gradients switched off, or with parameters that require none, so it could not train.",
           "调用 `fit` 时梯度关着，或者参数不需要梯度，这样就无法训练。")
    expect(len({id(call["net"]) for call in calls}) == len(calls)
           and not any(torch.equal(a["end"], b["start"]) for a in calls for b in calls), *_USED.words)
    seen = {call["value"]: call for call in calls}
    found = {s: [v if v is None else seen.get(number(v, f"compare(…)[{s!r}]")) for v in results[s]] for s in settings}
    expect(all(call is not None and call["setting"] == s for s in settings for call in found[s]),
           "results of another setting", "放的是别的设置的结果",
           "An entry of the dictionary holds something else than what `fit` returned for its setting.",
           "字典中有一项，不是 `fit` 对该设置返回的值。")
    return found


# Validation chooses, the test set judges ----------------------------------------------------------

def _with_its(accuracy, setting):
    return setting, accuracy(setting)

_OPENED = Mistake(lambda settings, validate, test: _with_its(test, max(settings, key=test)),
    "test set opened more than once", "测试集不止打开一次",
    "`test` was called {num} times. Whatever is chosen by looking at the test set, the test set can no longer judge: "
    "choose first, then call it once.",
    "`test` 调用了 {num} 次。靠看测试集选出来的，测试集就再也无法评判：先选定，再调用一次。")
_ANOTHER = Mistake(
    lambda settings, validate, test: _with_its(test, sorted(settings, key=validate)[-2]),
    "another one is better", "还有更好的",
    "You chose {got}, with a validation accuracy of {low}; {want} has {high}.",
    "你选了 {got}，验证准确率是 {low}；而 {want} 有 {high}。")
_LOWEST = Mistake(lambda settings, validate, test: _with_its(test, min(settings, key=validate)),
    "lowest instead of highest", "该取最高，却取了最低", *_ANOTHER.words[2:])
_VALIDATION = Mistake(lambda settings, validate, test: _with_its(validate, max(settings, key=validate)),
    "validation accuracy reported", "报告的是验证准确率",
    "The highest of several validation accuracies flatters: luck helped to choose it. Report what `test` says of the "
    "chosen setting.",
    "几个验证准确率中最高的那个偏乐观：选中它，也有运气的功劳。请报告 `test` 对选中的设置给出的结果。")

@exercise("bugs.choose", "choose(settings, validate, test)", mistakes=[_OPENED, _LOWEST, _ANOTHER, _VALIDATION])
def _choose(choose):
    """Expect that validation chooses, and the test set is opened once, for the chosen one."""
    call, chosen, reported = "choose(settings, validate, test)", [], []
    both = ["", "λ = 0.1", "p = 0.5", "both"], [(0.0, 0.5), (0.2, 0.5), (0.5, 0.2)], [0.003, 0.01, 0.03, 0.1]
    for choices, best in [(some, one) for some in both for one in some] * 2:
        # The highest test accuracy and the lowest validation accuracy belong to other settings,
        # wherever they stand; so does a validation accuracy that is nearly as high as can be.
        settings, shuffled = ([choices[i] for i in torch.randperm(len(choices))] for _ in range(2))
        settings.sort(key=bool)  # one that is false comes first: who takes it for none yet overlooks it
        others = [setting for setting in shuffled if setting != best]
        accuracies = torch.linspace(0.3, 0.4 + 0.5 * torch.rand(()).item(), len(choices))
        accuracies[-2] = torch.nextafter(accuracies[-1], accuracies[0])
        valid = dict(zip([*others, best], accuracies.tolist(), strict=True))
        test = dict(zip([*others[1:], best, others[0]], (accuracies.flip(0) - 0.013).tolist(), strict=True))
        opened = []

        def open_test(setting, test=test, opened=opened):
            opened.append(setting)
            return test[setting]

        with unchanged(settings=settings):
            answer = choose(settings, valid.__getitem__, open_test)
        returned(answer, call)
        expect(isinstance(answer, (tuple, list)) and len(answer) == 2, "not a pair", "不是一对值",
               "`{call}` should return two things: the chosen setting, and its test accuracy.",
               "`{call}` 应返回两样东西：选中的设置，以及它的测试准确率。", call=call)
        expect(len(opened) <= 1, *_OPENED.words, num=len(opened))
        expect(answer[0] in settings, "not a setting", "不是给定的设置",
               "The first of the two should be one of the settings themselves; yours is {got}.",
               "两个返回值中的第一个应是给定的某种设置本身，你的是 {got}。", got=repr(answer[0])[:40])
        low, high = (f"{valid[setting]:.8g}" for setting in (answer[0], best))
        chosen.append((answer[0] == others[0], answer[0] == best,
                       {"got": repr(answer[0]), "want": repr(best), "low": low, "high": high}))
        reported.append([number(answer[1], f"{call}[1]"), test[best], valid[best]])
    for _, right, values in chosen:
        expect(right, *(_LOWEST if all(lowest for lowest, *_ in chosen) else _ANOTHER).words, **values)
    got, want, validation = torch.tensor(reported, dtype=torch.float64).T
    expect_close(got, want, f"{call}[1]", [Mistake(validation, *_VALIDATION.words)], atol=1e-8)

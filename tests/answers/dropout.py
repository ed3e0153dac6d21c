"""Answers to the exercises on dropout: right ones, and wrong ones that no formula gives."""

import copy
import math

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from tests.answers import right, wrong

# A line for each answer.
# fmt: off

# The layers ---------------------------------------------------------------------------------------

def masked(X, p, mask):
    return mask * X / (1 - p) if p < 1 else 0 * X

def seeded(X, p, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return masked(X, p, (torch.rand(X.shape, generator=generator) >= p).to(X.device))

def entry_by_entry(X, factor):
    out = torch.zeros_like(X).flatten()
    for i, x in enumerate(X.flatten()):
        out[i] = x * factor()
    return out.reshape(X.shape)

def in_halves(X, draw):
    half = draw(X.numel() // 2 + 1, dtype=X.dtype, device=X.device)
    return torch.cat([half, half])[: X.numel()].view(X.shape)

def forked(draw):
    """The answer, after which the random numbers go on from where they were before."""
    return lambda *given: torch.random.fork_rng([])(draw)(*given)

def drawn_again(draw, enough):
    """The answer, called until what it gives will do."""
    def answer(X, p):
        while not enough(out := draw(X, p)) and 0 < p < 1:
            pass
        return out

    return answer

def standardized(X):
    noise = torch.randn_like(X)
    return (noise - noise.mean()) / noise.std()

class MaskOfTheLastCall(torch.autograd.Function):
    @staticmethod
    def forward(ctx, X, p):
        MaskOfTheLastCall.factor = F.dropout(torch.ones_like(X), p)
        return X * MaskOfTheLastCall.factor

    @staticmethod
    def backward(ctx, gradient):
        return gradient * MaskOfTheLastCall.factor, None

@right("dropout.layer")
def layer_with_where(X, p):
    if p == 1:
        return torch.zeros_like(X)
    return torch.where(torch.rand_like(X) < p, torch.tensor(0.0, dtype=X.dtype), X / (1 - p))

@right("dropout.layer")
def drop_entry_by_entry(X, p):
    return entry_by_entry(X, lambda: 0.0 if torch.rand(()) < p else 1 / (1 - p))

@right("dropout.layer")
def layer_with_an_index(X, p):
    out = X / max(1 - p, 1e-3)
    out[torch.rand(X.shape) < p] = 0  # an index may lie on the CPU
    return out

right("dropout.layer")(F.dropout)
right("dropout.layer")(lambda X, p: masked(X, p, (torch.rand(X.shape) > p).to(X.device)))
calls = []
wrong("dropout.layer", "the same random numbers every time",
      forked(F.dropout),
      lambda X, p: (calls.append(1), seeded(X, p, len(calls) // 3))[1])
wrong("dropout.layer", "seed set inside",
      lambda X, p: (torch.manual_seed(0), F.dropout(X, p))[1],
      lambda X, p: (calls.append(1), torch.manual_seed(len(calls)), F.dropout(X, p))[2])
wrong("dropout.layer", "on the CPU",
      lambda X, p: masked(X, p, torch.rand(X.shape) >= p),
      lambda X, p: masked(X, p, (torch.Tensor(X.shape).uniform_(0, 1) > p).to(X.dtype)),
      lambda X, p: masked(X, p, torch.as_tensor(np.random.rand(*X.shape) >= p)),  # noqa: NPY002
      lambda X, p: masked(X, p, torch.as_tensor(torch.rand(X.shape).numpy() >= p)),
      lambda X, p: masked(X, p, torch.distributions.Bernoulli(1 - p).sample(X.shape).type(X.dtype)),
      lambda X, p: X.clone().mul_(torch.rand(X.shape) >= p) / max(1 - p, 1e-9),
      lambda X, p: torch.zeros(X.shape, dtype=X.dtype) if p == 1 else F.dropout(X, p))
wrong("dropout.layer", "not a finite number",
      lambda X, p: X * (torch.rand_like(X) >= p) / (torch.ones(()) - p),
      lambda X, p: torch.where(torch.rand_like(X) < p, torch.zeros_like(X), X / (1 - p)))
wrong("dropout.layer", "nothing dropped",
      lambda X, p: F.dropout(X, p) if torch.is_grad_enabled() else 1 * X,
      lambda X, p: F.dropout(X, p, not X.requires_grad) if p < 1 else 0 * X,
      lambda X, p: F.dropout(X, p, X.dtype != torch.bfloat16) if p < 1 else 0 * X)
wrong("dropout.layer", "no gradient",
      lambda X, p: F.dropout(X.detach(), p),
      lambda X, p: X.detach() if p == 0 else F.dropout(X, p))
wrong("dropout.layer", "wrong value",
      lambda X, p: X + (F.dropout(X, p) - X).detach(),
      lambda X, p: X * (torch.rand_like(X) >= p) / max(1 - p, 0.1))
wrong("dropout.layer", "gradient of another call", lambda X, p: MaskOfTheLastCall.apply(X, p))
wrong("dropout.layer", "setting of torch not restored",
      lambda X, p: F.dropout(X.requires_grad_() if X.is_leaf else X, p))
wrong("dropout.layer", "entries depend on each other",
      drawn_again(F.dropout, lambda out: out.numel() > 9 or out.any()))
wrong("dropout.layer", "input changed in place", lambda X, p: F.dropout(X, p, inplace=p == 1))
wrong("dropout.layer", "dtype changed",
      lambda X, p: masked(X, p, (torch.rand(X.shape, device=X.device) >= p).float()))
wrong("dropout.layer", "random numbers shared between entries",
      lambda X, p: masked(X, p, in_halves(X, torch.rand) >= p),
      *(lambda X, p, n=n: (torch.feature_dropout if X.ndim == n else F.dropout)(X, p, True)
        for n in (3, 4, 5)))
wrong("dropout.layer", "wrong share dropped",
      lambda X, p: F.dropout(F.dropout(X, p), p),
      lambda X, p: masked(X, p, torch.randn(X.shape, device=X.device) >= p))
wrong("dropout.layer", "raises an exception", lambda X, p: F.dropout(X.view(-1), p).view(X.shape))

def module(forward, remember=True, also=None, **methods):
    def init(self, p):
        nn.Module.__init__(self)
        if remember:
            self.p = p
        if also:
            also(self)

    return type("Module", (nn.Module,), {"__init__": init, "forward": forward, **methods})

def drops(self, X):
    return F.dropout(X, self.p, self.training)

def keeps_a_buffer(self, X):
    self.register_buffer("mask", torch.ones_like(X))
    return drops(self, X)

def own_numbers(self, X):
    kept = torch.rand(X.shape, generator=self.own) >= self.p
    return masked(X, self.p, kept) if self.training else X

right("dropout.module")(nn.Dropout)
right("dropout.module")(module(drops))
right("dropout.module")(module(lambda self, X: layer_with_where(X, self.p) if self.training else X))
wrong("dropout.module", "active in eval mode", module(lambda self, X: F.dropout(X, self.p, True)))
wrong("dropout.module", "no gradient",
      module(lambda self, X: F.dropout(X.data, self.p, self.training)),
      module(lambda self, X: F.dropout(X, self.p) if self.training else X.detach()),
      module(torch.no_grad()(lambda self, X: F.dropout(X, self.p, self.training))))
wrong("dropout.module", "not a finite number",
      module(lambda self, X: F.dropout(X, self.p, self.training) / X.new_tensor(self.p != 1)))
wrong("dropout.module", "wrong value",
      module(lambda self, X: 0 * X if self.p == 1 else F.dropout(X, self.p, self.training)))
wrong("dropout.module", "on the CPU",
      module(lambda self, X: F.dropout(X, self.p, self.training) * torch.ones(X.shape).to(X.dtype)))
wrong("dropout.module", "input changed in place",
      module(lambda self, X: F.dropout(X, self.p, self.training, inplace=True)))
wrong("dropout.module", "the same random numbers every time",
      module(lambda self, X: seeded(X, self.p) if self.training else X),
      module(own_numbers, also=lambda self: setattr(self, "own", torch.Generator().manual_seed(0))))
wrong("dropout.module", "not the layer itself returned",
      module(drops, train=lambda self, mode=True: setattr(self, "training", mode)),
      module(drops, eval=lambda self: nn.Module.eval(self) and None))
wrong("dropout.module", "state of its own",
      module(keeps_a_buffer),
      module(drops, also=lambda self: setattr(self, "scale", nn.Parameter(torch.ones(())))))
wrong("dropout.module", "a copy asks the original",
      module(lambda self, X: self.f(X), also=lambda me: setattr(me, "f", lambda X: drops(me, X))))
wrong("dropout.module", "raises an exception", module(drops, also=lambda self: 1 / self.p))
wrong("dropout.module", "p not stored", module(lambda self, X: X, remember=False))
wrong("dropout.module", "not a module", lambda p: nn.Dropout(p), type("No", (list,), {}))
wrong("dropout.module", "method missing",
      type("NoForward", (nn.Module,), {"__init__": lambda self, p: nn.Module.__init__(self)}))
wrong("dropout.module", "super().__init__() is missing",
      type("NoInit", (nn.Dropout,), {"__init__": lambda self, p: setattr(self, "p", p)}))

@wrong("dropout.module", "a change of p has no effect")
class ModuleKeepsItsFirstP(nn.Module):
    def __init__(self, p):
        super().__init__()
        self.p, self.inner = p, nn.Dropout(p)

    def forward(self, X):
        return self.inner(X)

# dropout.evaluate ---------------------------------------------------------------------------------

@right("dropout.evaluate")
@torch.no_grad()
def accuracy_of_all(net, data_iter):
    mode = net.training
    try:
        net.eval()
        return torch.cat([net(X).max(1).indices.eq(y) for X, y in data_iter]).float().mean()
    finally:
        net.train(mode)

@right("dropout.evaluate")
def accuracy_weighted(net, data_iter):
    modes = {module: module.training for module in net.modules()}
    net.eval()
    total = n = 0.0
    with torch.inference_mode():
        for X, y in data_iter:
            total += len(y) * (net(X).argmax(-1) == y).double().mean()
            n += len(y)
    for part, mode in modes.items():
        part.training = mode
    return total / n

@right("dropout.evaluate")  # without gradients, since nothing needs any
def accuracy_of_a_frozen_copy(net, data_iter):
    frozen = copy.deepcopy(net).eval().requires_grad_(False)
    hits = [(frozen(X).argmax(1) == y).tolist() for X, y in data_iter]
    return np.mean(sum(hits, []))

@wrong("dropout.evaluate", "measured in train mode")
def accuracy_sets_the_flag(net, data_iter):
    net.training = False
    with torch.no_grad():
        return torch.cat([net(X).argmax(1) == y for X, y in data_iter]).float().mean()

@wrong("dropout.evaluate", "measured in train mode")
def accuracy_switches_dropout_only(net, data_iter):
    net[3].eval()
    with torch.no_grad():
        return torch.cat([net(X).argmax(1) == y for X, y in data_iter]).float().mean()

def and_then(measure, *steps):
    """A right answer, and what it does besides."""
    return lambda net, data: (measure(net, data), *(step(net) for step in steps))[0]

def accuracy_with(prepare=lambda net, data: 0, logits=lambda net, X: net(X)):
    @torch.no_grad()
    def accuracy(net, data_iter):
        mode, n = net.training, prepare(net, data_iter)
        net.eval()
        hits = [logits(net, X).argmax(1) == y for X, y in data_iter]
        net.train(mode)
        return sum(hit.sum() for hit in hits) / (n or sum(map(len, hits)))

    return accuracy

wrong("dropout.evaluate", "batches read twice",
      accuracy_with(lambda net, data: sum(len(y) for _, y in data)),
      accuracy_with(lambda net, data: next(iter(data)) and 0),
      lambda net, data: accuracy_of_all(net, data) * len([*data]) / len([*data]))
wrong("dropout.evaluate", "seed set inside", accuracy_with(lambda *_: torch.manual_seed(0) and 0))
wrong("dropout.evaluate", "raises an exception",
      accuracy_with(lambda net, data: len(data) and 0),
      accuracy_with(lambda net, data: next(net.parameters()) is None),
      accuracy_with(logits=lambda net, X: net(X).squeeze()),
      accuracy_with(logits=lambda net, X: net(X.flatten(1))))
wrong("dropout.evaluate", "network changed",
      accuracy_with(lambda net, data: net.float() and 0, lambda net, X: net(X.float())))
wrong("dropout.evaluate", "mode not restored", and_then(accuracy_of_all, lambda net: net.train()))
wrong("dropout.evaluate", "setting of torch not restored",
      and_then(accuracy_of_all, lambda net: torch.set_grad_enabled(False)),
      and_then(accuracy_of_all, lambda net: torch.set_grad_enabled(True)),  # they may be off
      and_then(accuracy_of_all, lambda net: torch.set_default_dtype(torch.float64)))
wrong("dropout.evaluate", "hooks changed",
      and_then(accuracy_of_all, lambda net: [m._forward_hooks.clear() for m in net.modules()]),
      and_then(accuracy_of_all, lambda net: net.register_forward_hook(print)))
wrong("dropout.evaluate", "network changed",
      and_then(accuracy_of_all, lambda net: net[1].bias.data.add_(1)),
      and_then(accuracy_of_all, lambda net: net[2].running_mean.add_(1)),
      and_then(accuracy_of_all, lambda net: net.requires_grad_(True)),
      and_then(accuracy_of_all, lambda net: net.zero_grad()))
wrong("dropout.evaluate", "library function replaced",
      and_then(accuracy_of_all, lambda net: setattr(F, "dropout", lambda X, *rest: X)),
      and_then(accuracy_of_all, lambda net: setattr(nn.Dropout, "forward", lambda self, X: X)))
wrong("dropout.evaluate", "network not used",
      lambda net, data_iter: torch.cat([y == 0 for _, y in data_iter]).float().mean())

# dropout.activation_variance ----------------------------------------------------------------------

@right("dropout.activation_variance")
def variances_in_a_copy(net, X):
    double, found = copy.deepcopy(net), {}

    def note(module, inputs, output):
        found[module] = float(((output - output.mean()) ** 2).mean())

    for module in double.modules():
        if type(module) is nn.ReLU:
            module.register_forward_hook(note)
    double(X)
    return tuple(found.values())

@right("dropout.activation_variance")
def variances_by_own_forward(net, X, put_back=True):
    found, relus = [], [m for m in net.modules() if isinstance(m, nn.ReLU)]

    def forward(H):
        found.append(float(np.var(H.clamp(min=0).detach().numpy())))
        return H.clamp(min=0)

    for relu in relus:
        relu.forward = forward
    net(X)
    for relu in relus if put_back else []:
        del relu.forward
    return found

def hooked(net, X, kind=nn.ReLU, statistic=torch.var, remove=True):
    found = []
    note = lambda m, x, H: found.append(statistic(H))  # noqa: E731
    hooks = [m.register_forward_hook(note) for m in net.modules() if isinstance(m, kind)]
    with torch.no_grad():
        net(X)
    if remove:
        for hook in hooks:
            hook.remove()
    return found

@wrong("dropout.activation_variance", "mode changed")
def variances_in_eval_mode(net, X):
    before = [module.training for module in net.modules()]
    found = hooked(net.eval(), X)
    for module, training in zip(net.modules(), before, strict=True):
        module.training = training
    return found

wrong("dropout.activation_variance", "measured after dropout",
      lambda net, X: [H.var() for H in hooked(net, X, statistic=lambda H: H)])
wrong("dropout.activation_variance", "mode not restored",
      and_then(hooked, lambda net: net.train(not net.training)),
      and_then(hooked, lambda net: net.train(net.training)))
wrong("dropout.activation_variance", "network changed",
      and_then(hooked, lambda net: net[-2].bias.data.zero_()),
      and_then(hooked, lambda net: net.append(nn.Identity())),
      lambda net, X: variances_by_own_forward(net, X, put_back=False))
wrong("dropout.activation_variance", "hooks changed",
      lambda net, X: hooked(net, X, remove=False),
      and_then(hooked, lambda net: [m._forward_hooks.clear() for m in net.modules()]),
      and_then(hooked, lambda net: nn.modules.module.register_module_forward_hook(print)))
wrong("dropout.activation_variance", "wrong number of values",
      lambda net, X: hooked(net, X, (nn.ReLU, nn.LeakyReLU)),
      lambda net, X: torch.zeros(10**6))

# dropout.fix_loop ---------------------------------------------------------------------------------

@right("dropout.fix_loop")
def epoch_cleared_at_both_ends(net, train_iter, loss, optimizer):
    net.train(True).zero_grad()
    losses, sizes = [], []
    for X, y in train_iter:
        value = loss(net(X), y)
        value.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(value.detach())
        sizes.append(float(X.shape[0]))
    weights = torch.tensor(sizes)
    return (torch.stack(losses) * weights).sum() / weights.sum()

@right("dropout.fix_loop")
def epoch_with_numpy(net, train_iter, loss, optimizer, before=id, after=id):
    net.train()
    seen = []
    for X, y in train_iter:
        before(net)
        optimizer.zero_grad(set_to_none=False)
        value = loss(net(X), y)
        value.backward()
        after(net)
        optimizer.step()
        seen.append((float(value.detach()), len(X)))
    values, weights = np.array(seen).T
    return np.average(values, weights=weights)

def epoch(loss=None, **steps):
    return lambda net, batches, asked, optimizer: epoch_with_numpy(
        net, batches, loss or asked, optimizer, **steps
    )

@wrong("dropout.fix_loop", "not in train mode")
def epoch_trusts_the_flag(net, train_iter, loss, optimizer):
    if net.training:
        net.train = lambda: None
    return epoch_with_numpy(net, train_iter, loss, optimizer)

wrong("dropout.fix_loop", "not always in train mode",
      epoch(after=lambda net: net.eval()),
      epoch(before=lambda net: (net.eval(), net(torch.zeros(2, 2, 3)), net.train())))
wrong("dropout.fix_loop", "batches read twice",
      lambda net, data, *rest: len([*data]) and sum(1 for _ in data) and epoch()(net, data, *rest))
wrong("dropout.fix_loop", "not one pass for each batch",
      lambda net, data, loss, optimizer: epoch_with_numpy(
          net, ((net(X).shape and X, y) for X, y in data), loss, optimizer))
wrong("dropout.fix_loop", "seed set inside", epoch(before=lambda net: torch.manual_seed(0)))
wrong("dropout.fix_loop", "dtype changed", lambda net, data, loss, optimizer: epoch_with_numpy(
    net.float(), ((X.float(), y) for X, y in data), loss, optimizer))
wrong("dropout.fix_loop", "nothing learned", epoch(after=lambda net: net.zero_grad()))
wrong("dropout.fix_loop", "wrong value",
      epoch(loss=F.cross_entropy),
      epoch(before=lambda net: net.requires_grad_(True)),
      epoch(after=lambda net: nn.utils.clip_grad_norm_(net.parameters(), 0.01)))

# Judging experiments ------------------------------------------------------------------------------

@right("dropout.paired_difference")
def paired_by_hand(a, b):
    d = [float(x) - float(y) for x, y in zip(a, b, strict=True)]
    mean = sum(d) / len(d)
    return [mean, math.sqrt(sum((x - mean) ** 2 for x in d) / (len(d) - 1) / len(d))]

@right("dropout.paired_difference")
def paired_with_torch(a, b):
    d = torch.as_tensor(a) - torch.as_tensor(b)
    return torch.stack([d.mean(), d.std() / len(d) ** 0.5])

wrong("dropout.paired_difference", "wrong type returned", lambda a, b: float((a - b).mean()))
wrong("dropout.paired_difference", "wrong value",
      lambda a, b: (abs((a - b).mean()), (a - b).std(ddof=1) / len(a) ** 0.5))

@right("dropout.best_epoch")
def best_by_loop(valid_loss, sure=0.0):
    best, best_loss = 0, math.inf
    for number, losses in enumerate(zip(*valid_loss, strict=True), start=1):
        if sum(losses) < best_loss - sure:
            best, best_loss = number, sum(losses)
    return best

wrong("dropout.best_epoch", "not one number", lambda valid_loss: valid_loss.argmin(axis=1) + 1)
wrong("dropout.best_epoch", "wrong value",
      lambda valid_loss: valid_loss[:, :-1].sum(0).argmin() + 1 if valid_loss.shape[1] > 1 else 1,
      lambda valid_loss: valid_loss[:, 1:].sum(0).argmin() + 2 if valid_loss.shape[1] > 1 else 1,
      lambda valid_loss: best_by_loop(valid_loss, sure=1e-4),
      lambda valid_loss: valid_loss[-1].argmin() + 1,
      lambda valid_loss: np.median(valid_loss.argmin(axis=1)) + 1)

@right("dropout.interaction")
def interaction_by_loop(none, decay, dropout, both):
    total = 0
    for i in range(len(none)):
        total += (both[i] - decay[i]) - (dropout[i] - none[i])
    return total / len(none)

wrong("dropout.interaction", "wrong value",
      lambda none, decay, dropout, both: abs((both - dropout - decay + none).mean()),
      lambda none, decay, dropout, both: max(0.0, (both - dropout - decay + none).mean()),
      lambda none, decay, dropout, both: abs((both - dropout).mean()) - abs((decay - none).mean()),
      lambda none, decay, dropout, both: (both - dropout).mean())

@right("dropout.variance")
def variance_by_loop(w, x, p):
    total = 0.0
    for i in range(len(w)):
        total += float(w[i] * x[i]) ** 2
    return total * p * (1 - p) / (1 - p) ** 2

# Relatives of dropout -----------------------------------------------------------------------------

@right("dropout.dropconnect")
def dropconnect_by_hand(X, W, b, p):
    if p == 1:
        return torch.zeros(len(X), 1, device=X.device, dtype=X.dtype) + b
    mask = (torch.rand_like(W) >= p).to(W.dtype)
    return X @ (mask * W).T / (1 - p) + b

@right("dropout.dropconnect")
def dropconnect_with_einsum(X, W, b, p):
    kept = torch.bernoulli(torch.full_like(W, 1 - p)) / max(1 - p, 1e-9)
    return torch.einsum("ni,oi->no", X, kept * W) + b

def dropconnect(drop):
    return lambda X, W, b, p: X @ drop(W, p).T + b

right("dropout.dropconnect")(dropconnect(drop_entry_by_entry))
wrong("dropout.dropconnect", "the same random numbers every time",
      dropconnect(seeded), forked(dropconnect(F.dropout)))
wrong("dropout.dropconnect", "nothing dropped",
      dropconnect(lambda W, p: F.dropout(W, p, torch.is_grad_enabled()) if p < 1 else 0 * W))
wrong("dropout.dropconnect", "wrong shape",
      lambda X, W, b, p: (F.dropout(W, p) @ X.unsqueeze(-1)).squeeze() + b)
wrong("dropout.dropconnect", "entries depend on each other",
      dropconnect(drawn_again(F.dropout, lambda W: len(W) > 9 or W.any(1).all())))
wrong("dropout.dropconnect", "wrong value",
      lambda X, W, b, p: X @ F.dropout(W.T if W.shape[0] != W.shape[1] else W, p) + b)
wrong("dropout.dropconnect", "gradient of another call",
      dropconnect(lambda W, p: MaskOfTheLastCall.apply(W, p)))
wrong("dropout.dropconnect", "raises an exception",
      dropconnect(lambda W, p: W * F.dropout(torch.ones(W.shape, device=W.device), p)))
wrong("dropout.dropconnect", "setting of torch not restored",
      lambda *given: (dropconnect(F.dropout)(*given), torch.set_grad_enabled(True))[0])
wrong("dropout.dropconnect", "random numbers shared between entries",
      dropconnect(lambda W, p: masked(W, p, in_halves(W, torch.rand) >= p)))
wrong("dropout.dropconnect", "input changed in place",
      dropconnect(lambda W, p: F.dropout(W, p, inplace=True)))
wrong("dropout.dropconnect", "on the CPU",
      dropconnect(lambda W, p: masked(W, p, torch.rand(W.shape) >= p)),
      dropconnect(lambda W, p: masked(W, p, torch.Tensor(W.shape).uniform_(0, 1) >= p)))
wrong("dropout.dropconnect", "no gradient",
      dropconnect(lambda W, p: F.dropout(W.data, p)),
      dropconnect(torch.no_grad()(F.dropout)),
      lambda X, W, b, p: F.linear(X.detach(), F.dropout(W, p), b),
      lambda X, W, b, p: F.linear(X, F.dropout(W, p), b.detach()))

def gaussian(draw):
    return lambda X, p: X * (1 + (p / (1 - p)) ** 0.5 * draw(X))

right("dropout.gaussian")(lambda X, p: X * torch.normal(torch.ones_like(X), (p / (1 - p)) ** 0.5))
right("dropout.gaussian")(lambda X, p: X + X * np.sqrt(p / (1 - p)) * torch.randn_like(X))
right("dropout.gaussian")(
    lambda X, p: entry_by_entry(X, lambda: 1 + (p / (1 - p)) ** 0.5 * torch.randn(())))
wrong("dropout.gaussian", "the same random numbers every time", forked(gaussian(torch.randn_like)))
wrong("dropout.gaussian", "seed set inside",
      gaussian(lambda X: (torch.manual_seed(3), torch.randn_like(X))[1]))
wrong("dropout.gaussian", "no noise",
      gaussian(lambda X: torch.randn_like(X) if torch.is_grad_enabled() else 0 * X))
wrong("dropout.gaussian", "entries depend on each other", gaussian(standardized))
wrong("dropout.gaussian", "wrong value",
      gaussian(lambda X: 0.9 * torch.randn_like(X)),
      lambda X, p: gaussian(torch.randn_like)(X, min(p, 0.9)))
wrong("dropout.gaussian", "random numbers shared between entries",
      gaussian(lambda X: torch.randn(())),
      gaussian(lambda X: torch.randn_like(X[:, :, :1] if X.ndim > 2 else X)),
      gaussian(lambda X: in_halves(X, torch.randn)))
wrong("dropout.gaussian", "on the CPU",
      gaussian(lambda X: torch.randn(X.shape, dtype=X.dtype)),
      gaussian(lambda X: torch.Tensor(X.shape).normal_().to(X.dtype)))
wrong("dropout.gaussian", "no gradient",
      lambda X, p: gaussian(torch.randn_like)(X.data, p),
      torch.no_grad()(gaussian(torch.randn_like)))
wrong("dropout.gaussian", "raises an exception",
      gaussian(lambda X: X.new(len(X), X.shape[1]).normal_()))
wrong("dropout.gaussian", "not Gaussian", gaussian(lambda X: 2 * torch.randint_like(X, 2) - 1))

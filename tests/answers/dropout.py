"""Answers to the exercises on dropout: right ones, and wrong ones that no formula gives."""

import copy
import math

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from tests.answers import right, wrong

# dropout.layer ------------------------------------------------------------------------------------

right("dropout.layer")(F.dropout)


@right("dropout.layer")
def layer_with_where(X, p):
    if p == 1:
        return torch.zeros_like(X)
    return torch.where(torch.rand_like(X) < p, torch.tensor(0.0, dtype=X.dtype), X / (1 - p))


@right("dropout.layer")
def layer_mask_moved_to_the_device(X, p):
    mask = (torch.rand(X.shape) > p).to(X.device)
    return mask * X / (1 - p) if p < 1 else 0 * X


@wrong("dropout.layer", "the same mask every time")
def layer_with_a_seed(X, p):
    torch.manual_seed(0)
    return X * (torch.rand_like(X) >= p) / max(1 - p, 1e-12)


wrong("dropout.layer", "mask on the CPU")(
    lambda X, p: X * (torch.rand(X.shape) >= p) / max(1 - p, 1e-12)
)
wrong("dropout.layer", "not a finite number")(
    lambda X, p: X * (torch.rand_like(X) >= p) / (torch.ones(()) - p)
)
wrong("dropout.layer", "nothing dropped")(  # unless gradients are recorded
    lambda X, p: layer_with_where(X, p) if torch.is_grad_enabled() else 1 * X
)
wrong("dropout.layer", "no gradient")(lambda X, p: layer_with_where(X.detach(), p))


# dropout.module -----------------------------------------------------------------------------------

right("dropout.module")(nn.Dropout)


class _Module(nn.Module):
    def __init__(self, p):
        super().__init__()
        self.p = p


@right("dropout.module")
class ModuleFunctional(_Module):
    def forward(self, X):
        return F.dropout(X, self.p, training=self.training)


@right("dropout.module")
class ModuleEarlyReturn(_Module):
    def forward(self, X):
        if not self.training or self.p == 0:
            return X
        return X * (torch.rand_like(X) >= self.p) / (1 - self.p)


@wrong("dropout.module", "active in eval mode")
class ModuleWithItsOwnFlag(_Module):
    is_training = True

    def forward(self, X):
        return F.dropout(X, self.p, self.is_training)


@wrong("dropout.module", "the same mask every time")
class ModuleWithOneMask(_Module):
    mask = None

    def forward(self, X):
        if not self.training:
            return X
        if self.mask is None or self.mask.shape != X.shape:
            self.mask = torch.rand_like(X) >= self.p
        return X * self.mask / (1 - self.p)


@wrong("dropout.module", "p not stored")
class ModuleWithSharedP(ModuleFunctional):
    def __init__(self, p):
        nn.Module.__init__(self)
        type(self).p = p


@wrong("dropout.module", "p not stored")
class ModuleWithKeepProbability(nn.Module):
    def __init__(self, p):
        super().__init__()
        self.keep = 1 - p

    def forward(self, X):
        return F.dropout(X, 1 - self.keep, self.training)


@wrong("dropout.module", "super().__init__() is missing")
class ModuleWithoutInit(ModuleFunctional):
    def __init__(self, p):
        self.p = p


@wrong("dropout.module", "method missing")
class ModuleWithoutForward(_Module):
    def __call__(self, X):
        return F.dropout(X, self.p, self.training)


@wrong("dropout.module", "not a module")
class NoModule:
    def __init__(self, p):
        self.p = p

    def __call__(self, X):
        return F.dropout(X, self.p)


wrong("dropout.module", "not a module")(lambda p: nn.Dropout(p))


@wrong("dropout.module", "input changed in place")
class ModuleInPlace(_Module):
    def forward(self, X):
        return F.dropout(X, self.p, self.training, inplace=True)


@wrong("dropout.module", "a change of p has no effect")
class ModuleKeepsItsFirstP(_Module):
    def __init__(self, p):
        super().__init__(p)
        self.inner = nn.Dropout(p)

    def forward(self, X):
        return self.inner(X)


@wrong("dropout.module", "mask on the CPU")
class ModuleMaskOnCPU(_Module):
    def forward(self, X):
        return X * (torch.rand(X.shape) >= self.p) / (1 - self.p) if self.training else X


# dropout.evaluate ---------------------------------------------------------------------------------


@right("dropout.evaluate")
@torch.no_grad()
def accuracy_of_all(net, data_iter):
    mode = net.training
    net.eval()
    try:
        right_ones = torch.cat([net(X).max(1).indices.eq(y) for X, y in data_iter])
    finally:
        net.train(mode)
    return right_ones.float().mean()


@right("dropout.evaluate")
def accuracy_weighted(net, data_iter):
    modes = {module: module.training for module in net.modules()}
    net.eval()
    total = n = 0.0
    with torch.inference_mode():
        for X, y in data_iter:
            total += len(y) * (net(X).argmax(-1) == y).double().mean()
            n += len(y)
    for module, mode in modes.items():
        module.training = mode
    return total / n


@right("dropout.evaluate")
def accuracy_of_a_copy(net, data_iter):
    frozen = copy.deepcopy(net).eval().requires_grad_(False)
    with torch.no_grad():
        hits = [(frozen(X).argmax(1) == y).tolist() for X, y in data_iter]
    return np.mean(sum(hits, []))


@wrong("dropout.evaluate", "measured in train mode")
def accuracy_sets_the_flag(net, data_iter):
    before, net.training = net.training, False
    with torch.no_grad():
        right_ones = torch.cat([net(X).argmax(1) == y for X, y in data_iter])
    net.training = before
    return right_ones.float().mean()


@wrong("dropout.evaluate", "measured in train mode")
def accuracy_back_too_early(net, data_iter):
    before, hits, count = net.training, 0, 0
    net.eval()
    for X, y in data_iter:
        with torch.no_grad():
            hits += (net(X).argmax(1) == y).sum().item()
        count += len(y)
        net.train()
    net.train(before)
    return hits / count


@wrong("dropout.evaluate", "mode not restored")
def accuracy_always_back_to_train(net, data_iter):
    value = accuracy_of_all(net, data_iter)
    net.train()
    return value


@wrong("dropout.evaluate", "network changed")
def accuracy_and_more(net, data_iter):
    value = accuracy_of_all(net, data_iter)
    net[1].bias.data.add_(1)
    return value


wrong("dropout.evaluate", "network not used")(
    lambda net, data_iter: torch.cat([y == 0 for _, y in data_iter]).float().mean()
)


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
def variances_by_own_forward(net, X):
    found, relus = [], [m for m in net.modules() if isinstance(m, nn.ReLU)]

    def forward(H):
        found.append(float(np.var(H.clamp(min=0).detach().numpy())))
        return H.clamp(min=0)

    for relu in relus:
        relu.forward = forward
    net(X)
    for relu in relus:
        del relu.forward
    return found


def _hooked(net, X, kind=nn.ReLU, statistic=torch.var, remove=True):
    found = []
    hooks = [
        m.register_forward_hook(lambda m, x, H: found.append(statistic(H)))
        for m in net.modules()
        if isinstance(m, kind)
    ]
    with torch.no_grad():
        net(X)
    if remove:
        for hook in hooks:
            hook.remove()
    return found


@wrong("dropout.activation_variance", "mode changed")
def variances_in_eval_mode(net, X):
    before = net.training
    found = _hooked(net.eval(), X)
    net.train(before)
    return found


@wrong("dropout.activation_variance", "mode changed")
def variances_leaves_eval_mode(net, X):
    found = _hooked(net, X)
    net.eval()
    return found


@wrong("dropout.activation_variance", "network changed")
def variances_of_another_net(net, X):
    net[-2].bias.data.zero_()
    return _hooked(net, X)


@wrong("dropout.activation_variance", "measured after dropout")
def variances_of_kept_outputs(net, X):
    kept = []
    _hooked(net, X, statistic=kept.append)
    return [H.var() for H in kept]


@wrong("dropout.activation_variance", "in reverse order")
def variances_as_defined(net, X):
    relus = [m for m in net.modules() if isinstance(m, nn.ReLU)]
    found = {}
    hooks = [m.register_forward_hook(lambda m, x, H: found.update({m: H.var()})) for m in relus]
    net(X)
    for hook in hooks:
        hook.remove()
    return [found[relu] for relu in relus]


wrong("dropout.activation_variance", "hook left behind")(
    lambda net, X: _hooked(net, X, remove=False)
)
wrong("dropout.activation_variance", "wrong number of values")(
    lambda net, X: _hooked(net, X, (nn.ReLU, nn.LeakyReLU))
)


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
def epoch_with_numpy(net, train_iter, loss, optimizer):
    net.train()
    seen = []
    for X, y in train_iter:
        for parameter in net.parameters():
            parameter.grad = None
        value = loss(net(X), y)
        value.backward()
        optimizer.step()
        seen.append((float(value.detach()), len(X)))
    values, weights = np.array(seen).T
    return np.average(values, weights=weights)


@wrong("dropout.fix_loop", "gradients pile up")
def epoch_zero_grad_once(net, train_iter, loss, optimizer):
    optimizer.zero_grad()
    net.train()
    for X, y in train_iter:
        value = loss(net(X), y)
        value.backward()
        optimizer.step()
    return value.item()


@wrong("dropout.fix_loop", "not in train mode")
def epoch_trusts_the_flag(net, train_iter, loss, optimizer):
    if net.training:
        net.train = lambda: None
    return epoch_with_numpy(net, train_iter, loss, optimizer)


@wrong("dropout.fix_loop", "nothing learned")
def epoch_clears_before_the_step(net, train_iter, loss, optimizer):
    net.train()
    for X, y in train_iter:
        value = loss(net(X), y)
        value.backward()
        optimizer.zero_grad()
        optimizer.step()
    return value.item()


@wrong("dropout.fix_loop", "wrong value")
def epoch_measured_afterwards(net, train_iter, loss, optimizer):
    epoch_with_numpy(net, train_iter, loss, optimizer)
    return sum(loss(net(X), y).item() * len(y) for X, y in train_iter) / 33


# dropout.paired_difference ------------------------------------------------------------------------


@right("dropout.paired_difference")
def paired_by_hand(a, b):
    d = [float(x) - float(y) for x, y in zip(a, b, strict=True)]
    mean = sum(d) / len(d)
    return [mean, math.sqrt(sum((x - mean) ** 2 for x in d) / (len(d) - 1) / len(d))]


@right("dropout.paired_difference")
def paired_with_torch(a, b):
    d = torch.as_tensor(a) - torch.as_tensor(b)
    return torch.stack([d.mean(), d.std() / len(d) ** 0.5])


@right("dropout.paired_difference")
def paired_with_covariance(a, b):
    (va, c), (_, vb) = np.cov(a, b)
    return np.mean(a) - np.mean(b), ((va + vb - 2 * c) / len(a)) ** 0.5


wrong("dropout.paired_difference", "wrong type returned")(lambda a, b: float((a - b).mean()))


# dropout.best_epoch -------------------------------------------------------------------------------


@right("dropout.best_epoch")
def best_by_loop(valid_loss):
    best, best_loss = 0, math.inf
    for epoch, losses in enumerate(zip(*valid_loss, strict=True), start=1):
        if sum(losses) < best_loss:
            best, best_loss = epoch, sum(losses)
    return best


@right("dropout.best_epoch")
def best_with_torch(valid_loss):
    mean = torch.as_tensor(valid_loss).mean(0)
    return torch.nonzero(mean == mean.min())[0].item() + 1


wrong("dropout.best_epoch", "not one number")(lambda valid_loss: valid_loss.argmin(axis=1) + 1)
wrong("dropout.best_epoch", "wrong value")(  # the second best
    lambda valid_loss: valid_loss.mean(axis=0).argsort()[1] + 1
)


# dropout.interaction ------------------------------------------------------------------------------


right("dropout.interaction")(
    lambda none, decay, dropout, both: both.mean() + none.mean() - decay.mean() - dropout.mean()
)


@right("dropout.interaction")
def interaction_by_loop(none, decay, dropout, both):
    total = 0
    for i in range(len(none)):
        total += (both[i] - decay[i]) - (dropout[i] - none[i])
    return total / len(none)


# dropout.variance ---------------------------------------------------------------------------------


@right("dropout.variance")
def variance_by_loop(w, x, p):
    total = 0.0
    for i in range(len(w)):
        total += float(w[i] * x[i]) ** 2
    return total * p * (1 - p) / (1 - p) ** 2


# dropout.dropconnect ------------------------------------------------------------------------------


@right("dropout.dropconnect")
def dropconnect_by_hand(X, W, b, p):
    if p == 1:
        return torch.zeros(len(X), 1, device=X.device) + b
    mask = (torch.rand_like(W) >= p).to(W.dtype)
    return X @ (mask * W).T / (1 - p) + b


@right("dropout.dropconnect")
def dropconnect_with_einsum(X, W, b, p):
    kept = torch.bernoulli(torch.full_like(W, 1 - p)) / max(1 - p, 1e-9)
    return torch.einsum("ni,oi->no", X, kept * W) + b


@wrong("dropout.dropconnect", "the same mask every time")
def dropconnect_with_a_seed(X, W, b, p):
    generator = torch.Generator().manual_seed(1)
    mask = torch.rand(W.shape, generator=generator).to(W.device) >= p
    return X @ (W * mask).T / max(1 - p, 1e-12) + b


wrong("dropout.dropconnect", "input changed in place")(
    lambda X, W, b, p: F.linear(X, F.dropout(W, p, inplace=True), b)
)
wrong("dropout.dropconnect", "mask on the CPU")(
    lambda X, W, b, p: X @ (W * (torch.rand(W.shape) >= p)).T / max(1 - p, 1e-12) + b
)


# dropout.gaussian ---------------------------------------------------------------------------------


right("dropout.gaussian")(
    lambda X, p: X * (1 + torch.tensor(p / (1 - p)).sqrt() * torch.randn_like(X))
)


@right("dropout.gaussian")
def gaussian_with_normal(X, p):
    return X * torch.normal(torch.ones_like(X), (p / (1 - p)) ** 0.5)


@right("dropout.gaussian")
def gaussian_as_a_sum(X, p):
    noise = torch.randn(X.shape, dtype=X.dtype, device=X.device)
    return X + X * noise * np.sqrt(p / (1 - p))


@wrong("dropout.gaussian", "the same mask every time")
def gaussian_with_a_seed(X, p):
    torch.manual_seed(3)
    return gaussian_with_normal(X, p)


wrong("dropout.gaussian", "mask shared between entries")(
    lambda X, p: X * (1 + (p / (1 - p)) ** 0.5 * torch.randn(()))
)
wrong("dropout.gaussian", "mask on the CPU")(
    lambda X, p: X * (1 + (p / (1 - p)) ** 0.5 * torch.randn(X.shape, dtype=X.dtype))
)

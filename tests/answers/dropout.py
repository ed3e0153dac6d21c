"""Answers to the exercises on dropout: right ones, and those that learners give."""

import copy
import itertools
import math

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from tests.answers import right, wrong

# dropout.layer ------------------------------------------------------------------------------------


@right("dropout.layer")
def layer_with_where(X, p):
    if p == 1:
        return torch.zeros_like(X)
    return torch.where(torch.rand_like(X) < p, torch.zeros_like(X), X / (1 - p))


@right("dropout.layer")
def layer_with_bernoulli(X, p):
    return X * torch.bernoulli(torch.full_like(X, 1 - p)) / max(1 - p, 1e-12)


@right("dropout.layer")
def layer_with_a_boolean_mask(X, p):
    out = torch.zeros_like(X)
    kept = torch.rand(X.shape, device=X.device) >= p
    out[kept] = X[kept] / (1 - p)
    return out


@right("dropout.layer")
def layer_mask_moved_to_the_device(X, p):
    mask = (torch.rand(X.shape) > p).to(X.device)
    return mask * X / (1 - p) if p < 1 else 0 * X


@right("dropout.layer")
def layer_of_torch(X, p):
    return F.dropout(X, p)


@wrong("dropout.layer", "mask not rescaled by 1/(1-p)")
def layer_without_rescaling(X, p):
    return X * (torch.rand_like(X) >= p)


@wrong("dropout.layer", "keeps with probability p")
def layer_keeps_p(X, p):
    return X * (torch.rand_like(X) < p) / max(1 - p, 1e-12)


@wrong("dropout.layer", "wrong share dropped")
def layer_of_a_fair_coin(X, p):
    return X * torch.randint_like(X, 2) / max(1 - p, 1e-12)


@wrong("dropout.layer", "rescaled by the wrong factor")
def layer_rescaled_by_p(X, p):
    return X * (torch.rand_like(X) >= p) / max(p, 1e-12)


@wrong("dropout.layer", "multiplied instead of divided by 1-p")
def layer_times_1_minus_p(X, p):
    return X * (torch.rand_like(X) >= p) * (1 - p)


@wrong("dropout.layer", "input changed in place")
def layer_in_place(X, p):
    X *= torch.rand_like(X) >= p
    return X / max(1 - p, 1e-12)


@wrong("dropout.layer", "mask on the CPU")
def layer_mask_on_cpu(X, p):
    return X * (torch.rand(X.shape) >= p) / max(1 - p, 1e-12)


@wrong("dropout.layer", "mask shared between entries")
def layer_drops_columns(X, p):
    return X * (torch.rand(X.shape[-1:], device=X.device) >= p) / max(1 - p, 1e-12)


@wrong("dropout.layer", "mask shared between entries")
def layer_drops_examples(X, p):
    mask = torch.rand(len(X), *[1] * (X.ndim - 1), device=X.device) >= p
    return X * mask / max(1 - p, 1e-12)


@wrong("dropout.layer", "the same mask every time")
def layer_with_a_seed(X, p):
    torch.manual_seed(0)
    return X * (torch.rand_like(X) >= p) / max(1 - p, 1e-12)


@wrong("dropout.layer", "the same number dropped every time")
def layer_drops_exactly_p(X, p):
    order = torch.randperm(X.numel(), device=X.device).reshape(X.shape)
    return X * (order >= round(p * X.numel())) / max(1 - p, 1e-12)


@wrong("dropout.layer", "not a finite number")
def layer_divides_by_zero(X, p):
    return X * (torch.rand_like(X) >= p) / (1 - p) if p < 1 else X * (torch.rand_like(X) >= p) / 0


@wrong("dropout.layer", "nothing dropped")
def layer_does_nothing(X, p):
    return X


@wrong("dropout.layer", "nothing dropped")
def layer_only_with_gradients(X, p):
    return layer_with_where(X, p) if torch.is_grad_enabled() else 1 * X


@wrong("dropout.layer", "everything dropped")
def layer_with_integers(X, p):
    return X * torch.rand_like(X).long()


@wrong("dropout.layer", "dtype changed")
def layer_in_double_precision(X, p):
    mask = torch.tensor(np.random.rand(*X.shape) >= p, device=X.device)  # noqa: NPY002
    return (X * mask / max(1 - p, 1e-12)).float().half().double()


@wrong("dropout.layer", "no gradient")
def layer_detached(X, p):
    return layer_with_where(X.detach(), p)


@wrong("dropout.layer", "wrong shape")
def layer_only_survivors(X, p):
    return X[torch.rand_like(X) >= p] / max(1 - p, 1e-12)


@wrong("dropout.layer", "wrong type returned")
def layer_with_its_mask(X, p):
    mask = torch.rand_like(X) >= p
    return X * mask / max(1 - p, 1e-12), mask


@wrong("dropout.layer", "raises an exception")
def layer_with_the_wrong_rand(X, p):
    return X * (torch.rand(X) >= p) / (1 - p)


# dropout.module -----------------------------------------------------------------------------------


@right("dropout.module")
class ModuleByHand(nn.Module):
    def __init__(self, p):
        super().__init__()
        self.p = p

    def forward(self, X):
        return layer_with_where(X, self.p) if self.training else X


@right("dropout.module")
class ModuleFunctional(nn.Module):
    def __init__(self, p=0.5):
        super().__init__()
        self.p = p

    def forward(self, X):
        return F.dropout(X, self.p, training=self.training)


@right("dropout.module")
class ModuleEarlyReturn(nn.Module):
    def __init__(self, p):
        super().__init__()
        self.p = p

    def forward(self, X):
        if not self.training or self.p == 0:
            return X
        return X * (torch.rand_like(X) >= self.p) / (1 - self.p)


right("dropout.module")(nn.Dropout)


class _Module(nn.Module):
    def __init__(self, p):
        super().__init__()
        self.p = p


@wrong("dropout.module", "active in eval mode")
class ModuleAlways(_Module):
    def forward(self, X):
        return layer_with_where(X, self.p)


@wrong("dropout.module", "active in eval mode")
class ModuleOfFunctionalDefault(_Module):
    def forward(self, X):
        return F.dropout(X, self.p)


@wrong("dropout.module", "active in eval mode")
class ModuleTurnedRound(_Module):
    def forward(self, X):
        return X if self.training else layer_with_where(X, self.p)


@wrong("dropout.module", "active in eval mode")
class ModuleWithItsOwnFlag(_Module):
    def __init__(self, p):
        super().__init__(p)
        self.is_training = True

    def forward(self, X):
        return layer_with_where(X, self.p) if self.is_training else X


@wrong("dropout.module", "nothing dropped")
class ModuleNever(_Module):
    def forward(self, X):
        return X


@wrong("dropout.module", "rescaled in eval mode")
class ModuleOfTheOldWay(_Module):
    def forward(self, X):
        if self.training:
            return X * (torch.rand_like(X) >= self.p)
        return X * (1 - self.p)


@wrong("dropout.module", "rescaled by 1/(1-p) in eval mode")
class ModuleRescalesAlways(_Module):
    def forward(self, X):
        if self.training:
            X = X * (torch.rand_like(X) >= self.p)
        return X / (1 - self.p)


@wrong("dropout.module", "mask not rescaled by 1/(1-p)")
class ModuleWithoutRescaling(_Module):
    def forward(self, X):
        return X * (torch.rand_like(X) >= self.p) if self.training else X


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
class ModuleWithSharedP(nn.Module):
    def __init__(self, p):
        super().__init__()
        type(self).p = p

    def forward(self, X):
        return F.dropout(X, self.p, self.training)


@wrong("dropout.module", "p not stored")
class ModuleWithKeepProbability(nn.Module):
    def __init__(self, p):
        super().__init__()
        self.keep = 1 - p

    def forward(self, X):
        return F.dropout(X, 1 - self.keep, self.training)


@wrong("dropout.module", "super().__init__() is missing")
class ModuleWithoutInit(nn.Module):
    def __init__(self, p):
        self.p = p

    def forward(self, X):
        return F.dropout(X, self.p, self.training)


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


@wrong("dropout.module", "not a module")
def module_as_function(p):
    return nn.Dropout(p)


@wrong("dropout.module", "input changed in place")
class ModuleInPlace(_Module):
    def forward(self, X):
        if self.training:
            X.mul_(torch.rand_like(X) >= self.p).div_(1 - self.p)
        return X


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
def accuracy_by_hand(net, data_iter):
    was_training = net.training
    net.eval()
    hits, count = 0, 0
    with torch.no_grad():
        for X, y in data_iter:
            hits += (net(X).argmax(dim=1) == y).sum().item()
            count += len(y)
    net.train(was_training)
    return hits / count


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


def _measured(net, data_iter, statistic, *, mode=False, grad=False, restore=True):
    """What `statistic` makes of the hits and sizes of the batches; right but for its options."""
    before = net.training
    net.train(mode)
    with torch.set_grad_enabled(grad):
        pairs = [((net(X).argmax(1) == y).sum().item(), len(y)) for X, y in data_iter]
    if restore:
        net.train(before)
    hits, sizes = zip(*pairs, strict=True)
    return statistic(hits, sizes)


def _share(hits, sizes):
    return sum(hits) / sum(sizes)


@wrong("dropout.evaluate", "measured in train mode")
def accuracy_in_train_mode(net, data_iter):
    return _measured(net, data_iter, _share, mode=True)


@wrong("dropout.evaluate", "measured in train mode")
@torch.no_grad()
def accuracy_in_the_mode_it_finds(net, data_iter):
    pairs = [(net(X).argmax(1) == y).float() for X, y in data_iter]
    return torch.cat(pairs).mean().item()


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


@wrong("dropout.evaluate", "gradients recorded")
def accuracy_with_gradients(net, data_iter):
    return _measured(net, data_iter, _share, grad=True)


@wrong("dropout.evaluate", "mode not restored")
def accuracy_leaves_eval(net, data_iter):
    return _measured(net, data_iter, _share, restore=False)


@wrong("dropout.evaluate", "mode not restored")
def accuracy_always_back_to_train(net, data_iter):
    value = _measured(net, data_iter, _share)
    net.train()
    return value


@wrong("dropout.evaluate", "last batch counted like the others")
def accuracy_mean_of_batches(net, data_iter):
    return _measured(
        net, data_iter, lambda h, n: sum(a / b for a, b in zip(h, n, strict=True)) / len(n)
    )


@wrong("dropout.evaluate", "last batch taken for a full one")
def accuracy_full_batches(net, data_iter):
    return _measured(net, data_iter, lambda h, n: sum(h) / (len(n) * n[0]))


@wrong("dropout.evaluate", "percent instead of a share")
def accuracy_percent(net, data_iter):
    return _measured(net, data_iter, lambda h, n: 100 * sum(h) / sum(n))


@wrong("dropout.evaluate", "not divided by the number of examples")
def accuracy_count(net, data_iter):
    return _measured(net, data_iter, lambda h, n: sum(h))


@wrong("dropout.evaluate", "divided by the number of batches")
def accuracy_by_batches(net, data_iter):
    return _measured(net, data_iter, lambda h, n: sum(h) / len(n))


@wrong("dropout.evaluate", "error rate instead of accuracy")
def accuracy_error(net, data_iter):
    return _measured(net, data_iter, lambda h, n: 1 - sum(h) / sum(n))


@wrong("dropout.evaluate", "only the last batch")
def accuracy_last_batch(net, data_iter):
    return _measured(net, data_iter, lambda h, n: h[-1] / n[-1])


@wrong("dropout.evaluate", "only the first batch")
def accuracy_first_batch(net, data_iter):
    return _measured(net, itertools.islice(data_iter, 1), _share)


@wrong("dropout.evaluate", "not one number")
def accuracy_of_each_batch(net, data_iter):
    return _measured(net, data_iter, lambda h, n: torch.tensor(h) / torch.tensor(n))


@wrong("dropout.evaluate", "wrong value")
def accuracy_over_the_wrong_dimension(net, data_iter):
    return 0.5 * _measured(net, data_iter, _share) + 0.01


@wrong("dropout.evaluate", "network not used")
def accuracy_guessed(net, data_iter):
    return sum(int((y == 0).sum()) for _, y in data_iter) / sum(len(y) for _, y in data_iter)


# dropout.variance ---------------------------------------------------------------------------------


@right("dropout.variance")
def variance_by_formula(w, x, p):
    return p / (1 - p) * (w**2 * x**2).sum()


@right("dropout.variance")
def variance_by_loop(w, x, p):
    total = 0.0
    for i in range(len(w)):
        total += float(w[i] * x[i]) ** 2
    return total * p * (1 - p) / (1 - p) ** 2


@right("dropout.variance")
def variance_by_dot_product(w, x, p):
    h = w * x
    return torch.dot(h, h) * (1 / (1 - p) - 1)


@right("dropout.variance")
def variance_by_all_masks(w, x, p):
    masks = np.array(list(itertools.product([0, 1], repeat=len(w))), dtype=float)
    chance = np.prod(np.where(masks > 0, 1 - p, p), axis=1)
    out = masks @ (w * x).numpy() / (1 - p)
    return chance @ out**2 - (chance @ out) ** 2


@wrong("dropout.variance", "mask not rescaled by 1/(1-p)")
def variance_of_the_bare_mask(w, x, p):
    return p * (1 - p) * (w**2 * x**2).sum()


@wrong("dropout.variance", "divided by 1-p only")
def variance_divided_once(w, x, p):
    return p * (1 - p) / (1 - p) * (w**2 * x**2).sum()


@wrong("dropout.variance", "p and 1-p swapped")
def variance_swapped(w, x, p):
    return (1 - p) / max(p, 1e-12) * (w**2 * x**2).sum()


@wrong("dropout.variance", "sum squared instead of squares summed")
def variance_of_the_sum_squared(w, x, p):
    return p / (1 - p) * (w @ x) ** 2


@wrong("dropout.variance", "squares missing")
def variance_without_squares(w, x, p):
    return p / (1 - p) * (w @ x)


@wrong("dropout.variance", "inputs left out")
def variance_of_weights_only(w, x, p):
    return p / (1 - p) * (w**2).sum()


@wrong("dropout.variance", "mean instead of sum")
def variance_mean(w, x, p):
    return p / (1 - p) * (w**2 * x**2).mean()


@wrong("dropout.variance", "standard deviation instead of variance")
def variance_root(w, x, p):
    return (p / (1 - p) * (w**2 * x**2).sum()).sqrt()


@wrong("dropout.variance", "mean of the square instead of variance")
def variance_second_moment(w, x, p):
    return (w**2 * x**2).sum() / (1 - p)


@wrong("dropout.variance", "not one number")
def variance_of_each_term(w, x, p):
    return p / (1 - p) * w**2 * x**2


@wrong("dropout.variance", "input changed in place")
def variance_in_place(w, x, p):
    w *= x
    return p / (1 - p) * (w**2).sum()


# dropout.paired_difference ------------------------------------------------------------------------


@right("dropout.paired_difference")
def paired_with_ddof(a, b):
    d = a - b
    return d.mean(), d.std(ddof=1) / np.sqrt(len(d))


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


@wrong("dropout.paired_difference", "pairing ignored")
def paired_as_two_groups(a, b):
    return a.mean() - b.mean(), np.sqrt(a.var(ddof=1) / len(a) + b.var(ddof=1) / len(b))


@wrong("dropout.paired_difference", "standard deviation instead of standard error")
def paired_with_deviation(a, b):
    return (a - b).mean(), (a - b).std(ddof=1)


@wrong("dropout.paired_difference", "divided by n instead of n-1")
def paired_without_ddof(a, b):
    return (a - b).mean(), (a - b).std() / np.sqrt(len(a))


@wrong("dropout.paired_difference", "divided by n instead of √n")
def paired_by_n(a, b):
    return (a - b).mean(), (a - b).std(ddof=1) / len(a)


@wrong("dropout.paired_difference", "variance instead of standard error")
def paired_variance(a, b):
    return (a - b).mean(), (a - b).var(ddof=1) / len(a)


@wrong("dropout.paired_difference", "difference the wrong way round")
def paired_turned_round(a, b):
    return paired_with_ddof(b, a)


@wrong("dropout.paired_difference", "mean and standard error swapped")
def paired_swapped(a, b):
    return paired_with_ddof(a, b)[::-1]


@wrong("dropout.paired_difference", "interval instead of standard error")
def paired_interval(a, b):
    mean, error = paired_with_ddof(a, b)
    return mean, 1.96 * error


@wrong("dropout.paired_difference", "wrong type returned")
def paired_mean_only(a, b):
    return float((a - b).mean())


@wrong("dropout.paired_difference", "absolute differences")
def paired_of_absolute_values(a, b):
    return np.abs(a - b).mean(), np.abs(a - b).std(ddof=1) / np.sqrt(len(a))


@wrong("dropout.paired_difference", "wrong value")
def paired_by_rank(a, b):
    return paired_with_ddof(np.sort(a), np.sort(b)[::-1])


@wrong("dropout.paired_difference", "input changed in place")
def paired_in_place(a, b):
    a -= b
    return a.mean(), a.std(ddof=1) / np.sqrt(len(a))


# dropout.best_epoch -------------------------------------------------------------------------------


@right("dropout.best_epoch")
def best_by_argmin(valid_loss):
    return valid_loss.mean(axis=0).argmin() + 1


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


@wrong("dropout.best_epoch", "counted from 0")
def best_from_0(valid_loss):
    return valid_loss.mean(axis=0).argmin()


@wrong("dropout.best_epoch", "mean of the seeds' best epochs")
def best_of_each_seed(valid_loss):
    return (valid_loss.argmin(axis=1) + 1).mean()


@wrong("dropout.best_epoch", "one seed only")
def best_of_the_first_seed(valid_loss):
    return valid_loss[0].argmin() + 1


@wrong("dropout.best_epoch", "seeds and epochs swapped")
def best_over_the_wrong_axis(valid_loss):
    return valid_loss.mean(axis=1).argmin() + 1


@wrong("dropout.best_epoch", "highest instead of lowest")
def best_by_argmax(valid_loss):
    return valid_loss.mean(axis=0).argmax() + 1


@wrong("dropout.best_epoch", "the loss instead of the epoch")
def best_loss(valid_loss):
    return valid_loss.mean(axis=0).min()


@wrong("dropout.best_epoch", "always the last epoch")
def best_is_last(valid_loss):
    return valid_loss.shape[1]


@wrong("dropout.best_epoch", "lowest loss of a single seed")
def best_of_a_lucky_seed(valid_loss):
    return np.unravel_index(valid_loss.argmin(), valid_loss.shape)[1] + 1


@wrong("dropout.best_epoch", "median instead of mean")
def best_median(valid_loss):
    return np.median(valid_loss, axis=0).argmin() + 1


@wrong("dropout.best_epoch", "last of equal epochs")
def best_and_last(valid_loss):
    mean = valid_loss.mean(axis=0)
    return len(mean) - mean[::-1].argmin()


@wrong("dropout.best_epoch", "not one number")
def best_for_each_seed(valid_loss):
    return valid_loss.argmin(axis=1) + 1


# dropout.activation_variance ----------------------------------------------------------------------


@right("dropout.activation_variance")
def variances_by_hooks(net, X):
    variances = []
    hooks = [
        layer.register_forward_hook(lambda m, x, H: variances.append(H.var().item()))
        for layer in net.modules()
        if isinstance(layer, nn.ReLU)
    ]
    with torch.no_grad():
        net(X)
    for hook in hooks:
        hook.remove()
    return variances


@wrong("dropout.activation_variance", "layers called in the order of definition")
def variances_layer_by_layer(net, X):
    found = []
    for module in net.modules():
        if not list(module.children()):
            X = module(X)
            if isinstance(module, nn.ReLU):
                found.append(X.detach().var(correction=0))
    return torch.stack(found)


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


def _hooked(net, X, kind, statistic, remove=True, mode=None):
    found, before = [], net.training
    hooks = [
        m.register_forward_hook(lambda m, x, H: found.append(float(statistic(H))))
        for m in net.modules()
        if isinstance(m, kind)
    ]
    if mode is not None:
        net.train(mode)
    with torch.no_grad():
        net(X)
    net.train(before)
    if remove:
        for hook in hooks:
            hook.remove()
    return found


@wrong("dropout.activation_variance", "hook left behind")
def variances_hooks_stay(net, X):
    return _hooked(net, X, nn.ReLU, torch.var, remove=False)


@wrong("dropout.activation_variance", "mode changed")
def variances_in_eval_mode(net, X):
    return _hooked(net, X, nn.ReLU, torch.var, mode=False)


@wrong("dropout.activation_variance", "mode changed")
def variances_in_train_mode(net, X):
    return _hooked(net, X, nn.ReLU, torch.var, mode=True)


@wrong("dropout.activation_variance", "mode changed")
def variances_leaves_eval_mode(net, X):
    found = _hooked(net, X, nn.ReLU, torch.var)
    net.eval()
    return found


@wrong("dropout.activation_variance", "measured after dropout")
def variances_after_dropout(net, X):
    return _hooked(net, X, nn.Dropout, torch.var)


@wrong("dropout.activation_variance", "measured after dropout")
def variances_of_kept_outputs(net, X):
    kept = []
    _hooked(net, X, nn.ReLU, lambda H: kept.append(H) or 0.0)
    return [H.var() for H in kept]


@wrong("dropout.activation_variance", "measured before the ReLU")
def variances_of_relu_inputs(net, X):
    found = []
    hooks = [
        m.register_forward_pre_hook(lambda m, x: found.append(x[0].var().item()))
        for m in net.modules()
        if isinstance(m, nn.ReLU)
    ]
    net(X)
    for hook in hooks:
        hook.remove()
    return found


@wrong("dropout.activation_variance", "wrong number of values")
def variances_of_all_linear_layers(net, X):
    return _hooked(net, X, nn.Linear, torch.var)


@wrong("dropout.activation_variance", "wrong number of values")
def variances_of_leaky_relus_too(net, X):
    return _hooked(net, X, (nn.ReLU, nn.LeakyReLU), torch.var)


@wrong("dropout.activation_variance", "standard deviation instead of variance")
def variances_std(net, X):
    return _hooked(net, X, nn.ReLU, torch.std)


@wrong("dropout.activation_variance", "mean instead of variance")
def variances_mean(net, X):
    return _hooked(net, X, nn.ReLU, torch.mean)


@wrong("dropout.activation_variance", "variance of each unit")
def variances_of_units(net, X):
    return _hooked(net, X, nn.ReLU, lambda H: H.var(0).mean())


@wrong("dropout.activation_variance", "variance of each example")
def variances_of_examples(net, X):
    return _hooked(net, X, nn.ReLU, lambda H: H.var(1).mean())


@wrong("dropout.activation_variance", "mean of the squares instead of variance")
def variances_second_moment(net, X):
    return _hooked(net, X, nn.ReLU, lambda H: (H**2).mean())


@wrong("dropout.activation_variance", "in reverse order")
def variances_reversed(net, X):
    return _hooked(net, X, nn.ReLU, torch.var)[::-1]


@wrong("dropout.activation_variance", "in reverse order")
def variances_as_defined(net, X):
    relus, found = [m for m in net.modules() if isinstance(m, nn.ReLU)], {}

    def note(module, inputs, output):
        found[module] = output.var()

    hooks = [relu.register_forward_hook(note) for relu in relus]
    net(X)
    for hook in hooks:
        hook.remove()
    return [found[relu] for relu in relus]


@wrong("dropout.activation_variance", "wrong number of values")
def variances_only_top_level(net, X):
    return [layer.var() for layer in net if isinstance(layer, nn.ReLU)]


# dropout.fix_loop ---------------------------------------------------------------------------------


@right("dropout.fix_loop")
def epoch_by_hand(net, train_iter, loss, optimizer):
    net.train()
    total, count = 0.0, 0
    for X, y in train_iter:
        batch_loss = loss(net(X), y)
        optimizer.zero_grad()
        batch_loss.backward()
        optimizer.step()
        total += batch_loss.item() * len(y)
        count += len(y)
    return total / count


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


def _train(net, data, loss, optimizer, result, *, mode=True, clear=True, step=True, item=True):
    if mode is not None:
        net.train(mode)
    pairs = []
    for X, y in data:
        if clear:
            optimizer.zero_grad()
        value = loss(net(X), y)
        value.backward()
        if step:
            optimizer.step()
        pairs.append((value.item() if item else value, len(y)))
    return result(*zip(*pairs, strict=True))


def _mean(losses, sizes):
    return sum(a * n for a, n in zip(losses, sizes, strict=True)) / sum(sizes)


@wrong("dropout.fix_loop", "gradients pile up")
def epoch_without_zero_grad(net, train_iter, loss, optimizer):
    return _train(net, train_iter, loss, optimizer, _mean, clear=False)


@wrong("dropout.fix_loop", "gradients pile up")
def epoch_zero_grad_once(net, train_iter, loss, optimizer):
    optimizer.zero_grad()
    return _train(net, train_iter, loss, optimizer, _mean, clear=False)


@wrong("dropout.fix_loop", "not in train mode")
def epoch_in_eval_mode(net, train_iter, loss, optimizer):
    return _train(net, train_iter, loss, optimizer, _mean, mode=False)


@wrong("dropout.fix_loop", "not in train mode")
def epoch_trusts_the_flag(net, train_iter, loss, optimizer):
    mode = None if net.training else True
    return _train(net, train_iter, loss, optimizer, _mean, mode=mode)


@wrong("dropout.fix_loop", "old gradients used")
def epoch_clears_afterwards(net, train_iter, loss, optimizer):
    net.train()
    total, count = 0.0, 0
    for X, y in train_iter:
        value = loss(net(X), y)
        value.backward()
        optimizer.step()
        optimizer.zero_grad()
        total, count = total + value.item() * len(y), count + len(y)
    return total / count


@wrong("dropout.fix_loop", "nothing learned")
def epoch_without_step(net, train_iter, loss, optimizer):
    return _train(net, train_iter, loss, optimizer, _mean, step=False)


@wrong("dropout.fix_loop", "nothing learned")
def epoch_clears_before_the_step(net, train_iter, loss, optimizer):
    net.train()
    total, count = 0.0, 0
    for X, y in train_iter:
        value = loss(net(X), y)
        value.backward()
        optimizer.zero_grad()
        optimizer.step()
        total, count = total + value.item() * len(y), count + len(y)
    return total / count


@wrong("dropout.fix_loop", "one step an epoch")
def epoch_with_one_step(net, train_iter, loss, optimizer):
    value = _train(net, train_iter, loss, optimizer, _mean, clear=False, step=False)
    optimizer.step()
    return value


@wrong("dropout.fix_loop", "loss of the last batch")
def epoch_returns_the_last_loss(net, train_iter, loss, optimizer):
    return _train(net, train_iter, loss, optimizer, lambda v, n: v[-1])


@wrong("dropout.fix_loop", "last batch counted like the others")
def epoch_returns_the_mean_over_batches(net, train_iter, loss, optimizer):
    return _train(net, train_iter, loss, optimizer, lambda v, n: sum(v) / len(v))


@wrong("dropout.fix_loop", "divided twice")
def epoch_divides_twice(net, train_iter, loss, optimizer):
    return _train(net, train_iter, loss, optimizer, lambda v, n: sum(v) / sum(n))


@wrong("dropout.fix_loop", "sum instead of mean")
def epoch_returns_the_sum(net, train_iter, loss, optimizer):
    return _train(net, train_iter, loss, optimizer, lambda v, n: _mean(v, n) * sum(n))


@wrong("dropout.fix_loop", "sum over the batches")
def epoch_returns_the_sum_over_batches(net, train_iter, loss, optimizer):
    return _train(net, train_iter, loss, optimizer, lambda v, n: sum(v))


@wrong("dropout.fix_loop", "loss keeps its graph")
def epoch_returns_the_graph(net, train_iter, loss, optimizer):
    return _train(net, train_iter, loss, optimizer, _mean, item=False)


@wrong("dropout.fix_loop", "wrong value")
def epoch_measured_afterwards(net, train_iter, loss, optimizer):
    _train(net, train_iter, loss, optimizer, _mean)
    return _train(net, train_iter, loss, optimizer, _mean, step=False)


# dropout.interaction ------------------------------------------------------------------------------


@right("dropout.interaction")
def interaction_of_gains(none, decay, dropout, both):
    return ((both - dropout) - (decay - none)).mean()


@right("dropout.interaction")
def interaction_of_means(none, decay, dropout, both):
    return np.mean(both) + np.mean(none) - np.mean(decay) - np.mean(dropout)


@right("dropout.interaction")
def interaction_by_loop(none, decay, dropout, both):
    total = 0
    for i in range(len(none)):
        total += (both[i] - decay[i]) - (dropout[i] - none[i])
    return total / len(none)


@wrong("dropout.interaction", "sign turned round")
def interaction_turned_round(none, decay, dropout, both):
    return ((decay - none) - (both - dropout)).mean()


@wrong("dropout.interaction", "baseline forgotten")
def interaction_without_baseline(none, decay, dropout, both):
    return (both - decay - dropout).mean()


@wrong("dropout.interaction", "gains added")
def interaction_added(none, decay, dropout, both):
    return ((both - dropout) + (decay - none)).mean()


@wrong("dropout.interaction", "gain of both against none")
def interaction_total(none, decay, dropout, both):
    return (both - none).mean()


@wrong("dropout.interaction", "gain of both against the better one")
def interaction_against_the_better(none, decay, dropout, both):
    return (both - np.maximum(decay, dropout)).mean()


@wrong("dropout.interaction", "baseline counted twice")
def interaction_brackets(none, decay, dropout, both):
    return (both - dropout - decay - none).mean()


@wrong("dropout.interaction", "sum instead of mean")
def interaction_sum(none, decay, dropout, both):
    return ((both - dropout) - (decay - none)).sum()


@wrong("dropout.interaction", "not one number")
def interaction_of_each_seed(none, decay, dropout, both):
    return (both - dropout) - (decay - none)


@wrong("dropout.interaction", "wrong value")
def interaction_ratio(none, decay, dropout, both):
    return (both / dropout / (decay / none)).mean() - 1.5


@wrong("dropout.interaction", "input changed in place")
def interaction_in_place(none, decay, dropout, both):
    both -= dropout
    decay -= none
    return (both - decay).mean()


# dropout.dropconnect ------------------------------------------------------------------------------


@right("dropout.dropconnect")
def dropconnect_of_torch(X, W, b, p):
    return F.linear(X, F.dropout(W, p), b)


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


@wrong("dropout.dropconnect", "mask not rescaled by 1/(1-p)")
def dropconnect_without_rescaling(X, W, b, p):
    return X @ (W * (torch.rand_like(W) >= p)).T + b


@wrong("dropout.dropconnect", "activations dropped instead of weights")
def dropconnect_drops_inputs(X, W, b, p):
    mask = torch.rand(X.shape[1], device=X.device) >= p
    return X * mask / max(1 - p, 1e-12) @ W.T + b


@wrong("dropout.dropconnect", "different for each example")
def dropconnect_drops_activations(X, W, b, p):
    return F.linear(F.dropout(X, p), W, b)


@wrong("dropout.dropconnect", "different for each example")
def dropconnect_drops_outputs(X, W, b, p):
    return F.dropout(X @ W.T, p) + b


@wrong("dropout.dropconnect", "activations dropped instead of weights")
def dropconnect_drops_rows(X, W, b, p):
    mask = torch.rand(len(W), 1, device=W.device) >= p
    return X @ (W * mask / max(1 - p, 1e-12)).T + b


@wrong("dropout.dropconnect", "bias dropped too")
def dropconnect_drops_the_bias(X, W, b, p):
    return F.linear(X, F.dropout(W, p), F.dropout(b, p))


@wrong("dropout.dropconnect", "bias rescaled too")
def dropconnect_rescales_the_bias(X, W, b, p):
    mask = torch.rand_like(W) >= p
    return (X @ (W * mask).T + b) / max(1 - p, 1e-12)


@wrong("dropout.dropconnect", "wrong value")
def dropconnect_without_bias(X, W, b, p):
    return X @ F.dropout(W, p).T


@wrong("dropout.dropconnect", "keeps with probability p")
def dropconnect_keeps_p(X, W, b, p):
    if p == 0:
        return F.linear(X, W, b)
    return X @ (W * (torch.rand_like(W) < p)).T / max(1 - p, 1e-12) + b


@wrong("dropout.dropconnect", "input changed in place")
def dropconnect_in_place(X, W, b, p):
    W *= torch.rand_like(W) >= p
    return X @ W.T / max(1 - p, 1e-12) + b


@wrong("dropout.dropconnect", "the same mask every time")
def dropconnect_with_a_seed(X, W, b, p):
    generator = torch.Generator().manual_seed(1)
    mask = torch.rand(W.shape, generator=generator).to(W.device) >= p
    return X @ (W * mask).T / max(1 - p, 1e-12) + b


@wrong("dropout.dropconnect", "mask on the CPU")
def dropconnect_mask_on_cpu(X, W, b, p):
    return X @ (W * (torch.rand(W.shape) >= p)).T / max(1 - p, 1e-12) + b


@wrong("dropout.dropconnect", "raises an exception")
def dropconnect_without_transpose(X, W, b, p):
    return X @ F.dropout(W, p) + b


@wrong("dropout.dropconnect", "nothing dropped")
def dropconnect_never(X, W, b, p):
    return F.linear(X, W, b)


# dropout.gaussian ---------------------------------------------------------------------------------


@right("dropout.gaussian")
def gaussian_by_hand(X, p):
    return X * (1 + math.sqrt(p / (1 - p)) * torch.randn_like(X))


@right("dropout.gaussian")
def gaussian_with_normal(X, p):
    return X * torch.normal(torch.ones_like(X), (p / (1 - p)) ** 0.5)


@right("dropout.gaussian")
def gaussian_in_place_on_a_new_tensor(X, p):
    noise = torch.empty_like(X).normal_(1, (p / (1 - p)) ** 0.5)
    return noise.mul_(X)


@right("dropout.gaussian")
def gaussian_as_a_sum(X, p):
    noise = torch.randn(X.shape, dtype=X.dtype, device=X.device)
    return X + X * noise * np.sqrt(p / (1 - p))


def _gaussian(X, std, mean=1.0):
    return X * (mean + std * torch.randn_like(X))


@wrong("dropout.gaussian", "p/(1-p) as standard deviation")
def gaussian_variance_as_std(X, p):
    return _gaussian(X, p / (1 - p))


@wrong("dropout.gaussian", "variance of a mask that is not rescaled")
def gaussian_of_the_bare_mask(X, p):
    return _gaussian(X, math.sqrt(p * (1 - p)))


@wrong("dropout.gaussian", "p as standard deviation")
def gaussian_p(X, p):
    return _gaussian(X, p)


@wrong("dropout.gaussian", "p as variance")
def gaussian_root_p(X, p):
    return _gaussian(X, p**0.5)


@wrong("dropout.gaussian", "p and 1-p swapped")
def gaussian_swapped(X, p):
    return _gaussian(X, ((1 - p) / p) ** 0.5 if p else 0)


@wrong("dropout.gaussian", "noise of mean 0")
def gaussian_of_mean_0(X, p):
    return _gaussian(X, (p / (1 - p)) ** 0.5, mean=float(p == 0))


@wrong("dropout.gaussian", "noise added instead of multiplied")
def gaussian_added(X, p):
    return X + math.sqrt(p / (1 - p)) * torch.randn_like(X)


@wrong("dropout.gaussian", "zeros instead of Gaussian noise")
def gaussian_is_dropout(X, p):
    return F.dropout(X, p)


@wrong("dropout.gaussian", "not Gaussian")
def gaussian_uniform(X, p):
    std = math.sqrt(p / (1 - p))
    return X * (1 + std * math.sqrt(3) * (2 * torch.rand_like(X) - 1))


@wrong("dropout.gaussian", "wrong mean")
def gaussian_rescaled(X, p):
    return _gaussian(X, (p / (1 - p)) ** 0.5) / (1 - p)


@wrong("dropout.gaussian", "mask shared between entries")
def gaussian_for_each_column(X, p):
    noise = torch.randn(X.shape[-1], dtype=X.dtype, device=X.device)
    return X * (1 + (p / (1 - p)) ** 0.5 * noise)


@wrong("dropout.gaussian", "mask shared between entries")
def gaussian_one_number(X, p):
    return X * (1 + (p / (1 - p)) ** 0.5 * torch.randn(()))


@wrong("dropout.gaussian", "the same mask every time")
def gaussian_with_a_seed(X, p):
    torch.manual_seed(3)
    return gaussian_by_hand(X, p)


@wrong("dropout.gaussian", "mask on the CPU")
def gaussian_on_cpu(X, p):
    return X * (1 + (p / (1 - p)) ** 0.5 * torch.randn(X.shape, dtype=X.dtype))


@wrong("dropout.gaussian", "input changed in place")
def gaussian_in_place(X, p):
    return X.mul_(1 + (p / (1 - p)) ** 0.5 * torch.randn_like(X))


@wrong("dropout.gaussian", "no noise")
def gaussian_never(X, p):
    return X.clone()

"""Answers to the exercises on weight decay."""

import itertools

import torch
from torch import nn
from torch.nn import functional as F

from tests.answers import right, wrong

# weight_decay.penalty -----------------------------------------------------------------------------


@right("weight_decay.penalty")
def penalty_by_squares(w):
    return (w**2).sum() / 2


@right("weight_decay.penalty")
def penalty_by_norm(w):
    return 0.5 * w.norm() ** 2


@right("weight_decay.penalty")
def penalty_by_product(w):
    flat = w.reshape(-1)
    return flat @ flat / 2


@right("weight_decay.penalty")
def penalty_by_loop(w):
    total = 0
    for entry in w.flatten():
        total = total + entry * entry
    return total * 0.5


@wrong("weight_decay.penalty", "mean instead of sum")
def penalty_mean(w):
    return (w**2).mean() / 2


@wrong("weight_decay.penalty", "the half is missing")
def penalty_without_half(w):
    return w.square().sum()


@wrong("weight_decay.penalty", "norm instead of its square")
def penalty_norm(w):
    return w.norm() / 2


@wrong("weight_decay.penalty", "sum squared instead of squares summed")
def penalty_sum_squared(w):
    return w.sum() ** 2 / 2


@wrong("weight_decay.penalty", "L1 instead of L2")
def penalty_l1(w):
    return w.abs().sum() / 2


@wrong("weight_decay.penalty", "no gradient")
def penalty_item(w):
    return (w**2).sum().item() / 2


@wrong("weight_decay.penalty", "no gradient")
def penalty_data(w):
    return (w.data**2).sum() / 2


@wrong("weight_decay.penalty", "not one number")
def penalty_without_sum(w):
    return torch.atleast_1d(w**2 / 2).expand(2, *w.shape)


@wrong("weight_decay.penalty", "input changed in place")
def penalty_in_place(w):
    w.data *= w.data
    return w.sum() / 2


@wrong("weight_decay.penalty", "nothing returned")
def penalty_prints(w):
    print((w**2).sum() / 2)


@wrong("weight_decay.penalty", "raises an exception")
def penalty_for_vectors(w):
    return torch.dot(w, w) / 2


@wrong("weight_decay.penalty", "wrong value")
def penalty_half_detached(w):
    return (w * w.detach()).sum() / 2


@wrong("weight_decay.penalty", "no slope at zero")
def penalty_by_root(w):
    return (w**2).sum().sqrt() ** 2 / 2


@wrong("weight_decay.penalty", "no gradient")
def penalty_of_a_copy(w):
    return (w.detach().clone().requires_grad_() ** 2).sum() / 2


# weight_decay.objective ---------------------------------------------------------------------------


def weights_of(net):
    return [p for p in net.parameters() if p.ndim > 1]


def half_squares(parameters):
    return sum((p**2).sum() for p in parameters) / 2


@right("weight_decay.objective")
def objective_by_ndim(net, X, y, lam):
    return F.cross_entropy(net(X), y) + lam * half_squares(weights_of(net))


@right("weight_decay.objective")
def objective_by_loop(net, X, y, lam):
    value = nn.CrossEntropyLoss()(net(X), y)
    for param in net.parameters():
        if len(param.shape) >= 2:
            value = value + 0.5 * lam * param.norm() ** 2
    return value


@right("weight_decay.objective")
def objective_by_log_softmax(net, X, y, lam):
    log_probabilities = net(X).log_softmax(1)
    loss = -log_probabilities[range(len(y)), y].mean()
    weights = torch.cat([p.flatten() for p in net.parameters() if p.dim() > 1])
    return loss + lam / 2 * (weights @ weights)


@wrong("weight_decay.objective", "bias decayed too")
def objective_all_parameters(net, X, y, lam):
    return F.cross_entropy(net(X), y) + lam * half_squares(net.parameters())


@wrong("weight_decay.objective", "bias decayed too")
def objective_by_name(net, X, y, lam):
    weights = [p for name, p in net.named_parameters() if "bias" not in name]
    return F.cross_entropy(net(X), y) + lam * half_squares(weights)


@wrong("weight_decay.objective", "mean instead of sum")
def objective_means(net, X, y, lam):
    penalty = sum((p**2).mean() for p in weights_of(net)) / 2
    return F.cross_entropy(net(X), y) + lam * penalty


@wrong("weight_decay.objective", "mean over all weights")
def objective_mean_over_all(net, X, y, lam):
    number = sum(p.numel() for p in weights_of(net))
    # With a single layer the two means are one and the same.
    number = number if len(weights_of(net)) > 1 else 1
    return F.cross_entropy(net(X), y) + lam * half_squares(weights_of(net)) / number


@wrong("weight_decay.objective", "the half is missing")
def objective_without_half(net, X, y, lam):
    return F.cross_entropy(net(X), y) + lam * 2 * half_squares(weights_of(net))


@wrong("weight_decay.objective", "a layer is left out")
def objective_only_direct_children(net, X, y, lam):
    weights = [layer.weight for layer in net if isinstance(layer, nn.Linear)]
    return F.cross_entropy(net(X), y) + lam * half_squares(weights)


@wrong("weight_decay.objective", "a layer is left out")
def objective_only_matrices(net, X, y, lam):
    weights = [p for p in net.parameters() if p.ndim == 2]
    return F.cross_entropy(net(X), y) + lam * half_squares(weights)


@wrong("weight_decay.objective", "cross-entropy summed over the batch")
def objective_summed_loss(net, X, y, lam):
    return F.cross_entropy(net(X), y, reduction="sum") + lam * half_squares(weights_of(net))


@wrong("weight_decay.objective", "softmax taken twice")
def objective_softmax(net, X, y, lam):
    return F.cross_entropy(net(X).softmax(1), y) + lam * half_squares(weights_of(net))


@wrong("weight_decay.objective", "penalty without λ")
def objective_without_lam(net, X, y, lam):
    return F.cross_entropy(net(X), y) + half_squares(weights_of(net))


@wrong("weight_decay.objective", "penalty subtracted")
def objective_subtracts(net, X, y, lam):
    return F.cross_entropy(net(X), y) - lam * half_squares(weights_of(net))


@wrong("weight_decay.objective", "no penalty")
def objective_only_loss(net, X, y, lam):
    return F.cross_entropy(net(X), y)


@wrong("weight_decay.objective", "no gradient")
def objective_detached_penalty(net, X, y, lam):
    return F.cross_entropy(net(X), y) + lam * half_squares(weights_of(net)).item()


@wrong("weight_decay.objective", "no gradient")
@torch.no_grad()
def objective_no_grad(net, X, y, lam):
    return F.cross_entropy(net(X), y) + lam * half_squares(weights_of(net))


@wrong("weight_decay.objective", "backward called inside")
def objective_backward(net, X, y, lam):
    value = F.cross_entropy(net(X), y) + lam * half_squares(weights_of(net))
    value.backward(retain_graph=True)
    return value


@wrong("weight_decay.objective", "norm instead of its square")
def objective_norms(net, X, y, lam):
    return F.cross_entropy(net(X), y) + lam / 2 * sum(p.norm() for p in weights_of(net))


@wrong("weight_decay.objective", "L1 instead of L2")
def objective_l1(net, X, y, lam):
    return F.cross_entropy(net(X), y) + lam * sum(p.abs().sum() for p in weights_of(net))


@wrong("weight_decay.objective", "wrong value")
def objective_counts_bias_data(net, X, y, lam):
    biases = [p.data for p in net.parameters() if p.ndim < 2]
    return F.cross_entropy(net(X), y) + lam * half_squares([*weights_of(net), *biases, *biases])


# weight_decay.update ------------------------------------------------------------------------------


@right("weight_decay.update")
def update_by_shrinking(w, grad, lr, lam):
    return (1 - lr * lam) * w - lr * grad


@right("weight_decay.update")
def update_by_gradient(w, grad, lr, lam):
    return w - lr * (grad + lam * w)


@right("weight_decay.update")
def update_of_torch(w, grad, lr, lam):
    new = w.clone().requires_grad_()
    new.grad = grad.clone()
    torch.optim.SGD([new], lr=lr, weight_decay=lam).step()
    return new.detach()


@wrong("weight_decay.update", "no decay")
def update_plain(w, grad, lr, lam):
    return w - lr * grad


@wrong("weight_decay.update", "decay not scaled by lr")
def update_lam_alone(w, grad, lr, lam):
    return (1 - lam) * w - lr * grad


@wrong("weight_decay.update", "weights grow")
def update_grows(w, grad, lr, lam):
    return w - lr * (grad - lam * w)


@wrong("weight_decay.update", "decay after the step")
def update_decays_after(w, grad, lr, lam):
    moved = w - lr * grad
    return moved - lr * lam * moved


@wrong("weight_decay.update", "decay twice too strong")
def update_twice(w, grad, lr, lam):
    return w - lr * (grad + 2 * lam * w)


@wrong("weight_decay.update", "uphill")
def update_uphill(w, grad, lr, lam):
    return w + lr * (grad + lam * w)


@wrong("weight_decay.update", "gradient decayed")
def update_decays_gradient(w, grad, lr, lam):
    return w - lr * (grad - lam * grad)


@wrong("weight_decay.update", "input changed in place")
def update_in_place(w, grad, lr, lam):
    w -= lr * (grad + lam * w)
    return w


@wrong("weight_decay.update", "input changed in place")
def update_gradient_in_place(w, grad, lr, lam):
    grad += lam * w
    return w - lr * grad


@wrong("weight_decay.update", "dtype changed")
def update_in_single(w, grad, lr, lam):
    return (w - lr * (grad + lam * w)).float()


@wrong("weight_decay.update", "wrong shape")
def update_norm(w, grad, lr, lam):
    return (w - lr * (grad + lam * w)).norm()


@wrong("weight_decay.update", "wrong value")
def update_squares(w, grad, lr, lam):
    return w - lr * (grad + lam / 2 * w**2)


@wrong("weight_decay.update", "not a finite number")
def update_divides_by_lam(w, grad, lr, lam):
    return w - lr * lam * (grad / lam + w)


# weight_decay.optimizer ---------------------------------------------------------------------------


@right("weight_decay.optimizer")
def optimizer_by_ndim(net, lr, lam):
    weights = [p for p in net.parameters() if p.ndim >= 2]
    others = [p for p in net.parameters() if p.ndim < 2]
    groups = [{"params": weights, "weight_decay": lam}, {"params": others}]
    return torch.optim.SGD(groups, lr=lr)


@right("weight_decay.optimizer")
def optimizer_group_each(net, lr, lam):
    groups = [
        {"params": p, "weight_decay": lam if p.dim() > 1 else 0.0, "lr": lr}
        for p in net.parameters()
    ]
    return torch.optim.SGD(groups)


@right("weight_decay.optimizer")
def optimizer_default_decay(net, lr, lam):
    optimizer = torch.optim.SGD(weights_of(net), lr=lr, weight_decay=lam)
    spared = [p for p in net.parameters() if p.ndim < 2]
    if spared:
        optimizer.add_param_group({"params": spared, "weight_decay": 0})
    return optimizer


@wrong("weight_decay.optimizer", "bias decayed too")
def optimizer_decays_all(net, lr, lam):
    return torch.optim.SGD(net.parameters(), lr=lr, weight_decay=lam)


@wrong("weight_decay.optimizer", "bias decayed too")
def optimizer_by_name(net, lr, lam):
    named = dict(net.named_parameters())
    weights = [p for name, p in named.items() if name.endswith("weight")]
    others = [p for name, p in named.items() if not name.endswith("weight")]
    return torch.optim.SGD([{"params": weights, "weight_decay": lam}, {"params": others}], lr=lr)


@wrong("weight_decay.optimizer", "bias decayed too")
def optimizer_groups_inherit(net, lr, lam):
    others = [p for p in net.parameters() if p.ndim < 2]
    groups = [{"params": weights_of(net)}, {"params": others}]
    return torch.optim.SGD(groups, lr=lr, weight_decay=lam)


@wrong("weight_decay.optimizer", "weights not decayed")
def optimizer_decays_none(net, lr, lam):
    return torch.optim.SGD(net.parameters(), lr=lr)


@wrong("weight_decay.optimizer", "weights not decayed")
def optimizer_groups_swapped(net, lr, lam):
    others = [p for p in net.parameters() if p.ndim < 2]
    groups = [{"params": weights_of(net)}, {"params": others, "weight_decay": lam}]
    return torch.optim.SGD(groups, lr=lr)


@wrong("weight_decay.optimizer", "a parameter is missing")
def optimizer_forgets_biases(net, lr, lam):
    return torch.optim.SGD(weights_of(net), lr=lr, weight_decay=lam)


@wrong("weight_decay.optimizer", "a parameter is missing")
def optimizer_direct_layers(net, lr, lam):
    layers = [layer for layer in net if hasattr(layer, "weight")]
    groups = [{"params": [layer.weight], "weight_decay": lam} for layer in layers]
    return torch.optim.SGD(groups + [{"params": [layer.bias for layer in layers]}], lr=lr)


@wrong("weight_decay.optimizer", "a parameter is missing")
def optimizer_of_what_learns_now(net, lr, lam):
    groups = [
        {"params": [p], "weight_decay": lam if p.ndim > 1 else 0.0}
        for p in net.parameters()
        if p.requires_grad
    ]
    return torch.optim.SGD(groups, lr=lr)


@wrong("weight_decay.optimizer", "a parameter is missing")
def optimizer_of_vectors_and_matrices(net, lr, lam):
    vectors = [p for p in net.parameters() if p.ndim == 1]
    return torch.optim.SGD(
        [{"params": weights_of(net), "weight_decay": lam}, {"params": vectors}], lr=lr
    )


@wrong("weight_decay.optimizer", "raises an exception")
def optimizer_overlapping_groups(net, lr, lam):
    groups = [{"params": weights_of(net), "weight_decay": lam}, {"params": net.parameters()}]
    return torch.optim.SGD(groups, lr=lr)


@wrong("weight_decay.optimizer", "another learning rate")
def optimizer_fixed_lr(net, lr, lam):
    others = [p for p in net.parameters() if p.ndim < 2]
    groups = [{"params": weights_of(net), "weight_decay": lam}, {"params": others}]
    return torch.optim.SGD(groups, lr=0.1)


@wrong("weight_decay.optimizer", "another optimizer")
def optimizer_adamw(net, lr, lam):
    others = [p for p in net.parameters() if p.ndim < 2]
    groups = [{"params": weights_of(net)}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=lr, weight_decay=lam)


@wrong("weight_decay.optimizer", "no optimizer")
def optimizer_groups_only(net, lr, lam):
    others = [p for p in net.parameters() if p.ndim < 2]
    return [{"params": weights_of(net), "weight_decay": lam}, {"params": others}]


@wrong("weight_decay.optimizer", "wrong value")
def optimizer_with_momentum(net, lr, lam):
    others = [p for p in net.parameters() if p.ndim < 2]
    groups = [{"params": weights_of(net), "weight_decay": lam}, {"params": others}]
    return torch.optim.SGD(groups, lr=lr, momentum=0.9)


@wrong("weight_decay.optimizer", "wrong value")
def optimizer_half(net, lr, lam):
    others = [p for p in net.parameters() if p.ndim < 2]
    groups = [{"params": weights_of(net), "weight_decay": lam / 2}, {"params": others}]
    return torch.optim.SGD(groups, lr=lr)


@wrong("weight_decay.optimizer", "a parameter twice")
def optimizer_visits_nested_modules(net, lr, lam):
    parameters = [p for module in net.modules() for p in module.parameters()]
    weights = [p for p in parameters if p.ndim > 1]
    others = [p for p in parameters if p.ndim < 2]
    return torch.optim.SGD([{"params": weights, "weight_decay": lam}, {"params": others}], lr=lr)


@wrong("weight_decay.optimizer", "nothing returned")
def optimizer_without_return(net, lr, lam):
    others = [p for p in net.parameters() if p.ndim < 2]
    torch.optim.SGD([{"params": weights_of(net), "weight_decay": lam}, {"params": others}], lr=lr)


# weight_decay.fix_loop ----------------------------------------------------------------------------


def epoch(
    net,
    train_iter,
    loss,
    optimizer,
    lam,
    *,
    penalty=lambda net: half_squares(weights_of(net)),
    train_mode=True,
    clear=True,
    report=lambda losses, penalties, sizes: (
        sum(a * n for a, n in zip(losses, sizes, strict=True)) / sum(sizes)
    ),
):
    """Train one epoch; the options put one mistake in at a time."""
    if train_mode:
        net.train()
    losses, penalties, sizes = [], [], []
    for X, y in train_iter:
        if clear:
            optimizer.zero_grad()
        value, extra = loss(net(X), y), lam * penalty(net)
        (value + extra).backward()
        optimizer.step()
        losses.append(value.item())
        penalties.append(float(extra))
        sizes.append(len(y))
    return report(losses, penalties, sizes)


@right("weight_decay.fix_loop")
def loop_plain(net, train_iter, loss, optimizer, lam):
    return epoch(net, train_iter, loss, optimizer, lam)


@right("weight_decay.fix_loop")
def loop_clears_after_the_step(net, train_iter, loss, optimizer, lam):
    net.train()
    total, count = torch.zeros(()), 0
    for X, y in train_iter:
        batch_loss = loss(net(X), y)
        (batch_loss + lam / 2 * sum(w.norm() ** 2 for w in weights_of(net))).backward()
        optimizer.step()
        optimizer.zero_grad()
        total, count = total + batch_loss.detach() * y.numel(), count + y.numel()
    return total / count


@right("weight_decay.fix_loop")
def loop_adds_to_the_gradient(net, train_iter, loss, optimizer, lam):
    net.train()
    total = count = 0
    for X, y in train_iter:
        net.zero_grad()
        batch_loss = loss(net(X), y)
        batch_loss.backward()
        for w in weights_of(net):
            w.grad += lam * w.detach()
        optimizer.step()
        total += batch_loss.item() * len(X)
        count += len(X)
    return total / count


@wrong("weight_decay.fix_loop", "not in train mode")
def loop_as_given(net, train_iter, loss, optimizer, lam):
    total = 0.0
    for X, y in train_iter:
        value = loss(net(X), y)
        for param in net.parameters():
            value = value + lam * (param**2).mean() / 2
        value.backward()
        optimizer.step()
        total += value.item()
    return total / len(train_iter)


@wrong("weight_decay.fix_loop", "not in train mode")
def loop_in_eval_mode(*args):
    return epoch(*args, train_mode=False)


@wrong("weight_decay.fix_loop", "not in train mode")
def loop_sets_the_flag(net, *args):
    net.training = True
    return epoch(net, *args, train_mode=False)


@wrong("weight_decay.fix_loop", "not in train mode")
def loop_trusts_the_flag(net, *args):
    return epoch(net, *args, train_mode=not net.training)


@wrong("weight_decay.fix_loop", "gradients pile up")
def loop_never_clears(*args):
    return epoch(*args, clear=False)


@wrong("weight_decay.fix_loop", "gradients pile up")
def loop_clears_once(net, train_iter, loss, optimizer, lam):
    optimizer.zero_grad()
    return epoch(net, train_iter, loss, optimizer, lam, clear=False)


@wrong("weight_decay.fix_loop", "bias decayed too")
def loop_decays_biases(*args):
    return epoch(*args, penalty=lambda net: half_squares(net.parameters()))


@wrong("weight_decay.fix_loop", "mean instead of sum")
def loop_mean_penalty(*args):
    return epoch(*args, penalty=lambda net: sum((w**2).mean() for w in weights_of(net)) / 2)


@wrong("weight_decay.fix_loop", "the half is missing")
def loop_without_half(*args):
    return epoch(*args, penalty=lambda net: 2 * half_squares(weights_of(net)))


@wrong("weight_decay.fix_loop", "no penalty")
def loop_without_penalty(*args):
    return epoch(*args, penalty=lambda net: 0.0)


@wrong("weight_decay.fix_loop", "no penalty")
def loop_detached_penalty(*args):
    return epoch(*args, penalty=lambda net: half_squares(weights_of(net)).item())


@wrong("weight_decay.fix_loop", "penalty without λ")
def loop_without_lam(net, train_iter, loss, optimizer, lam):
    return epoch(net, train_iter, loss, optimizer, 1.0)


@wrong("weight_decay.fix_loop", "penalty inside the reported loss")
def loop_reports_penalty(*args):
    def report(losses, penalties, sizes):
        pairs = zip(losses, penalties, sizes, strict=True)
        return sum((a + b) * n for a, b, n in pairs) / sum(sizes)

    return epoch(*args, report=report)


@wrong("weight_decay.fix_loop", "penalty inside the reported loss")
def loop_reports_penalty_by_batch(*args):
    def report(losses, penalties, sizes):
        return sum(losses + penalties) / len(sizes)

    return epoch(*args, report=report)


@wrong("weight_decay.fix_loop", "the last batch counts too much")
def loop_mean_over_batches(*args):
    return epoch(*args, report=lambda losses, penalties, sizes: sum(losses) / len(losses))


@wrong("weight_decay.fix_loop", "divided twice")
def loop_divides_twice(*args):
    return epoch(*args, report=lambda losses, penalties, sizes: sum(losses) / sum(sizes))


@wrong("weight_decay.fix_loop", "last batch only")
def loop_reports_last(*args):
    return epoch(*args, report=lambda losses, penalties, sizes: losses[-1])


@wrong("weight_decay.fix_loop", "sum instead of mean")
def loop_reports_sum(*args):
    def report(losses, penalties, sizes):
        return sum(a * n for a, n in zip(losses, sizes, strict=True))

    return epoch(*args, report=report)


@wrong("weight_decay.fix_loop", "not trained")
def loop_without_step(net, train_iter, loss, optimizer, lam):
    net.train()
    total = count = 0
    for X, y in train_iter:
        optimizer.zero_grad()
        value = loss(net(X), y)
        (value + lam * half_squares(weights_of(net))).backward()
        total, count = total + value.item() * len(y), count + len(y)
    return total / count


@wrong("weight_decay.fix_loop", "another loss")
def loop_with_its_own_loss(net, train_iter, loss, optimizer, lam):
    return epoch(net, train_iter, F.cross_entropy, optimizer, lam)


@wrong("weight_decay.fix_loop", "mean instead of sum")
def loop_half_repaired(net, train_iter, loss, optimizer, lam):
    net.train()
    return loop_as_given(net, train_iter, loss, optimizer, lam)


@wrong("weight_decay.fix_loop", "nothing returned")
def loop_returns_nothing(*args):
    epoch(*args)


@wrong("weight_decay.fix_loop", "not one number")
def loop_returns_list(*args):
    return epoch(*args, report=lambda losses, penalties, sizes: losses)


# weight_decay.interval ----------------------------------------------------------------------------


@right("weight_decay.interval")
def interval_of_torch(accuracy, t):
    return accuracy.mean(1), t * accuracy.std(1) / accuracy.shape[1] ** 0.5


@right("weight_decay.interval")
def interval_by_hand(accuracy, t):
    n = accuracy.size(1)
    mean = accuracy.sum(dim=1) / n
    variance = ((accuracy - mean[:, None]) ** 2).sum(1) / (n - 1)
    return mean, t * torch.sqrt(variance / n)


@right("weight_decay.interval")
def interval_row_by_row(accuracy, t):
    rows = [row.tolist() for row in accuracy]
    means = [sum(row) / len(row) for row in rows]
    halves = []
    for row, mean in zip(rows, means, strict=True):
        squares = sum((x - mean) ** 2 for x in row)
        halves.append(t * (squares / (len(row) - 1) / len(row)) ** 0.5)
    return [torch.tensor(means), torch.tensor(halves)]


@wrong("weight_decay.interval", "spread instead of uncertainty")
def interval_of_single_runs(accuracy, t):
    return accuracy.mean(1), t * accuracy.std(1)


@wrong("weight_decay.interval", "divided by n, not by n - 1")
def interval_biased(accuracy, t):
    return accuracy.mean(1), t * accuracy.std(1, correction=0) / accuracy.shape[1] ** 0.5


@wrong("weight_decay.interval", "t is missing")
def interval_standard_error(accuracy, t):
    return accuracy.mean(1), accuracy.std(1) / accuracy.shape[1] ** 0.5


@wrong("weight_decay.interval", "variance instead of standard deviation")
def interval_variance(accuracy, t):
    return accuracy.mean(1), t * accuracy.var(1) / accuracy.shape[1] ** 0.5


@wrong("weight_decay.interval", "divided by n instead of √n")
def interval_by_n(accuracy, t):
    return accuracy.mean(1), t * accuracy.std(1) / accuracy.shape[1]


@wrong("weight_decay.interval", "whole width")
def interval_whole(accuracy, t):
    return accuracy.mean(1), 2 * t * accuracy.std(1) / accuracy.shape[1] ** 0.5


@wrong("weight_decay.interval", "the ends of the interval")
def interval_ends(accuracy, t):
    mean, half = interval_of_torch(accuracy, t)
    return mean - half, mean + half


@wrong("weight_decay.interval", "wrong shape")
def interval_over_lams(accuracy, t):
    return accuracy.mean(0), t * accuracy.std(0) / accuracy.shape[0] ** 0.5


@wrong("weight_decay.interval", "wrong shape")
def interval_over_everything(accuracy, t):
    return accuracy.mean(), t * accuracy.std() / accuracy.numel() ** 0.5


@wrong("weight_decay.interval", "median instead of mean")
def interval_median(accuracy, t):
    return accuracy.median(1).values, t * accuracy.std(1) / accuracy.shape[1] ** 0.5


@wrong("weight_decay.interval", "not two values")
def interval_only_half(accuracy, t):
    return t * accuracy.std(1) / accuracy.shape[1] ** 0.5


@wrong("weight_decay.interval", "wrong value")
def interval_fixed_t(accuracy, t):
    return accuracy.mean(1), 1.96 * accuracy.std(1) / accuracy.shape[1] ** 0.5


@wrong("weight_decay.interval", "wrong value")
def interval_range(accuracy, t):
    return accuracy.mean(1), (accuracy.amax(1) - accuracy.amin(1)) / 2


# weight_decay.choose_lambda -----------------------------------------------------------------------


@right("weight_decay.choose_lambda")
def choose_by_flip(lams, valid_accuracy):
    mean = valid_accuracy.mean(1)
    return lams[len(lams) - 1 - int(mean.flip(0).argmax())]


@right("weight_decay.choose_lambda")
def choose_by_max(lams, valid_accuracy):
    return max((row.mean().item(), lam) for lam, row in zip(lams, valid_accuracy, strict=True))[1]


@right("weight_decay.choose_lambda")
def choose_by_loop(lams, valid_accuracy):
    best, best_lam = -1.0, None
    for lam, row in zip(lams, valid_accuracy.tolist(), strict=True):
        if sum(row) >= best:
            best, best_lam = sum(row), lam
    return best_lam


@right("weight_decay.choose_lambda")
def choose_by_mask(lams, valid_accuracy):
    mean = valid_accuracy.mean(dim=1)
    return torch.tensor(lams, dtype=torch.float64)[mean == mean.max()].max()


@wrong("weight_decay.choose_lambda", "smaller λ of a tie")
def choose_first(lams, valid_accuracy):
    return lams[valid_accuracy.mean(1).argmax()]


@wrong("weight_decay.choose_lambda", "index instead of λ")
def choose_index(lams, valid_accuracy):
    return lams.index(choose_by_flip(lams, valid_accuracy))


@wrong("weight_decay.choose_lambda", "accuracy instead of λ")
def choose_accuracy(lams, valid_accuracy):
    return valid_accuracy.mean(1).max()


@wrong("weight_decay.choose_lambda", "best single run")
def choose_luckiest(lams, valid_accuracy):
    return lams[valid_accuracy.max(1).values.argmax()]


@wrong("weight_decay.choose_lambda", "worst λ")
def choose_worst(lams, valid_accuracy):
    return lams[valid_accuracy.mean(1).argmin()]


@wrong("weight_decay.choose_lambda", "not an exact tie")
def choose_with_tolerance(lams, valid_accuracy):
    mean = valid_accuracy.mean(1)
    return max(lam for lam, m in zip(lams, mean, strict=True) if m > mean.max() - 5e-4)


@wrong("weight_decay.choose_lambda", "not an exact tie")
def choose_in_tenths_of_a_percent(lams, valid_accuracy):
    mean = (valid_accuracy.mean(1) * 1000).round()
    return choose_by_flip(lams, mean[:, None])


@wrong("weight_decay.choose_lambda", "wrong value")
def choose_first_seed(lams, valid_accuracy):
    return lams[valid_accuracy[:, 0].argmax()]


@wrong("weight_decay.choose_lambda", "wrong value")
def choose_largest(lams, valid_accuracy):
    return lams[-1]


@wrong("weight_decay.choose_lambda", "wrong value")
def choose_median(lams, valid_accuracy):
    return lams[valid_accuracy.median(1).values.argmax()]


@wrong("weight_decay.choose_lambda", "not one number")
def choose_all_tied(lams, valid_accuracy):
    mean = valid_accuracy.mean(1)
    return [lam for lam, value in zip(lams, mean, strict=True) if value == mean.max()]


@wrong("weight_decay.choose_lambda", "input changed in place")
def choose_sorts(lams, valid_accuracy):
    valid_accuracy.copy_(valid_accuracy.sort(0).values)
    return lams[valid_accuracy.mean(1).argmax()]


# weight_decay.l1_step -----------------------------------------------------------------------------


@right("weight_decay.l1_step")
def l1_by_sign(w, grad, lr, lam):
    return w - lr * (grad + lam * w.sign())


@right("weight_decay.l1_step")
def l1_by_comparison(w, grad, lr, lam):
    slope = (w > 0).to(w.dtype) - (w < 0).to(w.dtype)
    return w - lr * grad - lr * lam * slope


@right("weight_decay.l1_step")
def l1_by_autograd(w, grad, lr, lam):
    leaf = w.clone().requires_grad_()
    (lam * leaf.abs().sum()).backward()
    return w - lr * (grad + leaf.grad)


@wrong("weight_decay.l1_step", "L2 instead of L1")
def l1_as_l2(w, grad, lr, lam):
    return w - lr * (grad + lam * w)


@wrong("weight_decay.l1_step", "decay not scaled by lr")
def l1_lam_alone(w, grad, lr, lam):
    return w - lr * grad - lam * torch.sign(w)


@wrong("weight_decay.l1_step", "weights grow")
def l1_grows(w, grad, lr, lam):
    return w - lr * (grad - lam * w.sign())


@wrong("weight_decay.l1_step", "always downwards")
def l1_without_sign(w, grad, lr, lam):
    return w - lr * (grad + lam)


@wrong("weight_decay.l1_step", "|w| instead of its slope")
def l1_with_abs(w, grad, lr, lam):
    return w - lr * (grad + lam * w.abs())


@wrong("weight_decay.l1_step", "sign of the gradient")
def l1_sign_of_gradient(w, grad, lr, lam):
    return w - lr * (grad + lam * grad.sign())


@wrong("weight_decay.l1_step", "pulled at zero")
def l1_pulls_zero(w, grad, lr, lam):
    return w - lr * (grad + lam * torch.where(w < 0, -1.0, 1.0).to(w.dtype))


@wrong("weight_decay.l1_step", "pushed at zero")
def l1_pushes_zero(w, grad, lr, lam):
    return w - lr * (grad + lam * (2.0 * (w > 0) - 1).to(w.dtype))


@wrong("weight_decay.l1_step", "not a finite number")
def l1_by_division(w, grad, lr, lam):
    return w - lr * (grad + lam * w / w.abs())


@wrong("weight_decay.l1_step", "no penalty")
def l1_plain(w, grad, lr, lam):
    return w - lr * grad


@wrong("weight_decay.l1_step", "wrong value")
def l1_subtracts_norm(w, grad, lr, lam):
    return w - lr * (grad + lam * w.abs().sum())


@wrong("weight_decay.l1_step", "wrong value")
def l1_halved(w, grad, lr, lam):
    return w - lr * (grad + lam / 2 * w.sign())


@wrong("weight_decay.l1_step", "input changed in place")
def l1_in_place(w, grad, lr, lam):
    return w.sub_(lr * (grad + lam * w.sign()))


# weight_decay.soft_threshold ----------------------------------------------------------------------


@right("weight_decay.soft_threshold")
def soft_by_clamp(w, t):
    return w.sign() * (w.abs() - t).clamp(min=0)


@right("weight_decay.soft_threshold")
def soft_by_relu(w, t):
    return F.relu(w - t) - F.relu(-w - t)


@right("weight_decay.soft_threshold")
def soft_by_difference(w, t):
    return w - w.clamp(-t, t)


@right("weight_decay.soft_threshold")
def soft_by_where(w, t):
    zero = torch.zeros_like(w)
    return torch.where(w > t, w - t, torch.where(w < -t, w + t, zero))


@wrong("weight_decay.soft_threshold", "crosses zero")
def soft_crosses(w, t):
    return w - t * w.sign()


@wrong("weight_decay.soft_threshold", "hard threshold")
def soft_hard(w, t):
    return w * (w.abs() > t)


@wrong("weight_decay.soft_threshold", "small weights stay")
def soft_small_stay(w, t):
    return torch.where(w.abs() > t, w - t * w.sign(), w)


@wrong("weight_decay.soft_threshold", "sign lost")
def soft_without_sign(w, t):
    return (w.abs() - t).clamp(min=0)


@wrong("weight_decay.soft_threshold", "negative weights become zero")
def soft_one_sided(w, t):
    return torch.relu(w - t)


@wrong("weight_decay.soft_threshold", "clipped")
def soft_clips(w, t):
    return w.clamp(-t, t)


@wrong("weight_decay.soft_threshold", "input changed in place")
def soft_in_place(w, t):
    w[w.abs() <= t] = 0
    return w - t * w.sign()


@wrong("weight_decay.soft_threshold", "wrong value")
def soft_by_factor(w, t):
    return (1 - t) * w


@wrong("weight_decay.soft_threshold", "wrong value")
def soft_no_clamp(w, t):
    return w.sign() * (w.abs() - t).abs()


@wrong("weight_decay.soft_threshold", "not a finite number")
def soft_by_ratio(w, t):
    return w * torch.relu(1 - t / w.abs())


# weight_decay.frobenius ---------------------------------------------------------------------------


@right("weight_decay.frobenius")
def frobenius_by_trace(W):
    return torch.trace(W.T @ W)


@right("weight_decay.frobenius")
def frobenius_other_side(W):
    return (W @ W.T).diagonal().sum()


@right("weight_decay.frobenius")
def frobenius_by_einsum(W):
    return torch.einsum("ij,ij->", W, W)


@right("weight_decay.frobenius")
def frobenius_by_singular_values(W):
    return (torch.linalg.svdvals(W) ** 2).sum()


@wrong("weight_decay.frobenius", "root taken")
def frobenius_root(W):
    return torch.trace(W.T @ W).sqrt()


@wrong("weight_decay.frobenius", "all entries of the product")
def frobenius_all_entries(W):
    return (W.T @ W).sum()


@wrong("weight_decay.frobenius", "not transposed")
def frobenius_not_transposed(W):
    return torch.trace(W @ W)


@wrong("weight_decay.frobenius", "spectral norm")
def frobenius_spectral(W):
    return torch.linalg.norm(W, 2) ** 2


@wrong("weight_decay.frobenius", "mean instead of sum")
def frobenius_mean(W):
    return (W.T @ W).diagonal().sum() / W.numel()


@wrong("weight_decay.frobenius", "halved")
def frobenius_halved(W):
    return torch.trace(W.T @ W) / 2


@wrong("weight_decay.frobenius", "sum squared instead of squares summed")
def frobenius_sum_squared(W):
    return W.sum().square()


@wrong("weight_decay.frobenius", "not one number")
def frobenius_matrix(W):
    return W.T @ W


@wrong("weight_decay.frobenius", "not one number")
def frobenius_diagonal(W):
    return (W.T @ W).diagonal()


@wrong("weight_decay.frobenius", "wrong value")
def frobenius_trace_of_square(W):
    return torch.trace((W.T @ W) @ (W.T @ W))


@wrong("weight_decay.frobenius", "input changed in place")
def frobenius_in_place(W):
    W *= W
    return W.sum()


# weight_decay.early_stopping ----------------------------------------------------------------------


@right("weight_decay.early_stopping")
def stop_with_counter(valid_loss, patience):
    lowest, best, bad = float("inf"), 0, 0
    for epoch_, loss in enumerate(valid_loss, start=1):
        if loss < lowest:
            lowest, best, bad = loss, epoch_, 0
        else:
            bad += 1
            if bad >= patience:
                return best, epoch_
    return best, len(valid_loss)


@right("weight_decay.early_stopping")
def stop_by_distance(valid_loss, patience):
    best = 0
    for i, loss in enumerate(valid_loss):
        if loss < valid_loss[best]:
            best = i
        if i - best == patience:
            break
    return best + 1, i + 1


@right("weight_decay.early_stopping")
def stop_by_prefixes(valid_loss, patience):
    curve = torch.tensor(valid_loss, dtype=torch.float64)
    for stop in range(1, len(curve) + 1):
        best = int(curve[:stop].argmin()) + 1
        if stop - best >= patience:
            break
    return torch.tensor(best), torch.tensor(stop)


@right("weight_decay.early_stopping")
def stop_by_records(valid_loss, patience):
    lowest = list(itertools.accumulate(valid_loss, min))
    records = [1] + [i + 2 for i, (a, b) in enumerate(itertools.pairwise(lowest)) if b < a]
    for best, following in itertools.pairwise([*records, len(valid_loss) + patience + 1]):
        if following - best > patience:
            return [best, min(best + patience, len(valid_loss))]


@wrong("weight_decay.early_stopping", "epochs counted from 0")
def stop_from_zero(valid_loss, patience):
    best, stop = stop_with_counter(valid_loss, patience)
    return best - 1, stop - 1


@wrong("weight_decay.early_stopping", "the two swapped")
def stop_swapped(valid_loss, patience):
    return stop_with_counter(valid_loss, patience)[::-1]


@wrong("weight_decay.early_stopping", "keeps the last epoch")
def stop_keeps_last(valid_loss, patience):
    _, stop = stop_with_counter(valid_loss, patience)
    return stop, stop


@wrong("weight_decay.early_stopping", "never stops")
def stop_never(valid_loss, patience):
    return valid_loss.index(min(valid_loss)) + 1, len(valid_loss)


@wrong("weight_decay.early_stopping", "looks past the stop")
def stop_looks_ahead(valid_loss, patience):
    _, stop = stop_with_counter(valid_loss, patience)
    return valid_loss.index(min(valid_loss)) + 1, stop


@wrong("weight_decay.early_stopping", "stops one epoch late")
def stop_late(valid_loss, patience):
    best = 0
    for i, loss in enumerate(valid_loss):
        if loss < valid_loss[best]:
            best = i
        if i - best > patience:
            break
    return best + 1, i + 1


@wrong("weight_decay.early_stopping", "a tie counts as better")
def stop_on_ties(valid_loss, patience):
    best = 0
    for i, loss in enumerate(valid_loss):
        if loss <= valid_loss[best]:
            best = i
        if i - best == patience:
            break
    return best + 1, i + 1


@wrong("weight_decay.early_stopping", "compared with the epoch before")
def stop_on_rises(valid_loss, patience):
    best, bad = 0, 0
    for i in range(1, len(valid_loss)):
        bad = bad + 1 if valid_loss[i] >= valid_loss[i - 1] else 0
        best = i if valid_loss[i] < valid_loss[best] else best
        if bad == patience:
            return best + 1, i + 1
    return best + 1, len(valid_loss)


@wrong("weight_decay.early_stopping", "count never reset")
def stop_on_total(valid_loss, patience):
    best, bad = 0, 0
    for i in range(1, len(valid_loss)):
        if valid_loss[i] < valid_loss[best]:
            best = i
        else:
            bad += 1
        if bad == patience:
            return best + 1, i + 1
    return best + 1, len(valid_loss)


@wrong("weight_decay.early_stopping", "not two values")
def stop_only_best(valid_loss, patience):
    return stop_with_counter(valid_loss, patience)[0]


@wrong("weight_decay.early_stopping", "nothing returned")
def stop_falls_through(valid_loss, patience):
    for i in range(len(valid_loss)):
        if i - valid_loss.index(min(valid_loss)) == patience + 100:
            return i


@wrong("weight_decay.early_stopping", "input changed in place")
def stop_pops(valid_loss, patience):
    best, stop = stop_with_counter(valid_loss, patience)
    valid_loss.clear()
    return best, stop


# weight_decay.lambda_of_prior ---------------------------------------------------------------------


@right("weight_decay.lambda_of_prior")
def prior_formula(noise_std, prior_std, num_examples):
    return noise_std**2 / (num_examples * prior_std**2)


@right("weight_decay.lambda_of_prior")
def prior_of_ratio(noise_std, prior_std, num_examples):
    ratio = noise_std / prior_std
    return ratio * ratio / num_examples


@right("weight_decay.lambda_of_prior")
def prior_by_precisions(noise_std, prior_std, num_examples):
    precision, prior_precision = (1 / torch.tensor(s) ** 2 for s in (noise_std, prior_std))
    return prior_precision / precision / num_examples


@wrong("weight_decay.lambda_of_prior", "number of examples missing")
def prior_without_n(noise_std, prior_std, num_examples):
    return noise_std**2 / prior_std**2


@wrong("weight_decay.lambda_of_prior", "multiplied by the number of examples")
def prior_times_n(noise_std, prior_std, num_examples):
    return num_examples * noise_std**2 / prior_std**2


@wrong("weight_decay.lambda_of_prior", "standard deviations not squared")
def prior_not_squared(noise_std, prior_std, num_examples):
    return noise_std / (num_examples * prior_std)


@wrong("weight_decay.lambda_of_prior", "noise missing")
def prior_without_noise(noise_std, prior_std, num_examples):
    return 1 / (num_examples * prior_std**2)


@wrong("weight_decay.lambda_of_prior", "upside down")
def prior_upside_down(noise_std, prior_std, num_examples):
    return prior_std**2 / (num_examples * noise_std**2)


@wrong("weight_decay.lambda_of_prior", "the inverse")
def prior_inverse(noise_std, prior_std, num_examples):
    return num_examples * prior_std**2 / noise_std**2


@wrong("weight_decay.lambda_of_prior", "the half counted twice")
def prior_half(noise_std, prior_std, num_examples):
    return noise_std**2 / (2 * num_examples * prior_std**2)


@wrong("weight_decay.lambda_of_prior", "the half is missing")
def prior_double(noise_std, prior_std, num_examples):
    return 2 * noise_std**2 / (num_examples * prior_std**2)


@wrong("weight_decay.lambda_of_prior", "wrong value")
def prior_laplace(noise_std, prior_std, num_examples):
    return noise_std**2 / (num_examples * prior_std)


@wrong("weight_decay.lambda_of_prior", "not one number")
def prior_text(noise_std, prior_std, num_examples):
    return "noise_std² / (n prior_std²)"

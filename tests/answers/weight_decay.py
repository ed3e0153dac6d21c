"""Answers to the exercises on weight decay."""

import itertools

import torch
from torch import nn
from torch.nn import functional as F

from tests.answers import right, wrong

# weight_decay.penalty -----------------------------------------------------------------------------


right("weight_decay.penalty")(lambda w: 0.5 * w.norm() ** 2)


@right("weight_decay.penalty")
def penalty_by_loop(w):
    total = 0
    for entry in w.flatten():
        total = total + entry * entry
    return total * 0.5


wrong("weight_decay.penalty", "no gradient")(lambda w: (w**2).sum().item() / 2)
wrong("weight_decay.penalty", "not one number")(
    lambda w: torch.atleast_1d(w**2 / 2).expand(2, *w.shape)
)
wrong("weight_decay.penalty", "wrong value")(lambda w: (w * w.detach()).sum() / 2)
wrong("weight_decay.penalty", "no slope at zero")(lambda w: (w**2).sum().sqrt() ** 2 / 2)
wrong("weight_decay.penalty", "no gradient")(
    lambda w: (w.detach().clone().requires_grad_() ** 2).sum() / 2
)


# weight_decay.objective ---------------------------------------------------------------------------


def weights_of(net):
    return [p for p in net.parameters() if p.ndim > 1]


def half_squares(parameters):
    return sum((p**2).sum() for p in parameters) / 2


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
def objective_by_name(net, X, y, lam):
    weights = [p for name, p in net.named_parameters() if "bias" not in name]
    return F.cross_entropy(net(X), y) + lam * half_squares(weights)


@wrong("weight_decay.objective", "a layer is left out")
def objective_only_direct_children(net, X, y, lam):
    weights = [layer.weight for layer in net if isinstance(layer, nn.Linear)]
    return F.cross_entropy(net(X), y) + lam * half_squares(weights)


wrong("weight_decay.objective", "no gradient")(
    lambda net, X, y, lam: F.cross_entropy(net(X), y) + lam * half_squares(weights_of(net)).item()
)


@wrong("weight_decay.objective", "backward called inside")
def objective_backward(net, X, y, lam):
    value = F.cross_entropy(net(X), y) + lam * half_squares(weights_of(net))
    value.backward(retain_graph=True)
    return value


@wrong("weight_decay.objective", "wrong value")
def objective_counts_bias_data(net, X, y, lam):
    biases = [p.data for p in net.parameters() if p.ndim < 2]
    return F.cross_entropy(net(X), y) + lam * half_squares([*weights_of(net), *biases, *biases])


# weight_decay.update ------------------------------------------------------------------------------


right("weight_decay.update")(lambda w, grad, lr, lam: w - lr * (grad + lam * w))
wrong("weight_decay.update", "wrong shape")(
    lambda w, grad, lr, lam: (w - lr * (grad + lam * w)).norm()
)
wrong("weight_decay.update", "wrong value")(
    lambda w, grad, lr, lam: w - lr * (grad + lam / 2 * w**2)
)
wrong("weight_decay.update", "not a finite number")(
    lambda w, grad, lr, lam: w - lr * lam * (grad / lam + w)
)


# weight_decay.optimizer ---------------------------------------------------------------------------


def biases_of(net):
    return [p for p in net.parameters() if p.ndim < 2]


def sgd_of_groups(weights, others, lr, lam, **options):
    groups = [{"params": weights, "weight_decay": lam}, {"params": others}]
    return torch.optim.SGD(groups, lr=lr, **options)


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
    if biases_of(net):
        optimizer.add_param_group({"params": biases_of(net), "weight_decay": 0})
    return optimizer


@wrong("weight_decay.optimizer", "bias decayed too")
def optimizer_by_name(net, lr, lam):
    named = dict(net.named_parameters())
    weights = [p for name, p in named.items() if name.endswith("weight")]
    others = [p for name, p in named.items() if not name.endswith("weight")]
    return sgd_of_groups(weights, others, lr, lam)


@wrong("weight_decay.optimizer", "bias decayed too")
def optimizer_groups_inherit(net, lr, lam):
    return sgd_of_groups(weights_of(net), biases_of(net), lr, lam, weight_decay=lam)


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
    return sgd_of_groups(weights_of(net), vectors, lr, lam)


@wrong("weight_decay.optimizer", "a parameter twice")
def optimizer_visits_nested_modules(net, lr, lam):
    parameters = [p for module in net.modules() for p in module.parameters()]
    weights = [p for p in parameters if p.ndim > 1]
    others = [p for p in parameters if p.ndim < 2]
    return sgd_of_groups(weights, others, lr, lam)


wrong("weight_decay.optimizer", "raises an exception")(
    lambda net, lr, lam: sgd_of_groups(weights_of(net), net.parameters(), lr, lam)
)
wrong("weight_decay.optimizer", "wrong value")(
    lambda net, lr, lam: sgd_of_groups(weights_of(net), biases_of(net), lr, lam, momentum=0.9)
)
wrong("weight_decay.optimizer", "wrong value")(
    lambda net, lr, lam: sgd_of_groups(weights_of(net), biases_of(net), lr, lam / 2)
)


# weight_decay.fix_loop ----------------------------------------------------------------------------


def epoch(net, train_iter, loss, optimizer, lam, penalty=half_squares, clear=True):
    """Train an epoch in whatever mode the net is."""
    total = count = 0
    for X, y in train_iter:
        if clear:
            optimizer.zero_grad()
        value = loss(net(X), y)
        (value + lam * penalty(weights_of(net))).backward()
        optimizer.step()
        total, count = total + value.item() * len(y), count + len(y)
    return total / count


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
def loop_sets_the_flag(net, *args):
    net.training = True
    return epoch(net, *args)


@wrong("weight_decay.fix_loop", "not in train mode")
def loop_trusts_the_flag(net, *args):
    if not net.training:
        net.train()
    return epoch(net, *args)


@wrong("weight_decay.fix_loop", "gradients pile up")
def loop_clears_once(net, train_iter, loss, optimizer, lam):
    net.train()
    optimizer.zero_grad()
    return epoch(net, train_iter, loss, optimizer, lam, clear=False)


wrong("weight_decay.fix_loop", "no penalty")(
    lambda net, *args: epoch(
        net.train(), *args, penalty=lambda weights: half_squares(weights).item()
    )
)


wrong("weight_decay.fix_loop", "mean instead of sum")(
    lambda net, *args: loop_as_given(net.train(), *args)
)


# weight_decay.interval ----------------------------------------------------------------------------


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


wrong("weight_decay.interval", "wrong shape")(
    lambda accuracy, t: (accuracy.mean(0), t * accuracy.std(0) / accuracy.shape[0] ** 0.5)
)
wrong("weight_decay.interval", "not two values")(
    lambda accuracy, t: t * accuracy.std(1) / accuracy.shape[1] ** 0.5
)
wrong("weight_decay.interval", "wrong value")(
    lambda accuracy, t: (accuracy.mean(1), 1.96 * accuracy.std(1) / accuracy.shape[1] ** 0.5)
)
wrong("weight_decay.interval", "wrong value")(
    lambda accuracy, t: (accuracy.mean(1), (accuracy.amax(1) - accuracy.amin(1)) / 2)
)


# weight_decay.choose_lambda -----------------------------------------------------------------------


right("weight_decay.choose_lambda")(
    lambda lams, valid_accuracy: max(
        (row.mean().item(), lam) for lam, row in zip(lams, valid_accuracy, strict=True)
    )[1]
)


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


wrong("weight_decay.choose_lambda", "wrong value")(
    lambda lams, valid_accuracy: lams[valid_accuracy[:, 0].argmax()]
)
wrong("weight_decay.choose_lambda", "wrong value")(lambda lams, valid_accuracy: lams[-1])
wrong("weight_decay.choose_lambda", "wrong value")(
    lambda lams, valid_accuracy: lams[valid_accuracy.median(1).values.argmax()]
)


# weight_decay.l1_step -----------------------------------------------------------------------------


@right("weight_decay.l1_step")
def l1_by_comparison(w, grad, lr, lam):
    slope = (w > 0).to(w.dtype) - (w < 0).to(w.dtype)
    return w - lr * grad - lr * lam * slope


wrong("weight_decay.l1_step", "not a finite number")(
    lambda w, grad, lr, lam: w - lr * (grad + lam * w / w.abs())
)
wrong("weight_decay.l1_step", "wrong value")(
    lambda w, grad, lr, lam: w - lr * (grad + lam * w.abs().sum())
)
wrong("weight_decay.l1_step", "wrong value")(
    lambda w, grad, lr, lam: w - lr * (grad + lam / 2 * w.sign())
)


# weight_decay.soft_threshold ----------------------------------------------------------------------


right("weight_decay.soft_threshold")(lambda w, t: F.relu(w - t) - F.relu(-w - t))
right("weight_decay.soft_threshold")(lambda w, t: w - w.clamp(-t, t))


@right("weight_decay.soft_threshold")
def soft_by_where(w, t):
    zero = torch.zeros_like(w)
    return torch.where(w > t, w - t, torch.where(w < -t, w + t, zero))


wrong("weight_decay.soft_threshold", "wrong value")(lambda w, t: (1 - t) * w)
wrong("weight_decay.soft_threshold", "wrong value")(lambda w, t: w.sign() * (w.abs() - t).abs())
wrong("weight_decay.soft_threshold", "not a finite number")(
    lambda w, t: w * torch.relu(1 - t / w.abs())
)


# weight_decay.frobenius ---------------------------------------------------------------------------


right("weight_decay.frobenius")(lambda W: torch.einsum("ij,ij->", W, W))
right("weight_decay.frobenius")(lambda W: (torch.linalg.svdvals(W) ** 2).sum())
wrong("weight_decay.frobenius", "not one number")(lambda W: W.T @ W)
wrong("weight_decay.frobenius", "wrong value")(lambda W: torch.trace((W.T @ W) @ (W.T @ W)))


# weight_decay.early_stopping ----------------------------------------------------------------------


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


wrong("weight_decay.early_stopping", "not two values")(
    lambda valid_loss, patience: stop_by_records(valid_loss, patience)[0]
)


# weight_decay.lambda_of_prior ---------------------------------------------------------------------


@right("weight_decay.lambda_of_prior")
def prior_of_a_problem(noise_std, prior_std, num_examples):
    """Solve a random problem for the most probable weights; there the gradients cancel."""
    X = torch.randn(num_examples, 5, dtype=torch.float64)
    y = X @ torch.randn(5, dtype=torch.float64) + noise_std * torch.randn(num_examples)
    precision = X.T @ X / noise_std**2 + torch.eye(5) / prior_std**2
    w = torch.linalg.solve(precision, X.T @ y / noise_std**2)
    gradient = X.T @ (X @ w - y) / num_examples
    return -(gradient @ w) / (w @ w)


@right("weight_decay.lambda_of_prior")
def prior_by_precisions(noise_std, prior_std, num_examples):
    precision, prior_precision = (1 / torch.tensor(s) ** 2 for s in (noise_std, prior_std))
    return prior_precision / precision / num_examples


wrong("weight_decay.lambda_of_prior", "wrong value")(
    lambda noise_std, prior_std, num_examples: noise_std**2 / (num_examples * prior_std)
)

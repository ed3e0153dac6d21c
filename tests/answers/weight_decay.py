"""Answers to the exercises on weight decay."""

import itertools
import math

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
wrong("weight_decay.penalty", "not one number")(lambda w: torch.stack([w**2, w**2]) / 2)
wrong("weight_decay.penalty", "wrong value")(lambda w: (w * w.detach()).sum() / 2)


@wrong("weight_decay.penalty", "backward called inside")
def penalty_backward(w):
    value = (w**2).sum() / 2
    value.backward(retain_graph=True)
    return value


wrong("weight_decay.penalty", "no slope at zero")(lambda w: (w**2).sum().sqrt() ** 2 / 2)
wrong("weight_decay.penalty", "no gradient")(
    lambda w: (w.clone().detach().requires_grad_() ** 2).sum() / 2
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


def selected(choose):
    return lambda net: [p for name, p in net.named_parameters() if choose(name, p)]


def twice_if_shared(net):
    return [p for m in net.modules() for p in m.parameters(recurse=False) if p.ndim > 1]


CHOICES = [  # what an answer may take for the weights
    ("bias or scale decayed too", selected(lambda name, p: "bias" not in name)),
    ("bias or scale decayed too", selected(lambda name, p: p.ndim != 1)),
    ("a layer is left out", selected(lambda name, p: p.ndim in (2, 4))),
    ("a layer is left out", selected(lambda name, p: p.ndim > 1 and name != "0.weight")),
    ("counted more than once", twice_if_shared),
    ("counted more than once", lambda net: [p for m in net.modules() for p in m.parameters()]),
]


def objective(net, X, y, lam, weights=weights_of, penalty=half_squares):
    return F.cross_entropy(net(X), y) + lam * penalty(weights(net))


def doing(answer, deed):
    """The answer, and something is done to its first argument besides."""

    def wrong(*given):
        value = answer(*given)
        deed(given[0])
        return value

    return wrong


for diagnosis, weights in CHOICES:
    wrong("weight_decay.objective", diagnosis)(lambda *given, w=weights: objective(*given, w))
for diagnosis, penalty in [
    ("no gradient", lambda weights: half_squares(weights).item()),
    ("not a finite number", lambda weights: sum((w**2).sum().sqrt() ** 2 for w in weights) / 2),
    (
        "frozen weights left out",
        lambda weights: half_squares(w for w in weights if w.requires_grad),
    ),
]:
    wrong("weight_decay.objective", diagnosis)(
        lambda *given, f=penalty: objective(*given, penalty=f)
    )
wrong("weight_decay.objective", "mode changed", lambda net, *given: objective(net.eval(), *given))
for diagnosis, deed in [
    ("mode not restored", nn.Module.train),
    ("network changed", nn.Module.zero_grad),
    ("network changed", lambda net: net.requires_grad_(True)),
    ("seed set inside", lambda net: torch.manual_seed(0)),
]:
    wrong("weight_decay.objective", diagnosis, doing(objective, deed))


@wrong("weight_decay.objective", "network changed")
def objective_backward(*given):
    value = objective(*given)
    value.backward(retain_graph=True)
    return value


@wrong("weight_decay.objective", "wrong value")
def objective_counts_bias_data(net, X, y, lam):
    biases = [p.data for p in net.parameters() if p.ndim < 2]
    return objective(net, X, y, lam) + lam * half_squares(biases)


# weight_decay.update ------------------------------------------------------------------------------


right("weight_decay.update")(lambda w, grad, lr, lam: w - lr * (grad + lam * w))
wrong("weight_decay.update", "wrong shape")(lambda w, g, lr, lam: (w - lr * (g + lam * w)).norm())
wrong("weight_decay.update", "wrong value")(lambda w, g, lr, lam: w - lr * (g + lam / 2 * w**2))
wrong("weight_decay.update", "not a finite number")(
    lambda w, g, lr, lam: w - lr * lam * (g / lam + w)
)


# weight_decay.optimizer ---------------------------------------------------------------------------


def biases_of(net):
    return [p for p in net.parameters() if p.ndim < 2]


def sgd(net, lr, lam, weights=weights_of, others=biases_of, **options):
    groups = [{"params": weights(net), "weight_decay": lam}, {"params": others(net)}]
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


@wrong("weight_decay.optimizer", "bias or scale decayed too")
def optimizer_by_name(net, lr, lam):
    weights = selected(lambda name, p: name.endswith("weight"))
    return sgd(net, lr, lam, weights, selected(lambda name, p: not name.endswith("weight")))


def groups(*of, **options):
    return lambda *given: sgd(*given, *of, **options)


wrong(
    "weight_decay.optimizer",
    "bias or scale decayed too",
    lambda *given: sgd(*given, weight_decay=given[2]),
)
for diagnosis, answer in [
    ("a parameter is missing", groups(selected(lambda name, p: p.ndim == 2))),
    ("a parameter is missing", groups(weights_of, selected(lambda name, p: p.ndim == 1))),
    ("a parameter is missing", groups(selected(lambda _, p: p.ndim > 1 and p.requires_grad))),
    ("a parameter twice", groups(twice_if_shared)),
    ("raises an exception", groups(weights_of, nn.Module.parameters)),
    ("wrong value", groups(maximize=True)),
    ("network changed", doing(sgd, lambda net: net.requires_grad_(True))),
    ("mode not restored", doing(sgd, nn.Module.eval)),
    ("seed set inside", doing(sgd, lambda net: torch.manual_seed(0))),
]:
    wrong("weight_decay.optimizer", diagnosis, answer)


# weight_decay.fix_loop ----------------------------------------------------------------------------


def epoch(net, train_iter, loss, optimizer, lam, weights=weights_of, times=1, **also):
    """Train an epoch in whatever mode the net is; do something else before and after each step."""
    total = count = 0
    for X, y in train_iter:
        for _ in range(times):
            optimizer.zero_grad()
            value = loss(net(X), y)
            (value + lam * half_squares(weights(net))).backward()
            also.get("before", as_it_is)(net)
            optimizer.step()
        also.get("after", as_it_is)(net, optimizer)
        total, count = total + value.item() * len(y), count + len(y)
    return total / count


def as_it_is(*_):
    """Do nothing."""


@wrong("weight_decay.fix_loop", "old gradients used")
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
def loop_with_a_closure(net, train_iter, loss, optimizer, lam):
    net.train()
    losses = []
    for X, y in train_iter:

        def objective_of_a_batch(X=X, y=y):
            optimizer.zero_grad()
            batch_loss = loss(net(X), y)
            losses.extend([batch_loss.item()] * len(y))
            (batch_loss + lam * half_squares(weights_of(net))).backward()

        optimizer.step(objective_of_a_batch)
    return sum(losses) / len(losses)


def adding_to_gradients(of):
    """Add λw to the gradients of `of(weights)`."""

    def loop(net, train_iter, loss, optimizer, lam):
        def add(net):
            for w in of(weights_of(net)):
                w.grad += lam * w.detach()

        return epoch(net.train(), train_iter, loss, optimizer, 0, lambda net: [], before=add)

    return loop


right("weight_decay.fix_loop")(adding_to_gradients(list))


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


wrong("weight_decay.fix_loop", "gradients pile up")(
    lambda net, *given: loop_as_given(net.train(), *given)
)


@wrong("weight_decay.fix_loop", "not in train mode")
def loop_sets_the_flag(net, *given):
    net.training = True
    return epoch(net, *given)


def own_step(net, optimizer):
    with torch.no_grad():
        for w in weights_of(net):
            w *= 0.9


def own_optimizer(net, train_iter, loss, optimizer, lam):
    return epoch(net.train(), train_iter, loss, torch.optim.SGD(net.parameters(), lr=0.1), lam)


def trained(**options):
    return lambda net, *given: epoch(net.train(), *given, **options)


for diagnosis, weights in CHOICES:
    wrong("weight_decay.fix_loop", diagnosis, trained(weights=weights))
wrong("weight_decay.fix_loop", "not one step for each batch", trained(times=2), own_optimizer)
wrong(
    "weight_decay.fix_loop", "more than the optimizer's step", trained(after=own_step),
    trained(after=lambda _, optimizer: optimizer.state.clear()),
    trained(after=lambda net, _: net.register_forward_hook(as_it_is)),
    lambda net, *given: epoch(net.train().requires_grad_(True), *given),
)  # fmt: skip
for diagnosis, answer in [
    ("not in train mode", lambda net, *given: epoch(net if net.training else net.train(), *given)),
    ("evaluation mode in between", trained(after=lambda net, _: net.eval())),
    ("more than one pass", lambda net, data, *given: (list(data), trained()(net, data, *given))[1]),
    ("net called twice for a batch", trained(before=lambda net: net(torch.zeros(2, 6).double()))),
    ("wrong value", trained(before=lambda net: nn.utils.clip_grad_norm_(net.parameters(), 0.1))),
    ("seed set inside", doing(trained(), lambda net: torch.manual_seed(0))),
]:
    wrong("weight_decay.fix_loop", diagnosis, answer)


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
    lambda a, t: (a.mean(0), t * a.std(0) / len(a) ** 0.5)
)
wrong("weight_decay.interval", "not two values")(lambda a, t: t * a.std(1) / a.shape[1] ** 0.5)
wrong("weight_decay.interval", "wrong value")(lambda a, t: (a.mean(1), (a.amax(1) - a.amin(1)) / 2))


# weight_decay.choose_lambda -----------------------------------------------------------------------


right("weight_decay.choose_lambda")(
    lambda lams, accuracy: max(zip(accuracy.mean(1).tolist(), lams, strict=True))[1]
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


wrong(
    "weight_decay.choose_lambda", "wrong value", lambda lams, a: lams[a[:, 0].argmax()],
    lambda lams, a: lams[-1], lambda lams, a: lams[a.median(1).values.argmax()],
)  # fmt: skip


@wrong("weight_decay.choose_lambda", "not an exact tie")
def choose_if_close(lams, accuracy):
    mean = accuracy.mean(1)
    return max(
        lam for lam, value in zip(lams, mean, strict=True) if torch.isclose(value, mean.max())
    )


# weight_decay.l1_step -----------------------------------------------------------------------------


@right("weight_decay.l1_step")
def l1_by_comparison(w, grad, lr, lam):
    slope = (w > 0).to(w.dtype) - (w < 0).to(w.dtype)
    return w - lr * grad - lr * lam * slope


wrong("weight_decay.l1_step", "not a finite number")(
    lambda w, g, lr, lam: w - lr * (g + lam * w / w.abs())
)
wrong(
    "weight_decay.l1_step", "wrong value", lambda w, g, lr, lam: w - lr * (g + lam * w.abs().sum()),
    lambda w, g, lr, lam: w - lr * (g + lam * (1e3 * w).tanh()),
)  # fmt: skip


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
    lambda w, t: w * F.relu(1 - t / w.abs())
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


wrong("weight_decay.early_stopping", "not two values")(lambda *given: stop_by_records(*given)[0])


@wrong("weight_decay.early_stopping", "a small gain does not count")
def stop_if_not_close(valid_loss, patience):
    best = stop = 1
    for stop, loss in enumerate(valid_loss, start=1):
        if loss < valid_loss[best - 1] and not math.isclose(
            loss, valid_loss[best - 1], rel_tol=1e-5
        ):
            best = stop
        if stop - best >= patience:
            break
    return best, stop


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


wrong("weight_decay.lambda_of_prior", "wrong value")(lambda noise, prior, n: noise**2 / (n * prior))

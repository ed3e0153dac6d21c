"""Checks of the exercises on weight decay."""

import copy

import torch
from torch import nn
from torch.nn.functional import cross_entropy, softshrink

from d2lutils.checks.base import (
    Wrong,
    expect,
    expect_close,
    number,
    returned,
    task,
    tensor,
    unchanged,
)

# What the checks share ----------------------------------------------------------------------------


def _between(low: float, high: float) -> float:
    return low + (high - low) * float(torch.rand(()))


def _weights(net: nn.Module) -> list[nn.Parameter]:
    """Return what is decayed: matrices and kernels, not biases, nor BatchNorm's scale and shift."""
    return [p for p in net.parameters() if p.ndim > 1]


def _half_squares(parameters) -> torch.Tensor:
    return sum(p.square().sum() for p in parameters) / 2


def _random_net(*layers: nn.Module) -> nn.Sequential:
    """Return the layers in double precision, no parameter at zero: a decayed bias must show."""
    net = nn.Sequential(*layers).double()
    for p in net.parameters():
        nn.init.normal_(p, mean=0.3, std=0.5)
    return net


class _Scale(nn.Module):
    """Multiplies by a parameter without dimensions."""

    def __init__(self):
        super().__init__()
        self.factor = nn.Parameter(torch.ones(()))

    def forward(self, X):
        return self.factor * X


def _nets() -> list[nn.Sequential]:
    """Return nets for X of shape (B, 6) and 3 classes: linear, deep, and one with a kernel."""
    width = int(torch.randint(4, 9, ()))
    return [
        _random_net(nn.Linear(6, 3)),
        _random_net(
            nn.Sequential(nn.Linear(6, width), nn.ReLU(), nn.Linear(width, width, bias=False)),
            *(_Scale(), nn.Tanh(), nn.Linear(width, 3)),
        ),
        _random_net(
            *(nn.Unflatten(1, (1, 2, 3)), nn.Conv2d(1, 4, 2), nn.BatchNorm2d(4), nn.ReLU()),
            *(nn.Flatten(), nn.Linear(8, 3)),
        ),
    ]


def _batch(size: int) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(size, 6, dtype=torch.float64), torch.randint(3, (size,))


def _pair(value: object, what: str) -> tuple:
    """Return the two values of an answer that must return two."""
    returned(value, what)
    expect(
        isinstance(value, (tuple, list)) and len(value) == 2,
        "not two values",
        "`{what}` should return two values, as in `return first, second`.",
        what=what,
    )
    return tuple(value)


def _expect_all(got: list, want: list, calls: list[str], suspects: dict) -> None:
    """Raise `Wrong` unless all results are right; a mistake is named if it explains all of them."""
    got, want = (torch.tensor(values, dtype=torch.float64) for values in (got, want))
    for diagnosis, (values, hint) in suspects.items():
        values = torch.tensor(values, dtype=torch.float64)
        if torch.allclose(got, values) and not torch.allclose(got, want):
            raise Wrong(diagnosis, hint)
    for ours, yours, call in zip(want, got, calls, strict=True):
        expect(
            torch.allclose(ours, yours),
            "wrong value",
            "`{call}` should give {want}; yours gives {got}.",
            call=call,
            want=_show(ours),
            got=_show(yours),
        )


def _show(values: torch.Tensor) -> str:
    return ", ".join(f"{x:g}" for x in values.reshape(-1).tolist())


_CUT_OFF = (
    "The value of `{what}` is cut off from the weights, so training cannot feel it. Stay with "
    "tensors all the way: no `.item()`, `.data`, `.detach()` or `torch.no_grad()`."
)


# The penalty and what is minimized ----------------------------------------------------------------


@task("weight_decay.penalty", "l2_penalty(w)")
def penalty(l2_penalty):
    """Check half the squared norm; its gradient is w, which is what makes it weight decay."""
    for shape, size in (((5,), 1), ((7, 3), 1), ((2, 3, 4), 1), ((1,), 1), ((3, 2), 0)):
        for dtype in (torch.float32, torch.float64):
            w = ((torch.randn(shape, dtype=dtype) + 0.5) * size).requires_grad_()
            with unchanged(w=w):
                value = l2_penalty(w)
            detached = w.detach()
            total = detached.square().sum()
            expect_close(
                number(value, "l2_penalty(w)"),
                total / 2,
                "l2_penalty(w)",
                suspects={
                    "mean instead of sum": (
                        total / 2 / w.numel(),
                        "You take the mean of the squares: the penalty then shrinks as the layer "
                        "grows. Take their sum.",
                    ),
                    "the half is missing": (total, "The sum of squares is right; halve it."),
                    "norm instead of its square": (
                        total.sqrt() / 2,
                        "‖w‖² is the sum of the squares; you took its root as well.",
                    ),
                    "sum squared instead of squares summed": (
                        detached.sum().square() / 2,
                        "Square each weight first, then sum: in your order weights of opposite "
                        "sign cancel.",
                    ),
                    "L1 instead of L2": (
                        detached.abs().sum() / 2,
                        "You sum the absolute values, which is the L1 norm. Sum the squares.",
                    ),
                },
            )
            expect(
                getattr(value, "requires_grad", False),
                "no gradient",
                _CUT_OFF,
                what="l2_penalty(w)",
            )
            (gradient,) = torch.autograd.grad(value, w, allow_unused=True)
            expect(gradient is not None, "no gradient", _CUT_OFF, what="l2_penalty(w)")
            expect(
                detached.any() or torch.isfinite(gradient).all(),
                "no slope at zero",
                "With w = 0 the gradient of `l2_penalty(w)` is not a finite number: a root has no "
                "slope there. Add up the squares, and take no root on the way.",
            )
            expect_close(gradient, detached, "the gradient of l2_penalty(w)")


@task("weight_decay.objective", "objective(net, X, y, lam)")
def objective(objective):
    """Check cross-entropy plus penalty, by its value and by the pull on each parameter."""
    call = "objective(net, X, y, lam)"
    for net in _nets():
        X, y = _batch(int(torch.randint(4, 12, ())))
        names, parameters = zip(*net.named_parameters(), strict=True)
        loss = cross_entropy(net(X), y)
        loss_gradients = torch.autograd.grad(loss, parameters)
        with unchanged(**dict(net.named_parameters())):
            value = objective(net, X, y, 0.0)
        expect_close(
            number(value, call),
            loss,
            "objective(net, X, y, 0)",
            suspects={
                "cross-entropy summed over the batch": (
                    loss * len(y),
                    "With λ = 0 only the cross-entropy is left, and yours grows with the batch. "
                    "Take the mean over the examples; only the penalty is a sum.",
                ),
                "softmax taken twice": (
                    cross_entropy(net(X).softmax(1), y),
                    "`cross_entropy` takes the outputs of the net as they are: it contains the "
                    "softmax.",
                ),
                "penalty without λ": (
                    loss + _half_squares(_weights(net)),
                    "With λ = 0 there must be no penalty left; yours is still there.",
                ),
            },
        )
        lam = _between(0.1, 0.9)
        with unchanged(**dict(net.named_parameters())):
            value = objective(net, X, y, lam)
        extra = number(value, call) - loss
        expect(
            all(p.grad is None for p in parameters),
            "backward called inside",
            "Only compute the value. Whoever calls `objective` takes its gradient.",
        )
        expect(
            abs(extra) > 1e-9,
            "no penalty",
            "With λ = {lam} your value is the cross-entropy alone. Add the penalty.",
            lam=f"{lam:.2f}",
        )
        expect(getattr(value, "requires_grad", False), "no gradient", _CUT_OFF, what=call)
        gradients = torch.autograd.grad(value, parameters, allow_unused=True)
        pulls = [
            torch.zeros_like(p) if g is None else g - ours
            for p, g, ours in zip(parameters, gradients, loss_gradients, strict=True)
        ]
        expect(any(pull.abs().max() > 1e-9 for pull in pulls), "no gradient", _CUT_OFF, what=call)
        for name, p, pull in zip(names, parameters, pulls, strict=True):
            _expect_pull(name, p.detach(), pull, lam, sum(w.numel() for w in _weights(net)))
        half = _half_squares(_weights(net))
        expect_close(extra, lam * half, "objective(net, X, y, lam) - cross_entropy(net(X), y)")


def _expect_pull(name: str, p: torch.Tensor, pull: torch.Tensor, lam: float, total: int) -> None:
    """Raise `Wrong` unless the penalty pulls at a weight by λw, and at nothing else."""
    if p.ndim < 2:
        expect(
            pull.abs().max() < 1e-9,
            "bias decayed too",
            "Your penalty pulls at `{name}`, which has fewer than two dimensions. Leave out biases "
            "and BatchNorm's scale and shift: take the parameters with `ndim` of 2 or more.",
            name=name,
        )
        return
    expect(
        pull.abs().max() > 1e-9,
        "a layer is left out",
        "Your penalty does not contain `{name}`. Take every parameter with two or more dimensions, "
        "in whatever layer it is, also in nested ones.",
        name=name,
    )
    expect_close(
        pull,
        lam * p,
        f"the gradient of the penalty at {name}",
        suspects={
            "mean instead of sum": (
                lam * p / p.numel(),
                "You take the mean over each weight tensor, so large layers are hardly decayed. "
                "Sum the squares of all weights.",
            ),
            "penalty without λ": (p, "λ plays no part in your penalty."),
            "mean over all weights": (
                lam * p / total,
                "You divide by the number of weights in the net. Sum the squares of all weights.",
            ),
            "the half is missing": (
                2 * lam * p,
                "The penalty is λ/2 times the sum of squares; yours is twice that.",
            ),
            "penalty subtracted": (
                -lam * p,
                "You subtract the penalty, so that large weights are rewarded. Add it.",
            ),
            "norm instead of its square": (
                lam * p / p.norm() / 2,
                "‖w‖² is the sum of the squares; you took its root as well.",
            ),
            "L1 instead of L2": (
                lam * p.sign(),
                "You sum the absolute values, which is the L1 penalty. Sum the squares, and halve.",
            ),
        },
    )


# The update ---------------------------------------------------------------------------------------


def _update_inputs():
    """Yield w, grad, lr, λ: several shapes and dtypes, weights of both signs and one at zero."""
    for shape in ((20,), (3, 5), (2, 3, 4)):
        for dtype in (torch.float32, torch.float64):
            w = torch.randn(shape, dtype=dtype) * 2
            w.view(-1)[:3] = torch.tensor([0.0, 1.7, -0.6])
            yield w, torch.randn(shape, dtype=dtype), _between(0.1, 0.6), _between(0.1, 0.8)


def _stepped(step, call, w, grad, lr, lam) -> torch.Tensor:
    """Return the new weight of an answer that must leave the old one alone."""
    with unchanged(w=w, grad=grad):
        new = tensor(step(w, grad, lr, lam), call, w.shape)
    expect(
        new.dtype == w.dtype,
        "dtype changed",
        "w is {want}, but what you return is {got}.",
        want=w.dtype,
        got=new.dtype,
    )
    return new


@task("weight_decay.update", "sgd_step(w, grad, lr, lam)")
def update(sgd_step):
    """Check one step against torch.optim.SGD."""
    call = "sgd_step(w, grad, lr, lam)"
    for w, grad, lr, lam in _update_inputs():
        reference = w.clone()
        reference.grad = grad
        torch.optim.SGD([reference], lr=lr, weight_decay=lam).step()
        expect_close(
            _stepped(sgd_step, call, w, grad, lr, lam),
            reference,
            call,
            suspects={
                "no decay": (
                    w - lr * grad,
                    "That is SGD without weight decay: λ plays no part. Add the gradient of "
                    "λ/2 ‖w‖² to the gradient.",
                ),
                "decay not scaled by lr": (
                    w - lr * grad - lam * w,
                    "You take λw off the weights in each step. The penalty's gradient is part of "
                    "the gradient, so the learning rate scales it too.",
                ),
                "weights grow": (
                    w - lr * grad + lr * lam * w,
                    "With no gradient from the loss your weights grow. Mind the sign of the decay.",
                ),
                "decay after the step": (
                    (1 - lr * lam) * (w - lr * grad),
                    "You shrink the weights that the step has already moved. Decay the weights "
                    "from before the step.",
                ),
                "decay twice too strong": (
                    w - lr * (grad + 2 * lam * w),
                    "The gradient of λ/2 ‖w‖² has no factor 2: the half cancels it.",
                ),
                "uphill": (
                    w + lr * (grad + lam * w),
                    "You walk up the gradient. A step goes against it.",
                ),
                "gradient decayed": (
                    w - lr * (1 - lam) * grad,
                    "You shrink the gradient. It is the weight that decays.",
                ),
            },
        )
        expect_close(
            _stepped(sgd_step, call, w, grad, lr, 0.0), w - lr * grad, "sgd_step(w, grad, lr, 0)"
        )


@task("weight_decay.optimizer", "make_optimizer(net, lr, lam)")
def optimizer(make_optimizer):
    """Check parameter groups by what three steps do to each parameter."""
    for net in _nets():
        next(net.parameters()).requires_grad_(False)  # it may learn again later
        lr, lam = _between(0.05, 0.3), _between(0.2, 0.8)
        with unchanged(**dict(net.named_parameters())):
            theirs = make_optimizer(net, lr, lam)
        returned(theirs, "make_optimizer(net, lr, lam)")
        expect(
            isinstance(theirs, torch.optim.SGD),
            "another optimizer" if isinstance(theirs, torch.optim.Optimizer) else "no optimizer",
            "`make_optimizer` should return a `torch.optim.SGD`; yours returns {kind}.",
            kind=type(theirs).__name__,
        )
        _expect_each_once(net, [p for group in theirs.param_groups for p in group["params"]])
        for group in theirs.param_groups:
            expect(
                group["lr"] == lr,
                "another learning rate",
                "lr is {want}, but one of your groups learns with {got}. Hand `lr` on to SGD.",
                want=f"{lr:.3f}",
                got=group["lr"],
            )
        rivals = _Rivals(net, lr, lam)
        for _ in range(3):
            for p in net.parameters():
                p.grad = torch.randn_like(p)
            rivals.step(net)
            theirs.step()
            for i, (name, p) in enumerate(net.named_parameters()):
                right, all_decayed, none_decayed = rivals.parameters(i)
                expect_close(
                    p,
                    right,
                    f"optimizer.step(); {name}",
                    suspects={
                        "bias decayed too": (
                            all_decayed,
                            "Biases, and BatchNorm's scale and shift, are decayed as well. Give "
                            "what has fewer than two dimensions a group with `weight_decay` 0.",
                        ),
                        "weights not decayed": (
                            none_decayed,
                            "There are weights that are not decayed. Every parameter with two or "
                            "more dimensions belongs to the group with `weight_decay=lam`.",
                        ),
                    },
                )


class _Rivals:
    """Copies of a net with optimizers that decay the weights, everything, and nothing."""

    def __init__(self, net, lr, lam):
        self.nets = [copy.deepcopy(net) for _ in range(3)]
        decays = (lambda p: lam * (p.ndim > 1), lambda p: lam, lambda p: 0.0)
        self.optimizers = [
            torch.optim.SGD(
                [{"params": [p], "weight_decay": decay(p)} for p in copied.parameters()], lr=lr
            )
            for copied, decay in zip(self.nets, decays, strict=True)
        ]

    def step(self, net):
        """Step all copies with the gradients of the net."""
        for copied, optimizer in zip(self.nets, self.optimizers, strict=True):
            for mine, p in zip(copied.parameters(), net.parameters(), strict=True):
                mine.grad = p.grad.clone()
            optimizer.step()

    def parameters(self, i):
        """Return parameter i of each copy."""
        return [list(net.parameters())[i] for net in self.nets]


def _expect_each_once(net: nn.Module, held: list) -> None:
    for name, p in net.named_parameters():
        times = sum(q is p for q in held)
        expect(
            times > 0,
            "a parameter is missing",
            "`{name}` is in none of the groups, so it never learns. Whatever is no weight needs a "
            "group too, and so does a parameter that is frozen for now.",
            name=name,
        )
        expect(
            times == 1,
            "a parameter twice",
            "`{name}` is in the groups {times} times, and would be updated as often.",
            name=name,
            times=times,
        )


# The loop -----------------------------------------------------------------------------------------


@task("weight_decay.fix_loop", "train_epoch(net, train_iter, loss, optimizer, lam)")
def fix_loop(train_epoch):
    """Check an epoch by the weights it leaves, the mode it trains in and the loss it reports."""
    _check_one_batch(train_epoch)
    _check_several_batches(train_epoch)


def _check_one_batch(train_epoch):
    """With one batch nothing can pile up or be averaged wrongly: see what pulls, and how much."""
    net, batches = _random_net(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3)), [_batch(7)]
    lr, lam = _between(0.1, 0.4), _between(0.2, 0.6)
    before = [p.detach().clone() for p in net.parameters()]
    loss = cross_entropy(net(batches[0][0]), batches[0][1])
    gradients = torch.autograd.grad(loss, list(net.parameters()))
    optimizer = torch.optim.SGD(net.parameters(), lr)
    reported = _run_epoch(train_epoch, net.eval(), batches, cross_entropy, optimizer, lam)
    after = [p.detach() for p in net.parameters()]
    expect(
        any((new - old).abs().max() > 1e-9 for new, old in zip(after, before, strict=True)),
        "not trained",
        "After your epoch all parameters are the old ones. Who takes the step?",
    )
    pulls = [
        (old - new) / lr - gradient
        for old, new, gradient in zip(before, after, gradients, strict=True)
    ]
    expect(
        any(pull.abs().max() > 1e-9 for pull in pulls),
        "no penalty",
        "You train on the loss alone. What is differentiated is loss plus penalty.",
    )
    for (name, _), old, pull in zip(net.named_parameters(), before, pulls, strict=True):
        _expect_pull(name, old, pull, lam, sum(w.numel() for w in _weights(net)))
    penalty = lam * _half_squares(w for w in before if w.ndim > 1)
    _expect_reported(reported, loss.detach()[None], penalty[None], torch.tensor([7.0]))


def _check_several_batches(train_epoch):
    """With several batches, the last one smaller, and momentum: see what the loop adds up."""
    net = _random_net(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3))
    batches, lam = [_batch(size) for size in (6, 6, 6, 2)], _between(0.2, 0.6)

    def smoothed(y_hat, y):
        return cross_entropy(y_hat, y, label_smoothing=0.2)

    def reference(loss=smoothed, fresh=True):
        copied = copy.deepcopy(net)
        sgd = torch.optim.SGD(copied.parameters(), lr=0.2, momentum=0.5)
        return _parameters(copied), _epoch(copied, batches, loss, sgd, lam, fresh)

    right, measured = reference()
    piled, unasked = reference(fresh=False)[0], reference(cross_entropy)[0]
    optimizer = torch.optim.SGD(net.parameters(), lr=0.2, momentum=0.5)
    net[1].eval()  # a part only, so that the net itself says that it is in train mode
    reported = _run_epoch(train_epoch, net, batches, smoothed, optimizer, lam)
    expect_close(
        torch.cat(_parameters(net)),
        torch.cat(right),
        "net.parameters()",
        suspects={
            "gradients pile up": (
                torch.cat(piled),
                "The gradients of earlier batches are still there in later steps, because "
                "`backward` adds to them. Clear them once per batch.",
            ),
            "another loss": (
                torch.cat(unasked),
                "You train with a loss of your own. Call the `loss` that was handed over.",
            ),
        },
    )
    _expect_reported(reported, *measured)


def _run_epoch(train_epoch, net, batches, loss, optimizer, lam) -> float:
    """Return what an answer reports for an epoch; raise `Wrong` unless it sets train mode."""
    modes = []
    hook = net.register_forward_pre_hook(lambda *_: modes.extend(m.training for m in net.modules()))
    reported = number(train_epoch(net, list(batches), loss, optimizer, lam), "train_epoch(…)")
    hook.remove()
    expect(
        all(modes),
        "not in train mode",
        "The net, or a part of it, came in evaluation mode, and you trained it so. Call "
        "`net.train()` first: it reaches every module in the net.",
    )
    return reported


def _epoch(net, batches, loss, optimizer, lam, fresh):
    """Train as asked for; return per batch the loss, the penalty and the number of examples."""
    rows = []
    for X, y in batches:
        if fresh:
            optimizer.zero_grad()
        batch_loss, penalty = loss(net(X), y), lam * _half_squares(_weights(net))
        (batch_loss + penalty).backward()
        optimizer.step()
        rows.append([batch_loss.item(), penalty.item(), len(y)])
    return torch.tensor(rows, dtype=torch.float64).T


def _parameters(net: nn.Module) -> list[torch.Tensor]:
    """Return the parameters as flat tensors, which go on changing with the net."""
    return [p.detach().flatten() for p in net.parameters()]


def _expect_reported(reported, losses, penalties, sizes) -> None:
    mean = (losses * sizes).sum() / sizes.sum()
    expect_close(
        reported,
        mean,
        "train_epoch(…)",
        suspects={
            "penalty inside the reported loss": (
                ((losses + penalties) * sizes).sum() / sizes.sum(),
                "What you report contains the penalty, so runs with different λ cannot be "
                "compared. Differentiate the sum of both, report the loss alone.",
            ),
            "the last batch counts too much": (
                losses.mean(),
                "You take the mean over the batches, but the last one is smaller. Weight each "
                "batch by its number of examples, and divide by the number of all.",
            ),
            "divided twice": (
                losses.sum() / sizes.sum(),
                "The loss of a batch is already a mean over its examples; you divide it by the "
                "number of examples once more. Multiply it by the batch's size first.",
            ),
            "sum instead of mean": (
                (losses * sizes).sum(),
                "You report the sum over all examples. Divide by their number.",
            ),
            "last batch only": (
                losses[-1],
                "You report the loss of the last batch only. Gather it over the epoch.",
            ),
        },
    )


# Choosing λ ---------------------------------------------------------------------------------------


@task("weight_decay.interval", "mean_and_interval(accuracy, t)")
def interval(mean_and_interval):
    """Check the mean over seeds and the half-width of its Student's t interval."""
    call = "mean_and_interval(accuracy, t)"
    for num_lams, num_seeds in ((4, 3), (2, 8), (6, 2), (1, 5)):
        accuracy = 0.5 + 0.4 * torch.rand(num_lams, num_seeds, dtype=torch.float64)
        t = _between(2.1, 4.5)
        with unchanged(accuracy=accuracy):
            mean, half = _pair(mean_and_interval(accuracy, t), call)
        mean = tensor(mean, "mean", (num_lams,))
        half = tensor(half, "half_width", (num_lams,))
        ours = accuracy.mean(1)
        error = accuracy.std(1) / num_seeds**0.5
        expect_close(
            mean,
            ours,
            "mean",
            suspects={
                "the ends of the interval": (
                    ours - t * error,
                    "You return where the interval begins. Return its middle, the mean, and how "
                    "far it reaches to either side.",
                ),
                "median instead of mean": (
                    accuracy.median(1).values,
                    "That is the median of the seeds; take their mean.",
                ),
            },
        )
        expect_close(
            half,
            t * error,
            "half_width",
            suspects={
                "spread instead of uncertainty": (
                    t * accuracy.std(1),
                    "That says how much single runs scatter. A mean of n runs scatters less, by "
                    "the factor √n.",
                ),
                "divided by n, not by n - 1": (
                    t * accuracy.std(1, correction=0) / num_seeds**0.5,
                    "The standard deviation of a few runs divides by n - 1: with n it is too small "
                    "on average.",
                ),
                "t is missing": (
                    error,
                    "That is the standard error, s/√n. For a 95 % interval multiply it by t.",
                ),
                "variance instead of standard deviation": (
                    t * accuracy.var(1) / num_seeds**0.5,
                    "You use the variance; its root is the standard deviation.",
                ),
                "divided by n instead of √n": (
                    t * accuracy.std(1) / num_seeds,
                    "The mean of n runs scatters less by the factor √n, not n.",
                ),
                "whole width": (
                    2 * t * error,
                    "That is the width of the whole interval; return the reach to one side.",
                ),
            },
        )


@task("weight_decay.choose_lambda", "choose_lambda(lams, valid_accuracy)")
def choose_lambda(choose_lambda):
    """Check the λ with the best mean over seeds, the larger one of a tie."""
    got, want, calls = [], [], []
    mistakes = {"index": [], "single": [], "tie": [], "near": [], "lowest": [], "accuracy": []}
    for round_ in range(24):
        num_lams, num_seeds = int(torch.randint(3, 7, ())), int(torch.randint(2, 6, ()))
        lams = tuple(0.0 if i == 0 else 0.0007 * 3.0**i for i in range(num_lams))
        # Multiples of 1/4096 have exact sums: then a tie is one in every order of adding up.
        accuracy = torch.randint(32, 60, (num_lams, num_seeds)) / 64
        best, other = accuracy.mean(1).argmax(), torch.randint(num_lams, ())
        if round_ % 3:
            accuracy[other] = accuracy[best].flip(0)
        if round_ % 3 == 2:
            accuracy[min(best, other), 0] += 1 / 4096  # nearly a tie, and the smaller λ is better
        with unchanged(valid_accuracy=accuracy):
            chosen = choose_lambda(lams, accuracy)
        call = f"choose_lambda({_rounded(lams)}, {_rounded(accuracy.tolist())})"
        got.append(number(chosen, "choose_lambda(lams, valid_accuracy)"))
        mean = accuracy.mean(1)
        tied = [i for i in range(num_lams) if mean[i] == mean.max()]
        want.append(lams[tied[-1]])
        calls.append(call)
        mistakes["index"].append(float(tied[-1]))
        mistakes["single"].append(lams[int(accuracy.amax(1).argmax())])
        mistakes["tie"].append(lams[tied[0]])
        near = dict(zip(lams, mean > mean.max() - 1e-3, strict=True)).get(got[-1])
        mistakes["near"].append(got[-1] if near else want[-1])
        mistakes["lowest"].append(lams[int(mean.argmin())])
        mistakes["accuracy"].append(mean.max().item())
    _expect_all(
        got,
        want,
        calls,
        {
            "index instead of λ": (
                mistakes["index"],
                "You return the place of the best λ in the list. Return the λ that stands there.",
            ),
            "accuracy instead of λ": (
                mistakes["accuracy"],
                "You return the best mean accuracy. Return the λ that reached it.",
            ),
            "best single run": (
                mistakes["single"],
                "You pick the λ of the luckiest run. Take the mean over the seeds first.",
            ),
            "smaller λ of a tie": (
                mistakes["tie"],
                "Where two λ have the same mean you take the smaller; the larger one was asked "
                "for.",
            ),
            "not an exact tie": (
                mistakes["near"],
                "You take the larger λ where two means are almost equal. Only exactly equal means "
                "are a tie; otherwise the higher one wins, by however little.",
            ),
            "worst λ": (mistakes["lowest"], "You take the lowest accuracy; take the highest."),
        },
    )


def _rounded(values) -> str:
    if isinstance(values, (tuple, list)):
        return "[" + ", ".join(_rounded(value) for value in values) + "]"
    return f"{values:.3g}"


# L1 and the Frobenius norm ------------------------------------------------------------------------


@task("weight_decay.l1_step", "l1_step(w, grad, lr, lam)")
def l1_step(l1_step):
    """Check one step under the L1 penalty against autograd, which takes 0 as the slope at 0."""
    call = "l1_step(w, grad, lr, lam)"
    for w, grad, lr, lam in _update_inputs():
        leaf = w.clone().requires_grad_()
        (slope,) = torch.autograd.grad(lam * leaf.abs().sum(), leaf)
        expect_close(
            _stepped(l1_step, call, w, grad, lr, lam),
            w - lr * (grad + slope),
            call,
            suspects={
                "L2 instead of L1": (
                    w - lr * (grad + lam * w),
                    "You pull at each weight in proportion to its size: that is L2. The slope of "
                    "|w| does not depend on the size of w.",
                ),
                "no penalty": (w - lr * grad, "λ plays no part in your step."),
                "decay not scaled by lr": (
                    w - lr * grad - lam * w.sign(),
                    "The penalty's gradient is part of the gradient: the learning rate scales it "
                    "too.",
                ),
                "weights grow": (
                    w - lr * (grad - lam * w.sign()),
                    "With no gradient from the loss your weights move away from zero. Mind the "
                    "sign.",
                ),
                "always downwards": (
                    w - lr * (grad + lam),
                    "You pull every weight down. A negative weight is pulled up, towards zero.",
                ),
                "|w| instead of its slope": (
                    w - lr * (grad + lam * w.abs()),
                    "You put |w| itself into the step; what belongs there is its derivative.",
                ),
                "sign of the gradient": (
                    w - lr * (grad + lam * grad.sign()),
                    "You take the sign of the gradient; the penalty depends on w alone.",
                ),
                "pulled at zero": (
                    w - lr * (grad + lam * torch.where(w >= 0, 1.0, -1.0).to(w.dtype)),
                    "At w = 0 your penalty still pulls. Take 0 as the slope of |w| there.",
                ),
                "pushed at zero": (
                    w - lr * (grad + lam * torch.where(w > 0, 1.0, -1.0).to(w.dtype)),
                    "At w = 0 your penalty still pulls. Take 0 as the slope of |w| there.",
                ),
            },
        )


@task("weight_decay.soft_threshold", "soft_threshold(w, t)")
def soft_threshold(soft_threshold):
    """Check the soft threshold against PyTorch's softshrink, also for weights within t of zero."""
    call = "soft_threshold(w, t)"
    for shape in ((40,), (6, 9), (2, 3, 5)):
        for dtype in (torch.float32, torch.float64):
            w, t = torch.randn(shape, dtype=dtype), _between(0.3, 0.9)
            w.view(-1)[:4] = torch.tensor([0.0, t / 2, -t / 2, -2 * t])
            with unchanged(w=w):
                out = tensor(soft_threshold(w, t), call, shape)
            small = w.abs() <= t
            expect_close(
                out,
                softshrink(w, t),
                call,
                suspects={
                    "crosses zero": (
                        w - t * w.sign(),
                        "A weight whose size is less than t jumps to the other side of zero. It "
                        "should stop at zero.",
                    ),
                    "hard threshold": (
                        w.masked_fill(small, 0),
                        "Small weights become zero, but the others stay as they were. They, too, "
                        "move by t towards zero.",
                    ),
                    "small weights stay": (
                        torch.where(small, w, w - t * w.sign()),
                        "Weights whose size is at most t should become exactly zero; yours stay.",
                    ),
                    "sign lost": (
                        (w.abs() - t).clamp(min=0),
                        "Negative weights come out positive. Give each its own sign back.",
                    ),
                    "negative weights become zero": (
                        (w - t).clamp(min=0),
                        "Every negative weight becomes zero. One below -t moves up by t.",
                    ),
                    "clipped": (
                        w.clamp(-t, t),
                        "You cut off what is larger than t. Take t off each size instead, and stop "
                        "at zero.",
                    ),
                },
            )
            expect_close(soft_threshold(w, 0.0), w, "soft_threshold(w, 0)")


@task("weight_decay.frobenius", "squared_frobenius(W)")
def frobenius(squared_frobenius):
    """Check tr(WᵀW) against torch.linalg, on tall, wide and square matrices."""
    for shape in ((5, 5), (4, 7), (7, 4), (1, 6), (6, 1)):
        for dtype in (torch.float32, torch.float64):
            W = torch.randn(shape, dtype=dtype) + 0.3
            with unchanged(W=W):
                value = number(squared_frobenius(W), "squared_frobenius(W)")
            norm, product = torch.linalg.matrix_norm(W), W.T @ W
            suspects = {
                "root taken": (
                    norm,
                    "That is ‖W‖, the root. Asked for is the squared norm.",
                ),
                "all entries of the product": (
                    product.sum(),
                    "You sum all entries of the product. Its diagonal holds the squared lengths "
                    "of the columns; what stands beside it does not belong to the norm.",
                ),
                "spectral norm": (
                    torch.linalg.matrix_norm(W, 2) ** 2,
                    "That is the square of the spectral norm, the largest singular value. The "
                    "squared Frobenius norm adds up the squares of all singular values.",
                ),
                "mean instead of sum": (
                    W.square().mean(),
                    "You take the mean of the squared entries; take their sum.",
                ),
                "halved": (norm**2 / 2, "The norm itself has no ½: that belongs to the penalty."),
                "sum squared instead of squares summed": (
                    W.sum() ** 2,
                    "Square each entry first, then sum.",
                ),
            }
            if shape[0] == shape[1]:
                suspects["not transposed"] = (
                    (W @ W).trace(),
                    "tr(WW) multiplies each entry with its mirror image across the diagonal. One "
                    "of the two factors is transposed.",
                )
            expect_close(value, norm**2, "squared_frobenius(W)", suspects=suspects)


# Other ways, and beliefs --------------------------------------------------------------------------


@task("weight_decay.early_stopping", "early_stopping(valid_loss, patience)")
def early_stopping(early_stopping):
    """Check the epoch to keep and the epoch at which training stops, on many loss curves."""
    call = "early_stopping(valid_loss, patience)"
    cases = [(_curve(), patience) for patience in (1, 2, 3, 5) for _ in range(8)]
    names, got = ("best_epoch", "stop_epoch"), []
    for losses, patience in cases:
        given = list(losses)
        answer = _pair(early_stopping(given, patience), call)
        expect(
            given == losses,
            "input changed in place",
            "Your code changed `valid_loss`, which belongs to the caller.",
        )
        got.append([number(value, name) for value, name in zip(answer, names, strict=True)])
    want = [_stop(*case) for case in cases]
    whole = [_stop(losses, len(losses)) for losses, _ in cases]
    _expect_all(
        got,
        want,
        [f"early_stopping({_rounded(losses)}, {patience})" for losses, patience in cases],
        {
            "epochs counted from 0": (
                [[best - 1, stop - 1] for best, stop in want],
                "Your epochs begin at 0; the first one is epoch 1.",
            ),
            "the two swapped": (
                [[stop, best] for best, stop in want],
                "Return the epoch to keep first, then the epoch at which training stops.",
            ),
            "keeps the last epoch": (
                [[stop, stop] for _, stop in want],
                "You keep the weights of the epoch at which training stopped. Keep those of the "
                "epoch with the lowest loss so far.",
            ),
            "never stops": (
                whole,
                "You look at the whole curve. Training stops as soon as `patience` epochs in a "
                "row were no better than the best; nobody sees what would have come after.",
            ),
            "looks past the stop": (
                [[best, stop] for (best, _), (_, stop) in zip(whole, want, strict=True)],
                "The epoch you keep can lie after the stop, where nothing was trained any more.",
            ),
            "stops one epoch late": (
                [_stop(losses, patience + 1) for losses, patience in cases],
                "You wait for one epoch more than `patience` says.",
            ),
            "a tie counts as better": (
                [_stop(*case, tie=True) for case in cases],
                "An epoch with the same loss as the best is no improvement: keep the earlier one, "
                "and go on counting.",
            ),
            "compared with the epoch before": (
                [_stop(*case, against_last=True) for case in cases],
                "You compare each epoch with the one before. Compare with the best so far.",
            ),
            "count never reset": (
                [_stop(*case, reset=False) for case in cases],
                "You count all epochs without an improvement. A new best starts the count anew.",
            ),
        },
    )


def _curve() -> list[float]:
    """Return a loss that falls and then rises, unevenly, in exact steps: ties are ties."""
    falls = torch.randint(-4, 3, (int(torch.randint(1, 12, ())),))
    rises = torch.randint(-2, 4, (int(torch.randint(0, 8, ())),))
    return (3 + torch.cat([falls, rises]).cumsum(0) / 16).tolist()


def _stop(losses, patience, *, tie=False, against_last=False, reset=True) -> list[int]:
    """Return the epoch to keep and the last one trained; the options are usual mistakes."""
    best, bad = 1, 0
    for epoch in range(2, len(losses) + 1):
        loss, rival = losses[epoch - 1], losses[(epoch - 1 if against_last else best) - 1]
        if loss < rival or (tie and loss == rival):
            bad = 0 if reset else bad
        else:
            bad += 1
        if loss < losses[best - 1] or (tie and loss == losses[best - 1]):
            best = epoch
        if bad == patience:
            return [best, epoch]
    return [best, len(losses)]


@task("weight_decay.lambda_of_prior", "lambda_of_prior(noise_std, prior_std, num_examples)")
def lambda_of_prior(lambda_of_prior):
    """Check the λ at which the most probable weights of a random problem are the minimum."""
    for _ in range(4):
        noise_std, prior_std = _between(0.2, 0.8), _between(1.2, 3.0)
        num_examples = int(torch.randint(12, 60, ()))
        X = torch.randn(num_examples, 5, dtype=torch.float64)
        y = X @ torch.randn(5, dtype=torch.float64) + noise_std * torch.randn(num_examples)
        precision = X.T @ X / noise_std**2 + torch.eye(5) / prior_std**2
        w = torch.linalg.solve(precision, X.T @ y / noise_std**2)
        # Where the objective is lowest, the gradient of the loss and λw cancel.
        gradient = X.T @ (X @ w - y) / num_examples
        lam = -(gradient @ w) / (w @ w)
        expect_close(
            number(
                lambda_of_prior(noise_std, prior_std, num_examples),
                "lambda_of_prior(noise_std, prior_std, num_examples)",
            ),
            lam,
            f"lambda_of_prior({noise_std:.3f}, {prior_std:.3f}, {num_examples})",
            atol=0.0,
            suspects={
                "number of examples missing": (
                    lam * num_examples,
                    "That λ fits a loss that is summed over the examples. Ours is a mean, so the "
                    "belief weighs less the more examples there are.",
                ),
                "multiplied by the number of examples": (
                    lam * num_examples**2,
                    "With more examples a belief should matter less, and your λ grows.",
                ),
                "standard deviations not squared": (
                    noise_std / prior_std / num_examples,
                    "The logarithm of a normal density contains the variance: both standard "
                    "deviations are squared.",
                ),
                "noise missing": (
                    lam / noise_std**2,
                    "Your λ does not depend on the noise. The noisier the labels, the less they "
                    "say against the belief.",
                ),
                "upside down": (
                    (prior_std / noise_std) ** 2 / num_examples,
                    "A narrower prior is a stronger belief, so its λ is larger; yours is smaller.",
                ),
                "the inverse": (
                    1 / lam,
                    "That is 1/λ. Divide the negative log-posterior so that the mean of "
                    "½ (y - ŷ)² stands alone, and read off what stands before ½ ‖w‖².",
                ),
                "the half counted twice": (
                    lam / 2,
                    "Our penalty is λ/2 ‖w‖²: the half is already there.",
                ),
                "the half is missing": (
                    2 * lam,
                    "Our penalty is λ/2 ‖w‖², with a half, and so is the loss: they cancel.",
                ),
            },
        )

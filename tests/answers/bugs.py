"""Answers to the lab on the defects of the original notebook."""

import copy
import math
import random

import torch
from torch import nn
from torch.nn.functional import cross_entropy

import d2lutils as d2l
from tests.answers import right, wrong

# bugs.report --------------------------------------------------------------------------------------


@right("bugs.report")
def report_tensors(log):
    objectives, penalties, sizes = torch.tensor(log).T
    return ((objectives - penalties) * sizes).sum() / sizes.sum()


@right("bugs.report")
def report_repeated(log):
    losses = [objective - penalty for objective, penalty, size in log for _ in range(size)]
    return sum(losses) / len(losses)


wrong("bugs.report", "wrong value")(lambda log: report_tensors(log) - sum(p for _, p, _ in log))
wrong("bugs.report", "not one number")(lambda log: [o - p for o, p, _ in log])


@wrong("bugs.report", "input changed in place")
def report_pops(log):
    total, count = 0.0, 0
    while log:
        objective, penalty, size = log.pop()
        total, count = total + (objective - penalty) * size, count + size
    return total / count


# bugs.evaluate ------------------------------------------------------------------------------------


def step(net, X, y, optimizer):
    optimizer.zero_grad()
    cross_entropy(net(X), y).backward()
    optimizer.step()


def accuracy_of(net, data_iter):
    hits = sum((net(X).argmax(1) == y).sum().item() for X, y in data_iter)
    return hits / sum(len(y) for _, y in data_iter)


@right("bugs.evaluate")
def evaluate_by_train(net, train_iter, valid_iter, optimizer, num_epochs):
    history = d2l.train(net, train_iter, valid_iter, cross_entropy, optimizer, num_epochs)
    return history.valid_accuracy


@right("bugs.evaluate")
def evaluate_by_hand(net, train_iter, valid_iter, optimizer, num_epochs):
    curve = torch.zeros(num_epochs)
    for epoch in range(num_epochs):
        for X, y in train_iter:
            net.train()
            step(net, X, y, optimizer)
        curve[epoch] = d2l.evaluate(net, valid_iter, cross_entropy)[1]
    return curve


@right("bugs.evaluate")
def evaluate_inference_mode(net, train_iter, valid_iter, optimizer, num_epochs):
    def measure():
        with torch.inference_mode():
            X, y = (torch.cat(parts) for parts in zip(*valid_iter, strict=True))
            return (net.eval()(X).argmax(1) == y).float().mean()

    def epoch():
        net.train()
        for X, y in train_iter:
            step(net, X, y, optimizer)
        return measure()

    return [epoch() for _ in range(num_epochs)]


def evaluate(net, train_iter, valid_iter, optimizer, num_epochs, clear="before", **how):
    """Train and measure; `how` holds what is not as usual."""
    curve = []
    for _ in range(num_epochs):
        how.get("on", nn.Module.train)(net)
        for X, y in train_iter:
            if clear == "before":
                optimizer.zero_grad()
            cross_entropy(net(X), y).backward()
            optimizer.step()
            if clear == "after":
                optimizer.zero_grad()
        how.get("off", nn.Module.eval)(net)
        with torch.set_grad_enabled("gradients" in how):
            curve.append(accuracy_of(how.get("measured", lambda net: net)(net), valid_iter))
    how.get("at_last", lambda *_: None)(net, optimizer)
    return curve


def evaluation(**how):
    return lambda *run: evaluate(*run, **how)


def at_last(deed):
    return evaluation(at_last=deed)


def as_it_is(net):
    """Leave the net in the mode in which it is."""


def flag(training):
    """Set the mode of the outermost module alone."""
    return lambda net: setattr(net, "training", training)


def with_another_optimizer(net, train_iter, valid_iter, optimizer, num_epochs):
    own = torch.optim.SGD(net.parameters(), optimizer.param_groups[0]["lr"])
    return evaluate(net, train_iter, valid_iter, own, num_epochs)


def train_if(net):
    if not net.training:
        net.train()


def dropout_layers(change):
    """Do something to each of them."""
    return lambda net: [change(part) for part in net.modules() if isinstance(part, nn.Dropout)]


def p_of(p):
    return lambda net: (net.train(p > 0), dropout_layers(lambda part: setattr(part, "p", p))(net))


def children_off(net):
    for child in net.children():
        child.eval()


right("bugs.evaluate")(evaluation(off=as_it_is, measured=lambda net: copy.deepcopy(net).eval()))


@right("bugs.evaluate")
def evaluate_without_requires_grad(net, *run):
    learns = [p for p in net.parameters() if p.requires_grad]

    def learn(flag):
        return lambda net, *_: [net.train(flag), *(p.requires_grad_(flag) for p in learns)]

    on, off = learn(True), learn(False)
    return evaluate(net, *run, on=on, off=off, gradients=True, at_last=on)


wrong(
    "bugs.evaluate", "measured with dropout on", evaluation(off=as_it_is),
    evaluation(off=flag(False)), evaluation(on=flag(True), off=flag(False)),
    evaluation(off=dropout_layers(nn.Module.eval)), evaluation(off=children_off),
)  # fmt: skip
wrong(
    "bugs.evaluate", "trained with dropout off", evaluation(on=flag(True)), evaluation(on=train_if),
    lambda net, *run: evaluate(net.train(), *run, on=as_it_is),
)  # fmt: skip
wrong("bugs.evaluate", "gradients while measuring", evaluation(gradients=True))
wrong("bugs.evaluate", "trained differently", with_another_optimizer, evaluation(clear="after"))
wrong(
    "bugs.evaluate", "more changed than the weights",
    evaluation(on=lambda net: net.train().requires_grad_(True)),
    evaluation(on=p_of(0.5), off=p_of(0.0)),
    at_last(lambda net, _: net.requires_grad_(False)),
    at_last(lambda net, _: net.register_forward_hook(lambda *_: None)),
    at_last(lambda _, optimizer: optimizer.param_groups[0].update(lr=0.0)),
)  # fmt: skip
wrong("bugs.evaluate", "seed set inside", at_last(lambda *_: torch.manual_seed(0)))
wrong(
    "bugs.evaluate", "setting of torch not restored",
    at_last(lambda *_: torch.set_grad_enabled(False)),
)  # fmt: skip
wrong("bugs.evaluate", "wrong type returned", lambda *run: evaluate(*run)[-1])
wrong("bugs.evaluate", "never measured", lambda net, data, _, *run: evaluate(net, data, data, *run))
wrong(
    "bugs.evaluate", "not one pass for each epoch",
    lambda net, data, *run: evaluate(net, list(data), *run),
)  # fmt: skip


# bugs.penalty -------------------------------------------------------------------------------------


def weighted(groups, of):
    return sum(group["weight_decay"] / 2 * of(w) for group in groups for w in group["params"])


right("bugs.penalty")(lambda groups: weighted(groups, lambda w: w.norm() ** 2))


@right("bugs.penalty")
def penalty_flat(groups):
    parts = [
        group["weight_decay"] ** 0.5 * w.flatten() for group in groups for w in group["params"]
    ]
    everything = torch.cat(parts)
    return everything @ everything / 2


# The gradient is what is asked for:
right("bugs.penalty")(lambda groups: weighted(groups, lambda w: 2 * (w.detach() * w).sum()))
for diagnosis, of in [
    ("no gradient", lambda w: (w**2).sum().item()),
    ("not a finite number", lambda w: (w**2).sum().sqrt() ** 2),
    ("halved twice", lambda w: (w * w.detach()).sum()),
    ("wrong value", lambda w: w.abs().sum()),
    ("input changed in place", lambda w: w.data.pow_(2).sum()),
    ("parameters changed", lambda w: (w.requires_grad_() ** 2).sum()),
]:
    wrong("bugs.penalty", diagnosis)(lambda groups, of=of: weighted(groups, of))
wrong("bugs.penalty", "wrong value", lambda groups: penalty_flat(groups[:1]))
wrong(
    "bugs.penalty", "input changed in place", lambda g: penalty_flat(g) + g[0].pop("weight_decay")
)


@wrong("bugs.penalty", "parameters changed")
def penalty_backward(groups):
    value = penalty_flat(groups)
    value.backward(retain_graph=True)
    return value


# bugs.init ----------------------------------------------------------------------------------------


def linears(net):
    return [layer for layer in net if isinstance(layer, nn.Linear)]


@right("bugs.init")
def init_kaiming(net):
    for layer in linears(net):
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        nn.init.zeros_(layer.bias)
    return net


@right("bugs.init")
def init_by_hand(net):
    def start(layer):
        if isinstance(layer, nn.Linear):
            layer.weight.data = torch.randn_like(layer.weight) * (2 / layer.in_features) ** 0.5
            layer.bias.data.zero_()

    return net.apply(start)


@right("bugs.init")
def init_uniform(net):
    with torch.no_grad():
        for layer in linears(net):
            reach = (6 / layer.weight.shape[1]) ** 0.5
            layer.weight.uniform_(-reach, reach)
            layer.bias.fill_(0)
    return net


def init_but_one(k):
    """Keep the weights with which PyTorch makes one of the layers."""

    def init(net):
        kept = linears(net)[k].weight.detach().clone()
        init_kaiming(net)
        linears(net)[k].weight.data = kept
        return net

    return init


def init_of_a_generator(net):
    start = torch.Generator().manual_seed(0)
    for layer in linears(init_kaiming(net)):
        layer.weight.data.normal_(std=(2 / layer.in_features) ** 0.5, generator=start)
    return net


@right("bugs.init")
def init_entry_by_entry(net):
    for layer in linears(init_kaiming(net)):
        for row in layer.weight.data:
            for i in range(len(row)):
                row[i] = random.gauss(0, (2 / len(row)) ** 0.5)
    return net


def init_by(start):
    """Start the weights of each layer by a function of them and of He's standard deviation."""

    def init(net):
        for layer in linears(net):
            with torch.no_grad():
                start(layer.weight, (2 / layer.in_features) ** 0.5)
            nn.init.zeros_(layer.bias)
        return net

    return init


def as_after_tanh(weight, std):
    weight.normal_(std=5 / 3 / weight.shape[1] ** 0.5)


def as_if(mean_square):
    """Take something else for what a ReLU leaves of the mean square."""
    return lambda weight, std: weight.normal_(std=std * (0.5 / mean_square) ** 0.5)


@right("bugs.init")
@torch.no_grad()
def init_measured(net):
    X = torch.randn(2000, linears(net)[0].in_features)
    for layer in net:
        if isinstance(layer, nn.Linear):
            layer.bias.zero_()
            layer.weight.normal_()
            layer.weight /= layer(X).std()
        X = layer(X)
    return net


right("bugs.init")(init_by(lambda weight, std: weight.bernoulli_().mul_(2).sub_(1).mul_(std)))
wrong(
    "bugs.init", "the signal fades", init_but_one(0), init_but_one(-1),
    init_by(lambda weight, std: None),
    init_by(lambda weight, std: weight.mul_(6**0.5)),
    init_by(lambda weight, std: nn.init.trunc_normal_(weight, 0, std, -2 * std, 2 * std)),
    init_by(lambda weight, std: nn.init.orthogonal_(weight, 2**0.5)),
)  # fmt: skip
wrong(
    "bugs.init", "the signal grows", init_by(as_after_tanh), init_by(as_if(0.5 - 0.5 / math.pi)),
    init_by(as_if((2 * math.pi) ** -0.5)),
    init_by(lambda weight, std: weight.uniform_(0, std * 3**0.5)),
    init_by(lambda weight, std: nn.init.xavier_uniform_(weight, 2**0.5)),
)  # fmt: skip
wrong("bugs.init", "dtype changed", lambda net: init_kaiming(net.double()))
wrong("bugs.init", "the same start every time", init_of_a_generator)
wrong("bugs.init", "seed set inside", lambda net: (torch.manual_seed(0), init_kaiming(net))[1])
wrong("bugs.init", "mode changed", lambda net: init_kaiming(net).train())


wrong("bugs.init", "all units alike", init_by(lambda weight, std: weight.fill_(std)))


@wrong("bugs.init", "biases not zero")
def init_leaves_biases(net):
    for layer in linears(net):
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    return net


@wrong("bugs.init", "parameters replaced")
def init_new_layers(net):
    for i, layer in enumerate(net):
        if isinstance(layer, nn.Linear):
            net[i] = nn.Linear(layer.in_features, layer.out_features)
    return init_kaiming(net)


@wrong("bugs.init", "nothing returned")
def init_returns_nothing(net):
    init_kaiming(net)


wrong("bugs.init", "another object returned")(lambda net: init_kaiming(copy.deepcopy(net)))
wrong("bugs.init", "parameters do not learn")(lambda net: init_kaiming(net.requires_grad_(False)))


# bugs.same_start ----------------------------------------------------------------------------------


def layers(params, net):
    return zip(linears(net), params[0::2], params[1::2], strict=True)


@right("bugs.same_start")
def start_by_state(params, net):
    values = [p.T if p.ndim == 2 else p for p in params]
    net.load_state_dict(dict(zip(net.state_dict(), values, strict=True)))
    return net


@right("bugs.same_start")
def start_by_data(params, net):
    for target, source in zip(net.parameters(), params, strict=True):
        target.data = source.detach().t().clone()
    return net


@wrong("bugs.same_start", "parameters replaced")
def start_new_parameters(params, net):
    for layer, W, b in layers(params, net):
        layer.weight = nn.Parameter(W.detach().T.clone())
        layer.bias = nn.Parameter(b.detach().clone())
    return net


@wrong("bugs.same_start", "transpose forgotten")
@torch.no_grad()
def start_no_transpose(params, net):
    for layer, W, b in layers(params, net):
        layer.weight.copy_(W)
        layer.bias.copy_(b)
    return net


@wrong("bugs.same_start", "copied the wrong way round")
@torch.no_grad()
def start_backwards(params, net):
    for layer, W, b in layers(params, net):
        W.copy_(layer.weight.T)
        b.copy_(layer.bias)
    return net


@wrong("bugs.same_start", "wrong value")
@torch.no_grad()
def start_redrawn(params, net):
    for layer, W, _ in layers(params, net):
        nn.init.normal_(layer.weight, W.mean(), W.std())
    return net


@wrong("bugs.same_start", "raises an exception")
def start_without_no_grad(params, net):
    for layer, W, b in layers(params, net):
        layer.weight.copy_(W.T)
        layer.bias.copy_(b)
    return net


def starting(deed):
    """The right answer, and then something is done to the matrices and the net."""
    return lambda params, net: (start_by_state(params, net), deed(params, net))[0]


wrong(
    "bugs.same_start", "parameters do not learn", starting(lambda _, net: net.requires_grad_(False))
)
wrong("bugs.same_start", "mode changed", starting(lambda _, net: net.eval()))
wrong(
    "bugs.same_start", "`params` changed", starting(lambda params, _: params.pop()),
    starting(lambda params, _: [p.requires_grad_(False) for p in params]),
)  # fmt: skip


# bugs.fair_comparison -----------------------------------------------------------------------------


@right("bugs.fair_comparison")
def compare_helper(settings, seeds, make_net, fit):
    def run(setting, seed):
        d2l.set_seed(seed)
        return fit(make_net(), setting)

    return {setting: [run(setting, seed) for seed in seeds] for setting in settings}


@right("bugs.fair_comparison")
def compare_copies(settings, seeds, make_net, fit):
    results = {setting: [] for setting in settings}
    for seed in seeds:
        torch.manual_seed(seed)
        fresh, state = make_net(), torch.get_rng_state()
        for setting in settings:
            torch.set_rng_state(state)
            results[setting].append(fit(copy.deepcopy(fresh), setting))
    return results


@wrong("bugs.fair_comparison", "goes on from used weights")
def compare_copies_of_the_used(settings, seeds, make_net, fit):
    results = {setting: [] for setting in settings}
    for seed in seeds:
        d2l.set_seed(seed)
        net = make_net()
        for setting in settings:
            d2l.set_seed(seed)
            net = copy.deepcopy(net)
            results[setting].append(fit(net, setting))
    return results


def changed(of):
    """The right answer, with what `of` makes of the results of a setting."""
    return lambda *given: {s: of(values) for s, values in compare_helper(*given).items()}


@wrong("bugs.fair_comparison", "goes on from used weights")
def compare_trains_twice(settings, seeds, make_net, fit):
    return compare_helper(settings, seeds, make_net, lambda *run: (fit(*run), fit(*run))[1])


for diagnosis, of in [
    ("not one result for each seed", sum),
    ("results in another order", sorted),
    ("results in another order", lambda values: values[::-1]),
    ("results in another order", lambda values: values[:1] * len(values)),
]:
    wrong("bugs.fair_comparison", diagnosis, changed(of))
wrong(
    "bugs.fair_comparison", "results of another setting",
    lambda settings, *run: dict.fromkeys(settings, compare_helper(settings, *run)[settings[0]]),
)  # fmt: skip
wrong(
    "bugs.fair_comparison", "not one entry for each setting",
    lambda *run: [*compare_helper(*run).values()],
    lambda *run: {str(setting): values for setting, values in compare_helper(*run).items()},
)  # fmt: skip
wrong(
    "bugs.fair_comparison", "starts differ",
    lambda settings, seeds, make, fit: {s: [fit(make(), s) for _ in seeds] for s in settings},
)  # fmt: skip
wrong("bugs.fair_comparison", "gradients off in `fit`", torch.no_grad()(compare_helper))
wrong("bugs.fair_comparison", "results of another setting", changed(lambda v: [None, *v][: len(v)]))


# bugs.choose --------------------------------------------------------------------------------------


@right("bugs.choose")
def choose_loop(settings, validate, test):
    best, highest = None, -1.0
    for setting in settings:
        accuracy = validate(setting)
        if accuracy > highest:
            best, highest = setting, accuracy
    return [best, torch.tensor(test(best))]


@right("bugs.choose")
def choose_sorted(settings, validate, test):
    accuracies = torch.tensor([validate(setting) for setting in settings])
    chosen = settings[accuracies.argmax()]
    return chosen, test(chosen)


@wrong("bugs.choose", "test set opened more than once")
def choose_tests_all(settings, validate, test):
    tests = {setting: test(setting) for setting in settings}
    best = max(settings, key=validate)
    return best, tests[best]


@wrong("bugs.choose", "another one is better")
def choose_overlooks_zero(settings, validate, test):
    best = highest = None
    for setting in settings:
        accuracy = validate(setting)
        if not best or accuracy > highest:
            best, highest = setting, accuracy
    return best, test(best)


def choosing(pick):
    """An answer that picks by the settings and `validate`."""

    def choose(settings, validate, test):
        best = pick(settings, validate)
        return best, test(best)

    return choose


wrong(
    "bugs.choose", "another one is better", choosing(lambda settings, _: settings[0]),
    choosing(lambda settings, _: max(settings)),
    choosing(lambda settings, validate: max(settings, key=lambda s: round(validate(s), 6))),
)  # fmt: skip
wrong("bugs.choose", "not a pair", lambda *given: choose_sorted(*given)[1])
wrong(
    "bugs.choose", "not a setting", lambda *given: choose_sorted(*given)[::-1],
    lambda settings, *given: (settings.index(choose_sorted(settings, *given)[0]), 0.5),
)  # fmt: skip

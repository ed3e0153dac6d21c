"""Claims of the chapter dropout. They run the code of the pages themselves."""

import functools

import numpy as np

from tests.claims.claim import SEEDS, Claim, Measured, end, page

SCRATCH, CONCISE = "dropout/from_scratch", "dropout/concise"
_LAYER = ("imports", "dropout", "mlp", "setup", "fit")

# from_scratch


@functools.cache
def _pair(label_noise):
    """Both settings, three seeds, as on the page: by label, a list of (history, measured)."""
    names = page(SCRATCH, *_LAYER)
    return {p: [names["fit"](p, seed, label_noise) for seed in SEEDS] for p in (0, 0.3)}


def _end(label_noise, p, name):
    return lambda seed: _pair(label_noise)[p][seed][1][name]


def _verdict(label_noise, ours, theirs):
    """1 if the page's comparison is above zero, -1 if it is below, 0 if it cannot tell."""
    values = [
        [measured[name] for _, measured in _pair(label_noise)[p]]
        for p, name in ((0.3, ours), (0, theirs))
    ]
    return _sign(page(SCRATCH, *_LAYER)["d2l"].compare(*values))


def _sign(comparison):
    return {"above": 1, "below": -1, "cannot tell": 0}[comparison.verdict]


def _right_labels(seed):
    names = page(SCRATCH, *_LAYER)
    _, train_iter, *_ = names["setup"](0, 0, label_noise=0.4, num_epochs=1, seed=seed)
    return (train_iter.labels == train_iter.clean_labels).float().mean().item()


def _map():
    return page(SCRATCH, "imports", "sweep")["result"]


def _on_map(metric, p1, p2):
    return end(_map, metric, p1=p1, p2=p2)


def _best_on_map(seed):
    """Validation accuracy in the best epoch of the corner without dropout."""
    return _map().valid_accuracy.sel(p1=0, p2=0, seed=seed).max().item()


def _map_verdict(p, q):
    """The verdict on two places of the map; q may be None, the corner's best epoch."""
    valid = _map().squeeze().valid_accuracy.sel(epoch=60)
    ours, theirs = valid.sel(p1=p[0], p2=p[1]), q and valid.sel(p1=q[0], p2=q[1])
    if q is None:
        theirs = _map().squeeze().valid_accuracy.sel(p1=0, p2=0).max("epoch")
    return _sign(page(SCRATCH, "imports", "sweep")["d2l"].compare(ours, theirs))


def _rank_on_map(metric, p1, p2):
    """How many places of the map are higher on average."""
    values = getattr(_map().squeeze(), metric)
    values = (values.isel(epoch=-1) if "epoch" in values.dims else values).mean("seed")
    return int((values > values.sel(p1=p1, p2=p2)).sum())


@functools.cache
def _blind(seed):
    """A run in which the first layer drops everything."""
    names = page(SCRATCH, *_LAYER)
    net, train_iter, valid_iter, loss, optimizer, scheduler = names["setup"](
        1, 0.3, label_noise=0.4, num_epochs=60, seed=seed
    )
    return names["d2l"].train(
        net, train_iter, valid_iter, loss, optimizer, 60, scheduler=scheduler, progress=False
    )


def _is(value, wanted):
    """A measurement that is 1 where the page is right, for claims about verdicts and ranks."""
    return lambda seed: float(value() == wanted)


def _says(sentence, value, wanted, where=SCRATCH):
    return Claim(where, sentence, _is(value, wanted), lambda seed: 0.5)


# Standard deviations over seeds: training .001 clean, .02 to .03 with noise and dropout,
# validation .002 to .012, cross-entropy .01 to .04.
FROM_SCRATCH = [
    Measured(
        SCRATCH,
        "its dashed curve ends at {99.9 %}, that of the network with dropout at {94 %}.",
        tuple(lambda s, p=p: _pair(0)[p][s][0].train_accuracy[-1] for p in (0, 0.3)),
        within=0.02,
    ),
    Measured(
        SCRATCH,
        "On validation images the two end close together, at {81 %} and {82 %}.",
        (_end(0, 0, "valid"), _end(0, 0.3, "valid")),
        within=0.01,
    ),
    Measured(
        SCRATCH,
        "with dropout on, the network answers {94 %} of its own training images, with dropout off "
        "{98 %}. Those {three points} are the handicap.",
        (
            _end(0, 0.3, "train, on"),
            _end(0, 0.3, "train, off"),
            lambda s: _end(0, 0.3, "train, off")(s) - _end(0, 0.3, "train, on")(s),
        ),
        within=0.015,
    ),
    Claim(
        SCRATCH,
        "with dropout on, the network answers 94 % of its own training images, with dropout off",
        _end(0, 0.3, "train, off"),
        _end(0, 0.3, "train, on"),
        margin=0.01,
    ),
    Measured(
        SCRATCH,
        "its gap would be {13 points}; in fact it is {16 points}, against {19 points} without "
        "dropout.",
        (
            lambda s: _end(0, 0.3, "train, on")(s) - _end(0, 0.3, "valid")(s),
            _end(0, 0.3, "gap"),
            _end(0, 0, "gap"),
        ),
        within=0.012,
    ),
    _says(
        "In accuracy three seeds cannot tell which one wins: the first interval holds zero.",
        lambda: _verdict(0, "valid", "valid"),
        0,
    ),
    Measured(
        SCRATCH,
        "In cross-entropy dropout wins, with {0.60} against {0.72}. But look at the blue loss "
        "curve once more: before it turned, each seed had been lower, at {0.59} on average.",
        (_end(0, 0.3, "loss"), _end(0, 0, "loss"), _end(0, 0, "lowest")),
        within=0.02,
    ),
    Claim(
        SCRATCH,
        "In cross-entropy dropout wins",
        _end(0, 0, "loss"),
        _end(0, 0.3, "loss"),
        margin=0.05,
    ),
    Measured(SCRATCH, "{64 %} of the training labels are.", (_right_labels,), within=0.01),
    Measured(
        SCRATCH,
        "validation accuracy rises to {74 %}. Then it learns wrong labels by heart, until it gives "
        "the label it was taught for {97 %} of its training images, and validation accuracy falls "
        "to {62 %}.",
        (_end(0.4, 0, "best"), _end(0.4, 0, "train, off"), _end(0.4, 0, "valid")),
        within=0.012,
    ),
    Measured(
        SCRATCH,
        "With dropout it knows only {75 %} of its labels in the end, and validation accuracy "
        "levels off at {73 %}. After the last epoch that is worth {11 points}, and the interval is "
        "far from zero.",
        (
            _end(0.4, 0.3, "train, off"),
            _end(0.4, 0.3, "valid"),
            lambda s: _end(0.4, 0.3, "valid")(s) - _end(0.4, 0, "valid")(s),
        ),
        within=0.025,
    ),
    Claim(
        SCRATCH,
        "the interval is far from zero.",
        _end(0.4, 0.3, "valid"),
        _end(0.4, 0, "valid"),
        margin=0.06,
    ),
    _says(
        "Three seeds cannot tell the best epoch without dropout from the last epoch with it.",
        lambda: _verdict(0.4, "valid", "best"),
        0,
    ),
    Measured(
        SCRATCH,
        "the best epoch with dropout reaches {76 %}, against {74 %} without.",
        (_end(0.4, 0.3, "best"), _end(0.4, 0, "best")),
        within=0.012,
    ),
    Claim(
        SCRATCH,
        "Together they do better:",
        _end(0.4, 0.3, "best"),
        _end(0.4, 0, "best"),
        margin=0.003,
    ),
    Measured(
        SCRATCH,
        "The corner without dropout: {97 %} in training, and with {62 %} the lowest validation "
        "accuracy of the map.",
        (_on_map("final_train_accuracy", 0, 0), _on_map("valid_accuracy", 0, 0)),
        within=0.012,
    ),
    _says(
        "The corner without dropout: 97 % in training, and with 62 % the lowest",
        lambda: (
            _rank_on_map("final_train_accuracy", 0, 0),
            _rank_on_map("valid_accuracy", 0, 0),
        ),
        (0, 15),
    ),
    Measured(
        SCRATCH,
        "At (0.5, 0.1), with {75 %}.",
        (_on_map("valid_accuracy", 0.5, 0.1),),
        within=0.012,
    ),
    _says(
        "Three seeds cannot tell it from its neighbours (0.5, 0) and (0.5, 0.3)",
        lambda: (_map_verdict((0.5, 0.1), (0.5, 0)), _map_verdict((0.5, 0.1), (0.5, 0.3))),
        (0, 0),
    ),
    _says(
        "Nor can they tell it from the best epoch of the corner without dropout",
        lambda: _map_verdict((0.5, 0.1), None),
        0,
    ),
    Measured(
        SCRATCH,
        "the best epoch of the corner without dropout, again {75 %}.",
        (_best_on_map,),
        within=0.012,
    ),
    Measured(
        SCRATCH,
        "At (0.5, 0.3) the gap is negative, {−11 points}, and that is no mistake.",
        (_on_map("gap", 0.5, 0.3),),
        within=0.025,
    ),
    _says(
        "It matters. All three intervals lie above zero",
        lambda: [_map_verdict((p, 0), (0, p)) for p in (0.1, 0.3, 0.5)],
        [1, 1, 1],
    ),
    Measured(
        SCRATCH,
        "with 0.3 after the first layer alone, validation ends at {71 %}, after the second alone "
        "at {66 %}.",
        (_on_map("valid_accuracy", 0.3, 0), _on_map("valid_accuracy", 0, 0.3)),
        within=0.015,
    ),
    Measured(SCRATCH, "below the {64 %} of labels that are right?", (_right_labels,), within=0.01),
    Measured(
        SCRATCH,
        "in both layers the training curve ends at {97 %}, {87 %}, {71 %} and {52 %}: it sinks "
        "below the {64 %} between 0.3 and 0.5.",
        (
            *(_on_map("train_accuracy", p, p) for p in (0, 0.1, 0.3, 0.5)),
            _right_labels,
        ),
        within=0.03,
    ),
    Measured(
        SCRATCH,
        "Validation rises from {62 %} to {73 %} at 0.3",
        (_on_map("valid_accuracy", 0, 0), _on_map("valid_accuracy", 0.3, 0.3)),
        within=0.012,
    ),
    Measured(
        SCRATCH,
        "the training curve ends at {12 %},",
        (lambda seed: _blind(seed).train_accuracy[-1],),
        within=0.02,
    ),
    Measured(
        SCRATCH,
        "through weights that never got a gradient: {11 %}, a guess.",
        (lambda seed: _blind(seed).valid_accuracy[-1],),
        within=0.03,
    ),
]


# concise


@functools.cache
def _concise(seed, start, layer):
    names = page(CONCISE, "imports", "mlp", "by-hand", "starts", "fit")
    layer = {"ByHand": names["ByHand"], "nn.Dropout": names["nn"].Dropout}[layer]
    return names["fit"](names["starts"][start], seed, layer)


def _valid(start, epoch, layer="nn.Dropout"):
    return lambda seed: _concise(seed, start, layer)[1].valid_accuracy[epoch]


def _signal(start):
    """How far the outputs vary before training; the page shows seed 0."""

    def measure(seed):
        names = page(CONCISE, "imports", "mlp", "by-hand", "starts", "fit")
        d2l = names["d2l"]
        _, valid_iter, _ = d2l.load_fashion_mnist(batch_size=1000, device=names["device"])
        d2l.set_seed(seed)
        net = names["mlp"](0.2, 0.5).to(names["device"]).apply(names["starts"][start]).eval()
        return net(next(iter(valid_iter))[0]).std(0).mean().item()

    return measure


@functools.cache
def _votes(seed, num_masks):
    """With dropout left on and the votes of so many masks averaged; 0: evaluation mode."""
    names = page(CONCISE, "imports", "mlp", "by-hand", "starts", "fit", "vote")
    d2l, net = names["d2l"], _concise(seed, "default", "nn.Dropout")[0].train()
    d2l.set_seed(seed)
    _, valid_iter, _ = d2l.load_fashion_mnist(seed=seed, device=names["device"])
    predict = names["vote"](net, num_masks) if num_masks else net
    return d2l.evaluate(predict, valid_iter, names["loss"])[1]


def _masks(num_masks):
    return lambda seed: _votes(seed, num_masks)


def _layers():
    d2l = page(CONCISE, "imports", "mlp", "by-hand", "starts", "fit")["d2l"]
    layers = ("ByHand", "nn.Dropout")
    return _sign(d2l.compare(*([_valid("default", -1, of)(s) for s in SEEDS] for of in layers)))


# Standard deviations over seeds: .04 after the first epoch, .010 at the end; masks .003.
CONCISE_CLAIMS = [
    Measured(CONCISE, "The outputs of He's start vary by {0.4},", (_signal("He"),), within=0.05),
    Measured(CONCISE, "those of the default start by {0.02},", (_signal("default"),), within=0.005),
    Measured(
        CONCISE, "those of the small start by {0.0005}.", (_signal("std 0.01"),), within=0.0001
    ),
    Measured(
        CONCISE,
        "After the first epoch the small start validates at {17 %}, hardly better than guessing, "
        "the default start at {59 %}, He's at {70 %}.",
        tuple(_valid(start, 0) for start in ("std 0.01", "default", "He")),
        within=0.05,
    ),
    Measured(
        CONCISE,
        "with the rate at 0, the small start is still behind: {72 %} against {81 %} and {82 %}.",
        tuple(_valid(start, -1) for start in ("std 0.01", "default", "He")),
        within=0.012,
    ),
    Claim(
        CONCISE,
        "the small start is still behind",
        _valid("default", -1),
        _valid("std 0.01", -1),
        margin=0.05,
    ),
    _says("They cannot: the interval holds zero,", _layers, 0, CONCISE),
    Claim(
        CONCISE,
        "the two layers end within a point of each other for every seed.",
        lambda seed: 0.01,
        lambda seed: abs(_valid("default", -1, "ByHand")(seed) - _valid("default", -1)(seed)),
    ),
    Measured(
        CONCISE,
        "{81 %} with dropout off, {79 %} with dropout left on. That is a loss of {two points},",
        (_masks(0), _masks(1), lambda seed: _votes(seed, 0) - _votes(seed, 1)),
        within=0.008,
    ),
    Claim(
        CONCISE,
        "far more than lies between 0.841 and 0.849.",
        lambda seed: _votes(seed, 0) - _votes(seed, 1),
        lambda seed: 0.849 - 0.841,
    ),
    Measured(
        CONCISE,
        "Three masks win back about half of the loss, with {80 %};",
        (_masks(3),),
        within=0.008,
    ),
    Claim(
        CONCISE,
        "ten come within half a point of evaluation mode",
        lambda seed: 0.005,
        lambda seed: float(np.mean([_votes(s, 0) - _votes(s, 10) for s in SEEDS])),
    ),
    Measured(
        CONCISE,
        "here it costs {two points}, and gives two answers to one question.",
        (lambda seed: _votes(seed, 0) - _votes(seed, 1),),
        within=0.008,
    ),
]

CLAIMS: list[Claim | Measured] = [*FROM_SCRATCH, *CONCISE_CLAIMS]

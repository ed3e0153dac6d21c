"""Claims of fashion_mnist and the_gap; those of train_well stand in a file of their own."""

import functools
import math

import torch
from torch import nn

import d2lutils as d2l
from tests.claims.claim import Claim, Measured, page, share_right

LOSS = nn.CrossEntropyLoss()
QUIET = {"progress": False}


# ---------------------------------------------------------------- fashion_mnist


@functools.cache
def linear(seed):
    """Validation accuracy of a linear network at the start, and per class after three epochs."""
    train_iter, valid_iter, _ = d2l.load_fashion_mnist(seed=seed)
    d2l.set_seed(seed)
    net = nn.Sequential(nn.Flatten(), nn.Linear(784, 10)).to(d2l.default_device())
    _, before = d2l.evaluate(net, valid_iter, LOSS)
    d2l.train(net, train_iter, None, LOSS, torch.optim.SGD(net.parameters(), lr=0.1), 3, **QUIET)
    with torch.no_grad():
        right = net(valid_iter.images / 255).argmax(dim=1) == valid_iter.labels
    return before, [right[valid_iter.labels == k].float().mean().item() for k in range(10)]


@functools.cache
def _as_printed():
    """Accuracy of the page's own network, per class; its timing has drawn batches before."""
    cells = "imports torchvision random-split loaders in-memory speed ratio count untrained train"
    found = page("overfitting/fashion_mnist", *cells.split(), "per-class")
    right, y = found["y_hat"] == found["y"], found["y"]
    return found["valid_accuracy"], [right[y == k].float().mean().item() for k in range(10)]


SHIRT = d2l.class_names(range(10)).index("shirt")


def without_shirts(seed):
    return [a for k, a in enumerate(linear(seed)[1]) if k != SHIRT]


# The page trains one network; with other seeds, shirts are recognized in .38 to .53 of the cases.
FASHION: list[Claim | Measured] = [
    Measured(
        "overfitting/fashion_mnist",
        "Random weights are no better than guessing among ten classes, give or take: about {10 %}.",
        (lambda seed: linear(seed)[0],),
        within=0.05,
    ),
    Measured(
        "overfitting/fashion_mnist",
        "Three passes over the data take one linear layer far beyond guessing, to {82 %}.",
        (lambda seed: _as_printed()[0],),
        within=0.01,
    ),
    Claim(
        "overfitting/fashion_mnist",
        "Of all ten classes, shirts are recognized least often",
        larger=lambda seed: min(without_shirts(seed)),
        smaller=lambda seed: linear(seed)[1][SHIRT],
    ),
    Measured(
        "overfitting/fashion_mnist",
        "shirts are recognized least often: {65 %} of them.",
        (lambda seed: _as_printed()[1][SHIRT],),
        within=0.03,
    ),
]

# ---------------------------------------------------------------- the_gap

GAP = "overfitting/the_gap"
CELLS = "imports make-net sgd fit few sure sure-table sizes watch by-class thirty gains".split()


def _run():
    return page(GAP, *CELLS)


def _history(seed):
    return _run()["histories"][seed]


def _turn(seed):
    """The epoch with the lowest validation loss, from 0."""
    losses = _history(seed).valid_loss
    return losses.index(min(losses))


def _confidence(trained):
    """How sure the wrong answers are."""

    def measure(seed):
        net, _, _, valid_iter = _run()[trained][seed]
        return _run()["confidence"](net, valid_iter)[1]

    return measure


@functools.cache
def _first_epoch(seed):
    """Training accuracy while epoch 1 ran and after it, and validation accuracy after it."""
    net, history, train_iter, _ = _run()["fit"](seed, 1, train_size=1000)
    after = d2l.evaluate(net, train_iter, LOSS)[1]
    return history.train_accuracy[0], after, history.valid_accuracy[0]


def _gap(seed):
    net, history, train_iter, _ = _run()["runs"][seed]
    return d2l.evaluate(net, train_iter, LOSS)[1] - history.valid_accuracy[-1]


def _sized(train_size, part):
    """Accuracy on the training set (0) or the validation set (1)."""
    return lambda seed: _run()["measured"][seed, _run()["sizes"].index(train_size), part].item()


@functools.cache
def _random(seed):
    """What a network knows that learned random labels: what the page prints of a seed."""
    names = _run()
    net, _, train_iter, valid_iter = names["fit"](
        seed, 120, curves=False, train_size=1000, label_noise=1.0
    )
    loss, accuracy = d2l.evaluate(net, valid_iter, LOSS)
    right = net(valid_iter.images / 255).argmax(dim=1) == valid_iter.labels
    answers = names["by_class"](right, valid_iter.labels)
    true = train_iter.clean_labels
    luck = names["by_class"](train_iter.labels == true, true)
    return {
        "train": d2l.evaluate(net, train_iter, LOSS)[1],
        "accuracy": accuracy,
        "loss": loss,
        "worst": answers.min().item(),
        "best": answers.max().item(),
        "correlation": torch.stack([luck, answers]).corrcoef()[0, 1].item(),
    }


def _of_random(name):
    return lambda seed: _random(seed)[name]


@functools.cache
def _gains(num_watched=300, num_networks=30):
    """Share by which the pick seems to beat the average network, and by which it does."""
    seems, really = _run()["gains"](_run()["right"][:num_networks], num_watched)
    return seems / 100, really / 100


def _flattery(num_watched, num_networks=30):
    seems, really = _gains(num_watched, num_networks)
    return seems - really


# Standard deviations over the seeds: losses .01, accuracies .005, classes .02, correlation .2.
THE_GAP: list[Claim | Measured] = [
    Claim(
        GAP,
        "the training loss goes on falling while the validation loss turns and rises",
        larger=lambda seed: _history(seed).train_loss[_turn(seed)],
        smaller=lambda seed: _history(seed).train_loss[-1],
        margin=0.1,
    ),
    Measured(
        GAP,
        "the validation loss is at its lowest, {0.58}; at the end it is {0.71}",
        (
            lambda seed: _history(seed).valid_loss[_turn(seed)],
            lambda seed: _history(seed).valid_loss[-1],
        ),
        within=0.02,
    ),
    Measured(
        GAP,
        "The accuracy is {0.81} there",
        (lambda seed: _history(seed).valid_accuracy[_turn(seed)],),
        within=0.01,
    ),
    Measured(
        GAP,
        "After 80 epochs the network gives its wrong answers a probability of {0.76}, after 15"
        " epochs {0.59}.",
        (_confidence("runs"), _confidence("early")),
        within=0.02,
    ),
    Claim(
        GAP,
        "the validation accuracy is *above* the training accuracy",
        larger=lambda seed: _first_epoch(seed)[2],
        smaller=lambda seed: _first_epoch(seed)[0],
        margin=0.02,
    ),
    Measured(
        GAP,
        "While the first epoch ran, {36 %} of the training images were answered correctly;"
        " measured after it, in the same way as the validation set, it is {49 %}, against {46 %}.",
        tuple(lambda seed, i=i: _first_epoch(0)[i] for i in range(3)),
        within=0.02,
    ),
    Measured(GAP, "a gap of {19 points}", (_gap,), within=0.01),
    Measured(
        GAP,
        "the validation accuracy rises from {75 %} to {85 %}. From 1,000 to 4,000 the training"
        " accuracy stays at {97 %}",
        (_sized(250, 1), _sized(4000, 1), _sized(4000, 0)),
        within=0.012,
    ),
    Measured(GAP, "accuracy stays at {97 %}, so the gap closes", (_sized(1000, 0),), within=0.01),
    Measured(GAP, "so that {64 %} are right", (share_right,), within=0.01),
    Measured(
        GAP,
        "before the tenth epoch it names the true class of {71 %} of the images",
        (lambda seed: _run()["shares"][:, :9, 0].mean(dim=0).max().item(),),
        within=0.02,
    ),
    Measured(
        GAP,
        "after 80 epochs it repeats {91 %} of the wrong labels",
        (lambda seed: _run()["shares"][seed, -1, 1].item(),),
        within=0.02,
    ),
    Measured(
        GAP,
        "Guessing would score within a point of {10 %}",
        (lambda seed: 1 / len(d2l.class_names(range(10))),),
        within=0.001,
    ),
    Claim(
        GAP,
        "Guessing would score within a point of 10 % on 5,000 images.",
        larger=lambda seed: 0.01,
        smaller=lambda seed: 2 * math.sqrt(0.1 * 0.9 / 5000),
    ),
    Claim(
        GAP,
        "The network learns more than {99 %} of the random labels.",
        larger=_of_random("train"),
        smaller=lambda seed: 0.99,
    ),
    Measured(GAP, "Its validation loss is {4.8}", (_of_random("loss"),), within=0.2),
    Measured(
        GAP,
        "The validation accuracy is about {10 %}, but with another seed it may as well be {13 %}"
        " (try 6).",
        (_of_random("accuracy"), lambda seed: _random(6)["accuracy"]),
        within=0.015,
    ),
    Measured(
        GAP,
        "the best class has {16 %} and the worst {4 %}",
        (_of_random("best"), _of_random("worst")),
        within=0.02,
    ),
    Measured(
        GAP,
        "that is the correlation in the last column, {0.6}",
        (_of_random("correlation"),),
        within=0.2,
    ),
    Measured(
        GAP,
        "The pick seems {1.3 points} better than the average network, but on fresh images next to"
        " nothing of that is left",
        (lambda seed: _gains()[0],),
        within=0.002,
    ),
    Measured(GAP, "nothing of that is left: {0.1 points}.", (lambda _: _gains()[1],), within=5e-4),
    Claim(
        GAP,
        "The more networks you try, the more luck you collect",
        larger=lambda seed: _flattery(300),
        smaller=lambda seed: _flattery(300, num_networks=2),
        margin=0.002,
    ),
    Measured(
        GAP,
        "picking among thirty flatters by {2.1 points} with 100 watched images, by {0.6 points}"
        " with 1,000.",
        (lambda seed: _flattery(100), lambda seed: _flattery(1000)),
        within=0.003,
    ),
]

CLAIMS: list[Claim | Measured] = [*FASHION, *THE_GAP]

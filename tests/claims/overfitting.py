"""Claims of the front page and of the chapter overfitting."""

import functools

import torch
from torch import nn

import d2lutils as d2l
from tests.claims.claim import Claim, curve, end, page

LOSS = nn.CrossEntropyLoss()
QUIET = {"progress": False}


# ---------------------------------------------------------------- index


def _front():
    return page("index", "explorer")["runs"]


def front_curve(lam, metric):
    return curve(_front, metric, lam=lam, label_noise=0.4)


def front_end(lam, metric):
    return end(_front, metric, lam=lam, label_noise=0.4)


def mean(values):
    return sum(values) / len(values)


# ---------------------------------------------------------------- fashion_mnist


@functools.cache
def accuracy_per_class(seed):
    """Of a linear network after three epochs, on the validation set."""
    train_iter, valid_iter, _ = d2l.load_fashion_mnist(seed=seed)
    d2l.set_seed(seed)
    net = nn.Sequential(nn.Flatten(), nn.Linear(784, 10)).to(d2l.default_device())
    d2l.train(net, train_iter, None, LOSS, torch.optim.SGD(net.parameters(), lr=0.1), 3, **QUIET)
    with torch.no_grad():
        right = net(valid_iter.images / 255).argmax(dim=1) == valid_iter.labels
    return [right[valid_iter.labels == k].float().mean().item() for k in range(10)]


SHIRT = d2l.class_names(range(10)).index("shirt")


def without_shirts(seed):
    return [a for k, a in enumerate(accuracy_per_class(seed)) if k != SHIRT]


# ---------------------------------------------------------------- the_gap


def the_gap(*cells, **replace):
    return page("overfitting/the_gap", "imports", "make-net", *cells, **replace)


@functools.cache
def fit(seed, num_epochs, label_noise=0.0):
    """Return the curves, what both data sets give, and how sure wrong answers are."""
    names = the_gap("fit", "sure")
    net, history, *data = names["fit"](seed, num_epochs, train_size=1000, label_noise=label_noise)
    train, valid = (d2l.evaluate(net, data_iter, LOSS) for data_iter in data)
    _, on_wrong = names["confidence"](net, data[1])
    return history, train, valid, on_wrong


def train_loss_at_turn(seed):
    history = fit(seed, 60)[0]
    return history.train_loss[history.valid_loss.index(min(history.valid_loss))]


def changes(seed):
    """By which share loss and accuracy change from the lowest validation loss to the end."""
    history = fit(seed, 60)[0]
    best = history.valid_loss.index(min(history.valid_loss))
    loss = history.valid_loss[-1] / history.valid_loss[best] - 1
    return loss, abs(history.valid_accuracy[-1] / history.valid_accuracy[best] - 1)


def accuracies(seed, train_size):
    """Training and validation accuracy; of the page's four sizes, two are claimed about."""
    sizes = ("[250, 1000, 4000, 16000]", "[1000, 16000]")
    names = the_gap("sizes", replace=sizes)
    return names["measured"][seed, names["sizes"].index(train_size)].tolist()


def wrong_labels(seed, num_epochs):
    """Shares of wrongly labelled images answered with the true class and with the wrong label."""
    return the_gap("watch")["shares"][seed, num_epochs - 1].tolist()


@functools.cache
def gains(seed, num_networks=30, num_watched=300):
    """Points by which the pick seems to beat the average network, and by which it does.

    The page's thirty networks differ in their start alone; here each seed has other images, too.
    """
    images = ("train_size=1000, seed=0)", f"train_size=1000, seed={seed})")
    names = the_gap("thirty", "gains", replace=images)
    return names["gains"](names["right"][:num_networks], num_watched)


def flattery(seed, num_watched):
    seems, really = gains(seed, num_watched=num_watched)
    return seems - really


CLAIMS: list[Claim] = [
    Claim(
        "index",
        "passes the 64 % of labels that are right, and its validation accuracy falls while it does",
        larger=lambda seed: mean(front_curve(0, "valid_accuracy")(seed)[9:15]),
        smaller=lambda seed: mean(front_curve(0, "valid_accuracy")(seed)[-6:]),
        margin=0.03,
    ),
    Claim(
        "index",
        "its training accuracy passes the 64 % of labels that are right",
        larger=front_end(0, "train_accuracy"),
        smaller=lambda seed: 0.64,  # the share of true labels: six in ten, and a tenth of four
        margin=0.05,
    ),
    Claim(
        "index",
        "With weight decay of 0.02 it answers more of the unseen test images correctly",
        larger=front_end(0.02, "test_accuracy"),
        smaller=front_end(0, "test_accuracy"),
        margin=0.03,
    ),
    Claim(
        "index",
        "although it scores lower on its own training data",
        larger=front_end(0, "train_accuracy"),
        smaller=front_end(0.02, "train_accuracy"),
        margin=0.1,
    ),
    Claim(
        "index",
        "Far too much weight decay is worse than none.",
        larger=front_end(0, "test_accuracy"),
        smaller=front_end(0.2, "test_accuracy"),
        margin=0.05,
    ),
    Claim(
        "overfitting/fashion_mnist",
        "Three passes over the data take one linear layer far beyond guessing.",
        larger=lambda seed: mean(accuracy_per_class(seed)),
        smaller=lambda seed: 0.1,
        margin=0.6,
    ),
    Claim(
        "overfitting/fashion_mnist",
        "Of all ten classes, shirts are recognized least often.",
        larger=lambda seed: min(without_shirts(seed)),
        smaller=lambda seed: accuracy_per_class(seed)[SHIRT],
    ),
    Claim(
        "overfitting/the_gap",
        "the training loss goes on falling while the validation loss turns and rises",
        larger=lambda seed: fit(seed, 60)[0].valid_loss[-1],
        smaller=lambda seed: min(fit(seed, 60)[0].valid_loss),
        margin=0.05,
    ),
    Claim(
        "overfitting/the_gap",
        "the training loss goes on falling while the validation loss",
        larger=train_loss_at_turn,
        smaller=lambda seed: fit(seed, 60)[0].train_loss[-1],
        margin=0.1,
    ),
    Claim(
        "overfitting/the_gap",
        "From its lowest point to the last epoch, the validation loss rises by a far larger share"
        " than the accuracy changes.",
        larger=lambda seed: changes(seed)[0],
        smaller=lambda seed: changes(seed)[1],
        margin=0.1,
    ),
    Claim(
        "overfitting/the_gap",
        "After 60 epochs the network is surer of its wrong answers than after 15.",
        larger=lambda seed: fit(seed, 60)[3],
        smaller=lambda seed: fit(seed, 15)[3],
        margin=0.03,
    ),
    Claim(
        "overfitting/the_gap",
        "the validation accuracy is *above* the training accuracy",
        larger=lambda seed: fit(seed, 1)[0].valid_accuracy[0],
        smaller=lambda seed: fit(seed, 1)[0].train_accuracy[0],
        margin=0.02,
    ),
    Claim(
        "overfitting/the_gap",
        "Measured after the first epoch, the training accuracy is well above what was collected"
        " while it ran.",
        larger=lambda seed: fit(seed, 1)[1][1],
        smaller=lambda seed: fit(seed, 1)[0].train_accuracy[0],
        margin=0.02,
    ),
    Claim(
        "overfitting/the_gap",
        "the training accuracy falls, since there is more to learn by heart",
        larger=lambda seed: accuracies(seed, 1000)[0],
        smaller=lambda seed: accuracies(seed, 16000)[0],
        margin=0.05,
    ),
    Claim(
        "overfitting/the_gap",
        "and the validation accuracy rises",
        larger=lambda seed: accuracies(seed, 16000)[1],
        smaller=lambda seed: accuracies(seed, 1000)[1],
        margin=0.01,
    ),
    Claim(
        "overfitting/the_gap",
        "after ten epochs it names the true class of most images whose label is wrong",
        larger=lambda seed: wrong_labels(seed, 10)[0],
        smaller=lambda seed: 0.5,
        margin=0.05,
    ),
    Claim(
        "overfitting/the_gap",
        "after a hundred epochs it repeats nearly every wrong label",
        larger=lambda seed: wrong_labels(seed, 100)[1],
        smaller=lambda seed: 0.9,
    ),
    Claim(
        "overfitting/the_gap",
        "The network learns the random labels of its training set almost perfectly",
        larger=lambda seed: fit(seed, 120, label_noise=1.0)[1][1],
        smaller=lambda seed: 0.9,
    ),
    Claim(
        "overfitting/the_gap",
        "on the validation set fewer than one answer in five is right",
        larger=lambda seed: 0.2,  # eight seeds gave .08 to .16
        smaller=lambda seed: fit(seed, 120, label_noise=1.0)[2][1],
    ),
    Claim(
        "overfitting/the_gap",
        r"its validation loss is *worse* than the $\log 10 \approx 2.3$ of somebody who gives each"
        " class a tenth",
        larger=lambda seed: fit(seed, 120, label_noise=1.0)[2][0],
        smaller=lambda seed: 2.31,
        margin=0.5,
    ),
    Claim(
        "overfitting/the_gap",
        "The pick seems clearly better than the average network, but on fresh images less than half"
        " of that is left.",
        larger=lambda seed: 0.5 * gains(seed)[0],
        smaller=lambda seed: gains(seed)[1],
        margin=0.05,
    ),
    Claim(
        "overfitting/the_gap",
        "The more networks you try, the more luck you collect",
        larger=lambda seed: gains(seed, 30)[0] - gains(seed, 30)[1],
        smaller=lambda seed: gains(seed, 2)[0] - gains(seed, 2)[1],
        margin=0.1,
    ),
    Claim(
        "overfitting/the_gap",
        "A larger set gives luck less room, so the flattery shrinks from 100 watched images to"
        " 1,000.",
        larger=lambda seed: flattery(seed, 100),
        smaller=lambda seed: flattery(seed, 1000),
        margin=0.1,
    ),
]

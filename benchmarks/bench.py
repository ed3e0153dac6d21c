"""Speed as ratios, each against a peer in the same run: `make bench`.

Each figure is the best of several repetitions, peers taking turns, since a shared machine is
slower at times but never faster than it is.
"""

import os
import platform
import time

import torch
import torchvision
from torch import nn
from torch.utils.data import DataLoader

import d2lutils as d2l

BATCH_SIZE = 256
REPEATS = 3


def mlp(p: float = 0.0) -> nn.Module:
    layers = [nn.Flatten()]
    for inputs in (784, 256):
        layers += [nn.Linear(inputs, 256), nn.ReLU()] + ([nn.Dropout(p)] if p else [])
    return nn.Sequential(*layers, nn.Linear(256, 10)).to(d2l.default_device())


def seconds(run) -> float:
    start = time.perf_counter()
    run()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def epoch(batches, p: float = 0.0):
    """One pass of the usual loop over `batches`."""
    net, loss = mlp(p), nn.CrossEntropyLoss()
    device = next(net.parameters()).device
    on_device = ((X.to(device), y.to(device)) for X, y in batches)
    d2l.train(
        net, on_device, None, loss, torch.optim.SGD(net.parameters(), lr=0.1), 1, progress=False
    )


def bare_products(num_batches: int):
    """The matrix products of a forward and a backward pass of the same net, and nothing else."""
    device = d2l.default_device()
    sizes = [(784, 256), (256, 256), (256, 10)]
    layers = [
        (
            torch.randn(BATCH_SIZE, i, device=device),
            torch.randn(i, o, device=device),
            torch.randn(BATCH_SIZE, o, device=device),
        )
        for i, o in sizes
    ]
    for _ in range(num_batches):
        for depth, (x, w, grad) in enumerate(layers):
            x @ w  # forward
            x.T @ grad  # gradient of the weights
            if depth:
                grad @ w.T  # gradient of the inputs; the images need none


GRID = [0.0, *(10.0**e for e in range(-9, 2))]  # 12 values of λ; their size costs nothing
SEEDS, TRAIN_SIZE, VALID_SIZE, EPOCHS = 5, 2000, 2000, 2
CHUNK = len(GRID)  # on the CPU a sweep trains the networks of one seed side by side


def stacked(p: float):
    """Train 12 λ × 5 seeds of 784-256-256-10 side by side."""
    d2l.sweep(GRID, [p], seeds=SEEDS, train_size=TRAIN_SIZE, valid_size=VALID_SIZE,
              num_epochs=EPOCHS, progress=False)  # fmt: skip


def one_of_them(dataset):
    """One of those models the usual way; the sweep holds 60."""
    part = torch.utils.data.Subset(dataset, range(TRAIN_SIZE))
    valid = torch.utils.data.Subset(dataset, range(TRAIN_SIZE, TRAIN_SIZE + VALID_SIZE))
    net, loss = mlp(), nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    d2l.train(net, DataLoader(part, BATCH_SIZE, shuffle=True), DataLoader(valid, BATCH_SIZE),
              loss, optimizer, EPOCHS, progress=False)  # fmt: skip
    test = torchvision.datasets.FashionMNIST(dataset.root, train=False, transform=dataset.transform)
    d2l.evaluate(net, DataLoader(part, BATCH_SIZE), loss)
    d2l.evaluate(net, DataLoader(test, BATCH_SIZE), loss)


def stacked_products():
    """The matrix products of that sweep's batch shapes, measuring included, and nothing else."""
    device, sizes = d2l.default_device(), [(784, 256), (256, 256), (256, 10)]
    weights = [torch.randn(CHUNK, i, o, device=device) for i, o in sizes]

    def forward(num_examples):
        x = torch.randn(1, num_examples, 784, device=device).expand(CHUNK, -1, -1)
        inputs = []
        for W in weights:
            inputs.append(x)
            x = torch.bmm(x, W)
        return inputs, x

    for _ in range(SEEDS):
        for _ in range(EPOCHS):
            for _ in range(-(-TRAIN_SIZE // BATCH_SIZE)):
                inputs, gradient = forward(BATCH_SIZE)
                for depth in (2, 1, 0):
                    torch.bmm(inputs[depth].transpose(1, 2), gradient)
                    if depth:
                        gradient = torch.bmm(gradient, weights[depth].transpose(1, 2))
            forward(VALID_SIZE)
        forward(TRAIN_SIZE)
        for _ in range(10):
            forward(1000)


def main():
    os.environ.pop("D2L_SWEEPS", None)  # trained here, not read
    torch.set_num_threads(1)  # two would wait for each other whenever a neighbour runs
    root = d2l.fetch_fashion_mnist()
    dataset = torchvision.datasets.FashionMNIST(
        root, train=True, transform=torchvision.transforms.ToTensor()
    )
    usual = {
        workers: DataLoader(dataset, BATCH_SIZE, shuffle=True, num_workers=workers)
        for workers in (0, 2)
    }
    ours, _, _ = d2l.load_fashion_mnist(BATCH_SIZE, valid_size=0)
    runs = {
        "epoch, in-memory batches": lambda: epoch(ours),
        "epoch, in-memory batches, dropout": lambda: epoch(ours, p=0.5),
        "bare matrix products": lambda: bare_products(len(ours)),
        "iteration alone, in-memory batches": lambda: [None for _ in ours],
        "epoch, DataLoader, 0 workers": lambda: epoch(usual[0]),
        "epoch, DataLoader, 2 workers": lambda: epoch(usual[2]),
        "sweep of 60 models": lambda: stacked(0.0),
        "sweep of 60 models, dropout": lambda: stacked(0.5),
        "one of the 60, DataLoader": lambda: one_of_them(dataset),
        "bare products of the sweep": stacked_products,
    }
    best = dict.fromkeys(runs, float("inf"))
    for _ in range(REPEATS):
        for name, run in runs.items():
            best[name] = min(best[name], seconds(run))

    print(
        f"{time.strftime('%Y-%m-%d')}, torch {torch.__version__}, {d2l.default_device()}, "
        f"{torch.get_num_threads()} threads, {platform.machine()}, 784-256-256-10, "
        f"60,000 images, batch {BATCH_SIZE}, best of {REPEATS}\n"
    )
    for name, value in best.items():
        print(f"{name:38} {value:6.2f} s")
    peer = min(best["epoch, DataLoader, 0 workers"], best["epoch, DataLoader, 2 workers"])
    mine = best["epoch, in-memory batches"]
    bare = best["bare matrix products"]
    print(f"\nin-memory batches / bare matrix products  {mine / bare:5.2f}  (aim: 1.3 or less)")
    print(f"DataLoader / in-memory batches            {peer / mine:5.2f}  (depends on the machine)")
    sweep, bare = best["sweep of 60 models"], best["bare products of the sweep"]
    dropout = best["sweep of 60 models, dropout"]
    alone = 60 * best["one of the 60, DataLoader"]
    print(f"60 models one by one / sweep              {alone / sweep:5.2f}  (depends on it, too)")
    print(f"sweep / bare matrix products              {sweep / bare:5.2f}  (aim: 1.3 or less)")
    print(f"sweep with dropout / bare products        {dropout / bare:5.2f}  (aim: 1.9 or less)")


if __name__ == "__main__":
    main()

"""Data of the course: batches of Fashion-MNIST, and a synthetic linear problem."""

import os
import random
from collections.abc import Iterator, Sequence

import numpy as np
import torch

from d2lutils.arguments import check_int, check_number, check_seed, check_sequence, check_size
from d2lutils.device import check_device, default_device
from d2lutils.fetch import read_fashion_mnist
from d2lutils.images import resize as resize_images
from d2lutils.memory import check_memory
from d2lutils.state import on_cpu

__all__ = ["TensorLoader", "class_names", "default_device", "linear_data",
           "load_fashion_mnist", "set_seed"]  # fmt: skip

_CLASSES = ("t-shirt", "trouser", "pullover", "dress", "coat",
            "sandal", "shirt", "sneaker", "bag", "ankle boot")  # fmt: skip
_NUM_TRAIN = 60_000


def set_seed(seed: int) -> None:
    """Seed torch (on all devices), NumPy and Python's ``random``; `seed` is from 0 to 2**32 - 1."""
    seed = check_seed(seed)
    torch.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002  (what reads NumPy's global state can be seeded only so)


def _generators(seed: int, count: int) -> list[torch.Generator]:
    """Independent streams from one seed; on the CPU, so that all devices see the same draws."""
    # The same seed in each would couple them: noise would hit the first images of epoch 1.
    states = np.random.SeedSequence(check_seed(seed)).generate_state(count).tolist()
    return [torch.Generator("cpu").manual_seed(state) for state in states]


class TensorLoader:
    """Batches from tensors in memory: a ``DataLoader`` that indexes instead of collating.

    Attributes
    ----------
    images : torch.Tensor
        All inputs, (N, ...). uint8 images leave as floats in [0, 1], others as they are.
    labels, clean_labels : torch.Tensor
        All labels (N,) or targets (N, 1), as they are used and as they were before label noise.
    batch_size : int
        Examples in a batch; the last one may be smaller.
    generator : torch.Generator or None
        Where the order of each epoch comes from; None keeps the order of the tensors.
    """

    def __init__(
        self,
        images: torch.Tensor,
        labels: torch.Tensor,
        batch_size: int,
        *,
        clean_labels: torch.Tensor | None = None,
        generator: torch.Generator | None = None,
    ):
        self.images, self.labels = images, labels
        self.clean_labels = labels if clean_labels is None else clean_labels
        self.batch_size = check_int("batch_size", batch_size, low=1)
        self.generator = generator
        # A tensor on the device, since CUDA multiplies by 1/255 when it divides by a Python
        # number, and the last bit then differs from torchvision's ToTensor.
        self.white = torch.tensor(255.0, device=images.device)

    @property
    def num_examples(self) -> int:
        """Number of examples in an epoch."""
        return len(self.labels)

    def __len__(self) -> int:
        return -(-self.num_examples // self.batch_size)

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        order = torch.arange(self.num_examples, device="cpu")
        if self.generator is not None:
            order = torch.randperm(self.num_examples, generator=self.generator, device="cpu")
        # uint8 in memory, float32 per batch: a quarter of the memory of float32 images and 0.7 of
        # their time an epoch. index_select takes a third of the time of images[index] on the CPU.
        for index in order.to(self.images.device).split(self.batch_size):
            X, y = self.images.index_select(0, index), self.labels.index_select(0, index)
            yield (X / self.white if X.dtype == torch.uint8 else X), y


@on_cpu()
def load_fashion_mnist(
    batch_size: int = 256,
    *,
    train_size: int | None = None,
    valid_size: int = 5000,
    label_noise: float = 0.0,
    resize: int | tuple[int, int] | None = None,
    seed: int = 0,
    device: torch.device | str | None = None,
    root: str | os.PathLike | None = None,
) -> tuple[TensorLoader, TensorLoader | None, TensorLoader]:
    """Return batches of Fashion-MNIST (Xiao et al. 2017, arXiv 1708.07747).

    Each batch is ``X``, (B, 1, H, W) in [0, 1] as torchvision's ``ToTensor`` gives it (float32,
    or torch's default dtype), and ``y``, int64 (B,) from 0 to 9. Training batches are drawn in a
    new order every epoch, which the seed decides. Validation and test batches keep their order.

    Parameters
    ----------
    batch_size : int, default 256
        Examples in a batch.
    train_size : int, optional
        Number of training images, by default all that `valid_size` leaves of the 60,000. With one
        seed, a smaller training set is the beginning of a larger one.
    valid_size : int, default 5000
        Number of validation images, taken out of the 60,000.
    label_noise : float, default 0
        Fraction of training labels that are redrawn uniformly from all ten classes, so that about
        a tenth of them stay right (Zhang et al. 2016, arXiv 1611.03530). Validation and test
        labels are never touched. With one seed, more noise redraws the same labels and others.
    resize : int or (int, int), optional
        Height and width in pixels, an int for both; torchvision's ``Resize``. As they are: 28.
    seed : int, default 0
        Decides the split, the noise and the order of the training batches.
    device : torch.device or str, optional
        Where the batches lie, by default `default_device`.
    root : path, optional
        The cache folder, see `fetch_fashion_mnist`.

    Returns
    -------
    train_iter, valid_iter, test_iter : TensorLoader
        `valid_iter` is None when `valid_size` is 0.

    Raises
    ------
    TypeError, ValueError, MemoryError, OSError
        If an argument is not what it must be or needs too much memory; if no verified copy of the
        data can be had.
    """
    batch_size = check_int("batch_size", batch_size, low=1)
    valid_size = check_int("valid_size", valid_size, low=0, high=_NUM_TRAIN - 1)
    rest, why = _NUM_TRAIN - valid_size, f" ({_NUM_TRAIN:,} images less valid_size={valid_size})"
    train_size = rest if train_size is None else check_int("train_size", train_size, 1, rest, why)
    label_noise = check_number("label_noise", label_noise, low=0, high=1)
    size = None if resize is None else check_size("resize", resize)
    split, noise, order = _generators(seed, 3)
    device = check_device(device)
    need = (train_size + valid_size + 10_000) * (size[0] * size[1] if size else 1000)
    check_memory(need + 2e8, "these images", "resize, train_size or valid_size")

    images, labels, test_images, test_labels = _read(root)
    chosen = torch.randperm(_NUM_TRAIN, generator=split)
    valid, train, _ = chosen.split([valid_size, train_size, rest - train_size])
    redrawn = torch.randperm(train_size, generator=noise)[: round(label_noise * train_size)]
    noisy_labels = labels[train]
    noisy_labels[redrawn] = torch.randint(10, redrawn.shape, generator=noise)

    def loader(images, labels, **options):
        images = images if size is None else resize_images(images, size)
        return TensorLoader(images.to(device), labels.to(device), batch_size, **options)

    clean = labels[train].to(device)
    return (
        loader(images[train], noisy_labels, clean_labels=clean, generator=order),
        loader(images[valid], labels[valid]) if valid_size else None,
        loader(test_images, test_labels),
    )


@on_cpu()
def linear_data(
    num_train: int = 20,
    num_valid: int = 100,
    num_inputs: int = 200,
    *,
    noise: float = 0.01,
    batch_size: int = 5,
    seed: int = 0,
    device: torch.device | str | None = None,
) -> tuple[TensorLoader, TensorLoader]:
    """Return batches of y = 0.05 + Σ 0.01 x_i + ε, with x_i ~ N(0, 1) and ε ~ N(0, noise²).

    Few examples of many inputs: the setting in which weight decay shows (Zhang et al., *Dive into
    Deep Learning*, section 3.7). Each batch is ``X`` (B, `num_inputs`) and ``y`` (B, 1), float32.

    Parameters
    ----------
    num_train, num_valid, num_inputs : int, default 20, 100 and 200
        Training examples, validation examples (the same for any `num_train`), inputs of each.
    noise : float, default 0.01
        Standard deviation of ε.
    batch_size, seed, device
        As in `load_fashion_mnist`; by default 5 examples in a batch. Errors are the same too.

    Returns
    -------
    train_iter, valid_iter : TensorLoader
    """
    num_train = check_int("num_train", num_train, low=1)
    num_valid = check_int("num_valid", num_valid, low=1)
    num_inputs = check_int("num_inputs", num_inputs, low=1)
    noise = check_number("noise", noise, low=0)
    train, valid, order = _generators(seed, 3)
    device = check_device(device)
    need = 8 * (num_train + num_valid) * num_inputs
    check_memory(need, "these examples", "num_inputs, num_train or num_valid")

    def loader(num_examples, draws, generator=None):
        X = torch.randn(num_examples, num_inputs, generator=draws)
        y = 0.05 + 0.01 * X.sum(1, keepdim=True)
        y += noise * torch.randn(y.shape, generator=draws)
        return TensorLoader(X.to(device), y.to(device), batch_size, generator=generator)

    return loader(num_train, train, order), loader(num_valid, valid)


def class_names(labels: torch.Tensor | Sequence[int]) -> list[str]:
    """Return the class name of each label, a number from 0 to 9; `labels` have shape (N,)."""
    labels = check_sequence("labels", labels, "[3]")
    return [_CLASSES[check_int(f"labels[{i}]", y, 0, 9)] for i, y in enumerate(labels)]


def _read(root: str | os.PathLike | None) -> list[torch.Tensor]:
    """Return images (N, 1, 28, 28) and labels (N,) for training, then for testing."""
    tensors = []
    for name, content in read_fashion_mnist(root).items():
        # The checksum has fixed the header already: 16 bytes before images, 8 before labels.
        header = 16 if "images" in name else 8
        tensor = torch.frombuffer(bytearray(content), dtype=torch.uint8, offset=header)
        tensors.append(tensor.reshape(-1, 1, 28, 28) if "images" in name else tensor.long())
    return tensors

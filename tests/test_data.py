"""d2lutils.data: same values as torchvision, reproducible splits and noise, refused nonsense."""

import random
import re
import subprocess
import sys

import numpy as np
import pytest
import torch
from torchvision import transforms
from torchvision.datasets import FashionMNIST

from d2lutils import data, memory
from d2lutils.fetch import fetch_fashion_mnist


@pytest.fixture(scope="session")
def folder():
    return fetch_fashion_mnist()


def load(*args, **kwargs):
    return data.load_fashion_mnist(*args, **{"device": "cpu"} | kwargs)


def everything(loader):
    Xs, ys = zip(*loader, strict=True)
    return torch.cat(Xs), torch.cat(ys)


# ---------------------------------------------------------------- values


def test_test_set_is_torchvisions(folder):
    _, _, test_iter = load()
    expected = FashionMNIST(folder, train=False, transform=transforms.ToTensor())
    X, y = everything(test_iter)
    assert X.dtype == torch.float32 and y.dtype == torch.int64
    assert X.shape == (10_000, 1, 28, 28) and y.shape == (10_000,)
    assert torch.equal(X, torch.stack([image for image, _ in expected]))
    assert torch.equal(y, expected.targets)


def rows(images, labels):
    """One bytes object for each image and its label, sorted: equal for equal multisets."""
    table = torch.cat([images.reshape(len(images), -1).byte(), labels.reshape(-1, 1).byte()], 1)
    content, width = table.numpy().tobytes(), table.shape[1]
    return sorted(content[i : i + width] for i in range(0, len(content), width))


def test_training_and_validation_images_are_torchvisions_60000(folder):
    expected = FashionMNIST(folder, train=True)
    expected = rows(expected.data, expected.targets)
    train_iter, valid_iter, _ = load(valid_size=0)
    assert valid_iter is None
    X, y = everything(train_iter)
    assert rows((X * 255).round(), y) == expected
    train_iter, valid_iter, _ = load(valid_size=7000)
    parts = [rows(part.images, part.labels) for part in (train_iter, valid_iter)]
    assert [len(part) for part in parts] == [53_000, 7000]
    assert sorted(parts[0] + parts[1]) == expected


@pytest.mark.parametrize("size", [1, 14, 28, 32, (20, 30), (40, 28), [28, 10]])
def test_resize_is_torchvisions(folder, size):
    transform = transforms.Compose([transforms.Resize(size), transforms.ToTensor()])
    expected = FashionMNIST(folder, train=False, transform=transform)
    train_iter, valid_iter, test_iter = load(train_size=3, valid_size=2, resize=size)
    height, width = (size, size) if isinstance(size, int) else size
    X, _ = next(iter(test_iter))
    assert X.shape == (256, 1, height, width)
    assert torch.equal(X, torch.stack([expected[i][0] for i in range(256)]))
    assert next(iter(train_iter))[0].shape == (3, 1, height, width)
    assert next(iter(valid_iter))[0].shape == (2, 1, height, width)


def test_loader_has_len_and_can_be_iterated_again():
    train_iter, valid_iter, test_iter = load(300, train_size=1000, valid_size=500)
    assert [len(loader) for loader in (train_iter, valid_iter, test_iter)] == [4, 2, 34]
    assert [len(y) for _, y in train_iter] == [300, 300, 300, 100]
    assert train_iter.num_examples == 1000
    first, second = everything(train_iter), everything(train_iter)
    assert not torch.equal(first[0], second[0])
    expected = rows(train_iter.images, train_iter.labels)
    assert all(rows((X * 255).round(), y) == expected for X, y in (first, second))
    for _ in range(2):  # validation batches keep their order
        assert torch.equal(everything(valid_iter)[1], valid_iter.labels)


def test_batches_are_copies():
    for loader in [*load(train_size=10, valid_size=10), *data.linear_data(device="cpu")]:
        before = loader.images.clone(), loader.labels.clone()
        X, y = next(iter(loader))
        X += 1
        y += 1
        assert torch.equal(loader.images, before[0]) and torch.equal(loader.labels, before[1])


def test_what_one_does_to_the_images_does_not_last():
    for loader in load(train_size=10, valid_size=10):
        loader.images.zero_(), loader.labels.zero_()
    for loader in load(train_size=10, valid_size=10):
        assert loader.images.any() and loader.labels.any()


# ---------------------------------------------------------------- seeds, splits, noise


def test_one_seed_gives_one_sequence_of_epochs():
    same, again, other = (load(train_size=500, seed=seed)[0] for seed in (3, 3, 4))
    for _ in range(3):
        epoch = everything(same)[0]
        assert torch.equal(epoch, everything(again)[0])
        assert not torch.equal(epoch, everything(other)[0])


def test_validation_images_depend_on_seed_and_valid_size_only():
    _, expected, _ = load(train_size=100, seed=1)
    _, same, _ = load(64, train_size=20_000, seed=1, label_noise=0.5)
    _, other, _ = load(train_size=100, seed=2)
    assert torch.equal(expected.images, same.images)
    assert torch.equal(expected.labels, same.labels)
    assert not torch.equal(expected.images, other.images)


@pytest.mark.parametrize("seed", range(3))
def test_smaller_training_set_is_the_beginning_of_a_larger_one(seed):
    small, large = (load(train_size=n, seed=seed)[0] for n in (100, 1000))
    assert torch.equal(small.images, large.images[:100])
    assert torch.equal(small.labels, large.labels[:100])


@pytest.mark.parametrize("seed", range(3))
def test_noise_redraws_the_asked_fraction_and_more_noise_a_superset(seed):
    clean, valid, test = load(train_size=5000, seed=seed)
    before = torch.zeros(5000, dtype=torch.bool)
    for noise in (0.0, 0.25, 0.5, 1.0):
        train_iter, valid_iter, test_iter = load(train_size=5000, seed=seed, label_noise=noise)
        assert torch.equal(train_iter.images, clean.images)
        assert torch.equal(train_iter.clean_labels, clean.labels)
        assert torch.equal(valid_iter.labels, valid.labels)
        assert torch.equal(test_iter.labels, test.labels)
        wrong = train_iter.labels != train_iter.clean_labels
        assert (wrong | ~before).all()
        # of the redrawn labels nine tenths are wrong, within four standard deviations
        assert abs(wrong.sum() - 0.9 * noise * 5000) <= 4 * (0.09 * noise * 5000) ** 0.5
        before = wrong
    assert torch.bincount(train_iter.labels, minlength=10).min() > 400  # uniform over all ten


@pytest.mark.parametrize("noise, redrawn", [(0.1, 0), (0.3, 1), (0.5, 2), (0.9, 4)])
def test_noise_redraws_exactly_the_rounded_number(noise, redrawn):
    # A redrawn label stays right in one of ten cases, so some seed shows them all.
    train_iters = [load(train_size=4, label_noise=noise, seed=seed)[0] for seed in range(10)]
    assert max((loader.labels != loader.clean_labels).sum() for loader in train_iters) == redrawn


def test_noise_is_independent_of_the_order_of_the_batches():
    train_iter, _, _ = load(train_size=10_000, label_noise=0.2)
    wrong = train_iter.labels != train_iter.clean_labels
    order = torch.randperm(10_000, generator=train_iter.generator)
    assert 0.1 < wrong[order[:2000]].float().mean() < 0.26  # all of them, if seeded alike


def test_linear_data():
    train_iter, valid_iter = data.linear_data(5000, 50, 30, noise=0.5, batch_size=7, device="cpu")
    X, y = next(iter(train_iter))
    assert X.shape == (7, 30) and y.shape == (7, 1) and X.dtype == y.dtype == torch.float32
    assert (len(train_iter), len(valid_iter)) == (715, 8)
    X, y = everything(train_iter)
    assert abs(X.mean()) < 0.02 and abs(X.std() - 1) < 0.02
    residual = y - (0.05 + 0.01 * X.sum(1, keepdim=True))
    assert abs(residual.mean()) < 0.03 and abs(residual.std() - 0.5) < 0.02
    exact, same_valid = data.linear_data(30, 50, 30, noise=0, device="cpu")
    X, y = everything(exact)
    torch.testing.assert_close(y, X @ torch.full((30, 1), 0.01) + 0.05)
    assert torch.equal(same_valid.images, valid_iter.images)  # whatever num_train
    assert not torch.equal(data.linear_data(seed=1)[0].images, data.linear_data(seed=2)[0].images)
    assert [len(loader) for loader in data.linear_data()] == [4, 20]


def test_set_seed_seeds_all_three():
    def draw():
        return torch.rand(1).item(), random.random(), np.random.rand()  # noqa: NPY002

    data.set_seed(5)
    first = draw()
    data.set_seed(5)
    assert draw() == first
    data.set_seed(2**32 - 1)
    assert all(a != b for a, b in zip(draw(), first, strict=True))


def test_default_device(monkeypatch):
    for cuda, mps, expected in [(1, 1, "cuda"), (0, 1, "mps"), (0, 0, "cpu")]:
        monkeypatch.setattr(torch.cuda, "is_available", lambda cuda=cuda: bool(cuda))
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda mps=mps: bool(mps))
        assert data.default_device() == torch.device(expected)


@pytest.fixture
def globals_come_back():
    yield
    torch.set_default_device(None)
    torch.set_default_dtype(torch.float32)


def test_whatever_the_default_device_the_device_is_used(globals_come_back):
    expected = everything(load(train_size=10)[0]), everything(data.linear_data(device="cpu")[0])
    torch.set_default_device("meta")
    loaders = load(train_size=10)[0], data.linear_data(device="cpu")[0]
    got = [[*loader] for loader in loaders]
    assert torch.get_default_device().type == "meta"
    torch.set_default_device(None)
    for (X, y), batches in zip(expected, got, strict=True):
        assert torch.equal(X, torch.cat([X for X, _ in batches]))
        assert torch.equal(y, torch.cat([y for _, y in batches]))


def test_batches_have_the_default_dtype_as_with_torchvision(globals_come_back, folder):
    torch.set_default_dtype(torch.float64)
    _, _, test_iter = load()
    image, _ = FashionMNIST(folder, train=False, transform=transforms.ToTensor())[0]
    X, y = next(iter(test_iter))
    assert X.dtype == image.dtype == torch.float64 and y.dtype == torch.int64
    assert torch.equal(X[0], image)
    assert next(iter(data.linear_data()[0]))[0].dtype == torch.float64


@pytest.mark.parametrize("device", ["gpu", "", "meta", "cuda:99", "xpu", 5, True, 1.5, [], b"cpu"])
def test_a_device_that_is_not_here_is_named(device):
    for function in (load, data.linear_data):
        with pytest.raises((TypeError, ValueError), match=r"^device=.*: give .*'cpu'$"):
            function(device=device)


def test_numbers_may_come_in_arrays_and_tensors():
    arguments = {"train_size": np.array(10), "seed": torch.tensor(1), "resize": np.array([4, 5])}
    train_iter, _, _ = load(np.int64(8), label_noise=torch.tensor(0.5), **arguments)
    assert train_iter.batch_size == 8 and train_iter.images.shape == (10, 1, 4, 5)


class Wordless:
    def __repr__(self):
        raise RuntimeError


@pytest.mark.parametrize("value", [Wordless(), list(range(10**5)), "x" * 10**6, "a\nb", object])
@pytest.mark.parametrize(
    "name", "batch_size train_size valid_size label_noise resize seed device".split()
)
def test_any_value_is_shown_in_a_few_words(name, value):
    with pytest.raises((TypeError, ValueError), match=f"^{name}=") as caught:
        load(**{name: value})
    assert len(str(caught.value)) < 300 and "\n" not in str(caught.value)


@pytest.mark.parametrize("root", [5, b"folder", "a\0b", "", " ", []])
def test_a_root_that_is_no_path_is_named(root):
    with pytest.raises((TypeError, ValueError), match="^root=.*give the path"):
        load(root=root)


LIMITED = """
import resource, sys
import d2lutils as d2l
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 10**9, used + 10**9))
for call in sys.argv[1:]:
    try:
        eval("d2l." + call)
    except MemoryError as error:
        print(error)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits are read from /proc")
def test_what_does_not_fit_is_refused_with_the_argument_to_reduce():
    calls = {
        "load_fashion_mnist(resize=10_000)": "resize, train_size or valid_size",
        "linear_data(10**6, num_inputs=10**6)": "num_inputs, num_train or num_valid",
        "mlp((100_000, 100_000))": "hidden",
        "sweep(hidden=(20_000, 20_000))": "hidden or batch_size",
        "sweep(num_epochs=10**9)": "num_epochs, or fewer settings",
    }
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, *calls], capture_output=True, text=True, check=True
    )
    for line, words in zip(done.stdout.splitlines(), calls.values(), strict=True):
        start = ".* need about .* GiB, and cpu has .* GiB free; give a smaller "
        assert re.fullmatch(start + re.escape(words), line)


def test_the_limit_of_a_container_counts(tmp_path):
    """Files as Linux has them, of a group within a group."""
    inner = tmp_path / "docker" / "inner"
    inner.mkdir(parents=True)
    for folder, most, used in ((inner, "max", 100), (inner.parent, 1000, 300)):
        (folder / "memory.max").write_text(f"{most}\n")
        (folder / "memory.current").write_text(f"{used}\n")
    (inner.parent / "memory.stat").write_text("anon 7\ninactive_file 50\nactive_file 10\n")
    left = memory.left_in_group(tmp_path, "/docker/inner", "memory.max", "memory.current")
    assert list(left) == [1000 - 300 + 60]


def test_class_names():
    expected = ["t-shirt", "trouser", "pullover", "dress", "coat",
                "sandal", "shirt", "sneaker", "bag", "ankle boot"]  # fmt: skip
    for labels in (torch.arange(10), range(10), list(torch.arange(10)), np.arange(10, dtype="u1")):
        assert data.class_names(labels) == expected
    assert data.class_names([]) == [] and data.class_names((9, 0)) == ["ankle boot", "t-shirt"]


# ---------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    "name, values, error",
    [
        ("batch_size", [0, -1], ValueError),
        ("batch_size", [True, 2.0, "8", None, np.True_, torch.tensor(True)], TypeError),
        ("train_size", [0, -5, 55_001], ValueError),
        ("train_size", [1e3, False], TypeError),
        ("valid_size", [-1, 60_000], ValueError),
        ("valid_size", [None, 0.1], TypeError),
        ("label_noise", [-0.1, 1.1, float("nan"), float("inf")], ValueError),
        ("label_noise", ["0.1", None, True, 1j], TypeError),
        ("resize", [0, -3, (28, 0), (28,), (1, 2, 3)], ValueError),
        ("resize", [1.5, "28", (28, 2.0), True], TypeError),
        ("seed", [-1, 2**32], ValueError),
        ("seed", [None, 0.0, True], TypeError),
    ],
)
def test_bad_arguments_of_load_fashion_mnist(name, values, error):
    for value in values:
        with pytest.raises(error, match=rf"^{name}.* give ") as caught:
            load(**{name: value})
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "name, values, error",
    [
        ("num_train", [0], ValueError),
        ("num_valid", [0], ValueError),
        ("num_inputs", [0], ValueError),
        ("num_inputs", [2.0], TypeError),
        ("noise", [-1, float("nan"), float("inf")], ValueError),
        ("noise", ["0"], TypeError),
        ("batch_size", [0], ValueError),
        ("seed", [-1], ValueError),
    ],
)
def test_bad_arguments_of_linear_data(name, values, error):
    for value in values:
        with pytest.raises(error, match=rf"^{name}=.* give "):
            data.linear_data(**{name: value})


def test_bad_train_size_says_what_is_left():
    with pytest.raises(ValueError, match=r"from 1 to 50000 \(60,000 images less valid_size=10000"):
        load(train_size=50_001, valid_size=10_000)


@pytest.mark.parametrize("seed, error", [(-1, ValueError), (2**32, ValueError), (1.0, TypeError)])
def test_bad_seed(seed, error):
    with pytest.raises(error, match="^seed="):
        data.set_seed(seed)


@pytest.mark.parametrize(
    "labels, error",
    [([10], ValueError), ([-1], ValueError), ([1.0], TypeError), (torch.rand(2), TypeError),
     ([True], TypeError), (3, TypeError), (torch.tensor(3), TypeError), ("12", TypeError),
     (None, TypeError), (torch.zeros(2, 2, dtype=int), TypeError), (["a"], TypeError)],
)  # fmt: skip
def test_bad_labels(labels, error):
    with pytest.raises(error, match="^labels.* give "):
        data.class_names(labels)

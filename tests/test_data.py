"""d2lutils.data: same values as torchvision, reproducible splits and noise, routes that hold."""

import gzip
import http.server
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision import transforms
from torchvision.datasets import FashionMNIST

from d2lutils import data

RAW = Path("FashionMNIST", "raw")
NAMES = list(data._FILES)
SMALL = "t10k-labels-idx1-ubyte"
REPOSITORY = Path(__file__).parents[1]
NOWHERE = "http://127.0.0.1:9/"  # the discard port: refused at once


# ---------------------------------------------------------------- fixtures


@pytest.fixture(scope="session")
def folder():
    """The data by a real route, in the usual cache."""
    return data.fetch_fashion_mnist()


@pytest.fixture(scope="session")
def content(folder):
    return {name: (folder / RAW / name).read_bytes() for name in NAMES}


@pytest.fixture(scope="session")
def packed(content):
    """A folder with the four .gz files, which other users may read."""
    with tempfile.TemporaryDirectory() as packed:
        os.chmod(packed, 0o755)
        for name, plain in content.items():
            Path(packed, f"{name}.gz").write_bytes(gzip.compress(plain, compresslevel=1))
        yield Path(packed)


@pytest.fixture
def load(monkeypatch, folder):
    """load_fashion_mnist on the real data, which is read and verified only once."""
    if not hasattr(folder_tensors, "kept"):
        folder_tensors.kept = data._read_files(folder)
    monkeypatch.setattr(data, "_read_files", lambda root: folder_tensors.kept)
    return lambda *args, **kwargs: data.load_fashion_mnist(*args, **{"device": "cpu"} | kwargs)


def folder_tensors():
    """Hold the tensors that `load` reads once."""


@pytest.fixture
def no_route(monkeypatch, tmp_path):
    """Every route leads nowhere."""
    monkeypatch.delenv("D2L_DATA", raising=False)
    monkeypatch.setattr(data, "_SYSTEM_COPY", tmp_path / "no-system-copy")
    monkeypatch.setattr(data, "_GITHUB", NOWHERE)
    monkeypatch.setattr(FashionMNIST, "mirrors", [NOWHERE])
    monkeypatch.setenv("PATH", str(tmp_path / "no-programs"))


@pytest.fixture
def cache(folder, tmp_path):
    """A function that makes a cache folder whose files are good, but for those left out."""

    def make(*left_out, place="cache"):
        raw = tmp_path / place / RAW
        raw.mkdir(parents=True)
        for name in set(NAMES) - set(left_out):
            (raw / name).symlink_to(folder / RAW / name)
        return tmp_path / place

    return make


@pytest.fixture
def shared():
    """A folder that any user may write to (pytest's own is private)."""
    with tempfile.TemporaryDirectory() as shared:
        os.chmod(shared, 0o777)
        yield Path(shared)


def python(script, **environment):
    """Run a script in a new process in which every route but D2L_DATA leads nowhere."""
    head = f"""
        import os, sys, signal
        from pathlib import Path
        from d2lutils import data
        data._GITHUB = {NOWHERE!r}
        data._SYSTEM_COPY = data._SYSTEM_COPY / "not-here"
        def drop_root():
            import encodings.idna  # used by urllib; nobody may be unable to read Python's library
            if os.getuid() == 0:
                os.setgroups([]); os.setgid(65534); os.setuid(65534)
    """
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(head) + textwrap.dedent(script)],
        cwd=REPOSITORY, env=os.environ | environment, capture_output=True, text=True,
    )  # fmt: skip


def assert_complete(folder, content):
    assert {path.name: path.read_bytes() for path in (folder / RAW).iterdir()} == content
    assert sorted(p.name for p in folder.iterdir()) == ["FashionMNIST", "fashion-mnist.lock"]


def everything(loader):
    Xs, ys = zip(*loader, strict=True)
    return torch.cat(Xs), torch.cat(ys)


# ---------------------------------------------------------------- values


def test_test_set_is_torchvisions(folder):
    _, _, test_iter = data.load_fashion_mnist(device="cpu")
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


def test_training_and_validation_images_are_torchvisions_60000(folder, load):
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
def test_resize_is_torchvisions(folder, load, monkeypatch, size):
    sample = [tensor[:200] for tensor in folder_tensors.kept[2:]]
    monkeypatch.setattr(data, "_read_files", lambda root: folder_tensors.kept[:2] + sample)
    transform = transforms.Compose([transforms.Resize(size), transforms.ToTensor()])
    expected = FashionMNIST(folder, train=False, transform=transform)
    train_iter, valid_iter, test_iter = load(train_size=3, valid_size=2, resize=size)
    height, width = (size, size) if isinstance(size, int) else size
    X, _ = everything(test_iter)
    assert torch.equal(X, torch.stack([expected[i][0].reshape(1, height, width)
                                       for i in range(200)]))  # fmt: skip
    assert next(iter(train_iter))[0].shape == (3, 1, height, width)
    assert next(iter(valid_iter))[0].shape == (2, 1, height, width)


def test_loader_has_len_and_can_be_iterated_again(load):
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


def test_batches_are_copies(load):
    for loader in [*load(train_size=10, valid_size=10), *data.linear_data(device="cpu")]:
        before = loader.images.clone(), loader.labels.clone()
        X, y = next(iter(loader))
        X += 1
        y += 1
        assert torch.equal(loader.images, before[0]) and torch.equal(loader.labels, before[1])


# ---------------------------------------------------------------- seeds, splits, noise


def test_one_seed_gives_one_sequence_of_epochs(load):
    same, again, other = (load(train_size=500, seed=seed)[0] for seed in (3, 3, 4))
    for _ in range(3):
        epoch = everything(same)[0]
        assert torch.equal(epoch, everything(again)[0])
        assert not torch.equal(epoch, everything(other)[0])


def test_validation_images_depend_on_seed_and_valid_size_only(load):
    _, expected, _ = load(train_size=100, seed=1)
    _, same, _ = load(64, train_size=20_000, seed=1, label_noise=0.5)
    _, other, _ = load(train_size=100, seed=2)
    assert torch.equal(expected.images, same.images)
    assert torch.equal(expected.labels, same.labels)
    assert not torch.equal(expected.images, other.images)


@pytest.mark.parametrize("seed", range(3))
def test_smaller_training_set_is_the_beginning_of_a_larger_one(load, seed):
    small, large = (load(train_size=n, seed=seed)[0] for n in (100, 1000))
    assert torch.equal(small.images, large.images[:100])
    assert torch.equal(small.labels, large.labels[:100])


@pytest.mark.parametrize("seed", range(3))
def test_noise_redraws_the_asked_fraction_and_more_noise_a_superset(load, monkeypatch, seed):
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


@pytest.mark.parametrize("noise, redrawn", [(0.001, 0), (0.013, 1), (0.5, 50), (0.999, 100)])
def test_noise_redraws_exactly_the_rounded_number(load, monkeypatch, noise, redrawn):
    # every redrawn label becomes 10, a class that no image has
    monkeypatch.setattr(torch, "randint", lambda high, shape, generator: torch.full(shape, 10))
    train_iter, _, _ = load(train_size=100, label_noise=noise)
    assert (train_iter.labels == 10).sum() == redrawn


def test_noise_is_independent_of_the_order_of_the_batches(load):
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


def test_device_is_used(load):
    for device in ("cpu", torch.device("meta")):
        for loader in load(train_size=10, device=device):
            assert loader.images.device.type == loader.labels.device.type == str(device)


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
def test_bad_arguments_of_load_fashion_mnist(load, name, values, error):
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


def test_bad_train_size_says_what_is_left(load):
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


# ---------------------------------------------------------------- files that are not what they seem

DAMAGES = {
    "truncated": ("t10k-images-idx3-ubyte", lambda good: good[:-1], "fewer bytes"),
    "empty": (SMALL, lambda good: b"", "fewer bytes"),
    "longer": (SMALL, lambda good: good + b"\0", "more bytes"),
    "one bit": (SMALL, lambda good: good[:-1] + bytes([good[-1] ^ 1]), "other bytes"),
    "zeros": ("train-images-idx3-ubyte", lambda good: bytes(len(good)), "other bytes"),
    "labels reversed": ("train-labels-idx1-ubyte", lambda g: g[:8] + g[:7:-1], "other bytes"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_bad_file_is_noticed_and_replaced(monkeypatch, no_route, cache, content, packed, damage):
    name, spoil, reason = DAMAGES[damage]
    folder = cache(name)
    (folder / RAW / name).write_bytes(spoil(content[name]))
    with pytest.raises(OSError, match=f"{name} has {reason}"):
        data.fetch_fashion_mnist(folder)
    with pytest.raises(OSError, match=f"{name} has {reason}"):
        data.load_fashion_mnist(root=folder)
    monkeypatch.setenv("D2L_DATA", str(packed))
    with pytest.warns(UserWarning, match=f"{name} has {reason}.*replaced"):
        assert data.fetch_fashion_mnist(folder) == folder
    assert_complete(folder, content)
    good = sum((folder / RAW / name).is_symlink() for name in NAMES)
    assert good == 3  # the good ones were not touched


def test_bad_file_in_d2l_data_is_skipped_and_named(monkeypatch, no_route, cache, content, tmp_path):
    source, folder = cache(SMALL, place="source"), cache(SMALL)
    (source / RAW / SMALL).write_bytes(bytes(10_008))
    monkeypatch.setenv("D2L_DATA", str(source))
    with pytest.raises(OSError, match=f"D2L_DATA={source}: .*{SMALL} has other bytes"):
        data.fetch_fashion_mnist(folder)
    # good .gz files beside it are as welcome
    (source / f"{SMALL}.gz").write_bytes(gzip.compress(content[SMALL]))
    assert data.fetch_fashion_mnist(folder) == folder
    assert_complete(folder, content)


def test_damaged_gz_is_named(monkeypatch, no_route, cache, content, tmp_path):
    good = gzip.compress(content[SMALL])
    monkeypatch.setenv("D2L_DATA", str(tmp_path))
    folder = cache(SMALL)
    for bad in (good[:-9], b"no gzip", good[:20] + b"\xff\xff" + good[22:], good[:-8] + bytes(8)):
        (tmp_path / f"{SMALL}.gz").write_bytes(bad)
        with pytest.raises(OSError, match=rf"{SMALL}\.gz: {SMALL} cannot be read to its end"):
            data.fetch_fashion_mnist(folder)
        assert not (folder / RAW / SMALL).exists()


def test_directory_in_place_of_a_file(monkeypatch, no_route, cache, packed):
    folder = cache(SMALL)
    (folder / RAW / SMALL).mkdir()
    monkeypatch.setenv("D2L_DATA", str(packed))
    with pytest.raises(OSError, match=f"cannot be written to the cache folder {folder}.*directory"):
        data.fetch_fashion_mnist(folder)
    source = cache(SMALL, place="source")
    (source / SMALL).mkdir()
    monkeypatch.setenv("D2L_DATA", str(source))
    with pytest.raises(OSError, match=r"D2L_DATA=.*directory"):
        data.fetch_fashion_mnist(cache(SMALL, place="other"))


# ---------------------------------------------------------------- routes


def test_good_folder_is_not_touched(no_route, cache):
    def state():  # not the time of access, which reading may change
        return {p: (p.lstat().st_ino, p.lstat().st_mtime_ns) for p in [folder, *folder.rglob("*")]}

    folder = cache()
    before = state()
    assert data.fetch_fashion_mnist(folder) == folder
    assert state() == before


def test_default_folder(no_route, monkeypatch, cache, tmp_path):
    folder = cache(place="d2lutils")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert data.fetch_fashion_mnist() == folder
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".cache").mkdir()
    folder.rename(tmp_path / ".cache" / "d2lutils")
    assert data.fetch_fashion_mnist() == tmp_path / ".cache" / "d2lutils"


@pytest.mark.parametrize("part", [".", "FashionMNIST", "FashionMNIST/raw"])
def test_d2l_data_in_torchvisions_layout_is_used_in_place(no_route, monkeypatch, cache, part):
    source = cache(place="source")
    monkeypatch.setenv("D2L_DATA", str(source / part))
    assert data.fetch_fashion_mnist(source.parent / "new") == source
    assert not (source.parent / "new").exists()
    assert FashionMNIST(source, train=False).targets[0] == 9


@pytest.mark.parametrize("place", [".", "raw", "FashionMNIST/raw"])
def test_d2l_data_with_gz_files_fills_the_cache(
    no_route, monkeypatch, content, packed, tmp_path, place
):
    (tmp_path / "source" / place).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "source" / place).symlink_to(packed)
    monkeypatch.setenv("D2L_DATA", str(tmp_path / "source"))
    folder = data.fetch_fashion_mnist(tmp_path / "cache")
    assert folder == tmp_path / "cache"
    assert_complete(folder, content)


def test_d2l_data_in_another_layout_is_copied(no_route, monkeypatch, folder, content, tmp_path):
    (tmp_path / "flat").symlink_to(folder / RAW)
    monkeypatch.setenv("D2L_DATA", str(tmp_path / "flat"))
    assert data.fetch_fashion_mnist(tmp_path / "cache") == tmp_path / "cache"
    assert_complete(tmp_path / "cache", content)


def test_system_copy(no_route, monkeypatch, content, packed, tmp_path):
    monkeypatch.setattr(data, "_SYSTEM_COPY", packed)
    monkeypatch.setenv("D2L_DATA", str(tmp_path / "not there"))
    assert_complete(data.fetch_fashion_mnist(tmp_path / "cache"), content)


def test_no_route_lists_them_all(no_route, monkeypatch, tmp_path):
    monkeypatch.setenv("D2L_DATA", str(tmp_path / "not there"))
    with pytest.raises(OSError) as caught:
        data.load_fashion_mnist(root=tmp_path / "cache")
    message = str(caught.value)
    for route in ("D2L_DATA=", "system copy", NOWHERE, "Debian's package", "apt-get"):
        assert f"{route}" in message
    assert message.count(NOWHERE) == 2 and "refused" in message and "Run this again" in message
    assert str(tmp_path / "cache") in message


class Server(http.server.ThreadingHTTPServer):
    """Serve `files` on localhost; `cut` files end early."""

    daemon_threads = True
    files: dict = {}
    cut: frozenset = frozenset()
    asked: list = []


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        name = self.path.rpartition("/")[2]
        self.server.asked.append(name)
        if name not in self.server.files:
            return self.send_error(404)
        body = self.server.files[name]
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if name in self.server.cut else body)

    def log_message(self, *args):
        pass


@pytest.fixture
def server(no_route, monkeypatch):
    with Server(("127.0.0.1", 0), Handler) as server:
        server.asked = []
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        monkeypatch.setattr(data, "_GITHUB", f"http://127.0.0.1:{server.server_port}/data/")
        yield server
        server.shutdown()
        thread.join()


def test_download(server, packed, content, tmp_path, capfd):
    server.files = {path.name: path.read_bytes() for path in packed.iterdir()}
    assert_complete(data.fetch_fashion_mnist(tmp_path / "cache"), content)
    assert server.asked == [f"{name}.gz" for name in NAMES]
    assert capfd.readouterr() == ("", "")  # no terminal, no progress bar; never stderr


def test_download_cut_short_goes_on_when_run_again(server, packed, content, cache):
    first = "train-labels-idx1-ubyte"
    folder = cache(first, SMALL)
    server.files = {f"{n}.gz": (packed / f"{n}.gz").read_bytes() for n in (first, SMALL)}
    server.cut = {f"{SMALL}.gz"}
    with pytest.raises(OSError, match=f"{SMALL} cannot be read to its end"):
        data.fetch_fashion_mnist(folder)
    assert sorted(p.name for p in (folder / RAW).iterdir()) == sorted(set(NAMES) - {SMALL})
    server.cut, server.asked = set(), []
    assert_complete(data.fetch_fashion_mnist(folder), content)
    assert server.asked == [f"{SMALL}.gz"]


def test_download_falls_through_to_the_mirror(server, packed, content, cache, monkeypatch):
    monkeypatch.setattr(FashionMNIST, "mirrors", [data._GITHUB])
    monkeypatch.setattr(data, "_GITHUB", NOWHERE)
    server.files = {f"{SMALL}.gz": (packed / f"{SMALL}.gz").read_bytes()}
    assert_complete(data.fetch_fashion_mnist(cache(SMALL)), content)


@pytest.mark.parametrize(
    "body, reason",
    [
        (b"<html>no such page</html>", "cannot be read to its end: Not a gzipped file"),
        (gzip.compress(bytes(10_008)), "other bytes"),
        (gzip.compress(bytes(30_000_000), compresslevel=1), "more bytes"),
        (None, "404"),
    ],
    ids=["garbage", "wrong", "bomb", "missing"],
)
def test_bad_download_is_refused(server, cache, body, reason):
    folder = cache(SMALL)
    server.files = {f"{SMALL}.gz": body} if body else {}
    with pytest.raises(OSError, match=f"{SMALL}.*{reason}"):
        data.fetch_fashion_mnist(folder)
    assert sorted(p.name for p in (folder / RAW).iterdir()) == sorted(set(NAMES) - {SMALL})


def test_bomb_is_never_unpacked_beyond_one_byte_too_many(tmp_path):
    bomb = tmp_path / "bomb.gz"
    bomb.write_bytes(gzip.compress(bytes(30_000_000), compresslevel=1))
    with gzip.open(bomb) as source, open(tmp_path / "out", "wb") as out:
        with pytest.raises(data._RouteFailed, match="more bytes"):
            data._copy(source, SMALL, out)
    assert (tmp_path / "out").stat().st_size == 10_009


@pytest.mark.skipif(
    not (shutil.which("apt-get") and shutil.which("dpkg-deb")), reason="needs apt-get and dpkg-deb"
)
def test_debian_package_without_root_and_without_lists(shared):
    (shared / "no lists" / "partial").mkdir(parents=True)
    config = shared / "apt.conf"
    config.write_text(f'Dir::State::Lists "{shared}/no lists";\n')
    script = """
        from torchvision.datasets import FashionMNIST
        FashionMNIST.mirrors = []
        drop_root()
        folder = data.fetch_fashion_mnist(os.environ["SHARED"] + "/a cache")
        print(sorted(os.listdir(folder)), data._faults(folder / data._RAW))
    """
    done = python(script, SHARED=str(shared), D2L_DATA="", APT_CONFIG=str(config))
    if "Could not resolve" in done.stderr or "Unable to locate" in done.stderr:
        pytest.skip(f"no Debian mirror within reach: {done.stderr[-300:]}")
    assert done.stdout == "['FashionMNIST', 'fashion-mnist.lock'] {}\n", done.stderr
    assert done.stderr == ""
    assert os.listdir(shared / "no lists") == ["partial"]  # apt's own lists were left alone


# ---------------------------------------------------------------- many processes, killed processes


def test_eight_processes_at_once(shared, packed, content):
    script = """
        children = []
        ready, go = os.pipe()
        for _ in range(8):
            pid = os.fork()
            if pid == 0:
                os.close(go)
                os.read(ready, 1)  # until the parent closes its end
                try:
                    data.fetch_fashion_mnist(os.environ["SHARED"])
                    os._exit(0)
                except BaseException as error:
                    print(error, file=sys.stderr, flush=True)
                    os._exit(1)
            children.append(pid)
        os.close(go)
        print([os.waitpid(pid, 0)[1] for pid in children])
    """
    done = python(script, SHARED=str(shared), D2L_DATA=str(packed))
    assert (done.stdout, done.stderr) == (f"{[0] * 8}\n", "")
    assert_complete(shared, content)


def test_killed_in_the_middle_and_run_again(no_route, monkeypatch, shared, packed, content):
    script = """
        import gzip
        read, calls = gzip.GzipFile.read, []
        def read_then_die(self, size):
            calls.append(size)
            if len(calls) == 20:
                os.kill(os.getpid(), signal.SIGKILL)
            return read(self, size)
        gzip.GzipFile.read = read_then_die
        data.fetch_fashion_mnist(os.environ["SHARED"])
    """
    done = python(script, SHARED=str(shared), D2L_DATA=str(packed))
    assert done.returncode == -signal.SIGKILL
    assert [path.name for path in (shared / RAW).iterdir()] == [f"{NAMES[0]}.part"]
    (shared / "debian-package.part" / "cache").mkdir(parents=True)  # as if killed in that route
    monkeypatch.setenv("D2L_DATA", str(packed))
    assert_complete(data.fetch_fashion_mnist(shared), content)


def test_leftovers_go_even_when_no_route_is_left(no_route, cache):
    folder = cache(SMALL)
    (folder / RAW / f"{NAMES[0]}.part").write_bytes(b"half")
    with pytest.raises(OSError, match="no route"):
        data.fetch_fashion_mnist(folder)
    assert sorted(p.name for p in (folder / RAW).iterdir()) == sorted(set(NAMES) - {SMALL})


# ---------------------------------------------------------------- caches that cannot be written


def test_no_space(shared, packed):
    script = """
        import resource
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
        try:
            data.fetch_fashion_mnist(os.environ["SHARED"])
        except OSError as error:
            print(error)
        train_iter, _, _ = data.load_fashion_mnist(root=os.environ["SHARED"], device="cpu")
        print(train_iter.images.shape)
    """
    done = python(script, SHARED=str(shared), D2L_DATA=str(packed))
    message, shape = done.stdout.splitlines()
    assert f"cannot be written to the cache folder {shared}: [Errno 27] File too large" in message
    assert "XDG_CACHE_HOME" in message and "D2L_DATA" in message and "root=" in message
    assert shape == "torch.Size([55000, 1, 28, 28])" and done.stderr == ""
    assert list((shared / RAW).iterdir()) == []


def test_read_only_cache(shared, packed):
    os.chmod(shared, 0o555)
    script = """
        drop_root()
        try:
            data.fetch_fashion_mnist(os.environ["SHARED"] + "/cache")
        except OSError as error:
            print(error)
        _, _, test_iter = data.load_fashion_mnist(root=os.environ["SHARED"], device="cpu")
        print(test_iter.labels[0].item())
    """
    done = python(script, SHARED=str(shared), D2L_DATA=str(packed))
    os.chmod(shared, 0o777)
    message, label = done.stdout.splitlines()
    assert f"cannot be written to the cache folder {shared}/cache: [Errno 13]" in message
    assert label == "9" and done.stderr == ""


def test_file_in_place_of_the_cache_folder(no_route, monkeypatch, tmp_path, packed):
    (tmp_path / "cache").write_text("not a folder")
    with pytest.raises(OSError, match=f"cannot be written to the cache folder {tmp_path}/cache"):
        data.load_fashion_mnist(root=tmp_path / "cache")
    monkeypatch.setenv("D2L_DATA", str(packed))
    assert data.load_fashion_mnist(root=tmp_path / "cache", device="cpu")[0].num_examples == 55_000


# ---------------------------------------------------------------- the command


def test_command(folder, tmp_path):
    command = [sys.executable, "-m", "d2lutils.data"]
    options = {"cwd": REPOSITORY, "capture_output": True, "text": True}
    done = subprocess.run([*command, str(folder)], **options)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"Fashion-MNIST, verified: {folder / RAW}\n"
    (tmp_path / "cache").write_text("not a folder")
    environment = os.environ | {"D2L_DATA": ""}
    done = subprocess.run([*command, str(tmp_path / "cache")], **options, env=environment)
    assert (done.returncode, done.stdout) == (1, "")
    assert "cannot be written" in done.stderr and "Traceback" not in done.stderr


def test_the_command_fills_the_very_folder_it_is_given(tmp_path):
    """Also where D2L_DATA names a good folder that could be used in place."""
    source = data.fetch_fashion_mnist()
    result = subprocess.run(
        [sys.executable, "-m", "d2lutils.data", str(tmp_path / "shared")],
        env={**os.environ, "D2L_DATA": str(source)},
        capture_output=True,
        text=True,
    )
    raw = tmp_path / "shared" / "FashionMNIST" / "raw"
    assert (result.returncode, result.stderr) == (0, "") and str(raw) in result.stdout
    for file in (source / "FashionMNIST" / "raw").glob("*-ubyte"):
        assert (raw / file.name).read_bytes() == file.read_bytes()

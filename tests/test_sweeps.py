"""Stacked training against training each model alone with torch.nn and torch.optim."""

import concurrent.futures
import itertools
import json
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import d2lutils as d2l
from d2lutils import sweeps
from d2lutils.sweeps import Sweep, compare, mlp, sweep

# Small, but real: an odd last batch, two hidden layers, real images.
SMALL = dict(
    hidden=(32, 16), train_size=300, valid_size=200, num_epochs=3, batch_size=64, progress=False
)
QUANTITIES = sweeps._PER_EPOCH + sweeps._AT_THE_END


def alone(lam, p, label_noise, seed, optimizer, decay, lr, momentum, init):
    """One model of the grid, the usual way."""
    net = mlp(SMALL["hidden"], p, init=init, seed=seed)
    train_iter, valid_iter, test_iter = d2l.load_fashion_mnist(
        SMALL["batch_size"],
        train_size=SMALL["train_size"],
        valid_size=SMALL["valid_size"],
        label_noise=label_noise,
        seed=seed,
        device="cpu",
    )
    linears = [layer for layer in net if isinstance(layer, nn.Linear)]
    groups = [
        {"params": [layer.weight for layer in linears], "weight_decay": lam},
        {"params": [layer.bias for layer in linears], "weight_decay": 0.0},
    ]
    if optimizer == "sgd":
        optimizer = torch.optim.SGD(groups, lr=lr, momentum=momentum)
    else:
        optimizer = {"l2": torch.optim.Adam, "decoupled": torch.optim.AdamW}[decay](groups, lr=lr)
    loss = nn.CrossEntropyLoss()
    history = d2l.train(
        net, train_iter, valid_iter, loss, optimizer, SMALL["num_epochs"], progress=False
    )
    final = (*d2l.evaluate(net, train_iter, loss), *d2l.evaluate(net, test_iter, loss))
    return history, final, [layer.weight.detach() for layer in linears]


@pytest.mark.parametrize(
    "optimizer, decay, lr, momentum, init",
    [
        ("sgd", "l2", 0.1, 0.0, "he"),
        ("sgd", "l2", 0.05, 0.9, "default"),
        ("sgd", "l2", 0.1, 0.0, 0.1),
        ("adam", "l2", 1e-3, 0.0, "he"),
        ("adam", "decoupled", 1e-3, 0.0, "he"),
    ],
)
def test_equals_training_each_model_alone(optimizer, decay, lr, momentum, init):
    how = dict(optimizer=optimizer, decay=decay, lr=lr, momentum=momentum, init=init)
    result = sweep([0.0, 0.03], label_noise=[0.0, 0.4], seeds=[3, 5], device="cpu", **SMALL, **how)
    axes = (result.settings[name] for name in ("lam", "label_noise", "seeds"))
    for (i, lam), (k, noise), (s, seed) in itertools.product(*map(enumerate, axes)):
        history, final, weights = alone(lam, 0.0, noise, seed, **how)
        where = (i, 0, k, s)
        for name in sweeps._PER_EPOCH:
            np.testing.assert_allclose(
                getattr(result, name)[where], getattr(history, name), rtol=1e-4, atol=1e-5
            )
        for name, value in zip(sweeps._AT_THE_END[:4], final, strict=True):
            assert getattr(result, name)[where] == pytest.approx(value, rel=1e-4, abs=1e-4)
        for layer, W in enumerate(weights):
            assert result.weight_norm[where][layer] == pytest.approx(W.norm().item(), rel=1e-4)
            edges = result.bin_edges[layer]
            counts, _ = np.histogram(np.clip(W.numpy(), edges[0], edges[-1]), edges)
            # A weight on an edge may fall to either side.
            assert np.abs(counts - result.weight_histogram[where][layer]).sum() <= 4


def test_decoupled_decay_with_momentum_shrinks_past_the_velocity():
    """SGDW (Loshchilov and Hutter 2019, algorithm 1), which torch.optim does not have."""
    how = dict(optimizer="sgd", decay="decoupled", lr=0.05, momentum=0.9, init="he")
    result = sweep([0.1], seeds=[0], device="cpu", **SMALL, **how)
    net = mlp(SMALL["hidden"], seed=0)
    train_iter, *_ = d2l.load_fashion_mnist(64, train_size=300, valid_size=200, device="cpu")
    weights = [layer.weight for layer in net if isinstance(layer, nn.Linear)]
    optimizer = torch.optim.SGD(net.parameters(), lr=how["lr"], momentum=how["momentum"])
    for _ in range(SMALL["num_epochs"]):
        for X, y in train_iter:
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(X), y).backward()
            with torch.no_grad():
                for W in weights:
                    W *= 1 - how["lr"] * 0.1
            optimizer.step()
    expected = [W.norm().item() for W in weights]
    np.testing.assert_allclose(result.weight_norm[0, 0, 0, 0], expected, rtol=1e-4)


class TestDropout:
    def test_agrees_with_nn_dropout_in_distribution(self):
        """Means over seeds differ by less than three standard errors, for each quantity."""
        how = dict(optimizer="sgd", decay="l2", lr=0.1, momentum=0.0, init="he")
        seeds, p = range(12), (0.3, 0.6)
        result = sweep([0.0], [p], seeds=seeds, device="cpu", **SMALL)
        torch.manual_seed(0)
        runs = [alone(0.0, p, 0.0, seed, **how)[0] for seed in seeds]
        for name in sweeps._PER_EPOCH:
            ours = getattr(result, name)[0, 0, 0, :, -1]
            theirs = np.array([getattr(run, name)[-1] for run in runs])
            difference = ours - theirs  # paired: same start, same batches, other masks
            error = difference.std(ddof=1) / np.sqrt(len(seeds))
            assert abs(difference.mean()) < 3 * error + 1e-3, name

    @pytest.mark.parametrize("p", [(0.5, 0.0), (0.0, 0.5), (1.0, 0.0), (0.3, 0.7)])
    def test_one_step_is_autograd_s_with_the_same_mask(self, p):
        config = sweeps._Config((7, 5), 300, 200, 1, 8, 0.1, 0.0, "sgd", "l2", "he")
        job = sweeps._Job(config, [(0, 0, 0, 0)], [0.02], [p], [0.0], [0])
        stack, net = sweeps._Stack(job, torch.device("cpu")), mlp((7, 5), seed=0)
        X, y = torch.rand(8, 784), torch.randint(10, (8,))
        draws = [torch.rand(1, 8, width) for width in (7, 5)]
        stack.step(X[None], y[None], draws)

        linears, h = [m for m in net if isinstance(m, nn.Linear)], X
        for layer, u, q in zip(linears, draws, p, strict=False):
            h = layer(h).relu() * (u[0] >= q) / ((1 - q) if q < 1 else 1)
        penalty = 0.02 / 2 * sum((layer.weight**2).sum() for layer in linears)
        (nn.functional.cross_entropy(linears[2](h), y) + penalty).backward()
        for layer, W, b in zip(linears, stack.weights, stack.biases, strict=True):
            expected = layer.weight - 0.1 * layer.weight.grad
            torch.testing.assert_close(W[0].T, expected, rtol=1e-5, atol=1e-6)
            torch.testing.assert_close(b[0, 0], layer.bias - 0.1 * layer.bias.grad)

    def test_p_zero_in_company_is_p_zero_alone(self):
        together = sweep([0.0], [0.0, (0.2, 0.5), 1.0], seeds=1, **SMALL)
        lonely = sweep([0.0], [0.0], seeds=1, **SMALL)
        np.testing.assert_allclose(together.valid_loss[:, :1], lonely.valid_loss, rtol=1e-5)

    def test_p_one_learns_nothing_but_the_last_bias(self):
        result = sweep([0.0], [1.0], seeds=1, **SMALL)
        start = [layer.weight for layer in mlp(SMALL["hidden"]) if isinstance(layer, nn.Linear)]
        norms = [W.norm().item() for W in start]
        np.testing.assert_allclose(result.weight_norm[0, 0, 0, 0], norms, rtol=1e-5)
        assert np.isfinite(result.valid_loss).all()


def test_calibration_error_is_the_textbook_s():
    result = sweep([0.0], seeds=[0], device="cpu", **SMALL)
    net = mlp(SMALL["hidden"], seed=0)
    train_iter, _, test_iter = d2l.load_fashion_mnist(
        64, train_size=300, valid_size=200, device="cpu"
    )
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    d2l.train(net, train_iter, None, nn.CrossEntropyLoss(), optimizer, 3, progress=False)
    net.eval()
    with torch.no_grad():
        probabilities = torch.cat([net(X) for X, _ in test_iter]).softmax(1).numpy()
    confidence, right = probabilities.max(1), probabilities.argmax(1) == test_iter.labels.numpy()
    expected = 0.0
    for low in np.arange(15) / 15:
        inside = (confidence >= low) & (confidence < low + 1 / 15)
        if inside.any():
            expected += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    assert result.calibration_error.item() == pytest.approx(expected, abs=1e-3)


class TestGrid:
    @pytest.mark.parametrize("chunk_size", [1, 3, 100])
    def test_chunks_do_not_change_results(self, chunk_size):
        grid = dict(lam=[0.0, 0.01], p=[0.0, (0.2, 0.5)], label_noise=[0.0, 0.4], seeds=2)
        whole = sweep(**grid, **SMALL)
        cut = sweep(**grid, **SMALL, chunk_size=chunk_size)
        for name in QUANTITIES:
            np.testing.assert_allclose(
                getattr(whole, name), getattr(cut, name), rtol=1e-3, atol=1e-4, err_msg=name
            )

    def test_settings_of_a_seed_start_alike_and_seeds_differ(self):
        result = sweep([0.0, 1e-12], seeds=2, **SMALL)
        np.testing.assert_allclose(result.train_loss[0], result.train_loss[1], rtol=1e-5)
        assert (result.train_loss[0, 0, 0, 0] != result.train_loss[0, 0, 0, 1]).all()

    def test_at_picks_a_point(self):
        result = sweep([0.0, 0.01], [0.0, (0.2, 0.5)], seeds=2, **SMALL)
        point = result.at(lam=0.01, p=(0.2, 0.5))
        assert point.settings["lam"] == (0.01,) and point.settings["p"] == ((0.2, 0.5),)
        np.testing.assert_array_equal(point.test_accuracy[0, 0], result.test_accuracy[1, 1])
        np.testing.assert_array_equal(result.at(p=0).gap[:, 0], result.gap[:, 0])
        with pytest.raises(KeyError, match=r"lam=0.5 is not in the grid; it holds \(0.0, 0.01\)"):
            result.at(lam=0.5)

    def test_any_widths_and_none(self):
        for hidden in ((), (9,), (9, 8, 7)):
            result = sweep([0.0], [0.5], seeds=1, **{**SMALL, "hidden": hidden})
            assert result.weight_norm.shape[-1] == len(hidden) + 1 and result.complete

    def test_what_diverges_is_nan_and_hurts_nobody(self):
        result = sweep([0.0, 1e6], seeds=1, **SMALL)
        assert np.isnan(result.test_accuracy[1]).all() and result.complete
        assert np.isfinite(result.test_accuracy[0]).all()

    def test_keyboard_interrupt_returns_what_is_finished(self, monkeypatch, capsys):
        real, calls = sweeps._train_job, []

        def train_job(job, *args, **kwargs):
            calls.append(job)
            if len(calls) == 2:
                raise KeyboardInterrupt
            return real(job, *args, **kwargs)

        monkeypatch.setattr(sweeps, "_train_job", train_job)
        part = sweep([0.0, 0.01, 0.1], seeds=1, chunk_size=1, **SMALL)
        assert part.finished.ravel().tolist() == [True, False, False] and not part.complete
        assert "1 of 3 models" in capsys.readouterr().out
        monkeypatch.undo()
        whole = sweep([0.0, 0.01, 0.1], seeds=1, chunk_size=1, resume=part, **SMALL)
        fresh = sweep([0.0, 0.01, 0.1], seeds=1, chunk_size=1, **SMALL)
        assert whole.complete
        np.testing.assert_array_equal(whole.valid_loss, fresh.valid_loss)
        assert not part.complete, "resuming leaves the old sweep as it was"


GRID = dict(lam=[0.0, 0.01], p=[0.0, (0.2, 0.5)], seeds=2, chunk_size=2, **SMALL)


@pytest.fixture(scope="module")
def local():
    return sweep(device="cpu", **GRID)


@pytest.fixture(scope="module")
def result():
    return sweep([0.0, 1e6], [0.0, (0.2, 0.5)], seeds=2, **SMALL)


class TestExecutor:
    @staticmethod
    def assert_equal(a, b):
        assert a.complete and b.complete
        for name in QUANTITIES:
            np.testing.assert_allclose(
                getattr(a, name), getattr(b, name), rtol=1e-3, atol=1e-4, err_msg=name
            )

    def test_process_pool_gives_the_local_result(self, local):
        context = multiprocessing.get_context("spawn")
        with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as executor:
            self.assert_equal(sweep(executor=executor, **GRID), local)

    def test_a_killed_process_keeps_what_is_finished(self, local):
        context = multiprocessing.get_context("spawn")
        with KilledInTheMiddle(1, mp_context=context) as executor:
            with pytest.raises(RuntimeError, match=r"executor failed after 2 of 8 .*resume") as e:
                sweep(executor=executor, **GRID)
        assert e.value.sweep.finished.sum() == 2
        self.assert_equal(sweep(resume=e.value.sweep, **GRID), local)

    def test_dask_cluster_survives_the_death_of_a_worker(self, local):
        distributed = pytest.importorskip("distributed")
        # Two workers that a nanny restarts, on this machine alone.
        with distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None, host="127.0.0.1"
        ) as cluster, distributed.Client(cluster) as client:  # fmt: skip
            pids = client.run(os.getpid)
            killer = threading.Timer(3.0, os.kill, (next(iter(pids.values())), signal.SIGKILL))
            killer.start()
            try:
                self.assert_equal(sweep(executor=client.get_executor(), **GRID), local)
            finally:
                killer.join()
            assert set(client.run(os.getpid).values()) != set(pids.values())


class KilledInTheMiddle(concurrent.futures.ProcessPoolExecutor):
    """A real process pool whose worker is killed by its second job."""

    submitted = 0

    def submit(self, fn, *args, **kwargs):
        self.submitted += 1
        return super().submit(commit_suicide if self.submitted == 2 else fn, *args, **kwargs)


def commit_suicide(job):
    os.kill(os.getpid(), signal.SIGKILL)


class TestFile:
    def test_comes_back_as_it_went(self, result, tmp_path):
        path = result.save(tmp_path / "runs")
        assert path == tmp_path / "runs.npz"
        back = Sweep.load(path)
        assert back.settings == result.settings
        for name in (*sweeps._arrays(), "bin_edges"):
            np.testing.assert_array_equal(getattr(back, name), getattr(result, name))
        assert [p.name for p in tmp_path.iterdir()] == ["runs.npz"]

    @pytest.mark.parametrize("damage", ["truncated", "foreign", "text", "pickle", "empty", "shape"])
    def test_damaged_or_foreign_files_are_named(self, result, tmp_path, damage):
        path = result.save(tmp_path / "runs.npz")
        content = path.read_bytes()
        if damage == "truncated":
            path.write_bytes(content[: len(content) // 2])
        elif damage == "foreign":
            np.savez(path, a=np.zeros(3))
        elif damage == "text":
            path.write_text("lam,p\n0,0\n")
        elif damage == "empty":
            path.write_bytes(b"")
        elif damage == "shape":
            with np.load(path) as file:
                arrays = dict(file)
            np.savez(path, **(arrays | {"test_loss": np.zeros((2, 2))}))
        else:  # would create a file if it were ever unpickled
            path.write_bytes(pickle.dumps(Bomb(str(tmp_path / "boom"))))
        with pytest.raises(ValueError, match="runs.npz"):
            Sweep.load(path)
        assert not (tmp_path / "boom").exists()

    def test_an_object_array_is_never_unpickled(self, result, tmp_path):
        path, boom = tmp_path / "runs.npz", tmp_path / "boom"
        np.savez(path, header=np.array([Bomb(str(boom))], dtype=object))
        with pytest.raises(ValueError, match="runs.npz"):
            Sweep.load(path)
        assert not boom.exists()

    def test_a_newer_version_is_named(self, result, tmp_path):
        path = result.save(tmp_path / "runs.npz")
        with np.load(path) as file:
            arrays = dict(file)
        header = json.loads(str(arrays["header"])) | {"version": 2}
        np.savez(path, **(arrays | {"header": np.array(json.dumps(header))}))
        with pytest.raises(ValueError, match="version 2 of the format; this d2lutils reads 1"):
            Sweep.load(path)

    def test_a_missing_file_is_an_os_error(self, tmp_path):
        with pytest.raises(FileNotFoundError):
            Sweep.load(tmp_path / "nowhere.npz")


class Bomb:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (self.path, "w")


class TestCompare:
    # Two-sided 95 % quantiles as any table has them.
    @pytest.mark.parametrize("degrees, t", [(1, 12.706), (2, 4.303), (4, 2.776), (9, 2.262),
                                            (30, 2.042), (1000, 1.962)])  # fmt: skip
    def test_quantile_of_student_s_t(self, degrees, t):
        assert sweeps._student_t(degrees) == pytest.approx(t, abs=6e-4)

    @given(shift=st.floats(-1, 1), seed=st.integers(0, 1000))
    @settings(max_examples=30, deadline=None)
    def test_is_paired(self, shift, seed):
        a = np.random.default_rng(seed).normal(size=6)
        c = compare(a + shift, a)
        assert c.difference == pytest.approx(shift, abs=1e-9)
        assert c.low == pytest.approx(shift, abs=1e-6) and c.high == pytest.approx(shift, abs=1e-6)

    def test_covers_the_truth_as_often_as_it_says(self):
        rng = np.random.default_rng(0)
        hits = sum(
            c.low <= 0.3 <= c.high
            for c in (compare(rng.normal(0.3, 1, 5), np.zeros(5)) for _ in range(400))
        )
        assert 0.92 <= hits / 400 <= 0.98

    def test_says_what_it_found(self):
        c = compare([0.8, 0.81, 0.82], [0.7, 0.71, 0.72])
        assert c.real and str(c) == "+0.1000 [+0.1000, +0.1000] ≠ 0 (3 seeds)"
        assert not compare([0.8, 0.7, 0.75], [0.7, 0.8, 0.75]).real

    def test_bad_input(self, result):
        other = sweep([0.0], seeds=[5, 6], **SMALL)
        with pytest.raises(ValueError, match="pick one point"):
            compare(result, result)
        with pytest.raises(ValueError, match="compare the same seeds"):
            compare(result.at(lam=0.0), other)
        with pytest.raises(ValueError, match="at least two"):
            compare([1.0], [2.0])
        with pytest.raises(ValueError, match="finite"):
            compare([1.0, np.nan], [2.0, 1.0])


@pytest.mark.parametrize(
    "arguments, message",
    [
        (dict(lam=[]), "lam is empty"),
        (dict(lam=[float("nan")]), r"lam\[0\]=nan"),
        (dict(lam=[0.1, -0.1]), r"lam\[1\]=-0.1"),
        (dict(lam=0.1), r"lam=0.1 must be a sequence"),
        (dict(lam=[0.1, 0.1]), "twice"),
        (dict(p=[1.5]), "p=1.5"),
        (dict(p=[(0.1,)]), "1 entries for 2 hidden layers"),
        (dict(p=[(0.1, float("nan"))]), r"p\[1\]=nan"),
        (dict(label_noise=[2]), r"label_noise\[0\]=2"),
        (dict(seeds=0), "seeds=0"),
        (dict(seeds=[]), "seeds is empty"),
        (dict(hidden=(0,)), r"hidden\[0\]=0"),
        (dict(hidden=5), "hidden=5"),
        (dict(train_size=60_001), "train_size=60001"),
        (dict(num_epochs=0), "num_epochs=0"),
        (dict(lr=-1), "lr=-1"),
        (dict(optimizer="lion"), "optimizer='lion' is not offered; give 'sgd' or 'adam'"),
        (dict(decay="l3"), "decay='l3'"),
        (dict(init="xavier"), "init='xavier'"),
        (dict(init=0.0), "init=0.0"),
        (dict(optimizer="adam", momentum=0.9), "momentum=0.9"),
        (dict(chunk_size=0), "chunk_size=0"),
    ],
)
def test_bad_input_is_named_before_anything_is_trained(arguments, message, monkeypatch):
    monkeypatch.setattr(sweeps, "_train_job", None)
    with pytest.raises((TypeError, ValueError), match=message):
        sweep(**{**SMALL, **arguments})


def test_a_grid_that_cannot_fit_is_refused_before_anything_is_trained(monkeypatch):
    monkeypatch.setattr(sweeps, "_train_job", None)
    with pytest.raises(MemoryError, match="GiB free; give a smaller chunk_size"):
        sweep([0.0], seeds=100, **{**SMALL, "hidden": (100_000, 100_000)})


_PEAK = """
import resource, sys
from d2lutils.sweeps import sweep

lam = [i * 1e-6 for i in range(int(sys.argv[1]) // 4)]
sweep(lam, seeds=4, hidden=(16,), train_size=200, valid_size=200, num_epochs=1, batch_size=64,
      chunk_size=16, progress=False, device="cpu")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss counts other units elsewhere")
def test_memory_grows_with_the_chunk_and_not_with_the_grid():
    """512 models need as much as 16. (Trained all at once they need about 800 MiB more.)"""
    few, many = (
        int(subprocess.check_output([sys.executable, "-c", _PEAK, str(num_models)]))
        for num_models in (16, 512)
    )
    assert many < few + 100 * 1024  # KiB


def test_resume_of_another_grid_is_refused():
    part = sweep([0.0], seeds=1, **SMALL)
    with pytest.raises(ValueError, match="resume has another lam"):
        sweep([0.1], seeds=1, resume=part, **SMALL)


def test_mlp_leaves_the_global_random_state_alone():
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    mlp(seed=7)
    torch.testing.assert_close(torch.rand(3), expected)

"""Stacked training against training each network alone with torch.nn and torch.optim."""

import concurrent.futures
import contextlib
import importlib.util
import itertools
import multiprocessing
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import d2lutils as d2l
from book.pages import BOOK
from d2lutils.sweeps import compare, grid, memo, mlp, sweep
from d2lutils.sweeps.stack import Stack

# Small, but real: an odd last batch, two hidden layers, real images.
SMALL = dict(
    hidden=(32, 16), train_size=300, valid_size=200, num_epochs=3, batch_size=64, progress=False
)
CURVES = ("train_loss", "train_accuracy", "valid_loss", "valid_accuracy")
FINAL = ("final_train_loss", "final_train_accuracy", "test_loss", "test_accuracy")


@pytest.fixture(autouse=True)
def _train_anew(monkeypatch):
    monkeypatch.delenv("D2L_SWEEPS", raising=False)


def alone(lam, p, label_noise, seed, optimizer, decay, lr, momentum, schedule, init):
    """One network of the grid, the usual way."""
    net = mlp(SMALL["hidden"], p, init=init, seed=seed)
    sizes = {name: SMALL[name] for name in ("batch_size", "train_size", "valid_size")}
    train_iter, valid_iter, test_iter = d2l.load_fashion_mnist(
        **sizes, label_noise=label_noise, seed=seed, device="cpu"
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
    loss, num_epochs, scheduler = nn.CrossEntropyLoss(), SMALL["num_epochs"], None
    if schedule == "linear":
        num_steps = num_epochs * len(train_iter)
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / num_steps)
    history = d2l.train(
        net, train_iter, valid_iter, loss, optimizer, num_epochs,
        scheduler=scheduler, progress=False,
    )  # fmt: skip
    final = (*d2l.evaluate(net, train_iter, loss), *d2l.evaluate(net, test_iter, loss))
    return history, final, [layer.weight.detach() for layer in linears]


@pytest.mark.parametrize(
    "optimizer, decay, lr, momentum, schedule, init",
    [
        ("sgd", "l2", 0.1, 0.0, "constant", "he"),
        ("sgd", "l2", 0.05, 0.9, "linear", "default"),
        ("sgd", "l2", 0.1, 0.0, "linear", 0.1),
        ("adam", "l2", 1e-3, 0.0, "linear", "he"),
        ("adam", "decoupled", 1e-3, 0.0, "constant", "he"),
        ("adam", "decoupled", 1e-3, 0.0, "linear", "he"),
    ],
)
def test_equals_training_each_network_alone(optimizer, decay, lr, momentum, schedule, init):
    how = dict(optimizer=optimizer, decay=decay, lr=lr, momentum=momentum, init=init)
    how["schedule"] = schedule
    lams, noises, seeds = (0, 0.03), (0, 0.4), (3, 5)
    result = sweep(lams, label_noise=noises, seeds=seeds, device="cpu", **SMALL, **how)
    for lam, noise, seed in itertools.product(lams, noises, seeds):
        history, final, weights = alone(lam, 0.0, noise, seed, **how)
        point = result.sel(lam=lam, p=0, label_noise=noise, seed=seed)
        for name in CURVES:
            np.testing.assert_allclose(point[name], getattr(history, name), rtol=1e-4, atol=1e-5)
        for name, value in zip(FINAL, final, strict=True):
            assert point[name] == pytest.approx(value, rel=1e-4, abs=1e-4)
        assert point.gap == pytest.approx(final[1] - history.valid_accuracy[-1], abs=2e-4)
        for layer, W in enumerate(weights, start=1):
            of_layer = point.sel(layer=layer)
            assert of_layer.weight_norm == pytest.approx(W.norm().item(), rel=1e-4)
            edges = of_layer.bin_edges.values
            counts, _ = np.histogram(np.clip(W.numpy(), edges[0], edges[-1]), edges)
            # A weight on an edge may fall to either side.
            assert np.abs(counts - of_layer.weight_histogram.values).sum() <= 4


def test_decoupled_decay_with_momentum_shrinks_past_the_velocity():
    """SGDW (Loshchilov and Hutter 2019, algorithm 1), which torch.optim does not have."""
    how = dict(optimizer="sgd", decay="decoupled", lr=0.05, momentum=0.9, schedule="constant")
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
    np.testing.assert_allclose(result.weight_norm.squeeze(), expected, rtol=1e-4)


@pytest.mark.parametrize("train_size, batch_size", [(300, 64), (128, 64), (5, 64)])
def test_the_rate_is_that_of_pytorch_s_scheduler_step_by_step(train_size, batch_size):
    settings = dict(hidden=[4], init="he", lr=0.3, momentum=0.9, optimizer="sgd", decay="l2",
                    num_epochs=3, train_size=train_size, batch_size=batch_size)  # fmt: skip
    steps = 3 * -(-train_size // batch_size)
    oracle = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.3)
    scheduler = torch.optim.lr_scheduler.PolynomialLR(oracle, total_iters=steps, power=1)
    falls, stays = (
        Stack([(0.0, (0.0,), 0.0, 0)], settings | {"schedule": schedule}, torch.device("cpu"))
        for schedule in ("linear", "constant")
    )
    X, y = torch.rand(1, 2, 784), torch.zeros(1, 2, dtype=torch.int64)
    for _ in range(steps):
        for stack, rate in ((falls, oracle.param_groups[0]["lr"]), (stays, 0.3)):
            assert stack.optimizer.param_groups[0]["lr"] == pytest.approx(rate, abs=1e-12)
            stack.step(X, y)
        oracle.step()
        scheduler.step()
    assert falls.optimizer.param_groups[0]["lr"] == pytest.approx(0, abs=1e-12)


class TestDropout:
    def test_agrees_with_nn_dropout_in_distribution(self):
        """Means over seeds differ by less than three standard errors, for each quantity."""
        how = dict(optimizer="sgd", decay="l2", lr=0.1, momentum=0.0, schedule="linear", init="he")
        seeds, p = range(12), (0.3, 0.6)
        result = sweep(p=[p], seeds=seeds, device="cpu", **SMALL).sel(epoch=3).squeeze()
        torch.manual_seed(0)
        runs = [alone(0.0, p, 0.0, seed, **how)[0] for seed in seeds]
        for name in CURVES:
            theirs = np.array([getattr(run, name)[-1] for run in runs])
            difference = result[name].values - theirs  # paired: same start, same batches
            error = difference.std(ddof=1) / np.sqrt(len(seeds))
            assert abs(difference.mean()) < 3 * error + 1e-3, name

    @pytest.mark.parametrize("p", [(0.5, 0.0), (0.0, 0.5), (1.0, 0.0), (0.3, 0.7)])
    def test_one_step_is_autograd_s_with_the_same_mask(self, p):
        how = dict(hidden=[7, 5], lr=0.1, momentum=0, optimizer="sgd", decay="l2", init="he")
        how |= dict(schedule="constant", num_epochs=1, train_size=8, batch_size=8)
        stack = Stack([(0.02, p, 0.0, 0)], how, torch.device("cpu"))
        net, X, y = mlp((7, 5), seed=0), torch.rand(8, 784), torch.randint(10, (8,))
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
        together = sweep(p=[0, (0.2, 0.5), 1], seeds=1, **SMALL).sel(p1=0, p2=0)
        lonely = sweep(p=[0], seeds=1, **SMALL).sel(p=0)
        np.testing.assert_allclose(together.valid_loss, lonely.valid_loss, rtol=1e-5)

    def test_p_one_learns_nothing_but_the_last_bias(self):
        result = sweep(p=[1], seeds=1, **SMALL).squeeze()
        start = [layer.weight for layer in mlp(SMALL["hidden"]) if isinstance(layer, nn.Linear)]
        norms = [W.norm().item() for W in start]
        np.testing.assert_allclose(result.weight_norm, norms, rtol=1e-5)
        assert np.isfinite(result.valid_loss).all()


class TestGrid:
    def test_values_and_settings_have_names(self):
        result = sweep([0.01, 0], [0, 0.5], label_noise=[0.4], seeds=[7], **SMALL)
        assert result.valid_loss.dims == ("lam", "p", "label_noise", "seed", "epoch")
        assert result.weight_histogram.dims[-2:] == ("layer", "bin")
        assert result.lam.values.tolist() == [0.01, 0], "in the order given"
        assert result.epoch.values.tolist() == [1, 2, 3] == result.layer.values.tolist()
        assert result.attrs["hidden"] == [32, 16] and result.attrs["optimizer"] == "sgd"
        assert result.finished.all()

    def test_each_layer_has_its_own_p(self):
        result = sweep([0, 0.01], [(0, 0), (0.2, 0.5)], seeds=1, **SMALL)
        assert result.test_loss.dims == ("lam", "p1", "p2", "label_noise", "seed")
        trained = result.sel(lam=0.01, p1=0.2, p2=0.5)
        asked = sweep([0.01], [(0.2, 0.5)], seeds=1, **SMALL)
        np.testing.assert_allclose(trained.test_loss, asked.test_loss.squeeze(), rtol=1e-3)
        other = result.sel(p1=0.2, p2=0)  # not asked for
        assert not other.finished.any() and np.isnan(other.valid_loss).all()
        assert (other.weight_histogram == 0).all()

    def test_a_result_can_be_written_as_netcdf(self, tmp_path):
        result = sweep(seeds=1, **SMALL)
        result.to_netcdf(tmp_path / "result.nc", engine="scipy")
        back = xarray.load_dataset(tmp_path / "result.nc", engine="scipy")
        xarray.testing.assert_equal(back, result)
        assert back.attrs["hidden"].tolist() == result.attrs["hidden"]

    @pytest.mark.parametrize("at_once", [1, 3])
    def test_chunks_do_not_change_results(self, at_once, monkeypatch):
        axes = dict(lam=[0, 0.01], p=[0, (0.2, 0.5)], label_noise=[0, 0.4], seeds=2)
        whole = sweep(**axes, **SMALL)
        monkeypatch.setitem(grid.AT_ONCE, d2l.default_device().type, at_once)
        xarray.testing.assert_allclose(
            whole[[*CURVES, *FINAL]], sweep(**axes, **SMALL)[[*CURVES, *FINAL]], 1e-3, 1e-4
        )

    def test_seeds_side_by_side_as_on_a_gpu_give_the_same(self):
        axes = dict(lam=[0, 0.01], p=[0, 0.5], label_noise=[0, 0.4], seeds=[3, 5])
        result = sweep(**axes, **SMALL, device="cpu")
        points = [(0.01, (0.5, 0.5), 0.4, 3), (0.0, (0.0, 0.0), 0.0, 5), (0.01, (0, 0), 0.4, 5)]
        together = grid.train_stack(points, result.attrs, torch.device("cpu"), lambda num: None)
        for i, (lam, (p, _), noise, seed) in enumerate(points):
            point = result.sel(lam=lam, p=p, label_noise=noise, seed=seed)
            for name in (*CURVES, *FINAL):
                np.testing.assert_allclose(point[name], together[name][i], rtol=1e-3, atol=1e-4)

    def test_settings_of_a_seed_start_alike_and_seeds_differ(self):
        loss = sweep([0, 1e-12], seeds=2, **SMALL).train_loss
        np.testing.assert_allclose(loss.sel(lam=0), loss.sel(lam=1e-12), rtol=1e-5)
        assert (loss.sel(seed=0) != loss.sel(seed=1)).all()

    @pytest.mark.parametrize("hidden", [(), (9,), (9, 8, 7)])
    def test_any_widths_and_none(self, hidden):
        result = sweep(p=[0.5], seeds=1, **{**SMALL, "hidden": hidden})
        assert result.sizes["layer"] == len(hidden) + 1 and result.finished.all()

    def test_what_diverges_is_nan_and_hurts_nobody(self):
        result = sweep([0, 1e6], seeds=1, **SMALL)
        assert np.isnan(result.test_accuracy.sel(lam=1e6)).all() and result.finished.all()
        assert np.isfinite(result.test_accuracy.sel(lam=0)).all()

    def test_keyboard_interrupt_returns_what_is_finished(self, interrupted, capsys):
        part = sweep(seeds=3, device="cpu", **SMALL)
        assert part.finished.squeeze().values.tolist() == [True, False, False]
        assert np.isnan(part.test_loss.sel(seed=1)).all()
        assert (
            capsys.readouterr().out == "Interrupted: 1 of 3 networks are finished, and returned.\n"
        )


@pytest.fixture
def interrupted(monkeypatch):
    """Press Ctrl-C in the second chunk."""
    real, calls = grid.train_stack, []

    def train_stack(*args):
        calls.append(args)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*args)

    monkeypatch.setattr(grid, "train_stack", train_stack)


class TestMemo:
    @pytest.fixture(autouse=True)
    def folder(self, monkeypatch, tmp_path):
        monkeypatch.setenv("D2L_SWEEPS", str(tmp_path / "kept"))
        return tmp_path / "kept"

    def test_what_is_kept_is_not_trained_again(self, folder, monkeypatch):
        first = sweep([0, 1e6], seeds=1, **SMALL)
        monkeypatch.setattr(grid, "train_stack", None)
        xarray.testing.assert_identical(first, sweep([0, 1e6], seeds=1, **SMALL))
        with pytest.raises(TypeError, match="not callable"):
            sweep([0, 1e6], seeds=1, **SMALL | {"lr": 0.2})
        assert len(list(folder.iterdir())) == 1

    @pytest.mark.parametrize("content", [b"", b"PK\3\4 half a file", "half", "other"])
    def test_a_damaged_or_foreign_file_is_ignored(self, content, folder):
        first = sweep(seeds=1, **SMALL)
        (path,) = folder.iterdir()
        if content == "other":
            np.savez(path, a=np.zeros(3))
        else:
            whole = path.read_bytes()
            path.write_bytes(whole[: len(whole) // 2] if content == "half" else content)
        xarray.testing.assert_identical(first, sweep(seeds=1, **SMALL))
        with np.load(path) as file:
            assert set(file) == set(first), "it was trained anew and kept"

    def test_whatever_is_wrong_with_a_file_it_is_ignored(self, folder):
        """Every byte counts: those of the zip file, and those of the headers of its arrays."""
        first = sweep(seeds=1, **SMALL)
        (path,) = folder.iterdir()
        whole = path.read_bytes()
        for i in range(0, len(whole), 5):
            for mask in (0xFF, 1):
                path.write_bytes(whole[:i] + bytes([whole[i] ^ mask]) + whole[i + 1 :])
                kept = first.copy(deep=True)
                memo.read(path, kept)
                xarray.testing.assert_identical(kept, first)

    def test_arrays_of_another_kind_are_ignored(self, folder):
        first = sweep(seeds=1, **SMALL)
        (path,) = folder.iterdir()
        last = list(first)[-1]
        arrays = {name: first[name].values for name in first}
        np.savez(path, **arrays | {last: np.full(arrays[last].shape, "text")})
        xarray.testing.assert_identical(first, sweep(seeds=1, **SMALL))

    def test_a_folder_in_the_home_may_be_written_with_a_tilde(self, monkeypatch, tmp_path):
        for name in ("HOME", "USERPROFILE"):
            monkeypatch.setenv(name, str(tmp_path))
        monkeypatch.setenv("D2L_SWEEPS", "~/kept")
        assert memo.path_of("a").parent == tmp_path / "kept"

    @pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
    def test_what_a_killed_process_leaves_is_removed(self, folder):
        context = multiprocessing.get_context("spawn")
        process = context.Process(target=killed_while_it_keeps_a_sweep)
        process.start()
        process.join()
        assert process.exitcode == -signal.SIGKILL
        (left,) = folder.iterdir()
        os.utime(left, times=(0, 0))
        (folder / "of one that still writes.part").touch()
        sweep(seeds=1, **SMALL)
        assert left not in folder.iterdir() and len(list(folder.iterdir())) == 2

    def test_an_interrupted_sweep_is_not_kept(self, folder, interrupted):
        sweep(seeds=3, device="cpu", **SMALL)
        assert not folder.exists()

    def test_a_change_of_the_code_or_of_torch_changes_the_key(self, tmp_path, monkeypatch):
        shutil.copytree(Path(memo.__file__).parent, tmp_path / "sweeps")
        shutil.copy(Path(memo.__file__).parent.parent / "data.py", tmp_path)
        spec = importlib.util.spec_from_file_location("copy", tmp_path / "sweeps" / "memo.py")
        copy = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(copy)
        assert copy.path_of("a") == memo.path_of("a") != memo.path_of("b")
        for file in ("sweeps/grid.py", "sweeps/network.py", "sweeps/stack.py", "data.py"):
            before = copy.path_of("a")
            with open(tmp_path / file, "a") as out:
                out.write("# changed\n")
            assert copy.path_of("a") != before
        before = memo.path_of("a")
        monkeypatch.setattr(torch, "__version__", "0")
        assert memo.path_of("a") != before

    def test_processes_may_keep_the_same_sweep_at_once(self, folder):
        context = multiprocessing.get_context("spawn")
        with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as executor:
            losses = [f.result() for f in [executor.submit(loss_of_a_sweep) for _ in range(2)]]
        assert losses[0] == losses[1] == loss_of_a_sweep()
        assert len(list(folder.iterdir())) == 1


def killed_while_it_keeps_a_sweep():
    os.replace = lambda *paths: os.kill(os.getpid(), signal.SIGKILL)
    sweep(seeds=1, **SMALL)


def loss_of_a_sweep():
    return sweep(seeds=1, **SMALL).test_loss.item()


def test_the_recipe_for_a_cluster_survives_the_death_of_a_worker():
    distributed = pytest.importorskip("distributed")
    page = (BOOK / "appendix" / "d2lutils.md").read_text(encoding="utf-8")
    code = re.search(r"```python\n(.*?xarray\.concat.*?)```", page, re.S)[1]
    assert "Client()" in code
    # Two workers that a nanny restarts, on this machine alone.
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, host="127.0.0.1"
    ) as cluster:
        with distributed.Client(cluster) as client:
            pids = client.run(os.getpid)
            killer = threading.Thread(target=kill_a_busy_worker, args=(client, pids))
            killer.start()
            defined = {"__name__": "__main__", "cluster": cluster}
            exec(code.replace("Client()", "Client(cluster)"), defined)
            killer.join()
            assert set(client.run(os.getpid).values()) != set(pids.values())
    local = sweep(**defined["settings"], seeds=5)
    names = [*CURVES, *FINAL, "weight_norm", "bin_edges", "finished"]
    xarray.testing.assert_allclose(defined["result"][names], local[names], 1e-2, 1e-2)
    assert defined["result"].weight_histogram.dims == local.weight_histogram.dims


def kill_a_busy_worker(client, pids):
    while not (busy := [address for address, tasks in client.processing().items() if tasks]):
        time.sleep(0.02)
    time.sleep(0.5)
    os.kill(pids[busy[0]], signal.SIGKILL)


class TestCompare:
    # Two-sided 95 % quantiles as any table has them.
    @pytest.mark.parametrize("degrees, t", [(1, 12.706), (4, 2.776), (30, 2.042)])
    def test_interval_is_student_s(self, degrees, t):
        a = np.random.default_rng(0).normal(size=degrees + 1)
        c = compare(a, 0 * a)
        reach = t * a.std(ddof=1) / np.sqrt(len(a))
        assert c.high - c.difference == pytest.approx(reach, rel=3e-4)
        assert c.difference - c.low == pytest.approx(reach, rel=3e-4)

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
        assert c.verdict == "above" and str(c) == repr(c) == "+0.1000 [+0.1000, +0.1000] > 0"
        c = compare([0.7, 0.71, 0.72], [0.8, 0.81, 0.82])
        assert c.verdict == "below" and str(c) == "-0.1000 [-0.1000, -0.1000] < 0"
        c = compare([0.8, 0.7, 0.75], [0.7, 0.8, 0.75])
        assert c.verdict == "cannot tell" and str(c).endswith("] ?")

    def test_takes_a_point_of_a_sweep(self):
        runs = xarray.DataArray(
            [[[1.0, 2.0, 4.0]], [[2.0, 3.0, 4.0]]],
            {"lam": [0, 0.1], "label_noise": [0.4], "seed": [0, 1, 2]},
        )
        a, b = runs.sel(lam=0.1), runs.sel(lam=0)
        assert compare(a, b) == compare([2, 3, 4], [1, 2, 4]) == compare(a.squeeze(), [1, 2, 4])
        with pytest.raises(ValueError, match=r"a is a grid of {'lam': 2,.*pick one point"):
            compare(runs, b)
        with pytest.raises(ValueError, match="compare the same seeds"):
            compare(a, b.assign_coords(seed=[5, 6, 7]))

    def test_bad_input(self):
        with pytest.raises(ValueError, match="at least two"):
            compare([1.0], [2.0])
        one = xarray.DataArray([1.0, 2.0], {"seed": [0, 1]}).sel(seed=0)
        with pytest.raises(ValueError, match="a has a single seed left; give all"):
            compare(one, one)
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
        (dict(lam=np.array(0.1)), "lam=0.1 must be a sequence"),
        (dict(p=[0.5, (0.5, 0.5)]), r"p=\[0.5, \(0.5, 0.5\)\] holds a value twice"),
        (dict(seeds=2.0), "seeds=2.0 .*give"),
        (dict(seeds=True), "seeds=True is of type bool: give a whole number"),
        (dict(seeds="3"), "seeds='3' must be a sequence"),
        (dict(p=[0.1, 1.5]), r"p\[1\]=1.5"),
        (dict(p=[(0.1,)]), "1 entries for 2 hidden layers"),
        (dict(p=[(0.1, float("nan"))]), r"p\[0\]\[1\]=nan"),
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
    ],
)
def test_bad_input_is_named_before_anything_is_trained(arguments, message, monkeypatch):
    monkeypatch.setattr(grid, "train_stack", None)
    with pytest.raises((TypeError, ValueError), match=message):
        sweep(**{**SMALL, **arguments})


TINY = dict(hidden=(8,), train_size=100, valid_size=100, num_epochs=1, progress=False, seeds=1)


@pytest.mark.parametrize(
    "arguments, words",
    [
        (dict(seeds=3_000_000), "seeds=3000000 is out of range: .* from 1 to 100000"),
        (dict(seeds=range(10**12)), "seeds=range.* is too long"),
        (dict(lam=range(1000), seeds=1000), "make 1,000,000 networks: give fewer values"),
        (dict(seeds=None), "seeds=None is of type NoneType: give .*, or a list of seeds"),
        (dict(seeds={0, 1}), "seeds={0, 1} is of type set"),
        (dict(lam=b"01"), "lam=b'01' must be a sequence"),
        (dict(lam={0: 1}), "lam={0: 1} must be a sequence"),
        (dict(lam=[[0.1]]), r"lam\[0\]=\[0.1\] is of type list"),
        (dict(lam=[True]), r"lam\[0\]=True is of type bool"),
        (dict(hidden=[1] * 1000), "hidden=.* is too long: give at most 100"),
        (dict(hidden=(2.0,)), r"hidden\[0\]=2.0 is of type float: give a whole number"),
        (
            dict(train_size=60_000),
            r"train_size=60000 is out of range: .*\(60,000 images less valid_size",
        ),
        (dict(device=""), "device='' is not here"),
        (dict(device="meta"), "device='meta' is not here"),
        (dict(progress="no"), "progress='no' is of type str: give True or False"),
        (dict(init=[0.1]), r"init=\[0.1\] is of type list"),
        (dict(lr=10**400), "lr=1000.* is out of range"),
        (dict(decay=np.array([1, 2])), r"decay=<int64 ndarray \(2,\)> is not offered"),
        (dict(p=np.full((2, 3), 0.1)), r"p\[0\]=<float64 ndarray \(3,\)> has 3 entries for 1"),
    ],
)
def test_more_bad_input_is_named(arguments, words, monkeypatch):
    monkeypatch.setattr(grid, "train_stack", None)
    with pytest.raises((TypeError, ValueError), match=words):
        sweep(**TINY | arguments)


def test_arrays_tensors_and_ranges_are_sequences_and_numbers():
    seeds, lam = torch.tensor(1), torch.tensor([0.0, 0.5])
    result = sweep(lam, np.array([[0.25]]), **TINY | {"seeds": seeds, "hidden": np.array([8])})
    other = sweep(range(1), **TINY | {"lr": np.float32(0.5), "seeds": np.array([0])})
    assert result.sizes["lam"] == 2 and other.finished.all()
    assert [layer.p for layer in mlp(torch.tensor([4, 4]), np.array([0.25, 0.5]))[3::3]] == [
        0.25,
        0.5,
    ]


@pytest.mark.parametrize(
    "state", ["no_grad", "inference_mode", "autocast", "float64", "bfloat16", "meta"]
)
def test_the_caller_s_settings_of_torch_neither_change_a_sweep_nor_are_changed(state):
    expected, net = sweep([0, 0.1], [0.5], **TINY), mlp((4,), init="default")
    if state in ("float64", "bfloat16"):
        torch.set_default_dtype(getattr(torch, state))
    if state == "meta":
        torch.set_default_device("meta")
    within = {"no_grad": torch.no_grad, "inference_mode": torch.inference_mode}.get(state)
    if state == "autocast":
        within = partial(torch.autocast, "cpu")

    def now():
        return (torch.get_default_dtype(), torch.get_default_device(), torch.is_grad_enabled(),
                torch.is_inference_mode_enabled(), torch.is_autocast_enabled("cpu"))  # fmt: skip

    try:
        with (within or contextlib.nullcontext)():
            before = now()
            result, again = sweep([0, 0.1], [0.5], **TINY), mlp((4,), init="default")
            assert before == now()
    finally:
        torch.set_default_dtype(torch.float32)
        torch.set_default_device(None)
    xarray.testing.assert_identical(expected, result)
    for a, b in zip(net.parameters(), again.parameters(), strict=True):
        assert torch.equal(a.to(b.dtype), b)


def test_threads_do_not_disturb_each_other_nor_the_global_random_state():
    def weights(seed):
        return [p.detach().clone() for p in mlp((64, 64), seed=seed).parameters()]

    torch.manual_seed(0)
    expected, draw = [weights(seed) for seed in range(100)], torch.rand(3)
    torch.manual_seed(0)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        found = list(pool.map(weights, range(100)))
        assert torch.equal(torch.rand(3), draw)
        for a, b in zip(itertools.chain(*expected), itertools.chain(*found), strict=True):
            assert torch.equal(a, b)
        parts = list(pool.map(lambda seed: sweep([0, 0.1], **TINY | {"seeds": [seed]}), range(4)))
    joined = xarray.concat(parts, "seed", data_vars="minimal")
    local = sweep([0, 0.1], **TINY | {"seeds": 4})
    xarray.testing.assert_identical(joined.transpose(*local.dims), local.transpose(*local.dims))


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_threads_neither_change_the_default_dtype_nor_what_others_make(dtype):
    def made(seed):
        weights = [p.detach().clone() for p in mlp((8,), seed=seed).parameters()]
        return weights + [p.detach() for p in nn.Linear(2, 2).parameters()]

    expected = [[w.to(dtype) for w in made(seed)[:-2]] for seed in range(60)]
    local = sweep([0, 0.1], [0.5], **TINY)
    torch.set_default_dtype(dtype)
    try:
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            part = pool.submit(sweep, [0, 0.1], [0.5], **TINY)
            found = list(pool.map(made, [*range(60)] * 4))
            xarray.testing.assert_identical(part.result(), local)
        after = torch.get_default_dtype()
    finally:
        torch.set_default_dtype(torch.float32)
    assert after == dtype and {w.dtype for weights in found for w in weights} == {dtype}
    for weights, others in zip(found, expected * 4, strict=True):
        for a, b in zip(weights[:-2], others, strict=True):
            assert torch.equal(a, b)


_FORKED = """
import multiprocessing, torch
from torch import nn
import d2lutils as d2l

torch.set_num_threads(4)


def work(seed):
    train_iter, *_ = d2l.load_fashion_mnist(1000, train_size=5000, device="cpu")
    net = d2l.mlp((512,))
    d2l.train(net, train_iter, None, nn.CrossEntropyLoss(), torch.optim.SGD(net.parameters(), 0.1),
              1, progress=False)
    return d2l.sweep(seeds=[seed], num_epochs=1, device="cpu").test_loss.item()


local = work(0)
with multiprocessing.get_context("fork").Pool(1) as pool:
    print(abs(pool.apply(work, [0]) - local) < 1e-5)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
def test_a_forked_process_trains_though_torch_has_worked_before():
    environment = {k: v for k, v in os.environ.items() if k != "OMP_NUM_THREADS"}
    done = subprocess.run([sys.executable, "-c", _FORKED], env=environment, timeout=300,
                          capture_output=True, text=True)  # fmt: skip
    assert done.stdout == "True\n", done.stderr


def test_an_error_keeps_what_is_finished(monkeypatch):
    real, calls = grid.train_stack, []

    def train_stack(*args):
        calls.append(args)
        if len(calls) == 2:
            raise RuntimeError("the machine is tired")
        return real(*args)

    monkeypatch.setattr(grid, "train_stack", train_stack)
    with pytest.raises(RuntimeError, match="tired") as caught:
        sweep(device="cpu", **TINY | {"seeds": 3})
    assert caught.value.result.finished.squeeze().values.tolist() == [True, False, False]


def test_interrupted_while_it_is_kept_a_sweep_is_returned(monkeypatch):
    def write(path, result):
        raise KeyboardInterrupt

    monkeypatch.setattr(memo, "write", write)
    assert sweep(**TINY).finished.all()


@pytest.mark.parametrize(
    "a, words",
    [
        (["1", "2"], r"a\[0\]='1' is of type str: give a finite number"),
        ([True, False], r"a\[0\]=True is of type bool"),
        ([1.0, None], r"a\[1\]=None is of type NoneType"),
        ([[1, 2], [3, 4]], r"a\[0\]=\[1, 2\] is of type list"),
        ([1e308, 1e308], "differ by more than a float can hold"),
        (
            xarray.DataArray([1, np.nan], {"seed": [3, 4]}),
            "a must be finite, .*NaN for seed 4: .*diverged",
        ),
        *((bad, "^a=.* must be a sequence") for bad in ("12", {1, 2}, {1: 2}, None, 5, iter([1]))),
    ],
)
def test_compare_names_what_is_no_list_of_numbers(a, words):
    with pytest.raises((TypeError, ValueError), match=words):
        compare(a, [-1e308, 2.0] if "float" in words else [1.0, 2.0])


def test_compare_does_not_call_rounding_a_difference_nor_show_a_difference_as_zero():
    assert str(compare([0.1 + 0.2] * 3, [0.3] * 3)) == "+0.0000 [+0.0000, +0.0000] ?"
    single = xarray.DataArray(np.float32([0.8, 0.7]), {"seed": [0, 1]})
    assert compare(single, [0.8, 0.7]).verdict == "cannot tell"
    assert str(compare([1.000001, 2.000001], [1, 2])) == "+1.0e-06 [+1.0e-06, +1.0e-06] > 0"
    tensor = torch.tensor([0.5, 1.0], requires_grad=True)
    assert compare(tensor, range(2)) == compare([0.5, 1.0], np.arange(2))


def test_a_grid_that_cannot_fit_is_refused_before_anything_is_trained(monkeypatch):
    monkeypatch.setattr(grid, "train_stack", None)
    with pytest.raises(MemoryError, match="GiB free; give a smaller hidden or batch_size"):
        sweep(seeds=100, **{**SMALL, "hidden": (100_000, 100_000)})


def test_a_batch_larger_than_the_data_needs_no_more_than_the_data(monkeypatch):
    sweep(seeds=np.int64(1), **{**SMALL, "batch_size": 10**9, "num_epochs": 1})


_PEAK = """
import resource, sys
from d2lutils.sweeps import sweep

lam = [i * 1e-6 for i in range(int(sys.argv[1]))]
sweep(lam, seeds=1, hidden=(16,), train_size=200, valid_size=200, num_epochs=1, batch_size=64,
      progress=False, device="cpu")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss counts other units elsewhere")
def test_memory_grows_with_the_chunk_and_not_with_the_grid():
    """260 networks need as much as 13."""
    few, many = (
        int(subprocess.check_output([sys.executable, "-c", _PEAK, str(num)])) for num in (13, 260)
    )
    assert many < few + 100 * 1024  # KiB


def test_mlp_leaves_the_global_random_state_alone():
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    mlp(seed=7)
    torch.testing.assert_close(torch.rand(3), expected)

"""The challenge: its harness, its methods, and the saved run that its table is read from."""

import json
import math

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, one_hot

import d2lutils as d2l
from book import beat_dropout
from book.pages import run_cells

METHODS = ("none", "weight decay", "dropout", "both", "Gaussian dropout", "label smoothing",
           "mixup", "our best")  # fmt: skip
BUDGETS = (30, 100)  # epochs


@pytest.fixture(scope="module")
def page():
    return run_cells(beat_dropout.PAGE, *beat_dropout.CELLS, "yours-code")


@pytest.fixture(scope="module")
def saved():
    return json.loads(beat_dropout.SAVED.read_text(encoding="utf-8"))


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    X = torch.rand(64, 1, 28, 28, generator=generator)
    return X, torch.randint(10, (64,), generator=generator)


class TestSavedRun:
    def test_holds_every_run_of_the_page_and_no_other(self, saved):
        for part in ("search", "table"):
            runs = [
                (entry["method"], entry["code"], entry["epochs"], run["seed"])
                for entry in saved[part]
                for run in entry["runs"]
            ]
            assert sorted(runs) == sorted(beat_dropout.wanted(part)), part

    def test_table_has_all_methods_with_at_least_five_seeds(self, saved):
        settings = [(entry["epochs"], entry["method"]) for entry in saved["table"]]
        assert settings == [(epochs, method) for epochs in BUDGETS for method in METHODS]
        assert all(len(entry["runs"]) >= 5 for entry in saved["table"])

    def test_says_where_it_comes_from(self, saved):
        assert saved["command"] == "python -m book.beat_dropout table"
        assert {"processor", "cores", "threads_per_run", "torch", "python"} == set(saved["machine"])
        assert saved["date"]

    def test_stands_with_one_run_a_line(self, saved):
        text = beat_dropout.SAVED.read_text(encoding="utf-8")
        assert text == beat_dropout.text_of(saved)
        assert all(line.count('"seed"') <= 1 for line in text.splitlines())

    def test_every_figure_is_plausible(self, saved):
        for entry in saved["table"]:
            for run in entry["runs"]:
                for name in ("valid", "test"):
                    assert 0.87 < run[f"{name}_accuracy"] < 0.93
                    assert 0.2 < run[f"{name}_loss"] < 1
                assert len(run["early_valid_loss"]) == beat_dropout.EARLY

    def test_test_figures_are_in_the_table_only(self, saved):
        assert not any("test_accuracy" in run for e in saved["search"] for run in e["runs"])

    @pytest.mark.parametrize("method", beat_dropout.SEARCH)
    def test_page_uses_the_setting_that_was_best_on_validation_images(self, saved, method):
        valid = {
            entry["code"]: sum(run["valid_accuracy"] for run in entry["runs"])
            for entry in saved["search"]
            if entry["method"] == method
        }
        assert valid[beat_dropout.definitions()[method]] == max(valid.values())

    @pytest.mark.parametrize(
        ("method", "epochs"),
        [
            # The budgets differ in nothing but the learning rates: one run stands for the longer.
            pytest.param(method, epochs, marks=[pytest.mark.everything] * (epochs == 100))
            if method != "our best"
            else (method, epochs)
            for epochs in BUDGETS
            for method in METHODS
        ],
    )
    def test_first_epoch_can_be_repeated(self, page, saved, method, epochs):
        setting = {"method": method, "epochs": epochs}
        entry = next(entry for entry in saved["table"] if setting.items() <= entry.items())
        run = entry["runs"][0]
        _, valid = page["fit"](page["methods"][method], run["seed"], epochs, stop_after=1)
        assert valid[0][0] == pytest.approx(run["early_valid_loss"][0], abs=0.003)
        assert valid[0][1] == pytest.approx(run["early_valid_accuracy"][0], abs=0.006)

    def test_page_prints_the_mean_and_the_deviation_of_the_saved_figures(self, saved, capsys):
        run_cells(beat_dropout.PAGE, *beat_dropout.CELLS, "saved", "table", "print-table")
        printed = capsys.readouterr().out
        for entry in saved["table"]:
            accuracies = [run["test_accuracy"] for run in entry["runs"]]
            mean = sum(accuracies) / len(accuracies)
            deviation = math.sqrt(sum((a - mean) ** 2 for a in accuracies) / (len(accuracies) - 1))
            _, budget = printed.split(f"{entry['epochs']} epochs")
            line = next(line for line in budget.splitlines() if f"  {entry['method']} " in line)
            assert f"{mean:.4f} ± {deviation:.4f}" in line


class TestHarness:
    def test_unfilled_template_is_none_to_the_last_bit(self, page):
        results = [
            page["fit"](method, 0, num_epochs=2, train_size=1000)[1]
            for method in (page["mine"], page["methods"]["none"])
        ]
        assert results[0] == results[1]

    def test_every_method_trains_the_same_parameters(self, page):
        shapes = {"1.weight": (256, 784), "1.bias": (256,), "4.weight": (256, 256)}
        shapes |= {"4.bias": (256,), "7.weight": (10, 256), "7.bias": (10,)}
        for method in [*page["methods"].values(), page["mine"]]:
            net = page["make_net"](*method.noise)
            assert {k: tuple(v.shape) for k, v in net.state_dict().items()} == shapes

    def test_methods_of_a_seed_share_start_split_and_batches(self, page, monkeypatch):
        seen = {}

        def watched(name):
            def loss(net, X, y):
                seen.setdefault(name, []).append((X, y, net[1].weight.detach().clone()))
                torch.rand(1)  # a method may draw numbers of its own
                return cross_entropy(net(X), y)

            return loss

        noise = (nn.Dropout(0.5), nn.Dropout(0.5))
        for method in (page["Method"](watched("a")), page["Method"](watched("b"), noise)):
            page["fit"](method, 3, num_epochs=2, train_size=500)
        assert len(seen["a"]) == 8
        assert torch.equal(seen["a"][0][2], seen["b"][0][2])
        for a, b in zip(seen["a"], seen["b"], strict=True):
            assert torch.equal(a[0], b[0]) and torch.equal(a[1], b[1])

    def test_fit_never_opens_the_test_set(self, page, monkeypatch):
        load = d2l.load_fashion_mnist
        monkeypatch.setattr(d2l, "load_fashion_mnist", lambda *a, **k: (*load(*a, **k)[:2], None))
        assert len(page["fit"](page["Method"](), 0, num_epochs=1, train_size=500)[1]) == 1

    def test_stop_after_is_the_start_of_the_long_run(self, page):
        long = page["fit"](page["Method"](), 0, num_epochs=3, train_size=500)[1]
        start = page["fit"](page["Method"](), 0, num_epochs=3, train_size=500, stop_after=2)[1]
        assert start == long[:2]

    def test_a_method_can_be_used_again(self, page):
        class Counts(nn.Module):
            calls = 0

            def forward(self, h):
                self.calls += 1
                return h * (1 + self.calls)

        method = page["Method"](noise=(Counts(), nn.Identity()))
        runs = [page["fit"](method, 0, num_epochs=1, train_size=500)[1] for _ in range(2)]
        assert runs[0] == runs[1]

    def test_biases_are_not_decayed(self, page):
        net = page["make_net"](nn.Identity(), nn.Identity())
        optimizer = page["make_optimizer"](net, 0.5)
        decay = {id(p): g["weight_decay"] for g in optimizer.param_groups for p in g["params"]}
        assert [decay[id(p)] for p in net.parameters()] == [0.5, 0] * 3


class TestMethods:
    @pytest.mark.parametrize("method", METHODS)
    def test_evaluation_mode_has_no_noise(self, page, method, batch):
        net = page["make_net"](*page["methods"][method].noise).eval()
        plain = page["make_net"](nn.Identity(), nn.Identity())
        plain.load_state_dict(net.state_dict())
        assert torch.equal(net(batch[0]), plain(batch[0]))

    def test_gaussian_dropout_has_the_mean_and_variance_of_dropout(self, page):
        h = torch.full((400_000,), 2.0)
        for p in (0.2, 0.5):
            torch.manual_seed(0)
            ours, mask = page["GaussianDropout"](p)(h), nn.Dropout(p)(h)
            assert ours.mean().item() == pytest.approx(2, abs=0.02)
            assert ours.var().item() == pytest.approx(mask.var().item(), rel=0.02)

    def test_label_smoothing_is_cross_entropy_with_smoothed_targets(self, page, batch):
        X, y = batch
        net = page["make_net"](nn.Identity(), nn.Identity())
        targets = 0.8 * one_hot(y, 10) + 0.2 / 10
        expected = -(targets * net(X).log_softmax(1)).sum(1).mean()
        torch.testing.assert_close(page["label_smoothing"](0.2)(net, X, y), expected)

    def test_mixup_is_cross_entropy_with_mixed_images_and_targets(self, page, batch):
        X, y = batch
        net = page["make_net"](nn.Identity(), nn.Identity())
        torch.manual_seed(5)
        measured = page["mixup"](0.4)(net, X, y)
        torch.manual_seed(5)
        a = torch.distributions.Beta(0.4, 0.4).sample()
        partner = torch.randperm(len(X))
        targets = a * one_hot(y, 10) + (1 - a) * one_hot(y[partner], 10)
        expected = -(targets * net(a * X + (1 - a) * X[partner]).log_softmax(1)).sum(1).mean()
        torch.testing.assert_close(measured, expected)

    def test_mixup_changes_the_images_before_it_mixes_them(self, page, batch):
        X, y = batch
        net = page["make_net"](nn.Identity(), nn.Identity())
        losses = []
        for change, images in ((torch.zeros_like, X), (lambda X: X, torch.zeros_like(X))):
            torch.manual_seed(5)
            losses.append(page["mixup"](0.4, change)(net, images, y))
        assert losses[0] == losses[1]

    def test_flip_mirrors_half_of_the_images_and_leaves_the_others(self, page, batch):
        X = batch[0].repeat(20, 1, 1, 1)
        torch.manual_seed(0)
        flipped = page["flip"](X)
        same = (flipped == X).all((1, 2, 3))
        mirrored = (flipped == X.flip(-1)).all((1, 2, 3))
        assert torch.equal(mirrored, ~same)
        assert 0.45 < mirrored.float().mean() < 0.55


class TestCommand:
    @pytest.fixture
    def runs(self, tmp_path, monkeypatch):
        """Two seeds of two methods, none of them trained; return those that were started."""
        started = []

        def run(page, code, num_epochs, seed, final):
            started.append((code, seed))
            return {"seed": seed}

        monkeypatch.setattr(beat_dropout, "SAVED", tmp_path / "saved.json")
        monkeypatch.setattr(beat_dropout, "run", run)
        monkeypatch.setattr(beat_dropout, "definitions", lambda: {"none": "A()", "mixup": "B()"})
        monkeypatch.setattr(beat_dropout, "BUDGETS", (30,))
        monkeypatch.setattr(beat_dropout, "SEEDS", range(2))
        return started

    def start(self, monkeypatch, *arguments):
        monkeypatch.setattr("sys.argv", ["beat_dropout", *arguments])
        threads = torch.get_num_threads()
        beat_dropout.main()
        torch.set_num_threads(threads)

    def test_second_start_skips_what_is_saved(self, runs, monkeypatch):
        self.start(monkeypatch, "table")
        assert sorted(runs) == [("A()", 0), ("A()", 1), ("B()", 0), ("B()", 1)]
        self.start(monkeypatch, "table")
        assert len(runs) == 4

    def test_a_method_that_changed_is_trained_again(self, runs, monkeypatch):
        self.start(monkeypatch, "table")
        monkeypatch.setattr(beat_dropout, "definitions", lambda: {"none": "A()", "mixup": "C()"})
        self.start(monkeypatch, "table")
        assert sorted(runs[4:]) == [("C()", 0), ("C()", 1)]
        assert [entry["code"] for entry in beat_dropout.load()["table"]] == ["A()", "C()"]

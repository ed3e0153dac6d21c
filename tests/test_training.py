"""The training loop and the measuring, against PyTorch and against arithmetic."""

import copy
import math

import pytest
import torch
from torch import nn

import d2lutils as d2l
from d2lutils import training
from d2lutils.training import epochs


def batches(num_batches=4, batch_size=8, last=3, seed=0):
    """Batches of 5 inputs and 3 classes; the last one is smaller, as real ones are."""
    generator = torch.Generator().manual_seed(seed)
    sizes = [batch_size] * (num_batches - 1) + [last]
    return [
        (torch.randn(n, 5, generator=generator), torch.randint(3, (n,), generator=generator))
        for n in sizes
    ]


def net(p=0.0, seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Dropout(p), nn.Linear(16, 3))


def sgd(model, lr=0.1, **kwargs):
    return torch.optim.SGD(model.parameters(), lr=lr, **kwargs)


class TestEvaluate:
    def test_counts_examples_not_batches(self):
        data, model = batches(), net()
        X, y = (torch.cat(parts) for parts in zip(*data, strict=True))
        loss, accuracy = d2l.evaluate(model, data, nn.CrossEntropyLoss())
        assert loss == pytest.approx(nn.functional.cross_entropy(model(X), y).item(), rel=1e-5)
        assert accuracy == (model(X).argmax(1) == y).sum().item() / len(y)

    def test_dropout_is_off_and_every_mode_comes_back(self):
        model = net(p=0.5).train()
        model[0].eval()  # a layer somebody has frozen
        first = d2l.evaluate(model, batches(), nn.CrossEntropyLoss())
        assert first == d2l.evaluate(model, batches(), nn.CrossEntropyLoss())
        assert model.training and model[2].training and not model[0].training

    def test_mode_comes_back_after_an_error(self):
        model = net(p=0.5).train()
        with pytest.raises(ValueError, match="net"):
            d2l.evaluate(model, [(torch.zeros(2, 7), torch.zeros(2).long())], nn.CrossEntropyLoss())
        assert model.training and model[2].training

    def test_needs_no_gradients_and_leaves_them_on(self):
        seen = []
        d2l.evaluate(
            lambda X: seen.append(torch.is_grad_enabled()) or X[:, :3],
            batches(),
            nn.CrossEntropyLoss(),
        )
        assert not any(seen) and torch.is_grad_enabled()

    def test_regression_has_a_loss_and_no_accuracy(self):
        data = [(torch.ones(4, 2), torch.zeros(4, 1)), (torch.ones(1, 2), torch.full((1, 1), 3.0))]
        loss, accuracy = d2l.evaluate(lambda X: X[:, :1], data, nn.MSELoss())
        assert loss == pytest.approx((4 * 1 + 4) / 5)
        assert math.isnan(accuracy)

    def test_no_batches_is_an_error_that_says_so(self):
        with pytest.raises(ValueError, match="data_iter holds no batch"):
            d2l.evaluate(net(), [], nn.CrossEntropyLoss())

    def test_loss_that_is_no_single_number_is_refused(self):
        with pytest.raises(TypeError, match=r"loss gave .*\(8,\)>, no single number"):
            d2l.evaluate(net(), batches(), lambda y_hat, y: y_hat.sum(1))


class TestEpochs:
    def test_each_epoch_hands_over_the_same_growing_history(self):
        watched, trained, loss = net(p=0.5), net(p=0.5), nn.CrossEntropyLoss()
        torch.manual_seed(1)
        expected = d2l.train(trained, batches(), batches(), loss, sgd(trained), 3, progress=False)
        torch.manual_seed(1)
        seen = []
        for history in epochs(watched, batches(), batches(), loss, sgd(watched), 3):
            seen.append((len(history), id(history)))
        assert seen == [(epoch, id(history)) for epoch in (1, 2, 3)]
        assert history == expected

    def test_can_be_left_when_one_has_seen_enough(self):
        model, steps = net(), []

        def loss(y_hat, y):
            steps.append(1)
            return nn.functional.cross_entropy(y_hat, y)

        for history in epochs(model, batches(), None, loss, sgd(model), 10**9):
            if len(history) == 2:
                break
        assert len(history) == 2 and len(steps) == 8

    def test_net_can_be_measured_and_the_learning_rate_changed_between_epochs(self):
        model, loss = net(), nn.CrossEntropyLoss()
        optimizer, measured = sgd(model), []
        for history in epochs(model, batches(), batches(), loss, optimizer, 3):
            measured.append(d2l.evaluate(model, batches(), loss)[0])
            assert history.valid_loss == measured
            optimizer.param_groups[0]["lr"] = 0.0
        assert measured[0] == measured[1] == measured[2]

    def test_divergence_names_the_epoch(self):
        model = net()
        losses = iter([1.0] * 9 + [math.inf])

        def loss(y_hat, y):
            return nn.functional.cross_entropy(y_hat, y) * next(losses)

        with pytest.raises(FloatingPointError, match="inf in epoch 3") as caught:
            for history in epochs(model, batches(), None, loss, sgd(model), 5):
                assert len(history) <= 2
        assert caught.value.history is history and len(history) == 2


class TestTrain:
    @pytest.mark.parametrize("options", [{}, {"momentum": 0.9}, {"weight_decay": 0.1}])
    def test_equals_the_plain_loop(self, options):
        ours, plain, loss = net(), net(), nn.CrossEntropyLoss()
        d2l.train(ours, batches(), None, loss, sgd(ours, **options), 3, progress=False)
        optimizer = sgd(plain, **options)
        for _ in range(3):
            for X, y in batches():
                optimizer.zero_grad()
                loss(plain(X), y).backward()
                optimizer.step()
        for a, b in zip(ours.parameters(), plain.parameters(), strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=0)

    def test_scheduler_takes_a_step_after_each_of_the_optimizer(self):
        ours, plain, loss = net(), net(), nn.CrossEntropyLoss()
        optimizer, num_steps = sgd(ours), 2 * len(list(batches()))
        falling = torch.optim.lr_scheduler.LinearLR(optimizer, 1, 0, num_steps)
        d2l.train(ours, batches(), None, loss, optimizer, 2, scheduler=falling, progress=False)
        assert optimizer.param_groups[0]["lr"] == pytest.approx(0, abs=1e-12)
        step = 0
        for X, y in [*batches(), *batches()]:
            gradients = torch.autograd.grad(loss(plain(X), y), list(plain.parameters()))
            with torch.no_grad():
                for param, gradient in zip(plain.parameters(), gradients, strict=True):
                    param -= 0.1 * (1 - step / num_steps) * gradient
            step += 1
        for a, b in zip(ours.parameters(), plain.parameters(), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)

    def test_penalty_acts_and_is_reported_apart(self):
        lam, model, plain = 0.1, net(), net()

        def penalty(net):
            return lam / 2 * sum((w**2).sum() for w in net.parameters())

        with_penalty = d2l.train(
            model,
            batches(),
            None,
            nn.CrossEntropyLoss(),
            sgd(model),
            2,
            penalty=penalty,
            progress=False,
        )
        decayed = d2l.train(
            plain,
            batches(),
            None,
            nn.CrossEntropyLoss(),
            sgd(plain, weight_decay=lam),
            2,
            progress=False,
        )
        assert with_penalty.train_loss == pytest.approx(decayed.train_loss, rel=1e-5)
        assert with_penalty.penalty[0] > with_penalty.penalty[1] > 0
        assert decayed.penalty == []
        for a, b in zip(model.parameters(), plain.parameters(), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)

    def test_first_loss_is_a_mean_over_examples_of_any_batch_size(self):
        model, still = net(), copy.deepcopy(net())
        history = d2l.train(
            model, batches(), None, nn.CrossEntropyLoss(), sgd(model, lr=0.0), 1, progress=False
        )
        expected = d2l.evaluate(still, batches(), nn.CrossEntropyLoss())
        assert (history.train_loss[0], history.train_accuracy[0]) == pytest.approx(expected)

    def test_validation_is_measured_in_evaluation_mode_after_each_epoch(self):
        model, valid = net(p=0.5), batches(seed=1)
        history = d2l.train(
            model, batches(), valid, nn.CrossEntropyLoss(), sgd(model), 3, progress=False
        )
        now = d2l.evaluate(model, valid, nn.CrossEntropyLoss())
        assert (history.valid_loss[-1], history.valid_accuracy[-1]) == now
        assert len(history) == len(history.valid_loss) == len(history.train_accuracy) == 3
        assert model.training

    def test_divergence_stops_at_once_and_keeps_what_was_finished(self):
        calls = []

        def loss(y_hat, y):
            calls.append(1)
            return nn.functional.cross_entropy(y_hat, y) * (math.nan if len(calls) == 6 else 1.0)

        model = net()
        with pytest.raises(FloatingPointError, match=r"nan in epoch 2 .*rate 0\.1.*Try") as caught:
            d2l.train(model, batches(), None, loss, sgd(model), 5, progress=False)
        assert len(calls) == 6
        assert len(caught.value.history) == 1

    def test_a_learning_rate_that_is_far_too_large_is_caught(self):
        torch.manual_seed(0)
        model = nn.Linear(5, 1)
        data = [(X * 100, y.float().unsqueeze(1)) for X, y in batches()]
        with pytest.raises(FloatingPointError, match="learning rate 1000"):
            d2l.train(model, data, None, nn.MSELoss(), sgd(model, lr=1000.0), 100, progress=False)

    def test_penalty_that_is_nan_is_caught_too(self):
        model = net()
        with pytest.raises(FloatingPointError, match="nan in epoch 1"):
            d2l.train(model, batches(), None, nn.CrossEntropyLoss(), sgd(model), 1,
                      penalty=lambda net: net[0].weight.sum() * math.nan)  # fmt: skip

    @pytest.mark.parametrize("where", ["training", "validation"])
    def test_interrupted_training_keeps_the_finished_epochs(self, where, capsys):
        model = net()
        # Four batches of training and four of validation an epoch; in the third epoch, it stops.
        calls = iter([None] * (17 if where == "training" else 21))

        def loss(y_hat, y):
            if next(calls, "stop"):
                raise KeyboardInterrupt
            return nn.functional.cross_entropy(y_hat, y)

        history = d2l.train(model, batches(), batches(), loss, sgd(model), 5, progress=False)
        assert len(history) == len(history.train_accuracy) == 2
        assert len(history.valid_loss) == len(history.valid_accuracy) == 2
        assert capsys.readouterr() == ("Interrupted: 2 of 5 epochs are finished.\n", "")

    def test_interrupted_at_once(self, capsys):
        def loss(y_hat, y):
            raise KeyboardInterrupt

        model = net()
        history = d2l.train(model, batches(), None, loss, sgd(model), 5)
        assert len(history) == 0
        assert capsys.readouterr().out == "Interrupted: 0 of 5 epochs are finished.\n"

    @pytest.mark.parametrize(
        "wrong, got",
        [
            ({"loss": lambda y_hat, y: y_hat.sum(1)}, r"loss gave .*\(8,\)>"),
            ({"loss": lambda y_hat, y: 1.5}, "loss gave 1.5"),
            ({"loss": lambda y_hat, y: None}, "loss gave None"),
            ({"penalty": lambda net: net[0].weight ** 2}, r"penalty gave .*\(16, 5\)>"),
            ({"penalty": lambda net: 0}, "penalty gave 0"),
        ],
    )
    def test_loss_or_penalty_that_is_no_single_number_is_refused(self, wrong, got):
        model, options = net(), {"loss": nn.CrossEntropyLoss(), "penalty": None} | wrong
        loss, before = options.pop("loss"), copy.deepcopy(model.state_dict())
        with pytest.raises(TypeError, match=rf"^{got}, no single number.*give ") as caught:
            d2l.train(model, batches(), None, loss, sgd(model), 1, **options)
        assert "\n" not in str(caught.value)
        for name, value in model.state_dict().items():  # not a single step was made
            assert torch.equal(value, before[name])

    def test_single_numbers_may_have_dimensions(self):
        model, plain, loss = net(), net(), nn.CrossEntropyLoss()
        history = d2l.train(
            model, batches(), None, lambda y_hat, y: loss(y_hat, y).reshape(1), sgd(model), 2,
            penalty=lambda net: (net[0].bias @ net[0].bias).reshape(1, 1), progress=False,
        )  # fmt: skip
        assert history == d2l.train(
            plain, batches(), None, loss, sgd(plain), 2,
            penalty=lambda net: net[0].bias @ net[0].bias, progress=False,
        )  # fmt: skip

    @pytest.mark.parametrize("num_epochs", [0, -1, 1.5, True, "3", None])
    def test_epochs_must_be_a_positive_integer(self, num_epochs):
        with pytest.raises((TypeError, ValueError), match=f"num_epochs.*{num_epochs}"):
            d2l.train(net(), batches(), None, nn.CrossEntropyLoss(), sgd(net()), num_epochs)

    def test_no_batches_is_an_error_that_says_so(self):
        model = net()
        with pytest.raises(ValueError, match="train_iter holds no batch"):
            d2l.train(model, [], None, nn.CrossEntropyLoss(), sgd(model), 1)

    def test_outside_a_notebook_there_is_a_line_per_epoch(self, capsys):
        model = net()
        d2l.train(model, batches(), batches(), nn.CrossEntropyLoss(), sgd(model), 2)
        out, err = capsys.readouterr()
        assert [line.split(":")[0] for line in out.splitlines()] == ["epoch 1/2", "epoch 2/2"]
        assert err == ""

    def test_in_a_notebook_there_is_a_bar_on_standard_output(self, capsys, monkeypatch):
        monkeypatch.setattr(training, "in_notebook", lambda: True)
        model = net()
        d2l.train(model, batches(), batches(), nn.CrossEntropyLoss(), sgd(model), 2)
        out, err = capsys.readouterr()
        assert "/2 [" in out and "epoch 1/2" not in out and err == ""

    def test_without_progress_nothing_is_printed(self, capsys):
        model = net()
        d2l.train(model, batches(), None, nn.CrossEntropyLoss(), sgd(model), 2, progress=False)
        assert capsys.readouterr() == ("", "")

    @pytest.mark.skipif(d2l.default_device().type == "cpu", reason="no accelerator here")
    def test_accelerator_gives_the_same_curves(self):
        device = d2l.default_device()
        model, remote = net(), net().to(device)
        data = [(X.to(device), y.to(device)) for X, y in batches()]
        here = d2l.train(model, batches(), None, nn.CrossEntropyLoss(), sgd(model), 2)
        there = d2l.train(remote, data, None, nn.CrossEntropyLoss(), sgd(remote), 2)
        assert here.train_loss == pytest.approx(there.train_loss, rel=1e-4)

"""The training loop and the measuring, against PyTorch and against arithmetic."""

import copy
import math
from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional as F

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


class Wordless:
    """Its repr fails."""

    def __repr__(self):
        raise RuntimeError


class Wordy:
    """Its repr has megabytes, on many lines."""

    def __repr__(self):
        return "word\n" * 1_000_000


class Pair(nn.Module):
    """Gives two things."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(5, 3)

    def forward(self, X):
        return self.layer(X), X


X, y = batches()[0]
LOSS = nn.CrossEntropyLoss()
DECAY = torch.optim.lr_scheduler.LinearLR
TRIES = [  # what is given, the error, and what it must name
    (dict(train_iter=None), TypeError, "train_iter=None holds no batches"),
    (dict(train_iter=5), TypeError, "train_iter=5 holds no batches"),
    (dict(train_iter="ab"), TypeError, "train_iter gave 'a', no pair"),
    (dict(train_iter=X), TypeError, r"train_iter gave <float32 Tensor \(5,\)>, no pair"),
    (dict(train_iter=(X, y)), TypeError, r"train_iter gave <float32 Tensor \(8, 5\)>, no pair"),
    (dict(train_iter=[(X, y, y)]), TypeError, "train_iter gave .*no pair"),
    (dict(train_iter=[(X.numpy(), y.numpy())]), TypeError, "train_iter gave y=<int64 ndarray"),
    (dict(train_iter=[(X.numpy(), y)]), TypeError, r"net\(X\) failed where X=<float32 ndarray"),
    (dict(train_iter=[(X, y[:4])]), ValueError, r"loss\(y_hat, y\) failed .*y=<int64 Tensor \(4,"),
    (dict(train_iter=[(X[:0], y[:0])]), ValueError, "train_iter gave a batch without examples"),
    (dict(train_iter=[(X[:, :4], y)]), ValueError, r"net\(X\) failed where .*\(8, 4\)>.*8x4"),
    (dict(train_iter=[(X.double(), y)]), ValueError, r"net\(X\) failed where X=<float64"),
    (dict(train_iter=[(X.to("meta"), y)]), ValueError, r"net\(X\) failed where .* on meta>"),
    (dict(train_iter=[(X, y + 3)]), ValueError, r"loss\(y_hat, y\) failed .*out of bounds"),
    (dict(train_iter=[(X, y.float())]), ValueError, r"loss\(y_hat, y\) failed .*y=<float32"),
    (dict(train_iter=iter(batches())), ValueError, "train_iter holds no batch"),
    (dict(train_iter=Wordless()), TypeError, "train_iter=<Wordless"),
    (dict(train_iter=Wordy()), TypeError, "train_iter=word word"),
    (dict(valid_iter=[]), ValueError, "valid_iter holds no batch"),
    (dict(valid_iter=iter(batches())), ValueError, "valid_iter holds no batch"),
    (dict(valid_iter=5), TypeError, "valid_iter=5 holds no batches"),
    (dict(loss=None), TypeError, "loss=None cannot be called"),
    (dict(loss="mse"), TypeError, "loss='mse' cannot be called"),
    (dict(loss=nn.MSELoss), TypeError, "loss is the class MSELoss: give an object"),
    (dict(loss=nn.CrossEntropyLoss(reduction="none")), ValueError, "loss has reduction='none'"),
    (dict(loss=nn.CrossEntropyLoss(reduction="sum")), ValueError, "loss has reduction='sum'"),
    (dict(loss=partial(F.cross_entropy, reduction="sum")), ValueError, "has reduction='sum'"),
    (dict(loss=lambda a, b: F.cross_entropy(a, b, reduction="sum")), ValueError, "gave the sum"),
    (dict(loss=lambda a, b: LOSS(a, b) * len(b)), ValueError, "gave the sum"),
    (dict(loss=nn.MSELoss()), ValueError, "loss=MSELoss compares numbers, .*y=<int64"),
    (dict(loss=F.l1_loss), ValueError, "loss=l1_loss compares numbers, .*y=<int64"),
    (dict(loss=lambda a, b: LOSS(a, b).detach()), ValueError, "loss has no gradient"),
    (dict(loss=lambda a: a.mean()), TypeError, r"loss\(y_hat, y\) failed"),
    (dict(optimizer=torch.optim.SGD), TypeError, "optimizer=<class .*SGD'> is none of torch.optim"),
    (dict(optimizer="sgd"), TypeError, "optimizer='sgd' is none of torch.optim"),
    (dict(optimizer=sgd(net())), ValueError, "optimizer holds no parameter of net"),
    (dict(optimizer=torch.optim.LBFGS), TypeError, "optimizer=<class .*LBFGS'> is none"),
    (dict(net=None), TypeError, "net=None cannot be called"),
    (dict(net=nn.Linear), TypeError, "net is the class Linear"),
    (dict(net=lambda X: X), TypeError, "net=<function .* is no torch.nn.Module"),
    (dict(net=Pair()), TypeError, "net gave .* returns a tensor"),
    (dict(net=net().requires_grad_(False)), ValueError, "optimizer holds no parameter of net that"),
    (dict(penalty=1), TypeError, "penalty=1 cannot be called"),
    (dict(penalty=lambda: 1), TypeError, r"penalty\(net\) failed"),
    (dict(penalty=lambda net: net[0].bias.sum() * math.inf), FloatingPointError, "the penalty"),
    (dict(scheduler="linear"), TypeError, "scheduler='linear' is none"),
    (dict(scheduler=DECAY), TypeError, "scheduler=<class .*LinearLR'> is none"),
    (dict(scheduler=DECAY(sgd(net()))), ValueError, "scheduler belongs to another optimizer"),
    (dict(num_epochs=10**400), ValueError, "num_epochs=1000.* is out of range"),
    (dict(num_epochs=torch.ones(1, dtype=int)), TypeError, r"num_epochs=<int64 Tensor \(1,\)>"),
    (dict(progress=None), TypeError, "progress=None is of type NoneType: give True or False"),
]  # fmt: skip


@pytest.mark.parametrize("given, error, words", TRIES)
def test_what_cannot_be_used_is_named_in_one_short_sentence(given, error, words):
    arguments = dict(net=net(), train_iter=batches(), valid_iter=None, loss=LOSS, num_epochs=2)
    model = given.get("net", arguments["net"])
    arguments["optimizer"] = sgd(model if isinstance(model, nn.Module) else net())
    with pytest.raises(error, match=words) as caught:
        d2l.train(**arguments | {"progress": False} | given)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 800
    if "train_iter" in given or "loss" in given or "net" in given:
        asked = {k: v for k, v in given.items() if k != "train_iter"}
        asked = dict(net=net(), data_iter=given.get("train_iter", batches()), loss=LOSS) | asked
        if "no gradient" in words or "Module" in words or "optimizer" in words:
            return  # these evaluate takes
        if not hasattr(given.get("train_iter"), "__next__"):
            with pytest.raises(error, match=words.replace("train_iter", "data_iter")):
                d2l.evaluate(**asked)


def test_errors_of_a_step_and_of_a_scheduler_are_named():
    model = net()
    with pytest.raises(TypeError, match=r"optimizer.step\(\) failed: .*closure"):
        d2l.train(model, batches(), None, LOSS, torch.optim.LBFGS(model.parameters()), 1)
    optimizer = sgd(model)
    plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer)
    with pytest.raises(TypeError, match="scheduler is a ReduceLROnPlateau, which wants a loss"):
        d2l.train(model, batches(), None, LOSS, optimizer, 1, scheduler=plateau)


def test_any_error_keeps_the_finished_epochs():
    model, losses = net(), [1.0] * 9
    with pytest.raises(ValueError, match="pop from empty list") as caught:
        d2l.train(model, batches(), None, lambda a, b: LOSS(a, b) * losses.pop(), sgd(model), 5)
    assert len(caught.value.history) == len(caught.value.history.train_accuracy) == 2


@pytest.mark.parametrize("state", [torch.no_grad(), torch.inference_mode()])
def test_trains_where_the_caller_has_switched_gradients_off(state):
    expected, model = net(), net()
    history = d2l.train(expected, batches(), None, LOSS, sgd(expected), 3, progress=False)
    optimizer = sgd(model)
    with state:
        was = torch.is_grad_enabled(), torch.is_inference_mode_enabled()
        assert d2l.train(model, batches(), None, LOSS, optimizer, 3, progress=False) == history
        assert was == (torch.is_grad_enabled(), torch.is_inference_mode_enabled())
    with torch.inference_mode():
        model = net()
        with pytest.raises(ValueError, match="net was made in torch.inference_mode"):
            d2l.train(model, batches(), None, LOSS, sgd(model), 1)


def test_trains_under_autocast_and_in_another_precision():
    usual, cast, double = net(), net(), net().double()
    history = d2l.train(usual, batches(), batches(), LOSS, sgd(usual), 5, progress=False)
    with torch.autocast("cpu"):
        other = d2l.train(cast, batches(), batches(), LOSS, sgd(cast), 5, progress=False)
    assert other.train_loss == pytest.approx(history.train_loss, rel=0.02)
    data = [(X.double(), y) for X, y in batches()]
    other = d2l.train(double, data, data, LOSS, sgd(double), 5, progress=False)
    assert other.train_loss == pytest.approx(history.train_loss, rel=1e-5)


class LastStep(nn.Module):
    """Reads sequences with time first: X (T, B, 5)."""

    def __init__(self):
        super().__init__()
        self.rnn, self.linear = nn.RNN(5, 4), nn.Linear(4, 3)

    def forward(self, X):
        return self.linear(self.rnn(X)[0][-1])


class OneHot(nn.MSELoss):
    """Takes class labels."""

    def forward(self, y_hat, y):
        return super().forward(y_hat, F.one_hot(y, y_hat.shape[1]).to(y_hat.dtype))


class Focal(nn.CrossEntropyLoss):
    """Weights each example, and takes the mean itself."""

    def __init__(self):
        super().__init__(reduction="none")

    def forward(self, y_hat, y):
        losses = super().forward(y_hat, y)
        return ((1 - (-losses).exp()) ** 2 * losses).mean()


def focal(y_hat, y, reduction):
    return Focal()(y_hat, y)


class Whole(nn.Linear):
    """Gives one number for a batch."""

    def __init__(self):
        super().__init__(5, 1)

    def forward(self, X):
        return super().forward(X).mean()


def lazy():
    return nn.Sequential(nn.LazyLinear(16), nn.ReLU(), nn.LazyLinear(3))


WHOLE, SEQUENCES = torch.arange(8).reshape(8, 1) % 3, torch.stack([X] * 7)
REASONABLE = [  # a net, a batch and a loss
    (lazy, (X, y), LOSS),
    (LastStep, (SEQUENCES, y), LOSS),
    (net, (X, y), OneHot()),
    (net, (X, y), Focal()),
    (net, (X, y), partial(focal, reduction="none")),
    *(
        (partial(nn.Linear, 5, 1), (X, WHOLE), loss)
        for loss in (nn.MSELoss(), nn.L1Loss(), nn.SmoothL1Loss(), nn.HuberLoss(), F.mse_loss)
    ),
    (net, (X, F.one_hot(y, 3)), nn.MSELoss()),
    (net, {1: X, 2: y}.values(), LOSS),
    (net, (X, F.one_hot(y, 3).bool()), lambda a, b: F.binary_cross_entropy_with_logits(a, b + 0.0)),
    (Whole, (X, X[:, 0]), lambda a, b: ((a - b) ** 2).mean()),
]


@pytest.mark.parametrize("make, batch, loss", REASONABLE)
def test_trains_with_what_is_reasonable_as_a_plain_loop_does(make, batch, loss):
    torch.manual_seed(0)
    (X, y), plain, expected = batch, make(), []
    optimizer = sgd(plain, 0.01)
    for _ in range(3):
        # Alone, this one has no gradient for whole numbers.
        value = loss(plain(X), y.float() if isinstance(loss, nn.HuberLoss) else y)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        expected.append(value.item())
    torch.manual_seed(0)
    model = make()
    history = d2l.train(model, [batch], [batch], loss, sgd(model, 0.01), 3, progress=False)
    assert history.train_loss == pytest.approx(expected, rel=1e-6)
    assert d2l.evaluate(model, [batch], loss)[0] == history.valid_loss[-1]


class Counting(nn.Module):
    """Keeps count of what it has seen."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def forward(self, y_hat, y):
        self.seen.append(len(y))
        return 100 * LOSS(y_hat, y)


def test_a_loss_that_keeps_state_sees_each_batch_once():
    counting, seen = Counting(), []

    def noting(y_hat, y):
        seen.append(len(y))
        return 100 * LOSS(y_hat, y)

    def within(y_hat, y):
        return noting(y_hat, y)

    def normed(y_hat, y):
        return 100 * LOSS(layer(y_hat), y)

    num_seen = 0
    for loss in (counting, lambda a, b: counting(a, b), counting.forward, noting, within):
        model = net()
        d2l.train(model, batches(), None, loss, sgd(model, 1e-4), 1, progress=False)
        num_seen += 4
        assert len(counting.seen) + len(seen) == num_seen
    model, layer = net(), nn.BatchNorm1d(3)
    d2l.train(model, batches(), None, normed, sgd(model, 1e-4), 1, progress=False)
    assert layer.num_batches_tracked == 4


class TestAccuracy:
    def of(self, y_hat, y, loss=lambda y_hat, y: y_hat.float().mean()):
        return d2l.evaluate(lambda X: y_hat, [(torch.zeros(len(y), 1), y)], loss)[1]

    def test_labels_may_stand_in_a_column(self):
        y_hat = torch.tensor([[0.0, 1.0], [1.0, 0.0], [0.0, 1.0]])
        assert self.of(y_hat, torch.tensor([[1], [1], [1]])) == pytest.approx(2 / 3)

    def test_a_label_for_each_pixel(self):
        y_hat = torch.zeros(2, 3, 2, 2)
        y_hat[:, 1, 0] = 1
        assert self.of(y_hat, torch.ones(2, 2, 2, dtype=int)) == 0.5

    @pytest.mark.parametrize("shape", [(4,), (4, 1)])
    def test_whole_numbers_are_no_classes_for_a_regression(self, shape):
        assert math.isnan(self.of(torch.zeros(shape), torch.arange(4).reshape(shape)))


def test_a_regression_prints_no_accuracy(capsys):
    model = nn.Linear(5, 1)
    data = [(X, X[:, :1]) for X, _ in batches()]
    d2l.train(model, data, data, nn.MSELoss(), sgd(model), 1)
    out = capsys.readouterr().out
    assert "train_loss" in out and "accuracy" not in out and "nan" not in out

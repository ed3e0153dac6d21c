"""The dropout layer that `dropout/from_scratch` teaches, against `torch.nn.Dropout`.

The function under test is the page's own cell, so what is tested is what is taught.
"""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from book.pages import run_cells

PAGE = run_cells("dropout/from_scratch", "imports", "dropout", "mlp")
dropout = PAGE["dropout"]
DEVICES = [
    "cpu",
    *["cuda"] * torch.cuda.is_available(),
    *["mps"] * torch.backends.mps.is_available(),
]

seeds = st.integers(0, 2**32 - 1)
shapes = st.lists(st.integers(1, 9), min_size=1, max_size=4)


def output_and_gradient(layer, X):
    X = X.clone().requires_grad_()
    output = layer(X)
    output.backward(torch.ones_like(output))
    return output.detach(), X.grad


@settings(max_examples=60, deadline=None)
@given(seed=seeds, shape=shapes, p=st.sampled_from((0, 1, 0.0, 1.0)))
def test_equals_pytorch_where_nothing_is_random(seed, shape, p):
    X = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    ours = output_and_gradient(lambda X: dropout(X, p), X)
    theirs = output_and_gradient(nn.Dropout(p), X)
    assert torch.equal(ours[0], theirs[0])
    assert torch.equal(ours[1], theirs[1])


@settings(max_examples=60, deadline=None)
@given(seed=seeds, shape=shapes, p=st.floats(0.01, 0.99))
def test_entries_are_dropped_or_rescaled_and_gradients_follow_the_mask(seed, shape, p):
    torch.manual_seed(seed)
    X = torch.rand(shape) + 1  # no zeros, so a zero of the output is a dropped entry
    before = X.clone()
    output, gradient = output_and_gradient(lambda X: dropout(X, p), X)
    assert torch.equal(X, before)
    kept = output != 0
    assert torch.allclose(output[kept], X[kept] / (1 - p))
    assert torch.allclose(gradient, kept / (1 - p))


@settings(max_examples=30, deadline=None)
@given(seed=seeds, p=st.floats(0.05, 0.9), h=st.floats(-3, 3).filter(lambda h: abs(h) > 0.1))
def test_share_mean_and_variance_are_those_of_pytorch_and_of_the_theory(seed, p, h):
    torch.manual_seed(seed)
    n, H = 200_000, torch.full((400, 500), h, dtype=torch.float64)
    spread = (p / (1 - p)) ** 0.5  # standard deviation of the output, in units of h
    kurtosis = (1 - 3 * p * (1 - p)) / (p * (1 - p))
    tolerance = 6 / n**0.5  # six standard errors
    for output in (dropout(H, p), nn.Dropout(p)(H)):
        assert abs((output == 0).double().mean() - p) < tolerance * (p * (1 - p)) ** 0.5
        assert abs(output.mean() / h - 1) < tolerance * spread
        error = tolerance * spread**2 * (kurtosis - 1) ** 0.5 + 1 / n
        # where kurtosis is 1, at p = 1/2, the next order takes over
        assert abs(output.var() / h**2 - spread**2) < error + tolerance**2 * spread**2


@settings(max_examples=20, deadline=None)
@given(seed=seeds, p=st.floats(0.2, 0.8))
def test_masks_of_neighbours_and_of_calls_are_independent(seed, p):
    torch.manual_seed(seed)
    H = torch.ones(300, 300)
    masks = [(dropout(H, p) != 0).double() for _ in range(2)]
    centred = [(mask - (1 - p)) / (p * (1 - p)) ** 0.5 for mask in masks]
    first, second = centred
    for product in (first * second, first[1:] * first[:-1], first[:, 1:] * first[:, :-1]):
        assert abs(product.mean()) < 6 / product.numel() ** 0.5


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("p", [0, 0.3, 1])
def test_number_format_shape_and_device_are_kept(device, dtype, p):
    X = torch.ones(3, 4, device=device, dtype=dtype if device != "mps" else torch.float32)
    output = dropout(X, p)
    assert (output.dtype, output.device, output.shape) == (X.dtype, X.device, X.shape)


def test_random_numbers_are_drawn_where_the_input_lies():
    with torch.device("meta"):  # a device without numbers: a mask from elsewhere cannot mix
        X = torch.ones(3, 4)
    assert dropout(X, 0.5).device.type == "meta"


def test_the_seed_decides():
    outputs = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        outputs.append(dropout(torch.ones(100), 0.5))
    assert torch.equal(outputs[0], outputs[1]) and not torch.equal(outputs[0], outputs[2])


@given(p=st.floats().filter(lambda p: not 0 <= p <= 1))
def test_what_is_no_probability_is_refused(p):
    with pytest.raises(ValueError, match="between 0 and 1"):
        dropout(torch.ones(2), p)


class TestDropoutMLP:
    def test_evaluation_mode_is_the_network_without_dropout(self):
        torch.manual_seed(0)
        net, X = PAGE["DropoutMLP"](0.2, 0.5).eval(), torch.rand(5, 1, 28, 28)
        hidden = (net.hidden1, nn.ReLU(), net.hidden2, nn.ReLU())
        plain = nn.Sequential(nn.Flatten(), *hidden, net.output)
        assert torch.allclose(net(X), plain(X), atol=1e-6)
        assert torch.equal(net(X), net(X))

    @pytest.mark.parametrize(("p1", "p2"), [(0.5, 0), (0, 0.5)])
    def test_each_probability_acts_in_train_mode(self, p1, p2):
        torch.manual_seed(0)
        net, X = PAGE["DropoutMLP"](p1, p2).train(), torch.rand(5, 1, 28, 28)
        assert not torch.equal(net(X), net(X))

    def test_dropping_everything_leaves_the_bias(self):
        net = PAGE["DropoutMLP"](0, 1).train()
        assert torch.allclose(net(torch.rand(5, 1, 28, 28)), net.output.bias.expand(5, 10))

    def test_dropping_everything_in_the_first_layer_hides_the_input(self):
        net = PAGE["DropoutMLP"](1, 0).train()
        assert torch.equal(net(torch.rand(5, 1, 28, 28)), net(torch.rand(5, 1, 28, 28)))

"""Figures show the numbers they were given."""

import matplotlib
import numpy as np
import pytest
import torch

import d2lutils as d2l

matplotlib.use("Agg")
plt = matplotlib.pyplot


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def history(offset=0.0, epochs=3, valid=True):
    values = [offset + i for i in range(epochs)]
    curves = {"train_loss": values, "train_accuracy": [v / 10 for v in values]}
    if valid:
        curves["valid_loss"] = [v + 1 for v in values]
        curves["valid_accuracy"] = [v / 20 for v in values]
    return d2l.History(**curves)


class TestShowImages:
    @pytest.mark.parametrize(
        "shape", [(1, 28, 28), (1, 1, 28, 28), (5, 28, 28), (9, 1, 14, 10), (3, 28, 28, 1)]
    )
    def test_draws_every_image_as_it_is(self, shape):
        images = torch.rand(shape)
        axes = d2l.show_images(images, [f"image {i}" for i in range(len(images))], num_cols=4)
        drawn = [ax for ax in axes.flat if ax.images]
        assert axes.shape == (-(-len(images) // 4), min(4, len(images)))
        assert len(drawn) == len(images)
        for i, ax in enumerate(drawn):
            assert ax.get_title() == f"image {i}"
            np.testing.assert_array_equal(ax.images[0].get_array(), images[i].squeeze())

    def test_takes_a_list(self):
        assert d2l.show_images([torch.rand(28, 28), torch.rand(1, 28, 28)]).shape == (1, 2)

    def test_bad_input(self):
        with pytest.raises(ValueError, match="images is empty"):
            d2l.show_images(torch.empty(0, 28, 28))
        with pytest.raises(ValueError, match="titles has 1 for 2 images"):
            d2l.show_images(torch.rand(2, 28, 28), ["one"])
        for other in (torch.rand(2, 3, 8, 8), torch.rand(2, 8, 8, 3), torch.rand(2, 8), [None]):
            with pytest.raises(TypeError, match=r"images\[0\]=.* is no grey image: give each in"):
                d2l.show_images(other)

    def test_an_image_of_one_row_and_other_kinds_of_numbers(self):
        images = [torch.rand(1, 5), torch.rand(4, 5).half(), np.ones((4, 5), "u1"), [[1, 0]]]
        drawn = [ax.images[0].get_array().shape for ax in d2l.show_images(images).flat]
        assert drawn == [(1, 5), (4, 5), (4, 5), (1, 2)]

    @pytest.mark.parametrize(
        "given, words",
        [({"num_cols": value}, "num_cols=") for value in (0, -1, 1.5, None, "3", True)]
        + [({"scale": value}, "scale=") for value in (0, -1, float("nan"), None, "1", 10**400)]
        + [({"images": value}, "images=") for value in (None, 5, "ab", {}, iter([1]))]
        + [({"images": torch.empty(1, 0, 5)}, r"images\[0\]=")]
        + [({"images": torch.zeros(60_000, 2, 2)}, "images=.* is too long: give at most 1,000")]
        + [({"titles": value}, "titles=") for value in (5, "ab")],
    )
    def test_arguments_are_named(self, given, words):
        with pytest.raises((TypeError, ValueError), match=f"^{words}"):
            d2l.show_images(**{"images": torch.rand(2, 8, 8)} | given)
        assert not plt.get_fignums(), "nothing is left half drawn"


class TestPlotHistory:
    def test_one_run(self):
        axes = d2l.plot_history(history())
        assert [ax.get_ylabel() for ax in axes] == ["cross-entropy", "accuracy"]
        train, valid = axes[0].lines
        assert (train.get_label(), valid.get_label()) == ("training", "validation")
        np.testing.assert_array_equal(train.get_xdata(), [1, 2, 3])
        np.testing.assert_array_equal(train.get_ydata(), [0, 1, 2])
        np.testing.assert_array_equal(valid.get_ydata(), [1, 2, 3])

    def test_seeds_become_a_mean_and_a_band(self):
        ax = d2l.plot_history([history(0.0), history(2.0)], ["loss"])[0]
        np.testing.assert_array_equal(ax.lines[0].get_ydata(), [1, 2, 3])
        band = ax.collections[0].get_paths()[0].vertices[:, 1]
        assert (band.min(), band.max()) == (0, 4)

    def test_settings_have_colours_and_labels_of_their_own(self):
        ax = d2l.plot_history({"a": history(), "b": [history(), history(1.0)]}, ["accuracy"])[0]
        assert [line.get_label() for line in ax.lines] == [
            "a, training",
            "a, validation",
            "b, training",
            "b, validation",
        ]
        assert [line.get_color() for line in ax.lines] == [
            *d2l.PALETTE[:1] * 2,
            *d2l.PALETTE[1:2] * 2,
        ]

    def test_a_regression_has_no_cross_entropy(self):
        run = history()
        run.train_accuracy = [float("nan")] * 3
        assert d2l.plot_history(run, ["loss"])[0].get_ylabel() == "loss"

    def test_takes_one_metric_by_name(self):
        assert len(d2l.plot_history(history(), "loss")) == 1

    def test_draws_where_it_is_told(self):
        _, ax = plt.subplots()
        assert d2l.plot_history(history(valid=False), ["loss"], ax=ax)[0] is ax
        assert len(ax.lines) == 1 and len(plt.get_fignums()) == 1

    def test_bad_input(self):
        with pytest.raises(ValueError, match="'acuracy' is not offered; give 'loss' or 'accuracy'"):
            d2l.plot_history(history(), ["acuracy"])
        with pytest.raises(ValueError, match="1 axes for 2 metrics"):
            d2l.plot_history(history(), ax=plt.subplots()[1])
        with pytest.raises(ValueError, match="no run"):
            d2l.plot_history({})
        with pytest.raises(ValueError, match="no run"):
            d2l.plot_history({"a": []})
        for other in (history(valid=False), history(epochs=2)):
            with pytest.raises(ValueError, match="runs of 'a' differ in length or in kind"):
                d2l.plot_history({"a": [history(), other]})


@pytest.mark.parametrize(
    "given, words",
    [({"runs": value}, "runs") for value in (None, 5, "x", "", [5], {"a": None}, [], d2l.History())]
    + [({"runs": value}, "runs") for value in (np.array(5), {"a": {"b": history()}}, {"a": "x"})]
    + [({"metrics": value}, "metric") for value in ([], 5, None, [None], {"loss"}, ["a"], "a")]
    + [({"ax": value}, "ax=.* has . axes for 2 metrics") for value in (5, "x", [], [1, 2])],
)
def test_arguments_of_plot_history_are_named(given, words):
    with pytest.raises((TypeError, ValueError), match=f"^{words}"):
        d2l.plot_history(**{"runs": history()} | given)


RUNS = {"a": history(), "b": history(1.0)}


@pytest.mark.parametrize(
    "make",
    [lambda: RUNS.values(), lambda: iter(RUNS.values()), lambda: {"a": RUNS.values()},
     lambda: {"a": (run for run in RUNS.values())}, lambda: np.array([*RUNS.values()], object)],
)  # fmt: skip
def test_several_runs_may_be_any_iterable(make):
    (ax,) = d2l.plot_history(make(), "loss")
    assert [len(ax.lines), len(ax.collections)] == [2, 2]
    np.testing.assert_allclose(ax.lines[0].get_ydata(), [0.5, 1.5, 2.5])


def test_a_label_may_be_a_number():
    (ax,) = d2l.plot_history({0: history(), 0.5: history()}, "loss")
    assert [line.get_label() for line in ax.lines][::2] == ["0, training", "0.5, training"]


def test_palette_has_distinct_colours():
    assert len({matplotlib.colors.to_rgb(color) for color in d2l.PALETTE}) == len(d2l.PALETTE)

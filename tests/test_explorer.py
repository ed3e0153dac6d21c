"""Explorers: what they send, what they refuse. What they show is in test_explorer_browser."""

import gzip
import itertools
import json
import re
from decimal import Decimal
from fractions import Fraction
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
import xarray as xr

from d2lutils.explorer import explore
from d2lutils.sweeps import sweep
from d2lutils.training import History
from d2lutils.words import number

HOSTILE = "</script><img src=x onerror=alert(1)><!-- <script> & \u2028"


def grid(*, num_epochs=3, seeds=2, hidden=(8,), bins=41, **axes):
    """What a sweep returns, with made-up numbers that are as restless as training."""
    rng = np.random.default_rng(0)
    coords = {"lam": [0.0], **({} if {"p", "p1"} & {*axes} else {"p": [0.0]})}
    coords |= {key: list(map(float, values)) for key, values in axes.items()}
    coords["label_noise"] = coords.pop("label_noise", [0.0])  # in its place, the last but one
    coords["seed"] = list(range(seeds))
    dims, shape = [*coords], tuple(map(len, coords.values()))
    coords |= {"epoch": range(1, num_epochs + 1), "layer": range(1, len(hidden) + 2)}
    data = xr.Dataset(coords=coords, attrs={"hidden": list(hidden), "train_size": 1000})

    def put(name, low, high, tails=()):
        values = rng.uniform(low, high, shape + tuple(tails.values() if tails else ()))
        data[name] = ([*dims, *tails], values.astype("float32"))

    for part in ("train", "valid"):
        put(f"{part}_loss", 0.2, 1.9, {"epoch": num_epochs})
        put(f"{part}_accuracy", 0.7, 0.9, {"epoch": num_epochs})
    put("final_train_loss", 0.2, 1.9)
    put("final_train_accuracy", 0.8, 0.99)
    put("test_loss", 0.3, 1.3)
    put("test_accuracy", 0.7, 0.8)
    data["gap"] = data.final_train_accuracy - data.valid_accuracy[..., -1]
    data["finished"] = xr.ones_like(data.test_loss, dtype=bool)
    layers = len(hidden) + 1
    put("weight_norm", 5, 17, {"layer": layers})
    bell = np.exp(-(np.linspace(-6, 6, bins) ** 2) / 2)
    counts = rng.poisson(9999 * bell, (*shape, layers, bins))
    data["weight_histogram"] = ([*dims, "layer", "bin"], counts)
    data["bin_edges"] = (("layer", "edge"), np.tile(np.linspace(-1, 1, bins + 1), (layers, 1)))
    return data


def one_d():
    return grid(lam=[0, 1e-4, 0.01, 0.3], label_noise=[0, 0.4])


def two_d():
    return grid(p1=[0, 0.5], p2=[0, 0.3, 0.6], hidden=(8, 8))


def lam_and_p():
    return grid(lam=[0.1, 0], p=[0, 0.5], label_noise=[0, 0.4], hidden=(8, 8))


def fine():
    """Twenty stops on each axis."""
    return grid(p1=np.linspace(0, 0.95, 20), p2=np.linspace(0, 0.95, 20), hidden=(8, 8))


def with_gaps():
    """A sweep in which one setting diverged for one seed, and another is not trained at all."""
    runs = one_d()
    diverged = (runs.lam == 0.3) & (runs.label_noise == 0) & (runs.seed == 1)
    missing = (runs.lam == 1e-4) & (runs.label_noise == 0)
    runs["finished"] = runs.finished & ~missing
    for name, array in runs.items():
        if "seed" in array.dims and name not in ("finished", "weight_histogram"):
            begun = xr.DataArray(range(3), dims="epoch") < 1 if "epoch" in array.dims else False
            runs[name] = array.where(~missing & (~diverged | begun)).transpose(*array.dims)
    return runs


def histories(lams=(0, 0.3, 3), seeds=2, epochs=5, **changes):
    """Losses that span many powers of ten, as linear regression has them."""

    def history(lam, seed):
        steps = np.arange(1, epochs + 1)
        curves = {
            "train_loss": (0.9 + seed / 7) * 10.0 ** (-2 * steps / (1 + lam)),
            "valid_loss": 5.4321 / (1 + lam * steps) + seed,
        }
        return History(**{k: list(v) for k, v in (curves | changes).items()})

    return {lam: [history(lam, seed) for seed in range(seeds)] for lam in lams}


def weights_of(runs):
    rng = np.random.default_rng(0)
    return {
        lam: [torch.tensor(rng.normal(size=(200, 1)) / (1 + lam)) for _ in (0, 1)] for lam in runs
    }


def sent(explorer):
    """The data in the HTML."""
    page = explorer._repr_html_()
    return json.loads(re.search(r'<script type="application/json">(.*?)</script>', page).group(1))


def rows(explorer, part="rest"):
    """The cells of the table, row by row; or of the one that holds the test set."""
    bodies = re.findall("<tbody.*?>(.*?)</tbody>", explorer._repr_html_())
    body = bodies[part == "test"]
    return [re.findall(r"<t[hd].*?>(.*?)</t[hd]>", row) for row in body.split("</tr>")[:-1]]


class TestAxes:
    def axes(self, runs):
        return [(axis["key"], axis["values"]) for axis in sent(explore(runs))["axes"]]

    def test_are_the_dimensions_with_several_values_in_ascending_order(self):
        assert self.axes(one_d()) == [("lam", ["0", "1e-4", "0.01", "0.3"])]
        assert self.axes(two_d()) == [("p1", ["0", "0.5"]), ("p2", ["0", "0.3", "0.6"])]
        assert self.axes(lam_and_p()) == [("lam", ["0", "0.1"]), ("p", ["0", "0.5"])]
        assert self.axes(two_d().sel(p2=[0])) == [("p1", ["0", "0.5"])]
        assert self.axes(two_d().sel(p2=0)) == [("p1", ["0", "0.5"])]

    def test_label_noise_is_a_switch_beside_another_axis_and_else_a_slider(self):
        assert sent(explore(one_d()))["noise"]["values"] == ["0", "0.4"]
        assert sent(explore(two_d()))["noise"]["values"] == []
        assert self.axes(one_d().sel(lam=0)) == [("label_noise", ["0", "0.4"])]

    def test_zero_stands_apart_of_powers_of_ten(self):
        (axis,) = sent(explore(one_d()))["axes"]
        assert axis["apart"] and axis["at"][0] == 0 and axis["at"][-1] == 1
        assert axis["at"] == sorted(axis["at"])
        assert not sent(explore(two_d()))["axes"][0]["apart"]

    def test_numbers_follow_the_sorted_axes(self):
        runs = lam_and_p()
        settings = [tuple(map(float, row[:3])) for row in rows(explore(runs))]
        assert settings == [(k, p, lam) for k in (0, 0.4) for p in (0, 0.5) for lam in (0, 0.1)]
        for (k, p, lam), row in zip(settings, rows(explore(runs)), strict=True):
            last = runs.valid_accuracy.isel(epoch=-1)
            mean = float(last.sel(lam=lam, p=p, label_noise=k).mean())
            assert float(row[4].split(" ± ")[0]) == pytest.approx(100 * mean, abs=0.051)

    def test_a_sweep_comes_as_it_is(self):
        settings = {"train_size": 128, "valid_size": 128, "num_epochs": 2, "progress": False}
        runs = sweep([0, 0.1], [0, 0.5], label_noise=[0, 0.4], hidden=(8, 8), seeds=2, **settings)
        assert self.axes(runs) == self.axes(lam_and_p())
        shown = [float(row[3].split(" ± ")[0]) for row in rows(explore(runs), "test")]
        means = runs.test_accuracy.mean("seed").transpose("label_noise", "p", "lam")
        np.testing.assert_allclose(shown, 100 * means.values.ravel(), atol=0.051)

    def test_start(self):
        assert sent(explore(one_d(), start={"lam": 0.01}))["start"] == {"lam": 2, "label_noise": 0}


class TestHtml:
    def test_caption_and_table_say_it_without_the_picture(self):
        explorer = explore(one_d())
        assert "784-8-10, 1,000 training images, 8 settings, 2 seeds" in explorer._repr_html_()
        values = 100 * one_d().valid_accuracy.isel(lam=0, p=0, label_noise=0, epoch=-1)
        mean, spread = (float(x) for x in (values.mean(), values.std(ddof=1)))
        assert rows(explorer)[0][3] == f"{mean:.1f} ± {spread:.1f}"

    def test_the_test_set_stays_closed_in_the_table_as_well(self):
        def without_script(runs):
            return explore(runs)._repr_html_().split("</script>")[1].rpartition("<script")[0]

        before, opened = without_script(one_d()).split("Open the test set")
        assert "test accuracy" not in before
        assert before.endswith('<details><summary><span class="d2l-words" lang="en">')
        assert "test accuracy" in opened and "you can no longer choose by them" in opened
        assert "test set" not in without_script(histories())

    def test_a_single_seed_has_no_spread(self):
        assert "±" not in "".join(itertools.chain(*rows(explore(one_d().isel(seed=[0])))))

    def test_words_come_in_every_language_and_one_is_seen(self, monkeypatch):
        page = explore(one_d())._repr_html_()
        assert 'lang="en">784-' in page and 'lang="zh" hidden>784-' in page
        assert page.count('<span class="d2l-words"') == page.count(" hidden>") * 2
        monkeypatch.setenv("D2L_LANGUAGE", "zh")
        assert 'lang="en" hidden>784-' in explore(one_d())._repr_html_()

    def test_nothing_hostile_gets_out(self):
        page, found = explore(histories(), label=HOSTILE)._repr_html_(), []

        class Parser(HTMLParser):
            def handle_starttag(self, tag, attributes):
                found.append((tag, dict(attributes)))

        Parser().feed(page)
        tags = [tag for tag, _ in found]
        assert tags.count("script") == 2 and "img" not in tags
        assert not any(name.startswith("on") for _, attributes in found for name in attributes)
        data = re.search(r'<script type="application/json">(.*?)</script>', page).group(1)
        assert not re.search("[<>&\u2028]", data)
        assert json.loads(data)["axes"][0]["label"]["en"] == HOSTILE

    def test_script_is_whole_and_safe(self):
        script = explore(one_d())._repr_html_().rpartition('<script type="module">')[2]
        assert script.count("</script>") == 1 and "<!--" not in script
        assert "</style" not in script.lower()
        assert "http" not in script.replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"^\s*//|^(import|export) |innerHTML = (?!SKELETON)", script, re.M)

    def test_two_explorers_are_a_light_load(self):
        """13 λ × 2, and 5 × 5, over 30 epochs and 5 seeds, as a server sends them."""
        lam, p = (0.0, *(1e-5 * 2.3**i for i in range(12))), [a / 5 for a in range(5)]
        settings = {"num_epochs": 30, "seeds": 5}
        grids = (
            grid(lam=lam, label_noise=(0, 0.4), hidden=(128,), **settings),
            grid(p1=p, p2=p, hidden=(128, 128), **settings),
        )
        page = "".join(explore(runs)._repr_html_() for runs in grids).encode()
        print(len(page), len(gzip.compress(page)))
        assert len(gzip.compress(page)) < 64_000


class TestWhatIsMissing:
    def test_is_told(self):
        explorer = explore(with_gaps())
        data = sent(explorer)
        assert data["finished"][:4] == [2, 0, 2, 2] and data["diverged"][:4] == [0, 0, 0, 1]
        assert [row[2:] == ["–"] * 5 for row in rows(explorer)] == [False, True, False, True] + [
            False
        ] * 4

    def test_an_interrupted_sweep_says_how_much_of_it_there_is(self):
        page = explore(with_gaps())._repr_html_()
        trained = int(with_gaps().finished.sum())
        assert f" {trained} of {with_gaps().finished.size} networks are finished." in page
        assert "networks are finished" not in explore(one_d())._repr_html_()
        nothing = one_d().assign(finished=xr.zeros_like(one_d().finished))
        with pytest.raises(ValueError, match="no network of the sweep is finished"):
            explore(nothing)

    def test_a_mean_is_one_over_the_seeds_that_are_finished(self):
        runs = one_d()
        runs["finished"] = runs.finished & ~((runs.lam == 0) & (runs.seed == 1))
        runs["test_loss"] = runs.test_loss.where(runs.finished)
        value = float(runs.test_loss.sel(lam=0, p=0, label_noise=0, seed=0))
        stat = sent(explore(runs))["stats"]["test_loss"]
        assert stat["mean"][0] == pytest.approx(value, abs=0.01)


class TestSettings:
    def test_come_back_from_a_file_with_one_hidden_layer(self):
        runs = one_d()
        runs.attrs["hidden"] = np.int64(8)
        assert "784-8-10, 1,000 training images" in explore(runs)._repr_html_()

    def test_that_went_lost_are_not_told(self):
        runs = one_d()
        runs.attrs = {}
        assert 'lang="en">8 settings, 2 seeds' in explore(runs)._repr_html_()

    def test_start_and_label_of_another_kind_are_refused(self):
        with pytest.raises(TypeError, match='start=0.01 must be a mapping, such as {"lam": 0.3'):
            explore(one_d(), start=0.01)
        with pytest.raises(TypeError, match="label=3 must be a string"):
            explore(histories(), label=3)
        with pytest.raises(ValueError, match="varies nothing; an explorer moves between settings"):
            explore(one_d().isel(lam=[0], label_noise=[0]))


class TestHistories:
    def test_losses_on_a_logarithmic_axis(self):
        runs = histories()
        data = sent(explore(runs, weights=weights_of(runs), log=True))
        assert list(data["stats"]) == ["train_loss", "valid_loss", "norm"]
        assert list(data["metrics"]) == ["loss"]
        first = runs[0][0].train_loss[-1], runs[0][1].train_loss[-1]
        assert data["stats"]["train_loss"]["mean"][0] == float(f"{np.mean(first):.2e}")
        assert len(data["weights"]["share"][0][0]) == 41

    def test_other_numbers_have_their_own_label(self):
        data = sent(explore(histories(lams=(20, 50, 100)), label="training examples"))
        assert data["axes"][0]["label"]["en"] == "training examples"
        assert data["axes"][0]["key"] == "x" and not data["weights"]

    @pytest.mark.parametrize(
        "runs, error, message",
        [
            ([1, 2], TypeError, "runs is a list; give what sweep"),
            (xr.Dataset(), TypeError, "Dataset without 'finished'"),
            ({}, ValueError, "at least two values"),
            ({"a": [], "b": []}, TypeError, "must be finite numbers"),
            ({0: histories()[0], 1: histories()[0][:1]}, ValueError, "same number of seeds"),
            ({0: histories()[0], 1: histories(epochs=4)[0]}, ValueError, "numbers of epochs"),
            (histories(valid_loss=[]), ValueError, "need train_loss and valid_loss"),
        ],
    )
    def test_bad_runs_are_refused(self, runs, error, message):
        with pytest.raises(error, match=message):
            explore(runs)

    def test_bad_weights_are_refused(self):
        runs = histories()
        with pytest.raises(ValueError, match="weights must hold"):
            explore(runs, weights={0: [np.ones(3)] * 2})
        with pytest.raises(ValueError, match="weights must hold"):
            explore(runs, weights={lam: [np.ones(3)] for lam in runs})


@pytest.mark.parametrize(
    "runs, arguments, message",
    [
        (one_d().sel(lam=0, label_noise=0), {}, "the sweep varies nothing"),
        (grid(lam=[0, 1], p1=[0, 0.5], p2=[0, 0.5]), {}, "the sweep varies lam, p1, p2; "),
        (one_d().mean("seed"), {}, "runs has no dimension 'seed' left"),
        (one_d().isel(seed=0), {}, "runs has no dimension 'seed' left"),
        (one_d().sel(epoch=2), {}, "runs has no dimension 'epoch' left"),
        (one_d(), {"start": {"lam": 7}}, "start has lam=7"),
        (one_d(), {"start": {"q": 0}}, "start has q=0"),
        (one_d(), {"label": "x"}, "belong to a mapping"),
    ],
)
def test_bad_arguments_are_refused_in_one_sentence(runs, arguments, message):
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        explore(runs, **arguments)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("size", [2e6, 1e20, 1e200, 1.7e308])
def test_huge_finite_values_are_sent_and_told_in_few_characters(size):
    losses = [size, size / 2, -size / 3, 5.0, size]
    limit = min(size, 1e100)  # of what a slider moves through
    explorer = explore(histories((-limit, 0, limit), train_loss=losses, valid_loss=losses))
    curve = sent(explorer)["metrics"]["loss"]["train"]["mean"][0]
    assert np.allclose(curve, losses, rtol=1e-9, atol=1)
    assert sent(explorer)["axes"][0]["at"] == [0, 0.5, 1]
    assert all(len(cell) < 20 for row in rows(explorer) for cell in row)
    assert number(size, 3) in rows(explorer)[0][1]


def test_settings_that_are_close_have_names_of_their_own():
    (axis,) = sent(explore(histories((1, 1.0000000001, 1.000000001))))["axes"]
    assert axis["values"] == ["1", "1.0000000001", "1.000000001"]


class Wordless:
    def __repr__(self):
        raise RuntimeError


RUNS = histories()


@pytest.mark.parametrize(
    "runs, arguments, words",
    [
        (RUNS, {"start": 5}, "start=5 must be a mapping"),
        (RUNS, {"start": {"lam": "x"}}, "start of lam='x' is of type str"),
        (RUNS, {"start": {"lam": np.ones(2)}}, r"start of lam=<float64 ndarray"),
        (RUNS, {"label": ["k"]}, r"label=\['k'\] must be a string"),
        (RUNS, {"label": ""}, "label='' must be a string"),
        (RUNS, {"label": "k" * 20_000}, "label='kkk.* must be a string of 1 to 100"),
        (RUNS, {"label": Wordless()}, "label=<Wordless.* must be a string"),
        (RUNS, {"log": float("nan")}, "log=nan is of type float: give True or False"),
        (RUNS, {"weights": 5}, "weights=5 must be a mapping"),
        (RUNS, {"weights": []}, r"weights=\[\] must be a mapping"),
        (RUNS, {"weights": dict.fromkeys(RUNS)}, "weights must hold"),
        (RUNS, {"weights": {lam: ["x", "y"] for lam in RUNS}}, "weights must hold"),
        ({0: 5, 1: 5}, {}, r"runs\[0\]=5 must be a sequence"),
        ({0: None, 1: None}, {}, r"runs\[0\]=None must be a sequence"),
        ({0: [1], 1: [2]}, {}, r"runs\[0\] holds 1; give a History"),
        ({0: [History()], 1: [History()]}, {}, "need train_loss and valid_loss"),
        ({10**400: RUNS[0], 1: RUNS[3]}, {}, "keys of runs must be finite numbers, not 1000"),
        ({1e308: RUNS[0], -1e308: RUNS[3]}, {}, "keys of runs must be finite numbers, not 1e"),
        ({"0": RUNS[0], 1: RUNS[3]}, {}, "keys of runs must be finite numbers, not '0'"),
        (one_d().drop_vars("valid_loss"), {}, "Dataset without 'valid_loss'"),
        (one_d().assign(gap=0).drop_vars("bin_edges"), {}, "Dataset without 'bin_edges'"),
        (one_d().astype(str), {}, "Dataset without numbers in 'finished'"),
        (one_d().assign_coords(lam=list("abcd")), {}, "lam of runs='a' is of type str"),
        (one_d().isel(epoch=[]), {}, "no dimension 'epoch' left"),
        (5, {}, "runs is a int; give"),
    ],
)
def test_whatever_is_given_is_named(runs, arguments, words):
    with pytest.raises((TypeError, ValueError), match=words) as caught:
        explore(runs, **arguments)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


def test_numbers_of_any_kind_and_very_close_or_large_ones_are_shown():
    runs = dict(zip((Fraction(1, 2), np.float32(2), Decimal(3)), RUNS.values(), strict=True))
    weights = {key: [np.ones(3)] * 2 for key in runs}
    (axis,) = sent(explore(runs, weights=weights, start={"lam": Fraction(2)}))["axes"]
    assert axis["values"] == ["0.5", "2", "3"]
    (axis,) = sent(explore(histories(lams=(1, 1.0000000001))))["axes"]
    assert axis["values"] == ["1", "1.0000000001"]


def test_changed_attributes_of_a_file_are_not_told():
    for attrs in ({"hidden": "x", "train_size": 5}, {"hidden": [8], "train_size": None}):
        assert 'lang="en">8 settings' in explore(one_d().assign_attrs(attrs))._repr_html_()

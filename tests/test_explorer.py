"""Explorers: what they send, what they refuse. What they show is in test_explorer_browser."""

import json
import re
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from d2lutils.explorer import _Band, _encode, _script, _short, _steps, explore
from d2lutils.sweeps import sweep
from d2lutils.training import History

HOSTILE = "</script><img src=x onerror=alert(1)><!-- <script> & \u2028"
TINY = {"train_size": 128, "valid_size": 128, "num_epochs": 3, "batch_size": 64, "seeds": 2}


@cache
def one_d():
    return sweep([0, 1e-4, 0.01, 0.3], label_noise=[0, 0.4], hidden=(8,), lr=0.05, **TINY)


@cache
def two_d():
    p = [(a, b) for a in (0, 0.5) for b in (0, 0.3, 0.6)]
    return sweep([0], p, hidden=(8, 8), lr=0.05, **TINY)


@cache
def lam_and_p():
    return sweep([0.1, 0], [0, 0.5], label_noise=[0, 0.4], hidden=(8, 8), lr=0.05, **TINY)


def with_gaps():
    """A sweep in which one setting diverged for one seed, and another is not trained at all."""
    whole = one_d()
    arrays = {name: np.array(value) for name, value in vars(whole).items() if name != "settings"}
    for name, array in arrays.items():
        if name not in ("finished", "weight_histogram", "bin_edges"):
            array[3, 0, 0, 1] = np.nan
            array[1, 0, 0] = np.nan
    for name in ("train_loss", "valid_loss", "train_accuracy", "valid_accuracy"):
        arrays[name][3, 0, 0, 1, 0] = 0.3
    arrays["finished"][1, 0, 0] = False
    return replace(whole, **arrays)


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


def decode(text):
    """Undo base64 VLQ in the plainest way."""
    digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    numbers, bits = [], ""
    for c in text:
        if c == ".":
            numbers.append(None)
            continue
        d = digits.index(c)
        bits = f"{d % 32:05b}" + bits
        if d < 32:
            numbers.append(int(bits[:-1], 2) * (-1 if bits[-1] == "1" else 1))
            bits = ""
    return numbers


class TestNumbers:
    @given(st.lists(st.one_of(st.none(), st.integers(-(10**12), 10**12)), min_size=1))
    def test_integers_survive_the_trip(self, numbers):
        values = np.array([np.nan if n is None else n for n in numbers])
        assert decode(_encode(values)) == numbers
        steps = decode(_encode(_steps(values[None])))
        known = [n for n in numbers if n is not None]
        assert np.cumsum([s for s in steps if s is not None]).tolist() == known

    @given(st.floats(1e-30, 1e30))
    def test_three_significant_digits_survive(self, value):
        mantissa, power = decode(_encode(np.array([value]), exact=True))
        assert float(f"{mantissa}e{power}") == float(f"{value:.2e}")

    @pytest.mark.parametrize(
        "value, text", [(0, "0"), (1e-5, "1e-5"), (3e-5, "3e-5"), (0.004, "0.004"), (30, "30"),
                        (0.75, "0.75"), (123456, "1.23e5")]
    )  # fmt: skip
    def test_short_numbers_read_like_python(self, value, text):
        assert _short(value) == text

    def test_band_is_over_the_finished_seeds_and_gone_where_one_diverged(self):
        array = np.array([[0.1, 0.3], [0.2, np.nan], [0.5, np.nan], [np.nan, np.nan]])
        finished = np.array([[1, 1], [1, 1], [1, 0], [0, 0]], dtype=bool)
        mean, low, high = _Band.of("test_accuracy", array, finished, log=False).values
        np.testing.assert_allclose(mean, [0.2, np.nan, 0.5, np.nan])
        np.testing.assert_allclose(low, [0.1, np.nan, 0.5, np.nan])
        np.testing.assert_allclose(high, [0.3, np.nan, 0.5, np.nan])


class TestAxes:
    def axes(self, explorer):
        return [(axis["key"], axis["values"]) for axis in explorer.data["axes"]]

    def test_lam_with_a_switch(self):
        e = explore(one_d())
        assert self.axes(e) == [("lam", ["0", "1e-4", "0.01", "0.3"])]
        assert e.data["noise"] == [0, 0.4] and e.data["axes"][0]["apart"]
        places = e.data["axes"][0]["at"]
        assert places[0] == 0 and places[-1] == 1 and places == sorted(places)

    def test_two_layers(self):
        e = explore(two_d())
        assert self.axes(e) == [("p1", ["0", "0.5"]), ("p2", ["0", "0.3", "0.6"])]
        assert e.data["noise"] is None

    def test_lam_and_p_are_sorted(self):
        assert self.axes(explore(lam_and_p())) == [("lam", ["0", "0.1"]), ("p", ["0", "0.5"])]

    def test_noise_alone_is_a_slider(self):
        assert self.axes(explore(one_d().at(lam=0))) == [("label_noise", ["0", "0.4"])]

    def test_arrays_follow_the_sorted_axes(self):
        s = lam_and_p()
        text = explore(s)._table
        rows = re.findall(r"<tr><th scope=.row.>(.*?)</tr>", text)
        shown = [float(re.findall(r"<td>([\d.]+) ±", row)[2]) for row in rows]
        wanted = [
            s.test_accuracy[i, j, k].mean() * 100 for k in (0, 1) for j in (0, 1) for i in (1, 0)
        ]
        np.testing.assert_allclose(shown, wanted, atol=0.051)


class TestHtml:
    def test_caption_and_table_stand_in_the_html(self):
        page = explore(one_d(), caption="What λ does.")._repr_html_()
        assert 'lang="en">What λ does.</span></figcaption></figure>' in page
        assert page.count("<tr>") == 1 + 8
        mean = one_d().test_accuracy[0, 0, 0].mean() * 100
        assert f"<td>{mean:.1f} ± " in page

    def test_words_come_in_every_language_and_one_is_seen(self, monkeypatch):
        page = explore(one_d())._repr_html_()
        assert 'lang="en">784-' in page and 'lang="zh" hidden>784-' in page
        assert page.count('<span class="d2l-words"') == page.count(" hidden>") * 2
        monkeypatch.setenv("D2L_LANGUAGE", "zh")
        assert 'lang="en" hidden>784-' in explore(one_d())._repr_html_()

    def test_nothing_hostile_gets_out(self):
        runs = histories()
        page = explore(runs, caption=HOSTILE, label=HOSTILE)._repr_html_()
        found = []

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

    def test_script_is_small_whole_and_safe(self):
        script, tag = _script()
        assert tag in script and "</script" not in script.lower() and "<!--" not in script
        assert "</style" not in script.lower()
        assert "http" not in script.replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"^\s*//|innerHTML = (?!markup)", script, re.M)

    def test_a_page_with_two_explorers_is_light(self):
        """13 λ × 2, and 5 × 5, over 30 epochs and 5 seeds, leave a page of 150 kB some room."""
        rng = np.random.default_rng(0)

        def heavy(hidden, **axes):
            axes = {"lam": (0.0,), "p": ((0.0,) * len(hidden),), "label_noise": (0.0,)} | axes
            axes["seeds"], layers = tuple(range(5)), len(hidden) + 1
            grid = tuple(len(values) for values in axes.values())
            tails = {"weight_norm": (layers,), "weight_histogram": (layers, 41)}
            tails |= dict.fromkeys(
                ("train_loss", "train_accuracy", "valid_loss", "valid_accuracy"), (30,)
            )
            arrays = {
                name: rng.normal(0.8, 0.02, grid + tails.get(name, ()))  # as restless as training
                for name, value in vars(one_d()).items()
                if isinstance(value, np.ndarray)
            }
            bell = np.exp(-(np.linspace(-6, 6, 41) ** 2) / 2)
            arrays["weight_histogram"] = rng.poisson(9999 * bell, (*grid, layers, 41))
            arrays["bin_edges"] = np.tile(np.linspace(-1, 1, 42), (layers, 1))
            arrays["finished"] = np.ones(grid, bool)
            settings = {**axes, "hidden": hidden, "train_size": 1000}
            return replace(one_d(), settings=settings, **arrays)

        lam = (0.0, *(1e-5 * 2.3**i for i in range(12)))
        p = tuple((a / 5, b / 5) for a in range(5) for b in range(5))
        grids = heavy((128,), lam=lam, label_noise=(0.0, 0.4)), heavy((128, 128), p=p)
        sizes = [len(explore(grid)._repr_html_().encode()) for grid in grids]
        print(sizes)
        assert sum(sizes) < 130_000


class TestWhatIsMissing:
    def test_is_told(self):
        s = with_gaps()
        e = explore(s)
        assert e.data["finished"][:4] == [2, 0, 2, 2]
        assert e.data["diverged"][:4] == [0, 0, 0, 1]
        assert "14 of 16 networks are trained so far." in e._repr_html_()
        assert e._table.count("<td>–</td>") == 2 * 6

    def test_nothing_finished_is_refused(self):
        s = one_d()
        with pytest.raises(ValueError, match="no network of the sweep is finished"):
            explore(replace(s, finished=np.zeros_like(s.finished)))


class TestHistories:
    def test_losses_on_a_logarithmic_axis(self):
        runs = histories()
        e = explore(runs, weights=weights_of(runs), log=True)
        assert list(e.data["stats"]) == ["train_loss", "valid_loss", "norm"]
        assert list(e.data["metrics"]) == ["loss"] and e.data["metric"] == "loss"
        assert e.data["weights"]["bins"] == 41

    def test_other_numbers_have_their_own_label(self):
        e = explore(histories(lams=(20, 50, 100)), label="training examples")
        assert e.data["axes"][0]["label"]["en"] == "training examples"
        assert e.data["axes"][0]["key"] == "x" and "weights" not in e.data

    @pytest.mark.parametrize(
        "runs, error, message",
        [
            ([1, 2], TypeError, "runs is a list; give a Sweep"),
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


class TestBadArguments:
    @pytest.mark.parametrize(
        "make, arguments, message",
        [
            (lambda: one_d().at(lam=0, label_noise=0), {}, "the sweep varies nothing"),
            (one_d, {"metric": "f1"}, "metric='f1' is not offered"),
            (one_d, {"name": "a b"}, "name='a b' stands in an address"),
            (one_d, {"start": {"lam": 7}}, "start has lam=7"),
            (one_d, {"start": {"q": 0}}, "start has q=0"),
            (one_d, {"label": "x"}, "belong to a mapping"),
            (
                lambda: replace(
                    two_d(), settings=two_d().settings | {"p": two_d().settings["p"][:5]}
                ),
                {},
                "no full grid",
            ),
        ],
    )
    def test_are_refused_in_one_sentence(self, make, arguments, message):
        with pytest.raises(ValueError, match=re.escape(message)) as caught:
            explore(make(), **arguments)
        assert "\n" not in str(caught.value)

    def test_three_axes_say_which_to_pick(self):
        settings = two_d().settings | {"lam": (0.0, 1.0)}
        with pytest.raises(ValueError, match=r"varies lam, p1, p2.*explore\(sweep.at\(lam=...\)\)"):
            explore(replace(two_d(), settings=settings))

    def test_start(self):
        assert explore(one_d(), start={"lam": 0.01}).data["start"] == {"lam": 2, "label_noise": 0}

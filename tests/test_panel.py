"""The panel trains what the page says, shows what it trained, and stays usable whatever happens."""

import re
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import torch
from torch import nn

import d2lutils as d2l
from book.pages import BOOK
from d2lutils.panel import panel, widgets

pytest.importorskip("ipywidgets")


def regression(lam=0.0, noise=0.01, lr=0.003):
    train_iter, valid_iter = d2l.linear_data(noise=noise, device="cpu")
    d2l.set_seed(0)
    net = nn.Linear(200, 1)
    return (
        net,
        train_iter,
        valid_iter,
        nn.MSELoss(),
        torch.optim.SGD(net.parameters(), lr=lr, weight_decay=lam),
    )


def classification(lam, p, label_noise):
    train_iter, valid_iter, _ = d2l.load_fashion_mnist(
        64, train_size=500, valid_size=300, label_noise=label_noise, device="cpu"
    )
    d2l.set_seed(0)
    net = nn.Sequential(
        nn.Flatten(), nn.Linear(784, 32), nn.ReLU(), nn.Dropout(p), nn.Linear(32, 10)
    )
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, weight_decay=lam)
    return net, train_iter, valid_iter, nn.CrossEntropyLoss(), optimizer


class Slow:
    """Batches of 20 ms each; says when the first one is out."""

    def __init__(self, num_batches):
        self.num_batches, self.begun = num_batches, threading.Event()

    def __iter__(self):
        for _ in range(self.num_batches):
            self.begun.set()
            time.sleep(0.02)
            yield torch.ones(5, 200), torch.ones(5, 1)


def slow(batches):
    """Make a setup that trains on `batches`."""

    def setup(lam):
        net, _, valid_iter, loss, optimizer = regression(lam)
        return net, batches, valid_iter, loss, optimizer

    return setup


@pytest.fixture
def make(monkeypatch):
    made = []
    monkeypatch.setattr(widgets, "DOUBLE_CLICK", 0)  # some runs are shorter

    def make(*args, **settings):
        made.append(panel(*args, **settings))
        return made[-1]

    yield make
    for one in made:
        one.stop()
        if one.thread:
            one.thread.join(10)


def finish(one):
    one.thread.join(60)
    assert not one.thread.is_alive()


def click(one, name):
    if not one.buttons[name].disabled:  # a browser sends nothing for a disabled button
        one.buttons[name].click()


class TestRuns:
    def test_equals_a_direct_call_of_train(self, make):
        one = make(classification, lam=0.01, p=0.5, label_noise=0.4, num_epochs=4)
        click(one, "Train")
        finish(one)
        direct = d2l.train(*classification(0.01, 0.5, 0.4), 4, progress=False)
        (run,) = one.runs
        assert run.state == "done" and run.history == direct
        for shown in (one.status.value, one.table.value):
            assert f"{direct.valid_loss[-1]:.4g}" in shown
            assert f"{direct.valid_accuracy[-1]:.3f}" in shown
            assert f"{direct.train_loss[-1]:.4g}" in shown

    def test_moved_sliders_are_what_setup_gets(self, make):
        seen = []

        def setup(lam, noise):
            seen.append((lam, noise))
            return regression(lam, noise)

        one = make(setup, lam=1, noise=0.01, num_epochs=1)
        one.sliders["lam"].index = 0
        one.sliders["noise"].value = 0.3
        click(one, "Train")
        finish(one)
        assert seen == [(0.0, 0.3)]
        assert one.runs[0].settings == {"lam": 0.0, "noise": 0.3, "num_epochs": 1}
        assert "λ = 0, noise = 0.3, epochs = 1" in one.status.value

    def test_regression_has_no_accuracy(self, make):
        one = make(regression, lam=3, num_epochs=2, log_loss=True)
        click(one, "Train")
        finish(one)
        seen = one.status.value + one.table.value + one.chart.value
        assert "loss" in seen and "accuracy" not in seen and "nan" not in seen

    def test_without_validation_data(self, make):
        def setup(lam):
            net, train_iter, _, loss, optimizer = regression(lam)
            return net, train_iter, None, loss, optimizer

        one = make(setup, lam=0.0, num_epochs=2)
        click(one, "Train")
        finish(one)
        assert one.error is None
        assert "training loss" in one.table.value and "validation" not in one.table.value

    def test_ghosts_stay_until_cleared(self, make):
        one = make(regression, lam=0.0, num_epochs=2)
        for lam in (0.0, 1.0, 10.0):
            one.sliders["lam"].value = lam
            click(one, "Train")
            finish(one)
        assert one.chart.value.count("<polyline") == 6  # training and validation
        assert one.chart.value.count('opacity="0.35"') == 4
        assert one.chart.value.count('opacity="1"') == 2
        assert one.table.value.count("<tr>") == 4
        assert [run.settings["lam"] for run in one.runs] == [0, 1, 10]
        click(one, "Clear")
        assert one.runs == [] and "<polyline" not in one.chart.value
        assert "<tr>" not in one.table.value

    def test_one_run_for_each_colour_stays(self, make):
        one = make(regression, lam=0.0, num_epochs=1)
        for _ in range(9):
            click(one, "Train")
            finish(one)
        assert [run.number for run in one.runs] == [3, 4, 5, 6, 7, 8, 9]
        assert len(set(re.findall(r'<g stroke="(#\w+)"', one.chart.value))) == 7

    def test_draws_only_now_and_then(self, make, monkeypatch):
        monkeypatch.setattr(widgets, "REDRAW", 0.1)
        one, drawn = make(regression, lam=0.0, num_epochs=200), []
        one.chart.observe(lambda _: drawn.append(time.monotonic()), "value")
        click(one, "Train")
        finish(one)
        assert len(one.runs[0].history) == 200
        assert 2 <= len(drawn) <= 3 + (drawn[-1] - drawn[0]) / 0.1


class TestStop:
    def test_answers_at_once_in_the_middle_of_an_epoch(self, make):
        batches = Slow(10_000)  # an epoch of more than three minutes
        one = make(slow(batches), lam=0.0)
        click(one, "Train")
        assert batches.begun.wait(30)
        start = time.monotonic()
        click(one, "Stop")
        assert time.monotonic() - start < 0.5
        assert "Stopped" in one.status.value
        assert one.buttons["Stop"].disabled and not one.buttons["Train"].disabled
        one.thread.join(2)
        assert not one.thread.is_alive()
        assert one.runs == [] and one.error is None

    def test_keeps_the_finished_epochs(self, make):
        one = make(slow(Slow(1)), lam=0.0, num_epochs=200)
        click(one, "Train")
        while not one.runs[0].history.valid_loss:
            time.sleep(0.01)
        click(one, "Stop")
        finish(one)
        (run,) = one.runs
        assert run.state == "stopped" and 1 <= len(run.history) < 200
        assert f"{len(run.history)} / 200" in one.table.value
        assert f"stopped after epoch {len(run.history)}" in one.status.value

    def test_while_setup_works_and_the_next_run_waits_for_it(self, make):
        inside, most, begun = [], [], threading.Event()

        def setup(lam):
            inside.append(lam)
            most.append(len(inside))
            begun.set()
            time.sleep(0.3)
            inside.pop()
            return regression(lam)

        one = make(setup, lam=0.0, num_epochs=1)
        click(one, "Train")
        assert begun.wait(30)
        click(one, "Stop")
        assert not one.buttons["Train"].disabled
        click(one, "Train")  # waits
        click(one, "Stop")
        click(one, "Train")
        finish(one)
        assert most == [1, 1]  # the one that was stopped while it waited never began
        assert [run.state for run in one.runs] == ["done"]

    @pytest.mark.parametrize("who", ["new panel", "other panel"])
    def test_only_one_run_at_a_time(self, make, who):
        batches = Slow(10_000)
        other, one = make(regression, lam=0.0, num_epochs=1), make(slow(batches), lam=0.0)
        click(one, "Train")
        assert batches.begun.wait(30)
        if who == "new panel":  # as when its cell is run again
            make(regression, lam=0.0)
        else:
            click(other, "Train")
            finish(other)
            assert other.runs[0].state == "done"
        one.thread.join(2)
        assert not one.thread.is_alive() and one.runs == []


class TestTwoFastClicks:
    @pytest.mark.parametrize("pause", [0, 0.1])
    def test_start_one_run(self, make, monkeypatch, pause):
        begun = []

        def setup(lam):
            begun.append(lam)
            return regression(lam)

        one = make(setup, lam=0.0, num_epochs=1)
        monkeypatch.setattr(widgets, "DOUBLE_CLICK", 60)
        one.buttons["Train"].click()
        time.sleep(pause)  # the run may be over by now
        one.buttons["Train"].click()
        finish(one)
        assert len(begun) == 1 and len(one.runs) == 1

    def test_nor_does_a_late_one_while_a_run_goes_on(self, make):
        batches = Slow(10_000)
        one = make(slow(batches), lam=0.0)
        one.buttons["Train"].click()
        assert batches.begun.wait(30)
        thread = one.thread
        one.buttons["Train"].click()
        assert one.thread is thread and len(one.runs) == 1


class TestFailures:
    def test_an_exception_that_cannot_be_shown_is_a_failure_like_another(self, make):
        class Wordless(Exception):
            def __str__(self):
                raise RuntimeError

        def setup(lam):
            raise Wordless

        one = make(setup, lam=0.0)
        click(one, "Train")
        finish(one)
        assert "Wordless: " in one.status.value and isinstance(one.error, Wordless)
        assert not one.buttons["Train"].disabled

    @pytest.mark.parametrize("error", [ValueError, SystemExit, KeyError])
    def test_one_readable_line_and_the_panel_goes_on(self, make, error):
        faults = [error("no <b>data</b>\nhere")]

        def setup(lam):
            if faults:
                raise faults.pop()
            return regression(lam)

        one = make(setup, lam=0.0, num_epochs=1)
        click(one, "Train")
        finish(one)
        assert one.status.value.count("\n") == 0
        assert f"{error.__name__}: " in one.status.value
        assert "no &lt;b&gt;data" in one.status.value
        assert isinstance(one.error, error) and one.runs == []
        click(one, "Train")
        finish(one)
        assert one.error is None and one.runs[0].state == "done"

    def test_divergence_names_its_epoch(self, make):
        one = make(lambda lam: regression(lam, lr=0.5), lam=0.0, num_epochs=100)
        click(one, "Train")
        finish(one)
        (run,) = one.runs
        assert run.state == "failed" and len(run.history) >= 1
        assert "FloatingPointError: the loss became" in one.status.value
        assert f"in epoch {len(run.history) + 1} with learning rate 0.5" in one.status.value
        assert "<polyline" in one.chart.value

    def test_setup_may_know_the_epochs_and_return_a_scheduler(self, make):
        rates = []

        def setup(lam, num_epochs):
            net, train_iter, valid_iter, loss, optimizer = regression(lam)
            steps = num_epochs * len(train_iter)
            scheduler = torch.optim.lr_scheduler.LinearLR(optimizer, 1, 0, steps)
            rates.append(optimizer.param_groups[0])
            return net, train_iter, valid_iter, loss, optimizer, scheduler

        one = make(setup, lam=0.0, num_epochs=4)
        click(one, "Train")
        finish(one)
        assert one.error is None and len(one.runs[0].history) == 4
        assert rates[0]["lr"] == pytest.approx(0, abs=1e-12)

    def test_setup_returns_something_else(self, make):
        one = make(lambda lam: nn.Linear(2, 1), lam=0.0)
        click(one, "Train")
        finish(one)
        assert "setup must return net, train_iter, valid_iter, loss, optimizer" in one.status.value

    @pytest.mark.parametrize(
        ("settings", "words"),
        [
            ({"lr": 0.1}, "lr=0.1 has no slider: there are lam, p,"),
            ({"lam": -1}, "lam=-1 is out of range"),
            ({"lam": float("nan")}, "lam=nan is out of range"),
            ({"lam": "0.1"}, "lam='0.1' is of type str: give a number"),
            ({"lam": []}, "lam is empty"),
            ({"lam": [0, -1]}, r"lam\[1\]=-1 is out of range"),
            ({"lam": 0, "p1": 1.5}, "p1=1.5 is out of range"),
            ({"lam": 0, "num_train": 2.5}, "num_train=2.5 is of type float: give a whole number"),
            ({"lam": 0, "num_epochs": 0}, "num_epochs=0 is out of range"),
            ({}, "do not fit the parameters of setup: missing a required argument: 'lam'"),
            ({"lam": 0, "p": 0}, "do not fit the parameters of setup: got an unexpected .* 'p'"),
        ],
    )
    def test_bad_settings(self, settings, words):
        with pytest.raises((TypeError, ValueError), match=words):
            panel(lambda lam: None, **settings)

    @pytest.mark.parametrize(
        ("setup", "settings", "words"),
        [
            (3, {}, "setup=3 cannot be called"),
            (None, {}, "setup=None cannot be called"),
            (dict, {}, "setup is the class dict"),
            (regression, {"log_loss": "yes"}, "log_loss='yes' is of type str: give True or False"),
            (regression, {"num_epochs": range(10**9)}, "num_epochs=range.* is too long"),
            (regression, {"lam": {0, 1}}, "lam={0, 1} is of type set"),
            (regression, {"lam": None}, "lam=None is of type NoneType"),
            (regression, {"lam": torch.ones(2, 2)}, r"lam\[0\]=<float32 Tensor \(2,\)> is of type"),
        ],
    )
    def test_arguments_are_named(self, setup, settings, words):
        with pytest.raises((TypeError, ValueError), match=words):
            panel(setup, **{"lam": 0} | settings)

    def test_what_setup_returns_is_named_if_it_cannot_train(self, make):
        def setup(lam):
            net, _, valid_iter, loss, optimizer = regression(lam)
            return net, None, valid_iter, loss, optimizer

        one = make(setup, lam=0.0)
        click(one, "Train")
        finish(one)
        assert "TypeError: train_iter=None holds no batches" in one.status.value


class TestSliders:
    def test_lam_has_an_exact_zero_and_says_what_it_is(self, make):
        slider = make(regression, lam=0.0).sliders["lam"]
        assert slider.options[0] == ("0", 0.0) and slider.value == 0.0
        assert slider.options[1:5] == (
            ("1e-5", 1e-5), ("2e-5", 2e-5), ("3e-5", 3e-5), ("5e-5", 5e-5)
        )  # fmt: skip
        assert all(float(label) == value for label, value in slider.options)
        assert slider.description == "λ"

    def test_an_odd_start_gets_a_stop_of_its_own(self, make):
        slider = make(regression, lam=0.0042).sliders["lam"]
        assert slider.value == 0.0042 and slider.label == "0.0042"
        values = [value for _, value in slider.options]
        assert values == sorted(values)

    def test_a_list_names_the_stops(self, make):
        def setup(num_train):
            return regression()

        sliders = make(setup, num_train=[20, 10, 50], num_epochs=[5, 1]).sliders
        assert sliders["num_train"].value == 20 and sliders["num_epochs"].value == 5
        assert sliders["num_train"].options == (("10", 10), ("20", 20), ("50", 50))
        assert [*sliders] == ["num_train", "num_epochs"]

    def test_probabilities_are_exact(self, make):
        def setup(p1, p2, label_noise):
            return regression()

        for name in ("p1", "p2", "label_noise"):
            options = make(setup, p1=0.2, p2=0.5, label_noise=0.4).sliders[name].options
            assert [label for label, _ in options][::5] == ["0", "0.25", "0.5", "0.75", "1"]
            assert all(float(label) == value for label, value in options)


class TestShown:
    def test_in_words_for_pages_without_a_kernel(self, make):
        one = make(regression, lam=0.0)
        bundle = one._repr_mimebundle_()
        view = bundle["application/vnd.jupyter.widget-view+json"]
        assert view["model_id"] == one.box.model_id
        assert f'lang="en">{bundle["text/plain"]}</span>' in bundle["text/html"]

    def test_speaks_the_language_of_the_notebook(self, make, monkeypatch):
        monkeypatch.setenv("D2L_LANGUAGE", "zh")
        one = make(classification, lam=0.0, p=0.5, label_noise=0.0, num_epochs=1)
        assert one.buttons["Train"].description == "训练"
        assert one.sliders["label_noise"].description == "标签噪声"
        click(one, "Train")
        finish(one)
        shown = one.status.value + one.chart.value + one.table.value
        for word in ("validation", "training", "epoch", "loss", "done", "Run"):
            assert word not in shown, word

    def test_picture_has_an_alternative_in_words(self, make):
        one = make(regression, lam=0.0, num_epochs=1)
        click(one, "Train")
        finish(one)
        words = one.status.value.split(">")[1].split("<")[0]
        assert 'role="status"' in one.status.value
        assert 'role="img" aria-label="loss against the epoch' in one.chart.value
        assert words in one.chart.value

    def test_a_moved_slider_says_its_value(self, make):
        one = make(regression, lam=1.0)
        one.sliders["lam"].value = 0.00002
        assert ">λ = 2e-5<" in one.spoken.value and 'role="status"' in one.spoken.value

    def test_without_ipywidgets_it_says_what_to_install_and_the_page_goes_on(self):
        code = """
import sys
sys.modules["ipywidgets"] = None  # which Python takes for a module that cannot be imported
import d2lutils as d2l
shown = d2l.panel(lambda lam: None, lam=0)
print(shown, shown._repr_html_(), sep="\\n")
"""
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        text, page = done.stdout.splitlines()
        assert "run %pip install ipywidgets in a cell, restart the kernel" in text
        assert text in page and "安装" in page and not done.stderr

    def test_where_a_server_draws_no_widgets_the_words_fit_who_is_in_jupyter(self, make):
        words = make(regression, lam=0.0)._repr_mimebundle_()["text/plain"]
        assert "If you are there already, install ipywidgets where Jupyter itself" in words

    def test_arrays_and_ranges_name_stops(self, make):
        stops = (np.array([0.5, 0.0]), torch.tensor([0.5, 0.0]), (0.5, 0))
        for given in stops:
            assert make(regression, lam=given).sliders["lam"].value == 0.5
        sliders = make(regression, lam=np.array(0.5), num_epochs=range(3, 5)).sliders
        assert sliders["lam"].value == 0.5 and sliders["num_epochs"].value == 3

    def test_import_does_without_ipywidgets(self):
        code = "import sys, d2lutils.panel; sys.exit('ipywidgets' in sys.modules)"
        assert subprocess.run([sys.executable, "-c", code]).returncode == 0

    def test_book_shows_words_and_no_widget(self, tmp_path):
        """A real build: neither widgets nor what would run them reach the page."""
        pytest.importorskip("myst_nb")
        (tmp_path / "conf.py").write_text(
            f"import sys; sys.path.append({str(BOOK.parent)!r})\n"
            "extensions = ['myst_nb', 'static_page']\nnb_execution_mode = 'force'\n"
            "nb_execution_raise_on_error = True\nnb_merge_streams = True\n"
        )
        (tmp_path / "index.md").write_text(
            "---\nfile_format: mystnb\nkernelspec:\n  name: python3\n---\n# Page\n"
            "```{code-cell}\nimport d2lutils as d2l\nd2l.panel(lambda lam: None, lam=0)\n```\n"
            "```{code-cell}\nimport sys\nfrom tqdm import tqdm\nprint('before')\n"
            "for _ in tqdm(range(9), file=sys.stdout, leave=False, mininterval=0):\n    pass\n"
            "print('after')\n```"
        )
        command = [sys.executable, "-m", "sphinx", "-q", "-W", "-b", "html", ".", "html"]
        subprocess.run(command, cwd=tmp_path, check=True)
        page = (tmp_path / "html" / "index.html").read_text()
        assert 'lang="en">This panel trains networks: run this page in Jupyter' in page
        for word in ("require.js", "html-manager", "widget-state", "widget-view", "jsdelivr"):
            assert word not in page
        assert "before" in page and "after" in page and "0/9 [" not in page

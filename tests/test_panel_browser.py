"""The panel in a real JupyterLab, driven as a reader drives it: mouse, arrow keys, Train, Stop."""

import re
import time

import pytest
import torch

import d2lutils as d2l
from d2lutils.words import number
from tests.jupyter_lab import jupyter_lab

SETUP = """
import torch
from torch import nn
import d2lutils as d2l
from d2lutils.panel import panel

def setup(lam, label_noise):
    train_iter, valid_iter, _ = d2l.load_fashion_mnist(
        64, train_size=1000, valid_size=500, label_noise=label_noise, device="cpu")
    d2l.set_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(784, 64), nn.ReLU(), nn.Dropout(0.2),
                        nn.Linear(64, 10))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, weight_decay=lam)
    return net, train_iter, valid_iter, nn.CrossEntropyLoss(), optimizer
"""


@pytest.fixture(scope="module")
def page(chromium, tmp_path_factory):
    """A page of JupyterLab with a panel on it."""
    pytest.importorskip("jupyterlab")
    cells = [SETUP, "panel(setup, lam=0.01, label_noise=0.4, num_epochs=[5, 200])"]
    with jupyter_lab(tmp_path_factory.mktemp("lab"), *cells) as address:
        context = chromium.new_context(viewport={"width": 1280, "height": 1000})
        page = context.new_page()
        page.set_default_timeout(45_000)
        page.goto(address)
        page.locator(".jp-Notebook .cm-content").first.click()
        page.get_by_text(re.compile(r"\| Idle")).wait_for()  # earlier keys may get lost
        for count in (1, 2):
            page.keyboard.press("Shift+Enter")
            page.get_by_text(f"[{count}]:").first.wait_for()
        page.locator("button", has_text="Train").wait_for()
        page.locator("[role=status]", has_text="press Train").wait_for()
        yield page
        context.close()


def slider(page, name):
    return page.locator(".widget-slider", has=page.locator("label", has_text=name))


def value(page, name):
    return float(slider(page, name).locator(".widget-readout").inner_text())


def click(page, name, **options):
    page.locator(f"button:text-is('{name}')").click(**options)


def words(page, pattern):
    """Wait for a final line of words like `pattern`, and return it."""
    line = page.locator("[role=status]").filter(has_text=re.compile(pattern))
    line.wait_for()
    return line.inner_text()


def num_rows(page):
    return page.locator(".widget-html table tr").count() - 1


def test_is_a_panel_and_not_the_line_of_words(page):
    assert page.locator(".widget-slider").count() == 3
    assert page.get_by_text("This panel trains networks").count() == 0


def test_shows_what_a_direct_run_gives(page):
    lam = slider(page, "λ").locator("[role=slider]")
    box, start = lam.bounding_box(), value(page, "λ")
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 40, y, steps=4)
    page.mouse.up()
    by_mouse = value(page, "λ")
    assert by_mouse > start
    lam.focus()
    page.keyboard.press("ArrowLeft")
    by_key = value(page, "λ")
    assert 0 < by_key < by_mouse
    page.keyboard.press("Home")
    assert value(page, "λ") == 0
    spoken = page.locator("[role=status]").filter(has_text=re.compile(r"^λ = 0$"))
    spoken.wait_for()  # what a screen reader says
    page.keyboard.press("ArrowRight")
    assert value(page, "λ") == 1e-5
    page.mouse.click(x + 40, y)
    assert value(page, "λ") == by_mouse
    assert slider(page, "λ").locator(".widget-readout").inner_text() == number(by_mouse)

    click(page, "Train")
    line = words(page, r"Run 1 .*done after epoch 5")
    scope = {}
    exec(SETUP, scope)
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    history = d2l.train(*scope["setup"](by_mouse, 0.4), 5, progress=False)
    torch.set_num_threads(num_threads)
    assert f"λ = {number(by_mouse)}, label noise = 0.4, epochs = 5" in line
    finals = [
        f"{history.train_loss[-1]:.4g}", f"{history.valid_loss[-1]:.4g}",
        f"{history.train_accuracy[-1]:.3f}", f"{history.valid_accuracy[-1]:.3f}",
    ]  # fmt: skip
    assert re.findall(r"(?:loss|accuracy) ([\d.]+\d)", line) == finals
    cells = page.locator(".widget-html table tr").nth(1).locator("td").all_inner_texts()
    assert cells == ["■ 1", number(by_mouse), "0.4", "5", *finals]
    assert page.locator(".widget-html svg[role=img] polyline").count() == 4


def test_two_fast_clicks_start_one_run(page):
    rows = num_rows(page)
    click(page, "Train", click_count=2, delay=20)
    words(page, rf"Run {rows + 1} .*done")
    time.sleep(1)
    assert num_rows(page) == rows + 1
    words(page, rf"Run {rows + 1} ")


def test_stop_answers_within_half_a_second(page):
    rows = num_rows(page)
    slider(page, "epochs").locator("[role=slider]").focus()
    page.keyboard.press("End")
    assert value(page, "epochs") == 200
    click(page, "Train")
    page.get_by_text(re.compile(rf"Run {rows + 1}: epoch \d+ of 200")).wait_for()
    start = time.perf_counter()
    click(page, "Stop")
    words(page, r"stopped after epoch \d+")
    seconds = time.perf_counter() - start
    print(f"Stop answered after {seconds:.2f} s, the clicking and looking included")
    assert seconds < 2  # half a second on a quiet machine
    shown = page.locator(".widget-html svg[role=img]").first.get_attribute("aria-label")
    time.sleep(0.7)
    assert page.locator(".widget-html svg").first.get_attribute("aria-label") == shown
    assert page.locator("button:text-is('Train')").is_enabled()
    assert page.locator("button:text-is('Stop')").is_disabled()
    assert num_rows(page) == rows + 1

"""Size and speed of a page with a 1-D and a 2-D explorer, as shares of their budgets.

The grids are those of the lessons (13 λ with clean and noisy labels, 5 × 5 p; 5 seeds, 30 epochs);
the networks behind them are tiny, which changes neither figure.
"""

import gzip
import itertools
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

import d2lutils as d2l

SIZE, FRAME = 64_000, 16.0  # bytes of HTML, as gzip sends them; milliseconds to the next repaint
SLOWDOWN = 4  # of the processor: a phone
PROBABILITIES = (0.0, 0.2, 0.4, 0.6, 0.8)
MOVE_EVERY_SLIDER = """() => [...document.querySelectorAll("figure > *")]
  .filter(({shadowRoot}) => shadowRoot).flatMap(({shadowRoot}) =>
  [...shadowRoot.querySelectorAll("input[type=range]")].flatMap((slider) =>
    Array.from({length: 4 * (+slider.max + 1)}, (_, i) => {
      slider.value = i % (+slider.max + 1);
      const start = performance.now();
      slider.dispatchEvent(new Event("input"));
      const script = performance.now() - start;
      shadowRoot.querySelector(".curves").getBoundingClientRect(); // layout
      return [script, performance.now() - start];
    })))"""


def page() -> str:
    """Return the HTML of the two explorers, trained on the spot."""
    small = dict(hidden=(8, 8), train_size=200, valid_size=200, num_epochs=30, lr=0.05)
    lam = [0.0, *(10 ** (e / 3) for e in range(-12, 0))]
    one = d2l.sweep(lam, label_noise=[0, 0.4], progress=False, **small)
    two = d2l.sweep(p=list(itertools.product(PROBABILITIES, repeat=2)), progress=False, **small)
    head = '<!doctype html><html lang="en"><meta charset="utf-8"><title>Explorers</title>'
    return head + "".join(d2l.explore(sweep)._repr_html_() for sweep in (one, two))


def milliseconds(html: str, chromium: str) -> list[list[float]]:
    """Return script, and script with layout, of each move of each slider."""
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        (path := Path(folder) / "page.html").write_text(html, encoding="utf-8")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        tab = browser.new_page()
        tab.goto(path.as_uri())
        session = tab.context.new_cdp_session(tab)
        session.send("Emulation.setCPUThrottlingRate", {"rate": SLOWDOWN})
        moves = tab.evaluate(MOVE_EVERY_SLIDER)
        browser.close()
    return moves


def main() -> None:
    """Print both figures; the second needs a Chromium."""
    html = page()
    share = len(gzip.compress(html.encode())) / SIZE
    print(f"explorer page, gzip / {SIZE // 1000} KB: {share:.2f}")
    chromium = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)
    if not chromium:
        sys.exit("no Chromium on this machine: the time of a slider move is not measured")
    moves = milliseconds(html, chromium)
    for what, times in zip(("script", "script and layout"), zip(*moves, strict=True), strict=True):
        print(
            f"slider move / {FRAME:g} ms, {what} at {SLOWDOWN}x throttle: "
            f"median {statistics.median(times) / FRAME:.2f}, "
            f"largest {max(times) / FRAME:.2f} of {len(times)} moves"
        )


if __name__ == "__main__":
    main()

"""Explorers in a real Chromium: what they show at every position, and that they can be used."""

import re
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from d2lutils.explorer import explore
from tests.jupyter_lab import jupyter_lab
from tests.test_explorer import (
    HOSTILE,
    fine,
    histories,
    lam_and_p,
    one_d,
    two_d,
    weights_of,
    with_gaps,
)

PAGE = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><link rel="icon" href="data:,">'
    '<meta name="viewport" content="width=device-width"><title>Explorers</title><style>'
    "body {{ max-width: 720px; margin: 0 auto; padding: 12px; font-family: sans-serif }}"
    "html[data-theme=dark] body {{ background: #121212; color: #ddd }}</style></head>"
    '<body><main><h1>Explorers</h1>{}<h2 id="recap">Recap</h2></main></body></html>'
)


PAGES = {
    "one": lambda: [explore(one_d())],
    "two": lambda: [explore(two_d())],
    "both": lambda: [explore(lam_and_p(), start={"p": 0.5})],
    "linear": lambda: [explore(histories(), weights=weights_of(histories()), log=True)],
    "gaps": lambda: [explore(with_gaps())],
    "many": lambda: [explore(one_d()), explore(two_d()), explore(one_d())],
    "following": lambda: ['<meta name="color-scheme" content="light dark">', explore(one_d())],
    "long": lambda: [
        explore(histories(), label="long " * 20),
        explore(histories(), label="x" * 100),
    ],
    "fine": lambda: [explore(fine())],
    "huge": lambda: [explore(histories(train_loss=[1e300, 3e100, 2.5e6, 999999.0, 0.0]))],
    "hostile": lambda: [explore(histories(), label=HOSTILE)],
}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    for name, explorers in PAGES.items():
        body = "".join(e if isinstance(e, str) else e._repr_html_() for e in explorers())
        (folder / f"{name}.html").write_text(PAGE.format(body), "utf-8")

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield {"http": f"http://127.0.0.1:{server.server_port}/", "file": f"{folder.as_uri()}/"}
    server.shutdown()


@pytest.fixture
def visit(chromium, site):
    """Open a page; at the end nothing may have failed, and no other host been asked."""
    contexts, problems = [], []

    def open_page(name, scheme="http", address="", **settings):
        settings = {"viewport": {"width": 760, "height": 1000}, "color_scheme": "light"} | settings
        context = chromium.new_context(**settings)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("dialog", lambda dialog: problems.append(f"dialog {dialog.message}"))
        page.on("console", lambda m: m.type in ("error", "warning") and problems.append(m.text))
        page.on(
            "request", lambda r: r.url.startswith((site[scheme], "data:")) or problems.append(r.url)
        )
        page.goto(f"{site[scheme]}{name}.html{address}")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not problems


def box_center(locator):
    box = locator.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def slider(page, key="lam"):
    return page.locator(f"input[type=range]#{key}")


def settled(page):
    """Wait until the address is written and the live region has spoken."""
    page.wait_for_timeout(550)


# ---------------------------------------------------------------- true at every position

READ = """() => {
  const root = document.querySelector("figure.d2l-explorer > *").shadowRoot;
  const $ = (s) => root.querySelector(s), all = (s) => [...root.querySelectorAll(s)];
  const plot = $(".curves .plot"), seen = [];
  const fire = (element, type) => element.dispatchEvent(new Event(type, { bubbles: true }));
  const key = (key) => plot.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
  const texts = (s) => all(s).map((element) => element.textContent);
  const attributes = (s, name) => all(s).map((element) => element.getAttribute(name));
  const look = (where) => {
    const readouts = [];
    key("Home");
    for (let i = 0; i < +plot.getAttribute("aria-valuemax"); i++) {
      readouts.push($(".readout").textContent);
      key("ArrowRight");
    }
    seen.push({
      where, readouts, setting: $(".setting").textContent,
      spoken: attributes("input[type=range]", "aria-valuetext"),
      stats: Object.fromEntries(
        all("dl > div").map((d) => [d.className, texts(`.${d.className} dd`)])),
      norms: texts(".weights .strong.end"), bars: attributes(".weights .bars", "d"),
      cells: texts(".land .middle"),
      marks: ["train", "valid"].map(
        (part) => attributes(`.land .front .mark.${part}`, "transform")),
      dots: attributes(".land .plot > svg > .mark", "transform"),
      outline: [attributes(".outline", "x")[0], attributes(".outline", "y")[0]],
    });
  };
  const sliders = all("input[type=range]");
  const radios = all("input[name=label_noise]"), metrics = all("input[name=metric]");
  for (const [m, metric] of (metrics.length ? metrics : [null]).entries()) {
    if (metric) { metric.click(); }
    for (const [k, radio] of (radios.length ? radios : [null]).entries()) {
      if (radio) { radio.click(); }
      for (let j = 0; j <= (sliders[1]?.max ?? 0); j++) {
        if (sliders[1]) { sliders[1].value = j; fire(sliders[1], "input"); }
        for (let i = 0; i <= +sliders[0].max; i++) {
          sliders[0].value = i;
          fire(sliders[0], "input");
          look({ i, j, k, metric: metrics.length ? ["accuracy", "loss"][m] : "loss" });
        }
      }
    }
  }
  return seen;
}"""


def numbers(text):
    return [float(n) for n in re.findall(r"-?\d+(?:\.\d+)?(?:e-?\d+)?", text.replace("−", "-"))]


def standard_deviation(values):
    return np.std(values, ddof=1)


def assert_shown(text, values, *more):
    """The text holds the mean of the values, and more of them, right to the digits it shows."""
    shown = re.findall(r"-?\d+(?:\.\d+)?(?:e-?\d+)?", text.replace("−", "-"))
    wanted = [float(f(np.asarray(values))) for f in (np.mean, *more)]
    for number, value in zip(shown, wanted, strict=True):
        mantissa, _, power = number.partition("e")
        unit = 10.0 ** (-len(mantissa.partition(".")[2]) + int(power or 0))
        assert abs(float(number) - value) <= unit / 2 * (1 + 1e-5), (text, wanted)


def assert_bars(path, share):
    """The bars' heights are in proportion to the shares (sent as whole thousandths)."""
    base = numbers(path)[1]
    heights = base - np.array([float(v) for v in re.findall(r"V([\d.]+)H", path)])
    rounded = np.rint(1000 * share)
    np.testing.assert_allclose(heights, rounded * heights.max() / rounded.max(), atol=0.11)


def assert_curve(view, runs, metric):
    """The curve over λ stands where the values are."""
    arrays = runs[f"final_train_{metric}"], runs[f"valid_{metric}"][..., -1]
    values = np.concatenate([array.astype(float).mean("seed").values for array in arrays])
    marks = [numbers(text.replace("translate", "")) for part in view["marks"] for text in part]
    heights = np.array(marks)[:, 1]
    slope, offset = np.polyfit(values, heights, 1)
    unit = 0.001 if metric == "accuracy" else 0.01  # of the last digit that is sent
    assert slope < 0
    np.testing.assert_allclose(heights, slope * values + offset, atol=abs(slope) * unit + 0.1)
    i = view["where"]["i"]
    assert view["dots"] == [view["marks"][0][i], view["marks"][1][i]]


def assert_map(view, runs, metric):
    """The map holds the final values; `runs` has the dimensions of the map, the upper one first."""
    final = runs[f"valid_{metric}"][..., -1].astype(float).mean("seed")
    values = final.values.ravel() * (100 if metric == "accuracy" else 1)
    for text, value in zip(view["cells"][: values.size], values, strict=True):
        digits = len(text.partition(".")[2])
        assert abs(float(text) - value) <= 0.5 * 10.0**-digits * (1 + 1e-5)
    assert min(float(v) for v in view["outline"]) >= 0


# What is shown, its sliders, and how they say where they stand.
SWEEPS = {
    "one": (one_d, ("lam",), "λ = {:g}"),
    "two": (two_d, ("p1", "p2"), "p₁ = {:g}, p₂ = {:g}"),
    "both": (lam_and_p, ("lam", "p"), "λ = {:g}, p = {:g}"),
}


@pytest.mark.parametrize("name", SWEEPS)
def test_a_sweep_is_shown_as_it_is_at_every_position(visit, name):
    make, keys, spoken = SWEEPS[name]
    runs = make().squeeze().sortby([*keys])
    noises = runs.label_noise.values if "label_noise" in runs.dims else [0]
    seen = visit(name).evaluate(READ)
    assert len(seen) == 2 * runs.finished.isel(seed=0).size
    for view in seen:
        i, j, k, metric = (view["where"][key] for key in ("i", "j", "k", "metric"))
        part = runs.isel(label_noise=k) if len(noises) > 1 else runs
        where = dict(zip(keys, (i, j), strict=False))
        point = part.isel(where)
        said = spoken.format(*(float(runs[key][n]) for key, n in where.items()))
        assert ", ".join(view["spoken"]) == said.replace("0.0001", "1e-4")
        assert view["setting"].startswith(", ".join(view["spoken"]))
        if len(noises) > 1:
            assert view["setting"].endswith(("clean", "40 % random")[k])
        (assert_curve if len(keys) == 1 else assert_map)(
            view, part.transpose(*keys[::-1], "seed", ...), metric
        )

        norm = np.sqrt((point.weight_norm.astype(float) ** 2).sum("layer"))
        stats = {
            "train_accuracy": 100 * point.final_train_accuracy.astype(float),
            "valid_accuracy": 100 * point.valid_accuracy[..., -1].astype(float),
            "test_accuracy": 100 * point.test_accuracy.astype(float),
            "gap": 100 * point.gap.astype(float),
            "valid_loss": point.valid_loss[..., -1].astype(float),
            "test_loss": point.test_loss.astype(float),
            "norm": norm,
        }
        assert view["stats"].keys() == stats.keys()
        for key, values in stats.items():
            assert_shown(" ".join(view["stats"][key]), values, standard_deviation)

        factor = 100 if metric == "accuracy" else 1
        assert len(view["readouts"]) == runs.sizes["epoch"]
        for epoch, text in enumerate(view["readouts"]):
            head, *texts = re.split("training|validation", text)
            assert head == f"epoch {epoch + 1}: "
            for kind, shown in zip(("train", "valid"), texts, strict=True):
                values = factor * point[f"{kind}_{metric}"][:, epoch].astype(float)
                assert_shown(shown, values, np.min, np.max)

        for layer, text in enumerate(view["norms"]):
            assert_shown(text, point.weight_norm[:, layer].astype(float))
        for layer, path in enumerate(view["bars"]):
            share = point.weight_histogram[:, layer].sum("seed").values
            assert_bars(path, share / share.sum())


def test_runs_of_another_model_are_shown_as_they_are(visit):
    lams, of, w = (0, 0.3, 3), histories(), weights_of(histories())
    seen = visit("linear").evaluate(READ)
    assert [view["spoken"] for view in seen] == [[f"λ = {lam}"] for lam in lams]
    for view, lam in zip(seen, lams, strict=True):
        curves = [np.array([getattr(h, n) for h in of[lam]]) for n in ("train_loss", "valid_loss")]
        for epoch, text in enumerate(view["readouts"]):
            texts = re.split("training|validation", text)[1:]
            for part, values in zip(texts, curves, strict=True):
                assert [f"{n:.2e}" for n in numbers(part)] == [
                    f"{f(values[:, epoch]):.2e}" for f in (np.mean, np.min, np.max)
                ]
        norm = [float(v.norm()) for v in w[lam]]
        assert_shown(" ".join(view["stats"]["norm"]), norm, standard_deviation)
        assert numbers(view["stats"]["valid_loss"][0])[0] == float(f"{curves[1][:, -1].mean():.2e}")


def test_what_is_missing_is_said(visit):
    page = visit("gaps")
    seen = {(v["where"]["i"], v["where"]["k"]): v for v in page.evaluate(READ)[:8]}
    assert set(seen[1, 0]["stats"]["test_loss"]) == {"not trained", ""}
    assert set(seen[3, 0]["stats"]["norm"]) == {"diverged", "1 of 2 seeds"}
    assert re.search("training [0-9.]+ %", seen[3, 0]["readouts"][0].replace("\xa0", " "))
    assert seen[3, 0]["readouts"][1].replace("\xa0", " ") == "epoch 2: training –, validation –"
    assert numbers(seen[3, 1]["stats"]["norm"][0])
    heights = re.findall(r"V([\d.]+)H", seen[3, 0]["bars"][0])
    assert len(set(heights)) == 1  # no weights to show
    slider(page).fill("3")
    page.locator("input[name=label_noise]").first.check()
    assert page.locator(".note").text_content() == "diverged, 1 of 2 seeds"
    assert page.locator(".land .legend").inner_text().endswith("× not trained, diverged")


# ---------------------------------------------------------------- mouse, touch, keyboard


def test_mouse(visit):
    page = visit("one")
    box = slider(page).bounding_box()
    page.mouse.move(box["x"] + 9, box["y"] + box["height"] / 2)
    page.mouse.down()
    values = []
    for step in range(11):
        page.mouse.move(box["x"] + 9 + (box["width"] - 18) * step / 10, box["y"] + 10)
        values.append(page.locator("output").text_content())
    page.mouse.up()
    assert list(dict.fromkeys(values)) == ["0", "1e-4", "0.01", "0.3"]
    plot = page.locator(".land .plot").bounding_box()
    page.mouse.click(plot["x"] + 50, plot["y"] + 100)
    assert page.locator("output").text_content() == "0"

    curves = page.locator(".curves .plot").bounding_box()
    readout = page.locator(".readout")
    assert readout.text_content().startswith("epoch 3")
    page.mouse.move(curves["x"] + 50, curves["y"] + 90)
    assert readout.text_content().startswith("epoch 1")
    page.mouse.move(curves["x"] + 50, curves["y"] - 60)
    assert readout.text_content().startswith("epoch 3")

    page = visit("two")
    plot = page.locator(".land .plot").bounding_box()
    page.mouse.click(plot["x"] + plot["width"] - 60, plot["y"] + 50)
    assert page.locator("output").all_text_contents() == ["0.5", "0.6"]
    assert slider(page, "p1").input_value() == "1" and slider(page, "p2").input_value() == "2"


def test_touch_on_a_phone(visit):
    phone = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}
    page = visit("many", **phone)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    targets = page.locator("input").evaluate_all(
        "all => all.map((i) => i.getBoundingClientRect().toJSON())"
    )
    assert targets and min(min(box["width"], box["height"]) for box in targets) >= 24
    one = page.locator("figure.d2l-explorer").first
    box = one.locator("input[type=range]").bounding_box()
    page.touchscreen.tap(box["x"] + box["width"] * 0.66, box["y"] + box["height"] / 2)
    assert one.locator("output").text_content() == "0.01"
    two = page.locator("figure.d2l-explorer").nth(1)
    plot = two.locator(".land .plot")
    plot.scroll_into_view_if_needed()
    page.touchscreen.tap(*box_center(plot))
    assert two.locator("output").all_text_contents()[1] == "0.3"
    one.get_by_role("radio", name="cross-entropy").tap()
    assert one.locator(".curves .title").text_content() == "cross-entropy over epochs"
    assert page.locator(".curves svg").first.bounding_box()["width"] > 300


MAGNIFIED = {
    "slides": "main { transform: scale(1.5); transform-origin: 0 0 }",
    "small slides": "main { transform: scale(0.6); transform-origin: 20px 40px }",
    "unequal": "main { transform: scale(0.8, 1.3); transform-origin: 0 0 }",
    "zoomed": "main { zoom: 1.5 }",
    "zoomed figure": "figure { zoom: 0.7 }",
    "nested": "body { zoom: 0.8 } main { transform: scale(1.4) translate(30px, 20px) }"
    " figure { scale: 1.1; transform-origin: 0 0 }",
}
DRAWN = """(all) => all.map((element) => {
    const { left, top, width, height } = element.getBoundingClientRect();
    return [left + width / 2, top + height / 2];
})"""


@pytest.mark.parametrize("style", MAGNIFIED.values(), ids=[*MAGNIFIED])
@pytest.mark.parametrize("by", ["mouse", "drag", "touch", "swipe"])
def test_pictures_are_read_where_they_are_drawn_in_any_size(visit, style, by):
    def point(page, x, y, middle):
        if by == "touch":
            return page.touchscreen.tap(x, y)
        if by == "swipe":
            finger = page.context.new_cdp_session(page)
            start = x + (30 if x < middle else -30)
            for kind, place in (
                ("Start", start),
                ("Move", (start + x) / 2),
                ("Move", x),
                ("End", 0),
            ):
                points = [{"x": place, "y": y}] if place else []
                finger.send(
                    "Input.dispatchTouchEvent", {"type": f"touch{kind}", "touchPoints": points}
                )
            return finger.detach()
        if by == "drag":
            page.mouse.move(x + 30, y + 5)
            page.mouse.down()
        page.mouse.move(x, y)
        (page.mouse.up if by == "drag" else lambda: page.mouse.click(x, y))()

    settings = {"viewport": {"width": 1400, "height": 2000}, "has_touch": True}
    page = visit("one", **settings)
    page.add_style_tag(content=style)
    page.wait_for_timeout(100)  # it is drawn anew where its own width changes
    ticks = page.locator(".curves .plot > svg > .tick").evaluate_all(DRAWN)
    for epoch, (x, y) in [*enumerate(ticks)][::-1]:
        point(page, x, y - 60, np.mean(ticks, axis=0)[0])
        assert page.locator(".readout").text_content().startswith(f"epoch {epoch + 1}:")
    marks = page.locator(".land .front .mark.valid").evaluate_all(DRAWN)
    for stop, (x, y) in [*zip(("0", "1e-4", "0.01", "0.3"), marks, strict=True)][::-1]:
        point(page, x, y, np.mean(marks, axis=0)[0])
        assert page.locator("output").text_content() == stop

    page = visit("two", **settings)
    page.add_style_tag(content=style)
    page.wait_for_timeout(100)
    cells = page.locator(".land .cell").evaluate_all(DRAWN)
    stops = [[p1, p2] for p2 in ("0", "0.3", "0.6") for p1 in ("0", "0.5")]
    for stop, (x, y) in [*zip(stops, cells, strict=True)][::-1]:
        point(page, x, y, np.mean(cells, axis=0)[0])
        assert page.locator("output").all_text_contents() == stop


FOCUSED = "document.querySelector('figure > *').shadowRoot.activeElement.textContent"


def test_curves_are_kept_beside_others(visit):
    page = visit("one")
    keep, clear = (page.get_by_role("button", name=name) for name in ("Keep", "Clear"))
    line = page.locator(".curves .line.valid:not([class*=kept])")
    first = line.get_attribute("d")
    assert not clear.is_visible()
    keep.click()
    keep.click()  # the same curves again change nothing
    slider(page).fill("2")
    kept = page.locator(".curves .line.valid.kept0")
    assert kept.count() == 1 and kept.get_attribute("d") == first != line.get_attribute("d")
    assert "λ = 0, training labels: clean" in page.locator(".curves .legend").inner_text()
    for stop in ("1", "2", "3"):  # three at most: the oldest goes
        slider(page).fill(stop)
        keep.click()
    legend = page.locator(".curves .legend").inner_text()
    assert "λ = 0," not in legend and legend.count("λ =") == 3
    clear.click()
    assert page.locator(".curves [class*=kept]").count() == 0 and not clear.is_visible()
    assert page.evaluate(FOCUSED) == "Keep these curves"


def test_keyboard(visit):
    page = visit("one")
    page.keyboard.press("Tab")
    for key, value in (("ArrowRight", "1e-4"), ("ArrowUp", "0.01"), ("ArrowLeft", "1e-4"),
                       ("End", "0.3"), ("Home", "0")):  # fmt: skip
        page.keyboard.press(key)
        assert page.locator("output").text_content() == value
    assert slider(page).get_attribute("aria-valuetext") == "λ = 0"
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    assert page.locator(".setting").text_content().endswith("40 % random")
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    assert page.locator(".land .title").text_content() == "cross-entropy after training"
    page.keyboard.press("Tab")
    assert page.evaluate(FOCUSED) == "Keep these curves"
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowLeft")
    plot = page.locator(".curves .plot")
    assert plot.get_attribute("aria-valuenow") == "2"
    assert plot.get_attribute("aria-valuetext").startswith("epoch 2: ")
    assert plot.evaluate("(p) => getComputedStyle(p).outlineStyle") == "solid"
    page.keyboard.press("Tab")
    assert not page.locator("dl .test_accuracy, div.test_accuracy").is_visible()
    settled(page)
    assert "test accuracy" not in page.locator(".status").text_content()
    page.keyboard.press("Enter")
    assert page.locator("div.test_accuracy").is_visible()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.locator("table").first.is_visible()
    slider(page).fill("2")
    settled(page)
    assert page.locator("div.test_accuracy").is_visible()
    assert "test accuracy" in page.locator(".status").text_content()


# ---------------------------------------------------------------- looks


def contrast(one, other):
    def luminance(color):
        rgb = np.array([float(v) for v in re.findall(r"[\d.]+", color)[:3]]) / 255
        rgb = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        return rgb @ [0.2126, 0.7152, 0.0722]

    low, high = sorted([luminance(one), luminance(other)])
    return (high + 0.05) / (low + 0.05)


def test_colours_follow_the_theme_with_contrast(visit):
    page = visit("many")
    for theme, ground in (("dark", "rgb(18,18,18)"), ("light", "rgb(255,255,255)")):
        page.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
        page.locator(f'.root[data-theme="{theme}"]').last.wait_for()
        page.wait_for_timeout(200)  # the switch's own colours fade
        for selector, style, least in (
            ("p:not(.status), dt, dd, label, legend, output", "color", 4.5),
            (".curves text, .weights text, .land text.end", "fill", 4.5),
            (".line, .cursor, .before, .outline:not(.outer), .tick", "stroke", 3),
            (".mark, .bars", "fill", 3),
        ):
            found = page.locator(f"figure.d2l-explorer .root :is({selector})").evaluate_all(
                "(all, name) => all.map((e) => [e.outerHTML, getComputedStyle(e)[name]])", style
            )
            for element, color in found:
                assert contrast(color, ground) >= least, (element, color)
        pairs = page.locator("figure.d2l-explorer .root :is(input:checked + span, .cell + text)")
        for element, *colors in pairs.evaluate_all(
            """all => all.map((e) => [e.outerHTML, ...(e.localName === "text" ?
              [getComputedStyle(e).fill, getComputedStyle(e.previousSibling).fill] :
              [getComputedStyle(e).color, getComputedStyle(e).backgroundColor])])"""
        ):
            assert contrast(*colors) >= 4.5, element


def test_without_a_theme_its_ink_suits_the_page(visit):
    page = visit("one", color_scheme="dark")  # a page that stays white on a dark system
    assert page.locator(".root").get_attribute("data-theme") == "light"
    page.evaluate("document.body.style.color = '#ddd'")  # and one that is dark by itself
    page.locator('.root[data-theme="dark"]').wait_for()
    page.evaluate("document.body.style.color = ''")
    page.locator('.root[data-theme="light"]').wait_for()


def test_without_a_theme_it_follows_a_page_that_follows_the_system(visit):
    page = visit("following", color_scheme="dark")
    assert page.locator(".root").get_attribute("data-theme") == "dark"
    page.emulate_media(color_scheme="light")
    page.locator('.root[data-theme="light"]').wait_for()


def test_reduced_motion(visit):
    durations = "all => all.map((e) => getComputedStyle(e).transitionDuration)"
    page = visit("one", reduced_motion="reduce")
    assert set(page.locator(".root *").evaluate_all(durations)) == {"0s"}


def test_print_shows_the_first_frame_without_controls(visit):
    page = visit("one")
    slider(page).fill("2")
    page.emulate_media(media="print")
    assert not slider(page).is_visible() and page.locator(".setting").is_visible()
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator(".setting").text_content() == "λ = 0, training labels: clean"
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator(".setting").text_content() == "λ = 0.01, training labels: clean"


def test_fits_a_phone_and_a_book_column(visit):
    for width, columns, name in (
        (320, 1, "fine"), (360, 1, "both"), (700, 2, "fine"), (700, 2, "both"), (1200, 2, "both")
    ):  # fmt: skip
        page = visit(name, viewport={"width": width, "height": 800})
        lefts = page.locator(".panel").evaluate_all(
            "all => all.map((p) => p.getBoundingClientRect().left)"
        )
        assert len(set(map(round, lefts))) == columns
        overlaps = """() => {
          const root = document.querySelector("figure > *").shadowRoot, found = [];
          for (const svg of root.querySelectorAll(".plot > svg")) {
            const texts = [...svg.querySelectorAll("text")].filter((t) => t.textContent);
            const boxes = texts.map((t) => t.getBoundingClientRect());
            const frame = svg.getBoundingClientRect();
            boxes.forEach((a, i) => {
              if (a.left < frame.left - 1 || a.right > frame.right + 1)
                found.push(texts[i].textContent);
              boxes.slice(0, i).forEach((b, k) => {
                if (a.left < b.right && b.left < a.right
                    && a.top < b.bottom - 3 && b.top < a.bottom - 3)
                  found.push(texts[i].textContent + " on " + texts[k].textContent);
              });
            });
          }
          return found;
        }"""
        assert page.evaluate(overlaps) == []


# ---------------------------------------------------------------- the address


@pytest.mark.parametrize("scheme", ["http", "file"])
def test_state_lives_in_the_address(visit, scheme):
    page = visit("one", scheme)
    slider(page).fill("2")
    page.get_by_role("radio", name="40 % random").click()
    settled(page)
    assert page.url.endswith("one.html#lam=0.01&label_noise=0.4")
    page.reload()
    assert page.locator(".setting").text_content() == "λ = 0.01, training labels: 40 % random"
    page.evaluate("location.hash = '#lam=0.3'")  # as a link in the text does
    page.locator("output", has_text="0.3").wait_for()
    slider(page).fill("0")
    page.get_by_role("radio", name="clean").click()
    settled(page)
    assert page.url.endswith(("one.html", "one.html#"))


@pytest.mark.parametrize("address", ["#recap", "#lam=nonsense", "#metric=x&lam", "#%E0%A4%A&="])
def test_other_addresses_are_left_alone(visit, address):
    page = visit("one", address=address)
    settled(page)
    assert page.locator(".setting").text_content() == "λ = 0, training labels: clean"
    assert page.url.endswith(address)
    slider(page).fill("1")
    settled(page)
    assert page.url.endswith(
        ("#lam=1e-4", "#lam=1e-4&%E0%A4%A&=", "#lam=1e-4&%E0%A4%A=", "#lam=1e-4&=")
    )


def test_explorers_of_one_page_do_not_mix(visit):
    page = visit("many", address="#recap")
    figures = page.locator("figure.d2l-explorer")
    figures.nth(0).locator("input[type=range]").fill("1")
    figures.nth(1).locator("input[type=range]").nth(1).fill("2")
    figures.nth(2).locator("input[type=range]").fill("3")
    settled(page)
    assert set(page.url.partition("#")[2].split("&")) == {"lam=1e-4", "2.p2=0.6", "3.lam=0.3"}
    page.reload()
    settings = page.locator(".setting").all_text_contents()
    assert [s.partition(",")[0] for s in settings] == ["λ = 1e-4", "p₁ = 0", "λ = 0.3"]
    assert page.evaluate("document.querySelectorAll('figure > :not(:defined)').length") == 0


# ---------------------------------------------------------------- safe, and light


def test_hostile_words_are_shown_as_text(visit):
    page = visit("hostile")
    shown = HOSTILE.replace("\u2028", "").split()
    assert page.locator(".sliders label").text_content().replace("\u2028", "").split() == shown
    slider(page, "x").fill("1")
    assert slider(page, "x").get_attribute("aria-valuetext").startswith("</script><img src=x")
    settled(page)
    assert page.url.endswith("#x=0.3")
    assert page.locator("img").count() == 0


def test_without_javascript_caption_and_table_are_there(visit):
    page = visit("one", java_script_enabled=False)
    assert page.locator("figcaption").inner_text().startswith("784-8-10, 1,000 training images")
    page.locator("summary").first.click()
    assert page.locator("tbody tr").count() == 16  # eight rows, and eight on the test set
    tables = page.locator("table")
    assert tables.first.is_visible() and not tables.last.is_visible()
    page.locator("summary").last.click()
    assert tables.last.is_visible()


def missing(page):
    """Return the sentences that say that a figure is missing, as far as they are seen."""
    told = page.locator("figure.d2l-explorer > :first-child > p")
    return [p.inner_text() for p in told.all() if p.is_visible()]


SENTENCE = (
    "The figure that belongs here could not be drawn: it needs JavaScript, and all of its data."
    " What it ends in stands below: open “The final values as a table”."
)


def test_without_javascript_a_sentence_points_to_the_table(visit):
    page = visit("one", java_script_enabled=False)
    assert missing(page) == [SENTENCE]
    assert page.get_by_text("The final values as a table", exact=True).is_visible()


def served_with(page, policy, name, changed=lambda html: html):
    """Open a page whose server sends a Content-Security-Policy; return what failed in it."""
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))

    def fulfil(route):
        answer = route.fetch()
        headers = answer.headers | ({"content-security-policy": policy} if policy else {})
        route.fulfill(response=answer, body=changed(answer.text()), headers=headers)

    page.route("**/*.html", fulfil)
    page.goto(name)
    page.wait_for_timeout(100)
    return errors


@pytest.fixture
def tab(chromium, site):
    """A tab in which scripts and requests may be refused."""
    context = chromium.new_context(viewport={"width": 760, "height": 1000})
    yield context.new_page()
    context.close()


def test_where_scripts_are_forbidden_a_sentence_points_to_the_table(tab, site):
    served_with(tab, "default-src 'self'", site["http"] + "both.html")
    assert missing(tab) == [SENTENCE]


@pytest.mark.parametrize(
    "policy",
    [
        "require-trusted-types-for 'script'; trusted-types 'none'",
        "default-src 'none'; script-src 'unsafe-inline'; style-src 'none'",
    ],
)
@pytest.mark.parametrize("name", ["one", "both", "linear"])
def test_where_only_that_script_is_allowed_it_draws(tab, site, policy, name):
    assert not served_with(tab, policy, f"{site['http']}{name}.html")
    assert missing(tab) == [] and slider(tab).count() == 1
    assert tab.locator(".panels").evaluate("p => getComputedStyle(p).display") == "grid"
    if name == "both":  # colours of the map
        fills = tab.locator(".cell").evaluate_all("all => all.map((c) => getComputedStyle(c).fill)")
        assert len(set(fills)) > 1


DATA = re.compile(r'(?<=<script type="application/json">).*?(?=</script>)', re.S)
DAMAGES = {
    "emptied": lambda data: "",
    "an empty object": lambda data: "{}",
    "null": lambda data: "null",
    "cut in the middle": lambda data: data[: len(data) // 2],
    "another's": lambda data: '{"axes": [1], "metrics": {"loss": 2}}',
    "without a setting": lambda data: re.sub(r'"finished":\[\d+,', '"finished":[', data),
    "without an epoch": lambda data: re.sub(r'"mean":\[\[[^,]+,', '"mean":[[', data, count=1),
    "without a final value": lambda data: re.sub(r'("stats".*?"mean":)\[[^,]+,', r"\1[", data),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=[*DAMAGES])
def test_damaged_data_leave_the_table_and_a_sentence(tab, site, damage):
    def changed(html):
        data = DATA.search(html)[0]
        assert damage(data) != data
        return html.replace(data, damage(data))

    for name in ("one", "both"):
        assert not served_with(tab, None, f"{site['http']}{name}.html", changed)
        assert missing(tab) == [SENTENCE]
        tab.locator("summary").first.click()
        assert tab.locator("table").first.is_visible()
        tab.unroute("**/*.html")


def test_long_words_never_scroll_a_page_sideways(visit):
    for width in (320, 760):
        page = visit("long", viewport={"width": width, "height": 800})
        page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true })")
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_huge_values_are_short(visit):
    page = visit("huge")
    seen = [view["readouts"] for view in page.evaluate(READ)]
    assert ["3e100" in seen[0][1], "2.5e6" in seen[0][2], "999999" in seen[0][3]] == [True] * 3
    assert max(len(text) for texts in seen for text in texts) < 120
    ticks = page.locator(".curves text.end").all_text_contents()
    assert ticks and max(map(len, ticks)) < 10


def test_a_move_makes_no_elements_and_takes_no_time(visit):
    """At most one frame of script, with the processor four times as slow."""
    page = visit("one")
    session = page.context.new_cdp_session(page)
    session.send("Emulation.setCPUThrottlingRate", {"rate": 4})
    made, times = page.evaluate(
        """() => {
          const root = document.querySelector("figure > *").shadowRoot;
          const input = root.querySelector("input");
          const observer = new MutationObserver(() => {});
          const elements = (all) => all.flatMap((record) => [...record.addedNodes])
            .filter((node) => node.nodeType === 1).length;
          observer.observe(root, { childList: true, subtree: true });
          const times = [];
          for (let i = 0; i < 60; i++) {
            input.value = i % 4;
            const start = performance.now();
            input.dispatchEvent(new Event("input"));
            times.push(performance.now() - start);
            root.querySelector(".curves").getBoundingClientRect(); // layout, before the next move
          }
          return [elements(observer.takeRecords()), times.sort((a, b) => a - b)];
        }"""
    )
    print(f"slider move at 4x throttle: median {times[30]:.1f} ms, largest {times[-1]:.1f} ms")
    assert made == 0
    assert times[15] < 16  # a quartile, since other work runs beside the tests


# ---------------------------------------------------------------- JupyterLab


@pytest.fixture
def lab(tmp_path):
    """A real JupyterLab whose notebook shows an explorer between two other cells."""
    pytest.importorskip("jupyterlab")
    (tmp_path / "explorer.html").write_text(explore(one_d())._repr_html_(), "utf-8")
    show = "from IPython.display import HTML\nHTML(filename='explorer.html')"
    with jupyter_lab(tmp_path, "1 + 1", show, "2 + 2") as address:
        yield address


def test_jupyterlab(chromium, lab):
    """The slider gets mouse and keys; the notebook neither moves its selection nor obeys them."""
    context = chromium.new_context(viewport={"width": 1200, "height": 1000})
    page, errors = context.new_page(), []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(lab)
    cells = page.locator(".jp-Notebook .jp-Cell")
    page.get_by_text("| Idle").wait_for(timeout=60_000)
    cells.first.locator(".jp-InputPrompt").click()
    for _ in range(2):
        page.keyboard.press("Shift+Enter")
    range_, output = slider(page), page.locator("figure.d2l-explorer output")
    range_.wait_for(timeout=60_000)

    def selected():
        return cells.evaluate_all("all => all.map((c) => c.classList.contains('jp-mod-selected'))")

    range_.scroll_into_view_if_needed()
    box = range_.bounding_box()
    page.mouse.move(box["x"] + 9, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.66, box["y"] + 10, steps=5)
    page.mouse.up()
    assert output.text_content() == "0.01"
    before = selected()
    for key, value in (("ArrowRight", "0.3"), ("ArrowDown", "0.01"), ("ArrowDown", "1e-4"),
                       ("ArrowUp", "0.01"), ("Home", "0"), ("End", "0.3")):  # fmt: skip
        page.keyboard.press(key)
        assert output.text_content() == value
        assert selected() == before
    for key in "ddb":  # delete this cell, insert one below
        page.keyboard.press(key)
    page.locator("figure.d2l-explorer .curves .plot").focus()
    page.keyboard.press("ArrowLeft")
    assert page.locator("figure.d2l-explorer .readout").text_content().startswith("epoch 2")
    page.get_by_role("radio", name="40 % random").click()
    page.keyboard.press("ArrowLeft")
    assert (
        page.locator("figure.d2l-explorer .setting").text_content()
        == "λ = 0.3, training labels: clean"
    )
    assert selected() == before and cells.count() == 3
    settled(page)
    assert "#" not in page.url
    page.evaluate("document.body.dataset.jpThemeLight = 'false'")
    page.locator('figure.d2l-explorer .root[data-theme="dark"]').wait_for()
    context.close()
    assert not errors

// What is reached after training: against the one axis, or (map.js) as a map over two.
import { axes } from "./axes.js";
import { FinalMap } from "./map.js";
import { nearest, span } from "./numbers.js";
import { area, head, html, inside, line, mark, put, set, shape } from "./svg.js";
import { fill } from "./words.js";

/** The values of all points after training: those of validation at the end of their curves. */
function finals({ valid, final }) {
  const last = (rows) => rows.map((row) => row.at(-1));
  return { train: final, valid: { mean: last(valid.mean), low: last(valid.low), high: last(valid.high) } };
}

/** The panel; a click in its picture moves the sliders. */
export class Final {
  constructor(panel, runs, go) {
    Object.assign(this, { panel, runs, plot: panel.querySelector(".plot") });
    const svg = this.plot.firstChild;
    this.picture = runs.second ? new FinalMap(svg, runs) : new FinalCurve(svg, runs);
    const pick = (event) => {
      const [x, y] = inside(this.plot, event), { xs, ys } = this.picture;
      const change = { [runs.first.key]: nearest(xs, x) };
      if (ys) change[runs.second.key] = nearest(ys, y);
      go(change);
    };
    this.plot.onpointerdown = (event) => { this.plot.setPointerCapture(event.pointerId); pick(event); };
    this.plot.onpointermove = (event) => { if (event.buttons) pick(event); };
  }

  frame(view) {
    const { runs, panel } = this, { metric, state } = view, values = finals(runs.metrics[metric]);
    const { training, validation } = runs.words, keys = [["train", training], ["valid", validation]];
    head(panel, runs.title(runs.second ? "map" : "afterTraining", metric), runs.second ? [] : keys);
    const legend = panel.querySelector(".legend");
    this.picture.frame(view, values, legend);
    const points = runs.places.map((place) => runs.point(state, place));
    const lacks = new Set(points.flatMap((point) => runs.lack(point).slice(0, 1)));
    if (lacks.size) legend.append(html("span", {}, `× ${[...lacks].join(", ")}`));
    set(this.plot, { "aria-label": this.best(metric, points, values.valid.mean) });
  }

  /** The picture in words. */
  best(metric, points, means) {
    const { runs } = this, sign = metric === "loss" ? 1 : -1;
    const known = points.map((point, i) => [sign * means[point], runs.places[i]])
      .filter((_, i) => !runs.lack(points[i]).length).sort(([v], [w]) => v - w);
    if (!known.length) return runs.words.diverged;
    const [[value, place]] = known, text = runs.text(runs.metrics[metric], sign * value);
    return fill(runs.words.best, { metric: runs.name(metric), setting: runs.setting(place), value: text });
  }

  update(view) { this.picture.update(view); }
}

/** The U-curve, training and validation. */
class FinalCurve {
  constructor(svg, runs) { Object.assign(this, { svg, runs }); }

  frame({ state, log, width }, values) {
    const { svg, runs } = this, { first } = runs, start = runs.point(state, [0]);
    const bands = Object.values(values);
    const a = axes(svg, width, span(bands.flatMap(({ low, high }) => [...low, ...high]), log), log,
      first.at, first.values, first.symbol);
    const xs = this.xs = first.at.map(a.x);
    // Zero stands apart on a logarithmic axis: a short piece of its own, and no line that leads there.
    const cut = (values, by = 0) =>
      first.apart ? [values[0] - by, values[0] + by, NaN, ...values.slice(1)] : values;
    if (first.apart)
      shape(a.front, "line", "apart", { x1: a.x(0.06), x2: a.x(0.06), y1: a.top, y2: a.bottom });
    this.cursor = shape(a.front, "line", "cursor", { y1: a.top, y2: a.bottom });
    const curves = Object.entries(values).map(([part, band]) => {
      const [low, mean, high] = ["low", "mean", "high"].map((key) =>
        band[key].slice(start, start + xs.length).map(a.y));
      shape(a.front, "path", `band ${part}`, { d: area(cut(xs, 5), cut(low), cut(high)) });
      shape(a.front, "path", `line ${part}`, { d: line(cut(xs, 5), cut(mean)) });
      mean.forEach((y, i) => put(mark(a.front, part, 2.5), xs[i], y));
      return [part, mean];
    });
    this.dots = curves.map(([part, heights]) => [mark(svg, part, 5), heights]);
    xs.forEach((x, i) => {
      if (runs.lack(start + i).length) shape(a.front, "text", "strong middle", { x, y: a.bottom - 4 }, "×");
    });
  }

  update({ place: [i] }) {
    set(this.cursor, { x1: this.xs[i], x2: this.xs[i] });
    for (const [dot, heights] of this.dots) put(dot, this.xs[i], heights[i]);
  }
}

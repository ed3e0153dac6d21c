// The curves over epochs, and a cursor that reads them.
import { axes } from "./axes.js";
import { clamp, format, nearest, range, span, ticks } from "./numbers.js";
import { area, head, inside, line, mark, put, set, shape } from "./svg.js";
import { fill } from "./words.js";

const PARTS = ["train", "valid"];

export class Curves {
  constructor(panel, runs) {
    Object.assign(this, { panel, runs, epoch: runs.epochs - 1, hover: null });
    this.plot = panel.querySelector(".plot");
    this.readout = panel.querySelector(".readout");
    set(this.plot, { "aria-label": runs.words.epoch, "aria-valuemax": runs.epochs });
    this.plot.onpointermove = (event) => this.look(event, event.buttons);
    this.plot.onpointerdown = (event) => this.look(event, true);
    this.plot.onpointerleave = this.plot.onpointercancel = () => { this.hover = null; this.read(); };
    this.plot.onkeydown = (event) => this.key(event);
  }

  look(event, stay) {
    this.hover = nearest(this.xs, inside(this.plot, event)[0]);
    if (stay) this.epoch = this.hover;
    this.read();
  }

  key(event) {
    const { epochs } = this.runs, page = Math.ceil(epochs / 10);
    const step = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1,
      PageUp: page, PageDown: -page, Home: -epochs, End: epochs }[event.key];
    if (!step || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    this.epoch = clamp(this.epoch + step, 0, epochs - 1);
    this.hover = null;
    this.read();
  }

  /** Draw the axes, wide enough for the curves of all points. */
  frame({ state, metric, log, width }) {
    const { runs } = this, { words, epochs } = runs, last = Math.max(epochs - 1, 1);
    const shown = ticks([1, last + 1], false, 6).map(([v]) => v).filter((v) => v % 1 === 0 && v <= epochs);
    if (shown[0] !== 1) shown.unshift(1);
    this.metric = runs.metrics[metric];
    const kept = state.kept.map((old) => [old, runs.point(old)]);
    const all = PARTS.flatMap((part) => [this.metric[part].low, this.metric[part].high]).flat(2);
    head(this.panel, runs.title("overEpochs", metric), [["train", words.asItRan], ["valid", words.validation],
      ...kept.map(([old]) => [`valid kept${old.slot}`, runs.settingWithLabels(old)])]);
    const svg = this.plot.firstChild;
    const a = this.axes = axes(svg, width, span(all, log), log,
      shown.map((v) => (v - 1) / last), shown.map(String), words.epoch);
    this.xs = range(epochs, (i) => a.x(i / last));
    this.bands = PARTS.map((part) => shape(a.front, "path", `band ${part}`));
    this.cursor = shape(a.front, "line", "cursor", { y1: a.top, y2: a.bottom });
    for (const [{ slot }, point] of kept)
      for (const part of PARTS)
        shape(a.front, "path", `line ${part} kept${slot}`, { d: line(this.xs, this.metric[part].mean[point].map(a.y)) });
    this.lines = PARTS.map((part) => shape(a.front, "path", `line ${part}`));
    this.dots = PARTS.map((part) => mark(svg, part, 4));
    this.note = shape(svg, "text", "note middle", { x: a.middle, y: a.bottom / 2 });
  }

  /** Draw the curves of a point. */
  update({ point, lack }) {
    const { y } = this.axes;
    this.point = point;
    PARTS.forEach((part, i) => {
      const { mean, low, high } = this.metric[part];
      this.lines[i].setAttribute("d", line(this.xs, mean[point].map(y)));
      this.bands[i].setAttribute("d", area(this.xs, low[point].map(y), high[point].map(y)));
    });
    this.note.textContent = lack.join(", ");
    this.read();
  }

  /** Move the cursor to where the pointer is, else to where it rests, and tell what it reads. */
  read() {
    const now = this.hover ?? this.epoch, x = this.xs[now], { runs, metric } = this;
    set(this.cursor, { x1: x, x2: x });
    const texts = PARTS.map((part, i) => {
      const [mean, low, high] = ["mean", "low", "high"].map((key) => metric[part][key][this.point][now]);
      put(this.dots[i], x, this.axes.y(mean));
      const ends = [low, high].map((v) => format(v, metric.digits)).join("\u00a0…\u00a0");
      const over = Number.isNaN(mean) ? "" : `\u00a0(${ends})`;
      return `${runs.words[i ? "validation" : "training"]}\u00a0${runs.text(metric, mean)}${over}`;
    });
    this.readout.textContent = `${fill(runs.words.inEpoch, { n: now + 1 })}: ${texts.join(", ")}`;
    set(this.plot, { "aria-valuenow": now + 1, "aria-valuetext": this.readout.textContent });
  }
}

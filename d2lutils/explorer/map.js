// The map of what is reached after training over two axes, with its numbers.
import { labels } from "./axes.js";
import { clamp, format } from "./numbers.js";
import { fitting, html, set, shape } from "./svg.js";

// Its colours, dark to bright.
const COLORS = [[35, 25, 66], [57, 62, 130], [48, 112, 150], [60, 165, 157], [133, 208, 165], [222, 245, 216]];

function shade(t) {
  const place = clamp(t, 0, 1) * (COLORS.length - 1), i = Math.min(Math.floor(place), COLORS.length - 2);
  return COLORS[i].map((c, k) => Math.round(c + (place - i) * (COLORS[i + 1][k] - c)));
}

/** Black or white, whichever has more contrast with a colour (WCAG). */
function inkOn(rgb) {
  const [r, g, b] = rgb.map((c) => ((c / 255 + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? "#000" : "#fff";
}

export class FinalMap {
  constructor(svg, runs) { Object.assign(this, { svg, runs }); }

  frame({ state, metric, width }, { valid }, legend) {
    const { svg, runs } = this, { first, second, language } = runs, top = 22, bottom = 210;
    const left = 14 + 7 * Math.max(...second.values.map((text) => text.length));
    const w = (width - left - 4) / runs.width, h = (bottom - top) / runs.height;
    const xs = first.values.map((_, i) => left + w * (i + 0.5));
    const ys = second.values.map((_, j) => bottom - h * (j + 0.5));
    Object.assign(this, { xs, ys, w, h });
    set(svg, { viewBox: `0 0 ${width} 250` }).replaceChildren();
    const values = runs.places.map((place) => valid.mean[runs.point(state, place)]);
    const known = values.filter((v) => !Number.isNaN(v)), low = Math.min(...known), high = Math.max(...known);
    values.forEach((value, i) =>
      this.cell(runs.places[i], value, (value - low) / (high - low || 1), runs.metrics[metric].digits));
    const each = Math.ceil(13 / h); // where rows are low, not every one has room for its label
    second.values.forEach((value, j) =>
      j % each || shape(svg, "text", "end", { x: left - 6, y: ys[j] + 4 }, value));
    labels(svg, xs, first.values, bottom + 16);
    shape(svg, "text", "middle", { x: left + (runs.width * w) / 2, y: 246 }, fitting(first.label[language], runs.width * w));
    shape(svg, "text", "", { x: 0, y: 12 }, fitting(second.label[language], width));
    this.outlines = ["outline outer", "outline"].map((kind) => shape(svg, "rect", kind, { width: w, height: h }));
    const end = (value) => html("b", {}, known.length ? runs.text(runs.metrics[metric], value) : "–");
    const ramp = html("i", { class: "ramp" });
    ramp.style.background = `linear-gradient(to right,${COLORS.map((c) => `rgb(${c})`)})`;
    legend.append(html("span", {}, end(low), ramp, end(high)));
  }

  /** Draw one cell, `share` of the way from the darkest colour to the brightest. */
  cell([i, j], value, share, digits) {
    const { svg, w, h } = this, x = this.xs[i], y = this.ys[j], lost = Number.isNaN(value);
    const rgb = lost ? null : shade(share), size = `font-size:${w < 44 ? 10 : 12}px;`;
    const box = { x: x - w / 2 + 1, y: y - h / 2 + 1, width: w - 2, height: h - 2 };
    shape(svg, "rect", "cell", { ...box, style: rgb ? `fill:rgb(${rgb})` : "" });
    shape(svg, "text", "middle", { x, y: y + 4, style: size + (rgb ? `fill:${inkOn(rgb)}` : "") },
      w < 30 || h < 13 ? "" : lost ? "×" : format(value, digits));
  }

  update({ place: [i, j] }) {
    for (const outline of this.outlines) set(outline, { x: this.xs[i] - this.w / 2, y: this.ys[j] - this.h / 2 });
  }
}

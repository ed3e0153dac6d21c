// Histograms of the weights, layer by layer, over the outline of the first setting.
import { ticks } from "./numbers.js";
import { head, set, shape } from "./svg.js";
import { fill } from "./words.js";

export class Weights {
  constructor(panel, runs) { Object.assign(this, { panel, runs, plot: panel.querySelector(".plot") }); }

  frame({ width }) {
    const { runs } = this, { words } = runs, { edges, share } = runs.weights, many = edges.length > 1;
    const svg = this.plot.firstChild, step = Math.max(84, Math.floor(170 / edges.length));
    set(svg, { viewBox: `0 0 ${width} ${step * edges.length}` }).replaceChildren();
    this.layers = edges.map(([low, high], layer) => {
      const base = step * (layer + 1) - 20, top = base - step + 36;
      const x = (v) => 4 + ((v - low) / (high - low)) * (width - 8);
      const bars = shape(svg, "path", "bars"), before = shape(svg, "path", "before");
      shape(svg, "line", "tick", { x1: 4, x2: width - 4, y1: base, y2: base });
      for (const [v, text] of ticks([low, high], false, 6)) {
        if (x(v) < 20 || x(v) > width - 20) continue;
        shape(svg, "line", "tick", { x1: x(v), x2: x(v), y1: base, y2: base + 4 });
        shape(svg, "text", "middle", { x: x(v), y: base + 16 }, text);
      }
      shape(svg, "text", "strong", { x: 4, y: top }, many ? fill(words.layer, { i: layer + 1 }) : "");
      const norm = shape(svg, "text", "strong end", { x: width - 4, y: top });
      return { bars, before, norm, base, height: step - 52, bin: (width - 8) / share[0][0].length };
    });
    const outline = fill(words.reference, { setting: runs.setting([0, 0]) });
    head(this.panel, words[many ? "layers" : "weights"], [["before", outline]]);
  }

  update({ state, point }) {
    const { runs } = this, { share, mean, digits } = runs.weights, first = runs.point(state, [0, 0]);
    const norms = mean[point].map((v) => `‖w‖ = ${runs.text({ digits }, v)}`);
    this.layers.forEach(({ bars, before, norm, base, height, bin }, layer) => {
      const now = share[point][layer], then = share[first][layer], most = Math.max(...now, ...then, 1);
      for (const [path, values] of [[bars, now], [before, then]]) {
        const steps = values.map((v, k) =>
          `V${(base - (v / most) * height).toFixed(1)}H${(4 + bin * (k + 1)).toFixed(1)}`);
        path.setAttribute("d", `M4 ${base}${steps.join("")}V${base}`);
      }
      norm.textContent = norms[layer];
    });
    const spoken = norms.map((text, i) => `${fill(runs.words.layer, { i: i + 1 })}: ${text}`);
    this.plot.setAttribute("aria-label", spoken.join(", "));
  }
}

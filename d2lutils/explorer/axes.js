// Axes of a plot, and the labels below them.
import { clamp, ticks } from "./numbers.js";
import { fitting, set, shape } from "./svg.js";

/** Labels below an axis, powers of ten first; those that would touch another are left out. */
export function labels(parent, places, texts, y) {
  const taken = [], order = texts.map((_, i) => i);
  const round = (i) => (/^(0|1e.*|1?0*|0\.0*1)$/.test(texts[i]) ? 0 : 1);
  for (const i of order.sort((a, b) => round(a) - round(b) || a - b)) {
    const half = 3.5 * texts[i].length + 4;
    if (taken.some(([x, other]) => Math.abs(x - places[i]) < half + other)) continue;
    taken.push([places[i], half]);
    shape(parent, "text", "middle", { x: places[i], y }, texts[i]);
  }
}

/** Empty axes: x takes 0 to 1, y a value; `front` is where to draw, cut off at the edges. */
export function axes(svg, width, domain, log, places, texts, name) {
  const yTicks = ticks(domain, log), height = 250, top = 8, bottom = height - 38, right = width - 6;
  const left = 12 + 7 * Math.max(1, ...yTicks.map(([, text]) => text.length));
  const [low, high] = log ? domain.map(Math.log10) : domain;
  const x = (t) => left + 8 + t * (right - left - 16);
  const y = (v) => log && v <= 0 ? bottom + 9
    : clamp(bottom - (((log ? Math.log10(v) : v) - low) / (high - low)) * (bottom - top), -99, 999);
  set(svg, { viewBox: `0 0 ${width} ${height}` }).replaceChildren();
  for (const [v, text] of yTicks) {
    shape(svg, "line", "grid", { x1: left, x2: right, y1: y(v), y2: y(v) });
    shape(svg, "text", "end", { x: left - 6, y: y(v) + 4 }, text);
  }
  for (const t of places) shape(svg, "line", "tick", { x1: x(t), x2: x(t), y1: bottom, y2: bottom + 4 });
  labels(svg, places.map(x), texts, bottom + 17);
  shape(svg, "text", "middle", { x: (left + right) / 2, y: height - 4 }, fitting(name, right - left));
  const front = shape(svg, "svg", "front", { x: left, y: 0, width: right - left, height: bottom + 1,
    viewBox: `${left} 0 ${right - left} ${bottom + 1}` });
  return { x, y, front, top, bottom, middle: (left + right) / 2 };
}

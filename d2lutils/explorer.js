// One explorer: sliders over runs that are finished. explorer.py puts the constants TAG and CSS
// before this text and packs the data. Nothing that comes with the data is ever parsed as HTML.

const SVG = "http://www.w3.org/2000/svg";
const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
// The map's colours, dark to bright; its cells carry their numbers too.
const MAP = [[35, 25, 66], [57, 62, 130], [48, 112, 150], [60, 165, 157], [133, 208, 165],
  [222, 245, 216]];
const TRAIN = `<span><i class="key train"></i><b data-word="`, VALID = `"></b></span>
<span><i class="key valid"></i><b data-word="validation"></b></span>`;
const SKELETON = `<div class="controls"><div class="sliders"></div><div class="switches"></div></div>
<div class="panels">
<div class="panel curves"><p class="title"></p><p class="legend">${TRAIN}as it ran${VALID}</p>
<div class="plot" role="slider" tabindex="0" aria-valuemin="1"><svg></svg></div>
<p class="readout"></p></div>
<div class="panel land"><p class="title"></p><p class="legend"></p>
<div class="plot" role="img"><svg></svg></div></div>
<div class="panel numbers"><p class="title setting"></p><dl></dl></div>
<div class="panel weights"><p class="title"></p>
<p class="legend"><span><i class="key before"></i><b></b></span></p>
<div class="plot" role="img"><svg></svg></div></div>
</div><p class="status" role="status"></p>`;
const FINAL_LEGEND = `${TRAIN}training${VALID}`;
const MAP_LEGEND = `<span><b class="low"></b><i class="ramp"></i><b class="high"></b></span>`;

function set(element, attributes) {
  for (const name in attributes) element.setAttribute(name, attributes[name]);
  return element;
}
const html = (tag, attributes, ...children) => {
  const made = set(document.createElement(tag), attributes);
  made.append(...children);
  return made;
};
const shape = (parent, tag, kind, attributes, text = "") => {
  const made = set(document.createElementNS(SVG, tag), { class: kind, ...attributes });
  made.textContent = text;
  return parent.appendChild(made);
};
const fill = (words, values) => words.replace(/\{(\w+)\}/g, (_, name) => values[name]);
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
const range = (n, f) => Array.from({ length: n }, (_, i) => f(i));
const nearest = (places, x) =>
  places.reduce((best, at, i) => (Math.abs(at - x) < Math.abs(places[best] - x) ? i : best), 0);

// ---------------------------------------------------------------- numbers

/** Read what `_encode` wrote: base64 VLQ, and a dot for what is not a number. */
function decode(text) {
  const values = [];
  let value = 0, scale = 1;
  for (const c of text) {
    if (c === ".") { values.push(NaN); continue; }
    const digit = DIGITS.indexOf(c);
    value += (digit % 32) * scale;
    scale *= 32;
    if (digit > 31) continue;
    values.push((value % 2 ? -1 : 1) * Math.floor(value / 2));
    value = 0;
    scale = 1;
  }
  return values;
}

/** Undo differences along rows of this length. */
function sums(values, length) {
  let sum = 0;
  return values.map((v, i) => {
    if (i % length === 0) sum = 0;
    return Number.isNaN(v) ? v : (sum += v);
  });
}

/** Undo `_Band.packed`: rows of {mean, low, high}, in the units that are shown. */
function unpack({ digits, row, mean, low, high }) {
  let flat = [mean, low, high].map(decode);
  if (digits === null) {
    flat = flat.map((v) => range(v.length / 2, (i) => Number(`${v[2 * i]}e${v[2 * i + 1]}`)));
  } else {
    const middle = sums(flat[0], row), scale = 10 ** digits;
    flat = [[0, 0], [1, -1], [2, 1]].map(([part, sign]) =>
      middle.map((v, i) => (v + sign * flat[part][i]) / scale));
  }
  return range(flat[0].length / row, (i) => {
    const [mean, low, high] = flat.map((values) => values.slice(i * row, (i + 1) * row));
    return { mean, low, high };
  });
}

/** Write a number with so many digits after the point, or (null) with three significant ones. */
function format(value, digits) {
  if (Number.isNaN(value)) return "–";
  if (digits !== null) return value.toFixed(digits).replace("-", "−");
  if (value === 0 || (Math.abs(value) >= 1e-3 && Math.abs(value) < 1e4)) return `${+value.toPrecision(3)}`;
  const [mantissa, power] = value.toExponential(2).split("e");
  return `${+mantissa}e${+power}`;
}

/** The span of an axis. A few runs that blow up must not flatten all others. */
function span(rows, log) {
  const values = rows.flatMap((row) => [...row.low, ...row.high])
    .filter((v) => v > (log ? 0 : -Infinity)).sort((a, b) => a - b);
  if (!values.length) return [0.1, 1];
  const at = (share) => values[Math.floor(share * (values.length - 1))], low = at(0);
  let high = at(1);
  if (log) return [low / (high / low) ** 0.05 / 1.2, high * (high / low) ** 0.05 * 1.2];
  if (high > 20 * at(0.5) && high > 4 * at(0.75)) high = 4 * at(0.75);
  const pad = 0.05 * (high - low) || 0.5;
  return [low < 0 ? low - pad : Math.max(low - pad, 0), high + pad];
}

/** Round numbers in a span: [number, text]. */
function ticks([low, high], log, wanted = 5) {
  const [first, last] = log ? [Math.log10(low), Math.log10(high)] : [low, high];
  const rough = (last - first) / wanted, power = 10 ** Math.floor(Math.log10(rough));
  let step = power * [1, 2, 5, 10].find((factor) => factor * power > 0.999 * rough);
  if (log) step = Math.max(1, Math.ceil(step));
  const start = Math.ceil(first / step), digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  return range(Math.max(0, Math.floor(last / step - start + 1 + 1e-9)), (i) => (start + i) * step)
    .map((v) => (log ? [10 ** v, format(10 ** v, null)] : [v, format(v, digits)]));
}

// ---------------------------------------------------------------- drawing

/** A path through what are numbers, with gaps where they are not. */
function line(xs, ys) {
  let path = "", pen = "M";
  ys.forEach((y, i) => {
    const known = !Number.isNaN(y + xs[i]);
    if (known) path += `${pen}${xs[i].toFixed(1)} ${y.toFixed(1)}`;
    pen = known ? "L" : "M";
  });
  return path;
}

/** The area between two lines, piece by piece. */
function area(xs, lows, highs) {
  let path = "", piece = [];
  for (let i = 0; i <= xs.length; i++) {
    if (!Number.isNaN(xs[i] + lows[i])) { piece.push(i); continue; } // beyond the end as well: NaN
    const side = (ys) => piece.map((k) => `${xs[k].toFixed(1)} ${ys[k].toFixed(1)}`);
    if (piece.length) path += `M${side(highs).join("L")}L${side(lows).reverse().join("L")}Z`;
    piece = [];
  }
  return path;
}

/** Labels below an axis, powers of ten first; those that would touch another are left out. */
function labels(parent, places, texts, y) {
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
function axes(svg, width, domain, log, places, texts, name) {
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
  shape(svg, "text", "middle", { x: (left + right) / 2, y: height - 4 }, name);
  const front = shape(svg, "svg", "front", { x: left, y: 0, width: right - left, height: bottom + 1,
    viewBox: `${left} 0 ${right - left} ${bottom + 1}` });
  return { x, y, front, top, bottom, middle: (left + right) / 2 };
}

const mark = (parent, part, r) => part === "valid" ? shape(parent, "circle", "mark valid", { r })
  : shape(parent, "rect", "mark train", { x: -r, y: -r, width: 2 * r, height: 2 * r });
const put = (dot, x, y) => set(dot, { transform: `translate(${x} ${Number.isNaN(y) ? -999 : y})` });

function shade(t) {
  const place = clamp(t, 0, 1) * (MAP.length - 1), i = Math.min(Math.floor(place), MAP.length - 2);
  return MAP[i].map((c, k) => Math.round(c + (place - i) * (MAP[i + 1][k] - c)));
}

/** Black or white, whichever has more contrast with a colour (WCAG). */
function inkOn(rgb) {
  const [r, g, b] = rgb.map((c) => ((c / 255 + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? "#000" : "#fff";
}

function isDark() {
  const page = document.documentElement, body = document.body.dataset;
  if (page.dataset.theme) return page.dataset.theme === "dark"; // pydata and sphinx-book-theme
  if (body.jpThemeLight) return body.jpThemeLight === "false"; // JupyterLab
  if (body.vscodeThemeKind) return !body.vscodeThemeKind.includes("light");
  if (page.hasAttribute("theme")) return page.getAttribute("theme") === "dark"; // Colab
  return matchMedia("(prefers-color-scheme: dark)").matches;
}

// ---------------------------------------------------------------- the explorer

function explorer(host) {
  const data = JSON.parse(host.querySelector('script[type="application/json"]').textContent);
  // The page shows one of the languages that the output carries; so does the figure.
  const figure = host.closest("figure.d2l-explorer");
  const language = figure.querySelector("summary [lang]:not([hidden])").lang;
  const words = data.words[language];
  const { weights, noise } = data, [first, second] = data.axes;
  const parts = {}; // metric → train, valid (a row over epochs for each point), final (one row)
  for (const [metric, packed] of Object.entries(data.metrics)) {
    parts[metric] = {};
    for (const part in packed) parts[metric][part] = unpack(packed[part]);
  }
  const metrics = Object.keys(parts), epochs = parts.loss.valid[0].mean.length;
  const numbers = Object.entries(data.stats).map(([name, pack]) => ({ name, pack, row: unpack(pack)[0] }));
  const norms = weights && unpack(weights.norm);
  const shares = weights && sums(decode(weights.share), weights.bins);

  // What can be chosen, by its key: the state holds the index of each choice.
  const fields = data.axes.map(({ key, values }) => ({ key, texts: values }));
  if (noise) fields.push({ key: "label_noise", texts: noise.map(String) });
  fields.push({ key: "metric", texts: metrics });
  const initial = { ...data.start, metric: metrics.indexOf(data.metric) };
  let state = initial, epoch = epochs - 1, hover = null, width = 0, later, kept, draw = {};
  const nx = first.values.length, ny = second?.values.length ?? 1;
  const at = () => data.axes.map(({ key }) => state[key]);
  const place = ([i, j = 0]) => ((noise ? state.label_noise : 0) * ny + j) * nx + i; // in the arrays
  const points = range(ny, (j) => range(nx, (i) => [i, j])).flat();

  // ---- words

  const symbols = data.axes.map((axis) => axis.symbol ?? axis.label[language]);
  const axisText = (i, k) => `${symbols[i]} = ${data.axes[i].values[k]}`;
  const settingText = (at) => data.axes.map((_, i) => axisText(i, at[i])).join(", ");
  const noiseText = (share) =>
    share ? fill(words.noisy, { percent: format(100 * share, null) }) : words.clean;
  const metricText = (metric) => words[metric === "loss" ? data.loss : metric];
  const text = (name, { digits, factor }, value) => format(value, digits) + (Number.isNaN(value) ? ""
    : name === "gap" ? `\u00a0${words.points}` : factor === 100 ? "\u00a0%" : "");
  /** Why a point has no numbers: ["diverged", "1 of 3 seeds"]; nothing for one that has them. */
  const lack = (point) => !data.finished[point] ? [words.missing] : !data.diverged[point] ? []
    : [words.diverged, fill(words["of seeds"], { n: data.diverged[point], seeds: data.seeds })];
  const markUp = (part, markup) => {
    part.innerHTML = markup;
    for (const b of part.querySelectorAll("[data-word]")) b.textContent = words[b.dataset.word];
  };

  // ---- elements

  const root = html("div", { class: "root", lang: language }), $ = (selector) => root.querySelector(selector);
  markUp(root, SKELETON);
  if (!weights) $(".weights").remove();
  const curves = $(".curves .plot"), land = $(".land .plot"), legend = $(".land .legend");
  set(curves, { "aria-label": words.epoch, "aria-valuemax": epochs });
  const sliders = data.axes.map(({ key, label, values }) => {
    const input = html("input", { type: "range", id: key, max: values.length - 1 });
    const output = html("output", { for: key });
    input.oninput = () => go({ [key]: +input.value });
    $(".sliders").append(html("div", {}, html("label", { for: key }, label[language]), output, input));
    return { input, output };
  });
  const radios = [];
  const choice = (key, title, texts) => {
    const labels = texts.map((label, value) => {
      const input = html("input", { type: "radio", name: key });
      input.onchange = () => go({ [key]: value });
      radios.push({ input, key, value });
      return html("label", {}, input, html("span", {}, label));
    });
    $(".switches").append(html("fieldset", {}, html("legend", {}, title), html("div", {}, ...labels)));
  };
  if (noise) choice("label_noise", words.labels, noise.map(noiseText));
  if (metrics.length > 1) choice("metric", words.show, metrics.map(metricText));
  for (const number of numbers) {
    number.value = html("dd", {});
    number.range = html("dd", { class: "range" });
    const term = html("dt", {}, words[number.name]);
    $("dl").append(html("div", { class: number.name }, term, number.value, number.range));
  }

  // ---- state

  /** Change the state and show it. Moving a slider changes attributes and texts, no elements. */
  function go(change) {
    const before = state;
    state = { ...before, ...change };
    if (before.label_noise === state.label_noise && before.metric === state.metric) update();
    else frame();
    clearTimeout(later);
    later = setTimeout(() => {
      // A slider says itself where it stands; this says what is there, once it rests.
      const point = place(at());
      $(".status").textContent = lack(point).join(", ") || numbers.map(({ name, pack, row }) =>
        `${words[name]} ${text(name, pack, row.mean[point])}`).join(", ");
      writeAddress();
    }, 400);
  }

  const figures = [...document.querySelectorAll("figure.d2l-explorer")];
  const number = figures.indexOf(host.closest("figure.d2l-explorer")) + 1;
  const prefix = data.name ? `${data.name}.` : number > 1 ? `${number}.` : "";
  const inAddress = () => location.hash.slice(1).split("&").map((part) => part.split("="));

  /** Keep in the address what differs from the start, as in #lam=0.01&label_noise=0.4 */
  function writeAddress() {
    if (document.getElementById("jupyter-config-data")) return; // JupyterLab's address is its own
    const own = fields.filter(({ key }) => state[key] !== initial[key])
      .map(({ key, texts }) => `${prefix}${key}=${texts[state[key]]}`);
    const others = inAddress().filter(([key, value]) =>
      value !== undefined && !fields.some((field) => prefix + field.key === key)).map((pair) => pair.join("="));
    try {
      const address = new URL(location.href), hash = [...own, ...others].join("&");
      if (!hash && !address.hash.includes("=")) return; // leave an ordinary anchor
      address.hash = hash;
      history.replaceState(history.state, "", address);
    } catch { /* a frame without an address of its own: then nothing is kept */ }
  }

  /** Take from the address what makes sense here; all else is somebody else's. */
  function readAddress() {
    const found = new Map(inAddress()), change = {};
    for (const { key, texts } of fields) {
      const given = found.get(prefix + key);
      const i = given ? texts.findIndex((text) => text === given || +text === +given) : -1;
      if (i >= 0) change[key] = i;
    }
    if (!Object.keys(change).length) return;
    go(change);
    host.scrollIntoView({ block: "nearest" });
  }

  // ---- pointer and keys

  const inside = (plot, event) => {
    const box = plot.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  const look = (event, change) => {
    const i = nearest(draw.xs, inside(curves, event)[0]);
    if (change) epoch = i;
    hover = i;
    cursor();
  };
  curves.onpointermove = (event) => look(event, event.buttons);
  curves.onpointerdown = (event) => look(event, true);
  curves.onpointerleave = curves.onpointercancel = () => { hover = null; cursor(); };
  curves.onkeydown = (event) => {
    const page = Math.ceil(epochs / 10), step = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1,
      PageUp: page, PageDown: -page, Home: -epochs, End: epochs }[event.key];
    if (!step || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    epoch = clamp(epoch + step, 0, epochs - 1);
    hover = null;
    cursor();
  };
  const pick = (event) => {
    const [x, y] = inside(land, event), change = { [first.key]: nearest(draw.landXs, x) };
    if (second) change[second.key] = nearest(draw.landYs, y);
    go(change);
  };
  land.onpointerdown = (event) => { land.setPointerCapture(event.pointerId); pick(event); };
  land.onpointermove = (event) => { if (event.buttons) pick(event); };
  // Notebooks take keys and clicks for their own. So ours go no further; and where JupyterLab's
  // shortcuts ask before anything in the page does (older ones), the attribute keeps them away.
  host.setAttribute("data-lm-suppress-shortcuts", "true");
  for (const type of ["keydown", "keyup", "keypress", "pointerdown", "mousedown", "click", "dblclick"])
    host.addEventListener(type, (event) => {
      if (!event.ctrlKey && !event.metaKey && !event.altKey) event.stopPropagation();
    });

  // ---- drawing

  /** Draw what a slider does not move: axes, the U-curve, the map. */
  function frame() {
    const metric = metrics[state.metric], log = data.log && metric === "loss", rows = parts[metric];
    const half = width < 600 ? width : Math.floor((width - 28) / 2);
    const title = (selector, pattern) => {
      const shown = metricText(metric) + (metric === "accuracy" ? " (%)" : "");
      $(selector).textContent = fill(words[pattern], { metric: shown });
    };
    draw = { rows, pack: data.metrics[metric].valid, metric };

    title(".curves .title", "over epochs");
    const last = Math.max(epochs - 1, 1);
    const shown = ticks([1, last + 1], false, 6).map(([v]) => v).filter((v) => v % 1 === 0 && v <= epochs);
    if (shown[0] !== 1) shown.unshift(1);
    const svg = curves.firstChild, both = ["train", "valid"];
    const a = axes(svg, half, span([...rows.train, ...rows.valid], log), log,
      shown.map((v) => (v - 1) / last), shown.map(String), words.epoch);
    Object.assign(draw, { a, xs: range(epochs, (i) => a.x(i / last)) });
    draw.bands = both.map((part) => shape(a.front, "path", `band ${part}`));
    draw.cursor = shape(a.front, "line", "cursor", { y1: a.top, y2: a.bottom });
    draw.lines = both.map((part) => shape(a.front, "path", `line ${part}`));
    draw.dots = both.map((part) => mark(svg, part, 4));
    draw.note = shape(svg, "text", "note middle", { x: a.middle, y: a.bottom / 2 });

    title(".land .title", second ? "map" : "after training");
    markUp(legend, second ? MAP_LEGEND : FINAL_LEGEND);
    const valid = { mean: [], low: [], high: [] };
    for (const row of rows.valid) for (const key in valid) valid[key].push(row[key].at(-1));
    if (second) frameMap(half, valid.mean);
    else frameU(half, log, { train: rows.final[0], valid });
    const lacks = new Set(points.flatMap((point) => lack(place(point)).slice(0, 1)));
    if (lacks.size) legend.append(html("span", {}, `× ${[...lacks].join(", ")}`));
    const sign = metric === "loss" ? 1 : -1, value = (point) => sign * valid.mean[place(point)];
    const best = points.filter((point) => !lack(place(point)).length).sort((p, q) => value(p) - value(q))[0];
    land.setAttribute("aria-label", best ? fill(words.best, { metric: metricText(metric),
      setting: settingText(best), value: text(metric, draw.pack, sign * value(best)) }) : words.diverged);
    if (weights) frameWeights(half);
    update();
  }

  /** What is reached after training against the one axis. */
  function frameU(width, log, finals) {
    const svg = land.firstChild, domain = span(Object.values(finals), log);
    const a = axes(svg, width, domain, log, first.at, first.values, symbols[0]);
    const xs = draw.landXs = first.at.map(a.x), start = place([0]);
    // Zero stands apart on a logarithmic axis: a short piece of its own, and no line that leads there.
    const cut = (values, by = 0) =>
      first.apart ? [values[0] - by, values[0] + by, NaN, ...values.slice(1)] : values;
    if (first.apart)
      shape(a.front, "line", "apart", { x1: a.x(0.06), x2: a.x(0.06), y1: a.top, y2: a.bottom });
    draw.landCursor = shape(a.front, "line", "cursor", { y1: a.top, y2: a.bottom });
    draw.landDots = Object.entries(finals).map(([part, row]) => {
      const [low, mean, high] = ["low", "mean", "high"].map((key) =>
        row[key].slice(start, start + xs.length).map(a.y));
      shape(a.front, "path", `band ${part}`, { d: area(cut(xs, 5), cut(low), cut(high)) });
      shape(a.front, "path", `line ${part}`, { d: line(cut(xs, 5), cut(mean)) });
      mean.forEach((y, i) => put(mark(a.front, part, 2.5), xs[i], y));
      return [mean, part];
    }).map(([ys, part]) => [ys, mark(svg, part, 5)]);
    xs.forEach((x, i) => {
      if (lack(start + i).length) shape(a.front, "text", "strong middle", { x, y: a.bottom - 4 }, "×");
    });
  }

  /** What is reached after training, for two axes: a map with its numbers. */
  function frameMap(width, values) {
    const svg = land.firstChild, top = 22, bottom = 210, { digits } = draw.pack;
    const left = 14 + 7 * Math.max(...second.values.map((text) => text.length));
    const w = (width - left - 4) / nx, h = (bottom - top) / ny;
    const xs = first.values.map((_, i) => left + w * (i + 0.5));
    const ys = second.values.map((_, j) => bottom - h * (j + 0.5));
    const known = points.map((point) => values[place(point)]).filter((v) => !Number.isNaN(v));
    const low = Math.min(...known), high = Math.max(...known);
    set(svg, { viewBox: `0 0 ${width} 250` }).replaceChildren();
    for (const [i, j] of points) {
      const value = values[place([i, j])], lost = Number.isNaN(value);
      const rgb = lost ? null : shade((value - low) / (high - low || 1));
      const box = { x: xs[i] - w / 2 + 1, y: ys[j] - h / 2 + 1, width: w - 2, height: h - 2 };
      const style = `font-size:${w < 44 ? 10 : 12}px;${rgb ? `fill:${inkOn(rgb)}` : ""}`;
      shape(svg, "rect", "cell", { ...box, style: rgb ? `fill:rgb(${rgb})` : "" });
      shape(svg, "text", "middle", { x: xs[i], y: ys[j] + 4, style },
        lost ? "×" : w < 30 ? "" : format(value, digits));
    }
    second.values.forEach((value, j) => shape(svg, "text", "end", { x: left - 6, y: ys[j] + 4 }, value));
    labels(svg, xs, first.values, bottom + 16);
    shape(svg, "text", "middle", { x: left + (xs.length * w) / 2, y: 246 }, first.label[language]);
    shape(svg, "text", "", { x: 0, y: 12 }, second.label[language]);
    const outlines = ["outline outer", "outline"]
      .map((kind) => shape(svg, "rect", kind, { width: w, height: h }));
    Object.assign(draw, { landXs: xs, landYs: ys, outlines, w, h });
    $(".low").textContent = known.length ? text(draw.metric, draw.pack, low) : "–";
    $(".high").textContent = known.length ? text(draw.metric, draw.pack, high) : "–";
    $(".ramp").style.background = `linear-gradient(to right,${MAP.map((c) => `rgb(${c})`)})`;
  }

  function frameWeights(width) {
    const svg = $(".weights svg"), step = Math.max(84, Math.floor(170 / weights.edges.length));
    set(svg, { viewBox: `0 0 ${width} ${step * weights.edges.length}` }).replaceChildren();
    draw.layers = weights.edges.map(([low, high], layer) => {
      const base = step * (layer + 1) - 20, top = base - step + 36;
      const x = (v) => 4 + ((v - low) / (high - low)) * (width - 8);
      const bars = shape(svg, "path", "bars"), before = shape(svg, "path", "before");
      shape(svg, "line", "tick", { x1: 4, x2: width - 4, y1: base, y2: base });
      for (const [v, text] of ticks([low, high], false, 6)) {
        if (x(v) < 20 || x(v) > width - 20) continue;
        shape(svg, "line", "tick", { x1: x(v), x2: x(v), y1: base, y2: base + 4 });
        shape(svg, "text", "middle", { x: x(v), y: base + 16 }, text);
      }
      const which = weights.edges.length > 1 ? fill(words.layer, { i: layer + 1 }) : "";
      shape(svg, "text", "strong", { x: 4, y: top }, which);
      const norm = shape(svg, "text", "strong end", { x: width - 4, y: top });
      return { bars, before, norm, base, height: step - 52, bin: (width - 8) / weights.bins };
    });
    $(".weights .title").textContent = words[weights.edges.length > 1 ? "layers" : "weights"];
    $(".weights .legend b").textContent = fill(words.reference, { setting: settingText([0, 0]) });
  }

  /** Draw what a slider moves. */
  function update() {
    const here = at(), point = place(here), { rows, a } = draw, why = lack(point);
    sliders.forEach(({ input, output }, i) => {
      input.value = here[i];
      input.setAttribute("aria-valuetext", axisText(i, here[i]));
      output.textContent = data.axes[i].values[here[i]];
    });
    for (const { input, key, value } of radios) input.checked = state[key] === value;
    const switched = noise ? `, ${words.labels}: ${noiseText(noise[state.label_noise])}` : "";
    $(".setting").textContent = settingText(here) + switched;
    for (const { name, pack, row, value, range } of numbers) {
      const known = !Number.isNaN(row.mean[point]), [low, high] = [row.low, row.high].map((all) => all[point]);
      value.textContent = known ? text(name, pack, row.mean[point]) : why[0];
      range.textContent = known ? `${format(low, pack.digits)} … ${format(high, pack.digits)}` : why[1] ?? "";
    }

    [rows.train, rows.valid].forEach((all, i) => {
      const { mean, low, high } = all[point];
      draw.lines[i].setAttribute("d", line(draw.xs, mean.map(a.y)));
      draw.bands[i].setAttribute("d", area(draw.xs, low.map(a.y), high.map(a.y)));
    });
    draw.note.textContent = why.join(", ");
    cursor();

    const [x, y] = [draw.landXs[here[0]], draw.landYs?.[here[1]]];
    if (second) for (const outline of draw.outlines) set(outline, { x: x - draw.w / 2, y: y - draw.h / 2 });
    else {
      set(draw.landCursor, { x1: x, x2: x });
      for (const [ys, dot] of draw.landDots) put(dot, x, ys[here[0]]);
    }

    if (!weights) return;
    const norm = norms[point].mean.map((v) => `‖w‖ = ${text("norm", weights.norm, v)}`);
    draw.layers.forEach(({ bars, before, norm: shown, base, height, bin }, layer) => {
      const of = (point) => {
        const from = (point * draw.layers.length + layer) * weights.bins;
        return shares.slice(from, from + weights.bins);
      };
      const now = of(point), then = of(place([0, 0])), most = Math.max(...now, ...then, 1);
      for (const [path, values] of [[bars, now], [before, then]]) {
        const steps = values.map((v, k) =>
          `V${(base - (v / most) * height).toFixed(1)}H${(4 + bin * (k + 1)).toFixed(1)}`);
        path.setAttribute("d", `M4 ${base}${steps.join("")}V${base}`);
      }
      shown.textContent = norm[layer];
    });
    const spoken = norm.map((text, i) => `${fill(words.layer, { i: i + 1 })}: ${text}`);
    $(".weights .plot").setAttribute("aria-label", spoken.join(", "));
  }

  /** The cursor over epochs, and what it reads: where the pointer is, else where it rests. */
  function cursor() {
    const now = hover ?? epoch, point = place(at()), x = draw.xs[now];
    set(draw.cursor, { x1: x, x2: x });
    const texts = [draw.rows.train, draw.rows.valid].map((all, i) => {
      const [mean, low, high] = ["mean", "low", "high"].map((key) => all[point][key][now]);
      put(draw.dots[i], x, draw.a.y(mean));
      const shown = text(draw.metric, draw.pack, mean), digits = draw.pack.digits;
      const ends = [low, high].map((v) => format(v, digits)).join("\u00a0…\u00a0");
      const over = Number.isNaN(mean) ? "" : `\u00a0(${ends})`;
      return `${words[i ? "validation" : "training"]}\u00a0${shown}${over}`;
    });
    $(".readout").textContent = `${fill(words["in epoch"], { n: now + 1 })}: ${texts.join(", ")}`;
    set(curves, { "aria-valuenow": now + 1, "aria-valuetext": $(".readout").textContent });
  }

  host.attachShadow({ mode: "open" }).append(html("style", {}, CSS), root);
  return {
    readAddress,
    theme() { root.dataset.theme = isDark() ? "dark" : "light"; },
    resize() {
      const now = Math.round(root.clientWidth) || 720;
      if (now === width) return;
      width = now;
      frame();
    },
    // Paper gets the frame that the page begins with.
    print(before) {
      if (before) kept = state;
      go(before ? initial : kept ?? state);
    },
  };
}

class ExplorerElement extends HTMLElement {
  connectedCallback() { // again when a notebook takes an output out and puts it back
    const fresh = !this.own, own = this.own ??= explorer(this), { signal } = this.gone = new AbortController();
    own.theme();
    own.resize();
    if (fresh) own.readAddress();
    const themes = new MutationObserver(own.theme), sizes = new ResizeObserver(own.resize);
    const attributeFilter = ["data-theme", "data-jp-theme-light", "data-vscode-theme-kind", "theme"];
    for (const whole of [document.documentElement, document.body]) themes.observe(whole, { attributeFilter });
    sizes.observe(this);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", own.theme, { signal });
    addEventListener("hashchange", own.readAddress, { signal });
    addEventListener("beforeprint", () => own.print(true), { signal });
    addEventListener("afterprint", () => own.print(false), { signal });
    signal.onabort = () => { themes.disconnect(); sizes.disconnect(); };
  }
  disconnectedCallback() { this.gone.abort(); }
}

// Every output carries this module, since it may be shown alone; on a page the first one counts.
if (!customElements.get(TAG)) customElements.define(TAG, ExplorerElement);

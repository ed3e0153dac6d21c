// Elements, and shapes in SVG. No text that comes with the data is ever parsed as HTML.

export function set(element, { style = "", ...attributes }) {
  for (const name in attributes) element.setAttribute(name, attributes[name]);
  if (style) element.style.cssText = style; // the attribute may be forbidden (Content-Security-Policy)
  return element;
}

export function html(tag, attributes, ...children) {
  const made = set(document.createElement(tag), attributes);
  made.append(...children);
  return made;
}

export function shape(parent, tag, kind, attributes, text = "") {
  const made = set(document.createElementNS("http://www.w3.org/2000/svg", tag), { class: kind, ...attributes });
  made.textContent = text;
  return parent.appendChild(made);
}

/** Where the pointer is in the units of a plot's picture, which a slide, say, shows in another size. */
export function inside(plot, event) {
  const picture = plot.firstChild, box = picture.getBoundingClientRect(), { width, height } = picture.viewBox.baseVal;
  return [(event.clientX - box.left) * width / box.width, (event.clientY - box.top) * height / box.height];
}

/** A text, cut where it would be wider than there is room. */
export function fitting(text, room) {
  const most = Math.max(1, Math.floor(room / 6.5));
  return text.length > most ? `${text.slice(0, most)}…` : text;
}

/** The title of a panel, and what its lines mean: [kind of key, words]. */
export function head(panel, title, keys) {
  panel.querySelector(".title").textContent = title;
  panel.querySelector(".legend").replaceChildren(...keys.map(([kind, words]) =>
    html("span", {}, html("i", { class: `key ${kind}` }), html("b", {}, words))));
}

/** A path through what are numbers, with gaps where they are not. */
export function line(xs, ys) {
  let path = "", pen = "M";
  ys.forEach((y, i) => {
    const known = !Number.isNaN(y + xs[i]);
    if (known) path += `${pen}${xs[i].toFixed(1)} ${y.toFixed(1)}`;
    pen = known ? "L" : "M";
  });
  return path;
}

/** The area between two lines, piece by piece. */
export function area(xs, lows, highs) {
  let path = "", piece = [];
  for (let i = 0; i <= xs.length; i++) {
    if (!Number.isNaN(xs[i] + lows[i])) { piece.push(i); continue; } // beyond the end as well: NaN
    const side = (ys) => piece.map((k) => `${xs[k].toFixed(1)} ${ys[k].toFixed(1)}`);
    if (piece.length) path += `M${side(highs).join("L")}L${side(lows).reverse().join("L")}Z`;
    piece = [];
  }
  return path;
}

/** A dot on a curve: a circle for validation, a square for training. */
export const mark = (parent, part, r) => part === "valid" ? shape(parent, "circle", "mark valid", { r })
  : shape(parent, "rect", "mark train", { x: -r, y: -r, width: 2 * r, height: 2 * r });
export const put = (dot, x, y) => set(dot, { transform: `translate(${x} ${Number.isNaN(y) ? -999 : y})` });

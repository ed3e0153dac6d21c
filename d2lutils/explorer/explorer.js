// One explorer: its state, and the panels that show it.
import { Address } from "./address.js";
import { Controls, FinalNumbers } from "./controls.js";
import { Curves } from "./curves.js";
import { Final } from "./final.js";
import { Runs } from "./runs.js";
import { html, shape } from "./svg.js";
import { Weights } from "./weights.js";

/** The empty parts, element by element: a page may forbid to parse HTML (Trusted Types). */
function skeleton() {
  const part = (kind, ...children) => html("div", { class: kind }, ...children);
  const words = (kind, attributes) => html("p", { class: kind, ...attributes });
  const picture = (kind, attributes, ...below) => {
    const plot = html("div", { class: "plot", ...attributes });
    shape(plot, "svg", "picture", {});
    return part(`panel ${kind}`, words("title"), words("legend"), plot, ...below);
  };
  const list = () => html("dl", {}), slider = { role: "slider", tabindex: 0, "aria-valuemin": 1 };
  const test = html("details", {}, html("summary", {}), html("p", {}), list());
  return [
    part("controls", part("sliders"), part("switches")),
    part("panels", picture("curves", slider, words("readout")), picture("land", { role: "img" }),
      part("panel numbers", words("title setting"), list(), test), picture("weights", { role: "img" })),
    words("status", { role: "status" }),
  ];
}

export class Explorer {
  constructor(host) {
    // The page shows one of the languages that the output carries; so does the figure.
    const figure = host.closest("figure.d2l-explorer");
    const language = figure.querySelector("summary [lang]:not([hidden])").lang;
    const runs = new Runs(host.querySelector('script[type="application/json"]').textContent, language);
    const root = html("div", { class: "root", lang: language }, ...skeleton()), go = (change) => this.go(change);
    const part = (name) => root.querySelector(`.${name}`);
    part("panels").classList.toggle("mapped", !!runs.second);
    Object.assign(this, { host, runs, root, state: runs.start, width: 0, status: part("status") });
    this.address = new Address(figure, runs);
    this.numbers = new FinalNumbers(part("numbers"), runs);
    this.framed = [new Curves(part("curves"), runs), new Final(part("land"), runs, go)];
    if (runs.weights) this.framed.push(new Weights(part("weights"), runs));
    else part("weights").remove();
    this.panels = [new Controls(part("controls"), runs, go), this.numbers, ...this.framed];
    this.resize(); // what cannot be drawn fails here, where the host still shows its own words
    this.keepEvents();
    const shadow = host.attachShadow({ mode: "open" }), style = new CSSStyleSheet();
    style.replaceSync(CSS);
    shadow.adoptedStyleSheets = [style]; // also where a page forbids style elements
    shadow.append(root);
  }

  /** Notebooks take keys and clicks for their own. So ours go no further; and where JupyterLab's
   *  shortcuts ask before anything in the page does (older ones), the attribute keeps them away. */
  keepEvents() {
    this.host.setAttribute("data-lm-suppress-shortcuts", "true");
    for (const type of ["keydown", "keyup", "keypress", "pointerdown", "mousedown", "click", "dblclick"])
      this.host.addEventListener(type, (event) => {
        if (!event.ctrlKey && !event.metaKey && !event.altKey) event.stopPropagation();
      });
  }

  /** Change the state and show it. Moving a slider changes attributes and texts, no elements. */
  go(change) {
    const before = this.state;
    this.state = { ...before, ...change };
    const same = (key) => before[key] === this.state[key];
    if (["label_noise", "metric", "kept"].every(same)) this.update();
    else this.frame();
    clearTimeout(this.later);
    this.later = setTimeout(() => {
      // A slider says itself where it stands; this says what is there, once it rests.
      const { point, lack } = this.view();
      this.status.textContent = lack.join(", ") || this.numbers.spoken(point);
      this.address.write(this.state);
    }, 400);
  }

  /** What the panels need to know. */
  view() {
    const { runs, state, width } = this, point = runs.point(state), metric = runs.metricNames[state.metric];
    return {
      state, point, metric, place: runs.place(state), lack: runs.lack(point),
      log: runs.log && metric === "loss", width: width < 600 ? width : Math.floor((width - 28) / 2),
    };
  }

  /** Draw what a slider does not move: axes, kept curves, the U-curve, the map. */
  frame() {
    const view = this.view();
    for (const panel of this.framed) panel.frame(view);
    this.update();
  }

  update() {
    const view = this.view();
    for (const panel of this.panels) panel.update(view);
  }

  readAddress() {
    const change = this.address.read();
    if (!Object.keys(change).length) return;
    this.go(change);
    this.host.scrollIntoView({ block: "nearest" });
  }

  resize() {
    const now = Math.round(this.root.clientWidth) || 720;
    if (now === this.width) return;
    this.width = now;
    this.frame();
  }

  /** Paper gets the frame that the page begins with. */
  print(before) {
    if (before) this.kept = this.state;
    this.go(before ? this.runs.start : this.kept ?? this.state);
  }
}

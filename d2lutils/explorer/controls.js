// The sliders and switches, and the final values in numbers.
import { format, range } from "./numbers.js";
import { html, set } from "./svg.js";

const MOST = 3; // curves that are kept

export class Controls {
  constructor(panel, runs, go) {
    Object.assign(this, { runs, go, switches: panel.querySelector(".switches"), radios: [] });
    this.sliders = runs.axes.map(({ key, label, values }) => {
      const input = html("input", { type: "range", id: key, max: values.length - 1 });
      const output = html("output", { for: key });
      input.oninput = () => go({ [key]: +input.value });
      const name = html("label", { for: key }, label[runs.language]);
      panel.querySelector(".sliders").append(html("div", {}, name, output, input));
      return { input, output };
    });
    this.choice("label_noise", runs.words.labels, runs.noise.labels.map((label) => label[runs.language]));
    this.choice("metric", runs.words.show, runs.metricNames.map((metric) => runs.name(metric)));
    this.keeping(runs);
  }

  /** Add a switch, if there is something to choose. */
  choice(key, title, texts) {
    if (texts.length < 2) return;
    const labels = texts.map((text, value) => {
      const input = html("input", { type: "radio", name: key });
      input.onchange = () => this.go({ [key]: value });
      this.radios.push({ input, key, value });
      return html("label", {}, input, html("span", {}, text));
    });
    this.switches.append(html("fieldset", {}, html("legend", {}, title), html("div", {}, ...labels)));
  }

  /** Buttons that keep the curves of a setting beside those of the next, and let them go. */
  keeping(runs) {
    const { words } = runs;
    const button = (text, onclick) => Object.assign(html("button", { type: "button" }, text), { onclick });
    this.keep = button(words.keep, () => {
      const { state } = this, { kept } = state;
      if (kept.some((old) => runs.point(old) === runs.point(state))) return;
      const left = kept.slice(1 - MOST), taken = left.map((old) => old.slot);
      const slot = range(MOST, (i) => i).find((i) => !taken.includes(i)); // its colour, for as long as it stays
      this.go({ kept: [...left, { ...state, kept: [], slot }] });
    });
    this.clear = button(words.clear, () => { this.go({ kept: [] }); this.keep.focus(); });
    this.switches.append(html("div", { class: "keeping" }, this.keep, this.clear));
  }

  update({ state, place }) {
    this.state = state;
    this.clear.hidden = !state.kept.length;
    this.sliders.forEach(({ input, output }, k) => {
      input.value = place[k];
      set(input, { "aria-valuetext": this.runs.axisText(k, place[k]) });
      output.textContent = this.runs.axes[k].values[place[k]];
    });
    for (const { input, key, value } of this.radios) input.checked = state[key] === value;
  }
}

/** The final values of a point, with their spread over the seeds; those on the test set stay closed
 *  until somebody opens them. */
export class FinalNumbers {
  constructor(panel, runs) {
    Object.assign(this, { runs, setting: panel.querySelector(".setting"), lock: panel.querySelector("details") });
    const [open, closed] = panel.querySelectorAll("dl");
    this.rows = Object.entries(runs.stats).map(([name, stat]) => {
      const value = html("dd", {}), spread = html("dd", { class: "spread" });
      const label = html("dt", {}, stat.label[runs.language]), test = name.startsWith("test_");
      (test ? closed : open).append(html("div", { class: name }, label, value, spread));
      return { stat, value, spread, test };
    });
    this.lock.querySelector("summary").textContent = runs.words.test;
    this.lock.querySelector("p").textContent = runs.words.cost;
    if (!closed.children.length) this.lock.remove();
  }

  update({ state, place, point, lack }) {
    const { runs } = this;
    this.setting.textContent = runs.settingWithLabels(state, place);
    for (const { stat, value, spread } of this.rows) {
      const known = !Number.isNaN(stat.mean[point]), deviation = stat.spread[point];
      value.textContent = known ? runs.text(stat, stat.mean[point]) : lack[0];
      const told = Number.isNaN(deviation) ? "" : `± ${format(deviation, stat.digits)}`;
      spread.textContent = known ? told : lack[1] ?? "";
    }
  }

  /** The same for a screen reader. */
  spoken(point) {
    return this.rows.filter(({ test }) => !test || this.lock.open).map(({ stat }) =>
      `${stat.label[this.runs.language]} ${this.runs.text(stat, stat.mean[point])}`).join(", ");
  }
}

// The sliders and switches, and the final values in numbers.
import { format } from "./numbers.js";
import { html, set } from "./svg.js";

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

  update({ state, place }) {
    this.sliders.forEach(({ input, output }, k) => {
      input.value = place[k];
      set(input, { "aria-valuetext": this.runs.axisText(k, place[k]) });
      output.textContent = this.runs.axes[k].values[place[k]];
    });
    for (const { input, key, value } of this.radios) input.checked = state[key] === value;
  }
}

/** The final values of a point, with their range over the seeds. */
export class FinalNumbers {
  constructor(panel, runs) {
    Object.assign(this, { runs, setting: panel.querySelector(".setting") });
    this.rows = Object.entries(runs.stats).map(([name, stat]) => {
      const value = html("dd", {}), range = html("dd", { class: "range" });
      const label = html("dt", {}, stat.label[runs.language]);
      panel.querySelector("dl").append(html("div", { class: name }, label, value, range));
      return { stat, value, range };
    });
  }

  update({ state, place, point, lack }) {
    const { runs } = this, noise = runs.noise.labels[state.label_noise]?.[runs.language];
    this.setting.textContent = runs.setting(place) + (noise ? `, ${runs.words.labels}: ${noise}` : "");
    for (const { stat, value, range } of this.rows) {
      const known = !Number.isNaN(stat.mean[point]);
      const [low, high] = [stat.low[point], stat.high[point]].map((v) => format(v, stat.digits));
      value.textContent = known ? runs.text(stat, stat.mean[point]) : lack[0];
      range.textContent = known ? `${low} … ${high}` : lack[1] ?? "";
    }
  }

  /** The same for a screen reader. */
  spoken(point) {
    return this.rows.map(({ stat }) =>
      `${stat.label[this.runs.language]} ${this.runs.text(stat, stat.mean[point])}`).join(", ");
  }
}

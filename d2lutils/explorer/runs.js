// The finished runs, as explorer/figure.py sends them, in one language.
import { format, range } from "./numbers.js";
import { WORDS, fill } from "./words.js";

/** Bands are {mean, low, high}, each a list over the points. A point is a position of the sliders
 *  and the switch; a state holds the index of each choice, by its key. */
export class Runs {
  constructor(json, language) {
    Object.assign(this, JSON.parse(json, (key, value) => (value === null && key !== "digits" ? NaN : value)));
    this.language = language;
    this.words = {};
    for (const key in WORDS) this.words[key] = WORDS[key][language];
    [this.first, this.second] = this.axes;
    this.metricNames = Object.keys(this.metrics);
    this.epochs = this.metrics.loss.valid.mean[0].length;
    this.width = this.first.values.length;
    this.height = this.second?.values.length ?? 1;
    this.check();
    this.places = range(this.height, (j) => range(this.width, (i) => [i, j])).flat();
    // What can be chosen, with the texts that an address has for it.
    this.choices = this.axes.map(({ key, values }) => ({ key, texts: values }));
    if (this.noise.values.length) this.choices.push({ key: "label_noise", texts: this.noise.values });
    this.choices.push({ key: "metric", texts: this.metricNames });
    Object.assign(this.start, { metric: 0, kept: [] });
  }

  /** Refuse what was cut on its way: a number for each epoch of each point is there. */
  check() {
    const points = this.width * this.height * Math.max(1, this.noise.values.length);
    const { epochs, weights, metrics, stats } = this, rows = [this.finished, this.diverged];
    const columns = [...Object.values(stats).flatMap(({ mean, spread }) => [mean, spread])];
    for (const { train, valid, final } of Object.values(metrics)) {
      const curves = [train, valid].flatMap(({ mean, low, high }) => [mean, low, high]);
      if (curves.flat().some((curve) => curve.length !== epochs)) throw new Error("an epoch is missing");
      rows.push(...curves, final.mean, final.low, final.high);
    }
    if (weights) rows.push(weights.share, weights.mean);
    if ([...rows, ...columns].some((row) => row.length !== points)) throw new Error("a setting is missing");
  }

  /** Where the sliders stand. */
  place(state) { return this.axes.map(({ key }) => state[key]); }

  /** The index, in all lists, of a place of the sliders. */
  point(state, [i, j = 0] = this.place(state)) {
    return ((this.noise.values.length ? state.label_noise : 0) * this.height + j) * this.width + i;
  }

  axisText(k, i) { return `${this.axes[k].symbol} = ${this.axes[k].values[i]}`; }

  setting(place) { return this.axes.map((_, k) => this.axisText(k, place[k])).join(", "); }

  /** The same with what the training labels are, where that is a switch. */
  settingWithLabels(state, place = this.place(state)) {
    const labels = this.noise.labels[state.label_noise]?.[this.language];
    return this.setting(place) + (labels ? `, ${this.words.labels}: ${labels}` : "");
  }

  /** A number of a metric or a final value, with its unit. */
  text({ digits, unit }, value) {
    const shown = Number.isNaN(value) ? "" : unit?.[this.language];
    return format(value, digits) + (shown ? `\u00a0${shown}` : "");
  }

  /** Why a point has no numbers: ["diverged", "1 of 3 seeds"]; nothing for one that has them. */
  lack(point) {
    if (!this.finished[point]) return [this.words.missing];
    const n = this.diverged[point], seeds = this.seeds;
    return n ? [this.words.diverged, fill(this.words.ofSeeds, { n, seeds })] : [];
  }

  /** The name of a metric, as "accuracy". */
  name(metric) { return this.metrics[metric].label[this.language]; }

  /** The title of a plot, as "accuracy (%) over epochs". */
  title(pattern, metric) {
    const unit = this.metrics[metric].unit[this.language];
    return fill(this.words[pattern], { metric: this.name(metric) + (unit && ` (${unit})`) });
  }
}

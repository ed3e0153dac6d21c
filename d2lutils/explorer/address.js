// What differs from the start stands in the page's address, as in #lam=0.01&label_noise=0.4

export class Address {
  /** The second explorer of a page has #2.lam=0.01 */
  constructor(figure, runs) {
    const number = [...document.querySelectorAll("figure.d2l-explorer")].indexOf(figure) + 1;
    Object.assign(this, { prefix: number > 1 ? `${number}.` : "", runs });
  }

  get pairs() { return location.hash.slice(1).split("&").map((part) => part.split("=")); }

  write(state) {
    if (document.getElementById("jupyter-config-data")) return; // JupyterLab's address is its own
    const { choices, start } = this.runs, { prefix } = this;
    const own = choices.filter(({ key }) => state[key] !== start[key])
      .map(({ key, texts }) => `${prefix}${key}=${texts[state[key]]}`);
    const others = this.pairs.filter(([key, value]) =>
      value !== undefined && !choices.some((choice) => prefix + choice.key === key)).map((pair) => pair.join("="));
    try {
      const address = new URL(location.href), hash = [...own, ...others].join("&");
      if (!hash && !address.hash.includes("=")) return; // leave an ordinary anchor
      address.hash = hash;
      history.replaceState(history.state, "", address);
    } catch { /* a frame without an address of its own: then nothing is kept */ }
  }

  /** What makes sense here, as a change of the state; all else is somebody else's. */
  read() {
    const found = new Map(this.pairs), change = {};
    for (const { key, texts } of this.runs.choices) {
      const given = found.get(this.prefix + key);
      const i = given ? texts.findIndex((text) => text === given || +text === +given) : -1;
      if (i >= 0) change[key] = i;
    }
    return change;
  }
}

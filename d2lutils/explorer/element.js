// The element that a page holds: it watches what is around it.
import { Explorer } from "./explorer.js";

/** Whether what surrounds a figure is dark; its ink is bright then. The system alone does not tell: a
 *  page that does not follow it is white in the dark, too. */
function isDark(host) {
  const page = document.documentElement, body = document.body.dataset;
  if (page.dataset.theme) return page.dataset.theme === "dark"; // the book
  if (body.jpThemeLight) return body.jpThemeLight === "false"; // JupyterLab
  if (body.vscodeThemeKind) return !body.vscodeThemeKind.includes("light");
  if (page.hasAttribute("theme")) return page.getAttribute("theme") === "dark"; // Colab
  const ink = getComputedStyle(host).color.match(/^rgba?\((\d+), (\d+), (\d+)/);
  return ink ? +ink[1] + +ink[2] + +ink[3] > 382 : matchMedia("(prefers-color-scheme: dark)").matches;
}

class ExplorerElement extends HTMLElement {
  connectedCallback() { // again when a notebook takes an output out and puts it back
    const fresh = !this.own;
    try {
      this.own ??= new Explorer(this);
    } catch (error) { // emptied or cut on the way: the words within say so, and the table is there
      console.info(error);
      return;
    }
    const { own } = this, { signal } = this.gone = new AbortController();
    const theme = () => { own.root.dataset.theme = isDark(this) ? "dark" : "light"; };
    theme();
    own.resize();
    if (fresh) own.readAddress();
    const themes = new MutationObserver(theme), sizes = new ResizeObserver(() => own.resize());
    const attributeFilter = ["data-theme", "data-jp-theme-light", "data-vscode-theme-kind", "theme", "class", "style"];
    for (const whole of [document.documentElement, document.body]) themes.observe(whole, { attributeFilter });
    sizes.observe(this);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", theme, { signal });
    addEventListener("hashchange", () => own.readAddress(), { signal });
    addEventListener("beforeprint", () => own.print(true), { signal });
    addEventListener("afterprint", () => own.print(false), { signal });
    signal.onabort = () => { themes.disconnect(); sizes.disconnect(); };
  }

  disconnectedCallback() { this.gone?.abort(); }
}

// Every output carries this module, since it may be shown alone; on a page the first one counts.
if (!customElements.get(TAG)) customElements.define(TAG, ExplorerElement);

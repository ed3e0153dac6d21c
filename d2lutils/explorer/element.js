// The element that a page holds: it watches what is around it.
import { Explorer } from "./explorer.js";

function isDark() {
  const page = document.documentElement, body = document.body.dataset;
  if (page.dataset.theme) return page.dataset.theme === "dark"; // the book
  if (body.jpThemeLight) return body.jpThemeLight === "false"; // JupyterLab
  if (body.vscodeThemeKind) return !body.vscodeThemeKind.includes("light");
  if (page.hasAttribute("theme")) return page.getAttribute("theme") === "dark"; // Colab
  return matchMedia("(prefers-color-scheme: dark)").matches;
}

class ExplorerElement extends HTMLElement {
  connectedCallback() { // again when a notebook takes an output out and puts it back
    const fresh = !this.own, own = this.own ??= new Explorer(this), { signal } = this.gone = new AbortController();
    const theme = () => { own.root.dataset.theme = isDark() ? "dark" : "light"; };
    theme();
    own.resize();
    if (fresh) own.readAddress();
    const themes = new MutationObserver(theme), sizes = new ResizeObserver(() => own.resize());
    const attributeFilter = ["data-theme", "data-jp-theme-light", "data-vscode-theme-kind", "theme"];
    for (const whole of [document.documentElement, document.body]) themes.observe(whole, { attributeFilter });
    sizes.observe(this);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", theme, { signal });
    addEventListener("hashchange", () => own.readAddress(), { signal });
    addEventListener("beforeprint", () => own.print(true), { signal });
    addEventListener("afterprint", () => own.print(false), { signal });
    signal.onabort = () => { themes.disconnect(); sizes.disconnect(); };
  }

  disconnectedCallback() { this.gone.abort(); }
}

// Every output carries this module, since it may be shown alone; on a page the first one counts.
if (!customElements.get(TAG)) customElements.define(TAG, ExplorerElement);

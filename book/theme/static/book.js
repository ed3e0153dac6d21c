// What the pages do by themselves; without this script they still read well.

const page = document.documentElement;
const words = document.currentScript.dataset;

// ---------------------------------------------------------------- light and dark

const systemIsDark = matchMedia("(prefers-color-scheme: dark)");
const switchButton = document.querySelector(".theme");

function show(theme) {
  page.dataset.theme = theme;
  switchButton.setAttribute("aria-pressed", theme === "dark");
}
function remembered(name, value) { // reads, or with a value writes; a browser may refuse both
  try {
    if (value) localStorage.setItem(name, value);
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}
show(page.dataset.theme);
switchButton.addEventListener("click", () => {
  show(page.dataset.theme === "dark" ? "light" : "dark");
  remembered("theme", page.dataset.theme);
});
systemIsDark.addEventListener("change", () => {
  if (!remembered("theme")) show(systemIsDark.matches ? "dark" : "light");
});

// ---------------------------------------------------------------- the other edition

/** Lead to the same section, whose number is the same there; or keep what an explorer shows. */
for (const link of document.querySelectorAll("a.edition")) {
  link.addEventListener("click", () => {
    remembered("edition", link.dataset.edition);
    const above = [...document.querySelectorAll(":is(h2, h3, h4) > span[id]")]
      .filter((mark) => mark.getBoundingClientRect().top < innerHeight / 3);
    link.hash = location.hash.includes("=") ? location.hash : (above.at(-1)?.id ?? "");
  });
}

// ---------------------------------------------------------------- code

for (const block of navigator.clipboard ? document.querySelectorAll(".cell_input pre") : []) {
  const button = document.createElement("button");
  Object.assign(button, { type: "button", className: "copy", textContent: words.copy });
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(block.textContent);
    button.textContent = words.copied;
    setTimeout(() => { button.textContent = words.copy; }, 1500);
  });
  block.after(button);
}

// ---------------------------------------------------------------- formulas

/** Copy them as the TeX that they were written in, between $ where words stand around them. */
document.addEventListener("copy", (event) => {
  const selection = getSelection();
  if (!selection.rangeCount || selection.isCollapsed) return;
  const range = selection.getRangeAt(0).cloneRange();
  const whole = (node) => (node.closest ? node : node.parentElement).closest("math");
  const [first, last] = [whole(range.startContainer), whole(range.endContainer)];
  if (first) range.setStartBefore(first);
  if (last) range.setEndAfter(last);
  const copied = document.createElement("div");
  copied.append(range.cloneContents());
  const formulas = copied.querySelectorAll("math");
  if (!formulas.length) return;
  const unseen = ".headerlink, .copy, script, style, [hidden], details:not([open]) > :not(summary)";
  for (const part of copied.querySelectorAll(unseen)) part.remove();
  event.clipboardData.setData("text/html", copied.innerHTML);
  const alone = formulas.length === 1 && copied.textContent.trim() === formulas[0].textContent.trim();
  for (const line of copied.querySelectorAll("br")) line.replaceWith("\n");
  for (const formula of copied.querySelectorAll("math")) {
    const tex = formula.querySelector("annotation").textContent.trim();
    const own = alone || /^\\begin\{(align|equation|gather|multline|eqnarray)/.test(tex);
    const sign = own ? "" : formula.getAttribute("display") === "block" ? "$$" : "$";
    formula.replaceWith(sign + tex + sign);
  }
  event.clipboardData.setData("text/plain", copied.textContent.trim());
  event.preventDefault();
});

// ---------------------------------------------------------------- what is wide

// Whatever scrolls sideways can be reached, and so scrolled, by keyboard.
const scrollers = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    if (target.scrollWidth > target.clientWidth) target.tabIndex = 0;
    else target.removeAttribute("tabindex");
  }
});
for (const box of document.querySelectorAll("pre, .table, .math, .formula")) scrollers.observe(box);

// ---------------------------------------------------------------- where the reader is

const links = new Map([...document.querySelectorAll(".sections a")].map((a) => [a.hash.slice(1), a]));
const seen = new Set();
const watch = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) seen[isIntersecting ? "add" : "delete"](target);
  const sections = [...watched].filter((section) => seen.has(section));
  if (!sections.length) return;
  for (const link of links.values()) link.removeAttribute("aria-current");
  links.get(sections.at(-1).id).setAttribute("aria-current", "true");
}, { rootMargin: "-15% 0px -75% 0px" });
const watched = [...links.keys()].map((id) => document.getElementById(decodeURIComponent(id))).filter(Boolean);
for (const section of watched) watch.observe(section);

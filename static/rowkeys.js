// Keys of pages with rows: j and k move along the links of rows. A letter clicks the element
// with that letter in data-press, in the focused row, or else on the page.
import { bind } from "./shortcuts.js";

const links = () => [...document.querySelectorAll("main [data-go]")];

function step(by) {
  const all = links(), row = document.activeElement.closest("tr");
  const at = all.findIndex((a) => a.closest("tr") === row);
  (at < 0 ? all[0] : all[at + by])?.focus();
}

function press(key) {
  const row = document.activeElement.closest("tr");
  const target = row?.querySelector(`[data-press="${key}"]`) ?? [...document.querySelectorAll(`main [data-press="${key}"]`)].find((e) => !e.closest("tr"));
  if (!target?.checkVisibility()) return;
  if (target.matches("input")) return target.focus();
  if (target.localName !== "summary") return target.click();
  target.parentElement.open = true;
  target.parentElement.querySelector("input:enabled")?.focus();
}

bind({ j: () => step(1), k: () => step(-1) });
for (const key of "nrpce") bind({ [key]: () => press(key) });

export function start() {}

// The pages of batches: keys that move along the rows of the list, or over the grid of one
// batch. The grid is one stop of the Tab key.
import { bind } from "./shortcuts.js";

const cells = document.getElementById("cells"), list = document.getElementById("batches-list");
const links = () => [...list.querySelectorAll("tbody a")];

function row(step) {
  const all = links(), now = all.indexOf(document.activeElement);
  all[Math.max(0, Math.min(all.length - 1, now < 0 ? 0 : now + step))]?.focus();
}

// How many cells a row of the grid has in the current layout.
function across() {
  const all = cells.children, top = all[0]?.offsetTop;
  let n = 1;
  while (n < all.length && all[n].offsetTop === top) n++;
  return n;
}

const steps = { ArrowLeft: () => -1, ArrowRight: () => 1, ArrowUp: () => -across(), ArrowDown: across };

function stop(cell) {
  for (const old of cells.querySelectorAll("[tabindex='0']")) old.tabIndex = -1;
  cell.tabIndex = 0;
}

// An updated cell keeps its place in the Tab order and its mark.
export function part(next, old) {
  if (old?.parentElement !== cells) return;
  next.tabIndex = old.tabIndex;
  if (old.ariaCurrent) next.ariaCurrent = old.ariaCurrent;
}

export function start() {
  if (list) bind({ j: () => row(1), k: () => row(-1), ".": () => list.querySelector("[data-new]:not([hidden])")?.click() });
  // A choice takes effect at once. Empty ones are left out of the URL.
  const filter = document.getElementById("filter");
  for (const control of filter?.querySelectorAll("[name]") ?? []) control.addEventListener("change", () => filter.requestSubmit());
  filter?.addEventListener("formdata", (e) => { for (const [name, value] of [...e.formData]) if (!value) e.formData.delete(name); });
  if (!cells) return;
  const press = (id) => document.querySelector(`#${id}:enabled`)?.click();
  bind({ c: () => press("cancel"), r: () => press("retry"), f: () => document.querySelector("[data-show=failed]").click() });
  const picked = document.getElementById("batch-" + new URLSearchParams(location.search).get("item"));
  if (picked) {
    picked.ariaCurrent = "true";
    if (!location.hash) document.getElementById("batch-item").scrollIntoView({ block: "nearest" });
  }
  for (const cell of cells.children) cell.tabIndex = -1;
  if (cells.children.length) stop(picked ?? cells.children[0]);
  cells.addEventListener("focusin", (e) => stop(e.target));
  cells.addEventListener("keydown", (e) => {
    const step = steps[e.key];
    if (!step || e.ctrlKey || e.altKey || e.metaKey) return;
    const all = [...cells.children], to = all.indexOf(e.target) + step();
    e.preventDefault();
    all[to]?.focus();
  });
}

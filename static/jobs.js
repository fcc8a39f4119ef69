// The page of jobs: a button shows how many new rows wait, rows can be selected, keys move.
import { bind } from "./shortcuts.js";

// Rows on the page, and new ones that wait.
const MOST = 500, WAITING = 200;
const $ = (id) => document.getElementById(id);
const rows = $("rows-body"), pill = $("new"), form = $("bulk");
const boxes = () => [...rows.querySelectorAll("input[name=id]")];
const order = (row) => Number(row.id.slice(5));
// Id → newest element.
const waiting = new Map();
// last is the checkbox that was clicked before.
let tools, last;
// more: other rows came too fast to be received.
let came = 0, more = false;
// Ids in the first patches of a connection, which contain all rows.
let told = new Set();

// ---- new rows

export function part(next, old) {
  told?.add(next.id);
  if (old || next.localName !== "tr" || $("rows").hasAttribute("data-cursor")) return;
  const top = rows.firstElementChild;
  // Older than the rows of this page.
  if (top && order(next) < order(top)) return;
  if (!waiting.has(next.id)) came++;
  // Detach it: otherwise the whole patch that it came in would stay in memory.
  next.remove();
  waiting.set(next.id, next);
  if (waiting.size > WAITING) more = waiting.delete(waiting.keys().next().value);
}

export const lost = () => { told = new Set(); };

export function settled() {
  if (told?.size) {
    const known = told, there = [...rows.children];
    told = null;
    if (there.some((row) => !known.has(row.id))) import("./catchup.js").then((m) => m.catchUp(there, known, tools));
  }
  // A whole page at once.
  more ||= came >= Number($("rows").dataset.limit);
  came = 0;
  if (!rows.firstElementChild && waiting.size) show();
  pill.hidden = !waiting.size;
  pill.textContent = `${waiting.size}${more ? "+" : ""} new`;
}

function show() {
  if (more) return location.reload();
  const fresh = [...waiting.values()].sort((a, b) => order(b) - order(a));
  if (document.activeElement === pill) setTimeout(() => fresh[0].querySelector("a").focus());
  waiting.clear();
  rows.prepend(...fresh);
  for (const row of [...rows.children].slice(MOST)) if (!row.querySelector(":checked")) row.remove();
  $("showing").textContent = `${rows.children.length} jobs, newest first`;
  tools.tick();
  settled();
}

// ---- selection

function count() {
  const all = boxes(), n = all.filter((box) => box.checked).length;
  if (!$("picked")) return;
  $("picked").textContent = n ? `${n} of ${all.length} on this page` : "None selected";
  for (const button of form.querySelectorAll("[data-picked]")) button.disabled = !n;
  $("pick-all").checked = n > 0 && n === all.length;
  $("pick-all").indeterminate = n > 0 && n < all.length;
}

function pick(box, range) {
  const all = boxes(), from = all.indexOf(last), to = all.indexOf(box);
  if (range && from >= 0) for (let i = Math.min(from, to); i <= Math.max(from, to); i++) all[i].checked = box.checked;
  last = box;
  count();
}

// ---- keys

function move(step) {
  const row = document.activeElement.closest("#rows-body tr");
  const next = row ? (step > 0 ? row.nextElementSibling : row.previousElementSibling) : rows.firstElementChild;
  next?.querySelector("a").focus();
  next?.scrollIntoView({ block: "nearest" });
}

function toggle(range) {
  const box = document.activeElement.closest("#rows-body tr")?.querySelector("input");
  if (!box) return;
  box.checked = range || !box.checked;
  pick(box, range);
}

// none clears the selection.
function none() {
  for (const box of boxes()) box.checked = false;
  count();
}

const press = (action) => form.querySelector(`[value="${action} selected"]:enabled`)?.click();
export function start(given) {
  tools = given;
  rows.addEventListener("click", (e) => e.target.name === "id" && pick(e.target, e.shiftKey));
  pill.addEventListener("click", show);
  bind({
    j: () => move(1), k: () => move(-1), x: () => toggle(false), X: () => toggle(true), c: () => press("cancel"), r: () => press("retry"),
    ".": () => waiting.size && show(), "/": () => $("search").focus(), Escape: none,
  });
  const states = [...document.querySelectorAll("#filter [name=state]")];
  bind(Object.fromEntries(states.map((box, i) => [i + 1, () => box.click()])));
  // Used by the keys [ and ] on the page of a job.
  addEventListener("pagehide", () => { try { sessionStorage.setItem("jobs", boxes().map((box) => box.value)); } catch { /* private mode */ } });
  const views = (save) => import("./savedviews.js").then((m) => m.start(save));
  $("save-view").hidden = Boolean(document.querySelector("#views [aria-current]"));
  $("save-view").addEventListener("click", () => views(true));
  try { if (localStorage.getItem("views")) views(); } catch { /* private mode: none are kept */ }
  $("pick-all").addEventListener("change", (e) => { for (const box of boxes()) box.checked = e.target.checked; count(); });
  // The chips take effect at once; fields with Enter or the button.
  for (const control of $("filter").querySelectorAll("[name=state], [name=columns], select")) control.addEventListener("change", () => $("filter").requestSubmit());
  // Empty fields and unchanged columns are left out of the URL.
  $("filter").addEventListener("formdata", (e) => {
    for (const [name, value] of [...e.formData]) if (!value) e.formData.delete(name);
    const boxes = [...$("filter").querySelectorAll("[name=columns]")], chosen = boxes.filter((box) => box.checked).map((box) => box.value);
    e.formData.delete("columns");
    if (location.search.includes("columns=") || boxes.some((box) => box.checked !== box.defaultChecked)) e.formData.set("columns", chosen);
  });
  count();
}

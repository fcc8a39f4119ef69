// Keyboard shortcuts: g and a letter open a page, ? lists all; pages add their own with bind.
// They are ignored in text fields, with Ctrl, Alt or Meta, while a dialog is open, or when
// switched off (WCAG 2.1.4).
const dialog = document.getElementById("shortcuts"), box = document.getElementById("keys-on");
const off = () => { try { return localStorage.getItem("keys") === "off"; } catch { return !box.checked; } };
// How long g waits for its letter, in ms; long, for slow hands and slow machines.
const WAIT = 5000;
let leading = 0;

const bound = {
  g: (e) => { leading = e.timeStamp; },
  t: () => document.getElementById("theme")?.click(),
  u: () => document.getElementById("zone")?.click(),
  "?": () => dialog.showModal(),
};

export const bind = (keys) => Object.assign(bound, keys);

document.addEventListener("keydown", (e) => {
  if (e.ctrlKey || e.altKey || e.metaKey || document.querySelector("dialog[open]")) return;
  const typing = e.target.matches("textarea, select, [contenteditable], input:not([type=checkbox], [type=radio])");
  if (typing && e.key === "Escape") e.target.blur();
  if (typing || off()) return;
  const led = leading && e.timeStamp - leading < WAIT;
  leading = 0;
  const act = led ? () => document.querySelector(`nav [data-key="${CSS.escape(e.key.toLowerCase())}"]`)?.click() : Object.hasOwn(bound, e.key) && bound[e.key];
  if (!act) return;
  e.preventDefault();
  act(e);
});

for (const button of document.querySelectorAll("[data-keys]")) {
  button.addEventListener("click", bound["?"]);
  button.hidden = false;
}
box.checked = !off();
box.addEventListener("change", () => { try { localStorage.setItem("keys", box.checked ? "on" : "off"); } catch { /* private mode: for this page only */ } });

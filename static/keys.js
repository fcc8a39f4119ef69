// Keys that lead to the pages: g and a letter; ? lists them. They do nothing while
// somebody writes, with Ctrl, Alt or Meta, or when switched off (WCAG 2.1.4).
const dialog = document.getElementById("keys");
const box = document.getElementById("keys-off");
const read = () => { try { return localStorage.getItem("keys") === "off"; } catch { return box.checked; } };
let before = "", wait = 0;

if (box) {
  box.checked = read();
  box.addEventListener("change", () => { try { localStorage.setItem("keys", box.checked ? "off" : "on"); } catch { /* private mode: for this page only */ } });
}

export function press(e) {
  if (!dialog) return;
  if (e.type === "click") return dialog.showModal();
  if (e.ctrlKey || e.altKey || e.metaKey || e.repeat || e.target.closest?.("input, textarea, select, [contenteditable]") || read()) return;
  const { key } = e;
  if (key === "?") dialog.open ? dialog.close() : dialog.showModal();
  else if (before === "g") document.querySelector(`nav [data-key="${CSS.escape(key)}"]`)?.click();
  else if (key === "t") document.getElementById("theme").click();
  clearTimeout(wait);
  before = key;
  wait = setTimeout(() => { before = ""; }, 1500);
}

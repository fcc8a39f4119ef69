// Theme and time zone that the viewer chose, stored in this browser. It is loaded before the
// first paint, so that the other theme is never visible for a moment.
(() => {
  const root = document.documentElement;
  root.dataset.script = "on";

  // choice is a button that switches through some values; the root element has the current one.
  function choice(name, say) {
    const values = Object.keys(say);
    const read = () => { try { return localStorage.getItem(name); } catch { return null; } };
    const keep = (value) => { try { localStorage.setItem(name, value); } catch { /* private mode: for this page only */ } };
    const after = () => values[(values.indexOf(root.dataset[name]) + 1) % values.length];
    root.dataset[name] = values.includes(read()) ? read() : values[0];
    addEventListener("DOMContentLoaded", () => {
      const button = document.getElementById(name);
      if (!button) return;
      const show = () => {
        button.title = `${say[root.dataset[name]]}. Click for ${say[after()].toLowerCase()}.`;
        button.setAttribute("aria-label", button.title);
        if (!button.firstElementChild) button.textContent = root.dataset[name];
        dispatchEvent(new Event(name));
      };
      const set = (value) => { root.dataset[name] = value; show(); };
      button.addEventListener("click", () => { keep(after()); set(after()); });
      addEventListener("storage", (e) => e.key === name && values.includes(e.newValue) && set(e.newValue));
      show();
      button.hidden = false;
    });
  }
  choice("theme", { auto: "System theme", light: "Light theme", dark: "Dark theme" });
  choice("zone", { local: "Local time", UTC: "UTC" });

  // Modules that few need are loaded at first use.
  addEventListener("click", ({ target }) => {
    const button = target.closest("[data-copy]");
    if (button) import("./copy.js").then((m) => m.press(button));
  });
})();

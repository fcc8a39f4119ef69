// Loaded before the first paint, so that a chosen theme never flashes the other one.
(() => {
  const themes = ["auto", "light", "dark"];
  const read = () => { try { return localStorage.getItem("theme"); } catch { return null; } };
  const names = { auto: "as the system", light: "light", dark: "dark" };
  const after = (theme) => themes[(themes.indexOf(theme) + 1) % themes.length];
  const keep = (theme) => { try { localStorage.setItem("theme", theme); } catch { /* private mode: for this page only */ } };
  let theme = themes.includes(read()) ? read() : "auto";
  const root = document.documentElement;
  root.dataset.theme = theme;
  root.dataset.script = "on";

  // What few need comes when it is needed first.
  addEventListener("click", ({ target }) => {
    const button = target.closest("[data-copy]");
    if (button) import("./copy.js").then((m) => m.press(button));
  });

  addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme");
    const show = () => {
      root.dataset.theme = theme;
      button.title = `Colours: ${names[theme]}. Click for ${names[after(theme)]}.`;
      button.setAttribute("aria-label", button.title);
    };
    button.addEventListener("click", () => {
      theme = after(theme);
      keep(theme);
      show();
    });
    addEventListener("storage", (e) => {
      if (e.key === "theme" && themes.includes(e.newValue)) { theme = e.newValue; show(); }
    });
    show();
    button.hidden = false;
  });
})();

// Saved views on the page of jobs: filters with a name, stored in this browser.
const $ = (id) => document.getElementById(id);
const read = () => { try { return JSON.parse(localStorage.getItem("views")) ?? []; } catch { return []; } };
const write = (all) => { try { localStorage.setItem("views", JSON.stringify(all)); } catch { /* private mode: not kept */ } };
const here = () => new URLSearchParams(new FormData($("filter"))).toString();

function show() {
  for (const own of document.querySelectorAll("#views [data-own]")) own.remove();
  for (const { name, query } of read()) {
    const item = document.createElement("li"), link = document.createElement("a"), drop = document.createElement("button");
    item.dataset.own = "";
    link.href = `?${query}`;
    link.textContent = name;
    if (query === here()) link.setAttribute("aria-current", "page");
    drop.type = "button";
    drop.textContent = "×";
    drop.setAttribute("aria-label", `Delete the view ${name}`);
    drop.addEventListener("click", () => {
      write(read().filter((v) => v.name !== name));
      show();
    });
    item.append(link, drop);
    $("views").append(item);
  }
  $("save-view").hidden = Boolean(document.querySelector("#views [aria-current]"));
}

const make = (name, set, ...content) => {
  const element = Object.assign(document.createElement(name), set);
  element.append(...content);
  return element;
};
const field = make("input", { id: "view-name", maxLength: 40, required: true, autocomplete: "off" });
const dialog = make("dialog", { id: "view" }, make("h2", { id: "view-title" }, "Save this view"),
  make("form", { method: "dialog" }, make("label", { htmlFor: "view-name" }, "Name"), field, make("p", { className: "soft" }, "It is kept in this browser only."),
    make("div", { className: "go" }, make("button", { className: "button strong", value: "save" }, "Save"), make("button", { className: "button", value: "", formNoValidate: true }, "Cancel"))));
dialog.setAttribute("aria-labelledby", "view-title");
document.body.append(dialog);
dialog.firstElementChild.nextElementSibling.addEventListener("submit", (e) => {
  const name = field.value.trim();
  if (e.submitter?.value && name) write([...read().filter((v) => v.name !== name), { name, query: here() }].slice(-20));
  show();
});

export function start(save) {
  show();
  if (save) dialog.showModal();
}

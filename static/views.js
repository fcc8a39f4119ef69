// Views of one's own on the page of jobs: filters with a name, kept in this browser.
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
    drop.setAttribute("aria-label", `Forget the view ${name}`);
    drop.addEventListener("click", () => {
      write(read().filter((v) => v.name !== name));
      show();
    });
    item.append(link, drop);
    $("views").append(item);
  }
  $("save-view").hidden = Boolean(document.querySelector("#views [aria-current]"));
}

$("view").querySelector("form").addEventListener("submit", (e) => {
  const name = $("view-name").value.trim();
  if (e.submitter?.value && name) write([...read().filter((v) => v.name !== name), { name, query: here() }].slice(-20));
  show();
});

export function start(save) {
  show();
  if (save) $("view").showModal();
}

// The page of a job: lines of output are added at the end of the log, which follows its end
// while the viewer is there.
import { bind } from "./shortcuts.js";

const BLOCK = 100;  // lines in one layout block
const MOST = 1000;  // lines kept on the page
const HELD = 5000;  // the same while somebody reads further up, so that the text does not move
const $ = (id) => document.getElementById(id);
const log = $("log"), tail = $("tail");
const number = (line) => Number(line?.firstElementChild.textContent);
// A page of older lines does not follow the end.
const back = "upto" in log.dataset;
let following = !back, missed = 0, last = log.lastElementChild?.lastElementChild, lines = log.querySelectorAll("li").length;

const atEnd = () => log.scrollHeight - log.scrollTop - log.clientHeight < 8;
const selecting = () => !getSelection().isCollapsed && log.contains(getSelection().anchorNode);

// Lines before those of the page, which arrive when it becomes live.
let early = [];

export function part(next, old) {
  if (old || back || !next.id.startsWith("job-line-")) return;
  const n = number(next), gap = last ? n - 1 - number(last) : 0;
  if (gap < 0) {
    if (lines < MOST && n < number(log.querySelector("li"))) early.push(next);
    return;
  }
  if (gap > 0) {
    next.classList.add("turn");
    next.dataset.turn = `${gap} lines came too fast to show here`;
  }
  add(log, next);
  last = next;
  lines++;
  missed++;
}

// add puts a line at the end of its block.
function add(into, line) {
  const at = String(Math.floor((number(line) - 1) / BLOCK));
  let block = into.lastElementChild;
  if (block?.dataset.block !== at) {
    block = document.createElement("ol");
    block.dataset.block = at;
    into.append(block);
  }
  block.append(line);
}

// above puts blocks before the others, and keeps the scroll position of what is being read.
function above(blocks, more) {
  const line = log.querySelector("li"), y = line.getBoundingClientRect().top, first = log.querySelector("ol");
  $("older")?.remove();
  const own = blocks.at(-1);
  if (own?.dataset.block === first.dataset.block) first.prepend(...blocks.pop().children);
  log.prepend(...(more ? [more] : []), ...blocks);
  lines = log.querySelectorAll("li").length;
  log.scrollTop += line.getBoundingClientRect().top - y;
}

export function settled() {
  if (back) return;
  if (early.length) {
    const box = document.createElement("div"), from = number(early[0]);
    for (const line of early) add(box, line);
    early = [];
    above([...box.children], from > 1 && older(from - 1));
  }
  const free = following && !selecting();
  for (let block; lines > (free ? MOST : HELD) && (block = log.querySelector("ol")) !== last.parentElement;) {
    lines -= block.childElementCount;
    block.remove();
    $("older")?.remove();
    log.prepend(older(number(log.querySelector("li")) - 1));
  }
  if (free) log.scrollTop = log.scrollHeight;
  show();
}

// older is a link to the lines up to that number.
function older(n) {
  const more = document.createElement("p"), link = document.createElement("a");
  more.id = "older";
  more.className = "more";
  link.href = `?lines=${n}`;
  link.textContent = n === 1 ? "1 older line" : `${n} older lines`;
  more.append(link);
  return more;
}

function show() {
  if (following) missed = 0;
  tail.hidden = back || following && log.scrollHeight <= log.clientHeight;
  tail.setAttribute("aria-pressed", following);
  tail.textContent = following ? "Following" : missed ? `Follow · ${missed} new` : "Follow";
}

async function load(parse, link) {
  const page = parse(await (await fetch(link.href)).text());
  following = false;
  above([...page.querySelectorAll("#log > ol")], page.getElementById("older"));
  show();
}

function target() {
  const n = /^#L(\d+)$/.exec(location.hash)?.[1];
  if (!n) return;
  following = false;
  if ($(`L${n}`)) $(`L${n}`).scrollIntoView({ block: "center" });
  else if (!back) location.replace(`?lines=${Number(n) + 50}#L${n}`);
}

export function start({ parse }) {
  // Only a scroll by the viewer ends the following.
  for (const type of ["wheel", "touchmove", "keydown", "pointerup"]) {
    log.addEventListener(type, () => requestAnimationFrame(() => { following = !back && atEnd(); show(); }), { passive: true });
  }
  log.addEventListener("scrollend", () => { if (!following && !back && atEnd()) { following = true; show(); } });
  log.addEventListener("click", (e) => {
    const link = e.target.closest("#older a");
    if (!link || lines >= HELD || e.ctrlKey || e.metaKey) return;
    e.preventDefault();
    load(parse, link).catch(() => { location.href = link.href; });
  });
  const follow = () => { following = !following; settled(); };
  tail.addEventListener("click", follow);
  const press = (way) => () => document.querySelector(`#job-head .acts ${way}`)?.click();
  const step = (by) => () => {
    let ids = [];
    try { ids = (sessionStorage.getItem("jobs") ?? "").split(","); } catch { /* private mode: none are known */ }
    const at = ids.indexOf($("job-id").textContent.trim());
    if (at >= 0 && ids[at + by]) location.href = ids[at + by];
  };
  bind({ r: press('[action$="/retry"] button'), c: press('[action$="/cancel"] button:enabled'), e: press('[href$="/edit"]'), f: () => !back && follow(), "[": step(-1), "]": step(1) });
  addEventListener("hashchange", target);
  target();
  settled();
}

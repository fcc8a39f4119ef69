// The live page: subscribes to the view that the page shows, and applies every change within
// an animation frame. With a WebSocket, nothing here asks the server on a timer: when the
// hub is silent or gone, the page says so and stays as it is.
import { JobHub } from "./jobhub.js";
import { clock, tick } from "./time.js";

const POLL = 3000;  // ms between reads of the page where no WebSocket opens
const SLOW = 10000; // ms that such a read may take
const view = document.body.dataset.view;
const parts = `[id^=${view.split(":")[0]}-]`; // the live parts
const policy = globalThis.trustedTypes?.createPolicy("jobhub", { createHTML: (html) => html }) ?? { createHTML: (html) => html };
// Reconnect faster than the default, as somebody is looking at the page.
const hub = new JobHub(new URL("../..", import.meta.url), { minDelay: 250, maxDelay: 1500 });

const parse = (html) => new DOMParser().parseFromString(policy.createHTML(html), "text/html");

// Features of single pages are in modules that these pages name. A module's part is called
// for each part with the element that it replaces, if there is one, and its settled after the
// patches of a frame were applied.
const modules = await Promise.all([...document.querySelectorAll("link[data-module]")].map((link) => import(link.href)));

// ---- patches

const due = new Map();  // id → newest element, applied with the next frame
const kept = new Map(); // id → newest element, held while the pointer is over the list
let frame = 0, seq = "", read = 0; // ms, when the hub read what is due

function receive(elements, at, at_ms) {
  for (const element of elements) due.set(element.id, element);
  seq = at;
  read = at_ms;
  frame ||= requestAnimationFrame(apply);
}

function apply() {
  frame = 0;
  for (const [id, next] of due) {
    const old = document.getElementById(id);
    for (const m of modules) m.part?.(next, old);
    if (!old) continue;
    if (next.dataset.say && next.dataset.say !== old.dataset.say) say(next.dataset.say);
    if (held(old, next)) keep(old, next);
    else fit(old, next);
  }
  due.clear();
  for (const m of modules) m.settled?.();
  document.body.dataset.seq = seq;
  tick();
  if (read) late(Date.now() - read);
}

function fit(old, next) {
  kept.delete(old.id);
  morph(old, next);
}

function morph(old, next) {
  const had = old.contains(document.activeElement);
  Idiomorph.morph(old, next, {
    callbacks: {
      // Keep what the viewer did: an open branch stays open, a checked row checked, a formatted time formatted.
      beforeAttributeUpdated: (name, node) => name !== "checked" && name !== "tabindex" && !(name === "open" && node.localName === "details"),
      beforeNodeMorphed: (a, b) => !(a.localName === "time" && b.localName === "time" && a.dateTime === b.dateTime && a.dataset.rel === b.dataset.rel),
    },
  });
  // The element with the focus was removed: focus the part, so that Tab continues from here.
  if (had && document.activeElement === document.body) {
    old.tabIndex = -1;
    old.focus({ preventScroll: true });
  }
}

// ---- lists that do not move under the pointer

// After a tap, :hover stays although no pointer is there.
let pointing = false;
for (const type of ["pointerover", "pointerdown"]) document.addEventListener(type, (e) => { pointing = e.pointerType !== "touch"; }, { passive: true });

function held(old, next) {
  if (old.dataset.hold !== "true" || next.dataset.hold !== "true") return false;
  const selection = getSelection();
  return (pointing && old.matches(":hover")) || old.contains(document.activeElement) ||
    (!selection.isCollapsed && old.contains(selection.anchorNode));
}

// Existing rows are updated in place; new ones are counted and wait.
function keep(old, next) {
  let fresh = 0;
  for (const row of [...next.querySelectorAll("[data-row]")]) {
    const there = document.getElementById(row.id);
    if (there) morph(there, row.cloneNode(true));
    else fresh++;
  }
  kept.set(old.id, next);
  const pill = old.querySelector("[data-new]");
  pill.hidden = fresh === 0;
  pill.textContent = `${fresh} new`;
}

function release(force) {
  for (const [id, next] of kept) {
    const old = document.getElementById(id);
    if (old && (force || !held(old, next))) fit(old, next);
  }
  tick();
}

for (const type of ["pointerout", "focusout", "selectionchange"]) document.addEventListener(type, () => kept.size && setTimeout(release, 150));

// ---- announcements for screen readers

// Only important changes, the newest of several, and at most one in 5 s.
const QUIET = 5000, AGAIN = "Live again.", LOST = "Not live: ";
const speaker = document.getElementById("say");
let word = "", saying = 0, said = -QUIET, lost = false;

function say(text) {
  word = text;
  saying ||= setTimeout(() => {
    saying = 0;
    if (word === AGAIN && !lost) return; // the loss was not announced
    lost = word.startsWith(LOST);
    said = performance.now();
    speaker.textContent = word;
  }, Math.max(500, said + QUIET - performance.now()));
}

// ---- how live it is

const chip = document.getElementById("live"), banner = document.getElementById("old");
let heard = new Date();
// Counts the changes of the connection: polling that began before the last change ends.
let change = 0;
// Delay from the hub's read to the page, in ms: the largest since the chip was last updated.
// As the clocks of hub and browser differ, the fastest patch so far counts as no delay.
let fastest = Infinity, behind = -1, shown = "";

function late(took) {
  fastest = Math.min(fastest, took);
  behind = Math.max(behind, took - fastest);
  if (!shown) tell();
}

function tell() {
  if (chip.dataset.state !== "live" || behind < 0) return;
  chip.lastElementChild.textContent = shown = `· ${behind < 10 ? "<0.01" : (behind / 1000).toFixed(2)} s behind`;
  behind = -1;
}

function show(state, text) {
  chip.dataset.state = state;
  chip.lastElementChild.textContent = "";
  const label = chip.querySelector("span");
  if (label.textContent !== text) label.textContent = text;
}

// Old figures are labelled with their time: on the chip, and after a while in a banner.
function old(state, text) {
  const at = document.body.dataset.stale ??= clock(heard);
  if (chip.dataset.state === "live") say(`${LOST}the figures are from ${at}.`);
  show(state, text(at));
  if (state !== "stale") return;
  banner.textContent = `Not live: the figures are from ${at}. You can still send forms.`;
  banner.hidden = false;
  document.body.style.setProperty("--as-of", `"as of ${at}"`);
  document.body.dataset.old = "";
}

function fresh(text) {
  heard = new Date();
  if (chip.dataset.state === "live" && chip.querySelector("span").textContent === text) return;
  if (document.body.dataset.stale) say(AGAIN);
  delete document.body.dataset.stale;
  delete document.body.dataset.old;
  banner.hidden = true;
  shown = "";
  show("live", text);
}

hub.addEventListener("status", ({ detail: { state, transport, since, reason } }) => {
  change++;
  if (state !== "live") for (const m of modules) m.lost?.();
  if (state === "stopped") old("stale", (at) => `stopped: ${reason} · figures of ${at}`);
  else if (state === "stale") old("stale", (at) => `stale · figures of ${at}`);
  else if (state === "resuming") old("reconnecting", () => `reconnecting since ${clock(since)}`);
  else if (state === "connecting") show("connecting", "connecting");
  else if (state === "live" && transport !== "ws") poll(change);
});

// The hub has another store than the one that the page was made from, so the page is wrong.
function anew() {
  if (!document.activeElement.matches("input:not([type=checkbox]), textarea")) return location.reload();
  old("stale", () => "the hub has other data now: reload the page");
}

// Without a WebSocket the hub can't send the changed parts of the page, so it is read
// repeatedly, one read at a time.
async function poll(since) {
  for (; since === change; await new Promise((next) => setTimeout(next, POLL))) {
    try {
      const answer = await fetch(location.href, { signal: AbortSignal.timeout(SLOW) });
      if (!answer.ok) throw new Error(`the hub answered ${answer.status}`);
      const page = parse(await answer.text());
      if (since !== change) return;
      receive([...page.querySelectorAll(parts)].filter((e) => !e.parentElement.closest(parts)), page.body.dataset.seq);
      fresh("live by polling");
    } catch (e) {
      if (since === change) old("stale", (at) => `not live: ${e.name === "TimeoutError" ? "the hub does not answer" : e.message} · figures of ${at}`);
    }
  }
}

function hear(message) {
  if (hub.epoch && hub.epoch !== document.body.dataset.epoch) return anew();
  if (message.type === "patch") {
    const template = document.createElement("template");
    template.innerHTML = policy.createHTML(message.html);
    receive([...template.content.children].flatMap((e) => e.localName === "table" ? [...e.rows] : e), message.seq, message.at_ms);
    fresh("live");
  } else if (message.type === "error") {
    old("stale", (at) => `${message.message} · figures of ${at}`);
  }
}

// ---- small services

document.addEventListener("click", (e) => {
  const button = e.target.closest("[data-new]");
  if (button) {
    button.blur();
    release(true);
  }
});

// Some forms first get a confirmation page. While the hub can't be reached, no form leaves
// the page.
document.addEventListener("submit", async (e) => {
  const form = e.target;
  if (form.matches("[data-ask]")) {
    e.preventDefault();
    (await import("./confirm.js")).confirm(form, e.submitter, parse);
  } else if (form.method === "post" && chip.dataset.state !== "live" && !("sure" in form.dataset)) {
    e.preventDefault();
    try {
      await fetch(new URL("../../healthz", import.meta.url));
      form.dataset.sure = "";
      form.requestSubmit(e.submitter);
    } catch {
      old("stale", () => "the hub can't be reached; nothing was sent");
      say("The hub can't be reached. Nothing was sent.");
    }
  }
});

if (view) {
  hub.subscribe({ view }, hear);
  for (const m of modules) m.start({ hub, parse, fit, tick, say });
  tick();
  setInterval(() => { tick(); tell(); }, 1000);
  addEventListener("zone", tick);
}

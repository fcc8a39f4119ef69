// What the tests of jobhub.js share: a clock that only they move, a WebSocket that
// they speak through, and a fetch that they answer.
import { afterEach, beforeEach, mock } from "node:test";
import "../fallback.js"; // so that to load it takes no time
import { JobHub } from "../jobhub.js";

export class Socket {
  static all = [];
  static get last() { return Socket.all.at(-1); }
  readyState = 0;
  sent = [];
  closed = false;

  constructor(url, offer) {
    Object.assign(this, { url: String(url), offer });
    Socket.all.push(this);
  }
  send(text) { this.sent.push(JSON.parse(text)); }
  close() { this.closed = true; this.readyState = 3; }

  // say sends messages in one frame.
  say(...messages) {
    this.readyState = 1;
    this.onmessage({ data: messages.map((m) => JSON.stringify(m)).join("\n") });
  }
  end(code, reason = "") {
    this.readyState = 3;
    this.onclose({ code, reason });
  }
  // asked is the newest subscribe message, without type and id, and id is its id.
  get asked() {
    const { type, id, ...rest } = this.sent.findLast((m) => m.type === "subscribe") ?? {};
    return rest;
  }
  get id() { return this.sent.findLast((m) => m.type === "subscribe").id; }

  welcome(ping = 25) { this.say({ type: "welcome", v: 1, conn: "c", epoch: "e", seq: 9, ping }); }
  subscribed(seq, more = {}) { this.say({ type: "subscribed", id: this.id, epoch: "e", seq, ...more }); }
  live(seq) { this.say({ type: "live", id: this.id, seq }); }
}

// web answers fetch; each test sets it. It gets the path with its query, and init.
export const web = { answer: null, asked: [] };

export const json = (status, body, headers = {}) => new Response(JSON.stringify(body), { status, headers });

async function fetch(url, init = {}) {
  web.asked.push(url.pathname + url.search);
  if (!web.answer) throw new TypeError("fetch failed");
  const { promise, reject } = Promise.withResolvers?.() ?? deferred();
  init.signal?.addEventListener("abort", () => reject(init.signal.reason));
  return Promise.race([promise, web.answer(url.pathname + url.search, init)]);
}

function deferred() {
  const d = {};
  d.promise = new Promise((resolve, reject) => Object.assign(d, { resolve, reject }));
  return d;
}

// stream is an answer of server-sent events.
export function stream(signal) {
  const s = { text: new TransformStream() };
  const writer = s.text.writable.getWriter(), encoder = new TextEncoder();
  writer.closed.catch(() => {});
  s.say = (text) => writer.write(encoder.encode(text)).catch(() => {});
  s.tell = (...messages) => s.say(messages.map((m) => `id: e:${m.seq}\ndata: ${JSON.stringify(m)}\n\n`).join(""));
  s.end = () => writer.close().catch(() => {});
  signal?.addEventListener("abort", () => writer.abort(signal.reason).catch(() => {}));
  s.response = new Response(s.text.readable, { headers: { "Content-Type": "text/event-stream" } });
  return s;
}

export async function settle() { for (let i = 0; i < 8; i++) await new Promise(setImmediate); }

// pass lets time go by, in small steps so that what follows from it happens in order.
export async function pass(ms) {
  await settle();
  for (let step; ms > 0; ms -= step) {
    step = Math.min(ms, 250);
    mock.timers.tick(step);
    await settle();
  }
}

// oversleep moves the clock as sleep does: no timer runs meanwhile.
export const oversleep = (ms) => mock.timers.setTime(Date.now() + ms);

export let chance = { value: 0 };

let hubs = [];
// open makes a hub whose statuses are kept as "state transport".
export function open(options = {}) {
  const hub = new JobHub("https://hub.test/base", { WebSocket: Socket, fetch, ...options });
  hub.states = [];
  hub.addEventListener("status", ({ detail }) => hub.states.push(`${detail.state} ${detail.transport}`));
  hubs.push(hub);
  return hub;
}

export const event = (seq, more = {}) => ({ type: "job.started", epoch: "e", seq, job: "j", queue: "q", kind: "k", tags: ["t"], version: 2, at: "2026-01-02T03:04:05Z", data: { state: "running" }, ...more });
export const brief = (messages) => messages.map((m) => `${m.type} ${m.seq ?? m.to ?? m.code}`);

beforeEach(() => {
  mock.timers.enable({ apis: ["setTimeout", "Date"], now: Date.UTC(2026, 0, 2) });
  mock.method(Math, "random", () => chance.value);
  chance.value = 0;
  Socket.all = [];
  Object.assign(web, { answer: null, asked: [] });
});

afterEach(() => {
  for (const hub of hubs) hub.close();
  hubs = [];
  mock.timers.reset();
  mock.restoreAll();
});

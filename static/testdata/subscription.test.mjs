import { test } from "node:test";
import assert from "node:assert/strict";
import { JobHubError } from "../jobhub.js";
import { Socket, brief, event, json, open, pass, settle, web } from "./world.mjs";

const state = (seq, job = "j") => ({ type: "state", id: Socket.last.id, job, seq, version: 1, data: { id: job, state: "running", seq } });

// reconnected loses the connection and says what the hub says to the next one.
async function reconnected() {
  Socket.last.end(1006);
  await pass(1);
  Socket.last.welcome();
}

// follow subscribes and collects what it is told.
async function follow(what) {
  const hub = open(), got = [];
  const subscription = hub.subscribe(what, (m) => got.push(m));
  await settle();
  Socket.last.welcome();
  return { hub, got, subscription };
}

test("resumes where it was, and tells nothing twice", async () => {
  const { got, subscription } = await follow({ all: true });
  Socket.last.subscribed(3);
  Socket.last.live(3);
  Socket.last.say(event(4), event(7));
  await reconnected();
  assert.deepEqual(Socket.last.asked, { all: true, since: { epoch: "e", seq: 7 } });
  Socket.last.subscribed(7, { recovered: true });
  Socket.last.say(event(7), event(8)); // within the replay
  await reconnected();
  assert.deepEqual(Socket.last.asked.since, { epoch: "e", seq: 8 });
  Socket.last.subscribed(8, { recovered: true });
  Socket.last.live(12);
  Socket.last.say(event(8), event(13), event(13));
  assert.deepEqual(brief(got), ["subscribed 3", "live 3", "job.started 4", "job.started 7", "subscribed 7", "job.started 8", "subscribed 8", "live 12", "job.started 13"]);
  assert.deepEqual(subscription.position, { epoch: "e", seq: 13 });
});

test("the position moves after the handler, also one that throws", async () => {
  const hub = open(), seen = [], thrown = [];
  const had = process.listeners("uncaughtException");
  process.removeAllListeners("uncaughtException");
  process.on("uncaughtException", (e) => thrown.push(e.message));
  const subscription = hub.subscribe({ all: true }, (m) => {
    seen.push(subscription.position?.seq);
    if (m.type === "job.started") throw new Error("handler");
  });
  await settle();
  Socket.last.welcome();
  Socket.last.subscribed(3);
  Socket.last.live(3);
  Socket.last.say(event(4), event(5));
  await settle();
  process.removeAllListeners("uncaughtException");
  for (const listener of had) process.on("uncaughtException", listener);
  assert.deepEqual(seen, [undefined, 3, 3, 4]);
  assert.deepEqual(thrown, ["handler", "handler"]);
});

test("half a snapshot is none", async () => {
  const { got, subscription } = await follow({ queue: "q", snapshot: true });
  assert.deepEqual(Socket.last.asked, { queue: "q", snapshot: true });
  Socket.last.subscribed(20);
  Socket.last.say(state(20));
  assert.equal(subscription.position, undefined);
  await reconnected();
  assert.deepEqual(Socket.last.asked, { queue: "q", snapshot: true });
  Socket.last.subscribed(21);
  Socket.last.say(state(21));
  Socket.last.live(21);
  assert.deepEqual(subscription.position, { epoch: "e", seq: 21 });
  await reconnected();
  Socket.last.subscribed(5, { epoch: "f", recovered: false, reason: "epoch" });
  Socket.last.say(state(5));
  await reconnected();
  assert.deepEqual(Socket.last.asked, { queue: "q", since: { epoch: "e", seq: 21 } });
  Socket.last.subscribed(6, { epoch: "f", recovered: false, reason: "epoch" });
  Socket.last.say(state(6));
  Socket.last.live(6);
  Socket.last.say(event(7, { epoch: "f" }));
  assert.deepEqual(subscription.position, { epoch: "f", seq: 7 });
  assert.deepEqual(brief(got), ["subscribed 20", "state 20", "subscribed 21", "state 21", "live 21", "subscribed 5", "state 5", "subscribed 6", "state 6", "live 6", "job.started 7"]);
});

test("a gap is told, and counts only once the state is whole", async () => {
  const { got, subscription } = await follow({ all: true });
  Socket.last.subscribed(3);
  Socket.last.live(3);
  const gap = { type: "gap", id: Socket.last.id, from: 3, to: 30, reason: "expired" };
  Socket.last.say(gap, state(30), { type: "ping", seq: 30 });
  assert.deepEqual(subscription.position, { epoch: "e", seq: 3 });
  Socket.last.live(30);
  Socket.last.say(event(29), event(31));
  assert.deepEqual(subscription.position, { epoch: "e", seq: 31 });
  assert.deepEqual(brief(got).slice(2), ["gap 30", "state 30", "live 30", "job.started 31"]);
});

test("pings and the events of others move a quiet subscription", async () => {
  const { got, subscription } = await follow({ job: "other" });
  Socket.last.say({ type: "ping", seq: 99 }); // before it is live
  Socket.last.subscribed(3);
  Socket.last.live(3);
  Socket.last.say(event(8));
  assert.equal(subscription.position.seq, 8);
  Socket.last.say({ type: "ping", seq: 12 }, { type: "ping", seq: 11 });
  assert.equal(subscription.position.seq, 12);
  assert.equal(got.length, 2);
});

test("each event goes to all subscriptions that select it, and to no other", async () => {
  const hub = open(), got = {};
  const filters = { all: { all: true }, job: { job: "j" }, other: { job: "x" }, queue: { queue: "q" }, kind: { kind: "k" }, tag: { tag: "t" }, noTag: { tag: "u" }, quiet: { queue: "q", progress: "none" } };
  for (const [name, what] of Object.entries(filters)) {
    got[name] = [];
    hub.subscribe(what, (m) => m.seq > 1 && got[name].push(m.seq));
  }
  await settle();
  Socket.last.welcome();
  const ids = Socket.last.sent.map((m) => m.id);
  for (const id of ids) Socket.last.say({ type: "subscribed", id, epoch: "e", seq: 1 }, { type: "live", id, seq: 1 });
  Socket.last.say(event(2), event(3, { type: "job.progress" }), { type: "queue.paused", epoch: "e", seq: 4, job: "", queue: "q", kind: "", tags: null, version: 0 });
  assert.deepEqual(got, { all: [2, 3, 4], job: [2, 3], other: [], queue: [2, 3, 4], kind: [2, 3], tag: [2, 3], noTag: [], quiet: [2, 4] });
});

test("what comes within a block is for its subscription alone", async () => {
  const { hub, got } = await follow({ all: true });
  Socket.last.subscribed(10);
  Socket.last.live(10);
  const late = [];
  hub.subscribe({ queue: "q", since: { epoch: "e", seq: 5, id: "a job" } }, (m) => late.push(m));
  assert.deepEqual(Socket.last.asked, { queue: "q", since: { epoch: "e", seq: 5 } });
  Socket.last.subscribed(5, { recovered: true });
  Socket.last.say(event(6), event(12));
  Socket.last.live(12);
  Socket.last.say(event(13));
  assert.deepEqual(brief(got), ["subscribed 10", "live 10", "job.started 13"]);
  assert.deepEqual(brief(late), ["subscribed 5", "job.started 6", "job.started 12", "live 12", "job.started 13"]);
});

test("a block that was cut off does not reach into the next connection", async () => {
  const hub = open(), got = [[], []];
  for (const told of got) hub.subscribe({ all: true, since: { epoch: "e", seq: 3 } }, (m) => told.push(m));
  await settle();
  Socket.last.welcome();
  Socket.last.subscribed(3, { recovered: true });
  const told = [...got[1]];
  Socket.last.end(1006);
  await pass(1);
  Socket.last.welcome();
  const [a, b] = Socket.last.sent.map((m) => m.id);
  for (const id of [a, b]) Socket.last.say({ type: "live", id, seq: 3 });
  Socket.last.say(event(4));
  assert.deepEqual(brief(got[0]), ["live 3", "job.started 4"]);
  assert.deepEqual(brief(got[1].slice(told.length)), ["live 3", "job.started 4"]);
});

test("an error ends a subscription, or has it asked for again", async () => {
  const { hub, got } = await follow({ job: "j" });
  const first = Socket.last.id;
  Socket.last.say({ type: "error", id: first, code: "rate_limited", message: "slowly", retry: true, after_ms: 3000 });
  await pass(2900);
  assert.equal(Socket.last.id, first);
  await pass(200);
  assert.notEqual(Socket.last.id, first);
  Socket.last.say({ type: "error", id: Socket.last.id, code: "not_found", message: "no such job", retry: false });
  assert.deepEqual(brief(got), ["error not_found"]);
  await settle();
  assert.equal(hub.status.state, "idle");
  assert.ok(!Socket.last.sent.some((m) => m.type === "unsubscribe"));
});

test("an error of no subscription is an event of the hub", async () => {
  const { hub } = await follow({ all: true });
  const errors = [];
  hub.addEventListener("error", (e) => errors.push(e.detail.code));
  Socket.last.say({ type: "error", code: "bad_message", message: "?", retry: false });
  assert.deepEqual(errors, ["bad_message"]);
});

test("a signal ends a subscription", async () => {
  const control = new AbortController();
  const { hub } = await follow({ all: true, signal: control.signal });
  control.abort();
  await settle();
  assert.equal(hub.status.state, "idle");
  assert.throws(() => hub.subscribe({ all: true, signal: control.signal }, () => {}), { name: "AbortError" });
});

test("views of the dashboard", async () => {
  const { hub, got } = await follow({ view: "overview" });
  assert.equal(hub.status.state, "connecting");
  Socket.last.say({ type: "patch", id: Socket.last.id, seq: 4, html: "<p>" });
  assert.equal(hub.status.state, "live");
  await reconnected();
  assert.deepEqual(Socket.last.asked, { view: "overview" });
  Socket.last.say({ type: "patch", id: Socket.last.id, seq: 2, html: "<p>" });
  assert.deepEqual(brief(got), ["patch 4", "patch 2"]);
});

// iterate takes messages until there are n, or the iteration ends.
async function iterate(subscription, n) {
  const got = [];
  for await (const m of subscription) if (got.push(m) === n) break;
  return got;
}

test("an iterator yields in order and leaves with its loop", async () => {
  const hub = open(), got = iterate(hub.subscribe({ all: true }), 4);
  await settle();
  Socket.last.welcome();
  Socket.last.subscribed(3);
  Socket.last.live(3);
  await settle();
  Socket.last.say(event(4), event(5), event(6));
  assert.deepEqual(brief(await got), ["subscribed 3", "live 3", "job.started 4", "job.started 5"]);
  await settle();
  assert.equal(hub.status.state, "idle");
});

test("the position of an iterator is behind what its loop is done with", async () => {
  const hub = open(), subscription = hub.subscribe({ all: true }), messages = subscription[Symbol.asyncIterator]();
  await settle();
  Socket.last.welcome();
  Socket.last.subscribed(3);
  Socket.last.live(3);
  Socket.last.say(event(4), event(5));
  const positions = [];
  for (let i = 0; i < 4; i++) {
    await messages.next();
    positions.push(subscription.position?.seq);
  }
  assert.deepEqual(positions, [undefined, 3, 3, 4]);
});

test("a slow iterator leaves what follows in the log", async () => {
  const hub = open(), subscription = hub.subscribe({ all: true, buffer: 4 }), messages = subscription[Symbol.asyncIterator]();
  await settle();
  Socket.last.welcome();
  Socket.last.subscribed(3);
  Socket.last.live(3);
  const first = Socket.last.id;
  for (let seq = 4; seq < 1000; seq++) Socket.last.say(event(seq));
  assert.deepEqual(Socket.last.sent.slice(1), [{ type: "unsubscribe", id: first }]);
  const got = [];
  for (let i = 0; i < 4; i++) got.push((await messages.next()).value);
  const next = messages.next();
  await settle();
  assert.deepEqual(Socket.last.asked, { all: true, since: { epoch: "e", seq: 5 } });
  assert.equal(hub.status.state, "live");
  Socket.last.subscribed(5, { recovered: true });
  Socket.last.say(event(6));
  Socket.last.live(6);
  got.push((await next).value, (await messages.next()).value);
  assert.deepEqual(brief(got), ["subscribed 3", "live 3", "job.started 4", "job.started 5", "subscribed 5", "job.started 6"]);
});

test("a snapshot larger than the buffer comes whole, but only one waits", async () => {
  const hub = open(), subscription = hub.subscribe({ all: true, buffer: 2, snapshot: true }), messages = subscription[Symbol.asyncIterator]();
  await settle();
  Socket.last.welcome();
  Socket.last.subscribed(9);
  for (let i = 0; i < 50; i++) Socket.last.say(state(9, `j${i}`));
  Socket.last.live(9);
  await reconnected();
  Socket.last.subscribed(3, { epoch: "f", recovered: false, reason: "epoch" });
  for (let i = 0; i < 50; i++) Socket.last.say(state(3, `j${i}`));
  Socket.last.live(3);
  for (let i = 0; i < 52; i++) await messages.next();
  messages.next();
  await settle();
  assert.deepEqual(Socket.last.asked, { all: true, since: { epoch: "e", seq: 9 } });
});

test("an iterator throws what ended it", async () => {
  const hub = open();
  const refused = iterate(hub.subscribe({ job: "j" }));
  const control = new AbortController();
  const aborted = iterate(hub.subscribe({ all: true, signal: control.signal }));
  const stopped = iterate(hub.subscribe({ all: true }));
  await settle();
  Socket.last.welcome();
  Socket.last.say({ type: "error", id: Socket.last.sent[0].id, code: "not_found", message: "no such job", retry: false });
  await assert.rejects(refused, (e) => e instanceof JobHubError && e.code === "not_found" && e.message === "no such job");
  control.abort();
  await assert.rejects(aborted, { name: "AbortError" });
  Socket.last.end(4403, "revoked");
  await assert.rejects(stopped, (e) => e.code === "stopped" && e.message === "revoked");
  const closed = iterate(hub.subscribe({ all: true }));
  hub.close();
  assert.deepEqual(await closed, []);
});

test("watch yields the document until it is final", async () => {
  const hub = open();
  web.answer = () => json(200, { id: "j", state: "running", seq: 8, version: 4, result: "fetched" });
  const watching = (async () => {
    const all = [];
    for await (const job of hub.watch({ id: "j" })) all.push([job.seq, job.version, job.state, job.progress?.percent, job.result]);
    return all;
  })();
  await settle();
  Socket.last.welcome();
  assert.deepEqual(Socket.last.asked, { job: "j", snapshot: true });
  Socket.last.subscribed(2);
  Socket.last.say({ type: "state", id: Socket.last.id, job: "j", seq: 2, version: 1, data: { id: "j", state: "queued", seq: 2, version: 1 } });
  Socket.last.live(2);
  Socket.last.say(event(3), event(4, { type: "job.output", data: { text: "x" } }), event(5, { type: "job.progress", data: { percent: 40 } }));
  await settle();
  Socket.last.say(event(6, { version: 3, data: null, truncated: true }), event(7, { version: 4 }), event(9, { type: "job.succeeded", version: 5, data: { state: "succeeded", result: 1 } }));
  assert.deepEqual(await watching, [[2, 1, "queued", undefined, undefined], [3, 2, "running", undefined, undefined], [5, 2, "running", 40, undefined],
    [8, 4, "running", undefined, "fetched"], [9, 5, "succeeded", undefined, 1]]);
});

test("submit, get and cancel", async () => {
  const asked = [];
  web.answer = (path, { method = "GET", body, headers }) => {
    asked.push([method, path, body, headers["Idempotency-Key"], headers["Content-Type"], headers.Authorization]);
    return json(method === "POST" ? 202 : 200, { id: "j", epoch: "e", seq: 4 });
  };
  const hub = open({ token: "t" });
  const job = await hub.submit({ kind: "k" }, { key: "once" });
  await hub.get("a/b");
  await hub.cancel("j");
  assert.equal(job.seq, 4);
  assert.deepEqual(asked, [["POST", "/base/v1/jobs", '{"kind":"k"}', "once", "application/json", "Bearer t"],
    ["GET", "/base/v1/jobs/a%2Fb", undefined, undefined, undefined, "Bearer t"], ["POST", "/base/v1/jobs/j/cancel", undefined, undefined, undefined, "Bearer t"]]);
});

test("a refusal says what the hub said", async () => {
  const hub = open();
  web.answer = () => json(503, { title: "Full", detail: "come back", code: "queue_full" }, { "Retry-After": "7" });
  await assert.rejects(hub.submit({ kind: "k" }), (e) => {
    assert.deepEqual([e.name, e.status, e.code, e.message, e.retryAfter], ["JobHubError", 503, "queue_full", "Full: come back", 7000]);
    return e instanceof JobHubError;
  });
  web.answer = () => new Response("<h1>who?</h1>", { status: 404 });
  await assert.rejects(hub.get("j"), { message: "the hub answered 404", code: undefined });
  web.answer = null;
  await assert.rejects(hub.get("j"), TypeError);
});

test("a refused token is fetched anew once", async () => {
  let n = 0;
  const hub = open({ token: () => `t${++n}` });
  web.answer = (path, { headers }) => (headers.Authorization === "Bearer t2" ? json(200, { id: "j" }) : json(401, { title: "Unauthorized" }));
  await hub.get("j");
  await hub.get("j");
  assert.equal(n, 2);
  web.answer = () => json(401, { title: "Unauthorized" });
  await assert.rejects(hub.get("j"), { status: 401 });
  assert.equal(n, 3);
});

test("requests can be aborted", async () => {
  web.answer = () => new Promise(() => {});
  const control = new AbortController();
  const asked = open().get("j", control);
  await settle();
  control.abort();
  await assert.rejects(asked, { name: "AbortError" });
});

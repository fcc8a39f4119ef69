import { test } from "node:test";
import assert from "node:assert/strict";
import { Socket, brief, chance, event, json, open, pass, settle, stream, web } from "./world.mjs";

// proxy is a network that lets HTTP through, but no WebSocket.
function proxy(answer) {
  web.answer = (path, init) => path === "/base/healthz" ? json(200, {}) : answer(path, init);
}

// refuse fails WebSockets until the client tries something else.
async function refuse(hub) {
  for (let i = 0; i < 10 && hub.status.transport === "ws"; i++) {
    await settle();
    if (Socket.last.readyState === 0) Socket.last.end(1006);
    await pass(1);
  }
  await settle();
}

// streaming answers /v1/events with streams that the test speaks through.
function streaming(hub) {
  const streams = [];
  proxy((path, { signal }) => {
    const s = stream(signal);
    streams.push(Object.assign(s, { path }));
    return s.response;
  });
  return streams;
}

const doc = (seq, version, state, more = {}) => ({ id: "j", state, version, epoch: "e", seq, progress: null, ...more });

test("SSE after three WebSockets in a row that did not open while HTTP works", async () => {
  const hub = open(), got = [], streams = streaming();
  const subscription = hub.subscribe({ queue: "q", snapshot: true, progress: "all" }, (m) => got.push(m));
  await refuse(hub);
  assert.equal(Socket.all.length, 3);
  assert.equal(streams[0].path, "/base/v1/events?queue=q&progress=all&snapshot=1");
  streams[0].say("retry: 2000\n\n: a comment\n\n");
  streams[0].tell({ type: "subscribed", id: "q", epoch: "e", seq: 5 });
  await settle();
  assert.equal(subscription.position, undefined);
  streams[0].tell({ type: "state", id: "q", job: "j", seq: 5, version: 1, data: {} }, { type: "live", id: "q", seq: 5 });
  await settle();
  assert.equal(hub.states.at(-1), "live sse");
  const text = `id: e:6\r\ndata: ${JSON.stringify(event(6))}\r\n\r\n`;
  for (const character of text) streams[0].say(character); // cut at every byte
  streams[0].say("id: e:9\n\n");
  await settle();
  assert.deepEqual(subscription.position, { epoch: "e", seq: 9 });
  assert.deepEqual(brief(got), ["subscribed 5", "state 5", "live 5", "job.started 6"]);

  streams[0].end();
  await settle();
  assert.deepEqual([hub.states.at(-1), hub.status.delay], ["resuming sse", 2000]);
  await pass(2001);
  assert.equal(streams[1].path, "/base/v1/events?queue=q&progress=all&epoch=e&seq=9");
  streams[1].tell({ type: "subscribed", id: "q", epoch: "e", seq: 9, recovered: true }, event(9), event(10), { type: "live", id: "q", seq: 10 });
  await settle();
  assert.deepEqual(brief(got).slice(4), ["subscribed 9", "job.started 10", "live 10"]);
});

test("a hub that is down is no reason for another transport", async () => {
  const hub = open();
  hub.subscribe({ all: true }, () => {});
  for (let i = 0; i < 20; i++) {
    await settle();
    Socket.last.end(1006);
    await pass(1);
  }
  assert.equal(Socket.all.length, 21);
  web.answer = () => json(502, {});
  for (let i = 0; i < 5; i++) {
    await settle();
    Socket.last.end(1006);
    await pass(1);
  }
  assert.deepEqual([Socket.all.length, hub.status.transport], [26, "ws"]);
});

test("nor is a hub that comes up in between", async () => {
  const hub = open();
  proxy(() => assert.fail("a request"));
  hub.subscribe({ all: true }, () => {});
  for (let i = 0; i < 5; i++) {
    for (let failures = 0; failures < 2; failures++) {
      await settle();
      Socket.last.end(1006);
      await pass(1);
    }
    Socket.last.welcome();
    Socket.last.subscribed(1, { recovered: true });
    Socket.last.live(1);
    await pass(11_000);
    Socket.last.say({ type: "ping", seq: 1 });
  }
  assert.equal(hub.status.transport, "ws");
});

test("SSE: silence for 35 s", async () => {
  const hub = open(), streams = streaming();
  hub.subscribe({ all: true }, () => {});
  await refuse(hub);
  streams[0].tell({ type: "subscribed", id: "q", epoch: "e", seq: 5 }, { type: "live", id: "q", seq: 5 });
  await pass(30_000);
  streams[0].say("id: e:6\n\n");
  await pass(34_000);
  assert.equal(streams.length, 1);
  await pass(1500);
  assert.equal(streams[1].path, "/base/v1/events?all=1&epoch=e&seq=6");
});

test("SSE: a subscription added, and one closed", async () => {
  const hub = open(), streams = streaming();
  const first = hub.subscribe({ all: true }, () => {});
  await refuse(hub);
  streams[0].tell({ type: "subscribed", id: "q", epoch: "e", seq: 5 }, { type: "live", id: "q", seq: 5 });
  await settle();
  const got = [];
  hub.subscribe({ tag: "t" }, (m) => got.push(m));
  await settle();
  streams[1].tell({ type: "subscribed", id: "q", epoch: "e", seq: 5 }, { type: "live", id: "q", seq: 5 }, event(6));
  first.close();
  await settle();
  assert.deepEqual(brief(got), ["subscribed 5", "live 5", "job.started 6"]);
  assert.equal(hub.status.state, "live");
});

test("SSE: a subscription added before the first says anything", async () => {
  const hub = open(), streams = streaming(), got = [];
  hub.subscribe({ all: true }, () => {});
  await refuse(hub);
  hub.subscribe({ tag: "t" }, (m) => got.push(m));
  await settle();
  assert.equal(streams.length, 2);
  streams[1].tell({ type: "subscribed", id: "q", epoch: "e", seq: 5 }, { type: "live", id: "q", seq: 5 });
  await settle();
  assert.deepEqual([brief(got), hub.status.state], [["subscribed 5", "live 5"], "connecting"]);
});

test("SSE: tokens, refusals and a busy hub", async () => {
  let n = 0, status = 401;
  const hub = open({ token: () => `t${++n}` }), got = [];
  const tokens = [];
  proxy((path, { headers }) => {
    tokens.push(headers.Authorization);
    return json(status, { title: "No", code: "forbidden" }, { "Retry-After": "7" });
  });
  hub.subscribe({ all: true }, (m) => got.push(m));
  await refuse(hub);
  await settle();
  assert.deepEqual(tokens, ["Bearer t1", "Bearer t2"]);
  assert.deepEqual([hub.status.state, hub.status.code], ["stopped", 401]);
  status = 403;
  hub.subscribe({ all: true }, (m) => got.push(m));
  await settle();
  assert.deepEqual(got.at(-1), { type: "error", code: "forbidden", message: "No", retry: false });
  status = 503;
  hub.subscribe({ all: true }, () => {});
  await settle();
  assert.deepEqual([hub.status.delay, hub.status.transport, Socket.all.length], [7000, "ws", 3]);
  await pass(7001);
  assert.equal(Socket.all.length, 4); // and from there it is one step to SSE
  await refuse(hub);
  assert.equal(Socket.all.length, 4);
});

test("polling where streams are held back", async () => {
  const hub = open(), got = [];
  proxy((path, { signal }) => path.startsWith("/base/v1/events") ? stream(signal).response : json(200, doc(5, 1, "queued")));
  hub.subscribe({ job: "j" }, (m) => got.push(m));
  await refuse(hub);
  await pass(9000);
  assert.equal(hub.status.state, "connecting");
  await pass(1500);
  assert.equal(hub.states.at(-1), "live poll");
});

test("polling a job: each change as a gap and the state", async () => {
  const hub = open(), got = [], asked = [], waits = [];
  let answer;
  proxy((path, { headers }) => {
    if (path.startsWith("/base/v1/events")) return json(404, { title: "Not found" });
    asked.push(path.slice("/base".length));
    waits.push(headers.Prefer);
    return new Promise((resolve) => { answer = (...d) => resolve(json(200, doc(...d))); });
  });
  const subscription = hub.subscribe({ job: "j" }, (m) => got.push(m));
  await refuse(hub);
  answer(5, 1, "queued");
  await pass(1000);
  answer(8, 2, "running");
  await pass(1000);
  answer(9, 2, "running", { progress: { percent: 40 } });
  await pass(1000);
  answer(12, 2, "running", { progress: { percent: 40 } });
  await pass(1000);
  assert.deepEqual(subscription.position, { epoch: "e", seq: 12 });
  answer(15, 3, "succeeded");
  await pass(20_000);
  assert.deepEqual(asked, ["/v1/jobs/j", "/v1/jobs/j?version=1", "/v1/jobs/j?version=2", "/v1/jobs/j?version=2", "/v1/jobs/j?version=2"]);
  assert.deepEqual(waits, [undefined, "wait=10", "wait=10", "wait=10", "wait=10"]);
  assert.deepEqual(brief(got), ["subscribed 5", "live 5", "gap 8", "state 8", "live 8", "gap 9", "state 9", "live 9", "gap 15", "state 15", "live 15"]);
  assert.deepEqual([got[2].from, got[2].reason, got[3].data.state, hub.status.state], [5, "poll", "running", "live"]);
});

test("polling a queue: unfinished jobs, and what has ended", async () => {
  const hub = open(), got = [], asked = [];
  let page;
  const job = (id, version, state) => ({ id, version, state, progress: null });
  proxy((path) => path.startsWith("/base/v1/events") ? json(404, {}) : (asked.push(path), json(200, page)));
  page = { epoch: "e", seq: 5, jobs: [job("a", 1, "queued"), job("b", 2, "running"), job("c", 9, "failed")], next_cursor: "more" };
  hub.subscribe({ queue: "q", snapshot: true }, (m) => got.push(m));
  await refuse(hub);
  page = { epoch: "e", seq: 9, jobs: [job("a", 1, "queued"), job("b", 3, "succeeded"), job("c", 9, "failed")] };
  await pass(2100);
  page = { epoch: "f", seq: 2, jobs: [] };
  await pass(2100);
  assert.equal(asked[0], "/base/v1/jobs?queue=q&limit=500");
  const jobs = (from, to) => got.slice(from, to).map((m) => m.type === "state" ? `${m.job} ${m.data.state}` : m.type);
  assert.deepEqual(jobs(0, 8), ["subscribed", "a queued", "b running", "live", "gap", "a queued", "b succeeded", "live"]);
  assert.deepEqual([got[3].truncated, got[7].truncated], [true, undefined]);
});

test("polling: another epoch, an unknown job, and a hub that goes away", async () => {
  const hub = open(), got = [];
  let answer = () => json(200, doc(2, 1, "queued", { epoch: "f" }));
  proxy((path) => path.startsWith("/base/v1/events") ? json(501, {}) : answer());
  hub.subscribe({ job: "j", since: { epoch: "e", seq: 9 } }, (m) => got.push(m));
  await refuse(hub);
  assert.deepEqual([got[0].type, got[0].recovered, got[0].reason, got[1].type], ["subscribed", false, "epoch", "state"]);
  const unknown = [];
  answer = () => json(404, { title: "Not found", code: "not_found" });
  hub.subscribe({ job: "x" }, (m) => unknown.push(m));
  await settle();
  assert.deepEqual(brief(unknown), ["error not_found"]);
  web.answer = null;
  chance.value = 0.5;
  hub.subscribe({ job: "y" }, () => {});
  await settle();
  assert.deepEqual([hub.status.state, hub.status.transport], ["resuming", "ws"]);
});

test("SSE: what came in one piece with a goodbye is not heard", async () => {
  const hub = open(), got = [], streams = streaming();
  hub.subscribe({ all: true }, (m) => got.push(m));
  await refuse(hub);
  streams[0].tell({ type: "subscribed", id: "q", epoch: "e", seq: 5 }, { type: "live", id: "q", seq: 5 }, event(6), { type: "reconnect", after_ms: 700 }, event(7));
  await settle();
  assert.deepEqual(brief(got), ["subscribed 5", "live 5", "job.started 6"]);
  assert.equal(hub.status.delay, 700);
});

test("SSE: an unknown job ends its subscription and no other", async () => {
  const hub = open(), got = [], streams = [];
  proxy((path, { signal }) => {
    if (path.includes("job")) return json(404, { title: "Not found", code: "not_found" });
    streams.push(stream(signal));
    streams[0].tell({ type: "subscribed", id: "q", epoch: "e", seq: 5 }, { type: "live", id: "q", seq: 5 });
    return streams[0].response;
  });
  hub.subscribe({ all: true }, () => {});
  hub.subscribe({ job: "x" }, (m) => got.push(m));
  await refuse(hub);
  await settle();
  assert.deepEqual(brief(got), ["error not_found"]);
  assert.deepEqual([streams.length, hub.states.at(-1)], [1, "live sse"]);
});

test("polling: an answer that does not come", async () => {
  const hub = open();
  proxy((path) => path.startsWith("/base/v1/events") ? json(404, {}) : new Promise(() => {}));
  hub.subscribe({ all: true }, () => {});
  await refuse(hub);
  await pass(19_000);
  assert.equal(hub.status.state, "stale");
  chance.value = 1;
  await pass(1100);
  assert.equal(hub.status.reason, "the hub is silent");
});

test("no more than four requests are held open", async () => {
  const hub = open(), streams = [], polls = [];
  proxy((path, { signal }) => {
    if (!path.startsWith("/base/v1/events")) return polls.push(path), json(200, { epoch: "e", seq: 5, jobs: [] });
    const s = stream(signal);
    streams.push(s);
    s.tell({ type: "subscribed", id: "q", epoch: "e", seq: 5 }, { type: "live", id: "q", seq: 5 });
    return s.response;
  });
  for (let i = 0; i < 6; i++) hub.subscribe({ queue: `q${i}` }, () => {});
  await refuse(hub);
  await settle();
  assert.deepEqual([streams.length, polls.length, hub.states.at(-1)], [4, 2, "live sse"]);
});

test("after five minutes WebSocket is tried again", async () => {
  const hub = open(), streams = streaming();
  hub.subscribe({ all: true }, () => {});
  await refuse(hub);
  streams[0].tell({ type: "subscribed", id: "q", epoch: "e", seq: 5 }, { type: "live", id: "q", seq: 5 });
  for (let i = 0; i < 12; i++) {
    await pass(24_000);
    streams[0].say(`id: e:${6 + i}\n\n`);
  }
  await pass(16_000);
  assert.equal(Socket.all.length, 4);
  Socket.last.welcome();
  assert.deepEqual(Socket.last.asked, { all: true, since: { epoch: "e", seq: 17 } });
  Socket.last.subscribed(17, { recovered: true });
  Socket.last.live(17);
  assert.equal(hub.states.at(-1), "live ws");
});

test("without a WebSocket at all it begins with SSE", async () => {
  const had = globalThis.WebSocket;
  globalThis.WebSocket = undefined;
  try {
    const hub = open({ WebSocket: undefined }), streams = streaming();
    hub.subscribe({ all: true }, () => {});
    await settle();
    streams[0].tell({ type: "subscribed", id: "q", epoch: "e", seq: 5 }, { type: "live", id: "q", seq: 5 });
    await settle();
    assert.deepEqual(hub.states.at(-1), "live sse");
  } finally {
    globalThis.WebSocket = had;
  }
});

test("views have no lesser transport: their page polls by itself", async () => {
  const hub = open();
  proxy(() => assert.fail("a request"));
  hub.subscribe({ view: "overview" }, () => {});
  await refuse(hub);
  assert.equal(hub.states.at(-1), "live sse");
  await pass(120_000);
  assert.equal(hub.states.at(-1), "live sse");
});

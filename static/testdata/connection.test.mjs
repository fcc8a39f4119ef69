import { test } from "node:test";
import assert from "node:assert/strict";
import { Socket, chance, event, open, oversleep, pass, settle, web } from "./world.mjs";

// connected is a hub with one subscription that is live at 3.
async function connected(options) {
  const hub = open(options);
  hub.got = [];
  hub.subscription = hub.subscribe({ all: true }, (m) => hub.got.push(m));
  await live(3);
  return hub;
}

async function live(seq, more) {
  await settle();
  Socket.last.welcome();
  Socket.last.subscribed(seq, more);
  Socket.last.live(seq);
}

test("connects with the subprotocol and below the base", async () => {
  const hub = await connected();
  assert.equal(Socket.last.url, "wss://hub.test/base/v1/ws");
  assert.deepEqual(Socket.last.offer, ["jobhub.v1"]);
  assert.deepEqual(Socket.last.asked, { all: true });
  assert.deepEqual(hub.states, ["connecting ws", "live ws"]);
});

for (const code of [1000, 1001, 1005, 1006, 1011, 1012, 1013, 4000, 4001, 4099]) {
  test(`close ${code}: reconnects and resumes`, async () => {
    const hub = await connected();
    Socket.last.end(code, "why");
    assert.equal(hub.status.state, "resuming");
    assert.equal(hub.status.code, code);
    await pass(0);
    await pass(1);
    assert.equal(Socket.all.length, 2);
    Socket.last.welcome();
    assert.deepEqual(Socket.last.asked, { all: true, since: { epoch: "e", seq: 3 } });
  });
}

for (const code of [1002, 1003, 1007, 1008, 1009, 1010, 4400, 4401, 4403, 4499]) {
  test(`close ${code}: stops and says why`, async () => {
    const hub = await connected();
    Socket.last.end(code, "because");
    await pass(100_000);
    assert.equal(Socket.all.length, 1);
    assert.equal(hub.states.at(-1), "stopped ws");
    assert.deepEqual([hub.status.code, hub.status.reason], [code, "because"]);
    assert.deepEqual(hub.got.at(-1), { type: "error", code: "stopped", message: "because", retry: false });
  });
}

for (const code of [4100, 4150, 4199]) {
  test(`close ${code}: gets a new token first`, async () => {
    let n = 0;
    const hub = await connected({ token: async () => `t${++n}` });
    Socket.last.end(code);
    await pass(1);
    await live(3, { recovered: true });
    assert.deepEqual(Socket.all.map((s) => s.offer[1]), ["jobhub.token.dDE", "jobhub.token.dDI"]);
    assert.equal(hub.status.state, "live");
    Socket.last.end(1006); // the token is still good
    await pass(1);
    assert.equal(Socket.last.offer[1], "jobhub.token.dDI");
  });

  test(`close ${code}: stops with a fixed token`, async () => {
    const hub = await connected({ token: "tökén?>" });
    assert.equal(Socket.last.offer[1], "jobhub.token.dMO2a8Opbj8-");
    Socket.last.end(code);
    await pass(60_000);
    assert.deepEqual([hub.status.state, Socket.all.length], ["stopped", 1]);
  });
}

test("a token that can't be had is asked for again", async () => {
  let n = 0;
  const hub = open({ token: async () => { if (++n < 3) throw new Error("issuer down"); return "t"; } });
  hub.subscribe({ all: true }, () => {});
  await settle();
  assert.equal(hub.status.reason, "issuer down");
  await pass(3000);
  assert.equal(n, 3);
  assert.equal(Socket.all.length, 1);
});

test("expiring: sends a new token on the same connection", async () => {
  let n = 0;
  await connected({ token: () => `t${++n}` });
  Socket.last.say({ type: "expiring", in_ms: 30_000 });
  await settle();
  assert.deepEqual(Socket.last.sent.at(-1), { type: "refresh", id: "refresh", token: "t2" });
  Socket.last.say({ type: "reply", id: "refresh", data: {} });
  assert.equal(Socket.all.length, 1);
});

test("waits at random below a bound that doubles from 0.5 s to 30 s", async () => {
  const hub = await connected();
  for (const value of [0, 0.5, 0.999]) {
    chance.value = value;
    const delays = [];
    const lose = async () => {
      Socket.last.end(1006);
      delays.push(hub.status.delay);
      await pass(hub.status.delay + 1);
    };
    await pass(10_000);
    for (let i = 0; i < 9; i++) await lose();
    assert.deepEqual(delays, [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000].map((bound) => bound * value));
    await live(3, { recovered: true });
  }
});

test("the bounds of the wait are options", async () => {
  const hub = await connected({ minDelay: 100, maxDelay: 300 });
  chance.value = 1;
  const delays = [];
  for (let i = 0; i < 4; i++) {
    Socket.last.end(1006);
    delays.push(hub.status.delay);
    await pass(301);
  }
  assert.deepEqual(delays, [100, 200, 300, 300]);
});

test("only a connection that lasted 10 s makes the wait short again", async () => {
  const hub = await connected();
  chance.value = 1;
  const lose = async (after) => {
    await pass(after);
    Socket.last.end(1006);
    const { delay } = hub.status;
    await pass(delay + 1);
    await live(3, { recovered: true });
    return delay;
  };
  assert.equal(await lose(0), 500);
  assert.equal(await lose(9000), 1000);
  assert.equal(await lose(9000), 2000);
  assert.equal(await lose(10_000), 500);
});

test("reconnect: comes back after the time that the hub chose", async () => {
  const hub = await connected();
  chance.value = 1;
  Socket.last.say({ type: "reconnect", after_ms: 7000 });
  assert.equal(Socket.last.closed, true);
  assert.equal(hub.status.delay, 7000);
  await pass(6900);
  assert.equal(Socket.all.length, 1);
  await pass(101);
  assert.equal(Socket.all.length, 2);
});

test("silence: gives the connection up 10 s after the hub should have pinged", async () => {
  const hub = await connected();
  await pass(30_000);
  Socket.last.say({ type: "ping", seq: 5 });
  await pass(34_500);
  assert.equal(Socket.all.length, 1);
  await pass(1000);
  assert.deepEqual([Socket.all.length, Socket.all[0].closed, hub.states.at(-2)], [2, true, "resuming ws"]);
});

test("silence: its bound follows the hub's ping", async () => {
  open().subscribe({ all: true }, () => {});
  await settle();
  Socket.last.welcome(60);
  await pass(69_500);
  assert.equal(Socket.all.length, 1);
  await pass(1000);
  assert.equal(Socket.all.length, 2);
});

test("silence: a connection that does not open is given up after 10 s", async () => {
  open().subscribe({ all: true }, () => {});
  await pass(9900);
  assert.equal(Socket.all.length, 1);
  await pass(200);
  assert.equal(Socket.all.length, 2);
});

test("sleep: asks the hub for a sign of life, and connects again without one", async () => {
  await connected();
  oversleep(3_600_000);
  await pass(5000);
  assert.deepEqual(Socket.last.sent.at(-1), { type: "ping", t: 0 });
  assert.equal(Socket.all.length, 1);
  await pass(5000);
  assert.equal(Socket.all.length, 2);
});

test("sleep: a connection that lives on is kept", async () => {
  await connected();
  for (let i = 0; i < 3; i++) {
    oversleep(60_000);
    await pass(5000);
    Socket.last.say({ type: "pong", t: 0 });
    await pass(5000);
  }
  assert.equal(Socket.all.length, 1);
});

// A page in the background has its timers held back: it must notice the loss all the same.
test("sleep: late timers do not hide that the hub is gone", async () => {
  await connected();
  for (let i = 0; i < 2; i++) {
    assert.equal(Socket.all.length, 1);
    oversleep(60_000);
    await pass(5000);
  }
  assert.equal(Socket.all.length, 2);
});

test("online, visible and shown again: looks at once", async () => {
  const page = new EventTarget(), tab = Object.assign(new EventTarget(), { visibilityState: "visible", baseURI: "https://hub.test/" });
  const had = globalThis.addEventListener;
  Object.assign(globalThis, { addEventListener: page.addEventListener.bind(page), document: tab });
  try {
    const hub = await connected();
    chance.value = 1;
    for (const wake of [() => page.dispatchEvent(new Event("online")), () => tab.dispatchEvent(new Event("visibilitychange"))]) {
      const before = Socket.all.length;
      Socket.last.end(1006);
      wake();
      await settle();
      assert.equal(Socket.all.length, before + 1);
      await live(3, { recovered: true });
      wake();
      assert.deepEqual(Socket.last.sent.at(-1), { type: "ping", t: 0 });
      Socket.last.say({ type: "pong", t: 0 });
    }
    page.dispatchEvent(new Event("pagehide"));
    assert.equal(Socket.last.closed, true);
    const before = Socket.all.length;
    page.dispatchEvent(Object.assign(new Event("pageshow"), { persisted: true }));
    await live(3, { recovered: true });
    assert.deepEqual([Socket.all.length, hub.status.state], [before + 1, "live"]);
    tab.dispatchEvent(new Event("freeze"));
    assert.equal(Socket.last.closed, true);
    tab.dispatchEvent(new Event("resume"));
    await live(3, { recovered: true });
    assert.deepEqual([Socket.all.length, hub.status.state], [before + 2, "live"]);
    hub.close();
    page.dispatchEvent(new Event("online"));
    await settle();
    assert.equal(Socket.all.length, before + 2);
  } finally {
    globalThis.addEventListener = had;
    delete globalThis.document;
  }
});

test("status: connecting, live, resuming, stale, and live again", async () => {
  const hub = await connected();
  const since = hub.status.since;
  chance.value = 1;
  Socket.last.end(1006);
  const lost = hub.status.since;
  assert.ok(lost >= since);
  await pass(400);
  for (let i = 0; i < 4; i++) {
    await pass(4000);
    Socket.last.end(1006);
  }
  await pass(16_000);
  assert.equal(hub.status.since, lost, "since the loss, however often it tried");
  await live(3, { recovered: true });
  assert.deepEqual(hub.states.filter((s, i) => s !== hub.states[i - 1]), ["connecting ws", "live ws", "resuming ws", "stale ws", "live ws"]);
  await pass(20_000);
  assert.equal(hub.states.at(-1), "live ws");
  Socket.last.end(1006); // the next loss is told of like the first
  await pass(400);
  assert.equal(hub.status.state, "resuming");
  await pass(10_000);
  assert.equal(hub.status.state, "stale");
});

test("not live before all subscriptions are", async () => {
  const hub = open();
  hub.subscribe({ all: true }, () => {});
  hub.subscribe({ queue: "q" }, () => {});
  await settle();
  Socket.last.welcome();
  const [a, b] = Socket.last.sent.map((m) => m.id);
  Socket.last.say({ type: "subscribed", id: a, epoch: "e", seq: 1 }, { type: "live", id: a, seq: 1 });
  assert.equal(hub.status.state, "connecting");
  Socket.last.say({ type: "subscribed", id: b, epoch: "e", seq: 1 }, { type: "live", id: b, seq: 1 });
  assert.equal(hub.status.state, "live");
});

test("idle with the last subscription, and again with the next", async () => {
  const hub = await connected();
  hub.subscription.close();
  assert.deepEqual(Socket.last.sent.at(-1), { type: "unsubscribe", id: Socket.last.id });
  await settle();
  assert.deepEqual([Socket.last.closed, hub.states.at(-1)], [true, "idle ws"]);
  hub.subscribe({ queue: "q" }, () => {});
  await live(4);
  assert.deepEqual([Socket.all.length, hub.status.state], [2, "live"]);
});

test("closed by the first status, it does nothing more", async () => {
  const hub = open();
  hub.addEventListener("status", () => hub.close(), { once: true });
  hub.subscribe({ all: true }, () => {});
  await pass(60_000);
  assert.deepEqual([Socket.all.length, hub.states.at(-1)], [0, "idle ws"]);
});

test("what is not jobhub.v1 stops it", async () => {
  const hub = await connected();
  Socket.last.onmessage({ data: "<html>" });
  assert.deepEqual([hub.status.state, hub.status.code], ["stopped", 1002]);
  assert.match(hub.status.reason, /jobhub\.v1/);
});

test("what later versions say is passed over", async () => {
  const hub = await connected();
  Socket.last.say({ type: "weather", news: 1 }, event(4, { news: 2 }));
  assert.equal(hub.got.at(-1).seq, 4);
  assert.equal(web.asked.length, 0);
});

test("what an old connection still says is not heard", async () => {
  const hub = await connected();
  const old = Socket.last;
  old.end(1006);
  old.say(event(4));
  old.end(4403);
  assert.deepEqual([hub.status.state, hub.got.at(-1).type], ["resuming", "live"]);
});

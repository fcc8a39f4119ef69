// The JavaScript client of a hub: one module without dependencies, for browsers and
// for Node from version 20 on. jobhub.d.ts describes it.
//
//   const hub = new JobHub("https://hub.example.com", { token: () => fetchToken() });
//   hub.addEventListener("status", (e) => show(e.detail.state, e.detail.transport));
//   hub.subscribe({ queue: "reports", snapshot: true }, (message) => console.log(message.type));
//   const job = await hub.submit({ kind: "report", input: { month: 5 } });
//   for await (const { state, progress } of hub.watch(job)) console.log(state, progress);
//
// After a lost connection it reconnects by itself and resumes every subscription where it was,
// so no change is missed or delivered twice. If the hub can't resume, `subscribed` with
// recovered: false or `gap` says so, and the current state follows. Where WebSockets are
// blocked it uses server-sent events, and where these are blocked too, it polls.

const TRANSPORTS = ["ws", "sse", "poll"];
const PATIENCE = 10_000; // ms to wait for an answer, and for a ping beyond the time when it was due
const PING = 25_000;     // ms between the hub's heartbeats, unless its welcome says otherwise
const TICK = 5000;       // ms between checks of the clock
const STABLE = 10_000;   // a connection that lasts this many ms was successful
const STALE = 10_000;    // ms without a connection after which the status is stale
const REFUSALS = 2;      // WebSockets that fail while HTTP works, until the next transport is used
const CLIMB = 300_000;   // ms on another transport until WebSocket is tried again
const HELD = 4;          // requests held open at the same time; browsers allow six per host

const FINAL = new Set(["succeeded", "failed", "cancelled"]);

// What a close code asks the client to do; its range decides.
function verdict(code) {
  if ([1002, 1003, 1007, 1008, 1009, 1010].includes(code) || (code >= 4400 && code <= 4499)) return "stop";
  if (code >= 4100 && code <= 4199) return "renew";
  return "resume";
}

// JobHubError is an error that the hub answered with.
export class JobHubError extends Error {
  constructor({ status, code, title, message, detail, retryAfter, ...problem }) {
    super([message ?? title ?? `the hub answered ${status}`, detail].filter(Boolean).join(": "));
    Object.assign(this, { name: "JobHubError", status, code, retryAfter, problem });
  }
}

// Subscription is a filter and the position up to which its messages were handled.
class Subscription {
  live = false;    // `live` was received on this connection
  partial = false; // in the middle of a snapshot: the position stays before it until it is complete
  paused = false;  // the queue is full; the log keeps the next messages
  closed = false;
  #reached;        // on this connection
  #queue = null;   // {message, position} that the iterator has not read yet
  #wake = () => {};

  constructor({ since, snapshot, progress, signal, buffer = 256, ...filter }, handler, hub) {
    Object.assign(this, { filter, snapshot, progress, signal, buffer, handler, hub });
    this.since = this.position = since && { epoch: since.epoch, seq: since.seq };
    if (!handler) this.#queue = [];
    this.stop = () => this.close();
    signal?.addEventListener("abort", this.stop);
  }

  matches({ type, job, queue, kind, tags }) {
    const f = this.filter;
    if (type === "job.progress" && this.progress === "none") return false;
    return f.all || (f.job ? f.job === job : f.queue ? f.queue === queue : f.kind ? f.kind === kind : tags?.includes(f.tag));
  }

  // take delivers a message and then moves the position.
  take(message) {
    const { type, seq } = message;
    const event = /^(job|queue)\./.test(type);
    if (event && seq <= this.#reached?.seq) return; // delivered already
    const whole = this.partial && (type === "state" || type === "live"); // the hub limits the size of a snapshot
    if (this.#queue?.length >= this.buffer && !whole) return this.paused = true, this.hub.quit(this);
    if (type === "subscribed") {
      this.#reached = { epoch: message.epoch, seq };
      this.partial = message.recovered === undefined ? Boolean(this.snapshot) : !message.recovered;
    } else if (type === "gap") this.partial = true;
    else if (type === "live" || type === "patch") {
      this.live = true;
      this.partial = false;
    }
    if (event || type === "live") this.#reached = { epoch: this.#reached?.epoch ?? message.epoch, seq };
    this.#deliver(message, this.partial || type === "patch" ? this.since : this.#reached);
  }

  // reach moves the position past events that are not for this subscription.
  reach(seq) {
    if (!this.live || !(seq > this.#reached?.seq)) return;
    this.#reached = { ...this.#reached, seq };
    if (this.partial) return;
    this.since = this.#reached;
    if (!this.#queue?.length) this.position = this.since;
  }

  #deliver(message, position) {
    if (this.#queue) this.#queue.push({ message, position });
    else try { this.handler(message); } catch (e) { queueMicrotask(() => { throw e; }); } // report the error of the handler, and continue
    this.since = position;
    if (!this.#queue) this.position = position;
    this.#wake();
  }

  // end closes the subscription with an error for the caller.
  end(error) {
    if (this.closed) return;
    this.#deliver({ type: "error", ...error }, this.since);
    this.close();
  }

  close() {
    if (this.closed) return;
    this.closed = true;
    this.signal?.removeEventListener("abort", this.stop);
    this.hub.leave(this);
    this.#wake();
  }

  async *[Symbol.asyncIterator]() {
    try {
      for (;;) {
        this.signal?.throwIfAborted();
        const next = this.#queue.shift();
        if (next?.message.type === "error") throw new JobHubError(next.message);
        if (next) {
          yield next.message;
          this.position = next.position;
        } else if (this.closed) return;
        else {
          if (this.paused) this.hub.ask(this);
          await new Promise((wake) => { this.#wake = wake; });
        }
      }
    } finally {
      this.close();
    }
  }
}

export class JobHub extends EventTarget {
  #base; #options; #token; #life;
  #subscriptions = new Set();
  #named = new Map();  // id on this connection → subscription
  #names = 0;
  #block;              // id of the subscription whose snapshot or replay is being received
  #link;               // aborted when the connection, or the attempt to connect, has ended
  #send = () => {};
  #rung = 0;           // of TRANSPORTS
  #climbed = 0;        // when the rung was chosen
  #http;               // a promise: did HTTP work while a WebSocket was opened?
  #refused = 0; #failures = 0;
  #held = new Set();   // subscriptions with a request held open
  #opened = 0; #heard = 0; #patience = 0; #ticked = 0; #checked = 0; // moments and durations in ms
  #watch; #retry; #stale;
  #asks = 0;           // 1 while subscribe messages can be sent
  #lived = false;
  #epoch;
  #status = { state: "idle", transport: "ws", since: new Date() };
  #hooks = {
    ask: (s) => { s.paused = false; if (this.#asks) this.#ask(s); },
    quit: (s) => this.#quit(s),
    leave: (s) => this.#leave(s),
    answer: (path, init) => this.#answer(path, init),
    receive: (message, s) => this.#receive(message, s),
    hear: () => this.#hear(),
    lost: (code, reason, after) => this.#lost(code, reason, after),
  };

  constructor(url = "/", options = {}) {
    super();
    this.#base = new URL(url, globalThis.document?.baseURI);
    if (!this.#base.pathname.endsWith("/")) this.#base.pathname += "/";
    this.#options = { minDelay: 500, maxDelay: 30_000, ...options };
  }

  get status() { return this.#status; }

  // The epoch of the log in the hub's last welcome.
  get epoch() { return this.#epoch; }

  // ---- calls of the user

  // subscribe follows what {job|queue|tag|kind|all, since?, snapshot?, progress?,
  // signal?, buffer?} selects. Without a handler the caller iterates over the subscription.
  subscribe(what, handler) {
    what.signal?.throwIfAborted();
    const s = new Subscription(what, handler, this.#hooks);
    this.#subscriptions.add(s);
    if (this.#asks) this.#ask(s);
    else if (!this.#link) this.#start();
    return s;
  }

  // watch iterates over a job's document, from the current one to the final one.
  async *watch(job, { signal } = {}) {
    const id = job.id ?? job;
    let now;
    for await (const m of this.subscribe({ job: id, snapshot: true, signal })) {
      if (m.type === "state") now = m.data ?? await this.get(id, { signal });
      else if (!m.type.startsWith("job.") || m.type === "job.output" || !(m.seq > now?.seq)) continue;
      else if (m.truncated) now = await this.get(id, { signal });
      else if (m.type === "job.progress") {
        const { start, ...progress } = m.data;
        now = { ...now, seq: m.seq, progress };
      }
      else now = { ...now, seq: m.seq, version: m.version, ...m.data };
      yield now;
      if (FINAL.has(now.state)) return;
    }
  }

  // submit returns the job once it is accepted, durably. After an error without a status the
  // job may still be accepted: send it again with the same key.
  submit(job, { key, signal } = {}) {
    const headers = { "Content-Type": "application/json", ...(key && { "Idempotency-Key": key }) };
    return this.#json("v1/jobs", { method: "POST", body: JSON.stringify(job), headers, signal });
  }

  get(id, { signal } = {}) { return this.#json(`v1/jobs/${encodeURIComponent(id)}`, { signal }); }

  cancel(id, { signal } = {}) { return this.#json(`v1/jobs/${encodeURIComponent(id)}/cancel`, { method: "POST", signal }); }

  // close ends all subscriptions and the connection.
  close() {
    for (const s of [...this.#subscriptions]) s.close();
    this.#rest();
  }

  // ---- opening and closing the connection

  #start() {
    this.#life = new AbortController();
    const { signal } = this.#life;
    const on = (target, type, f) => target?.addEventListener?.(type, f, { signal });
    on(globalThis, "online", () => this.#wake());
    on(globalThis.document, "visibilitychange", () => document.visibilityState === "visible" && this.#wake());
    on(globalThis, "pagehide", () => this.#drop()); // an open connection keeps a page out of the browser's cache
    on(globalThis, "pageshow", (e) => e.persisted && this.#open());
    on(globalThis.document, "freeze", () => this.#drop()); // the browser closes connections, perhaps without an event
    on(globalThis.document, "resume", () => this.#link.signal.aborted && this.#open());
    this.#open();
  }

  #rest() {
    if (this.#subscriptions.size || !this.#link) return;
    this.#end();
    this.#tell("idle");
  }

  async #open() {
    this.#drop();
    const { signal } = this.#link = new AbortController();
    if (!this.#WebSocket) this.#rung ||= 1;
    this.#tell(this.#status.state === "stale" ? "stale" : this.#lived ? "resuming" : "connecting");
    if (signal.aborted) return;
    this.#heard = this.#ticked = Date.now();
    this.#patience = PATIENCE;
    this.#listen();
    try { await this.#bearer(); } catch (e) { return signal.aborted || this.#lost(0, e.message); }
    if (signal.aborted) return;
    if (!this.#rung) return this.#socket(signal);
    if (this.#rung === 2 || ![...this.#subscriptions].some((s) => !s.filter.view)) this.#welcome(PING);
    else this.#askAll();
  }

  #socket(signal) {
    const offer = ["jobhub.v1"];
    if (this.#token) offer.push(`jobhub.token.${base64url(this.#token)}`);
    const url = new URL("v1/ws", this.#base);
    url.protocol = url.protocol.replace("http", "ws");
    // A script can't see why no WebSocket opens. If HTTP works, WebSockets are blocked.
    if (this.#failures + this.#refused) this.#http =
      this.#fetch("healthz", { mode: "no-cors", cache: "no-store", signal: this.#life.signal }).then((r) => r.status < 500, () => false);
    let socket;
    try { socket = new this.#WebSocket(url, offer); } catch (e) { return this.#stop(0, e.message); }
    this.#send = (m) => { if (socket.readyState === 1) socket.send(JSON.stringify(m)); };
    signal.addEventListener("abort", () => socket.close());
    socket.onmessage = ({ data }) => {
      for (const line of data.split("\n")) {
        if (signal.aborted) return;
        let message;
        try { message = line && JSON.parse(line); } catch { return this.#stop(1002, "the server does not speak jobhub.v1"); }
        if (message) this.#receive(message);
      }
    };
    socket.onerror = () => {}; // a close event follows
    socket.onclose = (e) => signal.aborted || this.#lost(e.code, e.reason);
  }

  // A dead connection is dropped at once: its close event may come minutes later.
  #drop() {
    clearTimeout(this.#watch);
    clearTimeout(this.#retry);
    this.#link?.abort();
    this.#named.clear();
    for (const s of this.#subscriptions) s.live = false;
    this.#send = () => {};
    this.#block = this.#http = undefined;
    this.#held.clear();
    this.#retry = this.#opened = this.#checked = this.#asks = 0;
  }

  // lost drops the connection and plans the next one: after the time (ms) that the hub asked
  // for, plus a random time below a bound that doubles. spread is 0 if the hub's time is random.
  #lost(code, reason, after = 0, spread = Math.random()) {
    const what = verdict(code), { opened, http } = { opened: this.#opened, http: this.#http };
    if (what === "stop" || (what === "renew" && !this.#renewable())) return this.#stop(code, reason);
    if (what === "renew") this.#token = undefined;
    this.#drop();
    if (opened && Date.now() - opened >= STABLE) this.#failures = 0;
    if (!opened && !this.#rung) http?.then((works) => { if (works && ++this.#refused >= REFUSALS && !this.#rung) this.#change(1); });
    const { minDelay, maxDelay } = this.#options;
    const delay = after + spread * Math.min(maxDelay, minDelay * 2 ** this.#failures++);
    this.#retry = setTimeout(() => this.#open(), delay);
    this.#stale ??= setTimeout(() => this.#tell("stale", { code, reason }), STALE);
    this.#tell(this.#status.state === "stale" ? "stale" : this.#lived ? "resuming" : "connecting", { code, reason, delay });
  }

  // stop gives up, because trying again would fail in the same way, and ends all subscriptions
  // with the reason.
  #stop(code, reason) {
    this.#end();
    const message = reason || `the hub closed the connection with ${code}`;
    this.#tell("stopped", { code, reason: message });
    for (const s of [...this.#subscriptions]) s.end({ code: "stopped", message, retry: false });
  }

  #end() {
    this.#drop();
    this.#life.abort();
    clearTimeout(this.#stale);
    this.#stale = this.#link = undefined;
    this.#lived = false;
  }

  // change uses another transport from the next connection on.
  #change(rung) {
    this.#rung = this.#WebSocket ? rung : rung || 1;
    this.#climbed = Date.now();
    this.#refused = rung ? 0 : REFUSALS - 1; // one failure is enough if WebSockets are still blocked
  }

  // ---- silence and sleep

  #hear() { [this.#heard, this.#checked] = [Date.now(), 0]; }

  // One timer per connection, however many messages come. If it fires late, the machine slept
  // or the page was suspended: then check whether the hub still answers.
  #listen() {
    const now = Date.now(), late = now - this.#ticked > 3 * TICK;
    this.#ticked = now;
    if (this.#checked ? now - this.#checked >= TICK : !late && now - this.#heard >= this.#patience) {
      if (this.#rung === 1 && !this.#opened) this.#change(2); // a proxy buffers the stream
      return this.#lost(0, "the hub is silent");
    }
    if (this.#rung && now - this.#climbed >= CLIMB) return this.#change(0), this.#open();
    if (late && !this.#checked) return this.#wake(true);
    this.#again();
  }

  #again() {
    clearTimeout(this.#watch);
    const quiet = this.#checked ? TICK : this.#heard + this.#patience - Date.now();
    this.#watch = setTimeout(() => this.#listen(), Math.max(0, Math.min(TICK, quiet)));
  }

  // wake checks at once whether the hub answers, after the network or the page came back.
  #wake(slept) {
    if (this.#retry || (slept && this.#rung)) return this.#open();
    if (this.#opened && !this.#rung) {
      this.#send({ type: "ping", t: 0 });
      this.#checked = Date.now();
    }
    this.#again();
  }

  // ---- messages from the hub

  #welcome(ping) {
    this.#opened = Date.now();
    this.#patience = this.#rung ? Infinity : ping + PATIENCE; // each poll has a timeout of its own
    if (!this.#rung) this.#refused = 0;
    this.#askAll();
    this.#settle();
  }

  #askAll() {
    this.#asks = 1;
    for (const s of this.#subscriptions) if (!s.paused) this.#ask(s);
  }

  // settle sets the status to live once all subscriptions are.
  #settle() {
    if (this.#status.state === "live" || !this.#opened || ![...this.#subscriptions].every((s) => s.live || s.paused)) return;
    clearTimeout(this.#stale);
    this.#stale = undefined;
    this.#lived = true;
    this.#tell("live");
  }

  // receive handles a message; only is the subscription whose own stream it came from.
  #receive(message, only) {
    this.#hear();
    if (only && !this.#opened) [this.#opened, this.#patience] = [this.#heard, PING + PATIENCE];
    const { type, id, seq } = message;
    switch (type) {
      case "welcome":
        this.#epoch = message.epoch;
        return only || this.#welcome((message.ping || PING / 1000) * 1000);
      case "reconnect": return this.#lost(1012, "the hub asks to reconnect", message.after_ms, 0);
      case "expiring": return void this.#refresh();
      case "ping": for (const s of only ? [only] : this.#subscriptions) s.reach(seq); return;
      case "pong": case "reply": return;
    }
    const named = only ?? this.#named.get(id ?? this.#block);
    if (type === "error" && named) this.#refuse(named, message);
    else if (type === "error") this.dispatchEvent(new CustomEvent("error", { detail: message }));
    else if (only || id !== undefined || this.#block !== undefined) {
      // From subscribed or gap to live is a block of one subscription.
      if (type === "subscribed" || type === "gap") this.#block = id;
      else if (type === "live") this.#block = undefined;
      named?.take(message);
    } else {
      for (const s of this.#subscriptions) s.live && s.matches(message) ? s.take(message) : s.reach(seq);
    }
    this.#settle();
  }

  // ---- subscriptions on the wire

  #ask(s) {
    s.live = false;
    s.id = `s${++this.#names}`;
    this.#named.set(s.id, s);
    const { since, snapshot, progress, filter } = s;
    if (!this.#rung) return this.#send({ type: "subscribe", id: s.id, ...filter, progress, ...(since ? { since } : { snapshot }) });
    if (filter.view) return void (s.live = true); // only for the dashboard, over WebSocket
    const { signal } = s.request = new AbortController();
    this.#link.signal.addEventListener("abort", () => s.request.abort(), { signal });
    const held = this.#held.size < HELD && this.#held.add(s);
    const stream = held && this.#rung === 1 && !s.polls;
    import("./fallback.js").then((by) => stream ? by.stream(s, signal) : by.poll(s, signal, held)).catch((e) => signal.aborted || this.#trouble(e, s, stream));
  }

  #quit(s) {
    if (this.#named.delete(s.id) && !this.#rung) this.#send({ type: "unsubscribe", id: s.id });
    s.request?.abort();
    s.live = false;
    this.#held.delete(s);
  }

  #leave(s) {
    this.#quit(s);
    this.#subscriptions.delete(s);
    this.#settle();
    queueMicrotask(() => this.#rest());
  }

  // refuse handles the hub's error about a subscription.
  #refuse(s, error) {
    this.#named.delete(s.id);
    if (!error.retry) return s.end(error);
    const { signal } = this.#link;
    setTimeout(() => signal.aborted || s.closed || this.#ask(s), error.after_ms ?? 1000);
  }

  // trouble handles an error of a transport other than WebSocket.
  #trouble(error, s, stream) {
    const { status, message, code, retryAfter } = error;
    if (status === 401) return this.#stop(status, message);
    if (stream && status === 404 && s.filter.job) return s.polls = true, this.#quit(s), this.#ask(s); // poll to find out whether the job is unknown
    if (stream && [404, 405, 406, 415, 426, 501].includes(status)) return this.#change(2), this.#open();
    if (status >= 400 && status < 500 && ![408, 425, 429].includes(status)) return s.end({ code, message, retry: false });
    this.#change(0);
    this.#lost(0, message, retryAfter);
  }

  // ---- HTTP

  get #WebSocket() { return this.#options.WebSocket ?? globalThis.WebSocket; }
  #fetch(path, init) { return (this.#options.fetch ?? globalThis.fetch)(new URL(path, this.#base), init); }
  async #json(path, init) { return (await this.#answer(path, init)).json(); }
  #renewable() { return typeof this.#options.token === "function"; }
  async #bearer() { return this.#token ??= this.#renewable() ? await this.#options.token() : this.#options.token; }

  async #answer(path, init) {
    for (let again = this.#renewable(); ; again = false) {
      const token = await this.#bearer();
      const answer = await this.#fetch(path, { ...init, headers: { ...init.headers, ...(token && { Authorization: `Bearer ${token}` }) } });
      if (answer.ok) return answer;
      const retryAfter = Number(answer.headers.get("Retry-After")) * 1000 || 0;
      if (answer.status !== 401 || !again) throw new JobHubError({ ...await answer.json().catch(() => {}), status: answer.status, retryAfter });
      this.#token = undefined;
    }
  }

  async #refresh() {
    this.#token = undefined;
    try { this.#send({ type: "refresh", id: "refresh", token: await this.#bearer() }); } catch { /* the hub will close, and it is asked for again */ }
  }

  #tell(state, more) {
    // Since when it is live, or not live, however often it tried in between.
    const since = (state === "live") === (this.#status.state === "live") ? this.#status.since : new Date();
    this.#status = { state, transport: TRANSPORTS[this.#rung], since, ...more };
    this.dispatchEvent(new CustomEvent("status", { detail: this.#status }));
  }
}

function base64url(text) {
  const bytes = String.fromCharCode(...new TextEncoder().encode(text));
  return btoa(bytes).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

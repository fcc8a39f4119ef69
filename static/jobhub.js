// The JavaScript client of a hub: one module without dependencies, for browsers and
// for Node from version 20 on. jobhub.d.ts describes it.
//
//   const hub = new JobHub("https://hub.example.com", { token: () => fetchToken() });
//   hub.addEventListener("status", (e) => show(e.detail.state, e.detail.transport));
//   hub.subscribe({ queue: "reports", snapshot: true }, (message) => console.log(message.type));
//   const job = await hub.submit({ kind: "report", input: { month: 5 } });
//   for await (const { state, progress } of hub.watch(job)) console.log(state, progress);
//
// After a loss it comes back by itself and resumes every subscription where it was, so
// no change is missed or told twice. Where the hub can't resume, `subscribed` with
// recovered: false or `gap` says so, and the present state follows. Where WebSockets are
// blocked it takes server-sent events, and where these are blocked too, it polls.

const TRANSPORTS = ["ws", "sse", "poll"];
const PATIENCE = 10_000; // ms for an answer, and past the time when the hub should have pinged
const PING = 25_000;     // ms between the hub's heartbeats, unless its welcome says otherwise
const TICK = 5000;       // ms between looks at the clock
const STABLE = 10_000;   // ms after which a connection counts as a good one
const STALE = 10_000;    // ms without a connection after which what is known counts as old
const REFUSALS = 2;      // times that no WebSocket opens while HTTP works, until a lesser transport is used
const CLIMB = 300_000;   // ms on a lesser transport until WebSocket is tried again
const HELD = 4;          // requests held open at once; browsers allow six a host

const FINAL = new Set(["succeeded", "failed", "cancelled"]);

// What a close code asks for; the range is the verdict.
function verdict(code) {
  if ([1002, 1003, 1007, 1008, 1009, 1010].includes(code) || (code >= 4400 && code <= 4499)) return "stop";
  if (code >= 4100 && code <= 4199) return "renew";
  return "resume";
}

// JobHubError is what the hub answered instead of what was asked for.
export class JobHubError extends Error {
  constructor({ status, code, title, message, detail, retryAfter, ...problem }) {
    super([message ?? title ?? `the hub answered ${status}`, detail].filter(Boolean).join(": "));
    Object.assign(this, { name: "JobHubError", status, code, retryAfter, problem });
  }
}

// Subscription is a filter and the position up to which its messages were taken.
class Subscription {
  live = false;    // the hub's `live` came on this connection
  partial = false; // within a snapshot; half of one is none, so the position stays before it
  paused = false;  // the queue is full; the log keeps what follows
  closed = false;
  #reached;        // on this connection
  #queue = null;   // {message, position} of what the iterator has not taken yet
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

  // take hands a message on and then moves the position.
  take(message) {
    const { type, seq } = message;
    const event = /^(job|queue)\./.test(type);
    if (event && seq <= this.#reached?.seq) return; // told already
    const whole = this.partial && (type === "state" || type === "live"); // the hub bounds a snapshot
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

  // reach moves the position over what is not for this subscription.
  reach(seq) {
    if (!this.live || !(seq > this.#reached?.seq)) return;
    this.#reached = { ...this.#reached, seq };
    if (this.partial) return;
    this.since = this.#reached;
    if (!this.#queue?.length) this.position = this.since;
  }

  #deliver(message, position) {
    if (this.#queue) this.#queue.push({ message, position });
    else try { this.handler(message); } catch (e) { queueMicrotask(() => { throw e; }); } // reported, and ours goes on
    this.since = position;
    if (!this.#queue) this.position = position;
    this.#wake();
  }

  // end closes the subscription for a reason that the caller has to know.
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
  #block;              // id of the snapshot or replay under way
  #link;               // aborted when the connection, or the attempt at one, is over
  #send = () => {};
  #rung = 0;           // of TRANSPORTS
  #climbed = 0;        // when the rung was chosen
  #http;               // whether HTTP worked while a WebSocket was to be opened: a promise
  #refused = 0; #failures = 0;
  #held = new Set();   // subscriptions with a request held open
  #opened = 0; #heard = 0; #patience = 0; #ticked = 0; #checked = 0; // moments and durations in ms
  #watch; #retry; #stale;
  #asks = 0;           // 1 while subscriptions can be asked for
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

  // Of the log, as the hub said when it last welcomed this client.
  get epoch() { return this.#epoch; }

  // ---- what callers ask for

  // subscribe follows what {job|queue|tag|kind|all, since?, snapshot?, progress?,
  // signal?, buffer?} selects. Without a handler the subscription is to be iterated.
  subscribe(what, handler) {
    what.signal?.throwIfAborted();
    const s = new Subscription(what, handler, this.#hooks);
    this.#subscriptions.add(s);
    if (this.#asks) this.#ask(s);
    else if (!this.#link) this.#start();
    return s;
  }

  // watch iterates over a job's document, from the present one to the final one.
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

  // submit returns the job once it is accepted, durably. After an error without a
  // status it may be accepted nevertheless: send it again with the same key.
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

  // ---- the connection and its end

  #start() {
    this.#life = new AbortController();
    const { signal } = this.#life;
    const on = (target, type, f) => target?.addEventListener?.(type, f, { signal });
    on(globalThis, "online", () => this.#wake());
    on(globalThis.document, "visibilitychange", () => document.visibilityState === "visible" && this.#wake());
    on(globalThis, "pagehide", () => this.#drop()); // an open connection keeps a page out of the browser's cache
    on(globalThis, "pageshow", (e) => e.persisted && this.#open());
    on(globalThis.document, "freeze", () => this.#drop()); // the browser closes what is open, and may not tell
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
    // A script is not told why no WebSocket opens; whether HTTP works tells who is to blame.
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
    socket.onerror = () => {}; // a close follows
    socket.onclose = (e) => signal.aborted || this.#lost(e.code, e.reason);
  }

  // A dead connection is let go at once: its own close may take minutes to be told.
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

  // lost lets the connection go and plans the next: at a random moment below a bound
  // that doubles, after the time (ms) that the hub asked for; spread is 0 if that is random.
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

  // stop gives up, because trying again would end alike, and tells everybody why.
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

  // change goes over to another transport with the next connection.
  #change(rung) {
    this.#rung = this.#WebSocket ? rung : rung || 1;
    this.#climbed = Date.now();
    this.#refused = rung ? 0 : REFUSALS - 1; // back down at once where WebSocket is blocked still
  }

  // ---- silence and sleep

  #hear() { [this.#heard, this.#checked] = [Date.now(), 0]; }

  // One timer a connection, however many messages come. If it comes late, the machine
  // slept or the page was held back: then the hub is asked for a sign of life.
  #listen() {
    const now = Date.now(), late = now - this.#ticked > 3 * TICK;
    this.#ticked = now;
    if (this.#checked ? now - this.#checked >= TICK : !late && now - this.#heard >= this.#patience) {
      if (this.#rung === 1 && !this.#opened) this.#change(2); // something holds the stream back
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

  // wake looks at once whether the hub is there: the network or the page came back.
  #wake(slept) {
    if (this.#retry || (slept && this.#rung)) return this.#open();
    if (this.#opened && !this.#rung) {
      this.#send({ type: "ping", t: 0 });
      this.#checked = Date.now();
    }
    this.#again();
  }

  // ---- what the hub says

  #welcome(ping) {
    this.#opened = Date.now();
    this.#patience = this.#rung ? Infinity : ping + PATIENCE; // each poll has its own
    if (!this.#rung) this.#refused = 0;
    this.#askAll();
    this.#settle();
  }

  #askAll() {
    this.#asks = 1;
    for (const s of this.#subscriptions) if (!s.paused) this.#ask(s);
  }

  // settle says that all is live once all is.
  #settle() {
    if (this.#status.state === "live" || !this.#opened || ![...this.#subscriptions].every((s) => s.live || s.paused)) return;
    clearTimeout(this.#stale);
    this.#stale = undefined;
    this.#lived = true;
    this.#tell("live");
  }

  // receive takes a message; only is the subscription whose own stream it came by.
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
      // From subscribed or gap to live it is a block of one subscription.
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
    if (filter.view) return void (s.live = true); // the dashboard's own, by WebSocket only
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

  // trouble is an error of a lesser transport.
  #trouble(error, s, stream) {
    const { status, message, code, retryAfter } = error;
    if (status === 401) return this.#stop(status, message);
    if (stream && status === 404 && s.filter.job) return s.polls = true, this.#quit(s), this.#ask(s); // is it the job that is unknown?
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
    // Since when it is live, or is not, however often it tried in between.
    const since = (state === "live") === (this.#status.state === "live") ? this.#status.since : new Date();
    this.#status = { state, transport: TRANSPORTS[this.#rung], since, ...more };
    this.dispatchEvent(new CustomEvent("status", { detail: this.#status }));
  }
}

function base64url(text) {
  const bytes = String.fromCharCode(...new TextEncoder().encode(text));
  return btoa(bytes).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

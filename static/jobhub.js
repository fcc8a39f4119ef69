// The browser client of the protocol jobhub.v1.
//
//   const hub = new JobHub();
//   hub.addEventListener("message", (e) => console.log(e.detail));  // every server message
//   hub.addEventListener("status", (e) => console.log(e.detail));   // {state, since, code?, reason?}
//   hub.subscribe("mine", { job: "0197f0…", snapshot: true });
//   hub.connect();
//
// It stays connected: after a loss it comes back by itself and resumes every
// subscription from the last position it has seen, so no event is missed or told twice;
// where the hub cannot resume, its `subscribed` says so and a snapshot follows.

const FIRST_DELAY = 250, LAST_DELAY = 8000; // ms; the wait is drawn at random below the bound
const OPENING = 10_000; // ms until a connection that says nothing is given up
const SETTLED = 5000;   // ms after which a connection counts as a good one

// What a close code asks for; the range is the verdict.
function verdict(code) {
  if (code === 1002 || code === 1007 || code === 1009 || (code >= 4400 && code <= 4499)) return "stop";
  if (code >= 4100 && code <= 4199) return "renew";
  return "resume";
}

export class JobHub extends EventTarget {
  #url; #token; #renew;
  #socket = null;
  #subscriptions = new Map(); // id → {filter, since, live}
  #block = null;              // the subscription whose snapshot or replay is under way
  #failures = 0; #welcomed = 0;
  #heard = 0; #patience = OPENING;
  #retry = 0; #watch = 0;
  #state = "idle"; #since = new Date();
  epoch = ""; seq = 0;

  // renew, if given, is asked for a new token when the hub says that the old one ended.
  constructor({ url, token = "", renew = null } = {}) {
    super();
    this.#url = new URL(url ?? "../v1/ws", url ? document.baseURI : import.meta.url);
    this.#url.protocol = this.#url.protocol.replace("http", "ws");
    this.#token = token;
    this.#renew = renew;
    // A network or a page that comes back is a reason to try at once.
    addEventListener("online", () => { if (this.#retry) this.connect(); });
    addEventListener("pagehide", () => this.close());
    addEventListener("pageshow", (e) => { if (e.persisted) this.connect(); });
  }

  get status() { return { state: this.#state, since: this.#since }; }

  // subscribe asks for what a filter matches ({job|queue|tag|kind|all, snapshot?,
  // progress?} or {view}), from the position since = {epoch, seq} if given.
  subscribe(id, filter, since = null) {
    const subscription = { filter, since, live: false };
    this.#subscriptions.set(id, subscription);
    if (this.#welcomed) this.#ask(id, subscription);
  }

  unsubscribe(id) {
    if (this.#subscriptions.delete(id) && this.#welcomed) this.send({ type: "unsubscribe", id });
  }

  send(message) {
    if (this.#socket?.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(JSON.stringify(message));
    return true;
  }

  connect() {
    this.#drop();
    this.#tell("connecting");
    const offer = ["jobhub.v1"];
    if (this.#token) offer.push("jobhub.token." + base64url(this.#token));
    const socket = this.#socket = new WebSocket(this.#url, offer);
    socket.onmessage = (e) => { for (const line of e.data.split("\n")) if (line) this.#receive(JSON.parse(line)); };
    socket.onclose = (e) => this.#lost(e.code, e.reason);
    this.#heard = performance.now();
    this.#patience = OPENING;
    this.#watch = setTimeout(() => this.#listen(), this.#patience);
  }

  close() {
    this.#drop(1000);
    this.#tell("closed");
  }

  #receive(message) {
    this.#heard = performance.now();
    switch (message.type) {
      case "welcome":
        if (message.ping > 0) this.#patience = message.ping * 2500;
        this.#welcomed = performance.now();
        this.epoch = message.epoch;
        this.seq = message.seq;
        this.#tell("open");
        for (const [id, subscription] of this.#subscriptions) this.#ask(id, subscription);
        break;
      case "subscribed":
        this.#block = this.#subscriptions.get(message.id) ?? null;
        this.#reach(this.#block, message.epoch, message.seq);
        break;
      case "live":
        if (this.#block) {
          this.#block.live = true;
          this.#reach(this.#block, this.epoch, message.seq);
        }
        this.#block = null;
        break;
      case "reconnect":
        this.#lost(1012, "", message.after_ms);
        return;
      default:
        if (message.seq) this.#advance(message);
    }
    this.dispatchEvent(new CustomEvent("message", { detail: message }));
  }

  // An event within a block belongs to its subscription, any other to all live ones.
  #advance({ id, seq, epoch }) {
    this.seq = Math.max(this.seq, seq);
    if (id) return; // a snapshot, a patch or a reply is no position of the log's reader
    if (this.#block) return this.#reach(this.#block, epoch ?? this.epoch, seq);
    for (const subscription of this.#subscriptions.values()) {
      if (subscription.live) this.#reach(subscription, epoch ?? this.epoch, seq);
    }
  }

  #reach(subscription, epoch, seq) {
    if (subscription && seq !== undefined) subscription.since = { epoch, seq };
  }

  #ask(id, { filter, since }) {
    const message = { type: "subscribe", id, ...filter };
    if (since && !filter.view) message.since = since; // a view is always sent whole
    this.send(message);
  }

  // One timer a connection, however many messages come: it looks when the newest came.
  #listen() {
    const left = this.#heard + this.#patience - performance.now();
    if (left > 0) this.#watch = setTimeout(() => this.#listen(), left);
    else this.#lost(0, "silence");
  }

  #lost(code, reason, after) {
    if (this.#welcomed && performance.now() - this.#welcomed > SETTLED) this.#failures = 0;
    this.#drop();
    const what = verdict(code);
    if (what === "stop" || (what === "renew" && !this.#renew)) return this.#tell("stopped", { code, reason });
    const bound = Math.min(LAST_DELAY, FIRST_DELAY * 2 ** this.#failures++);
    const delay = (after ?? 0) + Math.random() * bound;
    this.#tell("lost", { code, reason });
    this.#retry = setTimeout(async () => {
      if (what === "renew") {
        try { this.#token = await this.#renew(); } catch (e) { return this.#lost(code, String(e)); }
      }
      this.connect();
    }, delay);
  }

  // A dead socket is let go at once: its own close may take minutes to be told.
  #drop(code) {
    clearTimeout(this.#retry);
    clearTimeout(this.#watch);
    this.#retry = this.#watch = this.#welcomed = 0;
    this.#block = null;
    for (const subscription of this.#subscriptions.values()) subscription.live = false;
    const socket = this.#socket;
    if (!socket) return;
    socket.onmessage = socket.onclose = null;
    socket.close(code);
    this.#socket = null;
  }

  #tell(state, more = {}) {
    // Since when it is open, or not, however often it tried in between.
    if ((state === "open") !== (this.#state === "open")) this.#since = new Date();
    this.#state = state;
    this.dispatchEvent(new CustomEvent("status", { detail: { state, since: this.#since, ...more } }));
  }
}

function base64url(text) {
  const bytes = String.fromCharCode(...new TextEncoder().encode(text));
  return btoa(bytes).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

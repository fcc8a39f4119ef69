// How jobhub.js follows a hub where no WebSocket opens. It is loaded only in that case.
//
// Both functions serve one subscription until the signal; they throw an answer of the hub
// that is not 2xx.

const FINAL = new Set(["succeeded", "failed", "cancelled"]);
const POLL = 2000;   // ms between polls that the hub does not hold
const SLOW = 20_000; // ms for an answer

// stream reads server-sent events; the data are the messages of the protocol.
export async function stream(s, signal) {
  const { filter, since, snapshot, progress, hub } = s;
  const query = new URLSearchParams({ ...filter, ...(filter.all && { all: 1 }), ...(progress && { progress }), ...(since ?? (snapshot && { snapshot: 1 })) });
  const { body } = await hub.answer(`v1/events?${query}`, { headers: { Accept: "text/event-stream" }, signal });
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "", data = "", id = "", after;
  for (;;) {
    const { done, value } = await reader.read();
    if (signal.aborted) return;
    if (done) return hub.lost(1006, "the stream ended", after);
    hub.hear();
    const lines = (rest + value).split(/\r?\n/);
    rest = lines.pop();
    for (const line of lines) {
      const [, name, text] = /^([^:]*):? ?(.*)$/.exec(line);
      if (name === "data") data += text + "\n";
      else if (name === "id") id = text;
      else if (name === "retry") after = Number(text) || 0;
      else if (line === "" && data + id) {
        hub.receive(data ? JSON.parse(data) : { type: "ping", seq: Number(id.split(":")[1]) }, s);
        if (signal.aborted) return;
        data = id = "";
      }
    }
  }
}

// poll sends changed states instead of events, each after a gap with the reason poll.
export async function poll(s, signal, held) {
  const { hub, filter: { job, ...filter } } = s;
  delete filter.all;
  const query = new URLSearchParams({ ...filter, limit: 500 });
  let seen = new Map(), known;
  while (!signal.aborted) {
    const begun = Date.now(), slow = setTimeout(() => signal.aborted || hub.lost(0, "the hub is silent"), SLOW);
    const init = { signal, headers: held && known ? { Prefer: "wait=10" } : {} };
    const page = await hub.answer(job ? `v1/jobs/${encodeURIComponent(job)}${known ? `?version=${known}` : ""}` : `v1/jobs?${query}`, init)
      .then((answer) => answer.json()).finally(() => clearTimeout(slow));
    if (signal.aborted) return;
    const { epoch, seq } = page, list = job ? [page] : page.jobs, id = s.id;
    const changed = list.filter((j) => seen.get(j.id) !== look(j));
    seen = new Map(list.map((j) => [j.id, look(j)]));
    hub.hear();
    if (s.live && !changed.length) s.reach(seq);
    else {
      const tell = s.live ? list.filter((j) => !FINAL.has(j.state) || changed.includes(j)) : s.since || s.snapshot ? list.filter((j) => job || !FINAL.has(j.state)) : [];
      if (!s.since) hub.receive({ type: "subscribed", id, epoch, seq }, s);
      else if (s.since.epoch !== epoch) hub.receive({ type: "subscribed", id, epoch, seq, recovered: false, reason: "epoch" }, s);
      else hub.receive({ type: "gap", id, from: s.since.seq, to: seq, reason: "poll" }, s);
      for (const j of tell) hub.receive({ type: "state", id, job: j.id, seq, version: j.version, data: j }, s);
      hub.receive({ type: "live", id, epoch, seq, ...(page.next_cursor && { truncated: true }) }, s);
    }
    if (job && FINAL.has(page.state)) return; // nothing follows
    known = page.version;
    await sleep(Math.max(0, (held && job ? POLL / 2 : POLL) - (Date.now() - begun)), signal);
  }
}

// look returns the members of a job that are compared.
const look = ({ version, state, progress }) => JSON.stringify([version, state, progress]);

function sleep(ms, signal) {
  return new Promise((wake) => {
    const timer = setTimeout(end, ms);
    signal.addEventListener("abort", end);
    function end() {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      wake();
    }
  });
}

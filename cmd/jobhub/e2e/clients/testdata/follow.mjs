// Submits a job and follows it with the JavaScript client:
//
//	node follow.mjs http://127.0.0.1:8080 ws|sse|poll '{"kind":"http", …}'
//
// The transports above the one given are blocked, as some networks do.
import { JobHub } from "../../../../../static/jobhub.js";

const [url, transport, job] = process.argv.slice(2);

class Blocked {
  constructor() { setTimeout(() => this.onclose({ code: 1006, reason: "" })); }
  close() {}
}

const blocked = {
  ws: {},
  sse: { WebSocket: Blocked },
  poll: { WebSocket: Blocked, fetch: (at, init) => at.pathname === "/v1/events" ? Promise.resolve(new Response("blocked", { status: 405 })) : fetch(at, init) },
}[transport];

const hub = new JobHub(url, { minDelay: 10, ...blocked });
hub.addEventListener("status", ({ detail }) => console.log("status", detail.state, detail.transport));

const accepted = await hub.submit(JSON.parse(job), { key: "once" });
for await (const message of hub.subscribe({ job: accepted.id, since: accepted })) {
  console.log("message", message.type, message.data?.state ?? "");
  if (message.data?.finished_at) break;
}
for await (const now of hub.watch(accepted)) console.log("job", now.state, now.version);
console.log("again", (await hub.submit(JSON.parse(job), { key: "once" })).id === accepted.id);
// Nothing is left that would keep the process alive.

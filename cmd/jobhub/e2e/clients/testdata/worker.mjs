// A worker in Node without packages: node worker.mjs http://127.0.0.1:8080 KIND
//
// The input says what to do with a job: {"do":"work"}, {"do":"wait"} until it is
// cancelled, or {"do":"stall"}: be silent until the lease is lost.

const [hub, kind] = process.argv.slice(2);
let ending = false;

// call returns the status and the answer. A body that is an array becomes a line each.
async function call(path, body, method = "POST") {
  const lines = Array.isArray(body) ? body : [body ?? {}];
  const response = await fetch(hub + path, {
    method,
    headers: { "Content-Type": "application/json" },
    body: lines.map((line) => JSON.stringify(line)).join("\n"),
  });
  const answer = JSON.parse((await response.text()) || "{}");
  if (answer.directive === "terminate") ending = true;
  return [response.status, answer];
}

function milliseconds(text) {
  const units = { h: 3600e3, m: 60e3, s: 1e3, ms: 1, "µs": 1e-3 };
  let sum = 0;
  for (const [, n, unit] of text.matchAll(/([\d.]+)(h|ms|m|µs|s)/g)) sum += n * units[unit];
  return sum;
}

// renewed calls what with a signal that ends when the hub says that the attempt should,
// with cancel or lost as its reason. Meanwhile it renews the lease.
async function renewed(job, what) {
  const stop = new AbortController();
  const timer = setInterval(async () => {
    const [status, answer] = await call(`/v1/workers/${worker}/beat`, { leases: [job.lease] });
    const state = status === 200 ? answer.leases[job.lease] : "ok";
    if (state !== "ok") stop.abort(state);
  }, beat);
  try {
    await what(stop.signal);
  } finally {
    clearInterval(timer);
  }
}

async function work(job) {
  const path = `/v1/leases/${job.lease}`;
  await call(path + "/events", [
    { n: 1, type: "progress", percent: 50, message: "half way" },
    { n: 2, type: "output", text: "hello from node\n" },
  ]);
  await call(path + "/complete", { result: { by: "node" } });
}

async function waitForCancel(job, signal) {
  const path = `/v1/leases/${job.lease}`;
  await call(path + "/events", [{ n: 1, type: "progress", message: "waiting" }]);
  if (!signal.aborted) await new Promise((resolve) => signal.addEventListener("abort", resolve));
  if (signal.reason === "cancel") await call(path + "/fail", { error: { title: "Stopped" }, retry: "never" });
}

async function stall(job) {
  const path = `/v1/leases/${job.lease}`;
  await call(path + "/events", [{ n: 1, type: "checkpoint", data: { stalled: true } }]);
  for (let state; state !== "lost"; ) {
    const [, answer] = await call(`/v1/workers/${worker}/lease`, { max: 1, wait: "20s" });
    state = answer.leases[job.lease];
  }
  const [status, answer] = await call(path + "/complete");
  console.log("late:", answer.code, status);
}

let worker, beat;
async function register() {
  const [, answer] = await call("/v1/workers", { name: "node", kinds: [kind], slots: 1 });
  worker = answer.worker_id;
  beat = milliseconds(answer.beat);
}

await register();
while (!ending) {
  const [status, answer] = await call(`/v1/workers/${worker}/lease`, { max: 1, wait: "20s" });
  if (status === 404) await register(); // the hub was started again; leases stay good
  for (const job of answer.jobs ?? []) {
    if (job.input.do === "stall" && job.checkpoint === null) await stall(job);
    else if (job.input.do === "wait") await renewed(job, (signal) => waitForCancel(job, signal));
    else await renewed(job, () => work(job));
  }
}
await call(`/v1/workers/${worker}`, undefined, "DELETE");

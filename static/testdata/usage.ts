// How the client is used from TypeScript. It only has to compile, strictly; a line
// below @ts-expect-error must not.
import { JobHub, JobHubError, type Job, type Message, type Position, type Status } from "@jobhub/client";

const hub = new JobHub("https://hub.example.com", { token: async () => "jh_…", maxDelay: 5000 });

hub.addEventListener("status", ({ detail }) => {
  const { state, transport, since }: Status = detail;
  const text: "ws" | "sse" | "poll" = transport;
  console.log(state, text, since.getTime());
});

let saved: Position | undefined;
const subscription = hub.subscribe({ queue: "reports", snapshot: true }, (message) => {
  switch (message.type) {
    case "state": return message.data?.state;
    case "job.progress": return message.data?.percent?.toFixed();
    case "job.output": return message.data?.text;
    case "job.failed": return message.data?.error?.detail;
    case "subscribed": return message.recovered === false && message.reason;
    case "gap": return message.to - message.from;
    case "error": return message.code;
  }
  saved = subscription.position;
});
subscription.close();

interface Report { pages: number }

async function run(signal: AbortSignal): Promise<number> {
  try {
    const job = await hub.submit<Report>({ kind: "report", input: { month: 5 }, retry: { max_attempts: 3, initial: "1s" } }, { key: "report-5", signal });
    for await (const now of hub.watch<Report>(job, { signal })) {
      if (now.state === "succeeded") return now.result?.pages ?? 0;
    }
    for await (const message of hub.subscribe({ job: job.id, since: job, progress: "all", signal, buffer: 16 })) show(message);
    const same: Job<Report> = await hub.get<Report>(job.id, { signal });
    return (await hub.cancel(same.id)).version;
  } catch (error) {
    if (error instanceof JobHubError && error.code === "queue_full") return error.retryAfter ?? 0;
    throw error;
  }
}

function show(message: Message): void { console.log(message.type); }

// @ts-expect-error: exactly one filter is needed
hub.subscribe({ snapshot: true });
// @ts-expect-error: not a way to tell progress
hub.subscribe({ all: true, progress: "some" });
// @ts-expect-error: a job needs a kind
hub.submit({ queue: "q" });

export { run, saved };
hub.close();

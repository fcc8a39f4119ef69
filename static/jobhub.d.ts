// Types of jobhub.js.

export interface Position { epoch: string; seq: number }

export type State = "scheduled" | "queued" | "running" | "retrying" | "waiting" | "succeeded" | "failed" | "cancelled";

export interface Problem {
  type?: string;
  title?: string;
  status?: number;
  detail?: string;
  instance?: string;
  code?: string;
  errors?: { pointer: string; detail: string }[];
}

export interface Progress { percent: number | null; message: string; data: unknown }

/** A job as the hub describes it. Times are RFC 3339 in UTC. */
export interface Job<Result = unknown> extends Position {
  id: string;
  kind: string;
  queue: string;
  tenant: string;
  state: State;
  reason: string;
  priority: number;
  tags: string[];
  ordering_key: string;
  fair_key: string;
  input?: unknown;
  result: Result | null;
  error: Problem | null;
  progress: Progress | null;
  attempt: number;
  /** The number of the newest start. It grows with each start, also with one that does not count as an attempt. */
  start: number;
  max_attempts: number;
  created_at: string;
  scheduled_at: string | null;
  started_at: string | null;
  finished_at: string | null;
  expires_at: string | null;
  retained_until: string | null;
  cancel_requested: boolean;
  retry_of: string;
  /** Its newest retry, or an empty text. */
  retried_by: string;
  parent: string;
  version: number;
  links: { self: string; response: string; cancel: string; events: string; html: string };
}

/** A job to submit. Durations are texts such as "30s". */
export interface Submission {
  kind: string;
  queue?: string;
  input?: unknown;
  priority?: number;
  tags?: string[];
  ordering_key?: string;
  fair_key?: string;
  run_at?: string;
  delay?: string;
  queue_timeout?: string;
  timeout?: string;
  retry?: { max_attempts?: number; backoff?: "exponential" | "linear" | "fixed"; initial?: string; max?: string };
  rerun?: string;
  callbacks?: { url: string; events?: string[]; secret?: string }[];
  after?: string[];
  retention?: string;
  unique?: { by?: ("kind" | "queue" | "input" | "fair_key")[]; while?: "unfinished" | "kept"; within?: string; conflict?: "return" | "refuse" | "replace" };
}

/** What to follow: exactly one of these. */
export type Filter = { job: string } | { queue: string } | { tag: string } | { kind: string } | { all: true };

export interface SubscribeOptions {
  /** Resume here. A job has a position, so `since: job` misses nothing that came after it. */
  since?: Position;
  /** Begin with the current state; `since` has priority over it. */
  snapshot?: boolean;
  /** Progress events: the latest of each job (the default), all, or none. */
  progress?: "latest" | "all" | "none";
  /** Ends the subscription. */
  signal?: AbortSignal;
  /** Largest number of messages kept for a slow iterator, besides a snapshot; 256 by default. The hub's log keeps the others. */
  buffer?: number;
}

interface Fact<Type extends string, Data> extends Position {
  type: Type;
  job: string;
  queue: string;
  kind: string;
  tags: string[];
  version: number;
  at: string;
  /** null if it was too large; then fetch the job. */
  data: Data | null;
  truncated?: true;
}

/** Output of a job. `off` counts the bytes of the same start before it. */
export type Output = { attempt: number; start: number; off: number; stream: string; text?: string; base64?: string };

export type StateChange = Fact<
  "job.scheduled" | "job.queued" | "job.started" | "job.retrying" | "job.waiting" | "job.cancel_requested" | "job.succeeded" | "job.failed" | "job.cancelled" | "job.changed" | "job.deleted",
  Partial<Job> & { state: State }>;

/** An event of the hub's log. */
export type Event = StateChange | Fact<"job.progress", Progress & { start: number }> | Fact<"job.output", Output> | Fact<"queue.paused" | "queue.resumed", unknown>;

/** A message to a subscription. Later versions of the hub may have more types. */
export type Message =
  | Event
  /** The subscription is active; sent again after each lost connection. recovered: false means that a snapshot follows because the hub can't resume. */
  | { type: "subscribed"; id: string; epoch: string; seq: number; recovered?: boolean; reason?: "epoch" | "expired" | "future" }
  /** A whole job: part of a snapshot. */
  | { type: "state"; id: string; job: string; seq: number; version: number; data: Job | null }
  /** End of a snapshot or of a replay. */
  | { type: "live"; id: string; seq: number; truncated?: boolean }
  /** The events from `from` to `to` are not sent; the current state follows. */
  | { type: "gap"; id: string; from: number; to: number; reason: string }
  /** The subscription ended, and why. An iterator throws it. */
  | { type: "error"; code: string; message: string; retry: boolean; after_ms?: number };

/** One subscription. Iterate over it unless it has a handler. */
export interface Subscription extends AsyncIterable<Message> {
  /** Where to resume later without missing or repeating anything that was handled. */
  readonly position: Position | undefined;
  close(): void;
}

export interface Status {
  /**
   * idle: there are no subscriptions. connecting: for the first time. live: connected.
   * resuming: the connection was lost and is being made again. stale: the same for more than
   * ten seconds. stopped: it has given up; `reason` says why.
   */
  state: "idle" | "connecting" | "live" | "resuming" | "stale" | "stopped";
  transport: "ws" | "sse" | "poll";
  /** Since when it is live, or not live. */
  since: Date;
  /** Close code or HTTP status of the lost connection, or 0. */
  code?: number;
  reason?: string;
  /** Milliseconds until the next attempt. */
  delay?: number;
}

export interface Options {
  /** A token, or a function that fetches one. It is called again when the token expires soon or was refused. */
  token?: string | (() => string | Promise<string>);
  /** Bounds in ms of the random wait before each reconnect: at first below minDelay, then doubling up to maxDelay. 500 and 30000 by default. */
  minDelay?: number;
  maxDelay?: number;
  /** Used instead of the global ones. */
  WebSocket?: new (url: string | URL, protocols?: string | string[]) => unknown;
  fetch?: typeof fetch;
}

export declare class JobHubError extends Error {
  /** HTTP status, if the error came over HTTP. */
  readonly status?: number;
  /** A word for programs: not_found, queue_full, … */
  readonly code?: string;
  /** Milliseconds that the hub asks to wait; 0 if it does not say. */
  readonly retryAfter?: number;
  readonly problem: Problem;
}

interface Events { status: CustomEvent<Status>; error: CustomEvent<{ code: string; message: string }> }

/** A hub. It connects with the first subscription, and disconnects after the last. */
export declare class JobHub extends EventTarget {
  /** url is the hub's URL; the URL of the page by default. */
  constructor(url?: string | URL, options?: Options);

  readonly status: Status;

  /** The epoch of the log in the hub's last welcome. */
  readonly epoch?: string;

  /** The handler runs for each message, in order; the position moves when it has returned. */
  subscribe(what: Filter & SubscribeOptions, handler?: (message: Message) => void): Subscription;

  /** The job's document, now and after each change, until it is final. */
  watch<Result = unknown>(job: string | { id: string }, options?: { signal?: AbortSignal }): AsyncGenerator<Job<Result>, void, void>;

  /** Submits a job. If it throws anything but a JobHubError, the job may still be accepted: submit it again with the same key. */
  submit<Result = unknown>(job: Submission, options?: { key?: string; signal?: AbortSignal }): Promise<Job<Result>>;
  get<Result = unknown>(id: string, options?: { signal?: AbortSignal }): Promise<Job<Result>>;
  cancel(id: string, options?: { signal?: AbortSignal }): Promise<Job>;

  close(): void;

  addEventListener<K extends keyof Events>(type: K, listener: (event: Events[K]) => void, options?: boolean | AddEventListenerOptions): void;
  addEventListener(type: string, listener: EventListenerOrEventListenerObject | null, options?: boolean | AddEventListenerOptions): void;
}

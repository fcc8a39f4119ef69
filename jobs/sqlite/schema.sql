-- Times are milliseconds since 1970, durations milliseconds, states as in jobs.State.

CREATE TABLE meta (
  name  TEXT PRIMARY KEY,
  value NOT NULL
) WITHOUT ROWID;

-- One row per commit: its events, encoded and with a checksum (see codec.go).
CREATE TABLE log (
  last   INTEGER PRIMARY KEY,  -- seq of the newest event in it
  events BLOB NOT NULL
);

CREATE TABLE queues (
  q      INTEGER PRIMARY KEY,
  tenant TEXT NOT NULL,
  name   TEXT NOT NULL,
  counts TEXT NOT NULL,        -- jobs by state, as a JSON array
  settings TEXT NOT NULL,      -- limits and pause, as JSON
  UNIQUE (tenant, name)
);

CREATE TABLE jobs (
  n               INTEGER PRIMARY KEY,  -- seq of its first event: the order of acceptance
  id              BLOB NOT NULL UNIQUE,
  q               INTEGER NOT NULL,
  kind            TEXT NOT NULL,
  state           INTEGER NOT NULL,
  reason          TEXT,
  priority        INTEGER NOT NULL,
  tags            TEXT,                 -- JSON array
  attempt         INTEGER NOT NULL,
  start           INTEGER NOT NULL DEFAULT 0,  -- rises with every start, whether it counts as an attempt or not
  max_attempts    INTEGER NOT NULL,
  backoff         INTEGER NOT NULL,
  backoff_initial INTEGER NOT NULL,
  backoff_max     INTEGER NOT NULL,
  timeout         INTEGER NOT NULL,
  queue_timeout   INTEGER NOT NULL,
  created         INTEGER NOT NULL,
  scheduled       INTEGER,
  started         INTEGER,
  finished        INTEGER,
  expires         INTEGER,
  wake            INTEGER,
  ordering_key    TEXT,
  key             TEXT,
  ready           INTEGER,              -- when it became ready, as a seq; only such jobs can be claimed
  held            INTEGER,              -- 1: it is its turn by ordering key, but its key is at its limit
  lease           TEXT,
  settled         TEXT,                 -- lease and verb of the attempt that ended last
  reported        INTEGER,              -- reports of the running attempt that were taken in
  output          INTEGER NOT NULL DEFAULT 0,  -- bytes of output of the newest start
  cancel          INTEGER NOT NULL,
  never_rerun     INTEGER NOT NULL,
  lost            INTEGER NOT NULL,
  retention       INTEGER NOT NULL,
  retained        INTEGER,              -- kept until then
  parent_failed   INTEGER NOT NULL,
  retry_of        BLOB,
  caller          TEXT,                 -- in whose name it was submitted
  parent          BLOB,
  version         INTEGER NOT NULL,
  seq             INTEGER NOT NULL,     -- its newest event
  progress        BLOB,
  error           BLOB,
  input           BLOB,                 -- up to 1 KiB; of larger ones, in payloads, nothing: a blob of no bytes
  result          BLOB,
  response        BLOB,
  checkpoint      BLOB,
  via             TEXT,                 -- JSON of jobs.Via
  callbacks       BLOB,                 -- JSON, with secrets
  credentials     TEXT,                 -- what the input hides, as JSON
  retried_by      BLOB,
  retried_as      BLOB,                 -- what that retry has of its own, as jobs.Retry.As
  uniq            TEXT,                 -- JSON of jobs.Unique
  unique_key      BLOB,
  schedule        TEXT                  -- whose run it is
);
CREATE INDEX jobs_ready  ON jobs (q, kind, priority DESC, ready, key) WHERE ready IS NOT NULL;
CREATE INDEX jobs_wake   ON jobs (wake) WHERE wake IS NOT NULL;
CREATE INDEX jobs_state  ON jobs (q, state);
CREATE INDEX jobs_order  ON jobs (q, ordering_key, n) WHERE ordering_key IS NOT NULL AND state <= 5;
CREATE INDEX jobs_key    ON jobs (q, key) WHERE key IS NOT NULL AND (ready IS NOT NULL OR state = 3);
CREATE INDEX jobs_held   ON jobs (q, key, priority DESC, n) WHERE held IS NOT NULL;
CREATE INDEX jobs_retained ON jobs (retained) WHERE retained IS NOT NULL;
CREATE INDEX jobs_parent ON jobs (parent) WHERE parent IS NOT NULL;
CREATE INDEX jobs_unique ON jobs (unique_key, state) WHERE unique_key IS NOT NULL;
CREATE INDEX jobs_schedule ON jobs (schedule) WHERE schedule IS NOT NULL AND state <= 5;

CREATE TABLE tags (
  tag TEXT NOT NULL,
  n   INTEGER NOT NULL,
  PRIMARY KEY (tag, n)
) WITHOUT ROWID;

-- Small records beside the jobs, like schedules.
CREATE TABLE documents (
  kind   TEXT NOT NULL,
  tenant TEXT NOT NULL,
  name   TEXT NOT NULL,
  data   BLOB NOT NULL,
  PRIMARY KEY (kind, tenant, name)
) WITHOUT ROWID;

-- Who waits for whom: a row for each job waited for that has not succeeded.
CREATE TABLE waits (
  parent INTEGER NOT NULL,
  child  INTEGER NOT NULL,
  PRIMARY KEY (parent, child)
) WITHOUT ROWID;
CREATE INDEX waits_child ON waits (child);

-- Ids of jobs that are no longer kept.
CREATE TABLE gone (
  id    BLOB PRIMARY KEY,
  tenant TEXT NOT NULL,
  until INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX gone_until ON gone (until);

-- Payloads over 1 KiB, written once: a change of state does not rewrite them.
CREATE TABLE payloads (
  id   INTEGER PRIMARY KEY,  -- n * 4 + part
  data BLOB NOT NULL
);

CREATE TABLE keys (
  scope       TEXT NOT NULL,
  key         TEXT NOT NULL,
  fingerprint BLOB NOT NULL,
  n           INTEGER NOT NULL, -- -until once the job is gone
  until       INTEGER NOT NULL,
  PRIMARY KEY (scope, key)
) WITHOUT ROWID;
CREATE INDEX keys_job ON keys (n);

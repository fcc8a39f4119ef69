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
  max_attempts    INTEGER NOT NULL,
  backoff         INTEGER NOT NULL,
  backoff_initial INTEGER NOT NULL,
  backoff_max     INTEGER NOT NULL,
  timeout         INTEGER NOT NULL,
  created         INTEGER NOT NULL,
  scheduled       INTEGER,
  started         INTEGER,
  finished        INTEGER,
  expires         INTEGER,
  wake            INTEGER,
  ready           INTEGER,              -- when it became ready, as a seq; only such jobs can be claimed
  lease           TEXT,
  cancel          INTEGER NOT NULL,
  retry_of        BLOB,
  parent          BLOB,
  version         INTEGER NOT NULL,
  seq             INTEGER NOT NULL,     -- its newest event
  prev            INTEGER NOT NULL,     -- the event before that
  progress        BLOB,
  error           BLOB,
  input           BLOB,                 -- up to 1 KiB; larger ones are in payloads
  result          BLOB,
  response        BLOB
);
CREATE INDEX jobs_ready  ON jobs (q, kind, priority DESC, ready) WHERE ready IS NOT NULL;
CREATE INDEX jobs_wake   ON jobs (wake) WHERE wake IS NOT NULL;
CREATE INDEX jobs_state  ON jobs (q, state);
CREATE INDEX jobs_parent ON jobs (parent) WHERE parent IS NOT NULL;

CREATE TABLE tags (
  tag TEXT NOT NULL,
  n   INTEGER NOT NULL,
  PRIMARY KEY (tag, n)
) WITHOUT ROWID;

-- Payloads over 1 KiB, written once: a change of state does not rewrite them.
CREATE TABLE payloads (
  id   INTEGER PRIMARY KEY,  -- n * 4 + part
  data BLOB NOT NULL
);

CREATE TABLE keys (
  scope       TEXT NOT NULL,
  key         TEXT NOT NULL,
  fingerprint BLOB NOT NULL,
  n           INTEGER NOT NULL,
  until       INTEGER NOT NULL,
  PRIMARY KEY (scope, key)
) WITHOUT ROWID;

package sqlite

import (
	"cmp"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"zombiezen.com/go/sqlite"

	"jobhub/jobs"
	"jobhub/jobs/sqlite/eventlog"
)

// fields says which columns a jobs.Field stands for, in the order in which
// binder.fields binds them.
var fields = []struct {
	bit     jobs.Field
	columns string
}{
	{jobs.FieldState, "state reason ready held"},
	{jobs.FieldAttempt, "attempt"},
	{jobs.FieldLease, "lease"},
	{jobs.FieldWake, "wake"},
	{jobs.FieldScheduled, "scheduled"},
	{jobs.FieldStarted, "started"},
	{jobs.FieldFinished, "finished"},
	{jobs.FieldProgress, "progress"},
	{jobs.FieldError, "error"},
	{jobs.FieldResult, "result response"},
	{jobs.FieldCancel, "cancel"},
	{jobs.FieldLost, "lost"},
	{jobs.FieldCheckpoint, "checkpoint"},
	{jobs.FieldRetained, "retained"},
	{jobs.FieldSettled, "settled"},
	{jobs.FieldReported, "reported"},
	{jobs.FieldExpires, "expires"},
	{jobs.FieldCallbacks, "callbacks"},
	{jobs.FieldPriority, "priority"},
	{jobs.FieldRetried, "retried_by retried_as"},
	{jobs.FieldOutput, "output"},
}

// binder binds parameters one after another.
type binder struct {
	*sqlite.Stmt
	i   int
	err error // the first value that could not be encoded
}

// run executes the statement, unless a value could not be encoded.
func (p *binder) run() error {
	if p.err != nil {
		return p.err
	}
	return run(p.Stmt)
}

func (p *binder) int(v int64)   { p.i++; p.BindInt64(p.i, v) }
func (p *binder) text(v string) { p.i++; p.BindText(p.i, v) }
func (p *binder) blob(v []byte) { p.i++; p.BindBytes(p.i, v) }
func (p *binder) null()         { p.i++; p.BindNull(p.i) }

func (p *binder) time(t time.Time) {
	if t.IsZero() {
		p.null()
	} else {
		p.int(t.UnixMilli())
	}
}

func (p *binder) id(id jobs.ID) {
	if id == (jobs.ID{}) {
		p.null()
	} else {
		p.blob(id[:])
	}
}

func (p *binder) optional(v string) {
	if v == "" {
		p.null()
	} else {
		p.text(v)
	}
}

func (p *binder) bytes(v []byte) {
	if v == nil {
		p.null()
	} else {
		p.blob(v)
	}
}

func (p *binder) tags(tags []string) {
	if len(tags) == 0 {
		p.null()
		return
	}
	p.json(tags)
}

func (p *binder) callbacks(list []jobs.Callback) {
	if len(list) == 0 {
		p.null()
		return
	}
	p.json(list)
}

// json binds a value as JSON.
func (p *binder) json(v any) {
	b, err := json.Marshal(v, jsontext.AllowInvalidUTF8(true))
	p.err = cmp.Or(p.err, err)
	p.text(string(b))
}

// payload binds a part. One that is too large for the row of the job is returned instead, and
// the column gets an empty value.
func (p *binder) payload(part int, data []byte) *payload {
	switch {
	case len(data) == 0:
		p.null()
	case len(data) > jobs.SmallPayload:
		p.blob(nil)
		return &payload{part, data}
	default:
		p.blob(data)
	}
	return nil
}

// fields binds the values of the columns of f.
func (p *binder) fields(f jobs.Field, j *jobs.Job, ready bool, seq uint64) (large []payload) {
	if f.Has(jobs.FieldState) {
		p.int(int64(j.State))
		p.text(string(j.Reason))
		if ready {
			p.int(int64(seq))
		} else {
			p.null()
		}
		p.null()
	}
	if f.Has(jobs.FieldAttempt) {
		p.int(int64(j.Attempt))
	}
	if f.Has(jobs.FieldLease) {
		p.text(j.Lease)
	}
	if f.Has(jobs.FieldWake) {
		p.time(j.WakeAt)
	}
	if f.Has(jobs.FieldScheduled) {
		p.time(j.ScheduledAt)
	}
	if f.Has(jobs.FieldStarted) {
		p.time(j.StartedAt)
	}
	if f.Has(jobs.FieldFinished) {
		p.time(j.FinishedAt)
	}
	if f.Has(jobs.FieldProgress) {
		if j.Progress == nil {
			p.null()
		} else {
			p.text(string(j.Progress.AppendJSON(nil)))
		}
	}
	if f.Has(jobs.FieldError) {
		if j.Error == nil {
			p.null()
		} else {
			p.text(string(j.Error.AppendJSON(nil)))
		}
	}
	if f.Has(jobs.FieldResult) {
		var response []byte
		if j.Response != nil {
			var err error
			response, err = j.Response.MarshalBinary()
			p.err = cmp.Or(p.err, err)
		}
		for _, l := range []*payload{p.payload(partResult, j.Result), p.payload(partResponse, response)} {
			if l != nil {
				large = append(large, *l)
			}
		}
	}
	if f.Has(jobs.FieldCancel) {
		p.bool(j.CancelRequested)
	}
	if f.Has(jobs.FieldLost) {
		p.int(int64(j.Lost))
	}
	if f.Has(jobs.FieldCheckpoint) {
		p.optional(string(j.Checkpoint))
	}
	if f.Has(jobs.FieldRetained) {
		p.time(j.RetainedUntil)
	}
	if f.Has(jobs.FieldSettled) {
		p.text(j.Settled)
	}
	if f.Has(jobs.FieldReported) {
		p.int(int64(j.Reported))
	}
	if f.Has(jobs.FieldExpires) {
		p.time(j.ExpiresAt)
	}
	if f.Has(jobs.FieldCallbacks) {
		p.callbacks(j.Callbacks)
	}
	if f.Has(jobs.FieldPriority) {
		p.int(int64(j.Priority))
	}
	if f.Has(jobs.FieldRetried) {
		p.id(j.RetriedBy)
		p.bytes(j.RetryFingerprint)
	}
	if f.Has(jobs.FieldOutput) {
		p.int(j.Output)
	}
	return large
}

func (p *binder) bool(v bool) { p.i++; p.BindBool(p.i, v) }

// jobColumns are the columns that scanJob reads.
const jobColumns = `jobs.n, jobs.id, jobs.q, jobs.kind, jobs.state, jobs.reason, jobs.priority, jobs.tags, jobs.attempt, jobs.max_attempts,
	jobs.backoff, jobs.backoff_initial, jobs.backoff_max, jobs.timeout, jobs.created, jobs.scheduled, jobs.started, jobs.finished,
	jobs.expires, jobs.wake, jobs.lease, jobs.cancel, jobs.retry_of, jobs.parent, jobs.version, jobs.seq, jobs.progress, jobs.error,
	jobs.input, jobs.result, jobs.response, jobs.ordering_key, jobs.key, jobs.never_rerun, jobs.lost, jobs.retention, jobs.retained,
	jobs.parent_failed, jobs.checkpoint, jobs.settled, jobs.reported, jobs.queue_timeout, jobs.caller, jobs.via, jobs.callbacks,
	jobs.credentials, jobs.retried_by, jobs.retried_as, jobs.uniq, jobs.unique_key, jobs.schedule, jobs.start, jobs.output`

// scanJob reads jobColumns from column first on. Large payloads are left out; far says that
// there are any.
func scanJob(queues *queueCache, st *sqlite.Stmt, first int) (j jobs.Job, far bool, err error) {
	r := row{st, first - 1}
	j.N = uint64(r.int())
	st.ColumnBytes(r.next(), j.ID[:])
	q := queues.numbered(r.int())
	if q == nil {
		return j, false, fmt.Errorf("%w: job %d is of a queue that is not there", eventlog.ErrCorrupt, j.N)
	}
	j.Tenant, j.Queue = q.Tenant, q.Name
	j.Kind = r.text()
	j.State, j.Reason = jobs.State(r.int()), jobs.Reason(r.text())
	j.Priority = int(r.int())
	if tags := r.blob(); tags != nil {
		err = json.Unmarshal(tags, &j.Tags)
	}
	j.Attempt, j.MaxAttempts = int(r.int()), int(r.int())
	j.Backoff = jobs.Backoff{Kind: jobs.BackoffKind(r.int()), Initial: r.duration(), Max: r.duration()}
	j.Timeout = r.duration()
	j.CreatedAt, j.ScheduledAt, j.StartedAt, j.FinishedAt = r.time(), r.time(), r.time(), r.time()
	j.ExpiresAt, j.WakeAt = r.time(), r.time()
	j.Lease = r.text()
	j.CancelRequested = r.int() != 0
	st.ColumnBytes(r.next(), j.RetryOf[:])
	st.ColumnBytes(r.next(), j.Parent[:])
	j.Version, j.Seq = uint64(r.int()), uint64(r.int())
	if b := r.blob(); b != nil && err == nil {
		err = json.Unmarshal(b, &j.Progress)
	}
	if b := r.blob(); b != nil && err == nil {
		err = json.Unmarshal(b, &j.Error)
	}
	near := func() []byte {
		b := r.blob()
		if b != nil && len(b) == 0 {
			far = true
			return nil
		}
		return b
	}
	j.Input, j.Result = near(), near()
	if b := near(); b != nil && err == nil {
		j.Response = new(jobs.Response)
		err = j.Response.UnmarshalBinary(b)
	}
	j.OrderingKey, j.FairKey = r.text(), r.text()
	j.NeverRerun, j.Lost = r.int() != 0, int(r.int())
	j.Retention, j.RetainedUntil = r.duration(), r.time()
	j.DependencyFailed, j.Checkpoint = r.int() != 0, r.blob()
	j.Settled, j.Reported = r.text(), uint64(r.int())
	j.QueueTimeout, j.Caller = r.duration(), r.text()
	if b := r.blob(); b != nil && err == nil {
		err = json.Unmarshal(b, &j.Via)
	}
	if b := r.blob(); b != nil && err == nil {
		err = json.Unmarshal(b, &j.Callbacks)
	}
	if b := r.blob(); b != nil && err == nil {
		err = json.Unmarshal(b, &j.Credentials)
	}
	st.ColumnBytes(r.next(), j.RetriedBy[:])
	j.RetryFingerprint = r.blob()
	if b := r.blob(); b != nil && err == nil {
		err = json.Unmarshal(b, &j.Unique)
	}
	j.UniqueKey, j.Schedule = r.blob(), r.text()
	j.Start, j.Output = int(r.int()), r.int()
	return j, far, err
}

// row reads columns one after another.
type row struct {
	*sqlite.Stmt
	i int
}

func (r *row) next() int    { r.i++; return r.i }
func (r *row) int() int64   { return r.ColumnInt64(r.next()) }
func (r *row) text() string { return r.ColumnText(r.next()) }

func (r *row) duration() time.Duration { return time.Duration(r.int()) * time.Millisecond }

func (r *row) time() time.Time {
	if ms := r.int(); ms != 0 {
		return time.UnixMilli(ms)
	}
	return time.Time{}
}

// blob is nil for NULL.
func (r *row) blob() []byte {
	i := r.next()
	if r.ColumnIsNull(i) {
		return nil
	}
	b := make([]byte, r.ColumnLen(i))
	r.ColumnBytes(i, b)
	return b
}

// run executes a statement that gives no rows.
func run(st *sqlite.Stmt) error {
	_, err := st.Step()
	if e := st.Reset(); err == nil {
		err = e
	}
	return err
}

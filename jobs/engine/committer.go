package engine

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	"jobhub/jobs"
)

const (
	maxBatchChanges = 1000
	maxBatchBytes   = 4 << 20
	maxPendingBytes = 64 << 20
	maxPendingWait  = 30 * time.Second // for pending changes to become fewer
	maxCommitDelay  = 20 * time.Millisecond
	spaceCheckPause = 500 * time.Millisecond // between looks for space on a full disk
)

// op is one operation of a caller: a change that is stored in some batch.
type op struct {
	change    *jobs.Change
	output    *outputPiece         // of which the change tells; nil for none
	queue     *jobs.QueueChange    // instead of the change
	document  *jobs.DocumentChange // instead of the change
	group     *Group               // all ops of a group are stored in one batch; nil for none
	committer *committer           // where its group hands it in
	canWait   bool                 // may wait up to maxCommitDelay for others: progress and output
	failFast  bool                 // fails on a full disk; ops without it are stored once there is space
	bytes     int                  // counts against the limits above
	prepare   func(c *jobs.Change) // completes the change just before it is stored; may be nil
	inBatch   bool                 // its batch is being stored: it can't be extended any more
	err       error                // the outcome, once done is closed
	done      chan struct{}
}

func (o *op) finish(err error) {
	o.err = err
	close(o.done)
}

func newOp(c *jobs.Change) *op {
	bytes := 256 + len(c.Job.Input) + c.Job.Credentials.Size() + len(c.Event.Data)
	if t := c.Event.Type; t != 0 && t.Lasting() { // each may get a delivery that holds the job
		bytes += len(c.Job.Callbacks) * min(1024+2*bytes, 2*jobs.MaxEventData)
	}
	return &op{change: c, bytes: bytes, done: make(chan struct{})}
}

// committer turns changes into batches (group commit): what arrives while one batch is being
// stored is the next batch, and an idle committer stores at once. Only changes that nobody
// waits for are delayed, by up to maxCommitDelay.
type committer struct {
	store        jobs.Store
	catchPanic   func(what string, id jobs.ID, f func()) error // calls f and turns a panic into an error
	addClaims    func(b *jobs.Batch)                           // adds claims to a batch about to be stored
	addFollowing func(b *jobs.Batch)                           // adds to a batch, before it is stored, what follows from its changes
	afterCommit  func(b *jobs.Batch, err error)                // called with every batch after its ops have their outcomes
	onDiskFull   func(err error)                               // called when the disk is full, and with nil when it no longer is

	wake chan struct{} // has an element if run should check for work
	quit chan struct{} // closed by close

	storing sync.Mutex // held while a batch is made, stored and answered

	mu            sync.Mutex // protects the fields below
	pending       []*op
	bytes         int
	urgent        bool          // something pending must be stored without delay
	room          chan struct{} // closed and replaced when waiting callers should try again
	failed        error         // why nothing can be stored any more; set once
	closed        bool          // further ops are refused; those before are still stored
	diskFull      error         // why nothing can be stored now; nil if there is space
	spaceCheckDue bool          // a check for space comes soon; until then nothing is stored
	ending        bool          // the engine ends: ops are not kept for when there is space
}

func newCommitter(store jobs.Store) *committer {
	return &committer{store: store, wake: make(chan struct{}, 1), quit: make(chan struct{}), room: make(chan struct{})}
}

// refusal is the error of an op that was not accepted: nothing of it is or will be stored.
type refusal struct{ error }

func (r refusal) Unwrap() error { return r.error }

// errBusy: there was no room for the op among the pending ones within maxPendingWait.
var errBusy = errors.New("too much waits to be stored")

// put enqueues an op. It blocks while too much is pending.
func (c *committer) put(ctx context.Context, o *op) error { return c.putAll(ctx, []*op{o}) }

// putAll enqueues ops of the same settings, directly after one another. If ctx ends before
// they are enqueued, the error is a refusal; later the end of ctx has no effect. ErrClosed is
// a refusal, too.
func (c *committer) putAll(ctx context.Context, ops []*op) error {
	bytes := 0
	for _, o := range ops {
		bytes += o.bytes
	}
	var late <-chan time.Time
	for {
		if ctx.Err() != nil {
			return refusal{context.Cause(ctx)}
		}
		c.mu.Lock()
		if c.failed != nil {
			defer c.mu.Unlock()
			return c.failed
		}
		if c.closed {
			defer c.mu.Unlock()
			return refusal{jobs.ErrClosed}
		}
		if c.diskFull != nil && ops[0].failFast {
			defer c.mu.Unlock()
			return c.diskFull
		}
		if c.bytes == 0 || c.bytes+bytes <= maxPendingBytes {
			c.pending = append(c.pending, ops...)
			c.bytes += bytes
			c.urgent = c.urgent || !ops[0].canWait
			c.mu.Unlock()
			c.trigger(false)
			return nil
		}
		room := c.room
		c.mu.Unlock()
		if late == nil && ops[0].failFast {
			timer := time.NewTimer(maxPendingWait)
			defer timer.Stop()
			late = timer.C
		}
		select {
		case <-room:
		case <-late:
			return refusal{errBusy}
		case <-ctx.Done():
		}
	}
}

// do enqueues an op, which fails on a full disk, and waits for its outcome. Once it is
// enqueued, the end of ctx has no effect: the change will be stored, and its caller has to
// know the outcome.
func (c *committer) do(ctx context.Context, o *op) error {
	o.failFast = true
	return c.doWhenSpace(ctx, o)
}

// doWhenSpace is do for a change that must be stored: on a full disk it waits for space.
func (c *committer) doWhenSpace(ctx context.Context, o *op) error {
	if err := c.put(ctx, o); err != nil {
		return err
	}
	return o.wait()
}

// wait returns the outcome of an op that was enqueued. The committer finishes every op, at
// the latest when the engine ends.
func (o *op) wait() error {
	<-o.done
	return o.err
}

// waitForBatch waits until the batch that is being stored, if any, has its outcome.
func (c *committer) waitForBatch() {
	c.storing.Lock()
	defer c.storing.Unlock()
}

// trigger wakes the committer. With urgent it makes a batch at once, also without any op.
func (c *committer) trigger(urgent bool) {
	if urgent {
		c.mu.Lock()
		c.urgent = true
		c.mu.Unlock()
	}
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// run stores batches until the committer is closed and nothing is pending.
func (c *committer) run() {
	for {
		ops, more := c.gather()
		if !more {
			return
		}
		c.commit(ops)
	}
}

// commit makes a batch of ops, stores it and finishes the ops.
func (c *committer) commit(ops []*op) {
	c.storing.Lock()
	defer c.storing.Unlock()
	if err := c.failure(); err != nil {
		for _, o := range ops {
			o.finish(err)
		}
		return
	}
	b := &jobs.Batch{Now: time.Now().Truncate(time.Millisecond), Changes: make([]*jobs.Change, 0, len(ops))}
	whole := ops[:0]
	for _, o := range ops {
		if err := c.prepare(o); err != nil {
			o.finish(err)
			continue
		}
		whole = append(whole, o)
		if o.queue != nil {
			b.Queues = append(b.Queues, o.queue)
			continue
		}
		if o.document != nil {
			b.Documents = append(b.Documents, o.document)
			continue
		}
		b.Changes = append(b.Changes, o.change)
	}
	ops = whole
	c.addClaims(b)
	c.addFollowing(b)
	if len(b.Changes)+len(b.Claims)+len(b.Queues)+len(b.Documents) == 0 && !c.isDiskFull() {
		return
	}
	var err error
	if bad := c.catchPanic("a commit", jobs.ID{}, func() { err = c.store.Commit(context.Background(), b) }); bad != nil {
		err = bad // its outcome is unknown, as of any other error of the store
	}
	if errors.Is(err, jobs.ErrNoSpace) {
		ops = c.handleDiskFull(ops, err)
	} else if err == nil {
		c.clearDiskFull()
	}
	if err != nil && !errors.Is(err, jobs.ErrNoSpace) && !errors.Is(err, jobs.ErrDamaged) {
		c.fail(err)
	}
	for _, o := range ops {
		switch {
		case err != nil:
			o.finish(err)
		case o.queue != nil:
			o.finish(o.queue.Err)
		case o.document != nil:
			o.finish(o.document.Err)
		default:
			o.finish(o.change.Err)
		}
	}
	c.afterCommit(b, err)
}

// prepare completes an op just before it is stored.
func (c *committer) prepare(o *op) error {
	return c.catchPanic("a change", o.change.Job.ID, func() {
		if o.prepare != nil {
			o.prepare(o.change)
		}
		o.change.Event.Truncate()
	})
}

// gather waits for the next batch; false when there will be none.
func (c *committer) gather() ([]*op, bool) {
	var hold *time.Timer
	var due <-chan time.Time
	quit := c.quit
	closing := false
	for {
		c.mu.Lock()
		if c.urgent && (!c.spaceCheckDue || c.ending) || closing {
			ops := c.nextBatchLocked()
			c.mu.Unlock()
			return ops, len(ops) > 0 || !closing
		}
		lazy := len(c.pending) > 0
		c.mu.Unlock()
		if lazy && hold == nil {
			hold = time.NewTimer(maxCommitDelay)
			defer hold.Stop()
			due = hold.C
		}
		select {
		case <-c.wake:
		case <-due:
			c.mu.Lock()
			c.urgent = true
			c.mu.Unlock()
		case <-quit:
			closing, quit = true, nil
		}
	}
}

func (c *committer) nextBatchLocked() []*op {
	n, bytes := 0, 0
	for n < len(c.pending) {
		next, size := n+1, c.pending[n].bytes
		for g := c.pending[n].group; g != nil && next < len(c.pending) && c.pending[next].group == g; next++ {
			size += c.pending[next].bytes
		}
		if n > 0 && (next > maxBatchChanges || bytes+size > maxBatchBytes) {
			break
		}
		n, bytes = next, bytes+size
	}
	for _, o := range c.pending[:n] {
		o.inBatch = true
	}
	ops := c.pending[:n:n]
	c.pending = c.pending[n:]
	c.bytes -= bytes
	c.urgent = len(c.pending) > 0
	c.wakeWaitersLocked()
	return ops
}

// wakeWaitersLocked lets callers that wait in putAll try again.
func (c *committer) wakeWaitersLocked() {
	close(c.room)
	c.room = make(chan struct{})
}

// fail refuses all further ops: after an error of unknown outcome nothing that the
// store says can be trusted, and a repeated fsync that succeeds proves nothing.
func (c *committer) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed == nil {
		c.failed = err
		for _, o := range c.pending {
			o.finish(err)
		}
		c.pending, c.bytes = nil, 0
		c.wakeWaitersLocked()
	}
}

// handleDiskFull records that the disk is full. It keeps the ops, of this batch and pending,
// that must be stored later, and returns the others, which fail.
func (c *committer) handleDiskFull(ops []*op, err error) (failed []*op) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var kept []*op
	c.bytes = 0
	for _, o := range append(ops, c.pending...) {
		if o.failFast || c.ending || c.closed || c.failed != nil {
			failed = append(failed, o)
			continue
		}
		kept = append(kept, o)
		c.bytes += o.bytes
	}
	c.pending = kept
	c.urgent = c.ending && len(kept) > 0
	if !c.spaceCheckDue {
		c.spaceCheckDue = true
		time.AfterFunc(spaceCheckPause, func() {
			c.mu.Lock()
			c.spaceCheckDue = false
			c.mu.Unlock()
			c.trigger(true)
		})
	}
	if c.diskFull == nil {
		c.onDiskFull(err)
	}
	c.diskFull = err
	c.wakeWaitersLocked()
	return failed
}

func (c *committer) isDiskFull() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.diskFull != nil
}

// clearDiskFull records that there is space again.
func (c *committer) clearDiskFull() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.diskFull != nil {
		c.diskFull = nil
		c.onDiskFull(nil)
	}
}

// stopKeeping lets ops fail that wait for space on a full disk, because the engine ends.
func (c *committer) stopKeeping() {
	c.mu.Lock()
	c.ending = true
	c.mu.Unlock()
	c.trigger(true)
}

// failure is why nothing can be stored any more; nil if the store works.
func (c *committer) failure() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failed
}

// err is why ops are refused now; nil if they are not.
func (c *committer) err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed == nil && c.closed {
		return jobs.ErrClosed
	}
	return cmp.Or(c.failed, c.diskFull)
}

// close refuses further ops and lets run end when all pending ones are stored. Call it once.
func (c *committer) close() {
	c.mu.Lock()
	c.closed = true
	c.wakeWaitersLocked()
	c.mu.Unlock()
	close(c.quit)
}

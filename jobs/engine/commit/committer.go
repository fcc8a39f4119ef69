// Package commit stores the changes of many callers together (group commit): what arrives
// while one batch is being stored is the next batch, and an idle [Committer] stores at once.
//
// What it promises:
//
//   - An [Op] that was enqueued gets exactly one outcome, from the store, at the latest when
//     the committer is closed. The end of a context has no effect any more.
//   - [Problem] tells a caller that nothing was stored only if that is certain.
//   - After an error of unknown outcome nothing more is stored: Failure then says why.
//   - On a full disk ops fail if their callers can be told (FailFast); others are stored when
//     there is space.
//
// A change goes
//
//	Do, Put, PutAll, Submit → pending → gather → commit → Hooks.Complete → Store.Commit → Op.Wait
package commit

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	"jobhub/jobs"
)

// The most that one batch holds.
const (
	MaxChanges = 1000
	MaxBytes   = 4 << 20
)

const (
	maxPendingBytes = 64 << 20
	maxPendingWait  = 30 * time.Second // for pending changes to become fewer
	maxCommitDelay  = 20 * time.Millisecond
	spaceCheckPause = 500 * time.Millisecond // between looks for space on a full disk
)

// Op is one operation of a caller: a change that is stored in some batch. Its exported fields
// must not be changed after it is enqueued, but in Committer.Amend.
type Op struct {
	Change   *jobs.Change
	Queue    *jobs.QueueChange    // instead of the change
	Document *jobs.DocumentChange // instead of the change
	CanWait  bool                 // may wait up to maxCommitDelay for others: progress and output
	FailFast bool                 // fails on a full disk; ops without it are stored once there is space
	Bytes    int                  // counts against the limits above
	Prepare  func(c *jobs.Change) // completes the change just before it is stored; may be nil

	first     *Op        // of those that are stored in one batch with it, as PutAll got them
	committer *Committer // where its group hands it in
	inBatch   bool       // its batch is being stored
	err       error      // the outcome, once done is closed
	done      chan struct{}
}

func (o *Op) finish(err error) {
	o.err = err
	close(o.done)
}

// NewOp returns an op for a change.
func NewOp(c *jobs.Change) *Op {
	bytes := 256 + len(c.Job.Input) + c.Job.Credentials.Size() + len(c.Event.Data)
	if t := c.Event.Type; t != 0 && t.Lasting() { // each may get a delivery that holds the job
		bytes += len(c.Job.Callbacks) * min(1024+2*bytes, 2*jobs.MaxEventData)
	}
	return &Op{Change: c, Bytes: bytes, done: make(chan struct{})}
}

// Hooks are what an engine does around a commit. All must be set.
type Hooks struct {
	CatchPanic func(what string, id jobs.ID, f func()) error // calls f and turns a panic into an error
	Complete   func(b *jobs.Batch)                           // adds claims to a batch about to be stored, and what follows from its changes
	Committed  func(b *jobs.Batch, err error)                // called with every batch after its ops have their outcomes
	DiskFull   func(err error)                               // called when the disk is full, and with nil when it no longer is
}

// Committer turns ops into batches. Only ops that nobody waits for are delayed, by up to
// maxCommitDelay.
type Committer struct {
	store jobs.Store
	hooks Hooks

	wake chan struct{} // has an element if run should check for work
	quit chan struct{} // closed by close

	storing sync.Mutex // held while a batch is made, stored and answered

	mu            sync.Mutex // protects the fields below
	pending       []*Op
	bytes         int
	urgent        bool          // something pending must be stored without delay
	room          chan struct{} // closed and replaced when waiting callers should try again
	failed        error         // why nothing can be stored any more; set once
	closed        bool          // further ops are refused; those before are still stored
	diskFull      error         // why nothing can be stored now; nil if there is space
	spaceCheckDue bool          // a check for space comes soon; until then nothing is stored
	ending        bool          // the engine ends: ops are not kept for when there is space
}

// New returns a committer; Run must be called for it to store anything.
func New(store jobs.Store, hooks Hooks) *Committer {
	return &Committer{store: store, hooks: hooks, wake: make(chan struct{}, 1), quit: make(chan struct{}), room: make(chan struct{})}
}

// Put enqueues an op. It blocks while too much is pending.
func (c *Committer) Put(ctx context.Context, o *Op) error { return c.PutAll(ctx, []*Op{o}) }

// PutAll enqueues ops of the same settings, to be stored in one batch. If ctx ends before
// they are enqueued, the error is a refusal; later the end of ctx has no effect. ErrClosed is
// a refusal, too.
func (c *Committer) PutAll(ctx context.Context, ops []*Op) error {
	bytes := 0
	for _, o := range ops {
		o.first = ops[0]
		bytes += o.Bytes
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
		if c.diskFull != nil && ops[0].FailFast {
			defer c.mu.Unlock()
			return c.diskFull
		}
		if c.bytes == 0 || c.bytes+bytes <= maxPendingBytes {
			c.pending = append(c.pending, ops...)
			c.bytes += bytes
			c.urgent = c.urgent || !ops[0].CanWait
			c.mu.Unlock()
			c.Trigger(false)
			return nil
		}
		room := c.room
		c.mu.Unlock()
		if late == nil && ops[0].FailFast {
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

// Amend calls change if an op that was enqueued can still be changed, because its batch is not
// being stored yet; false if it is. change may set fields of the op, and returns by how many
// bytes the op grew.
func (c *Committer) Amend(o *Op, change func() (more int)) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if o.inBatch {
		return false
	}
	more := change()
	o.Bytes, c.bytes = o.Bytes+more, c.bytes+more
	return true
}

// Do enqueues an op, which fails on a full disk, and waits for its outcome. Once it is
// enqueued, the end of ctx has no effect: the change will be stored, and its caller has to
// know the outcome.
func (c *Committer) Do(ctx context.Context, o *Op) error {
	o.FailFast = true
	return c.DoWhenSpace(ctx, o)
}

// DoWhenSpace is do for a change that must be stored: on a full disk it waits for space.
func (c *Committer) DoWhenSpace(ctx context.Context, o *Op) error {
	if err := c.Put(ctx, o); err != nil {
		return err
	}
	return o.Wait()
}

// Wait returns the outcome of an op that was enqueued. The committer finishes every op, at
// the latest when the engine ends.
func (o *Op) Wait() error {
	<-o.done
	return o.err
}

// WaitForBatch waits until the batch that is being stored, if any, has its outcome.
func (c *Committer) WaitForBatch() {
	c.storing.Lock()
	defer c.storing.Unlock()
}

// Trigger wakes the committer. With urgent it makes a batch at once, also without any op.
func (c *Committer) Trigger(urgent bool) {
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

// Run stores batches until the committer is closed and nothing is pending.
func (c *Committer) Run() {
	for {
		ops, more := c.gather()
		if !more {
			return
		}
		c.commit(ops)
	}
}

// commit makes a batch of ops, stores it and finishes the ops.
func (c *Committer) commit(ops []*Op) {
	c.storing.Lock()
	defer c.storing.Unlock()
	if err := c.Failure(); err != nil {
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
		if o.Queue != nil {
			b.Queues = append(b.Queues, o.Queue)
			continue
		}
		if o.Document != nil {
			b.Documents = append(b.Documents, o.Document)
			continue
		}
		b.Changes = append(b.Changes, o.Change)
	}
	ops = whole
	c.hooks.Complete(b)
	if len(b.Changes)+len(b.Claims)+len(b.Queues)+len(b.Documents) == 0 && !c.isDiskFull() {
		return
	}
	var err error
	if bad := c.hooks.CatchPanic("a commit", jobs.ID{}, func() { err = c.store.Commit(context.Background(), b) }); bad != nil {
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
		case o.Queue != nil:
			o.finish(o.Queue.Err)
		case o.Document != nil:
			o.finish(o.Document.Err)
		default:
			o.finish(o.Change.Err)
		}
	}
	c.hooks.Committed(b, err)
}

// prepare completes an op just before it is stored.
func (c *Committer) prepare(o *Op) error {
	return c.hooks.CatchPanic("a change", o.Change.Job.ID, func() {
		if o.Prepare != nil {
			o.Prepare(o.Change)
		}
		o.Change.Event.Truncate()
	})
}

// gather waits for the next batch; false when there will be none.
func (c *Committer) gather() ([]*Op, bool) {
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

func (c *Committer) nextBatchLocked() []*Op {
	n, bytes := 0, 0
	for n < len(c.pending) {
		next, size := n+1, c.pending[n].Bytes
		for next < len(c.pending) && c.pending[next].first == c.pending[n].first {
			size += c.pending[next].Bytes
			next++
		}
		if n > 0 && (next > MaxChanges || bytes+size > MaxBytes) {
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
func (c *Committer) wakeWaitersLocked() {
	close(c.room)
	c.room = make(chan struct{})
}

// fail refuses all further ops: after an error of unknown outcome nothing that the
// store says can be trusted, and a repeated fsync that succeeds proves nothing.
func (c *Committer) fail(err error) {
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
func (c *Committer) handleDiskFull(ops []*Op, err error) (failed []*Op) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var kept []*Op
	c.bytes = 0
	for _, o := range append(ops, c.pending...) {
		if o.FailFast || c.ending || c.closed || c.failed != nil {
			failed = append(failed, o)
			continue
		}
		kept = append(kept, o)
		c.bytes += o.Bytes
	}
	c.pending = kept
	c.urgent = c.ending && len(kept) > 0
	if !c.spaceCheckDue {
		c.spaceCheckDue = true
		time.AfterFunc(spaceCheckPause, func() {
			c.mu.Lock()
			c.spaceCheckDue = false
			c.mu.Unlock()
			c.Trigger(true)
		})
	}
	if c.diskFull == nil {
		c.hooks.DiskFull(err)
	}
	c.diskFull = err
	c.wakeWaitersLocked()
	return failed
}

func (c *Committer) isDiskFull() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.diskFull != nil
}

// clearDiskFull records that there is space again.
func (c *Committer) clearDiskFull() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.diskFull != nil {
		c.diskFull = nil
		c.hooks.DiskFull(nil)
	}
}

// StopKeeping lets ops fail that wait for space on a full disk, because the engine ends.
func (c *Committer) StopKeeping() {
	c.mu.Lock()
	c.ending = true
	c.mu.Unlock()
	c.Trigger(true)
}

// Failure is why nothing can be stored any more; nil if the store works.
func (c *Committer) Failure() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failed
}

// Err is why ops are refused now; nil if they are not.
func (c *Committer) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed == nil && c.closed {
		return jobs.ErrClosed
	}
	return cmp.Or(c.failed, c.diskFull)
}

// Close refuses further ops and lets run end when all pending ones are stored. Call it once.
func (c *Committer) Close() {
	c.mu.Lock()
	c.closed = true
	c.wakeWaitersLocked()
	c.mu.Unlock()
	close(c.quit)
}

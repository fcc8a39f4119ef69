package jobs

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"
)

const (
	maxBatchChanges = 1000
	maxBatchBytes   = 4 << 20
	maxPendingBytes = 64 << 20
	maxPendingWait  = 30 * time.Second // for pending changes to become fewer
	maxCommitDelay  = 20 * time.Millisecond
	spaceCheckPause = 500 * time.Millisecond // between looks for space on a full disk
)

// op is one caller's share of a batch.
type op struct {
	change    *Change
	queue     *QueueChange    // instead of the change
	document  *DocumentChange // instead of the change
	group     *Group          // stored in one batch with the others of it; nil for none
	committer *committer      // of an op that its group holds
	canWait   bool            // may wait for company: progress and output
	failFast  bool            // its caller can be told that there is no space; others are kept until there is
	bytes     int             // share of the bounds above
	prepare   func(c *Change) // completes the change as its batch is made up; may be nil
	inBatch   bool            // in a batch, so that it can no longer be added to
	err       error           // the outcome, once done is closed
	done      chan struct{}
}

func (o *op) finish(err error) {
	o.err = err
	close(o.done)
}

func newOp(c *Change) *op {
	bytes := 256 + len(c.Job.Input) + c.Job.Credentials.size() + len(c.Event.Data)
	if t := c.Event.Type; t != 0 && t.Lasting() { // each may be told the job as it is then
		bytes += len(c.Job.Callbacks) * min(1024+2*bytes, 2*MaxEventData)
	}
	return &op{change: c, bytes: bytes, done: make(chan struct{})}
}

// committer turns changes into batches: what arrives while a commit is under way
// makes up the next one, and an idle committer stores at once (group commit by
// demand). Only changes that nobody waits for are held back, for lazyDelay.
type committer struct {
	store        Store
	catchPanic   func(what string, id ID, f func()) error // calls f, and makes an error of a panic
	addClaims    func(b *Batch)                           // adds claims to a batch about to be stored
	addFollowing func(b *Batch)                           // completes a batch about to be stored with what follows from it
	afterCommit  func(b *Batch, err error)                // sees every batch after its ops were answered
	onDiskFull   func(err error)                          // told when the disk is full, and with nil when it no longer is

	wake chan struct{} // has an element when there may be something to do
	quit chan struct{} // closed when no further op is taken

	storing sync.Mutex // held from making up a batch until all have heard of its outcome

	mu            sync.Mutex // protects the fields below
	pending       []*op
	bytes         int
	urgent        bool          // something pending should not wait
	room          chan struct{} // closed and replaced when those who wait to hand in should look again
	failed        error         // why nothing can be stored any more; never set again
	closed        bool          // no further op is taken; what was handed in before is still stored
	diskFull      error         // why nothing can be stored now
	spaceCheckDue bool          // until it is looked for space again
	ending        bool          // nothing is kept any more until there is space
}

func newCommitter(store Store) *committer {
	return &committer{store: store, wake: make(chan struct{}, 1), quit: make(chan struct{}), room: make(chan struct{})}
}

// refusal is why an op was not handed in: nothing of it is stored, and nothing will be.
type refusal struct{ error }

func (r refusal) Unwrap() error { return r.error }

// errBusy: what waits to be stored has not become less for maxRoomWait.
var errBusy = errors.New("too much waits to be stored")

// put hands an op in. It blocks while too much is pending.
func (c *committer) put(ctx context.Context, o *op) error { return c.putAll(ctx, []*op{o}) }

// putAll is put for ops that are alike: all of them follow one another. The end of ctx
// matters only until they are handed in: it is a refusal, as is ErrClosed.
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
			return refusal{ErrClosed}
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

// do hands a change in and waits for its outcome. Once it is in, the end of ctx changes
// nothing: the change will be stored, and its caller has to know.
func (c *committer) do(ctx context.Context, o *op) error {
	o.failFast = true
	return c.doWhenSpace(ctx, o)
}

// doWhenSpace is do for what has to be stored once there is space, if there is none now.
func (c *committer) doWhenSpace(ctx context.Context, o *op) error {
	if err := c.put(ctx, o); err != nil {
		return err
	}
	return o.wait()
}

// wait returns the outcome of an op that was handed in. The committer finishes every op:
// at the latest when the engine ends.
func (o *op) wait() error {
	<-o.done
	return o.err
}

// waitForBatch returns after the batch that is under way, if there is one.
func (c *committer) waitForBatch() {
	c.storing.Lock()
	defer c.storing.Unlock()
}

// trigger makes the committer look again; urgent, also without any op.
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

// commit makes a batch of ops, stores it and tells everybody.
func (c *committer) commit(ops []*op) {
	c.storing.Lock()
	defer c.storing.Unlock()
	if err := c.failure(); err != nil {
		for _, o := range ops {
			o.finish(err)
		}
		return
	}
	b := &Batch{Now: time.Now().Truncate(time.Millisecond), Changes: make([]*Change, 0, len(ops))}
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
	if bad := c.catchPanic("a commit", ID{}, func() { err = c.store.Commit(context.Background(), b) }); bad != nil {
		err = bad // of unknown outcome, as any other of the store
	}
	if errors.Is(err, ErrNoSpace) {
		ops = c.handleDiskFull(ops, err)
	} else if err == nil {
		c.clearDiskFull()
	}
	if err != nil && !errors.Is(err, ErrNoSpace) && !errors.Is(err, ErrDamaged) && failStop {
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

// prepare makes a change what it is to be stored as.
func (c *committer) prepare(o *op) error {
	return c.catchPanic("a change", o.change.Job.ID, func() {
		if o.prepare != nil {
			o.prepare(o.change)
		}
		o.change.Event.truncate()
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

// wakeWaitersLocked makes those look again who wait to hand something in.
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

// handleDiskFull notes that the disk is full, keeps of ops what nobody can be told of, and returns
// the others, together with those that were still to come.
func (c *committer) handleDiskFull(ops []*op, err error) (told []*op) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var kept []*op
	c.bytes = 0
	for _, o := range append(ops, c.pending...) {
		if o.failFast || c.ending || c.closed || c.failed != nil {
			told = append(told, o)
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
	return told
}

func (c *committer) isDiskFull() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.diskFull != nil
}

// clearDiskFull notes that there is space.
func (c *committer) clearDiskFull() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.diskFull != nil {
		c.diskFull = nil
		c.onDiskFull(nil)
	}
}

// stopKeeping no longer keeps what there is no space for: the engine is about to end.
func (c *committer) stopKeeping() {
	c.mu.Lock()
	c.ending = true
	c.mu.Unlock()
	c.trigger(true)
}

// failure is why nothing may be stored any more, or nil.
func (c *committer) failure() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failed
}

// err is why no op is taken, or nil.
func (c *committer) err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed == nil && c.closed {
		return ErrClosed
	}
	return cmp.Or(c.failed, c.diskFull)
}

// close takes no further op and lets run end when all is stored. It is called once.
func (c *committer) close() {
	c.mu.Lock()
	c.closed = true
	c.wakeWaitersLocked()
	c.mu.Unlock()
	close(c.quit)
}

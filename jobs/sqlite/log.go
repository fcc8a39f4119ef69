package sqlite

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"jobhub/jobs"
	"jobhub/jobs/sqlite/eventlog"
)

// Head implements jobs.Store.
func (s *Store) Head() jobs.Position {
	head, _ := s.tail.Position()
	return jobs.Position{Epoch: s.folder.Epoch(), Seq: head}
}

// Wait implements jobs.Store.
func (s *Store) Wait(ctx context.Context, seq uint64) error { return s.tail.Wait(ctx, seq, s.closed) }

// Read implements jobs.Store.
func (s *Store) Read(ctx context.Context, q jobs.ReadQuery) (events []*jobs.Event, err error) {
	if s.isClosed() {
		return nil, jobs.ErrClosed
	}
	if q.Job != (jobs.ID{}) {
		return s.readJob(ctx, q)
	}
	if q.MaxBytes <= 0 {
		q.MaxBytes = 1 << 20
	}
	events, ok, err := s.tail.After(q.After, q.MaxBytes)
	if ok {
		return events, err
	}
	head, _ := s.tail.Position()
	conn, err := s.borrowReader(ctx)
	if err != nil {
		return nil, err
	}
	defer s.read.Put(conn)
	defer s.explainInterrupt(ctx, &err)
	size := 0
	err = eachRow(conn, q.After, func(row []*jobs.Event) bool {
		for _, e := range row {
			if e.Seq > q.After && e.Seq <= head && (size == 0 || size < q.MaxBytes) {
				events = append(events, e)
				size += e.Size()
			}
		}
		return size < q.MaxBytes
	})
	if isDamage(err) && len(events) > 0 {
		return events, nil // the next read meets it
	}
	if err != nil {
		return nil, s.skipDamagedEvents(conn, q.After, err)
	}
	if len(events) == 0 || events[0].Seq != q.After+1 {
		return nil, jobs.ErrTrimmed // since the tail was asked
	}
	return events, nil
}

// skipDamagedEvents treats the log as trimmed up to the end of the damaged events after seq,
// so that readers get ErrTrimmed as for any other gap.
func (s *Store) skipDamagedEvents(conn *sqlite.Conn, seq uint64, err error) error {
	if !isDamage(err) {
		return err
	}
	head, _ := s.tail.Position()
	floor := head
	readable := func(after uint64) bool {
		ok := false
		err := eachRow(conn, after, func(row []*jobs.Event) bool { ok, floor = true, row[0].Seq-1; return false })
		return err == nil && ok
	}
	// Find a readable row after the damaged ones with growing steps, then search for the
	// first one.
	bad, good := seq, head
	for step := uint64(1); bad+step < head; step *= 2 {
		if readable(bad + step) {
			good = bad + step
			break
		}
		bad += step
	}
	for good-bad > 1 {
		if middle := bad + (good-bad)/2; readable(middle) {
			good = middle
		} else {
			bad = middle
		}
	}
	if good == head || !readable(good) {
		floor = head
	}
	floor = s.tail.RaiseFloor(floor)
	return fmt.Errorf("%w: %w", jobs.ErrTrimmed, s.damaged(err, "events %d to %d", seq+1, floor))
}

// eachRow calls more with the rows of the log that hold events after seq, as long as it
// returns true.
func eachRow(conn *sqlite.Conn, seq uint64, more func(row []*jobs.Event) bool) error {
	st := conn.Prep("SELECT last, events FROM log WHERE last > ? ORDER BY last")
	st.BindInt64(1, int64(seq))
	defer st.Reset()
	for {
		found, err := st.Step()
		if err != nil || !found {
			return err
		}
		events, err := scanEvents(st)
		if err != nil {
			return err
		}
		if !more(events) {
			return nil
		}
	}
}

// scanEvents reads a row of the log.
func scanEvents(st *sqlite.Stmt) ([]*jobs.Event, error) {
	r := row{st, -1}
	last := r.int()
	events, err := eventlog.Decode(r.blob())
	if err == nil && events[len(events)-1].Seq != uint64(last) {
		err = eventlog.ErrCorrupt
	}
	if err != nil {
		return nil, fmt.Errorf("row %d of the log: %w", last, err)
	}
	return events, nil
}

// readJob follows one job's events back from the newest, and returns the oldest ones after
// q.After.
func (s *Store) readJob(ctx context.Context, q jobs.ReadQuery) (events []*jobs.Event, err error) {
	conn, err := s.borrowReader(ctx)
	if err != nil {
		return nil, err
	}
	defer s.read.Put(conn)
	defer s.explainInterrupt(ctx, &err)
	_, floor := s.tail.Position()
	in := jobLog{s, conn, floor, nil}
	defer func() { err = s.damaged(err, "the events of job %s", q.Job) }()
	if q.Walk != nil {
		return in.forward(ctx, q)
	}
	seq, err := in.newest(q.Job)
	size, newest := 0, 0 // bytes of the events in the result; index of the first of them
	for err == nil && seq > q.After {
		var e *jobs.Event
		if e, err = in.at(ctx, seq); err != nil {
			break
		}
		events = append(events, e)
		for size += e.Size(); q.MaxBytes > 0 && size > q.MaxBytes && newest < len(events)-1; newest++ {
			size -= events[newest].Size()
			events[newest] = nil
		}
		seq = e.Prev
	}
	if err != nil {
		return nil, err
	}
	events = events[newest:]
	slices.Reverse(events)
	return events, nil
}

// jobLog finds events by their seq.
type jobLog struct {
	*Store
	conn  *sqlite.Conn
	floor uint64
	row   []*jobs.Event // the one read last
}

// newest is the seq of a job's newest event.
func (l *jobLog) newest(id jobs.ID) (seq uint64, err error) {
	err = sqlitex.Execute(l.conn, "SELECT seq FROM jobs WHERE id=?", &sqlitex.ExecOptions{Args: []any{id[:]},
		ResultFunc: func(st *sqlite.Stmt) error { seq = uint64(st.ColumnInt64(0)); return nil }})
	if err == nil && seq == 0 {
		err = jobs.ErrNotFound
	}
	return seq, err
}

func (l *jobLog) at(ctx context.Context, seq uint64) (*jobs.Event, error) {
	if seq <= l.floor {
		return nil, jobs.ErrTrimmed
	}
	if e := l.tail.At(seq); e != nil {
		return e, nil
	}
	if len(l.row) == 0 || seq < l.row[0].Seq || seq > l.row[len(l.row)-1].Seq {
		if l.row = nil; ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err := eachRow(l.conn, seq-1, func(row []*jobs.Event) bool { l.row = row; return false }); err != nil {
			return nil, l.skipDamagedEvents(l.conn, seq-1, err)
		}
		if len(l.row) == 0 || seq < l.row[0].Seq {
			return nil, jobs.ErrTrimmed
		}
	}
	return l.row[seq-l.row[0].Seq], nil
}

// forward fills the Walk at the first read, and then reads the next events that it lists.
func (l *jobLog) forward(ctx context.Context, q jobs.ReadQuery) (events []*jobs.Event, err error) {
	w := q.Walk
	if !w.Done {
		if *w, err = l.walk(ctx, q); err != nil {
			return nil, err
		}
	}
	first, found := slices.BinarySearch(w.Seqs, q.After)
	if found {
		first++
	}
	size := 0
	for _, seq := range w.Seqs[first:] {
		e, err := l.at(ctx, seq)
		if err != nil {
			return nil, err
		}
		if events, size = append(events, e), size+e.Size(); q.MaxBytes > 0 && size >= q.MaxBytes {
			break
		}
	}
	return events, nil
}

func (l *jobLog) walk(ctx context.Context, q jobs.ReadQuery) (w jobs.Walk, err error) {
	seq, err := l.newest(q.Job)
	for err == nil && seq > q.After {
		var e *jobs.Event
		if e, err = l.at(ctx, seq); err == nil {
			w.Seqs, seq = append(w.Seqs, seq), e.Prev
		}
	}
	if w.Trimmed = errors.Is(err, jobs.ErrTrimmed); w.Trimmed {
		err = nil
	}
	w.Done = true
	slices.Reverse(w.Seqs)
	return w, err
}

// loadTail fills the tail with the newest events, so that readers that return after a restart
// find them in memory. It stops at damaged events. head is the newest event.
func (s *Store) loadTail() (head uint64, err error) {
	newest, err := sqlitex.ResultInt64(s.write.Prep("SELECT ifnull(max(last), 0) FROM log"))
	if err != nil {
		return 0, err
	}
	floor := int64(0)
	err = sqlitex.Execute(s.write, "SELECT value FROM meta WHERE name='floor'", &sqlitex.ExecOptions{ResultFunc: func(st *sqlite.Stmt) error {
		floor = st.ColumnInt64(0)
		return nil
	}})
	if err != nil {
		return 0, err
	}
	var rows [][]*jobs.Event
	size := 0
	st := s.write.Prep("SELECT last, events FROM log ORDER BY last DESC")
	defer st.Reset()
	for size < s.tail.Limit() || len(rows) == 0 {
		found, err := st.Step()
		var events []*jobs.Event
		if found && err == nil {
			events, err = scanEvents(st)
		}
		if isDamage(err) {
			s.damaged(err, "the newest events")
			if len(rows) == 0 {
				floor = newest
			}
			break
		}
		if err != nil {
			return 0, err
		}
		if !found {
			break
		}
		for _, e := range events {
			size += e.Size()
		}
		rows = append(rows, events)
	}
	s.tail.Start(uint64(newest), uint64(floor))
	for _, events := range slices.Backward(rows) {
		s.tail.Publish(events)
	}
	return uint64(newest), nil
}

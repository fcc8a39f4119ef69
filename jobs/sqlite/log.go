package sqlite

import (
	"context"
	"fmt"
	"slices"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"jobhub/jobs"
)

// Head implements jobs.Store.
func (s *Store) Head() jobs.Position {
	head, _ := s.tail.position()
	return jobs.Position{Epoch: s.epoch.name, Seq: head}
}

// Wait implements jobs.Store.
func (s *Store) Wait(ctx context.Context, seq uint64) error { return s.tail.wait(ctx, seq) }

// Read implements jobs.Store.
func (s *Store) Read(ctx context.Context, q jobs.ReadQuery) ([]*jobs.Event, error) {
	if q.Job != (jobs.ID{}) {
		return s.readJob(ctx, q)
	}
	if q.MaxBytes <= 0 {
		q.MaxBytes = 1 << 20
	}
	events, ok, err := s.tail.after(q.After, q.MaxBytes)
	if ok {
		return events, err
	}
	head, _ := s.tail.position()
	conn, err := s.read.Take(ctx)
	if err != nil {
		return nil, err
	}
	defer s.read.Put(conn)
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
	if err != nil {
		return nil, err
	}
	if len(events) == 0 || events[0].Seq != q.After+1 {
		return nil, jobs.ErrTrimmed // since the tail was asked
	}
	return events, nil
}

// eachRow gives the rows of the log that hold events behind seq, as long as more
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
		r := row{st, -1}
		last := r.int()
		events, err := decodeEvents(r.blob())
		if err == nil && events[len(events)-1].Seq != uint64(last) {
			err = errCorrupt
		}
		if err != nil {
			return fmt.Errorf("log row %d: %w", last, err)
		}
		if !more(events) {
			return nil
		}
	}
}

// readJob follows one job's events back from its newest, and keeps the oldest of them.
func (s *Store) readJob(ctx context.Context, q jobs.ReadQuery) (events []*jobs.Event, err error) {
	conn, err := s.read.Take(ctx)
	if err != nil {
		return nil, err
	}
	defer s.read.Put(conn)
	var seq uint64
	if err := sqlitex.Execute(conn, "SELECT seq FROM jobs WHERE id=?", &sqlitex.ExecOptions{Args: []any{q.Job[:]},
		ResultFunc: func(st *sqlite.Stmt) error { seq = uint64(st.ColumnInt64(0)); return nil }}); err != nil {
		return nil, err
	}
	if seq == 0 {
		return nil, jobs.ErrNotFound
	}
	_, floor := s.tail.position()
	var chunk []*jobs.Event // the row read last
	size, newest := 0, 0    // of what is kept; the first that is kept
	for seq > q.After {
		if seq <= floor {
			return nil, jobs.ErrTrimmed
		}
		e := s.tail.one(seq)
		if e == nil && (len(chunk) == 0 || seq < chunk[0].Seq || seq > chunk[len(chunk)-1].Seq) {
			if chunk = nil; ctx.Err() != nil {
				return nil, ctx.Err()
			}
			if err := eachRow(conn, seq-1, func(row []*jobs.Event) bool { chunk = row; return false }); err != nil {
				return nil, err
			}
			if len(chunk) == 0 || seq < chunk[0].Seq {
				return nil, jobs.ErrTrimmed
			}
		}
		if e == nil {
			e = chunk[seq-chunk[0].Seq]
		}
		events = append(events, e)
		for size += e.Size(); q.MaxBytes > 0 && size > q.MaxBytes && newest < len(events)-1; newest++ {
			size -= events[newest].Size()
			events[newest] = nil
		}
		seq = e.Prev
	}
	events = events[newest:]
	slices.Reverse(events)
	return events, nil
}

// loadTail fills the tail with the newest events, so that readers that come back
// after a restart find them in memory.
func (s *Store) loadTail() error {
	var rows [][]*jobs.Event
	size := 0
	st := s.write.Prep("SELECT last, events FROM log ORDER BY last DESC")
	defer st.Reset()
	for size < s.tail.limit || len(rows) == 0 {
		found, err := st.Step()
		if err != nil {
			return err
		}
		if !found {
			break
		}
		r := row{st, -1}
		last := r.int()
		events, err := decodeEvents(r.blob())
		if err != nil {
			return fmt.Errorf("log row %d: %w", last, err)
		}
		for _, e := range events {
			size += e.Size()
		}
		rows = append(rows, events)
	}
	for _, events := range slices.Backward(rows) {
		s.tail.publish(events)
	}
	return sqlitex.Execute(s.write, "SELECT value FROM meta WHERE name='floor'", &sqlitex.ExecOptions{ResultFunc: func(st *sqlite.Stmt) error {
		s.tail.floor = uint64(st.ColumnInt64(0))
		return nil
	}})
}

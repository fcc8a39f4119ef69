package sqlite

import (
	"context"
	"jobhub/jobs"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// snapshot calls read with a connection that sees one state of the database, and returns the
// position of that state.
func (s *Store) snapshot(ctx context.Context, read func(conn *sqlite.Conn) error) (pos jobs.Position, err error) {
	conn, err := s.borrowReader(ctx)
	if err != nil {
		return pos, s.damaged(err, "the database")
	}
	defer s.read.Put(conn)
	defer s.explainInterrupt(ctx, &err)
	end := sqlitex.Transaction(conn)
	defer end(&err)
	pos.Epoch = s.folder.Epoch()
	st := conn.Prep("SELECT max(last) FROM log")
	if _, err := st.Step(); err != nil {
		return pos, err
	}
	pos.Seq = uint64(st.ColumnInt64(0))
	if err := st.Reset(); err != nil {
		return pos, err
	}
	return pos, read(conn)
}

// borrowReader takes a connection for reading from the pool; the caller has to put it back.
func (s *Store) borrowReader(ctx context.Context) (*sqlite.Conn, error) {
	conn, err := s.read.Take(ctx)
	s.explainInterrupt(ctx, &err)
	return conn, err
}

// explainInterrupt replaces the error of an interrupted read by the reason, which SQLite does
// not give.
func (s *Store) explainInterrupt(ctx context.Context, err *error) {
	switch {
	case *err == nil:
	case s.isClosed():
		*err = jobs.ErrClosed
	case ctx.Err() != nil:
		*err = context.Cause(ctx)
	}
}

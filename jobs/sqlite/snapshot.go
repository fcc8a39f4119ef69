package sqlite

import (
	"context"
	"jobhub/jobs"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// snapshot lends a connection that sees one state of the database, and the position
// of that state.
func (s *Store) snapshot(ctx context.Context, read func(conn *sqlite.Conn) error) (pos jobs.Position, err error) {
	conn, err := s.borrowReader(ctx)
	if err != nil {
		return pos, s.damaged(err, "the database")
	}
	defer s.read.Put(conn)
	defer s.explainInterrupt(ctx, &err)
	end := sqlitex.Transaction(conn)
	defer end(&err)
	pos.Epoch = s.epoch.name
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

// borrowReader lends a connection for reading, which is to be put back.
func (s *Store) borrowReader(ctx context.Context) (*sqlite.Conn, error) {
	conn, err := s.read.Take(ctx)
	s.explainInterrupt(ctx, &err)
	return conn, err
}

// explainInterrupt makes an error of a read say why it was interrupted, which SQLite does not.
func (s *Store) explainInterrupt(ctx context.Context, err *error) {
	switch {
	case *err == nil:
	case s.isClosed():
		*err = jobs.ErrClosed
	case ctx.Err() != nil:
		*err = context.Cause(ctx)
	}
}

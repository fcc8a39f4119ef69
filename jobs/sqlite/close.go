package sqlite

import (
	"context"
	"errors"

	"zombiezen.com/go/sqlite"

	"jobhub/jobs"
)

// Close ends all use of the store: whoever still asks gets ErrClosed. It may be repeated.
func (s *Store) Close() error {
	s.writing.Lock()
	defer s.writing.Unlock()
	if s.isClosed() {
		return nil
	}
	close(s.closed)
	var errs []error
	if s.read != nil {
		errs = append(errs, s.read.Close())
	}
	if s.write != nil {
		head, _ := s.tail.position()
		s.epoch.closing(s.path, head)
		errs = append(errs, s.write.Close(), s.epoch.close(s.path))
		s.write = nil
		forgetFiles(s.path)
	}
	if s.lock != nil {
		errs = append(errs, s.lock.Close())
	}
	return errors.Join(errs...)
}

func (s *Store) isClosed() bool {
	select {
	case <-s.closed:
		return true
	default:
		return false
	}
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

package sqlite

import (
	"errors"
)

// Close ends all use of the store: later calls get ErrClosed. It may be repeated.
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

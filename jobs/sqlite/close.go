package sqlite

import (
	"errors"

	"jobhub/jobs/sqlite/vfs"
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
		head, _ := s.tail.Position()
		s.folder.Closing(head)
		errs = append(errs, s.write.Close())
		s.write = nil
		vfs.Forget(s.path)
	}
	return errors.Join(append(errs, s.folder.Close())...)
}

func (s *Store) isClosed() bool {
	select {
	case <-s.closed:
		return true
	default:
		return false
	}
}

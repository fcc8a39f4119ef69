package sqlite

import (
	"errors"
	"fmt"
	"jobhub/jobs"
	"os"
	"path/filepath"
	"syscall"

	"zombiezen.com/go/sqlite"
)

// leastSpace is how many bytes have to be free after the disk was full.
const leastSpace = 1 << 20

// findSpace looks whether a full disk has space for more than the next commit. A commit
// alone would not tell: small ones find place in what large ones had to leave.
func (s *Store) findSpace() error {
	path := filepath.Join(filepath.Dir(s.path), "space")
	defer os.Remove(path)
	err := os.WriteFile(path, make([]byte, leastSpace), 0o600)
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("%w: %v", jobs.ErrNoSpace, err)
	}
	s.full = err != nil
	return err
}

// storeError tells a full disk and damage, after which nothing is stored, from all else.
func (s *Store) storeError(err error) error {
	if err != nil && sqlite.ErrCode(err).ToPrimary() == sqlite.ResultFull {
		return fmt.Errorf("%w: %v", jobs.ErrNoSpace, err)
	}
	return s.damaged(err, "while storing")
}

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

// leastSpace is how many bytes have to be free before anything is stored again after the disk
// was full.
const leastSpace = 1 << 20

// findSpace checks whether a disk that was full has space again, by writing a file. A commit
// would not show that: a small one may fit where a large one did not.
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

// storeError turns errors of SQLite into jobs.ErrNoSpace and jobs.ErrDamaged, after which
// nothing was stored. Other errors stay as they are.
func (s *Store) storeError(err error) error {
	if err != nil && sqlite.ErrCode(err).ToPrimary() == sqlite.ResultFull {
		return fmt.Errorf("%w: %v", jobs.ErrNoSpace, err)
	}
	return s.damaged(err, "while storing")
}

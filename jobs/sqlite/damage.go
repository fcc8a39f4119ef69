package sqlite

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"zombiezen.com/go/sqlite"

	"jobhub/jobs"
	"jobhub/jobs/sqlite/eventlog"
	"jobhub/jobs/sqlite/vfs"
)

// damageLog logs each damaged place once, so that repeated reads do not fill the log.
type damageLog struct {
	log *slog.Logger

	mu       sync.Mutex // protects the fields below
	reported map[string]bool
}

const maxDamageLogged = 1000

func (d *damageLog) report(where string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.reported[where] || len(d.reported) >= maxDamageLogged {
		return
	}
	if d.reported == nil {
		d.reported = map[string]bool{}
	}
	d.reported[where] = true
	d.log.Error("the store is damaged; restore a backup of the data folder", "at", where, "error", err)
}

// isDamage reports whether an error means that a page or row is damaged.
func isDamage(err error) bool {
	if err == nil {
		return false
	}
	code := sqlite.ErrCode(err).ToPrimary()
	return code == sqlite.ResultCorrupt || code == sqlite.ResultNotADB || errors.Is(err, eventlog.ErrCorrupt)
}

// damaged turns an error that means damage into jobs.ErrDamaged, with what was read and
// where, and logs it. Other errors stay as they are.
func (s *Store) damaged(err error, format string, args ...any) error {
	if !isDamage(err) || errors.Is(err, jobs.ErrDamaged) {
		return err
	}
	what := fmt.Sprintf(format, args...)
	place := what + ": " + vfs.LastDamage(s.path)
	s.damage.report(place, err)
	return fmt.Errorf("%w (%s: %w)", jobs.ErrDamaged, place, err)
}

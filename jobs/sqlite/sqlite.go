// Package sqlite is the embedded store: one SQLite database in a folder of its own.
//
// One connection writes, and only in Commit and Trim; others read snapshots of their
// own (WAL), so that a slow reader never delays a writer. A commit is one transaction,
// flushed to the disk before Commit returns (synchronous=FULL).
//
// # Files
//
// In the folder are the database jobs.db, while it is open its WAL jobs.db-wal and the
// index of that, a file named epoch (see package folder), and a file named lock that the process
// holds while it has the store open. Only their owner may read them.
//
// # Damage
//
// Nothing that was stored is given as something else, or as if it had never been.
//
//   - Each page of the database ends with a checksum, in the format of SQLite's extension
//     cksumvfs. It is written with the page and checked whenever the page is read. Frames
//     of the WAL are checked by the checksums that SQLite gives them (see package vfs).
//   - Damaged data gives jobs.ErrDamaged and is logged with its place. Only the data on the
//     damaged page is affected: other jobs are served, listed, run and changed. A row that
//     grows may need the page next to its own, so changes of some jobs next to the damage can
//     fail, too.
//   - Damaged events are a gap in the log, like trimmed ones.
//   - SQLite drops the frames of the WAL after the first damaged one. The store reads the WAL
//     before, and records its length after each commit: lost commits are logged, and the
//     events get a new epoch.
//   - If data is damaged that every use needs, the store does not open, and the error says
//     which.
//
// Other programs may read the database. What they write has no checksums and is damage,
// unless they load cksumvfs.
//
// # Copies
//
// To make a backup, stop the hub and copy the folder. To restore it, put the copy into an
// empty folder. A copy is another log: however it is put back, whole or in parts, by cp,
// rsync, tar or mv, the log gets a new epoch, so that nobody resumes at a number that was
// given out twice. Restarts, SIGKILL, other modes and another name of the folder change
// nothing.
//
// A copy can't have the inode and the creation time of the original; the file epoch holds its
// own and those of the database. A snapshot of the whole file system or machine restores
// these, too, and is not noticed. Where files have no inodes, a copy is recognised by random
// marks, which each opening renews in both files, and by the size and time of the database.
package sqlite

import (
	"cmp"
	"context"
	_ "embed"
	"fmt"
	"log/slog"
	"sync"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"jobhub/jobs"
	"jobhub/jobs/sqlite/eventlog"
	"jobhub/jobs/sqlite/folder"
	"jobhub/jobs/sqlite/vfs"
)

//go:embed schema.sql
var schema string

// schemaVersion rises with every change of schema.sql.
const schemaVersion = 3

// Options of a store. The zero value means the defaults.
type Options struct {
	TailBytes int          // memory for the newest events; 32 MiB if 0, none if negative
	Readers   int          // connections for reading; 4 if 0
	Logger    *slog.Logger // logs damage; none if nil
}

// ErrInUse: another process has the store open.
var ErrInUse = folder.ErrInUse

// Store is an open store. It implements jobs.Store.
type Store struct {
	path   string
	folder *folder.Folder
	tail   *eventlog.Tail
	read   *sqlitex.Pool
	damage damageLog

	queueCache *queueCache

	searching chan struct{} // held by the search that is under way
	closed    chan struct{} // closed by Close

	writing sync.Mutex // serialises Commit, Trim and Close; protects the fields below
	write   *sqlite.Conn
	full    bool                  // the disk was full at the last commit
	failed  error                 // error of a Trim whose outcome is unknown; nothing is stored after it
	updates map[jobs.Field]string // SQL by the fields it sets
	ready   map[lane]bool         // lanes that may hold ready jobs

	unreadable map[int64]bool // ready jobs that claims skip because they are damaged
}

// lane is the ready jobs of one kind in one queue.
type lane struct {
	q    int64
	kind string
}

// Open opens the store in a folder, and creates both where they do not exist.
func Open(ctx context.Context, dir string, o Options) (_ *Store, err error) {
	log := o.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	s := &Store{searching: make(chan struct{}, 1), closed: make(chan struct{}), updates: map[jobs.Field]string{}, ready: map[lane]bool{}, unreadable: map[int64]bool{},
		queueCache: newQueueCache(), tail: eventlog.NewTail(cmp.Or(o.TailBytes, 32<<20)), damage: damageLog{log: log}}
	if s.folder, err = folder.Open(dir, log); err != nil {
		return nil, err
	}
	s.path = s.folder.Database()
	defer func() {
		if err != nil {
			s.Close()
		}
	}()
	if err = s.open(ctx, log); err != nil {
		return nil, fmt.Errorf("opening %s: %w", s.path, s.damaged(err, "while opening"))
	}
	s.folder.RestrictModes()
	readers := o.Readers
	if readers == 0 {
		readers = 4
	}
	s.read, err = sqlitex.NewPool(vfs.URI(s.path), sqlitex.PoolOptions{PoolSize: readers, Flags: sqlite.OpenReadWrite | sqlite.OpenURI | sqlite.OpenWAL,
		PrepareConn: func(c *sqlite.Conn) error {
			if err := sqlitex.ExecuteScript(c, "PRAGMA query_only=ON;", nil); err != nil {
				return err
			}
			return sqlitex.ExecuteTransient(c, "SELECT max(last) FROM log", nil) // Prep panics where the schema cannot be read
		}})
	return s, err
}

// open opens the database and reads what the store keeps in memory.
func (s *Store) open(ctx context.Context, log *slog.Logger) error {
	vfs.Register()
	if err := createIfMissing(ctx, s.path, log); err != nil {
		return err
	}
	if err := s.folder.Inspect(); err != nil {
		return err
	}
	conn, err := sqlite.OpenConn(vfs.URI(s.path), sqlite.OpenReadWrite|sqlite.OpenURI|sqlite.OpenWAL)
	if s.write = conn; err != nil {
		return err
	}
	// Without cache_spill the frames of the WAL that are read are always final, and can be checked.
	// A checkpoint after each 32 MiB of WAL (the default is 4): pages that change often then get their
	// checksum and their place in the database once for many changes.
	for _, setting := range []string{"synchronous=FULL", "wal_autocheckpoint=8000", "cache_size=-16384", "cache_spill=OFF", "temp_store=MEMORY"} {
		if err := sqlitex.ExecuteTransient(s.write, "PRAGMA "+setting, nil); err != nil {
			return err
		}
	}
	if err := migrate(s.write); err != nil {
		return err
	}
	if err := s.queueCache.load(s.write); err != nil {
		return fmt.Errorf("the table of queues: %w", err)
	}
	if err := s.loadLanes(); err != nil {
		return fmt.Errorf("the ready jobs: %w", err)
	}
	head, err := s.loadTail()
	if err != nil {
		return fmt.Errorf("the newest events: %w", err)
	}
	return s.folder.Identify(s.write, head)
}

// loadLanes reads the lanes from the index; it does not read the jobs.
func (s *Store) loadLanes() error {
	st := s.write.Prep("SELECT q, kind FROM jobs WHERE ready IS NOT NULL AND (q, kind) > (?, ?) ORDER BY q, kind LIMIT 1")
	var at lane
	for {
		st.BindInt64(1, at.q)
		st.BindText(2, at.kind)
		found, err := st.Step()
		if found {
			at = lane{st.ColumnInt64(0), st.ColumnText(1)}
			s.ready[at] = true
		}
		if e := st.Reset(); err == nil {
			err = e
		}
		if err != nil || !found {
			return err
		}
	}
}

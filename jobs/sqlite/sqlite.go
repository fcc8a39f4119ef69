// Package sqlite is the embedded store: one SQLite database in a folder of its own.
//
// One connection writes, and only in Commit and Trim; others read snapshots of their
// own (WAL), so that a slow reader never delays a writer. A commit is one transaction,
// flushed to the disk before Commit returns (synchronous=FULL).
//
// In the folder are the database, a file named epoch (see epoch.go), and a file named
// lock that the process holds while it has the store open.
package sqlite

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/go-json-experiment/json"
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"jobhub/jobs"
)

//go:embed schema.sql
var schema string

// schemaVersion rises with every change of schema.sql.
const schemaVersion = 3

// Options of a store. The zero value means the defaults.
type Options struct {
	TailBytes int          // memory for the newest events; 32 MiB if 0, none if negative
	Readers   int          // connections for reading; 4 if 0
	Logger    *slog.Logger // told of damage; none if nil
}

// ErrInUse: another process has the store open.
var ErrInUse = errors.New("another process has this store open; stop it first or choose another --data folder")

// Store is an open store. It implements jobs.Store.
type Store struct {
	path  string
	lock  *os.File
	epoch epoch
	tail  tail
	read  *sqlitex.Pool

	damage damageLog

	searching chan struct{} // held by the search that is under way

	writing sync.Mutex // serialises Commit, Trim and Close; protects the fields below
	write   *sqlite.Conn
	full    bool                  // the disk was, when something was last to be stored
	updates map[jobs.Field]string // SQL by the fields it sets
	ready   map[lane]bool         // lanes that may hold ready jobs

	mu     sync.RWMutex // protects the fields below
	queues map[jobs.QueueName]*queue
	byID   map[int64]*queue
}

// queue is the cached row of a queue.
type queue struct {
	id int64
	jobs.QueueName
	counts   counts
	settings jobs.QueueSettings
}

type counts = [9]int64

// lane is what claims draw from: the ready jobs of one kind in one queue.
type lane struct {
	q    int64
	kind string
}

// Open opens the store in a folder, and creates both where they do not exist.
func Open(ctx context.Context, dir string, o Options) (_ *Store, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("creating the data folder %s: %w; choose another with --data", dir, err)
	}
	s := &Store{path: filepath.Join(dir, "jobs.db"), searching: make(chan struct{}, 1), updates: map[jobs.Field]string{}, ready: map[lane]bool{},
		queues: map[jobs.QueueName]*queue{}, byID: map[int64]*queue{}}
	if s.damage.log = o.Logger; o.Logger == nil {
		s.damage.log = slog.New(slog.DiscardHandler)
	}
	s.tail.limit, s.tail.grown = o.TailBytes, make(chan struct{})
	if o.TailBytes == 0 {
		s.tail.limit = 32 << 20
	}
	if s.lock, err = lockFolder(dir); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.Close()
		}
	}()
	registerVFS()
	if err = createIfMissing(ctx, s.path); err != nil {
		return nil, fmt.Errorf("opening %s: %w", s.path, s.damaged(err, "the database"))
	}
	if s.write, err = sqlite.OpenConn(fileURI(s.path), sqlite.OpenReadWrite|sqlite.OpenURI|sqlite.OpenWAL); err != nil {
		return nil, fmt.Errorf("opening %s: %w", s.path, s.damaged(err, "the database"))
	}
	if err = s.prepare(ctx, dir); err != nil {
		return nil, fmt.Errorf("opening %s: %w", s.path, err)
	}
	readers := o.Readers
	if readers == 0 {
		readers = 4
	}
	s.read, err = sqlitex.NewPool(fileURI(s.path), sqlitex.PoolOptions{PoolSize: readers, Flags: sqlite.OpenReadWrite | sqlite.OpenURI | sqlite.OpenWAL,
		PrepareConn: func(c *sqlite.Conn) error {
			return sqlitex.ExecuteScript(c, "PRAGMA query_only=ON;", nil)
		}})
	return s, err
}

// lockFolder makes sure that one process at a time uses the folder. The lock goes
// with the process, however it ends.
func lockFolder(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("the data folder is not writable: %w; choose another with --data", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, ErrInUse
		}
		return nil, fmt.Errorf("locking the data folder: %w", err)
	}
	return f, nil
}

func (s *Store) prepare(ctx context.Context, dir string) error {
	// Without cache_spill the frames of the WAL that are read are always final, and can be checked.
	for _, setting := range []string{"synchronous=" + synchronous, "wal_autocheckpoint=4000", "cache_size=-16384", "cache_spill=OFF", "temp_store=MEMORY"} {
		if err := sqlitex.ExecuteTransient(s.write, "PRAGMA "+setting, nil); err != nil {
			return err
		}
	}
	if err := migrate(s.write); err != nil {
		return err
	}
	if err := s.loadQueues(); err != nil {
		return err
	}
	if err := s.loadLanes(); err != nil {
		return err
	}
	if err := s.loadTail(); err != nil {
		return err
	}
	var err error
	s.epoch, err = openEpoch(s.write, filepath.Join(dir, "epoch"), s.tail.head)
	return err
}

func (s *Store) loadQueues() error {
	return sqlitex.Execute(s.write, "SELECT q, tenant, name, counts, settings FROM queues", &sqlitex.ExecOptions{ResultFunc: func(st *sqlite.Stmt) error {
		q := &queue{id: st.ColumnInt64(0), QueueName: jobs.QueueName{Tenant: st.ColumnText(1), Name: st.ColumnText(2)}}
		s.queues[q.QueueName], s.byID[q.id] = q, q
		return errors.Join(json.Unmarshal([]byte(st.ColumnText(3)), &q.counts), json.Unmarshal([]byte(st.ColumnText(4)), &q.settings))
	}})
}

// loadLanes hops through the index from lane to lane; it does not visit the jobs.
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

// Close ends all use of the store.
func (s *Store) Close() error {
	s.writing.Lock()
	defer s.writing.Unlock()
	var errs []error
	if s.read != nil {
		errs = append(errs, s.read.Close())
		s.read = nil
	}
	if s.write != nil {
		head, _ := s.tail.position()
		errs = append(errs, s.epoch.close(head), s.write.Close())
		s.write = nil
		forgetFiles(s.path)
	}
	if s.lock != nil {
		errs = append(errs, s.lock.Close())
		s.lock = nil
	}
	return errors.Join(errs...)
}

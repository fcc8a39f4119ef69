// Package folder is the data folder of a store: who may use it, and whether its files are
// still those that the store used last.
//
//	Open               creates and locks it
//	Folder.Inspect     looks at the files before SQLite opens the database and changes them
//	Folder.Identify    decides whether the log keeps its name, its epoch
//	Folder.Acknowledge records the newest event after each commit
//	Folder.Closing     and Close record an orderly end
package folder

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"

	"zombiezen.com/go/sqlite"

	"jobhub/jobs/sqlite/vfs"
)

// Names in the data folder.
const (
	DatabaseFile = "jobs.db"
	EpochFile    = "epoch"
	LockFile     = "lock"
)

// ErrInUse: another process has the store open.
var ErrInUse = errors.New("another process has this store open; stop it first or choose another --data folder")

// Folder is a locked data folder. Its methods are not safe for concurrent use, except Epoch.
type Folder struct {
	dir   string
	log   *slog.Logger
	lock  *os.File
	found state
	epoch epoch
}

// Open creates the folder if it is missing, and locks it. ErrInUse if another process has
// locked it.
func Open(dir string, log *slog.Logger) (*Folder, error) {
	_, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		err = os.MkdirAll(dir, 0o700)
	}
	if err != nil {
		return nil, fmt.Errorf("creating the data folder %s: %w; choose another with --data", dir, err)
	}
	lock, err := lockFolder(dir)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(dir)
	if err == nil && info.Mode().Perm()&0o077 != 0 {
		log.Warn("other users of this machine can read the data folder; chmod 700 it", "folder", dir, "mode", info.Mode().Perm())
	}
	return &Folder{dir: dir, log: log, lock: lock}, nil
}

// Database is the path of the database.
func (f *Folder) Database() string { return filepath.Join(f.dir, DatabaseFile) }

// Inspect reads what opening the database will change. A WAL that does not belong to the
// database is set aside. The database must exist.
func (f *Folder) Inspect() (err error) {
	if f.found, err = inspect(f.Database(), filepath.Join(f.dir, EpochFile)); err != nil || !f.found.foreignWAL() {
		return err
	}
	f.found.wal = vfs.WAL{}
	return setWALAside(f.Database(), f.log)
}

// Identify decides whether the log keeps its name or gets a new one. conn is the open
// database, head the newest event that it holds. Inspect must have been called before.
func (f *Folder) Identify(conn *sqlite.Conn, head uint64) (err error) {
	f.epoch, err = openEpoch(conn, f.Database(), filepath.Join(f.dir, EpochFile), f.found, head, f.log)
	return err
}

// Epoch is the name of the log.
func (f *Folder) Epoch() string { return f.epoch.name }

// Acknowledge records the newest acknowledged event. If that can't be written, the commit
// does not fail; only a later loss may not be noticed.
func (f *Folder) Acknowledge(head uint64) { f.epoch.acknowledge(f.Database(), head) }

// Closing records that the store is closed in order, before the database is closed.
func (f *Folder) Closing(head uint64) {
	f.epoch.last.Closed = true
	f.Acknowledge(head)
}

// Close unlocks the folder, and after Closing records what the closed database is. Without
// Closing the files are left as by a process that was killed.
func (f *Folder) Close() error { return errors.Join(f.epoch.close(f.Database()), f.lock.Close()) }

// RestrictModes makes the store's files unreadable for other users: jobs hold credentials of
// callers.
func (f *Folder) RestrictModes() {
	for _, name := range []string{DatabaseFile, DatabaseFile + "-wal", DatabaseFile + "-shm", EpochFile, LockFile} {
		path := filepath.Join(f.dir, name)
		if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o077 != 0 {
			if err := os.Chmod(path, info.Mode().Perm()&0o700); err != nil {
				f.log.Warn("other users of this machine can read a file of the store", "file", path, "mode", info.Mode().Perm(), "error", err)
			}
		}
	}
}

// lockFolder ensures that only one process uses the folder. The lock ends with the process.
func lockFolder(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, LockFile), os.O_RDWR|os.O_CREATE, 0o600)
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

// setWALAside renames a WAL that does not belong to this database.
func setWALAside(database string, log *slog.Logger) error {
	log.Warn("the database was replaced; the WAL of the former one is set aside", "as", database+"-wal.replaced")
	os.Remove(database + "-shm")
	return Rename(database+"-wal", database+"-wal.replaced")
}

// otherMode reports whether a file no longer has the mode and owner that the store gave it.
func otherMode(info fs.FileInfo) bool {
	if info.Mode().Perm() != 0o600 {
		return true
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) != os.Geteuid()
}

// Rename gives a file its name and makes that durable.
func Rename(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(to))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

package sqlite

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
)

// Names in the data folder.
const (
	databaseFile = "jobs.db"
	epochFile    = "epoch"
	lockFile     = "lock"
)

// openFolder creates the folder if it is missing, and locks it.
func openFolder(dir string, log *slog.Logger) (*os.File, error) {
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
	return lock, nil
}

// restrictModes makes the store's files unreadable for other users: jobs hold credentials of
// callers.
func restrictModes(dir string, log *slog.Logger) {
	for _, name := range []string{databaseFile, databaseFile + "-wal", databaseFile + "-shm", epochFile, lockFile} {
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o077 != 0 {
			if err := os.Chmod(path, info.Mode().Perm()&0o700); err != nil {
				log.Warn("other users of this machine can read a file of the store", "file", path, "mode", info.Mode().Perm(), "error", err)
			}
		}
	}
}

// lockFolder ensures that only one process uses the folder. The lock ends with the process.
func lockFolder(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_RDWR|os.O_CREATE, 0o600)
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
	return rename(database+"-wal", database+"-wal.replaced")
}

// otherMode reports whether a file no longer has the mode and owner that the store gave it.
func otherMode(info fs.FileInfo) bool {
	if info.Mode().Perm() != 0o600 {
		return true
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) != os.Geteuid()
}

package sqlite

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"jobhub/jobs/sqlite/vfs"
)

// kill ends a store as SIGKILL ends its process: the files are left as they are, and are
// the same ones.
func kill(t testing.TB, s *Store) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	wal := s.path + "-wal"
	database, err := os.ReadFile(s.path)
	must(err)
	had := true
	if err := os.Link(wal, wal+".left"); err != nil { // SQLite removes it as it closes, and does not change it
		had = false
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	must(s.read.Close())
	s.read = nil
	must(s.write.Close())
	s.write = nil
	vfs.Forget(s.path)
	must(s.folder.Close())
	must(os.WriteFile(s.path, database, 0o600)) // in place
	if had {
		must(os.Rename(wal+".left", wal))
	}
}

// copyFolder copies a folder as cp -a does: with modes and times.
func copyFolder(t testing.TB, from, to string) {
	t.Helper()
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.MkdirAll(filepath.Join(to, name), 0o700)
		}
		return copyFile(path, filepath.Join(to, name))
	})
	if err != nil {
		t.Fatal(err)
	}
}

// copyFile copies a file as cp -a does. One that is there is overwritten in place.
func copyFile(from, to string) error {
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.WriteFile(to, content, info.Mode().Perm()); err != nil {
		return err
	}
	return os.Chtimes(to, info.ModTime(), info.ModTime())
}

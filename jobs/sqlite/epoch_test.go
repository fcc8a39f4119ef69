package sqlite

import (
	"bytes"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"

	"jobhub/jobs"
	"jobhub/jobs/sqlite/folder"
)

// opened opens a store whose log goes to a buffer.
func opened(t testing.TB, dir string) (*Store, *bytes.Buffer) {
	t.Helper()
	log := new(bytes.Buffer)
	s, err := Open(t.Context(), dir, Options{Logger: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	return s, log
}

// submit stores jobs, each in a commit of its own.
func submit(t testing.TB, s *Store, n int) (ids []jobs.ID) {
	t.Helper()
	for range n {
		id, _ := uuid.NewV7()
		j := jobs.Job{ID: id, Tenant: "default", Kind: "k", Queue: "q", State: jobs.Queued, CreatedAt: time.Now().Truncate(time.Millisecond), Input: jobs.Value(`{"id":"` + id.String() + `"}`)}
		if err := s.Commit(t.Context(), &jobs.Batch{Now: time.Now(), Changes: []*jobs.Change{{Job: j, Event: jobs.Event{Type: jobs.JobQueued, Data: jobs.Value(`{}`)}}}}); err != nil {
			t.Fatalf("Commit: %v", err)
		}
		ids = append(ids, id)
	}
	return ids
}

func stop(t testing.TB, s *Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
}

// ends are the two ways in which a process that has the store open ends.
var ends = map[string]func(testing.TB, *Store){"stopped": stop, "killed": kill}

// TestRestoredCopies: whatever is put back, and however, the epoch is another, so that
// nobody resumes at a number that was given out twice.
func TestRestoredCopies(t *testing.T) {
	ways := map[string]func(t *testing.T, dir, backup string){
		"the whole folder": func(t *testing.T, dir, backup string) {
			os.RemoveAll(dir)
			copyFolder(t, backup, dir)
		},
		"the whole folder, moved": func(t *testing.T, dir, backup string) {
			os.RemoveAll(dir)
			check(t, os.Rename(backup, dir))
		},
		"the whole folder, in place": func(t *testing.T, dir, backup string) {
			removeOthers(t, dir, backup)
			copyFolder(t, backup, dir)
		},
		"the database": func(t *testing.T, dir, backup string) {
			check(t, os.Remove(filepath.Join(dir, folder.DatabaseFile)))
			check(t, copyFile(filepath.Join(backup, folder.DatabaseFile), filepath.Join(dir, folder.DatabaseFile)))
		},
		"the database and its WAL, in place": func(t *testing.T, dir, backup string) {
			os.Remove(filepath.Join(dir, folder.DatabaseFile+"-wal"))
			for _, name := range []string{folder.DatabaseFile, folder.DatabaseFile + "-wal"} {
				err := copyFile(filepath.Join(backup, name), filepath.Join(dir, name))
				if err != nil && !os.IsNotExist(err) {
					t.Fatal(err)
				}
			}
		},
		"the epoch": func(t *testing.T, dir, backup string) {
			check(t, os.Remove(filepath.Join(dir, folder.EpochFile)))
			check(t, copyFile(filepath.Join(backup, folder.EpochFile), filepath.Join(dir, folder.EpochFile)))
		},
		"the epoch, in place": func(t *testing.T, dir, backup string) {
			check(t, copyFile(filepath.Join(backup, folder.EpochFile), filepath.Join(dir, folder.EpochFile)))
		},
		"no epoch": func(t *testing.T, dir, backup string) { check(t, os.Remove(filepath.Join(dir, folder.EpochFile))) },
		"a damaged epoch": func(t *testing.T, dir, backup string) {
			path := filepath.Join(dir, folder.EpochFile)
			text, _ := os.ReadFile(path)
			text[20] ^= 1
			check(t, os.WriteFile(path, text, 0o600))
		},
	}
	for way, restore := range ways {
		for before, end := range ends {
			for after, endAgain := range ends {
				t.Run(way+", "+before+" and "+after, func(t *testing.T) {
					dir, backup := filepath.Join(t.TempDir(), "data"), filepath.Join(t.TempDir(), "backup")
					s, _ := opened(t, dir)
					submit(t, s, 3)
					was := s.Head().Epoch
					end(t, s)
					copyFolder(t, dir, backup)
					s, log := opened(t, dir)
					submit(t, s, 3)
					if s.Head().Epoch != was {
						t.Fatalf("reading a copy changed the epoch: %s", log)
					}
					endAgain(t, s)
					restore(t, dir, backup)
					s, log = opened(t, dir)
					defer stop(t, s)
					if s.Head().Epoch == was {
						t.Errorf("the epoch is still %s at %d; %s", was, s.Head().Seq, log)
					}
					if log.Len() == 0 {
						t.Errorf("the loss is not logged")
					}
					submit(t, s, 1)
				})
			}
		}
	}
}

// TestRestoredWhileRunning: the copy was taken of a running hub, which was then killed,
// and it is put back in place: every file is the one it was, but for the time.
func TestRestoredWhileRunning(t *testing.T) {
	dir, backup := filepath.Join(t.TempDir(), "data"), filepath.Join(t.TempDir(), "backup")
	s, _ := opened(t, dir)
	submit(t, s, 3)
	was := s.Head().Epoch
	copyFolder(t, dir, backup)
	for copied := time.Now(); time.Since(copied) < 3*folder.ClockError; {
		submit(t, s, 1)
	}
	kill(t, s)
	if folder.Boot() == "" {
		t.Skip("files have no identity here")
	}
	copyFolder(t, backup, dir)
	s, log := opened(t, dir)
	defer stop(t, s)
	if s.Head().Epoch == was {
		t.Errorf("the epoch is still %s at %d; %s", was, s.Head().Seq, log)
	}
}

// TestSwappedFolders: a copy that lived on is another log, also when it takes the place
// of the original.
func TestSwappedFolders(t *testing.T) {
	root := t.TempDir()
	a, b, c := filepath.Join(root, "a"), filepath.Join(root, "b"), filepath.Join(root, "c")
	s, _ := opened(t, a)
	submit(t, s, 3)
	stop(t, s)
	copyFolder(t, a, b)
	epochs := map[string]string{}
	for _, dir := range []string{a, b} {
		s, _ := opened(t, dir)
		submit(t, s, 3)
		epochs[dir] = s.Head().Epoch
		stop(t, s)
	}
	if epochs[a] == epochs[b] {
		t.Fatalf("both go on as %s", epochs[a])
	}
	for _, move := range [][2]string{{a, c}, {b, a}, {c, b}} {
		check(t, os.Rename(move[0], move[1]))
	}
	for dir, other := range map[string]string{a: b, b: a} {
		s, log := opened(t, dir)
		if s.Head().Epoch != epochs[other] {
			t.Errorf("%s is %s, was %s: %s", dir, s.Head().Epoch, epochs[other], log)
		}
		stop(t, s)
	}
}

// TestOrdinaryRestarts: what happens to a data folder in its life does not change the epoch.
func TestOrdinaryRestarts(t *testing.T) {
	ways := map[string]func(t *testing.T, dir string) string{
		"nothing": func(t *testing.T, dir string) string { return dir },
		"the folder is renamed": func(t *testing.T, dir string) string {
			check(t, os.Rename(dir, dir+"2"))
			return dir + "2"
		},
		"modes are changed": func(t *testing.T, dir string) string {
			check(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, _ error) error {
				info, err := d.Info()
				check(t, err)
				return os.Chmod(path, info.Mode().Perm()|0o044)
			}))
			return dir
		},
		"a copy is taken": func(t *testing.T, dir string) string {
			copyFolder(t, dir, dir+"-copy")
			return dir
		},
	}
	for way, do := range ways {
		for how, end := range ends {
			t.Run(way+", "+how, func(t *testing.T) {
				dir := filepath.Join(t.TempDir(), "data")
				s, _ := opened(t, dir)
				was := s.Head().Epoch
				for range 3 {
					ids := submit(t, s, 2)
					head := s.Head()
					end(t, s)
					dir = do(t, dir)
					var log *bytes.Buffer
					s, log = opened(t, dir)
					if s.Head() != head || head.Epoch != was {
						t.Fatalf("%v became %v: %s", head, s.Head(), log)
					}
					for _, id := range ids {
						if _, _, err := s.Job(t.Context(), "default", id); err != nil {
							t.Errorf("%s: %v", id, err)
						}
					}
					os.RemoveAll(dir + "-copy")
				}
				stop(t, s)
			})
		}
	}
}

// TestFilesAreClosedToOthers: also those of an older store.
func TestFilesAreClosedToOthers(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	for _, mode := range []fs.FileMode{0o600, 0o644} {
		s, _ := opened(t, dir)
		submit(t, s, 1)
		info, err := os.Stat(dir)
		check(t, err)
		if info.Mode().Perm() != 0o700 {
			t.Errorf("the folder is %v", info.Mode())
		}
		entries, err := os.ReadDir(dir)
		check(t, err)
		if len(entries) < 5 {
			t.Errorf("%d files", len(entries))
		}
		for _, entry := range entries {
			info, err := entry.Info()
			check(t, err)
			if info.Mode().Perm()&0o077 != 0 {
				t.Errorf("opened with %v: %s is %v", mode, entry.Name(), info.Mode())
			}
		}
		kill(t, s)
		for _, entry := range entries {
			os.Chmod(filepath.Join(dir, entry.Name()), 0o644)
		}
	}
	check(t, os.Chmod(dir, 0o755))
	s, log := opened(t, dir)
	defer stop(t, s)
	if info, _ := os.Stat(dir); info.Mode().Perm() != 0o755 || !bytes.Contains(log.Bytes(), []byte("chmod 700")) {
		t.Errorf("a folder that was there is %v now; %s", info.Mode(), log)
	}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// removeOthers removes what a copy does not hold.
func removeOthers(t *testing.T, dir, backup string) {
	entries, err := os.ReadDir(dir)
	check(t, err)
	for _, entry := range entries {
		if _, err := os.Stat(filepath.Join(backup, entry.Name())); err != nil {
			check(t, os.Remove(filepath.Join(dir, entry.Name())))
		}
	}
}

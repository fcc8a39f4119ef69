package sqlite

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"zombiezen.com/go/sqlite/sqlitex"

	"jobhub/jobs"
	"jobhub/jobs/storetest"
)

// harness opens stores in folders of t, each wrapped by wrap.
func harness(t *testing.T, o Options, wrap func(jobs.Store) jobs.Store) storetest.Harness {
	dir := filepath.Join(t.TempDir(), "data")
	var open *Store
	opened := func() jobs.Store {
		s, err := Open(t.Context(), dir, o)
		if err != nil {
			t.Fatalf("Open: %v", err)
		}
		open = s
		return wrap(s)
	}
	t.Cleanup(func() {
		if open != nil {
			open.Close()
		}
	})
	return storetest.Harness{
		Open: opened,
		Crash: func() jobs.Store {
			kill(t, open)
			return opened()
		},
		Rewind: func(change func() jobs.Store) jobs.Store {
			if err := sqlitex.Execute(open.write, "PRAGMA wal_checkpoint(TRUNCATE)", nil); err != nil {
				t.Fatal(err)
			}
			backup, err := os.ReadFile(open.path)
			if err != nil {
				t.Fatal(err)
			}
			if err := change().Close(); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(open.path, backup, 0o600); err != nil {
				t.Fatal(err)
			}
			return opened()
		},
	}
}

func unwrapped(s jobs.Store) jobs.Store { return s }

func TestStore(t *testing.T) {
	for name, o := range map[string]Options{"tail": {}, "no tail": {TailBytes: -1}} {
		for _, c := range storetest.Checks {
			t.Run(c.Name+"/"+name, func(t *testing.T) { c.Run(t, harness(t, o, unwrapped)) })
		}
	}
}

// TestChecksCatch proves that the checks notice each broken store.
func TestChecksCatch(t *testing.T) {
	for _, broken := range storetest.Broken {
		t.Run(broken.Name, func(t *testing.T) {
			for _, c := range storetest.Checks {
				if c.Name != broken.Check {
					continue
				}
				r := &recorder{T: t}
				done := make(chan struct{})
				h := harness(t, Options{}, broken.Wrap())
				go func() {
					defer close(done)
					c.Run(r, h)
				}()
				<-done
				if len(r.failures) == 0 {
					t.Errorf("%s did not notice", c.Name)
				}
				t.Log(strings.Join(r.failures, "\n"))
			}
		})
	}
}

// recorder notes failures instead of failing.
type recorder struct {
	*testing.T
	failures []string
}

func (r *recorder) Errorf(format string, args ...any) {
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}

func TestOpenRefusals(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(t.Context(), dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), dir, Options{}); !errors.Is(err, ErrInUse) {
		t.Errorf("a second opening: %v", err)
	}
	if err := sqlitex.Execute(s.write, "PRAGMA user_version=999", nil); err != nil {
		t.Fatal(err)
	}
	s.Close()
	if _, err := Open(t.Context(), dir, Options{}); err == nil || !strings.Contains(err.Error(), "format 999") {
		t.Errorf("a newer store: %v", err)
	}
	file := filepath.Join(t.TempDir(), "file")
	os.WriteFile(file, nil, 0o600)
	if _, err := Open(t.Context(), filepath.Join(file, "x"), Options{}); err == nil {
		t.Errorf("a folder that cannot be created was accepted")
	}
	dir = t.TempDir()
	os.WriteFile(filepath.Join(dir, "jobs.db"), []byte(strings.Repeat("not a database", 1000)), 0o600)
	if _, err := Open(t.Context(), dir, Options{}); err == nil {
		t.Errorf("a file that is no database was accepted")
	}
}

// TestDamagedLog: damaged events are reported as a gap, and those after it are read.
func TestDamagedLog(t *testing.T) {
	h := harness(t, Options{TailBytes: -1}, unwrapped)
	s := h.Open().(*Store)
	ids := submit(t, s, 5)
	damage := func(s *Store, row int64) {
		t.Helper()
		blob, err := s.write.OpenBlob("", "log", "events", row, true)
		check(t, err)
		_, err = blob.Seek(10, io.SeekStart)
		check(t, err)
		_, err = blob.Write([]byte{0xff})
		check(t, errors.Join(err, blob.Close()))
	}
	damage(s, 2)
	read := func(s jobs.Store, after, first uint64, n int, wants ...error) {
		t.Helper()
		events, err := s.Read(t.Context(), jobs.ReadQuery{After: after})
		if len(events) != n || n > 0 && (events[0].Seq != first || err != nil) {
			t.Errorf("after %d: %d events, %v", after, len(events), err)
		}
		for _, want := range wants {
			if !errors.Is(err, want) {
				t.Errorf("after %d: %v, want %v", after, err, want)
			}
		}
	}
	read(s, 0, 1, 1)
	read(s, 1, 0, 0, jobs.ErrTrimmed, jobs.ErrDamaged)
	read(s, 1, 0, 0, jobs.ErrTrimmed)
	read(s, 2, 3, 3)
	for i, want := range []error{jobs.ErrTrimmed, jobs.ErrTrimmed, nil, nil, nil} {
		if _, err := s.Read(t.Context(), jobs.ReadQuery{Job: ids[i]}); !errors.Is(err, want) {
			t.Errorf("events of job %d: %v", i+1, err)
		}
	}
	damage(s, 5)
	s = h.Crash().(*Store) // the newest events are damaged, and the store opens
	if s.Head().Seq != 5 {
		t.Errorf("the head is %v", s.Head())
	}
	read(s, 3, 0, 0, jobs.ErrTrimmed)
	submit(t, s, 1)
	read(s, 5, 6, 1)
}

// After a flush of Trim that failed nothing more is stored: that a later flush succeeds
// proves nothing.
func TestFailedTrim(t *testing.T) {
	s, err := Open(t.Context(), t.TempDir(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	batch := &jobs.Batch{Now: time.Now()}
	if err := s.noteFlushError(jobs.ErrNoSpace); !errors.Is(err, jobs.ErrNoSpace) || s.Commit(t.Context(), batch) != nil {
		t.Errorf("after a full disk: %v", err)
	}
	broken := errors.New("input/output error")
	s.noteFlushError(broken)
	if err := s.Commit(t.Context(), batch); !errors.Is(err, broken) {
		t.Errorf("Commit: %v", err)
	}
	if _, err := s.Trim(t.Context(), jobs.Trim{Retained: time.Now(), Limit: 1}); !errors.Is(err, broken) {
		t.Errorf("Trim: %v", err)
	}
}

package sqlite

import (
	_ "embed"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"jobhub/jobs"
	"jobhub/jobs/sqlite/eventlog"
	"jobhub/jobs/sqlite/folder"
)

//go:embed testdata/format2.sql
var format2 string

// TestOldFormat: a store of format 2, which had no checksums, is brought to the present
// one with all that it holds, also if its process was killed.
func TestOldFormat(t *testing.T) {
	for name, closed := range map[string]bool{"closed": true, "killed": false} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "data")
			check(t, os.Mkdir(dir, 0o700))
			path := filepath.Join(dir, folder.DatabaseFile)
			conn, err := sqlite.OpenConn(path, sqlite.OpenReadWrite|sqlite.OpenCreate|sqlite.OpenWAL)
			check(t, err)
			check(t, sqlitex.ExecuteScript(conn, format2, nil))
			storeInvalid(t, conn)
			check(t, os.WriteFile(filepath.Join(dir, folder.EpochFile), []byte("k3fk3fk3 4 2\n"), 0o600))
			if !closed {
				left := filepath.Join(t.TempDir(), "left")
				copyFolder(t, dir, left)
				defer func() { check(t, conn.Close()) }()
				dir = left
			} else {
				check(t, conn.Close())
			}
			for range 2 {
				s, log := opened(t, dir)
				if s.Head().Seq != 2 || s.Head().Epoch == "k3fk3fk3" {
					t.Errorf("the head is %v; %s", s.Head(), log)
				}
				page, err := s.List(t.Context(), jobs.Filter{})
				check(t, err)
				if len(page.Jobs) != 2 || page.Jobs[0].Kind != "k" || page.Jobs[0].Queue != "q" {
					t.Fatalf("jobs: %+v", page.Jobs)
				}
				large, _, err := s.Job(t.Context(), "default", page.Jobs[0].ID)
				check(t, err)
				if string(large.Input) != `"`+strings.Repeat("x", 2000)+`"` {
					t.Errorf("%d bytes of input", len(large.Input))
				}
				expectValid(t, s, page.Jobs)
				queues, _, err := s.Queues(t.Context(), "default")
				check(t, err)
				if len(queues) != 1 || queues[0].Counts[jobs.Queued] != 2 || queues[0].Settings.Concurrency != 7 {
					t.Errorf("queues: %+v", queues)
				}
				if n := len(claimAll(t, s)); n != 0 {
					t.Errorf("%d jobs ready that were not", n)
				}
				kill(t, s)
			}
		})
	}
}

// storeInvalid stores values that are not JSON by today's rules, as format 2 could have them.
func storeInvalid(t *testing.T, conn *sqlite.Conn) {
	const twice = `{"a":1,"a":2}`
	check(t, sqlitex.Execute(conn, "UPDATE jobs SET input=?, progress=?, checkpoint=? WHERE n=1", &sqlitex.ExecOptions{
		Args: []any{[]byte(twice), []byte(`{"percent":5,"message":"half","data":` + twice + `}`), []byte("\xff")}}))
	check(t, sqlitex.Execute(conn, "SELECT last, events FROM log", &sqlitex.ExecOptions{ResultFunc: func(st *sqlite.Stmt) error {
		events, err := scanEvents(st)
		check(t, err)
		events[len(events)-1].Data = jobs.Value(twice)
		return sqlitex.Execute(conn, "UPDATE log SET events=?", &sqlitex.ExecOptions{Args: []any{eventlog.Encode(nil, events)}})
	}}))
}

func expectValid(t *testing.T, s *Store, list []jobs.Job) {
	i := slices.IndexFunc(list, func(j jobs.Job) bool { return j.N == 1 })
	job, _, err := s.Job(t.Context(), "default", list[i].ID)
	check(t, err)
	const text = `"{\"a\":1,\"a\":2}"`
	if string(job.Input) != text || string(job.Checkpoint) != `{"base64":"/w=="}` || job.Progress.Message != "half" || string(job.Progress.Data) != text {
		t.Errorf("input %s, checkpoint %s, progress %+v", job.Input, job.Checkpoint, job.Progress)
	}
	events, err := s.Read(t.Context(), jobs.ReadQuery{After: 1, MaxBytes: 1 << 20})
	check(t, err)
	if len(events) != 1 || !events[0].Truncated || len(events[0].Data) > 0 {
		t.Errorf("events: %+v", events)
	}
}

func claimAll(t *testing.T, s *Store) []jobs.Job {
	claim := &jobs.Claim{Kinds: []string{"k"}, Leases: []string{"l1", "l2", "l3"}}
	check(t, s.Commit(t.Context(), &jobs.Batch{Claims: []*jobs.Claim{claim}}))
	return claim.Jobs
}

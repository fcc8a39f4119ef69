package sqlite

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"hash/crc32"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"
	"zombiezen.com/go/sqlite/sqlitex"

	"jobhub/jobs"
	"jobhub/jobs/sqlite/folder"
)

var flips = flag.Int("flips", 30, "how many bits TestFlippedBits flips")

// TestFlippedBits: whichever bit of a data folder flips, no acknowledged job is lost or
// another without a word. The store does not open and says why, or says that a part is
// lost and has another epoch, or answers ErrDamaged; else every job is what it was.
func TestFlippedBits(t *testing.T) {
	for how, end := range ends {
		t.Run(how, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "data")
			s, _ := opened(t, dir)
			want := fill(t, s)
			epoch := s.Head().Epoch
			end(t, s)
			seed := uint64(time.Now().UnixNano())
			t.Logf("seed %d", seed)
			random := rand.New(rand.NewPCG(seed, 1))
			verdicts := map[string]int{}
			for range *flips / 2 {
				files := []string{folder.DatabaseFile, folder.DatabaseFile + "-wal"}
				if how == "stopped" {
					files = files[:1]
				}
				path := filepath.Join(dir, files[random.IntN(len(files))])
				f, err := os.OpenFile(path, os.O_RDWR, 0)
				check(t, err)
				info, err := f.Stat()
				check(t, err)
				size := info.Size()
				at, bit := random.Int64N(size), byte(1)<<random.IntN(8)
				flip := func() {
					b := make([]byte, 1)
					_, err := f.ReadAt(b, at)
					check(t, err)
					b[0] ^= bit
					_, err = f.WriteAt(b, at)
					check(t, err)
					check(t, os.Chtimes(path, info.ModTime(), info.ModTime())) // a disk changes no times
				}
				flip()
				verdict := judge(t, dir, want, epoch)
				verdicts[verdict]++
				if strings.HasPrefix(verdict, "WRONG") {
					t.Errorf("bit %#x of byte %d of %s (%d): %s", bit, at, filepath.Base(path), size, verdict)
				}
				flip()
				f.Close()
			}
			t.Log(verdicts)
		})
	}
}

// fill stores jobs of all sizes, and takes some of them through their lives.
func fill(t *testing.T, s *Store) map[jobs.ID]jobs.Job {
	want := map[jobs.ID]jobs.Job{}
	for i := range 150 {
		id, _ := uuid.NewV7()
		text := strings.Repeat("x", []int{10, 300, 900, 3000, 20_000}[i%5])
		j := jobs.Job{ID: id, Tenant: "default", Kind: "k", Queue: []string{"a", "b"}[i%2], State: jobs.Queued, Tags: []string{"t"}, CreatedAt: time.Now().Truncate(time.Millisecond), MaxAttempts: 1,
			Input: jobs.Value(`{"id":"` + id.String() + `","text":"` + text + `"}`)}
		check(t, s.Commit(t.Context(), &jobs.Batch{Now: time.Now(), Changes: []*jobs.Change{{Job: j, Event: jobs.Event{Type: jobs.JobQueued, Data: jobs.Value(`{}`)}}}}))
	}
	check(t, sqlitex.ExecuteTransient(s.write, "PRAGMA wal_checkpoint(RESTART)", nil)) // so that both files hold some
	claim := &jobs.Claim{Kinds: []string{"k"}, Leases: strings.Fields(strings.Repeat("lease ", 60))}
	check(t, s.Commit(t.Context(), &jobs.Batch{Now: time.Now(), Claims: []*jobs.Claim{claim}}))
	for i, j := range claim.Jobs[:40] {
		j.State, j.FinishedAt, j.Result = jobs.Succeeded, time.Now(), jobs.Value(`"`+strings.Repeat("y", i*100)+`"`)
		check(t, s.Commit(t.Context(), &jobs.Batch{Now: time.Now(), Changes: []*jobs.Change{{Job: j, If: jobs.Condition{State: jobs.Running, Lease: "lease"}, Fields: jobs.FieldState | jobs.FieldFinished | jobs.FieldResult,
			Event: jobs.Event{Type: jobs.JobSucceeded, Data: jobs.Value(`{}`)}}}}))
	}
	page, err := s.List(t.Context(), jobs.Filter{Limit: 500})
	check(t, err)
	for _, j := range page.Jobs {
		j, _, err := s.Job(t.Context(), "default", j.ID)
		check(t, err)
		want[j.ID] = j
	}
	return want
}

// judge opens a copy of a folder as if it were the folder itself, and looks at every job.
func judge(t *testing.T, dir string, want map[jobs.ID]jobs.Job, epoch string) string {
	at := filepath.Join(t.TempDir(), "data")
	copyFolder(t, dir, at)
	claimOwn(t, at)
	log := new(bytes.Buffer)
	s, err := Open(t.Context(), at, Options{TailBytes: 20_000, Logger: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		if !errors.Is(err, jobs.ErrDamaged) && !strings.Contains(err.Error(), at) {
			return "WRONG: the error does not say what is damaged: " + err.Error()
		}
		return "does not open"
	}
	defer s.Close()
	verdict := "no harm"
	if s.Head().Epoch != epoch {
		verdict = "another epoch"
	}
	for id, was := range want {
		j, _, err := s.Job(t.Context(), "default", id)
		switch {
		case errors.Is(err, jobs.ErrDamaged):
			verdict = "said"
		case err != nil && s.Head().Epoch != epoch && strings.Contains(log.String(), "ERROR"):
		case err != nil:
			return "WRONG: " + err.Error()
		case !bytes.Equal(j.Input, was.Input):
			return "WRONG: another input"
		case s.Head().Epoch == epoch && (j.State != was.State || !bytes.Equal(j.Result, was.Result) || j.Version != was.Version):
			return "WRONG: another job"
		}
	}
	if s.Head().Epoch == epoch {
		listed := map[jobs.ID]bool{}
		for _, f := range []jobs.Filter{{}, {Tag: "t"}, {Text: "x"}, {States: []jobs.State{jobs.Queued, jobs.Running, jobs.Succeeded}}} {
			clear(listed)
			for f.Limit = 20; ; {
				page, err := s.List(t.Context(), f)
				if err != nil && !errors.Is(err, jobs.ErrDamaged) {
					return "WRONG: " + err.Error()
				}
				for _, j := range page.Jobs {
					listed[j.ID] = true
				}
				if f.Before = page.Next; page.Next == 0 {
					break
				}
			}
			if len(listed) < len(want) && !strings.Contains(log.String(), "damaged") {
				return "WRONG: a job is missing from a list"
			}
		}
		seq := uint64(0)
		for seq < s.Head().Seq {
			events, err := s.Read(t.Context(), jobs.ReadQuery{After: seq, MaxBytes: 5000})
			if errors.Is(err, jobs.ErrTrimmed) {
				if !strings.Contains(log.String(), "damaged") {
					return "WRONG: nobody is told of a gap"
				}
				_, seq = s.tail.Position()
				continue
			}
			if err != nil {
				return "WRONG: reading the log: " + err.Error()
			}
			seq = events[len(events)-1].Seq
		}
	}
	if verdict == "said" && !strings.Contains(log.String(), "ERROR") {
		return "WRONG: the damage is not logged"
	}
	// It still takes jobs, or says why not.
	id, _ := uuid.NewV7()
	c := &jobs.Change{Job: jobs.Job{ID: id, Tenant: "default", Kind: "k", Queue: "a", State: jobs.Queued, CreatedAt: time.Now()}, Event: jobs.Event{Type: jobs.JobQueued}}
	err = s.Commit(t.Context(), &jobs.Batch{Now: time.Now(), Changes: []*jobs.Change{c}})
	if err = errors.Join(err, c.Err); err != nil && !errors.Is(err, jobs.ErrDamaged) {
		return "WRONG: a new job: " + err.Error()
	}
	if _, err := s.Trim(t.Context(), jobs.Trim{Seq: s.Head().Seq / 2, Retained: time.Now(), Limit: 10}); err != nil && !errors.Is(err, jobs.ErrDamaged) {
		return "WRONG: trimming: " + err.Error()
	}
	return verdict
}

// claimOwn makes the record of a copied folder one of the copies.
func claimOwn(t *testing.T, dir string) {
	path := filepath.Join(dir, folder.EpochFile)
	text, err := os.ReadFile(path)
	check(t, err)
	checked := len(text) - len("01234567\n") // the checksum follows
	var record map[string]any
	check(t, json.Unmarshal(text[:checked], &record))
	for name, member := range map[string]string{folder.EpochFile: "self", folder.DatabaseFile: "database"} {
		f, err := os.Open(filepath.Join(dir, name))
		check(t, err)
		record[member], _, err = folder.Identity(f)
		check(t, errors.Join(err, f.Close()))
	}
	record["at"] = 0
	changed, err := json.Marshal(record)
	check(t, err)
	text = fmt.Appendf(nil, "%-*s", checked, changed)
	text = fmt.Appendf(text, "%08x\n", crc32.Checksum(text, crc32.MakeTable(crc32.Castagnoli)))
	check(t, os.WriteFile(path, text, 0o600))
}

package faults

import (
	"bufio"
	"cmp"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/uuid"
	sqlitedb "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"jobhub/cmd/jobhub/e2e/trial"
	"jobhub/jobs"
	"jobhub/jobs/sqlite"
)

// TestPowerCut records what a hub writes and flushes, builds the data folder as a disk
// would hold it after a power cut at random places, and opens it again: every job whose
// 202 had begun to leave is there.
func TestPowerCut(t *testing.T) {
	t.Parallel()
	cuts, submissions := 30, 60
	if trial.Long() {
		cuts, submissions = 300, 1200 // enough for the log to be moved into the database several times
	}
	report(t, powerCuts(t, trial.Program, cuts, submissions))
}

// powerCuts runs a binary as the hub and cuts its power in many places.
func powerCuts(t *testing.T, binary string, cuts, submissions int) (wrong []string) {
	random := rand.New(rand.NewPCG(trial.Seed(t), 2))
	data := filepath.Join(t.TempDir(), "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(t.TempDir(), "trace")
	h := straced(t, binary, data, "-y", "-xx", "-s", "10000000", "-o", log,
		"-e", "trace=open,openat,write,pwrite64,ftruncate,fsync,fdatasync,rename,renameat,renameat2,unlink,unlinkat,mmap")
	conn := newLine(h)
	body := strings.Repeat("x", 1500)
	for n := range submissions {
		status, text, err := conn.submit(fmt.Sprintf(`{"kind":"x","delay":"1h","input":{"n":%d,"text":%q}}`, n, body), fmt.Sprintf("k%d", n))
		if err != nil || status != http.StatusAccepted {
			t.Fatalf("submission %d: %v %d %s", n, err, status, text)
		}
	}
	h.Signal(syscall.SIGTERM)
	ops, err := recorded(log, data)
	if err != nil {
		t.Fatal(err)
	}
	var answers, flushes []int
	for i, o := range ops {
		switch o.what {
		case "answered":
			answers = append(answers, i)
		case "flush":
			flushes = append(flushes, i)
		}
	}
	if len(answers) != submissions || (binary == trial.Program && len(flushes) < submissions) {
		t.Fatalf("the trace shows %d answers and %d flushes for %d submissions, so this proves nothing", len(answers), len(flushes), submissions)
	}

	type cut struct{ at, keep int }
	var plan []cut
	for n := range cuts {
		at := answers[random.IntN(len(answers))] + 1 // just after a 202 began to leave
		if n%3 == 2 {
			at = answers[0] + random.IntN(len(ops)-answers[0])
		}
		plan = append(plan, cut{at, []int{0, 50, 100, 0}[n%4]})
	}
	slices.SortFunc(plan, func(a, b cut) int { return cmp.Compare(a.at, b.at) })
	d := newDisk()
	done, lost, most := 0, 0, 0
	var acked []string
	for _, c := range plan {
		for ; done < c.at; done++ {
			if ops[done].what == "answered" {
				acked = append(acked, ops[done].path)
				continue
			}
			d.do(done, ops[done])
		}
		folder := filepath.Join(t.TempDir(), "after")
		lost += d.remains(t, folder, c.keep, random)
		most = max(most, len(acked))
		for _, w := range missing(t.Context(), folder, acked) {
			wrong = append(wrong, fmt.Sprintf("cut after step %d of %d, %d %% of what was not flushed kept: %s", c.at, len(ops), c.keep, w))
		}
		os.RemoveAll(folder)
	}
	if lost == 0 {
		t.Error("no cut lost a write that was not flushed, so this proves nothing")
	}
	t.Logf("%d cuts in %d steps with %d flushes; up to %d jobs accepted before; %d writes lost, %d folders wrong", len(plan), len(ops), len(flushes), most, lost, len(wrong))
	if binary != trial.Program {
		return wrong
	}
	// The real program opens one of them, too.
	folder := filepath.Join(t.TempDir(), "after")
	d.remains(t, folder, 0, random)
	again := launch(t, binary, trial.FreeAddr(t), folder)
	awaitReady(again)
	if got := len(again.Jobs()); got < len(acked) {
		wrong = append(wrong, fmt.Sprintf("the hub finds %d of %d accepted jobs", got, len(acked)))
	}
	again.Submit(`{"kind":"x"}`)
	return append(wrong, append(stopped(again), alarms(again)...)...)
}

// missing opens a folder and says what it lacks.
func missing(ctx context.Context, folder string, acked []string) (wrong []string) {
	s, err := sqlite.Open(ctx, folder, sqlite.Options{})
	if err != nil {
		if len(acked) == 0 {
			return nil
		}
		return []string{fmt.Sprintf("the store does not open: %v", err)}
	}
	defer s.Close()
	for _, id := range acked {
		if _, _, err := s.Job(ctx, jobs.DefaultTenant, uuid.MustParse(id)); err != nil {
			wrong = append(wrong, fmt.Sprintf("%s was accepted and is gone: %v", id, err))
		}
	}
	if len(wrong) > 1 {
		wrong = []string{fmt.Sprintf("%s, and %d more of %d", wrong[0], len(wrong)-1, len(acked))}
	}
	c, err := sqlitedb.OpenConn(filepath.Join(folder, "jobs.db"), sqlitedb.OpenReadOnly)
	if err != nil {
		return append(wrong, err.Error())
	}
	defer c.Close()
	verdict, err := sqlitex.ResultText(c.Prep("PRAGMA integrity_check"))
	if err != nil || verdict != "ok" {
		wrong = append(wrong, fmt.Sprintf("the database is damaged: %s %v", verdict, err))
	}
	return wrong
}

// operation is one step of the recorded hub: what it did to a file of its folder, or
// that a 202 began to leave.
type operation struct {
	what string // create, truncate, write, flush, rename, remove, answered
	path string // relative to the folder; "." for the folder; of an answer the job's id
	to   string // of a rename
	at   int64  // of a write, the size of truncate, and the step at which a flush began
	data []byte
}

var (
	callLine   = regexp.MustCompile(`^\d+ +(\w+)\(`)
	quoted     = regexp.MustCompile(`"((?:\\x[0-9a-f]{2})*)"`)
	openedFile = regexp.MustCompile(`<((?:\\x[0-9a-f]{2})*)>`)
	returned   = regexp.MustCompile(`\) += (-?\d+)`)
	location   = regexp.MustCompile(`Location: /v1/jobs/([0-9a-f-]{36})/response`)
)

// recorded reads the steps in the output of strace -y -xx. A call that others
// interrupt stands there in two lines: a 202 counts from its beginning, all else from
// its end. What a call that failed did is not known to be nothing, so none may fail.
func recorded(log, folder string) (ops []operation, err error) {
	file, err := os.Open(log)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	lines := bufio.NewReaderSize(file, 1<<20)
	begun := map[string]string{} // by thread
	flushing := map[string]int{} // by thread, how many steps there were when its flush began
	for {
		l, err := lines.ReadString('\n')
		if err == io.EOF {
			return ops, nil
		}
		if err != nil {
			return nil, err
		}
		l = strings.TrimRight(l, "\n")
		thread, _, _ := strings.Cut(l, " ")
		if strings.HasSuffix(l, "<unfinished ...>") {
			l = strings.TrimSuffix(l, "<unfinished ...>")
			begun[thread] = l
			if strings.Contains(l, "sync(") {
				flushing[thread] = len(ops)
			}
			if id := answered(l); id != "" {
				ops = append(ops, operation{what: "answered", path: id})
			}
			continue
		}
		resumed := false
		if _, rest, ok := strings.Cut(l, " resumed>"); ok && strings.Contains(l, "<... ") {
			l, resumed = begun[thread]+rest, true
		}
		call := callLine.FindStringSubmatch(l)
		result := returned.FindStringSubmatch(l)
		if call == nil || result == nil {
			continue
		}
		if id := answered(l); id != "" {
			if !resumed {
				ops = append(ops, operation{what: "answered", path: id})
			}
			continue
		}
		var names []string // of files: of descriptors, then of arguments
		for _, m := range openedFile.FindAllStringSubmatch(l, -1) {
			names = append(names, unhex(m[1]))
		}
		var args [][]byte
		for _, m := range quoted.FindAllStringSubmatch(l, -1) {
			args = append(args, []byte(unhex(m[1])))
		}
		inside := func(path string) (string, bool) {
			rel, err := filepath.Rel(folder, path)
			return rel, err == nil && rel != ".." && !strings.HasPrefix(rel, "../")
		}
		var path string
		var ours bool
		switch {
		case strings.HasPrefix(call[1], "open"), strings.HasPrefix(call[1], "rename"), strings.HasPrefix(call[1], "unlink"):
			if len(args) == 0 {
				continue
			}
			path, ours = inside(string(args[0]))
		case len(names) > 0:
			path, ours = inside(names[0])
		}
		if !ours || strings.HasSuffix(path, "-shm") || path == "lock" {
			continue // the others hold nothing that has to last
		}
		if n, _ := strconv.Atoi(result[1]); n < 0 {
			if strings.HasPrefix(call[1], "open") || strings.Contains(l, "ENOENT") {
				continue
			}
			return nil, fmt.Errorf("a call failed: %.300s", l)
		}
		numbers := strings.FieldsFunc(l[strings.LastIndexAny(l[:strings.LastIndex(l, ")")], `">`)+1:], func(r rune) bool { return r < '0' || r > '9' })
		switch call[1] {
		case "open", "openat":
			if strings.Contains(l, "O_CREAT") {
				ops = append(ops, operation{what: "create", path: path})
			}
			if strings.Contains(l, "O_TRUNC") {
				ops = append(ops, operation{what: "truncate", path: path})
			}
		case "pwrite64", "write":
			o := operation{what: "write", path: path, at: -1, data: args[0]}
			if call[1] == "pwrite64" {
				if o.at, err = strconv.ParseInt(numbers[1], 10, 64); err != nil {
					return nil, err
				}
			}
			if strconv.Itoa(len(o.data)) != result[1] {
				return nil, fmt.Errorf("a write of %d bytes wrote %s: %.300s", len(o.data), result[1], l)
			}
			ops = append(ops, o)
		case "ftruncate":
			o := operation{what: "truncate", path: path}
			if o.at, err = strconv.ParseInt(numbers[0], 10, 64); err != nil {
				return nil, err
			}
			ops = append(ops, o)
		case "fsync", "fdatasync":
			o := operation{what: "flush", path: path, at: int64(len(ops))}
			if resumed {
				o.at = int64(flushing[thread])
			}
			ops = append(ops, o)
		case "rename", "renameat", "renameat2":
			to, _ := inside(string(args[1]))
			ops = append(ops, operation{what: "rename", path: path, to: to})
		case "unlink", "unlinkat":
			ops = append(ops, operation{what: "remove", path: path})
		case "mmap":
			if strings.Contains(l, "PROT_WRITE") && strings.Contains(l, "MAP_SHARED") {
				return nil, fmt.Errorf("%s is written through memory, which no trace shows", path)
			}
		}
	}
}

// answered is the id in a 202 that begins to leave with this call.
func answered(l string) string {
	const beginning = `"\x48\x54\x54\x50\x2f\x31\x2e\x31\x20\x32\x30\x32\x20` // HTTP/1.1 202
	_, rest, ok := strings.Cut(l, beginning)
	if !ok || !strings.Contains(l, " write(") {
		return ""
	}
	text, _, _ := strings.Cut(rest, `"`)
	m := location.FindStringSubmatch(unhex(text))
	if m == nil {
		return ""
	}
	return m[1]
}

func unhex(s string) string {
	out, err := hex.DecodeString(strings.ReplaceAll(s, `\x`, ""))
	if err != nil {
		return ""
	}
	return string(out)
}

// disk is a folder as the programs see it, and what of it would outlive a power cut.
type disk struct {
	now     map[string]*content // names as programs see them
	entries map[string]*content // names as they were last flushed
}

// content is a file. A flush of it makes what was done before last.
type content struct {
	flushed []byte
	pending []change
	end     int64 // of the file, for writes that go there
}

type change struct {
	step int
	op   operation
}

func newDisk() *disk {
	return &disk{now: map[string]*content{}, entries: map[string]*content{}}
}

func (d *disk) do(step int, o operation) {
	f := d.now[o.path]
	if f == nil && o.path != "." && o.what != "remove" {
		f = &content{}
		d.now[o.path] = f
	}
	switch o.what {
	case "write":
		if o.at < 0 {
			o.at = f.end
		}
		f.end = max(f.end, o.at+int64(len(o.data)))
		f.pending = append(f.pending, change{step, o})
	case "truncate":
		f.end = o.at
		f.pending = append(f.pending, change{step, o})
	case "rename":
		d.now[o.to] = f
		delete(d.now, o.path)
	case "remove":
		delete(d.now, o.path)
	case "flush":
		if o.path == "." {
			d.entries = maps.Clone(d.now)
			return
		}
		before := slices.IndexFunc(f.pending, func(c change) bool { return int64(c.step) >= o.at }) // of a flush that began earlier
		if before < 0 {
			before = len(f.pending)
		}
		f.flushed = apply(f.flushed, f.pending[:before])
		f.pending = f.pending[before:]
	}
}

func apply(b []byte, changes []change) []byte {
	for _, c := range changes {
		end := c.op.at + int64(len(c.op.data))
		if c.op.what == "truncate" && int64(len(b)) > c.op.at {
			b = b[:c.op.at]
		}
		if int64(len(b)) < end {
			b = append(b, make([]byte, end-int64(len(b)))...)
		}
		copy(b[c.op.at:], c.op.data)
	}
	return b
}

const sector = 512

// remains writes what a power cut would leave, with so many percent of the sectors and
// names that were not flushed. It returns how many writes were lost, whole or in part.
func (d *disk) remains(t *testing.T, folder string, keep int, random *rand.Rand) (lost int) {
	t.Helper()
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	names := maps.Clone(d.entries)
	for name := range d.now {
		if random.IntN(100) < keep {
			names[name] = d.now[name]
		}
	}
	for name := range names {
		if d.now[name] == nil && random.IntN(100) < keep {
			delete(names, name)
		}
	}
	for name, f := range names {
		b := slices.Clone(f.flushed)
		for _, c := range f.pending {
			if c.op.what == "truncate" {
				if random.IntN(100) < keep {
					b = apply(b, []change{c})
				}
				continue
			}
			whole := true
			for from := 0; from < len(c.op.data); {
				to := min(len(c.op.data), from+sector-int((c.op.at+int64(from))%sector))
				if random.IntN(100) < keep {
					b = apply(b, []change{{op: operation{what: "write", at: c.op.at + int64(from), data: c.op.data[from:to]}}})
				} else {
					whole = false
				}
				from = to
			}
			if !whole {
				lost++
			}
		}
		if err := os.WriteFile(filepath.Join(folder, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return lost
}

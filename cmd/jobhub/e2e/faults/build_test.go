package faults

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/go-json-experiment/json"

	"jobhub/cmd/jobhub/e2e/trial"
)

// A sabotage is one changed line of the product. The line must be in the file exactly once.
type sabotage struct{ file, line, instead string }

var sabotages = map[string]sabotage{
	// The store does not flush its log on a commit.
	"nosync": {
		file:    "jobs/sqlite/sqlite.go",
		line:    `	for _, setting := range []string{"synchronous=FULL", "wal_autocheckpoint=8000", "cache_size=-16384", "cache_spill=OFF", "temp_store=MEMORY"} {`,
		instead: `	for _, setting := range []string{"synchronous=OFF", "wal_autocheckpoint=8000", "cache_size=-16384", "cache_spill=OFF", "temp_store=MEMORY"} {`,
	},
	// The engine goes on after a commit of unknown outcome.
	"refsync": {
		file:    "jobs/engine/commit/committer.go",
		line:    `	if err != nil && !errors.Is(err, jobs.ErrNoSpace) && !errors.Is(err, jobs.ErrDamaged) {`,
		instead: `	if false {`,
	},
	// A change applies whatever state and lease the job has.
	"nofence": {
		file:    "jobs/sqlite/commit.go",
		line:    `	if r == nil || r.job.State != ch.If.State || r.job.Lease != ch.If.Lease || ch.If.Version != 0 && r.job.Version != ch.If.Version {`,
		instead: `	if r == nil {`,
	},
	// A replay leaves out its first event.
	"resume": {
		file:    "hub/read.go",
		line:    `	c.seq.Store(after)`,
		instead: `	c.seq.Store(min(after+1, max(after, upTo)))`,
	},
}

var (
	building sync.Mutex // protects the map below, and is held while a program is built
	built    = map[string]string{}
)

// sabotaged builds the program with a sabotage and returns its path. The compiler reads
// the changed file by -overlay: the product itself has no part in it.
func sabotaged(t *testing.T, name string) string {
	t.Helper()
	building.Lock()
	defer building.Unlock()
	if built[name] != "" {
		return built[name]
	}
	s := sabotages[name]
	file := trial.File(t, s.file)
	source, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count("\n"+string(source), "\n"+s.line+"\n"); n != 1 {
		t.Fatalf("the sabotage %q no longer fits: %s has this line %d times, not once; change the sabotage too:\n%s", name, s.file, n, s.line)
	}
	changed := strings.Replace("\n"+string(source), "\n"+s.line+"\n", "\n"+s.instead+"\n", 1)
	dir := filepath.Dir(trial.Program)
	replacement, overlay := filepath.Join(dir, name+".go"), filepath.Join(dir, name+".json")
	replace, err := json.Marshal(map[string]any{"Replace": map[string]string{file: replacement}})
	if err == nil {
		err = os.WriteFile(replacement, []byte(changed[1:]), 0o600)
	}
	if err == nil {
		err = os.WriteFile(overlay, replace, 0o600)
	}
	program := filepath.Join(dir, name)
	if err == nil {
		err = trial.Build(program, "-overlay", overlay)
	}
	if err != nil {
		t.Fatal(err)
	}
	built[name] = program
	return program
}

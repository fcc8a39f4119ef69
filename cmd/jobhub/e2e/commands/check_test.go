package commands

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"jobhub/cmd/jobhub/e2e/trial"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestCheck: what jobhub check says about each file in testdata/check.
func TestCheck(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/check/*.yaml")
	if err != nil || len(files) < 5 {
		t.Fatal(files, err)
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		cmd := exec.Command(trial.Program, "check", filepath.Base(file))
		p := trial.NewText()
		cmd.Stdout, cmd.Stderr, cmd.Dir, cmd.Env = p, p, filepath.Join(here, "testdata/check"), trial.CleanEnv()
		cmd.Run()
		got := fmt.Sprintf("%sexit %d\n", p, cmd.ProcessState.ExitCode())
		golden := strings.TrimSuffix(file, ".yaml") + ".golden"
		if *update {
			if err := os.WriteFile(golden, []byte(got), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s:\n%s\nwant\n%s", file, got, want)
		}
	}
	if code, _, stderr := trial.Run(t, "check", "nowhere.yaml"); code != 1 || !strings.Contains(stderr, "nowhere.yaml") || !strings.Contains(stderr, "check the path") {
		t.Errorf("a missing file: %d %s", code, stderr)
	}
	if code, _, _ := trial.Run(t, "check"); code != 2 {
		t.Errorf("no file: %d", code)
	}
}

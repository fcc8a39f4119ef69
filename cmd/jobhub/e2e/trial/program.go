package trial

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// Program is the path of the program as released. Main builds it.
var Program string

// Main builds the program, runs the tests and returns the exit code, for TestMain.
func Main(m *testing.M) int {
	dir, err := os.MkdirTemp("", "jobhub-e2e-")
	if err == nil {
		defer os.RemoveAll(dir)
		Program = filepath.Join(dir, "jobhub")
		err = build("", Program)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { closeBrowser() }()
	return m.Run()
}

func build(tag, path string) error {
	if out, err := exec.Command("go", "build", "-buildvcs=false", "-tags", tag, "-o", path, "jobhub/cmd/jobhub").CombinedOutput(); err != nil {
		return fmt.Errorf("go build -tags %q: %v\n%s", tag, err, out)
	}
	return nil
}

var (
	building sync.Mutex // held while one is built
	builds   = map[string]string{}
)

// Build builds the program with a tag that makes it break a promise, and returns its path.
func Build(t *testing.T, tag string) string {
	t.Helper()
	building.Lock()
	defer building.Unlock()
	if builds[tag] == "" {
		path := filepath.Join(filepath.Dir(Program), tag)
		if err := build(tag, path); err != nil {
			t.Fatal(err)
		}
		builds[tag] = path
	}
	return builds[tag]
}

// File returns the absolute path of a file of this repository, given below its root.
func File(t *testing.T, path string) string {
	t.Helper()
	dir, err := os.Getwd()
	for err == nil && dir != filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return filepath.Join(dir, path)
		}
		dir = filepath.Dir(dir)
	}
	t.Fatal("the tests must run inside of the repository", err)
	return ""
}

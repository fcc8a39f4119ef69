package trial

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
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
		err = Build(Program)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { closeBrowser() }()
	return m.Run()
}

// Build builds the program at path, with additional arguments of go build.
func Build(path string, args ...string) error {
	args = append([]string{"build", "-buildvcs=false", "-o", path}, args...)
	if out, err := exec.Command("go", append(args, "jobhub/cmd/jobhub")...).CombinedOutput(); err != nil {
		return fmt.Errorf("go %q: %v\n%s", args, err, out)
	}
	return nil
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

package static_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The tools that look at the client, in the versions it is checked with.
const (
	compiler = "typescript@5.9.3"
	minifier = "terser@5.51.2"
)

// run runs a program in a folder and returns what it printed.
func run(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("this test needs %s; on Debian: apt-get install nodejs npm", name)
	}
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, out, &stderr)
	}
	return string(out)
}

// TestClient runs the tests of jobhub.js in Node.
func TestClient(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.test.mjs")
	if err != nil || len(files) == 0 {
		t.Fatalf("%q, %v", files, err)
	}
	out := run(t, ".", "node", append([]string{"--test", "--test-reporter=tap"}, files...)...)
	if !strings.Contains(out, "\n# fail 0\n") || strings.Contains(out, "\n# pass 0\n") {
		t.Error(out)
	}
}

// TestPackage packs the client as npm would publish it, installs that elsewhere, and
// imports it from there: from JavaScript, and from TypeScript with strict types.
func TestPackage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	packed := run(t, ".", "npm", "pack", "--silent", "--pack-destination", dir)
	run(t, dir, "npm", "init", "--yes")
	run(t, dir, "npm", "install", "--no-audit", "--no-fund", "--silent", "./"+strings.TrimSpace(packed), compiler, minifier)

	installed, err := filepath.Glob(filepath.Join(dir, "node_modules/@jobhub/client/*"))
	if err != nil || len(installed) != 5 {
		t.Errorf("the package holds %q, %v", installed, err)
	}
	script := `import { JobHub, JobHubError } from "@jobhub/client"; console.log(new JobHub("http://127.0.0.1:1").status.state, JobHubError.name)`
	if out := run(t, dir, "node", "--input-type=module", "-e", script); out != "idle JobHubError\n" {
		t.Errorf("imported, it says %q", out)
	}

	usage, err := os.ReadFile("testdata/usage.ts")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "usage.mts"), usage, 0o644); err != nil {
		t.Fatal(err)
	}
	run(t, dir, "npx", "tsc", "--noEmit", "--strict", "--exactOptionalPropertyTypes", "--noUncheckedIndexedAccess", "--target", "es2022", "--lib", "es2022,dom", "--module", "nodenext", "usage.mts")

	for file, most := range map[string]int{"jobhub.js": 5 << 10, "fallback.js": 3 << 9} {
		n := zipped(t, []byte(run(t, dir, "npx", "terser", "node_modules/@jobhub/client/"+file, "--module", "--compress", "--mangle")))
		if t.Logf("minified and compressed %s has %d bytes", file, n); n > most {
			t.Errorf("that is more than %d", most)
		}
	}
}

// TestScriptBudget: all that a page loads, compressed. It never needs fallback.js, which
// is for subscriptions to jobs; others come with the first key or click, or are
// each of one page.
func TestScriptBudget(t *testing.T) {
	total, most := 0, 0
	lazy := []string{"copy.js", "keys.js", "tap.js", "wall.js"}
	for _, pattern := range []string{"*.js", "vendor/*.js"} {
		files, _ := filepath.Glob(pattern)
		for _, file := range files {
			if file == "fallback.js" {
				continue
			}
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if slices.Contains(lazy, file) {
				most = max(most, zipped(t, text))
				continue
			}
			total += zipped(t, text)
		}
	}
	if t.Logf("the scripts of a page have %d bytes, and %d come later at most", total, most); total > 15<<10 {
		t.Error("that is more than 15 KiB")
	}
	if most > 3<<10 {
		t.Error("what comes later is more than 3 KiB")
	}
}

func zipped(t *testing.T, text []byte) int {
	t.Helper()
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err == nil {
		_, err = io.Copy(w, bytes.NewReader(text))
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Len()
}

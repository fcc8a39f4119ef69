package static_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"jobhub/static"
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

// everyPage is what each page of the dashboard loads.
var everyPage = []string{"theme.js", "vendor/idiomorph.min.js", "dashboard.js", "jobhub.js", "time.js", "shortcuts.js"}

// TestScriptBudget: all that a page loads, as it is sent, until somebody wants more: copy.js
// comes with the first copy, savedviews.js and confirm.js with the first view kept and the first
// question, catchup.js after a lost connection. No page needs fallback.js, which is for
// subscriptions to jobs.
func TestScriptBudget(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { static.Serve(w, r) }))
	defer server.Close()
	sent := func(name string) int {
		request, _ := http.NewRequest("GET", server.URL+static.Path(name), nil)
		request.Header.Set("Accept-Encoding", "gzip") // and not unpacked by the client
		answer, err := server.Client().Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		if err != nil || answer.StatusCode != 200 || answer.Header.Get("Content-Encoding") != "gzip" {
			t.Fatalf("%s: %d, %s, %v", name, answer.StatusCode, answer.Header, err)
		}
		return len(body)
	}
	for page, more := range map[string][]string{"overview": nil, "jobs": {"jobs.js"}, "job": {"job.js"}, "hub": {"messages.js"}, "wall": {"wall.js"}} {
		total := 0
		for _, name := range append(more, everyPage...) {
			total += sent(name)
		}
		if t.Logf("the scripts of the page %s have %d bytes", page, total); total > 15<<10 {
			t.Errorf("those of %s have more than 15 KiB", page)
		}
	}
}

// What is served is the script as it was written, without what a machine does not need.
func TestSmallScripts(t *testing.T) {
	names, _ := filepath.Glob("*.js")
	dir := t.TempDir()
	for _, name := range names {
		source, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		answer := httptest.NewRecorder()
		static.Serve(answer, httptest.NewRequest("GET", "/static/"+name, nil))
		if n := answer.Body.Len(); n == 0 || n > len(source)*9/10 || answer.Header().Get("Content-Encoding") != "" {
			t.Errorf("%s is served as\n%s", name, answer.Body)
		}
		file := filepath.Join(dir, strings.TrimSuffix(name, "js")+"mjs")
		if err := os.WriteFile(file, answer.Body.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		run(t, ".", "node", "--check", file)
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

package static_test

import (
	"net/http"
	"net/http/httptest"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"jobhub/static"
)

// get is a file as it is sent to who takes it plain.
func get(path string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", path, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	answer := httptest.NewRecorder()
	if !static.Serve(answer, r) {
		answer.Code = http.StatusNotFound
	}
	return answer
}

// TestModulesAreKept: a script finds what it imports below the very address that pages use,
// so that a browser keeps each module for good and runs it once.
func TestModulesAreKept(t *testing.T) {
	imports := 0
	for name := range scripts(t) {
		if strings.HasPrefix(name, "vendor/") {
			continue
		}
		sent := get(static.Path(name)).Body.String()
		for _, match := range regexp.MustCompile(`["'](\.{0,2}/[^"']*\.js)["']`).FindAllStringSubmatch(sent, -1) {
			imports++
			module := path.Join(path.Dir(static.Path(name)), match[1])
			if want := static.Path(path.Base(module)); module != want {
				t.Errorf("%s imports %s, want %s", name, module, want)
			}
			answer := get(module)
			if answer.Code != 200 || !strings.Contains(answer.Header().Get("Cache-Control"), "immutable") {
				t.Errorf("%s imports %s, which is answered %d %s", name, module, answer.Code, answer.Header())
			}
		}
	}
	if imports < 5 {
		t.Errorf("%d imports were looked at", imports)
	}
}

// TestOtherVersions: a page of another release finds the file of this one, and has to ask again.
func TestOtherVersions(t *testing.T) {
	answer := get("/static/0123456789ab/jobhub.js")
	if answer.Code != 200 || answer.Header().Get("Cache-Control") != "no-cache" {
		t.Errorf("%d %s", answer.Code, answer.Header())
	}
	for _, none := range []string{"", "nothing.js", "vendor/", "dist/nothing.js", "0123456789ab/nothing.js", "0123456789ab/0123456789ab/jobhub.js", "embed.go"} {
		if answer := get("/static/" + none); answer.Code != 404 {
			t.Errorf("%q: %d", none, answer.Code)
		}
	}
}

// TestFilesRevalidate: without its version a file is asked for again, and not sent again.
func TestFilesRevalidate(t *testing.T) {
	for name := range scripts(t) {
		for _, coding := range []string{"gzip", "identity"} {
			first := get("/static/"+name, "Accept-Encoding", coding)
			again := get("/static/"+name, "Accept-Encoding", coding, "If-None-Match", first.Header().Get("ETag"))
			if first.Code != 200 || first.Header().Get("Cache-Control") != "no-cache" || again.Code != 304 || again.Body.Len() > 0 {
				t.Errorf("%s, %s: %d %s, and then %d with %d bytes", name, coding, first.Code, first.Header(), again.Code, again.Body.Len())
			}
		}
	}
}

// scripts are the names of all scripts.
func scripts(t *testing.T) map[string]bool {
	all := map[string]bool{}
	for _, pattern := range []string{"*.js", "vendor/*.js"} {
		names, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			all[name] = true
		}
	}
	if len(all) < 10 {
		t.Fatalf("%d scripts", len(all))
	}
	return all
}

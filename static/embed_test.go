package static_test

import (
	"io/fs"
	"net/http/httptest"
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
	static.Handler().ServeHTTP(answer, r)
	return answer
}

// TestModulesNameVersions: a script imports others by the very addresses that pages use, so
// that a browser keeps them for good and runs each once.
func TestModulesNameVersions(t *testing.T) {
	imports := 0
	for name := range scripts(t) {
		if strings.HasPrefix(name, "vendor/") {
			continue
		}
		sent := get(static.Path(name)).Body.String()
		for _, match := range regexp.MustCompile(`["'](\./[^"']*\.js[^"']*)["']`).FindAllStringSubmatch(sent, -1) {
			imports++
			module, _, _ := strings.Cut(strings.TrimPrefix(match[1], "./"), "?")
			if want := static.Path(module); "/static/"+strings.TrimPrefix(match[1], "./") != want {
				t.Errorf("%s imports %s, want %s", name, match[1], want)
			}
			answer := get(static.Path(module))
			if answer.Code != 200 || !strings.Contains(answer.Header().Get("Cache-Control"), "immutable") {
				t.Errorf("%s imports %s, which is answered %d %s", name, module, answer.Code, answer.Header())
			}
		}
	}
	if imports < 5 {
		t.Errorf("%d imports were looked at", imports)
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

func scripts(t *testing.T) map[string]bool {
	all := map[string]bool{}
	err := fs.WalkDir(static.FS, ".", func(name string, _ fs.DirEntry, err error) error {
		if strings.HasSuffix(name, ".js") {
			all[name] = true
		}
		return err
	})
	if err != nil || len(all) < 10 {
		t.Fatalf("%d scripts: %v", len(all), err)
	}
	return all
}

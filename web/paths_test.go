package web_test

import (
	"reflect"
	"testing"
	"time"

	"jobhub/web"
)

// bothPaths runs a test on each of the two ways by which frames leave the hub: framed
// once and written straight to the TCP connection, and by the library's Write. The test
// starts its world with change, or calls it within its own.
func bothPaths(t *testing.T, test func(t *testing.T, change func(*parts))) {
	t.Helper()
	for _, path := range writePaths {
		t.Run(path.name, func(t *testing.T) { test(t, path.change) })
	}
}

type writePath struct {
	name   string
	change func(*parts)
}

var writePaths = func() []writePath {
	library := writePath{"library", func(p *parts) { configure(&p.web, "LibraryWrites", true) }}
	if !configurable("LibraryWrites") {
		return []writePath{library}
	}
	return []writePath{{"raw", func(*parts) {}}, library}
}()

// stallAfter makes the hub end connections that accept no byte for so long.
func stallAfter(t testing.TB, p *parts, limit time.Duration) {
	t.Helper()
	if !configurable("StallLimit") {
		t.Fatal("web.Config has no StallLimit")
	}
	configure(&p.web, "StallLimit", limit)
}

// configure sets a member of the configuration that may not be there yet; then the
// test runs with what the server does on its own.
func configure(c *web.Config, member string, value any) {
	if f := reflect.ValueOf(c).Elem().FieldByName(member); f.IsValid() {
		f.Set(reflect.ValueOf(value))
	}
}

func configurable(member string) bool {
	return reflect.ValueOf(web.Config{}).FieldByName(member).IsValid()
}

func TestWaysOfWritingCanBeChosen(t *testing.T) {
	for _, member := range []string{"LibraryWrites", "StallLimit"} {
		if !configurable(member) {
			t.Errorf("web.Config has no %s", member)
		}
	}
}

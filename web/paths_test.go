package web_test

import "testing"

// bothPaths runs a test on each of the two ways by which frames leave the hub: framed
// once and written straight to the TCP connection, and by the library's Write. The test
// starts its world with change, or calls it within its own. The flag -library runs the
// tests without it on the second way, too.
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

var writePaths = []writePath{
	{"raw", func(p *parts) { p.web.LibraryWrites = false }},
	{"library", func(p *parts) { p.web.LibraryWrites = true }},
}

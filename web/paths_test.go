package web_test

import "testing"

func bothPaths(t *testing.T, test func(t *testing.T, change func(*parts))) {
	t.Helper()
	test(t, func(*parts) {})
}

type writePath struct {
	name   string
	change func(*parts)
}

var writePaths = []writePath{{"", func(*parts) {}}}

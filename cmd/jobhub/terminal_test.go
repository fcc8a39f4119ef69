package main

import "testing"

func TestPrintable(t *testing.T) {
	if got := printable("a\n\x1b[31mé\u202e\x00"); got != "a ·[31mé··" {
		t.Errorf("got %q", got)
	}
}

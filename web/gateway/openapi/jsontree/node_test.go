package jsontree

import (
	"strings"
	"testing"
)

func TestRead(t *testing.T) {
	data := []byte(` {"a": [1.10, "\u00e9", null], "b": {"c": true}} `)
	n, err := Read(data)
	if err != nil {
		t.Fatal(err)
	}
	a := n.Get("a")
	if a.Items[0].Text != "1.10" || a.Items[1].Text != "é" || a.Items[2].Kind != 'n' || !n.Get("b").IsTrue("c") {
		t.Errorf("read %+v", n)
	}
	if got := string(a.Raw(data)); got != `[1.10, "\u00e9", null]` {
		t.Errorf("the bytes of a are %s", got)
	}
	if n.Size != 7 || a.Size != 4 {
		t.Errorf("sizes %d and %d, want 7 and 4", n.Size, a.Size)
	}
	if n.Get("x").Get("y") != nil || a.Get("a") != nil || n.Str("a") != "" {
		t.Error("a member that is not there was found")
	}
}

// TestGetOfMany: an object of many members has an index, and finds the same.
func TestGetOfMany(t *testing.T) {
	n, err := Read([]byte(`{"a":0,"b":1,"c":2,"d":3,"e":4,"f":5,"g":6,"h":7,"i":8,"j":9}`))
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range n.Names {
		if n.Get(name) != n.Items[i] {
			t.Errorf("%s is not found", name)
		}
	}
	if n.Get("k") != nil {
		t.Error("k was found")
	}
}

// TestRefused: what Read refuses, and where Place says it is.
func TestRefused(t *testing.T) {
	many := Limit{Name: "paths", Most: 1, Detail: "has more than 1 path"}
	for in, want := range map[string]string{
		"":                              ": unexpected EOF",
		"{}\n{}":                        ": more follows",
		"{\"a\":1,\n\"a\":2}":           "/a: line 2: is given twice; keep one",
		"\"\xff\"":                      ": line 1: ",
		`{"a":[1e9999999999]}`:          "/a/0: has a number with an exponent",
		strings.Repeat("1", 1_001):      ": has a number of more than 1000 characters",
		strings.Repeat("[", 10_000):     ": has more than",
		`{"paths":{"a":1,"b":2}}`:       "/paths: has more than 1 path",
		`{"x":{"paths":{"a":1,"b":2}}}`: "",
		`{"b":{"a":1,"b":2}}`:           "",
	} {
		got := ""
		if _, err := Read([]byte(in), many); err != nil {
			pointer, detail := Place([]byte(in), err)
			got = pointer + ": " + detail
		}
		if !strings.HasPrefix(got, want) || (got == "") != (want == "") {
			t.Errorf("%.40q: %q, want %q", in, got, want)
		}
	}
	if _, err := Read([]byte("[" + strings.Repeat("1,", MaxValues) + "1]")); err != ErrTooMany {
		t.Errorf("%v, want %v", err, ErrTooMany)
	}
}

func TestPointer(t *testing.T) {
	at := (&Path{}).Member("a/b").At(3).Member("~")
	if got := at.Pointer(); got != "/a~1b/3/~0" {
		t.Errorf("the pointer is %s", got)
	}
	if got := (&Path{}).Pointer(); got != "" {
		t.Errorf("the pointer of the whole is %q", got)
	}
	for range 1_000 {
		at = at.Member(strings.Repeat("é", 300))
	}
	if got := at.Pointer(); len(got) > 520 {
		t.Errorf("a pointer of %d bytes", len(got))
	}
}

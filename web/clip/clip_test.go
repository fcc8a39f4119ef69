package clip

import "testing"

func TestShorten(t *testing.T) {
	for _, c := range []struct {
		in   string
		most int
		want string
	}{{"", 0, ""}, {"abc", 3, "abc"}, {"abcd", 3, "abc…"}, {"aäö", 3, "aä…"}, {"aäö", 4, "aä…"}, {"€", 2, "…"}} {
		if got := Shorten(c.in, c.most); got != c.want {
			t.Errorf("%q in %d bytes is %q, want %q", c.in, c.most, got, c.want)
		}
	}
}

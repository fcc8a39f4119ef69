package upstream

import (
	"net/url"
	"strings"
	"testing"
)

func TestJoin(t *testing.T) {
	for _, c := range []struct{ member, path, want string }{
		{"http://a:1", "/x", "http://a:1/x"},
		{"http://a:1/", "/x?q=1&q=2", "http://a:1/x?q=1&q=2"},
		{"http://a:1/base", "/x/%2F/y", "http://a:1/base/x/%2F/y"},
		{"http://a:1/b%2Fc/", "/", "http://a:1/b%2Fc/"},
		{"http://u:p@a:1", "/x?", "http://a:1/x?"},
		{"https://[::1]:9", "//x", "https://[::1]:9//x"},
	} {
		if got := join(parse(t, c.member), parse(t, "http://other"+c.path)).String(); got != c.want {
			t.Errorf("%s and %s: %s, want %s", c.member, c.path, got, c.want)
		}
	}
}

// FuzzJoin: a request goes to the member's host whatever its URL, with the path as it came.
func FuzzJoin(f *testing.F) {
	for _, s := range []string{"/", "/a%2fb?x", "//evil/x", "http://u@evil/x", "mailto:x", "/%zz", "?q", "/a;b\\c"} {
		f.Add(s)
	}
	member := &url.URL{Scheme: "http", Host: "member:1", Path: "/base"}
	f.Fuzz(func(t *testing.T, s string) {
		u, err := url.Parse(s)
		if err != nil {
			return
		}
		got := join(member, u)
		back, err := url.Parse(got.String())
		if err != nil || back.Host != "member:1" || !strings.HasPrefix(got.String(), "http://member:1/base/") || !strings.HasSuffix(got.EscapedPath(), u.EscapedPath()) {
			t.Errorf("%q gives %q", s, got)
		}
	})
}

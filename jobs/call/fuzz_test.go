package call

import (
	"errors"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"jobhub/jobs"
)

// FuzzCheck: checking never panics, refuses with a problem, and what it accepts can
// be sent and does not have a blocked address written into it.
func FuzzCheck(f *testing.F) {
	for _, host := range []string{"a.example", "8.8.8.8", "[::1]", "[fe80::1%25a]", "127.1", "0x7f.1", "2130706433", "[64:ff9b::7f00:1]", "a@127.0.0.1", "①.1"} {
		f.Add(`{"url":"http://` + host + `/","method":"POST","headers":{"A":"b"},"body":{"base64":"eA=="},"expect":[404]}`)
	}
	f.Add(`{"url":"http://a#@127.0.0.1/"}`)
	f.Add(`{"url":"http://127.0.0.1\\@a/"}`)
	c := newCaller(Options{})
	f.Fuzz(func(t *testing.T, input string) {
		if err := c.check(jobs.Value(input), jobs.Via{}); err != nil {
			p, ok := errors.AsType[*jobs.Problem](err)
			if !ok || p.Status != 422 {
				t.Fatalf("%s: refused with %#v", input, err)
			}
			return
		}
		in, err := decode(jobs.Value(input), c.guard, jobs.Via{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := in.request(t.Context(), 1, "key"); err != nil {
			t.Fatalf("%s: accepted but can't be sent: %v", input, err)
		}
		var doc struct {
			URL string `json:"url"`
		}
		if err := json.Unmarshal([]byte(input), &doc, json.RejectUnknownMembers(false)); err != nil {
			t.Fatal(err)
		}
		u, err := url.Parse(doc.URL)
		if err != nil {
			t.Fatal(err)
		}
		if host := u.Hostname(); dangerous(host) {
			t.Fatalf("%s: accepted with host %q", input, host)
		}
	})
}

// dangerous is a second opinion, from other sources than the guard's.
func dangerous(host string) bool {
	if ip, err := netip.ParseAddr(host); err == nil {
		ip = ip.Unmap()
		return ip.Zone() != "" || !ip.IsGlobalUnicast() || ip.IsPrivate() || ip.IsLoopback()
	}
	if net.ParseIP(strings.Trim(host, ".")) != nil || strings.ContainsAny(host, "%:@") {
		return true
	}
	return strings.Trim(strings.ToLower(host), "0123456789.") == "" || strings.HasPrefix(host, "0x") && strings.Trim(host, "0123456789abcdefx.") == ""
}

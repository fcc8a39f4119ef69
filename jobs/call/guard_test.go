package call

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	"jobhub/jobs"
)

func TestGuard(t *testing.T) {
	for _, tc := range []struct{ allow, open, blocked string }{
		{"",
			"8.8.8.8 1.1.1.1 100.63.255.255 2606:4700::1 ::ffff:8.8.8.8",
			"127.0.0.1 127.255.255.255 0.0.0.0 10.0.0.1 172.16.0.1 172.31.255.255 192.168.1.1 100.64.0.1 169.254.169.254 168.63.129.16 " +
				"192.0.0.192 192.0.2.1 198.18.0.1 198.51.100.1 203.0.113.1 224.0.0.1 240.0.0.1 255.255.255.255 100.100.100.200 " +
				":: ::1 ::127.0.0.1 ::ffff:127.0.0.1 ::ffff:169.254.169.254 fe80::1 fe80::1%eth0 2606:4700::1%eth0 fc00::1 fd00:ec2::254 fd20:ce::254 fec0::1 ff02::1 " +
				"64:ff9b::8.8.8.8 64:ff9b::127.0.0.1 64:ff9b:1::1 2002:7f00:1::1 2002:808:808::1 2001::1 2001:db8::1 100::1 5f00::1 3fff::1"},
		{"127.0.0.0/8,::1/128",
			"127.0.0.1 127.1.2.3 ::1 ::ffff:127.0.0.1 8.8.8.8",
			"0.0.0.0 10.0.0.1 ::1%lo :: 169.254.169.254 64:ff9b::127.0.0.1"},
		{"::ffff:10.0.0.0/104", "10.1.2.3", "127.0.0.1"},
		{"0.0.0.0/0,::/0",
			"127.0.0.1 10.0.0.1 ::1 fd00::1 64:ff9b::8.8.8.8",
			"169.254.169.254 fe80::1 fe80::1%eth0 168.63.129.16 fd00:ec2::254 100.100.100.200 64:ff9b::169.254.169.254 2002:a9fe:a9fe::1 ::ffff:169.254.169.254"},
		{"169.254.169.254/32,fe80::/10,168.63.129.16/32",
			"169.254.169.254 fe80::1 168.63.129.16",
			"169.254.169.253 fe80::1%eth0 127.0.0.1"},
		{"169.0.0.0/8", "169.253.0.1", "169.254.0.1"},
		{"64:ff9b::/96", "64:ff9b::8.8.8.8", "64:ff9b::127.0.0.1 64:ff9b::169.254.169.254"},
	} {
		var allow []netip.Prefix
		for p := range strings.SplitSeq(tc.allow, ",") {
			if p != "" {
				allow = append(allow, netip.MustParsePrefix(p))
			}
		}
		g := newGuard(allow, nil)
		for a := range strings.FieldsSeq(tc.open) {
			if !g.open(netip.MustParseAddr(a)) {
				t.Errorf("with %q open: %s is blocked", tc.allow, a)
			}
		}
		for a := range strings.FieldsSeq(tc.blocked) {
			if g.open(netip.MustParseAddr(a)) {
				t.Errorf("with %q open: %s is not blocked", tc.allow, a)
			}
		}
	}
}

// The same name resolves to an open address first and to a blocked one afterwards.
func TestRebinding(t *testing.T) {
	for _, tc := range []struct {
		name      string
		allow     []netip.Prefix
		wantInner int64
	}{{"closed", onlyTwo, 0}, {"control", loopback, 1}} {
		t.Run(tc.name, func(t *testing.T) {
			hangUp := func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Connection", "close") }
			outer, outerHits := serveOn(t, "127.0.0.2:0", hangUp)
			_, port, _ := net.SplitHostPort(outer.Listener.Addr().String())
			_, innerHits := serveOn(t, "127.0.0.1:"+port, hangUp)

			c := newCaller(Options{Allow: tc.allow})
			var mu sync.Mutex
			answers := []string{"127.0.0.2", "127.0.0.1"}
			c.dialer.Resolver = resolver(func() []string {
				mu.Lock()
				defer mu.Unlock()
				first := answers[0]
				answers = answers[1:]
				return []string{first}
			})
			in := map[string]any{"url": "http://rebind.test:" + port + "/?t=s3cret"}
			if _, err := attempt(t, c, in); err != nil {
				t.Fatal(err)
			}
			res, err := attempt(t, c, in)
			if tc.wantInner == 0 {
				f := mustFail(t, err, jobs.BlockedAddress, true)
				if res.Response != nil || strings.Contains(f.Error(), "127.0.0.1") {
					t.Errorf("got %+v and %q", res, f.Error())
				}
			} else if err != nil {
				t.Fatal(err)
			}
			if outerHits.Load() != 1 || innerHits.Load() != tc.wantInner {
				t.Errorf("got %d and %d requests", outerHits.Load(), innerHits.Load())
			}
		})
	}
}

// A blocked address gives the same error whether something listens there or not,
// and whatever stands beside it in the name's answer.
func TestBlockedTellsNothing(t *testing.T) {
	canary, hits := serveOn(t, "127.0.0.1:0", func(http.ResponseWriter, *http.Request) {})
	_, open, _ := net.SplitHostPort(canary.Listener.Addr().String())
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, shut, _ := net.SplitHostPort(l.Addr().String())
	l.Close()

	var texts []string
	for _, port := range []string{open, shut} {
		for _, answer := range [][]string{{"127.0.0.1"}, {"127.0.0.1", "127.0.0.2"}, {"127.0.0.2", "127.0.0.1"}, {"169.254.169.254"}, {"0.0.0.0"}} {
			c := newCaller(Options{Allow: onlyTwo})
			c.dialer.Resolver = resolver(func() []string { return answer })
			_, err := attempt(t, c, map[string]any{"url": "http://inside.test:" + port})
			texts = append(texts, strings.ReplaceAll(mustFail(t, err, jobs.BlockedAddress, true).Error(), port, "PORT"))
		}
	}
	if slices.Sort(texts); len(slices.Compact(texts)) != 1 {
		t.Errorf("the errors differ: %q", slices.Compact(texts))
	}
	c := newCaller(Options{})
	if _, err := attempt(t, c, map[string]any{"url": "http://localhost:" + open}); err == nil {
		t.Error("localhost was called")
	}
	if hits.Load() != 0 {
		t.Errorf("the canary got %d requests", hits.Load())
	}
	c = newCaller(Options{Allow: loopback})
	if _, err := attempt(t, c, map[string]any{"url": canary.URL}); err != nil || hits.Load() != 1 {
		t.Errorf("control: got error %v and %d requests, want 1", err, hits.Load())
	}
}

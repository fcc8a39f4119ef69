package egress

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"testing"
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
		g := New(Options{Allow: allow})
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

// The hub's own listeners are not called, whatever ranges are open.
func TestOwnListeners(t *testing.T) {
	addr := func(text string) net.Addr { return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(text)) }
	here := "127.0.0.1"
	if addrs, _ := net.InterfaceAddrs(); len(addrs) > 0 {
		for _, a := range addrs {
			if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is4() && !p.Addr().IsLoopback() {
				here = p.Addr().String()
			}
		}
	}
	for _, tc := range []struct{ listens, own, others string }{
		{"127.0.0.1:80", "127.0.0.1:80 [::ffff:127.0.0.1]:80 0.0.0.0:80 [::]:80 [64:ff9b::7f00:1]:80 [2002:7f00:1::]:80", "127.0.0.2:80 127.0.0.1:81 [::1]:80"},
		{"[::1]:80", "[::1]:80 [::]:80 0.0.0.0:80", "127.0.0.1:80"},
		{"[::]:80", "127.0.0.1:80 127.9.9.9:80 [::1]:80 0.0.0.0:80 " + here + ":80", "8.8.8.8:80 127.0.0.1:443"},
		{"0.0.0.0:80", "127.0.0.1:80 [::1]:80 " + here + ":80", "192.0.2.1:80"},
		{"192.0.2.7:80", "192.0.2.7:80", "192.0.2.8:80 127.0.0.1:80 0.0.0.0:80"},
	} {
		own := new(Own)
		own.Set(addr("198.51.100.1:1"), addr(tc.listens))
		g := New(Options{Allow: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}, Own: own})
		for text := range strings.FieldsSeq(tc.own) {
			if err := g.check(netip.MustParseAddrPort(text)); err != errOwn {
				t.Errorf("listening on %s: %s gives %v", tc.listens, text, err)
			}
			if u, _ := url.Parse("http://" + text + "/"); u != nil {
				if code, detail := g.Refuses(u); code != "blocked_address" || !strings.Contains(detail, "hub itself") {
					t.Errorf("listening on %s: %s gives %s %s", tc.listens, u, code, detail)
				}
			}
		}
		for text := range strings.FieldsSeq(tc.others) {
			if err := g.check(netip.MustParseAddrPort(text)); err != nil {
				t.Errorf("listening on %s: %s gives %v", tc.listens, text, err)
			}
		}
	}
}

// The operator's upstreams go past the guard, but not to the hub itself.
func TestUnguardedNotToItself(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	own := new(Own)
	dial := Unguarded(own, Outbound{}).DialContext
	conn, err := dial(context.Background(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	own.Set(l.Addr())
	_, port, _ := net.SplitHostPort(l.Addr().String())
	for _, host := range []string{"127.0.0.1", "localhost", "0.0.0.0"} {
		if conn, err := dial(context.Background(), "tcp", net.JoinHostPort(host, port)); err == nil {
			conn.Close()
			t.Errorf("%s was dialled", host)
		} else if host != "localhost" && !errors.Is(err, errOwn) {
			t.Errorf("%s: %v", host, err)
		}
	}
}

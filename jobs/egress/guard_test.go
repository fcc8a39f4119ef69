package egress

import (
	"net/netip"
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
		g := New(allow, nil)
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

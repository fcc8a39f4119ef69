//go:build !unix

package egress

import "net"

// stale can't be told here; net/http notices soon after.
func stale(net.Conn) bool { return false }

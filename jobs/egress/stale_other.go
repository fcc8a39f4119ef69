//go:build !unix

package egress

import "net"

// stale is not known on this system; net/http notices closed connections a little later.
func stale(net.Conn) bool { return false }

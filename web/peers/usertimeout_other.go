//go:build !linux

package peers

import (
	"net"
	"time"
)

// setUserTimeout does nothing: other kernels have limits of their own.
func setUserTimeout(net.Conn, time.Duration) {}

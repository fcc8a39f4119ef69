//go:build !linux

package peers

import (
	"net"
	"time"
)

// boundKernel does nothing: other kernels have bounds of their own.
func boundKernel(net.Conn, time.Duration) {}

//go:build unix

package web

import "syscall"

// attempt is one write to a socket that does not block.
func (w *wire) attempt(fd uintptr) bool {
	for {
		n, err := syscall.Write(int(fd), w.chunk[w.n:])
		switch {
		case err == syscall.EINTR:
			continue
		case err == syscall.EAGAIN:
		case err != nil:
			w.err = err
		default:
			if w.n += n; w.n < len(w.chunk) {
				continue
			}
		}
		return true
	}
}

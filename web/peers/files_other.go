//go:build !unix

package peers

// MaxOpenFiles returns how many files this process may have open.
func MaxOpenFiles() uint64 { return 1 << 20 }

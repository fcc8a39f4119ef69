package peers

// ConnectionLimits returns, for a process that may open so many files, how many connections to
// accept, and how many of these to reserve for clients on this machine. It leaves a quarter of
// the files, at least 64, for the store, upstreams and logs.
func ConnectionLimits(files uint64) (total, reserve int) {
	files = min(files, 1<<20)
	total = int(files) - int(max(files/4, 64))
	total = max(total, 16)
	return total, min(max(total/16, 4), 64)
}

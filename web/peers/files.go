package peers

// For a process that may open so many files, Room is how many connections it takes, and
// how many of these are kept for this machine: a quarter, and 64 at least, is left for the
// store, upstreams and logs.
func ConnectionLimits(files uint64) (total, reserve int) {
	files = min(files, 1<<20)
	total = int(files) - int(max(files/4, 64))
	total = max(total, 16)
	return total, min(max(total/16, 4), 64)
}

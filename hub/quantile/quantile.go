// Package quantile finds quantiles, of a histogram or of single values.
package quantile

import "math"

// Step returns which step of a histogram the quantile q is in, and which part of that step's
// count is up to it. The index is -1 if nothing was counted.
func Step[N int64 | uint64 | uint32](counts []N, q float64) (index int, part float64) {
	var all float64
	for _, n := range counts {
		all += float64(n)
	}
	rank := q * all
	for i, n := range counts {
		if n > 0 && rank <= float64(n) {
			return i, rank / float64(n)
		}
		rank -= float64(n)
	}
	return -1, 0
}

// Of returns the quantile q of sorted values: the least of them that so many are not above.
// There must be at least one.
func Of[T any](sorted []T, q float64) T {
	return sorted[max(0, int(math.Ceil(q*float64(len(sorted))))-1)]
}

package usage

import (
	"math/bits"
	"time"

	"jobhub/hub/quantile"
)

// Durations are counted in buckets: one for each µs up to 63 µs, then 32 for each doubling. So
// the middle of a bucket is at most 1/64 from each duration in it, or half a µs.
const (
	bucketCount = 1024 // the last one ends at 2³⁶ µs, 19 hours, and also holds what is longer
	pageSize    = 32
)

// bucketOf returns the bucket of a duration.
func bucketOf(d time.Duration) int {
	us := uint64(max(d, 0) / time.Microsecond)
	if us < 32 {
		return int(us)
	}
	high := bits.Len64(us) - 1
	return min(32*(high-4)+int(us>>(high-5)&31), bucketCount-1)
}

// middleOf returns the middle of a bucket.
func middleOf(bucket int) time.Duration {
	if bucket < 32 {
		return time.Duration(bucket)*time.Microsecond + time.Microsecond/2
	}
	shift := bucket/32 - 1
	low := time.Duration(32+bucket%32) << shift
	return low*time.Microsecond + time.Microsecond<<shift/2
}

// bin is the count of one bucket: the bucket in the upper 16 bits, the count in the others.
type bin uint64

const (
	countBits = 48
	maxCount  = 1<<countBits - 1
)

func newBin(bucket int, n uint64) bin { return bin(bucket)<<countBits | bin(min(n, maxCount)) }
func (b bin) bucket() int             { return int(b >> countBits) }
func (b bin) count() uint64           { return uint64(b & maxCount) }

// bins is a histogram of few values: the buckets that hold some, in order.
type bins []bin

// add counts n durations of a bucket.
func (b bins) add(bucket int, n uint64) bins {
	low, high := 0, len(b)
	for low < high {
		if mid := (low + high) / 2; b[mid].bucket() < bucket {
			low = mid + 1
		} else {
			high = mid
		}
	}
	if low < len(b) && b[low].bucket() == bucket {
		b[low] = newBin(bucket, b[low].count()+n)
		return b
	}
	b = append(b, 0)
	copy(b[low+1:], b[low:])
	b[low] = newBin(bucket, n)
	return b
}

// histogram is a histogram of many values. Most durations of a group lie in a few doublings,
// so that most pages are not needed.
type histogram struct {
	pages [bucketCount / pageSize]*[pageSize]uint64
}

func (h *histogram) add(all bins) {
	for _, b := range all {
		at := b.bucket() % bucketCount // never larger; so the compiler knows, too
		page := h.pages[at/pageSize]
		if page == nil {
			page = new([pageSize]uint64)
			h.pages[at/pageSize] = page
		}
		page[at%pageSize] += b.count()
	}
}

// bins returns the same histogram as bins.
func (h *histogram) bins() (all bins) {
	for i, page := range h.pages {
		if page == nil {
			continue
		}
		for j, n := range page {
			if n > 0 {
				all = append(all, newBin(i*pageSize+j, n))
			}
		}
	}
	return all
}

// summary returns how many durations there are and some of their quantiles.
func (h *histogram) summary() (count uint64, p50, p95, p99 time.Duration) {
	first, last := len(h.pages), -1
	for i, page := range h.pages {
		if page != nil {
			first, last = min(first, i), i
		}
	}
	var dense [bucketCount]uint64
	for i := first; i <= last; i++ {
		if h.pages[i] != nil {
			copy(dense[i*pageSize:], h.pages[i][:])
			for _, n := range h.pages[i] {
				count += n
			}
		}
	}
	if count == 0 {
		return 0, 0, 0, 0
	}
	base := first * pageSize
	of := func(q float64) time.Duration {
		i, _ := quantile.Step(dense[base:(last+1)*pageSize], q)
		return middleOf(base + max(i, 0))
	}
	return count, of(.5), of(.95), of(.99)
}

package usage

import (
	"math"
	"time"

	"jobhub/hub/quantile"
)

// Durations are counted in buckets whose bounds grow by a factor, as in DDSketch (Masson, Rim,
// Lee, 2019): each duration in a bucket is within maxError of its middle. Bucket 0 holds what is
// shorter than a µs.
const (
	bucketCount = 640 // the last one begins at 29 hours, and also holds what is longer
	pageSize    = 32
	maxError    = .0199
)

var logFactor = math.Log((1 + maxError) / (1 - maxError))

// bucketOf returns the bucket of a duration.
func bucketOf(d time.Duration) int {
	if d < time.Microsecond {
		return 0
	}
	return min(1+int(math.Log(float64(d)/1000)/logFactor), bucketCount-1)
}

// middles are the middles of the buckets.
var middles = func() (all [bucketCount]time.Duration) {
	all[0] = time.Microsecond / 2
	for i := 1; i < bucketCount; i++ {
		all[i] = time.Duration(math.Round(1000 * math.Exp(float64(i-1)*logFactor) * (1 + maxError)))
	}
	return all
}()

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
		return middles[base+max(i, 0)]
	}
	return count, of(.5), of(.95), of(.99)
}

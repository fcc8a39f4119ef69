package hub

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// Resolution is how finely, and for how long, things are counted.
type Resolution uint8

const (
	Fine     Resolution = iota // 5 s each, for 15 minutes
	Minutes                    // a minute each, for an hour
	Quarters                   // 15 minutes each, for a day
	resolutions
)

// Width is the time that one bucket spans.
func (r Resolution) Width() time.Duration {
	return [...]time.Duration{BucketWidth, time.Minute, 15 * time.Minute}[r]
}

// Buckets is how many of them are kept.
func (r Resolution) Buckets() int { return [...]int{Buckets, 60, 96}[r] }

// seriesSet is a ring of buckets for each resolution.
type seriesSet[T any] [resolutions]timeSeries[T]

// timeSeries keeps the newest buckets; newest is the number of the last one, counted from
// 1970.
type timeSeries[T any] struct {
	of     Resolution
	newest int64
	list   []T
}

// newSeriesSet returns empty series that begin at a time.
func newSeriesSet[T any](at time.Time) *seriesSet[T] {
	var all seriesSet[T]
	for r := range resolutions {
		all[r] = *newTimeSeries[T](at, r)
	}
	return &all
}

func newTimeSeries[T any](at time.Time, r Resolution) *timeSeries[T] {
	return &timeSeries[T]{r, bucketNumber(at, r), make([]T, r.Buckets())}
}

// bucketNumber is the number of the bucket into which a time falls.
func bucketNumber(t time.Time, r Resolution) int64 { return t.UnixMilli() / r.Width().Milliseconds() }

// update calls count with the bucket of every resolution for a time; a time before the newest
// bucket counts in that.
func (all *seriesSet[T]) update(t time.Time, count func(*T)) {
	for i := range all {
		r := &all[i]
		r.advance(t)
		count(r.nthNewest(0))
	}
}

// lastActive orders series by their last change.
func (all *seriesSet[T]) lastActive() int64 { return all[Fine].newest }
func (r *timeSeries[T]) lastActive() int64  { return r.newest }

// evictQuietest deletes the eighth of the entries that has been inactive for longest, if
// there are already most entries. Several at once, because finding them is expensive.
func evictQuietest[K comparable, V any](all map[K]V, most int, quietSince func(V) int64) (forgot bool) {
	if len(all) < most {
		return false
	}
	quietest := slices.SortedFunc(maps.Keys(all), func(a, b K) int { return cmp.Compare(quietSince(all[a]), quietSince(all[b])) })
	for _, k := range quietest[:max(1, len(all)/8)] {
		delete(all, k)
	}
	return true
}

// advance adds empty buckets up to a time.
func (r *timeSeries[T]) advance(t time.Time) {
	now, kept := bucketNumber(t, r.of), int64(len(r.list))
	r.newest = max(r.newest, now-kept)
	for r.newest < now {
		r.newest++
		clear(r.list[r.newest%kept : r.newest%kept+1])
	}
}

// asOf is a copy of the series, advanced to now. The series itself does not change, because
// its newest bucket says when it was last active.
func (r *timeSeries[T]) asOf(now time.Time) *timeSeries[T] {
	out := &timeSeries[T]{r.of, r.newest, slices.Clone(r.list)}
	out.advance(now)
	return out
}

// nthNewest is the bucket n steps before the newest.
func (r *timeSeries[T]) nthNewest(n int) *T { return &r.list[(r.newest-int64(n))%int64(len(r.list))] }

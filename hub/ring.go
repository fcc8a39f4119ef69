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

// rings is a ring of buckets for each resolution.
type rings[T any] [resolutions]ring[T]

// ring keeps the newest buckets; newest is the number of the last one since 1970.
type ring[T any] struct {
	of      Resolution
	newest  int64
	buckets []T
}

// newRings are empty rings that begin at a moment.
func newRings[T any](at time.Time) *rings[T] {
	var all rings[T]
	for r := range resolutions {
		all[r] = *newRing[T](at, r)
	}
	return &all
}

func newRing[T any](at time.Time, r Resolution) *ring[T] {
	return &ring[T]{r, number(at, r), make([]T, r.Buckets())}
}

// number is that of the bucket into which a moment falls.
func number(t time.Time, r Resolution) int64 { return t.UnixMilli() / r.Width().Milliseconds() }

// each hands out the bucket of every resolution for a moment; what is older than the
// newest bucket belongs to that.
func (all *rings[T]) each(t time.Time, count func(*T)) {
	for i := range all {
		r := &all[i]
		r.roll(t)
		count(r.back(0))
	}
}

// quietSince tells rings that were quiet for longer from others.
func (all *rings[T]) quietSince() int64 { return all[Fine].newest }
func (r *ring[T]) quietSince() int64    { return r.newest }

// makeRoom lets the eighth go that has been quiet for longest, if there are as many as may
// be: looking for them costs more than one is worth.
func makeRoom[K comparable, V any](all map[K]V, most int, quietSince func(V) int64) (forgot bool) {
	if len(all) < most {
		return false
	}
	quietest := slices.SortedFunc(maps.Keys(all), func(a, b K) int { return cmp.Compare(quietSince(all[a]), quietSince(all[b])) })
	for _, k := range quietest[:max(1, len(all)/8)] {
		delete(all, k)
	}
	return true
}

// roll empties the buckets between the newest and now.
func (r *ring[T]) roll(t time.Time) {
	now, kept := number(t, r.of), int64(len(r.buckets))
	r.newest = max(r.newest, now-kept)
	for r.newest < now {
		r.newest++
		clear(r.buckets[r.newest%kept : r.newest%kept+1])
	}
}

// at is the ring as of now. The ring itself is left as it is, since its newest bucket tells
// how long it has been quiet.
func (r *ring[T]) at(now time.Time) *ring[T] {
	out := &ring[T]{r.of, r.newest, slices.Clone(r.buckets)}
	out.roll(now)
	return out
}

// back is the bucket n before the newest.
func (r *ring[T]) back(n int) *T { return &r.buckets[(r.newest-int64(n))%int64(len(r.buckets))] }

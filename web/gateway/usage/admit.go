package usage

import (
	"strings"
	"sync"
	"unicode/utf8"
)

// Other stands for the consumers, and if these are not enough also for the other words, of
// calls that are beyond Options.MaxSeries.
const Other = "(other)"

// maxWord is the largest size of a word in bytes; of a longer one the rest is cut.
const maxWord = 200

// admission decides which series of an hour are counted by themselves. A tenant may have four
// times as many as are then free: one tenant alone gets 4/5 of all, two get 4/9 each, and some
// are always free for a new tenant (the dynamic threshold of Choudhury and Hahne, 1998).
type admission struct {
	mu    sync.Mutex // protects the fields below
	max   int
	hours [2]admittedHour // by the last bit of the hour: shards meet a new hour one after the other
}

// admittedHour has the series of one hour.
type admittedHour struct {
	hour   int64
	keys   map[key]key // the values have strings of their own
	series share       // of keys with their consumer
	others share       // of keys whose consumer is Other
}

// share divides max places among tenants.
type share struct {
	max, taken int
	byTenant   map[string]int
}

// take takes a place for a tenant, if it may have one.
func (s *share) take(tenant string) bool {
	if s.byTenant[tenant] >= 4*(s.max-s.taken) {
		return false
	}
	s.taken++
	s.byTenant[tenant]++
	return true
}

// admit returns the key under which a series is counted in an hour.
func (a *admission) admit(hour int64, k key) key {
	a.mu.Lock()
	defer a.mu.Unlock()
	h := a.hourLocked(hour)
	if own, known := h.keys[k]; known {
		return own
	}
	k = k.clean()
	if own, known := h.keys[k]; known {
		return own
	}
	if !h.series.take(k.tenant) {
		k.consumer = Other
		if own, known := h.keys[k]; known {
			return own
		}
		if !h.others.take(k.tenant) { // one for each status, which are few
			k.series = series{Other, Other, Other, Other, Other, k.status}
		}
	}
	return h.keep(k)
}

// seed admits series that are counted already.
func (a *admission) seed(hour int64, tenant string, t table) {
	a.mu.Lock()
	defer a.mu.Unlock()
	h := a.hourLocked(hour)
	for s := range t {
		k := key{tenant, s}
		if _, known := h.keys[k]; known {
			continue
		}
		of := &h.series
		if s.consumer == Other {
			of = &h.others
		}
		of.taken++
		of.byTenant[tenant]++
		h.keys[k] = k
	}
}

func (a *admission) hourLocked(hour int64) *admittedHour {
	h := &a.hours[hour&1]
	if h.keys == nil || h.hour != hour {
		*h = admittedHour{hour, map[key]key{}, share{a.max, 0, map[string]int{}}, share{max(a.max/4, 1), 0, map[string]int{}}}
	}
	return h
}

// keep keeps a key, which may be part of a large text, in memory of its own.
func (h *admittedHour) keep(k key) key {
	if own, known := h.keys[k]; known {
		return own
	}
	own := k
	for _, word := range own.words() {
		*word = strings.Clone(*word)
	}
	h.keys[own] = own
	return own
}

func (k *key) words() []*string {
	return []*string{&k.tenant, &k.consumer, &k.api, &k.version, &k.route, &k.model}
}

// clean cuts words that are too long, and replaces what is not UTF-8.
func (k key) clean() key {
	for _, word := range k.words()[1:] {
		if len(*word) > maxWord {
			end := maxWord
			for end > maxWord-utf8.UTFMax && !utf8.RuneStart((*word)[end]) {
				end--
			}
			*word = (*word)[:end]
		}
		*word = strings.ToValidUTF8(*word, "\ufffd")
	}
	return k
}

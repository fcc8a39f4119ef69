package engine

import (
	"time"

	"jobhub/jobs"
)

// tokenBucket is the token bucket of a queue with a rate: it holds the starts of one period
// at most, and they come back evenly.
type tokenBucket struct {
	rate   jobs.Rate
	tokens float64
	at     time.Time
	empty  bool // a claim took the last token, so that a job may wait for the next
}

func (k *tokenBucket) refill(now time.Time) {
	if now.After(k.at) {
		k.tokens = min(float64(k.rate.N), k.tokens+float64(k.rate.N)*float64(now.Sub(k.at))/float64(k.rate.Per))
		k.at = now
	}
}

// next is when there is a whole token again.
func (k *tokenBucket) next() time.Time {
	missing := max(0, 1-k.tokens)
	return k.at.Add(time.Duration(missing*float64(k.rate.Per)/float64(k.rate.N)) + time.Millisecond)
}

// startsAllowedLocked is how many jobs may start now, for each queue with a rate.
func (cs *claims) startsAllowedLocked(now time.Time) map[jobs.QueueName]int {
	if len(cs.buckets) == 0 {
		return nil
	}
	allow := make(map[jobs.QueueName]int, len(cs.buckets))
	for name, k := range cs.buckets {
		k.refill(now)
		allow[name] = int(k.tokens)
	}
	return allow
}

// spendLocked removes a token for each started job. If jobs had to wait for tokens,
// upkeep runs again when there is one.
func (cs *claims) spendLocked(b *jobs.Batch, limited bool) {
	for _, c := range b.Claims {
		for _, j := range c.Jobs {
			if k := cs.buckets[jobs.QueueName{Tenant: j.Tenant, Name: j.Queue}]; k != nil {
				k.tokens--
			}
		}
	}
	if limited {
		for _, k := range cs.buckets {
			if k.tokens < 1 {
				k.empty = true
				cs.upkeep.setBy(k.next())
			}
		}
	}
}

// setRate sets the rate of a queue; none if its N is 0.
func (cs *claims) setRate(name jobs.QueueName, rate jobs.Rate) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	old := cs.buckets[name]
	switch {
	case rate.N == 0:
		delete(cs.buckets, name)
	case old == nil || old.rate != rate:
		cs.buckets[name] = &tokenBucket{rate: rate, tokens: float64(rate.N), at: time.Now()}
	}
}

// refill wakes the claimers if there are tokens for jobs that wait for one, and returns when
// it has to run again; the zero time for never.
func (cs *claims) refill(now time.Time) (next time.Time) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	for _, k := range cs.buckets {
		if !k.empty {
			continue
		}
		if k.refill(now); k.tokens < 1 {
			next = earlierTime(next, k.next())
			continue
		}
		k.empty = false
		cs.retryLimitedLocked()
		cs.commits.Trigger(true)
	}
	return next
}

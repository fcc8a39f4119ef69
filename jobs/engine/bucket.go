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
func (e *Engine) startsAllowedLocked(now time.Time) map[jobs.QueueName]int {
	if len(e.buckets) == 0 {
		return nil
	}
	allow := make(map[jobs.QueueName]int, len(e.buckets))
	for name, k := range e.buckets {
		k.refill(now)
		allow[name] = int(k.tokens)
	}
	return allow
}

// spendTokensLocked removes a token for each started job. If jobs had to wait for tokens,
// upkeep runs again when there is one.
func (e *Engine) spendTokensLocked(b *jobs.Batch, limited bool) {
	for _, c := range b.Claims {
		for _, j := range c.Jobs {
			if k := e.buckets[jobs.QueueName{Tenant: j.Tenant, Name: j.Queue}]; k != nil {
				k.tokens--
			}
		}
	}
	if limited {
		for _, k := range e.buckets {
			if k.tokens < 1 {
				k.empty = true
				e.upkeepAlarm.setBy(k.next())
			}
		}
	}
}

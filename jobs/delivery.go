package jobs

import (
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// This file makes deliveries of events:
//
//	committer → addDeliveries → Store.Commit → Change.Follow → deliveries

// addDeliveries lets the changes and claims of a batch insert the deliveries of their events.
func (e *Engine) addDeliveries(b *Batch) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, ok := e.handlers[KindWebhook]; !ok {
		return
	}
	for _, c := range b.Changes {
		t := c.Event.Type
		if t != 0 && t.Lasting() && len(e.callbacksForLocked(&c.Job, t)) > 0 {
			before := c.Follow
			c.Follow = func(job *Job) (list []*Change) {
				if before != nil {
					list = before(job)
				}
				return append(list, e.deliveries(job, t, b.Now)...)
			}
		}
	}
	for _, c := range b.Claims {
		c.Follow = func(job *Job) []*Change { return e.deliveries(job, JobStarted, b.Now) }
	}
}

// callbacksForLocked are the callbacks that get an event of a job.
func (e *Engine) callbacksForLocked(job *Job, t EventType) (list []Callback) {
	if job.Kind == KindWebhook {
		return nil
	}
	for _, c := range job.Callbacks {
		if c.wants(t) {
			list = append(list, c)
		}
	}
	for _, c := range e.settings[QueueName{job.Tenant, job.Queue}].Callbacks {
		if c.wants(t) && !slices.ContainsFunc(job.Callbacks, func(own Callback) bool { return own.URL == c.URL }) {
			c.Queue, c.Secrets = job.Queue, nil // secrets of a queue are looked up when the delivery is sent
			list = append(list, c)
		}
	}
	return list
}

// deliveries are the insertions of the deliveries of one event; job is as it is after the
// event.
func (e *Engine) deliveries(job *Job, t EventType, at time.Time) (list []*Change) {
	e.mu.Lock()
	callbacks := e.callbacksForLocked(job, t)
	e.mu.Unlock()
	if len(callbacks) == 0 {
		return nil
	}
	var body Value
	if e.catchPanic("the body of a callback", job.ID, func() { body = callbackBody(job, t, at, e.epoch) }) != nil {
		short := *job
		short.Input, short.Result, short.Response, short.Progress, short.Error = nil, nil, nil, nil, nil
		body = appendBody(&short, t, at, e.epoch, true)
	}
	trace, _, _ := strings.Cut(job.Trace(), " ")
	for _, c := range callbacks {
		id := uuid.Must(uuid.NewV7())
		input, hidden := SplitCredentials(appendDelivery(nil, "msg_"+id.String(), &c, trace, body), e.maskedNames())
		delivery := accept(Job{ID: id, Tenant: job.Tenant, Kind: KindWebhook, Queue: CallbackQueue, State: Queued, FairKey: hostOf(c.URL), Tags: []string{t.String()},
			Input: input, Credentials: hidden, Parent: job.ID, Via: Via{Trace: trace}, Callbacks: []Callback{c},
			MaxAttempts: len(CallbackRetries) + 1, Backoff: Backoff{Exponential, CallbackRetries[0], CallbackRetries[len(CallbackRetries)-1]},
			Timeout: deliveryTimeout, Retention: DefaultRetention, CreatedAt: at})
		delivery.Event.truncate()
		list = append(list, delivery)
	}
	return list
}

// hostOf is the host of a URL: the fair key of deliveries, so that receivers take turns.
func hostOf(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return ""
	}
	return u.Host[:min(len(u.Host), maxTag)]
}

// followWithDeliveries is Change.Follow of a change that is added to a transaction by another
// change: addDeliveries does not see such changes.
func (e *Engine) followWithDeliveries(t EventType, at time.Time) func(*Job) []*Change {
	return func(job *Job) []*Change {
		if _, ok := e.handler(KindWebhook); !ok {
			return nil
		}
		return e.deliveries(job, t, at)
	}
}

package engine

import (
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"jobhub/jobs"
	"jobhub/jobs/engine/commit"
	"jobhub/jobs/engine/transition"
)

// deliveries makes the deliveries of events to callbacks:
//
//	Committer → add → Store.Commit → Change.Follow → of
type deliveries struct {
	store    jobs.Store
	commits  *commit.Committer
	queues   *Queues
	attempts *attempts
	log      *slog.Logger
	epoch    string
	masked   *maskedNames
}

// add lets the changes and claims of a batch insert the deliveries of their events.
func (d *deliveries) add(b *jobs.Batch) {
	if _, ok := d.attempts.handler(jobs.KindWebhook); !ok {
		return
	}
	for _, c := range b.Changes {
		t := c.Event.Type
		if t != 0 && t.Lasting() && len(d.callbacksFor(&c.Job, t)) > 0 {
			before := c.Follow
			c.Follow = func(job *jobs.Job) (list []*jobs.Change) {
				if before != nil {
					list = before(job)
				}
				return append(list, d.of(job, t, b.Now)...)
			}
		}
	}
	for _, c := range b.Claims {
		c.Follow = func(job *jobs.Job) []*jobs.Change { return d.of(job, jobs.JobStarted, b.Now) }
	}
}

// callbacksFor are the callbacks that get an event of a job.
func (d *deliveries) callbacksFor(job *jobs.Job, t jobs.EventType) (list []jobs.Callback) {
	if job.Kind == jobs.KindWebhook {
		return nil
	}
	for _, c := range job.Callbacks {
		if c.Wants(t) {
			list = append(list, c)
		}
	}
	for _, c := range d.queues.Settings(job.Tenant, job.Queue).Callbacks {
		if c.Wants(t) && !slices.ContainsFunc(job.Callbacks, func(own jobs.Callback) bool { return own.URL == c.URL }) {
			c.Queue, c.Secrets = job.Queue, nil // secrets of a queue are looked up when the delivery is sent
			list = append(list, c)
		}
	}
	return list
}

// of returns the insertions of the deliveries of one event; job is as it is after the
// event.
func (d *deliveries) of(job *jobs.Job, t jobs.EventType, at time.Time) (list []*jobs.Change) {
	callbacks := d.callbacksFor(job, t)
	if len(callbacks) == 0 {
		return nil
	}
	var body jobs.Value
	if catchPanic(d.log, "the body of a callback", job.ID, func() { body = callbackBody(job, t, at, d.epoch) }) != nil {
		short := *job
		short.Input, short.Result, short.Response, short.Progress, short.Error = nil, nil, nil, nil, nil
		body = appendBody(&short, t, at, d.epoch, true)
	}
	trace, _, _ := strings.Cut(job.Trace(), " ")
	for _, c := range callbacks {
		id := uuid.Must(uuid.NewV7())
		input, hidden := jobs.SplitCredentials(appendDelivery(nil, "msg_"+id.String(), &c, trace, body), d.masked.get())
		delivery := transition.Accept(jobs.Job{ID: id, Tenant: job.Tenant, Kind: jobs.KindWebhook, Queue: jobs.CallbackQueue, State: jobs.Queued, FairKey: hostOf(c.URL), Tags: []string{t.String()},
			Input: input, Credentials: hidden, Parent: job.ID, Via: jobs.Via{Trace: trace}, Callbacks: []jobs.Callback{c},
			MaxAttempts: len(jobs.CallbackRetries) + 1, Backoff: jobs.Backoff{Kind: jobs.Exponential, Initial: jobs.CallbackRetries[0], Max: jobs.CallbackRetries[len(jobs.CallbackRetries)-1]},
			Timeout: jobs.DeliveryTimeout, Retention: jobs.DefaultRetention, CreatedAt: at})
		delivery.Event.Truncate()
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
	return u.Host[:min(len(u.Host), jobs.MaxTag)]
}

// follow is Change.Follow of a change that is added to a transaction by another
// change: add does not see such changes.
func (d *deliveries) follow(t jobs.EventType, at time.Time) func(*jobs.Job) []*jobs.Change {
	return func(job *jobs.Job) []*jobs.Change {
		if _, ok := d.attempts.handler(jobs.KindWebhook); !ok {
			return nil
		}
		return d.of(job, t, at)
	}
}

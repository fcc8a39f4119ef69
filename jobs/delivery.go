package jobs

import (
	"bytes"
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"
)

// This file makes deliveries of events, and tells their handler where they go:
//
//	committer → follow → Store.Commit → Change.Follow → deliveries

// follow makes the deliveries that a batch causes part of it.
func (e *Engine) follow(b *Batch) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, ok := e.handlers[KindWebhook]; !ok {
		return
	}
	for _, c := range b.Changes {
		t := c.Event.Type
		if t != 0 && t.Lasting() && len(e.toldLocked(&c.Job, t)) > 0 {
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

// toldLocked are the callbacks to which an event of a job goes.
func (e *Engine) toldLocked(job *Job, t EventType) (list []Callback) {
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
			c.Queue, c.Secrets = job.Queue, nil // those are looked up when it is sent
			list = append(list, c)
		}
	}
	return list
}

// deliveries are the insertions that tell of an event of a job, as the job is with it.
func (e *Engine) deliveries(job *Job, t EventType, at time.Time) (list []*Change) {
	e.mu.Lock()
	told := e.toldLocked(job, t)
	e.mu.Unlock()
	if len(told) == 0 {
		return nil
	}
	var body Value
	if e.guarded("the body of a callback", job.ID, func() { body = callbackBody(job, t, at, e.epoch) }) != nil {
		short := *job
		short.Input, short.Result, short.Response, short.Progress, short.Error = nil, nil, nil, nil, nil
		body = appendBody(&short, t, at, e.epoch, true)
	}
	trace, _, _ := strings.Cut(job.Trace(), " ")
	for _, c := range told {
		id := uuid.Must(uuid.NewV7())
		input, hidden := SplitCredentials(appendDelivery(nil, "msg_"+id.String(), &c, trace, body), e.maskedNames())
		delivery := accept(Job{ID: id, Tenant: job.Tenant, Kind: KindWebhook, Queue: CallbackQueue, State: Queued, FairKey: hostOf(c.URL), Tags: []string{t.String()},
			Input: input, Credentials: hidden, Parent: job.ID, Via: Via{Trace: trace}, Callbacks: []Callback{c},
			MaxAttempts: len(CallbackRetries) + 1, Backoff: Backoff{Exponential, CallbackRetries[0], CallbackRetries[len(CallbackRetries)-1]},
			Timeout: deliveryTimeout, Retention: DefaultRetention, CreatedAt: at})
		delivery.Event.bound()
		list = append(list, delivery)
	}
	return list
}

// appendDelivery appends the input of a delivery.
func appendDelivery(b []byte, id string, c *Callback, trace string, body Value) Value {
	b = appendString(append(b, `{"id":`...), id)
	b = appendString(append(b, `,"url":`...), c.URL)
	if trace != "" {
		b = appendString(append(b, `,"traceparent":`...), trace)
	}
	return append(append(append(b, `,"body":`...), body...), '}')
}

// callbackBody is what a delivery sends: {"type","timestamp","data"}, data being the job
// document. Over MaxEventData its input and then its result are null, and
// "truncated":true says that they are to be fetched.
func callbackBody(job *Job, t EventType, at time.Time, epoch string) Value {
	write := func(j *Job, truncated bool) Value { return appendBody(j, t, at, epoch, truncated) }
	cut := *job
	if len(cut.Input) > MaxEventData { // do not write what is not kept
		cut.Input = nil
	}
	if len(cut.Result) > MaxEventData || cut.Response != nil && len(cut.Response.Body) > MaxEventData {
		cut.Result, cut.Response = nil, nil
	}
	whole := (cut.Input != nil) == (job.Input != nil) && (cut.Result != nil) == (job.Result != nil) && (cut.Response != nil) == (job.Response != nil)
	b := write(&cut, !whole)
	if len(b) > MaxEventData {
		cut.Input = nil
		b = write(&cut, true)
	}
	if len(b) > MaxEventData {
		cut.Result, cut.Response = nil, nil
		b = write(&cut, true)
	}
	return b
}

func appendBody(j *Job, t EventType, at time.Time, epoch string, truncated bool) Value {
	b := appendString(append(make([]byte, 0, 1024+len(j.Input)+len(j.Result)), `{"type":`...), t.String())
	b = appendTime(append(b, `,"timestamp":`...), at)
	b = j.AppendMembers(append(b, `,"data":{`...), Position{epoch, j.Seq})
	if truncated {
		b = append(b, `,"truncated":true`...)
	}
	return append(AppendLinks(append(b, `,"links":`...), j.ID), "}}"...)
}

// Trace is the W3C trace context that a job belongs to, as in Via: a traceparent among the
// headers of its input goes before that of its submission, as it does when it is sent.
func (job *Job) Trace() string {
	if !bytes.Contains(job.Input, []byte("traceparent")) && !bytes.Contains(job.Input, []byte("Traceparent")) {
		return job.Via.Trace
	}
	var in struct {
		Headers map[string]Value `json:"headers"`
	}
	if json.Unmarshal(job.Input, &in) != nil {
		return job.Via.Trace
	}
	for name, value := range in.Headers {
		var text string
		if strings.EqualFold(name, "traceparent") && json.Unmarshal(value, &text) == nil && ValidTraceparent(text) {
			return text
		}
	}
	return job.Via.Trace
}

// hostOf is whose turn a delivery takes among the others.
func hostOf(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return ""
	}
	return u.Host[:min(len(u.Host), maxTag)]
}

// Callback is where this attempt, at a delivery, goes as of now. It is disabled if its
// receiver is gone or its queue no longer has it, unless somebody asked for this delivery
// by retrying an earlier one.
func (r *Run) Callback(ctx context.Context) (Callback, error) {
	if len(r.job.Callbacks) == 0 {
		return Callback{Disabled: true}, nil
	}
	c := r.job.Callbacks[0]
	again := r.job.RetryOf != (ID{})
	if c.Queue != "" {
		list := r.engine.Settings(r.job.Tenant, c.Queue).Callbacks
		i := slices.IndexFunc(list, func(now Callback) bool { return now.URL == c.URL })
		if i < 0 {
			c.Disabled = true
			return c, nil
		}
		c.Secrets, c.Disabled = list[i].Secrets, list[i].Disabled && !again
		return c, nil
	}
	if again || !c.often() {
		return c, nil
	}
	parent, _, err := r.engine.store.Job(ctx, r.job.Tenant, r.job.Parent)
	if errors.Is(err, ErrNotFound) || errors.Is(err, ErrGone) {
		return c, nil
	}
	if i := parent.callback(c.URL); err == nil && i >= 0 {
		c.Disabled = parent.Callbacks[i].Disabled
	}
	return c, err
}

func (j *Job) callback(url string) int {
	return slices.IndexFunc(j.Callbacks, func(c Callback) bool { return c.URL == url })
}

// EnableCallback notes whether the receiver of this delivery wants further ones.
func (r *Run) EnableCallback(ctx context.Context, on bool) error {
	if len(r.job.Callbacks) == 0 {
		return nil
	}
	c := r.job.Callbacks[0]
	if c.Queue == "" {
		return r.engine.enableCallback(ctx, r.job.Tenant, r.job.Parent, c.URL, on)
	}
	return r.engine.Configure(ctx, r.job.Tenant, c.Queue, func(s *QueueSettings) error {
		for i := range s.Callbacks {
			if s.Callbacks[i].URL == c.URL {
				s.Callbacks[i].enable(on)
			}
		}
		return nil
	})
}

// enableCallback changes a callback of a job, whatever else becomes of the job meanwhile.
func (e *Engine) enableCallback(ctx context.Context, tenant string, id ID, url string, on bool) error {
	for {
		job, _, err := e.store.Job(ctx, tenant, id)
		if errors.Is(err, ErrNotFound) || errors.Is(err, ErrGone) {
			return nil // there will be no further ones
		}
		if err != nil {
			return err
		}
		i := job.callback(url)
		if i < 0 || job.Callbacks[i].Disabled == !on {
			return nil
		}
		job.Callbacks = slices.Clone(job.Callbacks)
		job.Callbacks[i].enable(on)
		err = e.commits.keep(ctx, newOp(&Change{Job: job, If: Guard{State: job.State, Lease: job.Lease}, Fields: FieldCallbacks}))
		if !errors.Is(err, ErrConflict) {
			return err
		}
	}
}

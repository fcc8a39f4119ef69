package live

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"net/http"
	"time"

	"jobhub/jobs"
	"jobhub/web/auth"
	"jobhub/web/rest"
)

// This file handles the messages of a client, one after the other, with the connection
// locked.

// handle serves the messages of one frame, with the connection locked: an answer comes
// before the events that it causes.
func (c *socket) handle(ctx context.Context, frame []byte) error {
	c.mu.Lock()
	defer c.unlock()
	defer c.describe()
	for line := range bytes.SplitSeq(frame, []byte{'\n'}) {
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		if c.closing {
			return errGone
		}
		if code, reason := c.lapsed(time.Now()); code != 0 {
			c.closeLocked(code, reason)
			return errGone
		}
		m, err := decodeMessage(line)
		if err != nil && c.waiting {
			c.closeLocked(statusUnknown, "say hello first")
			return errGone
		}
		if err == nil {
			err = c.serve(ctx, m)
		}
		if errors.Is(err, errGone) || ctx.Err() != nil {
			return errGone
		}
		if errors.Is(err, errGapNotSent) {
			c.broken(err)
			return errGone
		}
		if err != nil {
			c.refuse(m, err)
		}
		if c.replies.full() {
			if err := c.replies.flush(); err != nil {
				return err
			}
		}
	}
	return c.replies.flush()
}

// say adds one object to the answer to a message.
func (c *socket) say(object []byte) { c.replies.line(object, nowhere) }

// acknowledge answers a message that has no other answer.
func (c *socket) acknowledge(m message) {
	if m.ID != "" {
		c.say(appendReply(nil, m.ID, []byte("{}")))
	}
}

// refuse answers with the reason why a message was not handled.
func (c *socket) refuse(m message, err error) {
	if rest.ProblemOf(err).Status >= 500 {
		c.Logger.Error("serving a message", "type", m.Type, "error", err)
	}
	c.say(appendError(nil, m.ID, err))
}

// serve handles one message. An error of the client is answered and does not end the connection.
func (c *socket) serve(ctx context.Context, m message) error {
	if c.waiting && m.Type != "hello" { // nothing is sent to a client without credentials
		c.closeLocked(statusUnknown, "say hello first")
		return errGone
	}
	if m.ID == "" && m.Type != "ping" && m.Type != "hello" {
		return jobs.NewProblem(jobs.BadMessage, "Malformed message", "A message of type %q needs an id.", m.Type)
	}
	switch m.Type {
	case "subscribe":
		if m.View != nil {
			return c.watch(ctx, m)
		}
		return c.open(ctx, m, false)
	case "unsubscribe":
		if m.ID == c.viewID && c.viewer != nil {
			c.unwatch()
		} else if !c.cursor.Unsubscribe(m.ID) {
			return jobs.NewProblem(jobs.NotFound, "Not found", "There is no subscription %s.", m.ID)
		}
		c.acknowledge(m)
	case "submit":
		return c.submit(ctx, m)
	case "cancel", "get":
		return c.jobMessage(ctx, m)
	case "hello":
		return c.hello(ctx, m)
	case "refresh":
		return c.refresh(ctx, m)
	case "ping":
		t := m.T
		if t == nil {
			t = jobs.Value("null")
		}
		c.say(append(append([]byte(`{"type":"pong","t":`), t...), '}'))
	default:
		return jobs.NewProblem(jobs.Unsupported, "Unknown message", "There is no message of type %q.", m.Type)
	}
	return nil
}

// jobMessage answers cancel and get.
func (c *socket) jobMessage(ctx context.Context, m message) error {
	id, err := m.jobID()
	if err != nil {
		return err
	}
	action := auth.Watch
	if m.Type == "cancel" {
		action = auth.Cancel
	}
	_, _, err = c.AuthorizedJob(ctx, c.who, action, id)
	if err == nil && m.Type == "cancel" {
		_, _, err = c.Engine.Cancel(ctx, c.who.Tenant, id)
	}
	if err != nil {
		return err
	}
	job, pos, release, err := c.ReadFullJob(ctx, c.who.Tenant, id)
	defer release()
	if err != nil {
		return err
	}
	if c.say(appendReply(nil, m.ID, rest.AppendJob(nil, &job, pos))); c.replies.full() {
		return c.replies.flush() // while release still reserves the memory
	}
	return nil
}

// submit accepts a job and, with watch, subscribes to it from its first event on.
func (c *socket) submit(ctx context.Context, m message) error {
	if m.Job == nil {
		return jobs.NewProblem(jobs.BadMessage, "Malformed submit", "job takes the job to submit, as an object.")
	}
	if !c.who.May(auth.Submit, auth.Target{}) {
		return rest.NotAllowed(c.who, auth.Submit)
	}
	spec, err := jobs.DecodeSpec(m.Job)
	if err != nil {
		return err
	}
	spec.Tenant, spec.Caller = c.who.Tenant, c.who.Caller()
	if m.Key != "" {
		if spec.Key, err = socketKey(c.who, m); err != nil {
			return err
		}
	}
	if m.Watch { // before anything is stored
		if err := c.mayOpen(m.ID); err != nil {
			return err
		}
	}
	limits := c.Limit(ctx, http.Header{}, c.address, c.who)
	defer limits.Release()
	if err := cmp.Or(limits.Err(), c.CheckAcceptsJobs()); err != nil {
		return err
	}
	accepted, err := c.Engine.Submit(ctx, spec)
	if err != nil {
		return err
	}
	body, known := c.AcceptedBody(accepted), accepted.Replayed || accepted.Existing
	if accepted.Existing {
		body = rest.MarkExisting(body)
	}
	c.say(appendReply(nil, m.ID, body))
	if !m.Watch {
		return nil
	}
	watch := message{Type: "subscribe", ID: m.ID, Job: rest.AppendText(nil, accepted.Job.ID.String()), Snapshot: known}
	if !known {
		watch.Since = &since{c.Hub.Epoch(), accepted.Job.Seq}
	}
	return c.open(ctx, watch, false)
}

// watch subscribes the dashboard's page to its view.
func (c *socket) watch(ctx context.Context, m message) error {
	if m.Job != nil || m.Queue != nil || m.Tag != nil || m.Kind != nil || m.All {
		return jobs.NewProblem(jobs.BadMessage, "Malformed subscribe", "A view has no other filter.")
	}
	if err := c.mayOpen(m.ID); err != nil {
		return err
	}
	if c.viewer != nil {
		return jobs.NewProblem(jobs.LimitExceeded, "One view at a time", "Unsubscribe from %s first.", c.viewID)
	}
	key, err := c.findView(ctx, c.who, *m.View)
	if err != nil {
		return err
	}
	c.viewID, c.viewer = m.ID, c.Hub.View(key, c.wake)
	c.due.Store(true) // it may have been drawn before
	return nil
}

func (c *socket) unwatch() {
	if c.viewer != nil {
		c.viewer.Close()
		c.viewer, c.viewID = nil, ""
	}
}

// open subscribes.
func (c *socket) open(ctx context.Context, m message, query bool) error {
	if err := c.mayOpen(m.ID); err != nil {
		return err
	}
	return c.subscribe(ctx, m, query)
}

// mayOpen returns an error if there can't be another subscription with that id.
func (c *socket) mayOpen(id string) error {
	if c.cursor.Subscribed(id) || (c.viewer != nil && c.viewID == id) {
		return jobs.NewProblem(rest.DuplicateID, "Duplicate id", "A subscription %s exists already; choose another id.", id)
	}
	if c.cursor.Len() >= rest.MaxSubscriptions {
		return jobs.NewProblem(jobs.LimitExceeded, "Too many subscriptions", "A connection holds at most %d.", rest.MaxSubscriptions)
	}
	return nil
}

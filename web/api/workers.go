package api

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"jobhub/jobs"
	"jobhub/jobs/engine"
	"jobhub/web/clip"
	"jobhub/web/rest"
)

// This file is the worker protocol over HTTP. All times in it are durations, so that clocks
// may differ.

const (
	pollTime = 25 * time.Second
	maxPoll  = 60 * time.Second
	maxDelay = 10 * 365 * 24 * time.Hour
)

// register is POST /v1/workers.
func (s workers) register(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Name   string   `json:"name"`
		Kinds  []string `json:"kinds"`
		Queues []string `json:"queues"`
		Slots  int      `json:"slots"`
	}
	in.Slots = 1
	if _, err := rest.DecodeBody(w, r, rest.MaxReport, &in); err != nil {
		return err
	}
	id, err := s.Engine.Workers.Register(rest.Tenant(r), engine.WorkerSpec{Name: in.Name, Kinds: in.Kinds, Queues: in.Queues, Slots: in.Slots})
	if err != nil {
		return err
	}
	lease := s.Engine.Workers.LeaseTime()
	b := rest.AppendText([]byte(`{"worker_id":`), id)
	b = rest.AppendText(append(b, `,"lease":`...), lease.String())
	b = rest.AppendText(append(b, `,"beat":`...), (lease / 3).String())
	b = rest.AppendText(append(b, `,"poll":`...), pollTime.String())
	return rest.WriteJSON(w, http.StatusOK, append(b, '}'))
}

// listWorkers is GET /v1/workers.
func (s workers) listWorkers(w http.ResponseWriter, r *http.Request) error {
	type shown struct {
		ID        string   `json:"worker_id"`
		Name      string   `json:"name"`
		Kinds     []string `json:"kinds"`
		Queues    []string `json:"queues"`
		Slots     int      `json:"slots"`
		Running   []string `json:"running"`
		Directive string   `json:"directive"`
		SeenMS    int64    `json:"seen_ms"`
	}
	list := []shown{}
	for _, info := range s.Engine.Workers.List(rest.Tenant(r)) {
		running := []string{}
		for _, id := range info.Running {
			running = append(running, id.String())
		}
		list = append(list, shown{info.ID, info.Name, info.Kinds, info.Queues, info.Slots, running, string(info.Directive), time.Since(info.Seen).Milliseconds()})
	}
	body, err := json.Marshal(struct {
		Workers []shown `json:"workers"`
	}{list})
	if err != nil {
		return err
	}
	return rest.WriteJSON(w, http.StatusOK, body)
}

// setDirective is POST /v1/workers/{id}/quiet and …/terminate.
func (s workers) setDirective(d engine.Directive) rest.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if err := s.Engine.Workers.SetDirective(rest.Tenant(r), r.PathValue("id"), d); err != nil {
			return err
		}
		return rest.WriteJSON(w, http.StatusOK, []byte(`{"directive":"`+string(d)+`"}`))
	}
}

// unregister is DELETE /v1/workers/{id}.
func (s workers) unregister(w http.ResponseWriter, r *http.Request) error {
	if err := s.Engine.Workers.Unregister(rest.Tenant(r), r.PathValue("id")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// leaseJobs is POST /v1/workers/{id}/lease.
func (s workers) leaseJobs(w http.ResponseWriter, r *http.Request) error {
	in := struct {
		Max  int    `json:"max"`
		Wait string `json:"wait"`
	}{1, pollTime.String()}
	if _, err := rest.DecodeBody(w, r, rest.MaxReport, &in); err != nil {
		return err
	}
	wait, err := pollWait("/wait", in.Wait)
	if err == nil && (in.Max < 1 || in.Max > engine.MaxSlots) {
		err = rest.InvalidMember("/max", "must be from 1 to "+strconv.Itoa(engine.MaxSlots))
	}
	if err != nil {
		return err
	}
	select {
	case <-s.Gate.Closing:
		return jobs.Unavailable("Shutting down", "The hub is shutting down. Try again in a few seconds.")
	default:
	}
	ctx, stop := s.polling(r)
	defer stop()
	reply, err := s.Engine.Workers.Lease(ctx, rest.Tenant(r), r.PathValue("id"), in.Max, wait)
	if ended := context.Cause(ctx); rest.IsCredentialsError(ended) {
		err = rest.CredentialsProblem(ended)
	}
	if errors.Is(err, context.Canceled) && rest.ClientContext(r.Context()).Err() == nil { // the hub drains
		reply, err = engine.LeaseReply{Leases: map[string]engine.LeaseState{}, Directive: engine.DirectiveRun}, nil
	}
	if err != nil {
		return err
	}
	b := []byte(`{"jobs":[`)
	for i := range reply.Jobs {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendLeased(b, &reply.Jobs[i])
	}
	return rest.WriteJSON(w, http.StatusOK, appendStates(append(b, ']'), reply))
}

func appendLeased(b []byte, j *jobs.Job) []byte {
	b = rest.AppendText(append(b, `{"lease":`...), engine.Token(j))
	b = rest.AppendText(append(b, `,"id":`...), j.ID.String())
	b = rest.AppendText(append(b, `,"kind":`...), j.Kind)
	b = rest.AppendText(append(b, `,"queue":`...), j.Queue)
	b = strconv.AppendInt(append(b, `,"attempt":`...), int64(j.Attempt), 10)
	b = strconv.AppendInt(append(b, `,"max_attempts":`...), int64(j.MaxAttempts), 10)
	b = rest.AppendText(append(b, `,"timeout":`...), j.Timeout.String())
	b = append(b, `,"tags":[`...)
	for i, tag := range j.Tags {
		if i > 0 {
			b = append(b, ',')
		}
		b = rest.AppendText(b, tag)
	}
	b = jobs.AppendValue(append(b, `],"input":`...), j.Input)
	b = jobs.AppendValue(append(b, `,"checkpoint":`...), j.Checkpoint)
	return append(b, '}')
}

// appendStates ends an answer with the states of the leases and the directive.
func appendStates(b []byte, l engine.LeaseReply) []byte {
	b = appendLeases(append(b, ','), l.Leases)
	b = rest.AppendText(append(b, `,"directive":`...), string(l.Directive))
	return append(b, '}')
}

// appendLeases appends the member leases: lease states by token.
func appendLeases(b []byte, states map[string]engine.LeaseState) []byte {
	b = append(b, `"leases":{`...)
	for i, token := range slices.Sorted(maps.Keys(states)) {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(rest.AppendText(b, token), ':')
		b = rest.AppendText(b, string(states[token]))
	}
	return append(b, '}')
}

// beat is POST /v1/workers/{id}/beat.
func (s workers) beat(w http.ResponseWriter, r *http.Request) error {
	in := struct {
		Leases []string `json:"leases"`
		Wait   string   `json:"wait"`
	}{Wait: "0s"}
	if _, err := rest.DecodeBody(w, r, rest.MaxReport, &in); err != nil {
		return err
	}
	wait, err := pollWait("/wait", in.Wait)
	if err != nil {
		return err
	}
	ctx, stop := s.polling(r)
	defer stop()
	reply, err := s.Engine.Workers.Beat(ctx, rest.Tenant(r), r.PathValue("id"), append([]string{}, in.Leases...), wait)
	if ended := context.Cause(ctx); rest.IsCredentialsError(ended) {
		err = rest.CredentialsProblem(ended)
	}
	if err != nil {
		return err
	}
	b := appendStates(nil, reply)
	b[0] = '{'
	return rest.WriteJSON(w, http.StatusOK, b)
}

// polling returns the context of a long poll: it ends with the request, when the hub drains,
// and when the worker's credentials become invalid.
func (s workers) polling(r *http.Request) (context.Context, context.CancelFunc) {
	ctx, stop := s.WhileValid(rest.ClientContext(r.Context()), rest.IdentityOf(r))
	go func() {
		select {
		case <-s.Gate.Closing:
			stop()
		case <-ctx.Done():
		}
	}()
	return ctx, stop
}

// pollWait reads how long a request may wait, and limits it to maxPoll.
func pollWait(pointer, text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, rest.InvalidMember(pointer, `must be a duration like "25s"`)
	}
	return min(d, maxPoll), nil
}

// complete is POST /v1/leases/{token}/complete.
func (s workers) complete(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Result jobs.Value `json:"result"`
	}
	return s.endAttempt(w, r, decodeResult, &in, func(ctx context.Context, tenant, token string) (jobs.Job, jobs.Position, error) {
		if in.Result != nil && in.Result.Compact() != nil {
			return jobs.Job{}, jobs.Position{}, rest.InvalidMember("/result", "must be JSON")
		}
		if len(in.Result) > rest.MaxResult {
			return jobs.Job{}, jobs.Position{}, rest.BodyTooLarge(rest.MaxResult)
		}
		return s.Engine.Workers.Complete(ctx, tenant, token, in.Result)
	})
}

// failAttempt is POST /v1/leases/{token}/fail.
func (s workers) failAttempt(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Error jobs.Value `json:"error"`
		Retry string     `json:"retry"`
	}
	return s.endAttempt(w, r, jobs.Decode, &in, func(ctx context.Context, tenant, token string) (jobs.Job, jobs.Position, error) {
		failure, err := decodeFailure(in.Error, in.Retry)
		if err != nil {
			return jobs.Job{}, jobs.Position{}, err
		}
		return s.Engine.Workers.Fail(ctx, tenant, token, failure)
	})
}

// decodeFailure reads the failure that a worker reports: a problem (RFC 9457), whose extension
// members are dropped, and whether to retry.
func decodeFailure(problem jobs.Value, retry string) (*jobs.Failure, error) {
	f := &jobs.Failure{Problem: &jobs.Problem{}}
	if problem != nil {
		if err := json.Unmarshal(problem, f.Problem); err != nil {
			return nil, rest.InvalidMember("/error", "must be an object with title and detail as texts")
		}
	}
	f.Problem.Title, f.Problem.Detail = clip.Shorten(f.Problem.Title, 256), clip.Shorten(f.Problem.Detail, 4096)
	f.Problem.Type, f.Problem.Code = clip.Shorten(f.Problem.Type, 256), jobs.Code(clip.Shorten(string(f.Problem.Code), 64))
	if len(f.Problem.Errors) > 100 {
		f.Problem.Errors = f.Problem.Errors[:100]
	}
	for i := range f.Problem.Errors {
		e := &f.Problem.Errors[i]
		e.Pointer, e.Detail = clip.Shorten(e.Pointer, 256), clip.Shorten(e.Detail, 1024)
	}
	if f.Problem.Title == "" {
		f.Problem.Title = "Failed"
	}
	if f.Problem.Code == "" {
		f.Problem.Code = "worker_failed"
	}
	if f.Problem.Type == "" {
		f.Problem.Type = "urn:jobhub:problem:" + string(f.Problem.Code)
	}
	after, delayed := strings.CutPrefix(retry, "after ")
	switch {
	case retry == "" || retry == "auto":
	case retry == "never":
		f.Never = true
	case delayed:
		d, err := time.ParseDuration(after)
		if err != nil || d < 0 || d > maxDelay {
			return nil, rest.InvalidMember("/retry", `must be auto, never or like "after 5s", within ten years`)
		}
		f.After, f.Exactly = d, true
	default:
		return nil, rest.InvalidMember("/retry", `must be auto, never or like "after 5s"`)
	}
	return f, nil
}

// snooze is POST /v1/leases/{token}/snooze.
func (s workers) snooze(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Delay string `json:"delay"`
	}
	return s.endAttempt(w, r, jobs.Decode, &in, func(ctx context.Context, tenant, token string) (jobs.Job, jobs.Position, error) {
		d, err := time.ParseDuration(in.Delay)
		if err != nil || d < 0 || d > maxDelay {
			return jobs.Job{}, jobs.Position{}, rest.InvalidMember("/delay", `must be a duration like "30s", within ten years`)
		}
		return s.Engine.Workers.Snooze(ctx, tenant, token, d)
	})
}

// release is POST /v1/leases/{token}/release.
func (s workers) release(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Checkpoint jobs.Value `json:"checkpoint"`
	}
	return s.endAttempt(w, r, jobs.Decode, &in, func(ctx context.Context, tenant, token string) (jobs.Job, jobs.Position, error) {
		if in.Checkpoint != nil && (in.Checkpoint.Compact() != nil || len(in.Checkpoint) > jobs.MaxCheckpoint) {
			return jobs.Job{}, jobs.Position{}, rest.InvalidMember("/checkpoint", "must be JSON of up to "+strconv.Itoa(jobs.MaxCheckpoint)+" bytes")
		}
		return s.Engine.Workers.Release(ctx, tenant, token, in.Checkpoint)
	})
}

// decodeResult reads {"result":…}. A result that is nested too deeply is valid JSON, but can't
// be stored.
func decodeResult(body []byte, in any) error {
	if jobs.TooDeep(body, jobs.MaxDepth+1) {
		return rest.InvalidMember("/result", fmt.Sprintf("must not have more than %d levels of objects and arrays inside one another", jobs.MaxDepth))
	}
	return jobs.DecodeAnyDepth(body, in)
}

// endAttempt decodes the body, if there is one, ends the attempt and answers with the job.
func (s workers) endAttempt(w http.ResponseWriter, r *http.Request, decode func(body []byte, in any) error, in any, end func(ctx context.Context, tenant, token string) (jobs.Job, jobs.Position, error)) error {
	body, err := rest.OptionalJSON(w, r, rest.MaxResult+rest.MaxResultEnvelope)
	if err == nil && body != nil {
		err = decode(body, in)
	}
	if err != nil {
		return err
	}
	job, _, err := end(r.Context(), rest.Tenant(r), r.PathValue("token"))
	if errors.Is(err, jobs.ErrNotFound) || errors.Is(err, jobs.ErrGone) { // the job is gone, and its lease with it
		err = jobs.ErrLeaseLost
	}
	if err != nil {
		return err
	}
	return s.WriteCurrentJob(w, r, job.ID)
}

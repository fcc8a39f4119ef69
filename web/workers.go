package web

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
)

// This file is the worker protocol over HTTP: whoever can send a
// request can be a worker. All times in it are durations.

const (
	pollTime = 25 * time.Second
	maxPoll  = 60 * time.Second
	maxDelay = 10 * 365 * 24 * time.Hour
)

// register is POST /v1/workers.
func (s *Server) register(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Name   string   `json:"name"`
		Kinds  []string `json:"kinds"`
		Queues []string `json:"queues"`
		Slots  int      `json:"slots"`
	}
	in.Slots = 1
	if _, err := decodeBody(w, r, maxReport, &in); err != nil {
		s.fail(w, r, err)
		return
	}
	id, err := s.Engine.Register(tenant(r), jobs.WorkerSpec{Name: in.Name, Kinds: in.Kinds, Queues: in.Queues, Slots: in.Slots})
	if err != nil {
		s.fail(w, r, err)
		return
	}
	lease := s.Engine.LeaseTime()
	b := appendText([]byte(`{"worker_id":`), id)
	b = appendText(append(b, `,"lease":`...), lease.String())
	b = appendText(append(b, `,"beat":`...), (lease / 3).String())
	b = appendText(append(b, `,"poll":`...), pollTime.String())
	writeJSON(w, http.StatusOK, append(b, '}'))
}

func invalidMember(pointer, detail string) error {
	p := jobs.NewProblem(jobs.BadMessage, "Invalid request", "See errors for the members to correct.")
	p.Status = http.StatusUnprocessableEntity
	p.Errors = []jobs.MemberError{{Pointer: pointer, Detail: detail}}
	return p
}

// listWorkers is GET /v1/workers.
func (s *Server) listWorkers(w http.ResponseWriter, r *http.Request) {
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
	for _, info := range s.Engine.Workers(tenant(r)) {
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
		s.fail(w, r, err)
		return
	}
	writeJSON(w, http.StatusOK, body)
}

// direct is POST /v1/workers/{id}/quiet and …/terminate; unregister DELETE /v1/workers/{id}.
func (s *Server) direct(d jobs.Directive) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := s.Engine.SetDirective(tenant(r), r.PathValue("id"), d); err != nil {
			s.fail(w, r, err)
			return
		}
		writeJSON(w, http.StatusOK, []byte(`{"directive":"`+string(d)+`"}`))
	}
}

func (s *Server) unregister(w http.ResponseWriter, r *http.Request) {
	if err := s.Engine.Unregister(tenant(r), r.PathValue("id")); err != nil {
		s.fail(w, r, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// leaseJobs is POST /v1/workers/{id}/lease.
func (s *Server) leaseJobs(w http.ResponseWriter, r *http.Request) {
	in := struct {
		Max  int    `json:"max"`
		Wait string `json:"wait"`
	}{1, pollTime.String()}
	if _, err := decodeBody(w, r, maxReport, &in); err != nil {
		s.fail(w, r, err)
		return
	}
	wait, err := pollWait("/wait", in.Wait)
	if err == nil && (in.Max < 1 || in.Max > jobs.MaxSlots) {
		err = invalidMember("/max", "must be from 1 to "+strconv.Itoa(jobs.MaxSlots))
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	select {
	case <-s.drain:
		s.fail(w, r, jobs.Unavailable("Shutting down", "The hub is shutting down; come back in a moment."))
		return
	default:
	}
	ctx, stop := s.polling(r)
	defer stop()
	leased, err := s.Engine.Lease(ctx, tenant(r), r.PathValue("id"), in.Max, wait)
	if ended := context.Cause(ctx); lapsed(ended) {
		err = refused(ended)
	}
	if errors.Is(err, context.Canceled) && clientOf(r.Context()).Err() == nil { // the hub drains
		leased, err = jobs.LeaseReply{Leases: map[string]jobs.LeaseState{}, Directive: jobs.DirectiveRun}, nil
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	b := []byte(`{"jobs":[`)
	for i := range leased.Jobs {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendLeased(b, &leased.Jobs[i])
	}
	writeJSON(w, http.StatusOK, appendStates(append(b, ']'), leased))
}

func appendLeased(b []byte, j *jobs.Job) []byte {
	b = appendText(append(b, `{"lease":`...), jobs.Token(j))
	b = appendText(append(b, `,"id":`...), j.ID.String())
	b = appendText(append(b, `,"kind":`...), j.Kind)
	b = appendText(append(b, `,"queue":`...), j.Queue)
	b = strconv.AppendInt(append(b, `,"attempt":`...), int64(j.Attempt), 10)
	b = strconv.AppendInt(append(b, `,"max_attempts":`...), int64(j.MaxAttempts), 10)
	b = appendText(append(b, `,"timeout":`...), j.Timeout.String())
	b = append(b, `,"tags":[`...)
	for i, tag := range j.Tags {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendText(b, tag)
	}
	b = jobs.AppendValue(append(b, `],"input":`...), j.Input)
	b = jobs.AppendValue(append(b, `,"checkpoint":`...), j.Checkpoint)
	return append(b, '}')
}

// appendStates ends an answer with what to do about the leases and on the whole.
func appendStates(b []byte, l jobs.LeaseReply) []byte {
	b = appendLeases(append(b, ','), l.Leases)
	b = appendText(append(b, `,"directive":`...), string(l.Directive))
	return append(b, '}')
}

// appendLeases appends the member leases: their states by their tokens.
func appendLeases(b []byte, states map[string]jobs.LeaseState) []byte {
	b = append(b, `"leases":{`...)
	for i, token := range slices.Sorted(maps.Keys(states)) {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendText(b, token), ':')
		b = appendText(b, string(states[token]))
	}
	return append(b, '}')
}

// beat is POST /v1/workers/{id}/beat.
func (s *Server) beat(w http.ResponseWriter, r *http.Request) {
	in := struct {
		Leases []string `json:"leases"`
		Wait   string   `json:"wait"`
	}{Wait: "0s"}
	if _, err := decodeBody(w, r, maxReport, &in); err != nil {
		s.fail(w, r, err)
		return
	}
	wait, err := pollWait("/wait", in.Wait)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	ctx, stop := s.polling(r)
	defer stop()
	beaten, err := s.Engine.Beat(ctx, tenant(r), r.PathValue("id"), append([]string{}, in.Leases...), wait)
	if ended := context.Cause(ctx); lapsed(ended) {
		err = refused(ended)
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	b := appendStates(nil, beaten)
	b[0] = '{'
	writeJSON(w, http.StatusOK, b)
}

// polling is the context of a call that may be held: it ends with the request, when the
// hub drains, and with the worker's credentials.
func (s *Server) polling(r *http.Request) (context.Context, context.CancelFunc) {
	ctx, stop := s.while(clientOf(r.Context()), identity(r))
	go func() {
		select {
		case <-s.drain:
			stop()
		case <-ctx.Done():
		}
	}()
	return ctx, stop
}

// pollWait reads how long a call may be held.
func pollWait(pointer, text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, invalidMember(pointer, `must be a duration like "25s"`)
	}
	return min(d, maxPoll), nil
}

// shorten cuts a text to at most so many bytes: it stands in every listing of its job.
func shorten(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}

// complete, failAttempt, snooze and release are POST /v1/leases/{token}/….

func (s *Server) complete(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Result jobs.Value `json:"result"`
	}
	s.conclude(w, r, decodeResult, &in, func(ctx context.Context, tenant, token string) (jobs.Job, jobs.Position, error) {
		if in.Result != nil && in.Result.Compact() != nil {
			return jobs.Job{}, jobs.Position{}, invalidMember("/result", "must be JSON")
		}
		if len(in.Result) > maxResult {
			return jobs.Job{}, jobs.Position{}, tooLarge(maxResult)
		}
		return s.Engine.Complete(ctx, tenant, token, in.Result)
	})
}

func (s *Server) failAttempt(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Error jobs.Value `json:"error"`
		Retry string     `json:"retry"`
	}
	s.conclude(w, r, jobs.Decode, &in, func(ctx context.Context, tenant, token string) (jobs.Job, jobs.Position, error) {
		failure, err := decodeFailure(in.Error, in.Retry)
		if err != nil {
			return jobs.Job{}, jobs.Position{}, err
		}
		return s.Engine.Fail(ctx, tenant, token, failure)
	})
}

// decodeFailure reads what a worker says of its failure: a problem (RFC 9457), whose
// further members are not kept, and whether to try again.
func decodeFailure(problem jobs.Value, retry string) (*jobs.Failure, error) {
	f := &jobs.Failure{Problem: &jobs.Problem{}}
	if problem != nil {
		if err := json.Unmarshal(problem, f.Problem); err != nil {
			return nil, invalidMember("/error", "must be an object with title and detail as texts")
		}
	}
	f.Problem.Title, f.Problem.Detail = shorten(f.Problem.Title, 256), shorten(f.Problem.Detail, 4096)
	f.Problem.Type, f.Problem.Code = shorten(f.Problem.Type, 256), jobs.Code(shorten(string(f.Problem.Code), 64))
	if len(f.Problem.Errors) > 100 {
		f.Problem.Errors = f.Problem.Errors[:100]
	}
	for i := range f.Problem.Errors {
		e := &f.Problem.Errors[i]
		e.Pointer, e.Detail = shorten(e.Pointer, 256), shorten(e.Detail, 1024)
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
	after, wait := strings.CutPrefix(retry, "after ")
	switch {
	case retry == "" || retry == "auto":
	case retry == "never":
		f.Never = true
	case wait:
		d, err := time.ParseDuration(after)
		if err != nil || d < 0 || d > maxDelay {
			return nil, invalidMember("/retry", `must be auto, never or like "after 5s", within ten years`)
		}
		f.After, f.Exactly = d, true
	default:
		return nil, invalidMember("/retry", `must be auto, never or like "after 5s"`)
	}
	return f, nil
}

func (s *Server) snooze(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Delay string `json:"delay"`
	}
	s.conclude(w, r, jobs.Decode, &in, func(ctx context.Context, tenant, token string) (jobs.Job, jobs.Position, error) {
		d, err := time.ParseDuration(in.Delay)
		if err != nil || d < 0 || d > maxDelay {
			return jobs.Job{}, jobs.Position{}, invalidMember("/delay", `must be a duration like "30s", within ten years`)
		}
		return s.Engine.Snooze(ctx, tenant, token, d)
	})
}

func (s *Server) release(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Checkpoint jobs.Value `json:"checkpoint"`
	}
	s.conclude(w, r, jobs.Decode, &in, func(ctx context.Context, tenant, token string) (jobs.Job, jobs.Position, error) {
		if in.Checkpoint != nil && (in.Checkpoint.Compact() != nil || len(in.Checkpoint) > jobs.MaxCheckpoint) {
			return jobs.Job{}, jobs.Position{}, invalidMember("/checkpoint", "must be JSON of up to "+strconv.Itoa(jobs.MaxCheckpoint)+" bytes")
		}
		return s.Engine.Release(ctx, tenant, token, in.Checkpoint)
	})
}

// decodeResult reads {"result":…}. A result that is nested too deeply is well-formed JSON
// that can't be kept.
func decodeResult(body []byte, in any) error {
	if jobs.TooDeep(body, jobs.MaxDepth+1) {
		return invalidMember("/result", fmt.Sprintf("must not have more than %d levels of objects and arrays inside one another", jobs.MaxDepth))
	}
	return jobs.DecodeAnyDepth(body, in)
}

// conclude decodes the body, if there is one, ends the attempt and answers with the job.
func (s *Server) conclude(w http.ResponseWriter, r *http.Request, decode func(body []byte, in any) error, in any, end func(ctx context.Context, tenant, token string) (jobs.Job, jobs.Position, error)) {
	body, err := optionalJSON(w, r, maxResult+maxAround)
	if err == nil && body != nil {
		err = decode(body, in)
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	job, _, err := end(r.Context(), tenant(r), r.PathValue("token"))
	if errors.Is(err, jobs.ErrNotFound) || errors.Is(err, jobs.ErrGone) { // so there is no such lease
		err = jobs.ErrLeaseLost
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.writeNow(w, r, job.ID)
}

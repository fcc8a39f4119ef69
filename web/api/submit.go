package api

import (
	"cmp"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"jobhub/jobs"
	"jobhub/jobs/engine"
	"jobhub/web/gateway"
	"jobhub/web/rest"
)

// submit is POST /v1/jobs.
func (s *Server) submit(w http.ResponseWriter, r *http.Request) error {
	limit := cmp.Or(s.Settings().MaxInput, jobs.MaxInput) // for http jobs; the kind is only known after decoding
	body, err := rest.ReadJSON(w, r, max(limit, jobs.MaxInput))
	if err != nil {
		return err
	}
	key, err := rest.IdempotencyKey(r, body)
	if err != nil {
		return err
	}
	wait, waiting, err := PreferredWait(r)
	if err != nil {
		return err
	}
	if err := jobs.CheckDepth(body); err != nil {
		return err
	}
	spec, err := jobs.DecodeSpec(body)
	if err != nil {
		return err
	}
	if spec.Kind != "http" && spec.Kind != "fanout" {
		limit = jobs.MaxInput
	}
	if int64(len(body)) > limit {
		return rest.BodyTooLarge(limit)
	}
	spec.Tenant, spec.Caller, spec.Key = rest.Tenant(r), rest.Caller(r), key
	spec.Via.Trace = gateway.Trace(r.Header)
	return s.Accept(w, r, spec, AcceptOptions{Waiting: waiting, Wait: wait, Body: s.AcceptedBody})
}

// AcceptOptions says how to answer when a job was accepted.
type AcceptOptions struct {
	Async   bool                         // Prefer: respond-async
	Waiting bool                         // Prefer: wait
	Wait    time.Duration                // how long, at most
	Body    func(engine.Accepted) []byte // makes the body of the 202
}

// applied returns the value of Preference-Applied.
func (p AcceptOptions) applied() string {
	var words []string
	if p.Async {
		words = append(words, "respond-async")
	}
	if p.Waiting {
		words = append(words, "wait="+strconv.Itoa(int(p.Wait.Seconds())))
	}
	return strings.Join(words, ", ")
}

// Accept submits a job and answers the request. If the request is an item of an asynchronous
// batch, the job becomes a child of the batch.
func (s *Server) Accept(w http.ResponseWriter, r *http.Request, spec jobs.Spec, p AcceptOptions) error {
	if err := s.CheckAcceptsJobs(); err != nil && rest.ActingJob(r.Context()) == nil {
		return err
	}
	if batch := rest.ActingJob(r.Context()); batch != nil {
		spec.Parent = batch.ID
	}
	accepted, err := s.Engine.Submit(r.Context(), spec)
	if errors.Is(err, jobs.ErrQueueFull) {
		return s.queueFull(w, spec.Tenant, spec.Queue)
	}
	if err != nil {
		return err
	}
	h := w.Header()
	h.Add("Vary", "Prefer")
	setAcceptedHeaders(h, accepted)
	if applied := p.applied(); applied != "" {
		h.Set("Preference-Applied", applied)
	}
	job := accepted.Job
	if p.Waiting {
		ctx := rest.WithIdentity(rest.ClientContext(r.Context()), rest.IdentityOf(r))
		now, _, large, err := s.awaitFinal(ctx, job.Tenant, job.ID, p.Wait)
		if err == nil && now.State.Final() {
			h.Set("Operation-Location", "/v1/jobs/"+job.ID.String())
			return s.writeOutcome(w, r, &now, large)
		}
	}
	return s.writeAccepted(w, accepted, p.Body)
}

// setAcceptedHeaders says that the job of a submission was there already.
func setAcceptedHeaders(h http.Header, a engine.Accepted) {
	if a.Replayed {
		h.Set("Idempotency-Replayed", "true")
	}
	if a.Existing {
		h.Set("Jobhub-Existing", "true")
	}
}

// queueFull sets the headers of the answer for a full queue
// (draft-ietf-httpapi-ratelimit-headers) and returns its problem.
func (s *Server) queueFull(w http.ResponseWriter, tenant, queue string) error {
	w.Header().Set("RateLimit-Policy", `"default";q=`+strconv.Itoa(s.Engine.Queues.Settings(tenant, queue).Capacity)+`;w=1`)
	w.Header().Set("RateLimit", `"default";r=0;t=1`)
	return jobs.ErrQueueFull
}

func (s *Server) writeAccepted(w http.ResponseWriter, a engine.Accepted, body func(engine.Accepted) []byte) error {
	self := "/v1/jobs/" + a.Job.ID.String()
	h := w.Header()
	h.Set("Location", self+"/response")
	h.Set("Operation-Location", self)
	if a.Existing {
		if !a.Job.State.Final() {
			h.Set("Retry-After", "1")
		}
		return rest.WriteJSON(w, http.StatusOK, rest.MarkExisting(rest.AppendJob(nil, &a.Job, jobs.Position{Epoch: s.Hub.Epoch(), Seq: a.Job.Seq})))
	}
	h.Set("Retry-After", "1")
	return rest.WriteJSON(w, http.StatusAccepted, body(a))
}

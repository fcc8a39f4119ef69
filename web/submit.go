package web

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"jobhub/jobs"
	"jobhub/web/auth"
	"jobhub/web/gateway"
)

// submit is POST /v1/jobs.
func (s *Server) submit(w http.ResponseWriter, r *http.Request) {
	of := cmp.Or(s.settings.Load().MaxInput, jobs.MaxInput) // of http jobs; the kind is known when it is read
	body, err := readJSON(w, r, max(of, jobs.MaxInput))
	if err != nil {
		s.fail(w, r, err)
		return
	}
	key, err := idempotencyKey(r, body)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	wait, waiting, err := preferredWait(r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	if err := jobs.CheckDepth(body); err != nil {
		s.fail(w, r, err)
		return
	}
	spec, err := jobs.DecodeSpec(body)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	if spec.Kind != "http" && spec.Kind != "fanout" {
		of = jobs.MaxInput
	}
	if int64(len(body)) > of {
		s.fail(w, r, tooLarge(of))
		return
	}
	spec.Tenant, spec.Caller, spec.Key = tenant(r), caller(r), key
	spec.Via.Trace = gateway.Trace(r.Header)
	s.accept(w, r, spec, preferred{waiting: waiting, wait: wait, body: s.acceptedBody})
}

// preferred is how the caller wants to hear of a job that was accepted.
type preferred struct {
	async   bool // Prefer: respond-async
	waiting bool // Prefer: wait
	wait    time.Duration
	body    func(jobs.Accepted) []byte // of the 202
}

func (p preferred) applied() string {
	var words []string
	if p.async {
		words = append(words, "respond-async")
	}
	if p.waiting {
		words = append(words, "wait="+strconv.Itoa(int(p.wait.Seconds())))
	}
	return strings.Join(words, ", ")
}

// accept submits a job and answers. A job that an item of an asynchronous batch submits
// is part of the batch. False if it was refused.
func (s *Server) accept(w http.ResponseWriter, r *http.Request, spec jobs.Spec, p preferred) bool {
	if err := s.takesJobs(); err != nil && callerOf(r.Context()) == nil {
		s.fail(w, r, err)
		return false
	}
	if batch := callerOf(r.Context()); batch != nil {
		spec.Parent = batch.ID
	}
	accepted, err := s.Engine.Submit(r.Context(), spec)
	if errors.Is(err, jobs.ErrQueueFull) {
		s.refuseFull(w, r, spec.Tenant, spec.Queue)
		return false
	}
	if err != nil {
		s.fail(w, r, err)
		return false
	}
	h := w.Header()
	h.Add("Vary", "Prefer")
	if accepted.Replayed {
		h.Set("Idempotency-Replayed", "true")
	}
	if applied := p.applied(); applied != "" {
		h.Set("Preference-Applied", applied)
	}
	if accepted.Existing {
		h.Set("Jobhub-Existing", "true")
	}
	job := accepted.Job
	if p.waiting {
		ctx := context.WithValue(clientOf(r.Context()), identityKey{}, identity(r))
		now, _, large, err := s.awaitFinal(ctx, job.Tenant, job.ID, p.wait)
		if err == nil && now.State.Final() {
			h.Set("Operation-Location", "/v1/jobs/"+job.ID.String())
			s.writeOutcome(w, r, &now, large)
			return true
		}
	}
	s.writeAccepted(w, accepted, p.body)
	return true
}

// refuseFull answers for a full queue (draft-ietf-httpapi-ratelimit-headers).
func (s *Server) refuseFull(w http.ResponseWriter, r *http.Request, tenant, queue string) {
	w.Header().Set("RateLimit-Policy", `"default";q=`+strconv.Itoa(s.Engine.Settings(tenant, queue).Capacity)+`;w=1`)
	w.Header().Set("RateLimit", `"default";r=0;t=1`)
	s.fail(w, r, jobs.ErrQueueFull)
}

// takesJobs refuses submissions while the hub shuts down.
func (s *Server) takesJobs() error {
	select {
	case <-s.drain:
		return jobs.Unavailable("Shutting down", "The hub is shutting down and takes no further jobs; nothing was stored. Come back in a moment.")
	default:
		return nil
	}
}

func (s *Server) writeAccepted(w http.ResponseWriter, a jobs.Accepted, body func(jobs.Accepted) []byte) {
	self := "/v1/jobs/" + a.Job.ID.String()
	h := w.Header()
	h.Set("Location", self+"/response")
	h.Set("Operation-Location", self)
	if a.Existing {
		h.Set("Jobhub-Existing", "true")
		if !a.Job.State.Final() {
			h.Set("Retry-After", "1")
		}
		writeJSON(w, http.StatusOK, existing(appendJob(nil, &a.Job, jobs.Position{Epoch: s.Hub.Epoch(), Seq: a.Job.Seq})))
		return
	}
	h.Set("Retry-After", "1")
	writeJSON(w, http.StatusAccepted, body(a))
}

// existing says in a job's document that the job was there already, and none was made.
func existing(document []byte) []byte {
	return append(document[:len(document)-1], `,"existing":true}`...)
}

// acceptedBody is the job as accepted; also the reply to a submit over WebSocket.
func (s *Server) acceptedBody(a jobs.Accepted) []byte {
	pos := jobs.Position{Epoch: s.Hub.Epoch(), Seq: a.Job.Seq}
	b := append(make([]byte, 0, 1024), '{')
	b = a.Job.AppendMembers(b, pos)
	b = append(b, `,"progress_state":"`+progressState(&a.Job)+`","queue_position":`...)
	b = strconv.AppendInt(b, a.Position, 10)
	b = append(b, `,"links":`...)
	return append(jobs.AppendLinks(b, a.Job.ID), '}')
}

// progressState is the word for an unfinished job.
func progressState(j *jobs.Job) string {
	if j.StartedAt.IsZero() {
		return "IN_QUEUE"
	}
	return "IN_PROGRESS"
}

// idempotencyKey reads the Idempotency-Key header (draft-ietf-httpapi-idempotency-key-header):
// a quoted string or a bare one, which are the same key.
func idempotencyKey(r *http.Request, body []byte) (*jobs.Key, error) {
	values := r.Header.Values("Idempotency-Key")
	if len(values) == 0 {
		return nil, nil
	}
	key, ok := parseKey(values)
	if !ok {
		return nil, jobs.NewProblem(jobs.BadMessage, "Malformed Idempotency-Key", "Send one Idempotency-Key of 1 to 255 printable ASCII characters, quoted or not.")
	}
	print := sha256.Sum256(body)
	return &jobs.Key{Scope: keyScope(identity(r), r.Method, r.URL.Path), Key: key, Fingerprint: print[:], Until: time.Now().Add(24 * time.Hour)}, nil
}

// keyScope is where an idempotency key is known: the same key of another caller, or for
// another path, is another one. Tokens and sessions count as the key that they came from.
func keyScope(who auth.Identity, method, path string) string {
	return who.Tenant + " " + cmp.Or(who.Key, who.Name) + " " + method + " " + path
}

func parseKey(values []string) (string, bool) {
	if len(values) != 1 {
		return "", false
	}
	key := strings.TrimSpace(values[0])
	if inner, ok := strings.CutPrefix(key, `"`); ok {
		var b strings.Builder
		closed := false
		for i := 0; i < len(inner); i++ {
			c := inner[i]
			if closed {
				return "", false
			}
			switch c {
			case '"':
				closed = true
				continue
			case '\\':
				if i++; i == len(inner) || (inner[i] != '"' && inner[i] != '\\') {
					return "", false
				}
				c = inner[i]
			}
			b.WriteByte(c)
		}
		if key = b.String(); !closed {
			return "", false
		}
	}
	for i := range len(key) {
		if key[i] < 0x20 || key[i] > 0x7e {
			return "", false
		}
	}
	return key, key != "" && len(key) <= 255
}

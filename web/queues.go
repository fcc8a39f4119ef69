package web

import (
	"net/http"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"

	"jobhub/hub"
	"jobhub/jobs"
)

// listQueues is GET /v1/queues.
func (s *Server) listQueues(w http.ResponseWriter, r *http.Request) {
	queues, pos, err := s.Store.Queues(r.Context(), tenant(r))
	if err != nil {
		s.fail(w, r, err)
		return
	}
	b := []byte(`{"queues":[`)
	for i := range queues {
		if i > 0 {
			b = append(b, ',')
		}
		b = s.appendQueue(b, &queues[i])
	}
	b = append(b, `],"epoch":"`+pos.Epoch+`","seq":`...)
	b = strconv.AppendUint(b, pos.Seq, 10)
	writeJSON(w, http.StatusOK, append(b, '}'))
}

// getQueue is GET /v1/queues/{name}.
func (s *Server) getQueue(w http.ResponseWriter, r *http.Request) {
	queues, _, err := s.Store.Queues(r.Context(), tenant(r))
	if err != nil {
		s.fail(w, r, err)
		return
	}
	for i := range queues {
		if queues[i].Name == r.PathValue("name") {
			writeJSON(w, http.StatusOK, s.appendQueue(nil, &queues[i]))
			return
		}
	}
	s.fail(w, r, jobs.NewProblem(jobs.NotFound, "Not found", "There is no queue %s; it comes into being with its first job or limit.", r.PathValue("name")))
}

func (s *Server) appendQueue(b []byte, q *jobs.QueueInfo) []byte {
	now := time.Now()
	rates := hub.RatesOf(s.Hub.Meter.Series(q.Tenant, q.Name, now))
	doc := struct {
		Name   string           `json:"name"`
		Paused bool             `json:"paused"`
		Pause  *jobs.Pause      `json:"pause,omitzero"`
		States map[string]int64 `json:"states"`
		Oldest *int64           `json:"oldest_ms"`
		Rates  struct {
			In     float64 `json:"in"`
			Out    float64 `json:"out"`
			Failed float64 `json:"failed"`
		} `json:"rates"`
		Limits    limits     `json:"limits"`
		Callbacks jobs.Value `json:"callbacks,omitzero"`
	}{Name: q.Name, Paused: q.Settings.Paused != nil, Pause: q.Settings.Paused, States: map[string]int64{}, Limits: limitsOf(q.Settings)}
	for _, state := range jobs.States {
		doc.States[state.String()] = q.Counts[state]
	}
	if list := q.Settings.Callbacks; len(list) > 0 {
		doc.Callbacks = jobs.AppendCallbacks(nil, list)
	}
	if !q.OldestAt.IsZero() {
		ms := now.Sub(q.OldestAt).Milliseconds()
		doc.Oldest = &ms
	}
	doc.Rates.In, doc.Rates.Out, doc.Rates.Failed = rates.In, rates.Out, rates.Failed
	body, err := json.Marshal(doc, json.Deterministic(true))
	if err != nil { // numbers and texts only
		panic(err)
	}
	return append(b, body...)
}

// limits are the settings of a queue in JSON; null for no limit.
type limits struct {
	Concurrency  *int    `json:"concurrency"`
	Rate         *string `json:"rate"`
	Capacity     *int    `json:"capacity"`
	PerKey       *int    `json:"per_key"`
	QueueTimeout *string `json:"queue_timeout"`
}

func limitsOf(s jobs.QueueSettings) (l limits) {
	number := func(n int) *int {
		if n == 0 {
			return nil
		}
		return &n
	}
	l.Concurrency, l.Capacity, l.PerKey = number(s.Concurrency), number(s.Capacity), number(s.PerKey)
	if s.Rate.N > 0 {
		text := s.Rate.String()
		l.Rate = &text
	}
	if s.QueueTimeout > 0 {
		text := time.Duration(s.QueueTimeout).String()
		l.QueueTimeout = &text
	}
	return l
}

// patchQueue is PATCH /v1/queues/{name}: the limits flat, null to lift one.
func (s *Server) patchQueue(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Concurrency  jobs.Value `json:"concurrency"`
		Rate         jobs.Value `json:"rate"`
		Capacity     jobs.Value `json:"capacity"`
		PerKey       jobs.Value `json:"per_key"`
		QueueTimeout jobs.Value `json:"queue_timeout"`
	}
	if _, err := decodeBody(w, r, maxReport, &in); err != nil {
		s.fail(w, r, err)
		return
	}
	s.configure(w, r, func(set *jobs.QueueSettings) error {
		for _, limit := range []struct {
			pointer string
			value   jobs.Value
			to      *int
		}{{"/concurrency", in.Concurrency, &set.Concurrency}, {"/capacity", in.Capacity, &set.Capacity}, {"/per_key", in.PerKey, &set.PerKey}} {
			if limit.value == nil {
				continue
			}
			var n *int
			if err := json.Unmarshal(limit.value, &n); err != nil || (n != nil && (*n < 1 || *n > 1_000_000_000)) {
				return invalidMember(limit.pointer, "must be a whole number from 1, or null for no limit")
			}
			if *limit.to = 0; n != nil {
				*limit.to = *n
			}
		}
		if in.Rate != nil {
			var text *string
			set.Rate = jobs.Rate{}
			if err := json.Unmarshal(in.Rate, &text); err != nil {
				return invalidMember("/rate", `must be like "10/s", "100/m" or "5/30s", or null for no limit`)
			}
			if text != nil {
				rate, ok := jobs.ParseRate(*text)
				if !ok {
					return invalidMember("/rate", `must be like "10/s", "100/m" or "5/30s", or null for no limit`)
				}
				set.Rate = rate
			}
		}
		if in.QueueTimeout != nil {
			var d *jobs.Duration
			if err := json.Unmarshal(in.QueueTimeout, &d); err != nil || (d != nil && (time.Duration(*d) < time.Millisecond || time.Duration(*d) > maxDelay)) {
				return invalidMember("/queue_timeout", `must be a duration like "30s", from 1ms to ten years, or null for none`)
			}
			if set.QueueTimeout = 0; d != nil {
				set.QueueTimeout = *d
			}
		}
		return nil
	})
}

// pauseQueue is POST /v1/queues/{name}/pause; resumeQueue …/resume.
func (s *Server) pauseQueue(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Reason string `json:"reason"`
	}
	if _, err := decodeBody(w, r, maxReport, &in); err != nil {
		s.fail(w, r, err)
		return
	}
	if len(in.Reason) > 1000 {
		s.fail(w, r, invalidMember("/reason", "must be up to 1000 bytes"))
		return
	}
	s.configure(w, r, func(set *jobs.QueueSettings) error {
		if set.Paused == nil {
			set.Paused = &jobs.Pause{At: time.Now().Truncate(time.Millisecond).UTC(), By: identity(r).Name, Reason: in.Reason}
		}
		return nil
	})
}

func (s *Server) resumeQueue(w http.ResponseWriter, r *http.Request) {
	s.configure(w, r, func(set *jobs.QueueSettings) error { set.Paused = nil; return nil })
}

func (s *Server) configure(w http.ResponseWriter, r *http.Request, edit func(*jobs.QueueSettings) error) {
	name := r.PathValue("name")
	if !jobs.WellFormedName(name) {
		s.fail(w, r, jobs.NewProblem(jobs.NotFound, "Not found", "There can be no such queue: a name is 1 to 64 of a-z 0-9 . _ -"))
		return
	}
	if err := s.Engine.Configure(r.Context(), tenant(r), name, edit); err != nil {
		s.fail(w, r, err)
		return
	}
	s.getQueue(w, r)
}

package api

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"jobhub/hub"
	"jobhub/jobs"
	"jobhub/web/rest"
)

// listQueues is GET /v1/queues. The cursor is the last queue name of the page before.
func (s *Server) listQueues(w http.ResponseWriter, r *http.Request) error {
	query, err := rest.ReadQuery(r, "limit", "cursor")
	limit := rest.MaxQueues
	if err == nil && query.Has("limit") {
		if limit, err = strconv.Atoi(query.Get("limit")); err != nil || limit < 1 || limit > rest.MaxQueues {
			err = rest.BadParameter("limit", "must be a number from 1 to "+strconv.Itoa(rest.MaxQueues))
		}
	}
	if err != nil {
		return err
	}
	queues, pos, err := s.Store.Queues(r.Context(), rest.Tenant(r))
	if err != nil {
		return err
	}
	queues, next := QueuesPage(queues, query.Get("cursor"), limit)
	b := []byte(`{"queues":[`)
	for i := range queues {
		if i > 0 {
			b = append(b, ',')
		}
		if b, err = s.appendQueue(b, &queues[i]); err != nil {
			return err
		}
	}
	b = append(b, ']')
	if next != "" {
		b = rest.AppendText(append(b, `,"next_cursor":`...), next)
		query.Set("cursor", next)
		w.Header().Set("Link", `</v1/queues?`+query.Encode()+`>; rel="next"`)
	}
	b = append(b, `,"epoch":"`+pos.Epoch+`","seq":`...)
	b = strconv.AppendUint(b, pos.Seq, 10)
	return rest.WriteJSON(w, http.StatusOK, append(b, '}'))
}

// getQueue is GET /v1/queues/{name}.
func (s *Server) getQueue(w http.ResponseWriter, r *http.Request) error {
	queue, _, err := s.FindQueue(r.Context(), rest.Tenant(r), r.PathValue("name"))
	if err != nil {
		return err
	}
	body, err := s.appendQueue(nil, &queue)
	if err != nil {
		return err
	}
	return rest.WriteJSON(w, http.StatusOK, body)
}

func (s *Server) appendQueue(b []byte, q *jobs.QueueInfo) ([]byte, error) {
	now := time.Now()
	rates, _ := hub.RatesOf(s.Hub.Meter.Series(q.Tenant, q.Name, hub.Fine, now))
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
		Limits    QueueLimits `json:"limits"`
		Callbacks jobs.Value  `json:"callbacks,omitzero"`
	}{Name: q.Name, Paused: q.Settings.Paused != nil, Pause: q.Settings.Paused, States: map[string]int64{}, Limits: NewQueueLimits(q.Settings)}
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
	body, err := json.Marshal(doc, json.Deterministic(true), jsontext.AllowInvalidUTF8(true))
	return append(b, body...), err
}

// QueueLimits is the limits of a queue in JSON; null for no limit.
type QueueLimits struct {
	Concurrency  *int    `json:"concurrency"`
	Rate         *string `json:"rate"`
	Capacity     *int    `json:"capacity"`
	PerKey       *int    `json:"per_key"`
	QueueTimeout *string `json:"queue_timeout"`
}

// NewQueueLimits returns the limits in the settings of a queue.
func NewQueueLimits(s jobs.QueueSettings) (l QueueLimits) {
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

// LimitsPatch is the body of PATCH /v1/queues/{name}: a member sets a limit, null removes it.
type LimitsPatch struct {
	Concurrency  jobs.Value `json:"concurrency"`
	Rate         jobs.Value `json:"rate"`
	Capacity     jobs.Value `json:"capacity"`
	PerKey       jobs.Value `json:"per_key"`
	QueueTimeout jobs.Value `json:"queue_timeout"`
}

// changes returns the members, each with the function that applies it.
func (in *LimitsPatch) changes() []limitChange {
	number := func(to func(*jobs.QueueSettings) *int) func(jobs.Value, *jobs.QueueSettings) string {
		return func(v jobs.Value, set *jobs.QueueSettings) string {
			var n *int
			if err := json.Unmarshal(v, &n); err != nil || (n != nil && (*n < 1 || *n > 1_000_000_000)) {
				return "must be a whole number from 1, or null for no limit"
			}
			if *to(set) = 0; n != nil {
				*to(set) = *n
			}
			return ""
		}
	}
	return []limitChange{
		{"concurrency", in.Concurrency, number(func(s *jobs.QueueSettings) *int { return &s.Concurrency })},
		{"capacity", in.Capacity, number(func(s *jobs.QueueSettings) *int { return &s.Capacity })},
		{"per_key", in.PerKey, number(func(s *jobs.QueueSettings) *int { return &s.PerKey })},
		{"rate", in.Rate, func(v jobs.Value, set *jobs.QueueSettings) string {
			var text *string
			rate, ok := jobs.Rate{}, true
			err := json.Unmarshal(v, &text)
			if err == nil && text != nil {
				rate, ok = jobs.ParseRate(*text)
			}
			if err != nil || !ok {
				return `must be like "10/s", "100/m" or "5/30s", or null for no limit`
			}
			set.Rate = rate
			return ""
		}},
		{"queue_timeout", in.QueueTimeout, func(v jobs.Value, set *jobs.QueueSettings) string {
			var d *jobs.Duration
			if err := json.Unmarshal(v, &d); err != nil || (d != nil && (time.Duration(*d) < time.Millisecond || time.Duration(*d) > maxDelay)) {
				return `must be a duration like "30s", from 1ms to ten years, or null for none`
			}
			if set.QueueTimeout = 0; d != nil {
				set.QueueTimeout = *d
			}
			return ""
		}},
	}
}

// limitChange is one member of a LimitsPatch.
type limitChange struct {
	name  string
	value jobs.Value                                           // nil if it is not given
	apply func(jobs.Value, *jobs.QueueSettings) (fault string) // what the value must be, empty if it is valid
}

// Apply changes the settings. It returns a *jobs.Problem for the first invalid member.
func (in *LimitsPatch) Apply(set *jobs.QueueSettings) error {
	for _, e := range in.changes() {
		if e.value == nil {
			continue
		}
		if fault := e.apply(e.value, set); fault != "" {
			return rest.InvalidMember("/"+e.name, fault)
		}
	}
	return nil
}

// FieldErrors returns what is wrong with each invalid member, by its name, worded for a form.
func (in *LimitsPatch) FieldErrors() map[string]string {
	all, set := map[string]string{}, jobs.QueueSettings{}
	for _, e := range in.changes() {
		if e.value == nil {
			continue
		}
		if fault := e.apply(e.value, &set); fault != "" {
			fault, _, _ = strings.Cut(fault, ", or null")
			all[e.name] = strings.ReplaceAll(fault, `"`, "")
		}
	}
	return all
}

// patchQueue is PATCH /v1/queues/{name}.
func (s *Server) patchQueue(w http.ResponseWriter, r *http.Request) error {
	var in LimitsPatch
	if _, err := rest.DecodeBody(w, r, rest.MaxReport, &in); err != nil {
		return err
	}
	return s.configure(w, r, func(name string) error { return s.Engine.Queues.Configure(r.Context(), rest.Tenant(r), name, in.Apply) })
}

// pauseQueue is POST /v1/queues/{name}/pause.
func (s *Server) pauseQueue(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Reason string `json:"reason"`
	}
	if _, err := rest.DecodeBody(w, r, rest.MaxReport, &in); err != nil {
		return err
	}
	return s.configure(w, r, func(name string) error {
		return s.Engine.Queues.Pause(r.Context(), rest.Tenant(r), name, rest.IdentityOf(r).Name, in.Reason)
	})
}

// resumeQueue is POST /v1/queues/{name}/resume.
func (s *Server) resumeQueue(w http.ResponseWriter, r *http.Request) error {
	return s.configure(w, r, func(name string) error { return s.Engine.Queues.Resume(r.Context(), rest.Tenant(r), name) })
}

// configure calls change for the queue in the path, and answers with the changed queue.
func (s *Server) configure(w http.ResponseWriter, r *http.Request, change func(name string) error) error {
	name := r.PathValue("name")
	err := change(name)
	if errors.Is(err, jobs.ErrNotFound) {
		err = jobs.NewProblem(jobs.NotFound, "Not found", "This is not the name of a queue: a name is "+jobs.NameRule)
	}
	if err != nil {
		return err
	}
	return s.getQueue(w, r)
}

// FindQueue returns a queue and the position of which it is, or a not-found problem.
func (s *Server) FindQueue(ctx context.Context, tenant, name string) (jobs.QueueInfo, jobs.Position, error) {
	queues, pos, err := s.Store.Queues(ctx, tenant)
	if err != nil {
		return jobs.QueueInfo{}, pos, err
	}
	at := slices.IndexFunc(queues, func(q jobs.QueueInfo) bool { return q.Name == name })
	if at < 0 {
		return jobs.QueueInfo{}, pos, jobs.NewProblem(jobs.NotFound, "Not found", "There is no queue %s. A queue is created by its first job or setting.", name)
	}
	return queues[at], pos, nil
}

// QueuesPage returns up to limit queues of all, which are sorted by name, that come after the
// name after. next is the cursor of the next page, empty if there is none.
func QueuesPage(all []jobs.QueueInfo, after string, limit int) (page []jobs.QueueInfo, next string) {
	from, _ := slices.BinarySearchFunc(all, after, func(q jobs.QueueInfo, name string) int {
		return cmp.Or(strings.Compare(q.Name, name), -1)
	})
	if page = all[from:]; len(page) > limit {
		page = page[:limit]
		next = page[limit-1].Name
	}
	return page, next
}

package client

import (
	"context"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Task is a job as its worker gets it.
type Task struct {
	ID          string
	Kind        string
	Queue       string
	Tags        []string
	Attempt     int // from 1
	MaxAttempts int
	Timeout     time.Duration  // of this attempt
	Input       jsontext.Value // null if there is none
	Checkpoint  jsontext.Value // what an earlier attempt left, or null
	lease       string         // its token is the worker's secret
}

// UnmarshalJSON reads the job as a lease answers it.
func (t *Task) UnmarshalJSON(text []byte) error {
	var in struct {
		Lease       string         `json:"lease"`
		ID          string         `json:"id"`
		Kind        string         `json:"kind"`
		Queue       string         `json:"queue"`
		Tags        []string       `json:"tags"`
		Attempt     int            `json:"attempt"`
		MaxAttempts int            `json:"max_attempts"`
		Timeout     string         `json:"timeout"`
		Input       jsontext.Value `json:"input"`
		Checkpoint  jsontext.Value `json:"checkpoint"`
	}
	if err := json.Unmarshal(text, &in); err != nil {
		return err
	}
	timeout, err := time.ParseDuration(in.Timeout)
	*t = Task{in.ID, in.Kind, in.Queue, in.Tags, in.Attempt, in.MaxAttempts, timeout, in.Input, in.Checkpoint, in.Lease}
	return err
}

// orders is what the hub's answers tell a worker to do.
type orders struct {
	Jobs      []Task            `json:"jobs"`
	Leases    map[string]string `json:"leases"` // ok, cancel or lost
	Directive string            `json:"directive"`
}

// register registers the worker, again if the hub no longer knows it. Its leases are renewed
// under the new id first, so that the hub knows which slots are taken.
func (s *shift) register(ctx context.Context, old string) error {
	s.registering.Lock()
	defer s.registering.Unlock()
	if s.name() != old {
		return nil // another call has done it
	}
	in := struct {
		Name   string   `json:"name"`
		Kinds  []string `json:"kinds"`
		Queues []string `json:"queues"`
		Slots  int      `json:"slots"`
	}{s.Name, s.Kinds, s.Queues, s.Slots}
	var out struct {
		ID   string `json:"worker_id"`
		Beat string `json:"beat"`
		Poll string `json:"poll"`
	}
	if err := s.call(ctx, 0, http.MethodPost, "/v1/workers", in, &out); err != nil {
		return err
	}
	beat, err := time.ParseDuration(out.Beat)
	if err != nil {
		return err
	}
	poll, err := time.ParseDuration(out.Poll)
	if err != nil {
		return err
	}
	if len(s.held()) > 0 {
		if err := s.renewAs(ctx, out.ID, 0); err != nil {
			return err
		}
	}
	s.Logger.Info("registered", "worker", out.ID, "beat", beat)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.id, s.beat, s.poll = out.ID, max(beat, time.Millisecond), poll
	if old == "" {
		s.renewing.Go(func() { s.renewals(s.calling) })
	}
	return nil
}

// lease waits for jobs and starts them.
func (s *shift) lease(ctx context.Context, free int) error {
	s.mu.Lock()
	id, poll := s.id, s.poll
	s.mu.Unlock()
	polling, cancel := context.WithCancel(s.calling)
	defer cancel()
	// Jobs in the answer to a poll that is cut off would be lost until their leases expire. So
	// the worker asks the hub to end the poll.
	defer context.AfterFunc(ctx, func() {
		time.AfterFunc(farewell, cancel)
		s.call(s.calling, 0, http.MethodPost, "/v1/workers/"+id+"/quiet", nil, nil)
	})()
	in := struct {
		Max  int    `json:"max"`
		Wait string `json:"wait"`
	}{free, poll.String()}
	var out orders
	err := s.call(polling, poll, http.MethodPost, "/v1/workers/"+id+"/lease", in, &out)
	if p, ok := problem(err); ok && p.Status == http.StatusNotFound {
		return s.register(ctx, id)
	}
	if err != nil {
		return err
	}
	for _, t := range out.Jobs {
		r := s.newRun(t)
		if ctx.Err() != nil {
			r.ended.Store(true)
			go s.end(r, outcome{"release", nil})
			continue
		}
		go s.attempt(r)
	}
	for _, token := range s.obey(out) { // the answer with this job was lost
		go s.end(s.newRun(Task{lease: token}), outcome{"release", nil})
	}
	return nil
}

const (
	farewell = 2 * time.Second       // how long the hub may take to end a poll
	unheard  = 50 * time.Millisecond // pause before listening: short jobs end sooner
)

// listen waits, while all slots are taken, for a directive of the hub or a free slot.
func (s *shift) listen(ctx context.Context, changed <-chan struct{}) error {
	listening, cancel := context.WithCancel(ctx)
	defer cancel()
	select {
	case <-changed:
		return nil
	case <-time.After(unheard):
	case <-ctx.Done():
		return nil
	}
	go func() {
		select {
		case <-changed:
			cancel()
		case <-listening.Done():
		}
	}()
	s.mu.Lock()
	wait := s.beat
	s.mu.Unlock()
	if err := s.renew(listening, wait); listening.Err() == nil {
		return err
	}
	return nil
}

// renewals renews the leases until ctx ends.
func (s *shift) renewals(ctx context.Context) {
	s.mu.Lock()
	next := s.beat
	s.mu.Unlock()
	for failures := 0; sleep(ctx, next); {
		s.mu.Lock()
		idle := s.id == "" || len(s.runs) == 0 && !s.quiet
		s.mu.Unlock()
		if idle { // the poll for jobs shows the hub that the worker lives
			failures = 0
		} else if err := s.renew(ctx, 0); err != nil {
			failures++
			next = 0
			s.wait(ctx, "renewing leases", failures, err)
			continue
		}
		failures = 0
		s.mu.Lock()
		next = s.beat
		s.mu.Unlock()
	}
}

// renew renews all leases. With wait the call returns early on a directive.
func (s *shift) renew(ctx context.Context, wait time.Duration) error {
	id := s.name()
	err := s.renewAs(ctx, id, wait)
	if p, ok := problem(err); ok && p.Status == http.StatusNotFound {
		return s.register(ctx, id)
	}
	return err
}

func (s *shift) renewAs(ctx context.Context, id string, wait time.Duration) error {
	in := struct {
		Leases []string `json:"leases"`
		Wait   string   `json:"wait"`
	}{Wait: wait.String()}
	for _, r := range s.held() {
		in.Leases = append(in.Leases, r.Job.lease)
	}
	var out orders
	if err := s.call(ctx, wait, http.MethodPost, "/v1/workers/"+id+"/beat", in, &out); err != nil {
		return err
	}
	s.obey(out)
	return nil
}

// obey does what the hub says, and returns the leases that the hub lists for this worker but
// that it does not have.
func (s *shift) obey(o orders) (unknown []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for token, state := range o.Leases {
		switch r := s.runs[token]; {
		case r == nil && state != "lost" && !s.settled.known[token]:
			unknown = append(unknown, token)
		case r == nil:
		case state == "cancel":
			r.cancel(ErrCancelled)
		case state == "lost" && !r.settling.Load(): // otherwise the answer to its outcome says whether that counts
			r.lose()
		}
	}
	switch o.Directive {
	case "quiet":
		s.quiet = true
	case "terminate":
		s.stop()
	}
	return unknown
}

// call sends one request of the worker; the answer may take as long as wait plus patience.
func (s *shift) call(ctx context.Context, wait time.Duration, method, path string, in, out any) error {
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return err
		}
	}
	if out == nil {
		out = new(jsontext.Value)
	}
	ctx, cancel := context.WithTimeout(ctx, wait+patience)
	defer cancel()
	return s.heard(s.client.call(ctx, method, path, nil, body, out))
}

// heard records whether the hub has answered a call.
func (s *shift) heard(err error) error {
	if err == nil {
		s.answered()
	}
	return err
}

// send is call for a request about one lease, with a body of that content type.
func (s *shift) send(ctx context.Context, path, contentType string, body []byte, out any) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return s.heard(s.client.call(ctx, http.MethodPost, path, http.Header{"Content-Type": {contentType}}, body, out))
}

package call

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json"

	"jobhub/jobs"
	"jobhub/jobs/engine"
	"jobhub/jobs/sqlite"
)

// reply is how an upstream answers one request: after a while, with a status.
type reply struct {
	after  time.Duration
	status int // 0 for a broken connection
	header http.Header
	body   string
}

// upstreams answers without a network: each host its replies in turn, the last one for ever.
type upstreams struct {
	mu      sync.Mutex // protects the fields below
	replies map[string][]reply
	calls   []string // host and Jobhub-Attempt
	ended   []string // hosts whose caller hung up
}

func (u *upstreams) RoundTrip(r *http.Request) (*http.Response, error) {
	host := r.URL.Hostname()
	u.mu.Lock()
	u.calls = append(u.calls, strings.TrimSuffix(host, ".test")+r.Header.Get("Jobhub-Attempt"))
	list := u.replies[host]
	if len(list) > 1 {
		u.replies[host] = list[1:]
	}
	u.mu.Unlock()
	select {
	case <-time.After(list[0].after):
	case <-r.Context().Done():
		u.mu.Lock()
		u.ended = append(u.ended, host)
		u.mu.Unlock()
		return nil, r.Context().Err()
	}
	if list[0].status == 0 {
		return nil, errors.New("broken")
	}
	h := list[0].header.Clone()
	if h == nil {
		h = http.Header{"Content-Type": {"application/json"}}
	}
	return &http.Response{StatusCode: list[0].status, Header: h, Body: io.NopCloser(strings.NewReader(list[0].body)), Request: r}, nil
}

func (u *upstreams) called() string {
	u.mu.Lock()
	defer u.mu.Unlock()
	slices.Sort(u.calls)
	return strings.Join(u.calls, " ")
}

// fanWorld is an engine with fan-outs, in time that the test controls.
type fanWorld struct {
	*testing.T
	*upstreams
	dir    string
	store  *sqlite.Store
	engine *engine.Engine
}

func inFanWorld(t *testing.T, replies map[string][]reply, test func(w *fanWorld)) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := &fanWorld{T: t, dir: dir, upstreams: &upstreams{replies: map[string][]reply{}}}
		for name, list := range replies {
			w.replies[name+".test"] = list
		}
		w.open()
		defer func() { w.close(time.Minute) }()
		test(w)
	})
}

func (w *fanWorld) open() {
	w.Helper()
	var err error
	if w.store, err = sqlite.Open(context.Background(), w.dir, sqlite.Options{}); err != nil {
		w.Fatal(err)
	}
	h := Fanout(Options{})
	c := newCaller(Options{MaxBody: 1000})
	c.transport = w.upstreams
	h.Run = func(ctx context.Context, run jobs.Run) (jobs.Result, error) { return c.fanOut(ctx, run.Job(), run) }
	if w.engine, err = engine.Open(context.Background(), engine.Options{Store: w.store, Handlers: map[string]jobs.Handler{"fanout": h}, Slots: 1}); err != nil {
		w.Fatal(err)
	}
}

func (w *fanWorld) close(grace time.Duration) {
	w.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	if err := errors.Join(w.engine.Close(ctx), w.store.Close()); err != nil {
		w.Error(err)
	}
}

func (w *fanWorld) submit(names, policy string, edit func(*jobs.Spec)) jobs.Job {
	w.Helper()
	var targets []string
	for name := range strings.FieldsSeq(names) {
		name, timeout, _ := strings.Cut(name, "/")
		if timeout != "" {
			timeout = `,"timeout":"` + timeout + `"`
		}
		targets = append(targets, fmt.Sprintf(`{"name":%q,"url":"http://%s.test/"%s}`, name, name, timeout))
	}
	s := jobs.Spec{Kind: "fanout", Input: jobs.Value(`{"targets":[` + strings.Join(targets, ",") + `],"policy":"` + policy + `"}`),
		MaxAttempts: 3, Backoff: jobs.Backoff{Kind: jobs.Fixed, Initial: 10 * time.Second, Max: 10 * time.Second}}
	if edit != nil {
		edit(&s)
	}
	a, err := w.engine.Submit(context.Background(), s)
	if err != nil {
		w.Fatal(err)
	}
	return a.Job
}

func (w *fanWorld) get(id jobs.ID) jobs.Job {
	w.Helper()
	j, _, err := w.store.Job(context.Background(), jobs.DefaultTenant, id)
	if err != nil {
		w.Fatal(err)
	}
	return j
}

func (w *fanWorld) await(id jobs.ID) jobs.Job {
	w.Helper()
	j, err := w.engine.Wait(context.Background(), jobs.DefaultTenant, id)
	if err != nil {
		w.Fatal(err)
	}
	return j
}

func (w *fanWorld) expect(what string, got, want any) {
	w.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		w.Errorf("%s: %v, want %v", what, got, want)
	}
}

// brief is a result in short: name, state, status and attempts of each target, in order.
func brief(t *testing.T, result jobs.Value) string {
	t.Helper()
	if result == nil {
		return ""
	}
	var doc struct {
		Targets          jobs.Value `json:"targets"`
		Completed, Total int
	}
	if err := json.Unmarshal(result, &doc, json.MatchCaseInsensitiveNames(true)); err != nil {
		t.Fatalf("%s: %v", result, err)
	}
	var known map[string]targetResult
	if err := json.Unmarshal(doc.Targets, &known); err != nil {
		t.Fatal(err)
	}
	names := make([]string, 0, len(known))
	for name := range known {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { // in the order of the text
		return strings.Index(string(doc.Targets), `"`+a+`":{"state"`) - strings.Index(string(doc.Targets), `"`+b+`":{"state"`)
	})
	var words []string
	for _, name := range names {
		k := known[name]
		status := "null"
		if k.Status != nil {
			status = fmt.Sprint(*k.Status)
		}
		words = append(words, fmt.Sprintf("%s:%s:%s:%d", name, k.State, status, k.Attempts))
	}
	return strings.Join(append(words, fmt.Sprintf("%d/%d", doc.Completed, doc.Total)), " ")
}

const ms = time.Millisecond

// Targets are called at once; what came of one can be read while the rest runs.
func TestFanout(t *testing.T) {
	inFanWorld(t, map[string][]reply{"slow": {{300 * ms, 201, http.Header{"Content-Type": {"text/plain"}, "X-A": {"1", "2"}}, "hi"}}, "fast": {{100 * ms, 200, nil, `{"n":1.50}`}}}, func(w *fanWorld) {
		began := time.Now()
		j := w.submit("slow fast", "", nil)
		time.Sleep(50 * ms)
		w.expect("at first", brief(w.T, w.get(j.ID).Result), "slow:running:null:0 fast:running:null:0 0/2")
		time.Sleep(150 * ms)
		half := w.get(j.ID)
		w.expect("half way", brief(w.T, half.Result), "slow:running:null:0 fast:succeeded:200:1 1/2")
		if half.State != jobs.Running || *half.Progress.Percent != 50 || half.Progress.Message != "1 of 2 targets" || brief(w.T, half.Progress.Data) != brief(w.T, half.Result) || !strings.Contains(string(half.Result), `"body":{"n":1.50}`) {
			w.Errorf("%s %+v %s", half.State, half.Progress, half.Result)
		}
		j = w.await(j.ID)
		if took := time.Since(began); took < 300*ms || took > 330*ms {
			w.Errorf("it took %s", took)
		}
		w.expect("result", string(j.Result), `{"targets":{"slow":{"state":"succeeded","status":201,"headers":{"content-type":"text/plain","x-a":"1, 2"},"body":"hi","attempts":1,"ms":300},`+
			`"fast":{"state":"succeeded","status":200,"headers":{"content-type":"application/json"},"body":{"n":1.50},"attempts":1,"ms":100}},"completed":2,"total":2}`)
		events, err := w.store.Read(context.Background(), jobs.ReadQuery{Job: j.ID})
		if err != nil {
			w.Fatal(err)
		}
		var told []string
		for _, e := range events {
			if e.Type == jobs.JobProgress {
				var p jobs.Progress
				if err := json.Unmarshal(e.Data, &p); err != nil {
					w.Fatal(err)
				}
				told = append(told, p.Message)
			}
		}
		w.expect("events", told, "[0 of 2 targets 1 of 2 targets 2 of 2 targets]")
	})
}

func TestFanoutPolicies(t *testing.T) {
	ok, bad := reply{100 * ms, 200, nil, `1`}, reply{200 * ms, 404, nil, `2`}
	late := reply{time.Hour, 200, nil, `3`}
	for name, c := range map[string]struct {
		policy  string
		replies [3]reply // of a, b and c
		state   jobs.State
		took    time.Duration
		result  string
	}{
		"all":             {"all", [3]reply{ok, ok, ok}, jobs.Succeeded, 100 * ms, "a:succeeded:200:1 b:succeeded:200:1 c:succeeded:200:1 3/3"},
		"all, one failed": {"all", [3]reply{ok, bad, late}, jobs.Failed, time.Hour, "a:succeeded:200:1 b:failed:404:1 c:succeeded:200:1 3/3"},
		"any":             {"any", [3]reply{late, bad, ok}, jobs.Succeeded, 100 * ms, "a:cancelled:null:0 b:cancelled:null:0 c:succeeded:200:1 1/3"},
		"any of bad":      {"any", [3]reply{bad, bad, bad}, jobs.Failed, 200 * ms, "a:failed:404:1 b:failed:404:1 c:failed:404:1 3/3"},
		"quorum":          {"quorum:2", [3]reply{ok, late, ok}, jobs.Succeeded, 100 * ms, "a:succeeded:200:1 b:cancelled:null:0 c:succeeded:200:1 2/3"},
		"quorum missed":   {"quorum:2", [3]reply{late, bad, bad}, jobs.Failed, 200 * ms, "a:cancelled:null:0 b:failed:404:1 c:failed:404:1 2/3"},
		"settled":         {"settled", [3]reply{bad, ok, bad}, jobs.Succeeded, 200 * ms, "a:failed:404:1 b:succeeded:200:1 c:failed:404:1 3/3"},
	} {
		t.Run(name, func(t *testing.T) {
			inFanWorld(t, map[string][]reply{"a": {c.replies[0]}, "b": {c.replies[1]}, "c": {c.replies[2]}}, func(w *fanWorld) {
				began := time.Now()
				j := w.await(w.submit("a b c", c.policy, func(s *jobs.Spec) { s.Timeout = 2 * time.Hour }).ID)
				if took := time.Since(began); took < c.took || took > c.took+20*ms {
					w.Errorf("it took %s, want %s", took, c.took)
				}
				w.expect("end", fmt.Sprint(j.State, " ", brief(w.T, j.Result)), fmt.Sprint(c.state, " ", c.result))
				if (j.Error != nil) != (c.state == jobs.Failed) || j.Error != nil && (j.Error.Code != FanoutFailed || !strings.Contains(j.Error.Detail, "b")) {
					w.Errorf("error %v", j.Error)
				}
				if hung := strings.Count(c.result, "cancelled"); len(w.ended) != hung {
					w.Errorf("hung up on %v, want %d", w.ended, hung)
				}
			})
		})
	}
}

// Each target is tried again by the rules of kind http; meanwhile the slot is free.
func TestFanoutRetries(t *testing.T) {
	inFanWorld(t, map[string][]reply{
		"a": {{0, 503, http.Header{"Retry-After": {"60"}}, "x"}, {0, 200, nil, `1`}},
		"b": {{0, 0, nil, ""}, {0, 429, nil, ""}, {0, 500, nil, "end"}},
		"c": {{0, 400, nil, "bad"}},
		"d": {{0, 200, nil, `4`}},
	}, func(w *fanWorld) {
		began := time.Now()
		j := w.submit("a b c", "any", nil)
		time.Sleep(5 * time.Second)
		now := w.get(j.ID)
		w.expect("while it waits", fmt.Sprint(now.State, " ", brief(w.T, now.Result)), "scheduled a:retrying:503:1 b:retrying:null:1 c:failed:400:1 1/3")
		if d := w.await(w.submit("d", "", nil).ID); time.Since(began) > 6*time.Second { // there is one slot only
			w.Errorf("the slot was not free: %s", d.State)
		}
		j = w.await(j.ID)
		if took := time.Since(began); took < time.Minute || took > time.Minute+100*ms {
			w.Errorf("it took %s", took)
		}
		w.expect("end", fmt.Sprint(j.State, j.Attempt, " ", brief(w.T, j.Result)), "succeeded 1 a:succeeded:200:2 b:failed:500:3 c:failed:400:1 3/3")
		w.expect("calls", w.called(), "a1 a2 b1 b2 b3 c1 d1")
		if !strings.Contains(string(j.Result), `"error":{"type":"urn:jobhub:problem:upstream_status"`) {
			w.Errorf("%s", j.Result)
		}
	})
}

// What is done is not done again after a restart, and what was under way costs no attempt.
func TestFanoutAfterARestart(t *testing.T) {
	inFanWorld(t, map[string][]reply{"a": {{0, 200, nil, `1`}}, "b": {{time.Minute, 200, nil, `2`}}, "c": {{0, 500, nil, ""}, {0, 200, nil, `3`}}}, func(w *fanWorld) {
		j := w.submit("a b c", "", nil)
		time.Sleep(time.Second)
		w.close(0)
		w.open()
		w.expect("kept", brief(w.T, w.get(j.ID).Result), "a:succeeded:200:1 b:running:null:0 c:retrying:500:1 1/3")
		j = w.await(j.ID)
		w.expect("end", fmt.Sprint(j.State, j.Attempt, " ", brief(w.T, j.Result)), "succeeded 1 a:succeeded:200:1 b:succeeded:200:1 c:succeeded:200:2 3/3")
		w.expect("calls", w.called(), "a1 b1 b1 c1 c2")
	})
}

func TestFanoutCancel(t *testing.T) {
	inFanWorld(t, map[string][]reply{"a": {{0, 200, nil, `1`}}, "b": {{time.Hour, 200, nil, ``}}, "c": {{time.Hour, 200, nil, ``}}}, func(w *fanWorld) {
		j := w.submit("a b c", "", nil)
		time.Sleep(time.Second)
		if _, _, err := w.engine.Cancel(context.Background(), jobs.DefaultTenant, j.ID); err != nil {
			w.Fatal(err)
		}
		j = w.await(j.ID)
		w.expect("end", fmt.Sprint(j.State, " ", brief(w.T, j.Result)), "cancelled a:succeeded:200:1 b:cancelled:null:0 c:cancelled:null:0 1/3")
		w.expect("hung up", len(w.ended), 2)
	})
}

func TestFanoutTimeouts(t *testing.T) {
	hang := []reply{{time.Hour, 200, nil, ``}}
	inFanWorld(t, map[string][]reply{"a": {{0, 200, nil, `1`}}, "b": hang, "c": hang}, func(w *fanWorld) {
		began := time.Now()
		j := w.await(w.submit("a b/5s", "", nil).ID)
		w.expect("of a target", fmt.Sprint(j.State, j.Attempt, " ", brief(w.T, j.Result)), "failed 1 a:succeeded:200:1 b:failed:null:3 2/2")
		if took := time.Since(began); took < 31*time.Second || took > 36*time.Second || !strings.Contains(string(j.Result), `"code":"timeout"`) {
			w.Errorf("three attempts of 5s with 10s between them took %s: %s", took, j.Result)
		}
		j = w.await(w.submit("a c", "", func(s *jobs.Spec) { s.Timeout = time.Minute }).ID)
		w.expect("of the job", fmt.Sprint(j.State, j.Reason, j.Attempt, " ", brief(w.T, j.Result)), "failedtimeout3 a:succeeded:200:1 c:failed:null:3 2/2")
		w.expect("calls", w.called(), "a1 a1 b1 b2 b3 c1 c2 c3")
	})
}

// The answers together are bounded.
func TestFanoutSize(t *testing.T) {
	big := strings.Repeat("x", 600)
	plain := http.Header{"Content-Type": {"text/plain"}}
	inFanWorld(t, map[string][]reply{"a": {{0, 200, plain, big}}, "b": {{time.Second, 200, plain, big}}, "c": {{2 * time.Second, 200, plain, "small"}}}, func(w *fanWorld) {
		j := w.await(w.submit("a b c", "", nil).ID)
		w.expect("end", fmt.Sprint(j.State, " ", brief(w.T, j.Result)), "failed a:succeeded:200:1 b:failed:null:1 c:succeeded:200:1 3/3")
		if !strings.Contains(string(j.Result), `"code":"too_large"`) {
			w.Errorf("%s", j.Result)
		}
	})
}

// A part of a fan-out can be repeated: a new job in which the others keep what came of them.
func TestFanoutRepeat(t *testing.T) {
	inFanWorld(t, map[string][]reply{"a": {{0, 200, nil, `1`}}, "b": {{0, 404, nil, ``}, {0, 200, nil, `2`}}, "c": {{time.Hour, 200, nil, ``}, {0, 200, nil, `3`}}}, func(w *fanWorld) {
		retry := func(id jobs.ID, names ...string) (jobs.Job, error) {
			a, err := w.engine.Retry(context.Background(), jobs.DefaultTenant, id, engine.RetryOptions{Targets: names})
			return a.Job, err
		}
		old := w.await(w.submit("a b", "", nil).ID)
		w.expect("old", brief(w.T, old.Result), "a:succeeded:200:1 b:failed:404:1 2/2")
		for _, wrong := range [][]string{{}, {"x"}, {"b", "b"}, {""}} {
			if _, err := retry(old.ID, wrong...); err == nil || err.(*jobs.Problem).Status != 422 {
				w.Errorf("%q: %v", wrong, err)
			}
		}
		again, err := retry(old.ID, "b")
		if err != nil {
			w.Fatal(err)
		}
		w.expect("accepted", brief(w.T, again.Result), "a:succeeded:200:1 b:running:null:0 1/2")
		done := w.await(again.ID)
		w.expect("end", fmt.Sprint(done.State, done.RetryOf == old.ID, " ", brief(w.T, done.Result)), "succeeded true a:succeeded:200:1 b:succeeded:200:1 2/2")
		w.expect("old again", brief(w.T, w.get(old.ID).Result), brief(w.T, old.Result))
		w.expect("calls", w.called(), "a1 b1 b1")

		// What any has left out is called when it is asked for, though the rest decides.
		old = w.await(w.submit("a c", "any", nil).ID)
		w.expect("any", brief(w.T, old.Result), "a:succeeded:200:1 c:cancelled:null:0 1/2")
		if again, err = retry(old.ID, "c"); err != nil {
			w.Fatal(err)
		}
		done = w.await(again.ID)
		w.expect("its rest", fmt.Sprint(done.State, " ", brief(w.T, done.Result)), "succeeded a:succeeded:200:1 c:succeeded:200:1 2/2")
		if !strings.HasSuffix(string(done.Result), `,"repeated":["c"]}`) {
			w.Errorf("%s", done.Result)
		}
	})
}

// Each target has an idempotency key of its own that its retries share.
func TestFanoutKeys(t *testing.T) {
	keys := map[string][]string{}
	var mu sync.Mutex
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		keys[r.URL.Path] = append(keys[r.URL.Path], r.Header.Get("Idempotency-Key"))
		if len(keys[r.URL.Path]) == 1 {
			w.WriteHeader(503)
		}
	})
	c := newCaller(Options{Allow: loopback})
	input := fmt.Sprintf(`{"targets":[{"name":"a","method":"POST","url":"%s/a"},{"name":"b","method":"POST","url":"%s/b"}]}`, s.URL, s.URL)
	job := &jobs.Job{MaxAttempts: 3, Backoff: jobs.Backoff{Initial: ms, Max: ms}, Input: jobs.Value(input)}
	if _, err := c.fanOut(t.Context(), job, mute{}); err != nil {
		t.Fatal(err)
	}
	id := job.ID.String()
	if want := map[string][]string{"/a": {id + "-a", id + "-a"}, "/b": {id + "-b", id + "-b"}}; fmt.Sprint(keys) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", keys, want)
	}
}

type mute struct{ noOutput }

func (mute) Finally(func())                    {}
func (mute) Partial(jobs.Value, jobs.Progress) {}

package web_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"jobhub/hub"
	"jobhub/jobs"
	"jobhub/jobs/call"
	"jobhub/jobs/egress"
	"jobhub/jobs/engine"
	"jobhub/jobs/sqlite"
	"jobhub/jobs/webhook"
	"jobhub/web"
	"jobhub/web/auth"
)

// patience bounds every wait, so that what never comes fails a test instead of
// hanging it.
const patience = time.Minute

// world is a real hub with a store in a temporary folder and a real socket.
type world struct {
	*web.Server
	t      testing.TB
	store  *sqlite.Store
	engine *engine.Engine
	hub    *hub.Hub
	keys   *auth.Keys
	http   *httptest.Server
	client *http.Client
	bearer string // is sent with every request that has no Authorization of its own, if not empty
	url    string
	close  func()
	served *sync.WaitGroup // has the requests that are being served

	patience time.Duration

	mu      sync.Mutex // protects scripts
	scripts map[string]script
}

// script is how a test plays the handler of one job, step by step.
type script chan func(run jobs.Run) (done bool, res jobs.Result, err error)

func start(t testing.TB) *world { return startIn(t, t.TempDir(), nil) }

// parts is what a world is made with.
type parts struct {
	web    web.Config
	hub    hub.Options
	listen *pipes // instead of a real socket
	wrap   func(jobs.Store) jobs.Store
	mute   bool          // has no handler of deliveries
	guard  *egress.Guard // of routes of the catalogue
	lease  time.Duration // of outside workers
}

// startIn starts a hub on a folder; change, if not nil, alters what it is made with.
func startIn(t testing.TB, dir string, change func(*parts)) *world {
	t.Helper()
	return startOn(t, dir, sqlite.Options{}, change)
}

// startOn is startIn with a store of its own kind.
func startOn(t testing.TB, dir string, store sqlite.Options, change func(*parts)) *world {
	t.Helper()
	w := &world{t: t, patience: patience, scripts: map[string]script{}}
	ctx := t.Context()
	var err error
	if w.store, err = sqlite.Open(ctx, dir, store); err != nil {
		t.Fatal(err)
	}
	if w.keys, err = auth.Open(dir); err != nil {
		t.Fatal(err)
	}
	p := parts{web: web.Config{Store: w.store, Auth: w.keys, Version: "test"}, hub: hub.Options{Log: w.store}}
	if change != nil {
		change(&p)
	}
	if w.hub, err = hub.New(ctx, p.hub); err != nil {
		t.Fatal(err)
	}
	calls := call.Options{Route: func(via jobs.Via) (http.RoundTripper, int64) { return w.RouteTransport(via) }}
	handlers := map[string]jobs.Handler{"echo": {Run: echo}, "answer": {Run: answer}, "script": {Run: w.play}, "busy": {Run: busy}, "picky": {Check: picky, Run: echo}, "http": call.HTTP(calls),
		"fanout": call.Fanout(calls), jobs.KindWebhook: webhook.Handler(webhook.Options{})}
	if p.mute {
		delete(handlers, jobs.KindWebhook)
	}
	if p.wrap != nil {
		p.web.Store = p.wrap(w.store)
	}
	if w.engine, err = engine.Open(ctx, engine.Options{Store: p.web.Store, Handlers: handlers, Allowed: w.keys.CheckCaller, Notify: w.hub.Notify, Lease: p.lease}); err != nil {
		t.Fatal(err)
	}
	p.web.Engine, p.web.Hub = w.engine, w.hub
	w.Server = web.New(p.web)
	if err := w.OpenCatalog(ctx, w.engine.Documents, p.guard); err != nil {
		t.Fatal(err)
	}
	if w.http = httptest.NewUnstartedServer(w.Server); p.listen != nil {
		w.http.Listener.Close()
		w.http.Listener, w.patience = p.listen, time.Hour
	}
	w.http.Listener = w.Server.Listen(w.http.Config, narrowListener{w.http.Listener})
	requests := w.countRequests()
	w.served = requests
	w.http.Start()
	w.url = w.http.URL
	w.client = w.http.Client()
	w.client.Transport.(*http.Transport).DisableCompression = true // who tests it says so
	if p.listen != nil {
		w.client = &http.Client{Transport: &http.Transport{DialContext: p.listen.dial}}
	}
	w.close = sync.OnceFunc(func() {
		over, cancel := context.WithCancel(context.Background())
		cancel()
		w.Drain()
		w.CloseCounters(context.Background())
		w.Close(over)
		w.client.CloseIdleConnections()
		if p.listen != nil {
			w.http.Close()
		} else { // httptest waits half a second for each connection that net/http closes after an error
			w.http.Config.Close()
			requests.Wait()
		}
		w.engine.Close(over)
		w.hub.Close()
		if err := w.store.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(w.close)
	return w
}

// countRequests returns what waits for the requests that are being served.
func (w *world) countRequests() *sync.WaitGroup {
	var requests sync.WaitGroup
	next := w.http.Config.Handler
	w.http.Config.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		defer requests.Done()
		next.ServeHTTP(rw, r)
	})
	return &requests
}

func echo(_ context.Context, run jobs.Run) (jobs.Result, error) {
	return jobs.Result{Value: run.Job().Input}, nil
}

// busy tells a lot and then succeeds or fails as its input says.
func busy(_ context.Context, run jobs.Run) (jobs.Result, error) {
	for i := range 5 {
		percent := float64(20 * i)
		run.Report(jobs.Progress{Percent: &percent})
		run.Output("out", fmt.Appendf(nil, "step %d\n", i))
	}
	if string(run.Job().Input) == "true" {
		return jobs.Result{Value: jobs.Value("1")}, nil
	}
	return jobs.Result{}, &jobs.Failure{Problem: jobs.NewProblem("tired", "Tired", "It was too much."), Never: true}
}

func picky(input jobs.Value, _ jobs.Via) error {
	if string(input) != `"yes"` {
		return jobs.NewProblem(jobs.BlockedAddress, "No", "This handler takes yes only.")
	}
	return nil
}

func (w *world) play(ctx context.Context, run jobs.Run) (jobs.Result, error) {
	var name string
	if err := json.Unmarshal(run.Job().Input, &name); err != nil {
		return jobs.Result{}, err
	}
	s := w.script(name)
	for {
		select {
		case step := <-s:
			if done, res, err := step(run); done {
				return res, err
			}
		case <-ctx.Done():
			return jobs.Result{}, context.Cause(ctx)
		}
	}
}

// script is that of the job whose input is name.
func (w *world) script(name string) script {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.scripts[name]
	if s == nil {
		s = make(script)
		w.scripts[name] = s
	}
	return s
}

func (s script) progress(percent float64) {
	s <- func(run jobs.Run) (bool, jobs.Result, error) {
		run.Report(jobs.Progress{Percent: &percent, Message: "on the way"})
		return false, jobs.Result{}, nil
	}
}

func (s script) output(text string) {
	s <- func(run jobs.Run) (bool, jobs.Result, error) {
		run.Output("out", []byte(text))
		return false, jobs.Result{}, nil
	}
}

func (s script) succeed(result string) {
	s <- func(jobs.Run) (bool, jobs.Result, error) {
		return true, jobs.Result{Value: jobs.Value(result)}, nil
	}
}

func (s script) fail(detail string) {
	s <- func(jobs.Run) (bool, jobs.Result, error) { return true, jobs.Result{}, errors.New(detail) }
}

// reply is an answer over HTTP.
type reply struct {
	t      testing.TB
	status int
	header http.Header
	body   string
}

// do sends a request; headers are names and values by turns.
func (w *world) do(method, path, body string, headers ...string) reply {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), w.patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, w.url+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if w.bearer != "" {
		req.Header.Set("Authorization", "Bearer "+w.bearer)
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			req.Host = headers[i+1]
		} else {
			req.Header[http.CanonicalHeaderKey(headers[i])] = []string{headers[i+1]}
		}
	}
	res, err := w.client.Transport.RoundTrip(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode == http.StatusSwitchingProtocols { // has no end
		return reply{w.t, res.StatusCode, res.Header, ""}
	}
	text, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return reply{w.t, res.StatusCode, res.Header, string(text)}
}

func (r reply) want(status int) reply {
	r.t.Helper()
	if r.status != status {
		r.t.Errorf("status %d, want %d: %s", r.status, status, r.body)
	}
	return r
}

// has checks headers, given as names and values by turns; an empty value means that
// the header must not be there.
func (r reply) has(headers ...string) reply {
	r.t.Helper()
	for i := 0; i < len(headers); i += 2 {
		if got := r.header.Get(headers[i]); got != headers[i+1] {
			r.t.Errorf("%s: %q, want %q", headers[i], got, headers[i+1])
		}
	}
	return r
}

// json decodes the body; numbers keep their digits.
func (r reply) json() map[string]any {
	r.t.Helper()
	return decoded(r.t, r.body)
}

func decoded(t testing.TB, text string) (m map[string]any) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&m); err != nil {
		t.Fatalf("%v in %q", err, text)
	}
	return m
}

func (r reply) text(member string) string {
	r.t.Helper()
	return fmt.Sprint(r.json()[member])
}

// problem checks that the answer is a problem document of that status and code.
func (r reply) problem(status int, code string) map[string]any {
	r.t.Helper()
	r.want(status).has("Content-Type", "application/problem+json")
	p := r.json()
	kind := fmt.Sprint(p["type"])
	registered := strings.HasPrefix(kind, "https://iana.org/assignments/http-problem-types#")
	if p["code"] != code || p["status"] != json.Number(fmt.Sprint(status)) || p["title"] == nil || p["instance"] == nil || kind != "urn:jobhub:problem:"+code && !registered {
		r.t.Errorf("not a problem %d %s: %s", status, code, r.body)
	}
	return p
}

// submit submits a job and returns its id.
func (w *world) submit(body string, headers ...string) string {
	w.t.Helper()
	return w.do("POST", "/v1/jobs", body, headers...).want(http.StatusAccepted).text("id")
}

// await waits until a job is in a state.
func (w *world) await(id, state string) map[string]any {
	w.t.Helper()
	job := w.do("GET", "/v1/jobs/"+id, "").json()
	for end := time.Now().Add(w.patience); job["state"] != state; {
		if time.Now().After(end) {
			w.t.Fatalf("job %s is %v, want %s", id, job["state"], state)
		}
		job = w.do("GET", fmt.Sprintf("/v1/jobs/%s?version=%v", id, job["version"]), "", "Prefer", "wait=10").json()
	}
	return job
}

// nothingStored checks that no request has left a trace.
func (w *world) nothingStored() {
	w.t.Helper()
	if head := w.store.Head().Seq; head != 0 {
		w.t.Errorf("the log has %d events, want none", head)
	}
	page, err := w.store.List(w.t.Context(), jobs.Filter{})
	if err != nil || len(page.Jobs) > 0 {
		w.t.Errorf("stored: %v %v", page.Jobs, err)
	}
	if queues, _, err := w.store.Queues(w.t.Context(), jobs.DefaultTenant); err != nil || len(queues) > 0 {
		w.t.Errorf("stored: %v %v", queues, err)
	}
}

// log is every event that the store holds.
func (w *world) log() (all []*jobs.Event) {
	w.t.Helper()
	for {
		events, err := w.store.Read(w.t.Context(), jobs.ReadQuery{After: uint64(len(all))})
		if err != nil {
			w.t.Fatal(err)
		}
		if len(events) == 0 {
			return all
		}
		all = append(all, events...)
	}
}

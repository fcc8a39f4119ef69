package calls

import (
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"jobhub/cmd/jobhub/e2e/trial"
)

// spanned is a collector of spans (OTLP/HTTP).
type spanned struct {
	url   string
	calls atomic.Int64

	mu      sync.Mutex // protects the fields below
	service string
	spans   []*tracepb.Span
}

func newCollector(t *testing.T) *spanned {
	c := &spanned{}
	c.url = trial.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.calls.Add(1)
		body, err := io.ReadAll(r.Body)
		var all collector.ExportTraceServiceRequest
		if err == nil {
			err = proto.Unmarshal(body, &all)
		}
		if err != nil || r.URL.Path != "/v1/traces" || r.Header.Get("Content-Type") != "application/x-protobuf" {
			t.Errorf("%s %s %v", r.URL, r.Header, err)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, resource := range all.ResourceSpans {
			for _, a := range resource.Resource.Attributes {
				if a.Key == "service.name" {
					c.service = a.Value.GetStringValue()
				}
			}
			for _, scope := range resource.ScopeSpans {
				c.spans = append(c.spans, scope.Spans...)
			}
		}
		w.Header().Set("Content-Type", "application/x-protobuf")
	})).URL
	return c
}

// find returns the only span of that name whose attributes have these texts.
func (c *spanned) find(t *testing.T, kind tracepb.Span_SpanKind, name string, with ...string) *tracepb.Span {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	var found []*tracepb.Span
	for _, s := range c.spans {
		text := attributes(s)
		if s.Kind == kind && s.Name == name && !slices.ContainsFunc(with, func(w string) bool { return !strings.Contains(text, w) }) {
			found = append(found, s)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d spans %s %q with %q among:\n%s", len(found), kind, name, with, c.listLocked())
	}
	return found[0]
}

func (c *spanned) listLocked() string {
	var b strings.Builder
	for _, s := range c.spans {
		b.WriteString(s.Kind.String() + " " + s.Name + attributes(s) + "\n")
	}
	return b.String()
}

func attributes(s *tracepb.Span) string {
	var b strings.Builder
	for _, a := range s.Attributes {
		v, _ := json.Marshal(a.Value.GetValue())
		b.WriteString(" " + a.Key + "=" + string(v))
	}
	return b.String()
}

// traced starts a hub that may know of a collector by its file and its environment.
func traced(t *testing.T, config string, env ...string) (*trial.Hub, string) {
	return trial.StartConfiguredIn(t, env, config, "--egress-allow", "127.0.0.0/8")
}

// stopHub ends the hub in good order, which sends what is left.
func stopHub(h *trial.Hub) {
	h.T.Helper()
	h.Signal(syscall.SIGTERM)
	if code := h.Wait(); code != 0 {
		h.T.Fatalf("exit %d\n%s", code, h.Stderr)
	}
}

func parentOf(header string) string { return header[:len(header)-3] }

func nameOf(s *tracepb.Span) string {
	return "00-" + hex.EncodeToString(s.TraceId) + "-" + hex.EncodeToString(s.SpanId)
}

// TestSpans: a request of a route that becomes a job, its attempt, the call and the
// callback are one trace, that of the caller, and upstreams get the span of their call.
func TestSpans(t *testing.T) {
	t.Parallel()
	const caller = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	heard := make(chan [2]string, 4)
	api := trial.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		heard <- [2]string{r.URL.Path, r.Header.Get("Traceparent") + "|" + r.Header.Get("Tracestate")}
		if r.URL.Path == "/a/no" {
			w.WriteHeader(http.StatusTeapot)
		}
	}))
	for name, how := range map[string]struct {
		config bool
		env    []string
		named  string
	}{
		"file":        {config: true, named: "jobhub"},
		"environment": {env: []string{"OTEL_SERVICE_NAME=orders-hub"}, named: "orders-hub"},
	} {
		t.Run(name, func(t *testing.T) {
			to := newCollector(t)
			config := route("/a/", api.URL) + "queues: {default: {callbacks: [{url: '" + api.URL + "/hook'}]}}\n"
			if how.config {
				config += "otel: {endpoint: '" + to.url + "'}\n"
			} else {
				how.env = append(how.env, "OTEL_EXPORTER_OTLP_ENDPOINT="+to.url)
			}
			h, _ := traced(t, config, how.env...)
			a := h.Call("GET", "/a/x?secret=hush", "", "Prefer: respond-async", "Traceparent: "+caller, "Tracestate: vendor=1")
			if a.Status != 202 {
				t.Fatalf("%d %s", a.Status, a.Body)
			}
			var job struct {
				ID string `json:"id"`
			}
			h.Decode(a.Body, &job)
			h.Await(job.ID, trial.InState("succeeded"))
			got := map[string]string{}
			for range 2 {
				told := <-heard
				got[told[0]] = told[1]
			}
			if a := h.Call("GET", "/a/no", ""); a.Status != http.StatusTeapot {
				t.Fatalf("%d", a.Status)
			}
			through := (<-heard)[1]
			children := h.Children(job.ID)
			if len(children) != 1 {
				t.Fatalf("%d deliveries", len(children))
			}
			h.Await(children[0].ID, trial.InState("succeeded"))
			stopHub(h)

			if to.service != how.named {
				t.Errorf("the service is %q", to.service)
			}
			request := to.find(t, tracepb.Span_SPAN_KIND_SERVER, "GET /a/", `"StringValue":"/a/x"`, `http.response.status_code={"IntValue":202}`)
			attempt := to.find(t, tracepb.Span_SPAN_KIND_CONSUMER, "process default", job.ID, `jobhub.job.kind={"StringValue":"http"}`, `jobhub.job.attempt={"IntValue":1}`)
			if parent := hex.EncodeToString(request.ParentSpanId); hex.EncodeToString(request.TraceId) != caller[3:35] || parent != caller[36:52] {
				t.Errorf("the request is below %s of %x", parent, request.TraceId)
			}
			below := func(s, parent *tracepb.Span) {
				t.Helper()
				if string(s.ParentSpanId) != string(parent.SpanId) || string(s.TraceId) != string(parent.TraceId) {
					t.Errorf("%s is not below %s", s.Name, parent.Name)
				}
			}
			below(attempt, request)
			call := to.below(t, attempt)
			delivery := to.find(t, tracepb.Span_SPAN_KIND_CONSUMER, "process "+children[0].Queue, children[0].ID)
			below(delivery, request)
			hook := to.below(t, delivery)
			if want := nameOf(call) + "-01|vendor=1"; got["/a/x"] != want {
				t.Errorf("the upstream got %q, want %q", got["/a/x"], want)
			}
			if want := nameOf(hook) + "-01|"; got["/hook"] != want {
				t.Errorf("the receiver got %q, want %q", got["/hook"], want)
			}
			passed := to.find(t, tracepb.Span_SPAN_KIND_SERVER, "GET /a/", "418")
			if len(passed.ParentSpanId) != 0 || parentOf(strings.TrimSuffix(through, "|")) != nameOf(passed) {
				t.Errorf("passed straight through: %s, upstream got %s", nameOf(passed), through)
			}
			if all := to.listLocked(); strings.Contains(all, "hush") || strings.Contains(all, "/hook") {
				t.Errorf("spans give away a query or the path of a callback:\n%s", all)
			}
		})
	}
}

// below returns the call that an attempt made.
func (c *spanned) below(t *testing.T, parent *tracepb.Span) *tracepb.Span {
	t.Helper()
	for _, s := range c.spans {
		if s.Kind == tracepb.Span_SPAN_KIND_CLIENT && string(s.ParentSpanId) == string(parent.SpanId) {
			if string(s.TraceId) != string(parent.TraceId) || !strings.Contains(attributes(s), "server.address") {
				t.Errorf("%x %s", s.TraceId, attributes(s))
			}
			return s
		}
	}
	t.Fatalf("no call below %s:\n%s", parent.Name, c.listLocked())
	return nil
}

// TestSpansOff: a collector that is configured only while the hub runs, or is turned off,
// gets nothing.
func TestSpansOff(t *testing.T) {
	t.Parallel()
	api := trial.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {}))
	to := newCollector(t)
	for name, env := range map[string][]string{
		"file":     nil,
		"disabled": {"OTEL_SDK_DISABLED=true", "OTEL_EXPORTER_OTLP_ENDPOINT=" + to.url},
		"none":     {"OTEL_TRACES_EXPORTER=none", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=" + to.url + "/v1/traces"},
	} {
		h, file := traced(t, route("/a/", api.URL), env...)
		if env == nil {
			trial.Write(t, file, route("/a/", api.URL)+"otel: {endpoint: '"+to.url+"'}\n")
			h.Matched(h.Stderr, `otel.endpoint changed, which takes effect at the next start`)
		}
		job := h.Submit(trial.HTTPJob(api.URL+"/x", ""))
		h.Await(job.ID, trial.InState("succeeded"))
		stopHub(h)
		if n := to.calls.Load(); n != 0 {
			t.Errorf("%s: the collector was called %d times", name, n)
		}
	}
}

// TestSpansWithoutCollector: one that is not there costs no request and no clean end.
func TestSpansWithoutCollector(t *testing.T) {
	t.Parallel()
	h, _ := traced(t, "", "OTEL_EXPORTER_OTLP_ENDPOINT=http://"+trial.FreeAddr(t))
	h.Call("GET", "/v1/jobs", "")
	stopHub(h)
	h.Matched(h.Stderr, `traces could not be sent; check that the collector is up" lost_spans=1`)
}

// TestSpansEndpoint: what can't be an endpoint is refused at the start, not ignored.
func TestSpansEndpoint(t *testing.T) {
	t.Parallel()
	cmd := exec.Command(trial.Program, "serve", "--addr", "127.0.0.1:0", "--data", t.TempDir())
	cmd.Env = []string{"OTEL_EXPORTER_OTLP_ENDPOINT=user:hunter2@127.0.0.1:4318"}
	p := trial.Start(t, cmd)
	if code := p.Wait(); code != 1 || !strings.Contains(p.Stderr.String(), "OTEL_EXPORTER_OTLP_ENDPOINT must be a URL like http://127.0.0.1:4318") || strings.Contains(p.Stderr.String(), "hunter2") {
		t.Errorf("exit %d: %s", code, p.Stderr)
	}
}

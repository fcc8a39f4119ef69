package client

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// answer is a hub that answers every request alike and keeps the last one.
type answer struct {
	status  int
	typ     string
	body    string
	request string
	header  http.Header
}

func (a *answer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	a.request, a.header = r.Method+" "+r.URL.String()+" "+string(body), r.Header
	w.Header().Set("Content-Type", a.typ)
	w.Header().Set("Retry-After", "7")
	w.WriteHeader(a.status)
	io.WriteString(w, a.body)
}

func start(t *testing.T, a *answer) *Client {
	srv := httptest.NewServer(a)
	t.Cleanup(srv.Close)
	return &Client{Base: srv.URL + "/"}
}

func TestSubmit(t *testing.T) {
	a := &answer{status: 202, typ: "application/json", body: `{"id":"j1","state":"scheduled","epoch":"e","seq":4,"progress":null,"error":null,"started_at":null,"created_at":"2026-01-02T03:04:05.678Z","links":{"self":"/v1/jobs/j1"},"queue_position":0,"progress_state":"IN_QUEUE"}`}
	j, err := start(t, a).Submit(t.Context(), Submission{Kind: "http", Input: jsontext.Value(`{"n":1.10}`), Tags: []string{"a"}, Delay: 90 * time.Second, Retry: Retry{MaxAttempts: 3, Initial: time.Second}}, "key-1")
	if err != nil {
		t.Fatal(err)
	}
	if want := `POST /v1/jobs {"kind":"http","input":{"n":1.10},"tags":["a"],"delay":"1m30s","retry":{"max_attempts":3,"initial":"1s"}}`; a.request != want {
		t.Errorf("sent %s\nwant %s", a.request, want)
	}
	if a.header.Get("Idempotency-Key") != "key-1" || a.header.Get("Content-Type") != "application/json" {
		t.Errorf("headers %v", a.header)
	}
	if j.ID != "j1" || j.Position() != (Position{"e", 4}) || j.Final() || string(j.Raw) != a.body || j.Links.Self != "/v1/jobs/j1" || j.CreatedAt.Year() != 2026 {
		t.Errorf("job %+v", j)
	}

	if _, err := start(t, a).Submit(t.Context(), Submission{Kind: "k"}, ""); err != nil || a.request != `POST /v1/jobs {"kind":"k"}` {
		t.Errorf("smallest submission: %s, %v", a.request, err)
	}
}

func TestRequests(t *testing.T) {
	a := &answer{status: 200, typ: "application/json", body: `{"id":"j1","state":"cancelled","jobs":[{"id":"j2"}],"next_cursor":"c"}`}
	c := start(t, a)
	if j, err := c.Cancel(t.Context(), "a/b"); err != nil || !j.Final() || a.request != "POST /v1/jobs/a%2Fb/cancel " {
		t.Errorf("%s: %+v, %v", a.request, j, err)
	}
	if _, err := c.Job(t.Context(), "j1"); err != nil || a.request != "GET /v1/jobs/j1 " {
		t.Errorf("%s: %v", a.request, err)
	}
	p, err := c.Jobs(t.Context(), ListOptions{States: []string{"queued", "running"}, Queue: "q", Limit: 10})
	if err != nil || a.request != "GET /v1/jobs?limit=10&queue=q&state=queued%2Crunning " || p.Jobs[0].ID != "j2" || p.NextCursor != "c" {
		t.Errorf("%s: %+v, %v", a.request, p, err)
	}
}

func TestProblem(t *testing.T) {
	for name, c := range map[string]struct {
		answer
		text    string
		code    string
		unknown bool
	}{
		"problem": {answer{status: 422, typ: "application/problem+json", body: `{"type":"urn:x","title":"Invalid request","status":422,"code":"bad_message","errors":[{"pointer":"/kind","detail":"missing"}],"news":1}`},
			"Invalid request (/kind: missing)", "bad_message", false},
		"full":       {answer{status: 503, typ: "application/problem+json", body: `{"title":"Full","code":"queue_full"}`}, "Full", "queue_full", false},
		"internal":   {answer{status: 500, typ: "application/problem+json", body: `{"title":"Oops","code":"internal"}`}, "Oops", "internal", true},
		"a proxy":    {answer{status: 503, typ: "text/html", body: "no upstream"}, "The server answered 503 Service Unavailable: no upstream", "", true},
		"not a hub":  {answer{status: 404, typ: "text/html", body: "<h1>who?</h1>\n"}, "The server answered 404 Not Found: <h1>who?</h1>", "", false},
		"bad answer": {answer{status: 400, typ: "application/problem+json", body: "{"}, "The server answered 400 Bad Request: {", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := start(t, &c.answer).Submit(t.Context(), Submission{Kind: "k"}, "")
			p, ok := errors.AsType[*Problem](err)
			if !ok || p.Error() != c.text || p.Code != c.code || p.Status != c.status || p.RetryAfter != 7*time.Second {
				t.Errorf("got %#v", err)
			}
			if Unknown(err) != c.unknown {
				t.Errorf("unknown: %v", Unknown(err))
			}
		})
	}
	if _, err := (&Client{Base: "http://127.0.0.1:1"}).Job(t.Context(), "j"); err == nil || !Unknown(err) {
		t.Errorf("nobody there: %v", err)
	}
	if Unknown(nil) {
		t.Error("success is not unknown")
	}
}

func TestWait(t *testing.T) {
	mux := http.NewServeMux()
	mux.Handle("/v1/ws", &scripted{t: t, scripts: []script{{frames: []string{`{"type":"subscribed","id":"w","epoch":"e","seq":1}`, event("job.started", 2), event("job.failed", 3)}, close: silent}}})
	mux.Handle("/v1/jobs/j", &answer{status: 200, typ: "application/json", body: `{"id":"j","state":"failed"}`})
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	if j, err := (&Client{Base: srv.URL}).Wait(t.Context(), "j"); err != nil || j.State != "failed" {
		t.Errorf("%+v, %v", j, err)
	}
}

// TestEmptyNames: a call with an empty id or name would be another request.
func TestEmptyNames(t *testing.T) {
	a := &answer{status: 200, typ: "application/json", body: `{}`}
	c, ctx := start(t, a), t.Context()
	for name, call := range map[string]func() error{
		"Job":            func() error { _, err := c.Job(ctx, ""); return err },
		"Cancel":         func() error { _, err := c.Cancel(ctx, ""); return err },
		"Wait":           func() error { _, err := c.Wait(ctx, ""); return err },
		"Retry":          func() error { _, err := c.Retry(ctx, "", RetryOptions{}); return err },
		"Response":       func() error { _, err := c.Response(ctx, ""); return err },
		"Queue":          func() error { _, err := c.Queue(ctx, ""); return err },
		"PauseQueue":     func() error { _, err := c.PauseQueue(ctx, "", "why"); return err },
		"Schedule":       func() error { _, err := c.Schedule(ctx, ""); return err },
		"PutSchedule":    func() error { _, err := c.PutSchedule(ctx, Schedule{Cron: "@daily"}); return err },
		"DeleteSchedule": func() error { return c.DeleteSchedule(ctx, "") },
	} {
		if err := call(); !errors.Is(err, errEmptyName) || a.request != "" {
			t.Errorf("%s: %v, and the request %q", name, err, a.request)
		}
		a.request = ""
	}
}

package web_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"jobhub/jobs"
	"jobhub/jobs/engine"
	"jobhub/web/auth"
	"jobhub/web/gateway"
)

// lastRequest is an upstream that keeps the newest request it got.
type lastRequest struct {
	mu     sync.Mutex // protects header and query
	header http.Header
	query  string
}

func (l *lastRequest) serve(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.header, l.query = r.Header.Clone(), r.URL.RawQuery
	w.Header().Set("Set-Cookie", "a=s3cret")
	w.Header().Set("X-Session-Token", "s3cret")
	w.Write([]byte("ok"))
}

func (l *lastRequest) want(t *testing.T, headers ...string) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := 0; i < len(headers); i += 2 {
		if got := l.header.Get(headers[i]); got != headers[i+1] {
			t.Errorf("the upstream got %s: %q, want %q", headers[i], got, headers[i+1])
		}
	}
}

// Credentials of a request are for its attempts alone: nothing that shows or finds the job
// knows them.
func TestCredentialsAreHidden(t *testing.T) {
	var got lastRequest
	up := newUpstream(t, got.serve)
	w := startRoutes(t, up.route("/api/", func(r *gateway.Route) { r.ForwardAuth = true }))
	sent := []string{"Authorization", "Basic s3cret", "Cookie", "sid=s3cret", "X-Api-Key", "s3cret", "X-Other", "seen"}
	location := w.do("POST", "/api/x?access_token=s3cret&page=2&async=true", `{"a":1}`, sent...).want(202).header.Get("Location")
	id := strings.Split(location, "/")[3]
	if _, err := w.engine.Wait(t.Context(), jobs.DefaultTenant, uuid.MustParse(id)); err != nil {
		t.Fatal(err)
	}
	got.want(t, sent...)
	if got.query != "access_token=s3cret&page=2" {
		t.Errorf("the upstream got the query %s", got.query)
	}
	w.do("GET", location, "").want(200).has("X-Session-Token", "s3cret", "Set-Cookie", "a=s3cret") // the caller's answer
	for _, path := range []string{"/v1/jobs/" + id, "/v1/jobs", "/jobs/" + id, "/jobs", "/", "/jobs/" + id + "/edit", "/jobs/" + id + "/input", "/jobs/" + id + "/result", "/jobs/export.csv", "/jobs/export.ndjson"} {
		if r := w.do("GET", path, "").want(200); strings.Contains(r.body, "s3cret") {
			t.Errorf("%s shows a credential: %s", path, r.body)
		}
	}
	if list := w.do("GET", "/v1/jobs?q=s3cret", "").json()["jobs"].([]any); len(list) > 0 {
		t.Error("a search finds a credential")
	}
	for _, e := range w.log() {
		if strings.Contains(string(e.Data), "s3cret") {
			t.Errorf("%s holds a credential: %s", e.Type, e.Data)
		}
	}
	headers := w.do("GET", "/v1/jobs/"+id, "").json()["input"].(map[string]any)["headers"].(map[string]any)
	if headers["authorization"] != "***" || headers["x-other"] != "seen" {
		t.Errorf("headers %v", headers)
	}

	// A retry sends what the job sent, and so does one with another input where that shows the same.
	again := w.do("POST", "/v1/jobs/"+id+"/retry", "").want(202).text("id")
	w.await(again, "succeeded")
	got.want(t, sent...)
	edited := strings.Replace(string(w.log()[0].Data), `"x-other":"seen"`, `"x-other":"edited"`, 1)
	edited = strings.Replace(edited, strings.TrimPrefix(up.URL, "http://"), "8.8.8.8", 1)
	input := jobs.Value(edited[strings.Index(edited, `"input":`)+8 : len(edited)-1])
	old, _, err := w.store.Job(t.Context(), jobs.DefaultTenant, uuid.MustParse(id))
	if err != nil {
		t.Fatal(err)
	}
	for who, same := range map[string]bool{old.Caller: true, "key_other somebody": false} {
		spec := engine.RetryOptions{Input: input.Clone(), Caller: who}
		_, err := w.engine.Retry(t.Context(), jobs.DefaultTenant, uuid.MustParse(id), spec)
		if same && err != nil {
			t.Error(err)
		}
		if p, ok := err.(*jobs.Problem); !same && (!ok || p.Status != 422 || !strings.HasPrefix(p.Errors[0].Pointer, "/input/")) {
			t.Errorf("another caller may use the credentials: %v", err)
		}
	}
}

func TestMaskedNames(t *testing.T) {
	up := newUpstream(t, func(w http.ResponseWriter, r *http.Request) { w.Header().Set("X-Corp-Id", "s3cret") })
	w := startRoutes(t, up.route("/api/"))
	w.engine.Mask([]string{"X_Corp-Id"})
	r := w.do("GET", "/api/x?async=true&x-corp-id=s3cret", "", "X-Corp-Id", "s3cret").want(202)
	if job := w.await(r.text("id"), "succeeded"); strings.Contains(w.do("GET", "/v1/jobs/"+r.text("id"), "").body, "s3cret") {
		t.Errorf("%v", job)
	}
}

// What was copied from where credentials are hidden is refused, not sent with stars.
func TestHiddenValuesAreNotSent(t *testing.T) {
	w := start(t)
	input := `{"url":"http://8.8.8.8/","headers":{"Authorization":"***"}}`
	for path, at := range map[string]string{"/v1/jobs": "/input", "/v1/schedules/new": "/job/input"} {
		method, body := "POST", `{"kind":"http","input":`+input+`}`
		if path != "/v1/jobs" {
			method, body = "PUT", `{"cron":"0 0 1 1 *","job":`+body+`}`
		}
		if p := w.do(method, path, body).want(422); !strings.Contains(p.body, at+"/headers/Authorization") {
			t.Errorf("%s: %s", path, p.body)
		}
	}
}

// The job of a schedule hides its credentials, too; what is put back unchanged keeps them.
func TestScheduleCredentials(t *testing.T) {
	w := start(t)
	body := `{"cron":"0 0 1 1 *","job":{"kind":"http","input":{"url":"http://8.8.8.8/?api_key=s3cret","headers":{"Authorization":"Bearer s3cret"}}}}`
	w.do("PUT", "/v1/schedules/s", body).want(201)
	shown := w.do("GET", "/v1/schedules/s", "").want(200)
	hidden := `{"kind":"http","input":{"url":"http://8.8.8.8/?api_key=***","headers":{"Authorization":"***"}}}`
	if strings.Contains(shown.body+w.do("GET", "/schedules/s", "").body, "s3cret") || !strings.Contains(shown.body, hidden) {
		t.Errorf("%s", shown.body)
	}
	w.do("PUT", "/v1/schedules/s", `{"cron":"0 1 1 1 *","job":`+hidden+`}`).want(200)
	job, err := w.engine.Schedules.Run(t.Context(), jobs.DefaultTenant, "s")
	if err != nil || !strings.Contains(string(job.Credentials.Join(job.Input)), "Bearer s3cret") || strings.Contains(string(job.Input), "s3cret") {
		t.Errorf("%s %v %v", job.Input, job.Credentials, err)
	}
	w.bearer = w.key(auth.Operator, "default")
	w.do("PUT", "/v1/schedules/s", `{"cron":"0 1 1 1 *","job":`+hidden+`}`).problem(422, "bad_message")
}

// What a route sends of its own is neither shown nor lent to requests that callers write.
func TestRouteHeaders(t *testing.T) {
	var got lastRequest
	up := newUpstream(t, got.serve)
	w := startRoutes(t, up.route("/api/", func(r *gateway.Route) {
		r.Headers = map[string]string{"Authorization": "Bearer s3cret", "X-Tenant": "s3cret"}
	}))
	mine := []string{"Authorization", "Bearer mine", "X-Tenant", "mine"}
	w.do("GET", "/api/x", "", mine...).want(200)
	got.want(t, "Authorization", "Bearer s3cret", "X-Tenant", "s3cret")
	id := w.do("GET", "/api/x?async=true", "", mine...).want(202).text("id")
	w.await(id, "succeeded")
	got.want(t, "Authorization", "Bearer s3cret", "X-Tenant", "s3cret")
	job := w.do("GET", "/v1/jobs/"+id, "")
	if strings.Contains(job.body, "s3cret") {
		t.Errorf("the route's credentials are shown: %s", job.body)
	}
	w.do("POST", "/v1/jobs/"+id+"/retry", `{"input":{"url":"http://8.8.8.8/","headers":{"authorization":"***"}}}`).problem(422, "bad_message")
	w.await(w.do("POST", "/v1/jobs/"+id+"/retry", "").want(202).text("id"), "succeeded")
	got.want(t, "Authorization", "Bearer s3cret")
}

// The caller's credentials are the hub's alone, unless the route passes them on.
func TestForwardAuth(t *testing.T) {
	for _, forward := range []bool{false, true} {
		var got lastRequest
		up := newUpstream(t, got.serve)
		w := startRoutes(t, up.route("/api/", func(r *gateway.Route) { r.ForwardAuth = forward }))
		for _, path := range []string{"/api/x", "/api/x?async=true"} {
			r := w.do("GET", path, "", "Authorization", "Basic dXNlcg==", "Cookie", "a=1; jobhub_session=x")
			if r.status == 202 {
				w.await(r.text("id"), "succeeded")
			}
			if forward {
				got.want(t, "Authorization", "Basic dXNlcg==", "Cookie", "a=1")
			} else {
				got.want(t, "Authorization", "", "Cookie", "")
			}
		}
	}
}

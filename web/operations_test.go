package web_test

import (
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"jobhub/jobs"
	"jobhub/jobs/engine"
	"jobhub/web/auth"
)

const formType = "application/x-www-form-urlencoded"

// post sends a form as the pages do.
func (w *world) post(path string, values url.Values) reply {
	w.t.Helper()
	return w.do("POST", path, values.Encode(), "Content-Type", formType)
}

func TestQueueForms(t *testing.T) {
	w := start(t)
	w.submit(`{"kind":"nobody","queue":"reports"}`)
	w.post("/queues/reports", url.Values{"concurrency": {" 8 "}, "rate": {"10/s"}, "queue_timeout": {"30s"}, "capacity": {""}}).want(303).has("Location", "/queues/reports")
	want := jobs.QueueSettings{Concurrency: 8, Rate: jobs.Rate{N: 10, Per: jobs.Duration(time.Second)}, QueueTimeout: jobs.Duration(30 * time.Second)}
	if got := w.engine.Queues.Settings("default", "reports"); !reflect.DeepEqual(got, want) {
		t.Errorf("the limits are %+v, want %+v", got, want)
	}
	page := w.do("GET", "/queues/reports", "").want(200).body
	for _, text := range []string{`name="concurrency" value="8"`, `name="rate" value="10/s"`, `name="queue_timeout" value="30s"`, `name="capacity" value=""`} {
		if !strings.Contains(page, text) {
			t.Errorf("the page does not hold %s", text)
		}
	}
	// All that is wrong is said at once, what was typed stays, and nothing is changed.
	for field, value := range map[string]string{"concurrency": "0", "capacity": "1e99", "per_key": "[1]", "rate": "fast", "queue_timeout": "-1s"} {
		r := w.post("/queues/reports", url.Values{field: {value}, "concurrency": {"-4"}}).want(422)
		if strings.Count(r.body, `aria-invalid="true"`) < 1 || !strings.Contains(r.body, `value="-4"`) && field != "concurrency" || !strings.Contains(r.body, "Nothing was changed") {
			t.Errorf("%s=%s is answered with\n%s", field, value, r.body)
		}
	}
	if got := w.engine.Queues.Settings("default", "reports"); !reflect.DeepEqual(got, want) {
		t.Errorf("a refused form changed the limits to %+v", got)
	}
	w.post("/queues/reports", url.Values{"concurrency": {""}, "rate": {""}, "queue_timeout": {""}}).want(303)
	if got := w.engine.Queues.Settings("default", "reports"); !reflect.DeepEqual(got, jobs.QueueSettings{}) {
		t.Errorf("after lifting all limits there are %+v", got)
	}

	w.post("/queues/reports/pause", url.Values{"reason": {"the <relay> moves"}}).want(303).has("Location", "/queues/reports")
	if page := w.do("GET", "/queues/reports", "").body; !strings.Contains(page, "the &lt;relay&gt; moves") || !strings.Contains(page, "/queues/reports/resume") {
		t.Error("the page does not say why the queue is paused, or offers no way on")
	}
	w.post("/queues/reports/pause", url.Values{"reason": {strings.Repeat("x", 1001)}}).want(422)
	w.post("/queues/reports/resume", nil).want(303)
	if w.engine.Queues.Settings("default", "reports").Paused != nil {
		t.Error("it is still paused")
	}
	w.post("/queues/reports", url.Values{"concurrency": {strings.Repeat("1", 20<<10)}}).want(400)
	w.post("/queues/typo", url.Values{"concurrency": {"1"}}).want(404) // a form makes no queue
	w.do("GET", "/v1/queues/typo", "").want(404)
}

func TestWorkersPage(t *testing.T) {
	w := start(t)
	k := w.worker(3, "leased")
	id := w.submit(`{"kind":"leased"}`)
	token, _ := k.lease()
	page := w.do("GET", "/workers", "").want(200).body
	for _, text := range []string{k.id, "/jobs/" + id, "1 of 3 slots", "echo"} {
		if !strings.Contains(page, text) {
			t.Errorf("the page does not show %s", text)
		}
	}
	if strings.Contains(page, token) {
		t.Error("the page shows a lease, which is its worker's secret")
	}
	if page := w.do("GET", "/queues/default", "").body; !strings.Contains(page, "leased") || strings.Contains(page, token) {
		t.Error("the queue's page does not name its worker, or gives its lease away")
	}
	w.do("POST", "/workers/"+k.id+"/quiet", "").want(303).has("Location", "/workers")
	if got := w.engine.Workers.List("default")[0].Directive; got != engine.DirectiveQuiet {
		t.Errorf("the directive is %q", got)
	}
}

// The page of the hub shows remote addresses: it is for admins, also its live view.
func TestHubViewIsForAdmins(t *testing.T) {
	w := start(t)
	admin, operator := w.key(auth.Admin, "default"), w.key(auth.Operator, "default")
	w.bearer = operator
	w.do("GET", "/hub", "").want(403)
	c := w.connect("")
	c.send(`{"type":"hello","token":%q}`, operator)
	c.send(`{"type":"subscribe","id":"h","view":"hub"}`)
	if m := c.until("error"); m["code"] != "forbidden" {
		t.Errorf("an operator's subscription is answered with %v", m)
	}
	w.bearer = admin
	if page := w.do("GET", "/hub", "").want(200).body; !strings.Contains(page, "127.0.0.1:") {
		t.Error("the page does not show the connection")
	}
	c = w.connect("")
	c.send(`{"type":"hello","token":%q}`, admin)
	c.send(`{"type":"subscribe","id":"h","view":"hub"}`)
	if m := c.until("patch"); !strings.Contains(m["html"].(string), "the dashboard") {
		t.Errorf("the view does not show who watches it: %v", m["html"])
	}
}

func TestAttention(t *testing.T) {
	w := start(t)
	for range 4 {
		w.await(w.submit(`{"kind":"busy","input":false,"queue":"bad"}`), "failed")
	}
	page := w.do("GET", "/", "").want(200).body
	for _, text := range []string{"bad: 4 of 4 jobs failed", "busy: 4 × Tired"} {
		if !strings.Contains(page, text) {
			t.Errorf("the overview does not say %q", text)
		}
	}
}

// A job that nobody takes is found by its kind; one that somebody takes is not.
func TestAttentionToUnservedKinds(t *testing.T) {
	timeless(t, func(t *testing.T, w *world) {
		w.submit(`{"kind":"nobody.home","queue":"stuck"}`)
		if page := w.do("GET", "/", "").body; strings.Contains(page, "no worker takes") {
			t.Error("a job that has only just come is called stuck")
		}
		time.Sleep(longEnough)
		if page := w.do("GET", "/", "").body; !strings.Contains(page, "stuck: 1 job waits, no worker takes nobody.home") {
			t.Error("the overview does not say that nobody takes the job")
		}
		w.do("POST", "/v1/workers", `{"kinds":["nobody.home"],"queues":["stuck"]}`).want(http.StatusOK)
		if page := w.do("GET", "/", "").body; !strings.Contains(page, "stuck: 1 job waits, none running") || strings.Contains(page, "no worker takes") {
			t.Error("the overview does not see the worker")
		}
	})
}

const longEnough = 31 * time.Second

package web_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"jobhub/jobs"
	"jobhub/jobs/webhook"
	"jobhub/web/auth"
)

// disable makes a callback of the queue "disabled" that its receiver has ended.
func (w *world) disable(address string) {
	w.t.Helper()
	if err := w.engine.Queues.Configure(w.t.Context(), jobs.DefaultTenant, "disabled", func(s *jobs.QueueSettings) error {
		s.Callbacks = []jobs.Callback{{URL: address, Secrets: []jobs.Secret{hookSecret}, Disabled: true, DisabledAt: time.Now()}}
		return nil
	}); err != nil {
		w.t.Fatal(err)
	}
}

// delivery waits for the delivery of a job's event, and for its state.
func (w *world) delivery(parent, state string) string {
	w.t.Helper()
	list := w.do("GET", "/v1/jobs?kind=webhook&parent="+parent, "").json()["jobs"].([]any)
	if len(list) != 1 {
		w.t.Fatalf("%d deliveries", len(list))
	}
	id := list[0].(map[string]any)["id"].(string)
	w.await(id, state)
	return id
}

// TestCallbacksPage goes through what becomes of deliveries, and what can be done. No page
// holds what may be secret of an address, nor what signs.
func TestCallbacksPage(t *testing.T) {
	status := http.StatusOK
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(status) }))
	defer receiver.Close()
	w := start(t)
	w.engine.Handle(jobs.KindWebhook, webhook.Handler(webhook.Options{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}))
	host := strings.TrimPrefix(receiver.URL, "http://")
	address := "http://" + host + "/hook?token=hunter2"
	secret := []string{"!" + hookSecret, "!" + hookSecret[6:], "!hunter"}
	w.do("GET", "/callbacks", "").want(200).shows("No callback yet", "curl -i", "/v1/jobs", "callbacks")
	body := `{"kind":"echo","input":{"order":42},"callbacks":[{"url":"` + address + `","events":["job.succeeded"],"secret":"` + hookSecret + `"}]}`
	job := w.submit(body)
	w.await(job, "succeeded")
	sent := w.delivery(job, "succeeded")
	w.do("GET", "/callbacks", "").want(200).shows(append(secret, "job.succeeded", host+"/hook", "delivered", "answered 200", "/jobs/"+job, "/jobs/"+sent+"/retry", `data-press="r"`)...)
	w.do("GET", "/jobs/"+sent, "").want(200).shows(append(secret, "Request", "POST "+`<bdi>`+host+"/hook", "webhook-id", "msg_"+sent, "order", "Response", "!/edit\"")...)
	w.do("GET", "/jobs/"+job, "").want(200).shows(append(secret, "callback to "+host+"/hook")...)
	w.do("GET", "/jobs", "").want(200).shows(secret...)
	w.do("GET", "/jobs/"+sent+"/edit", "").want(409).shows(secret...)
	w.do("GET", "/jobs/"+sent+"/input", "").want(200).shows(append(secret, `"url":"`+host+`/hook"`, `"id":"msg_`+sent, `"type":"job.succeeded"`, `"order":42`)...)
	w.do("GET", "/jobs/"+sent+"/result", "").want(200).shows(append(secret, "200")...)
	for _, path := range []string{"/jobs/export.ndjson", "/jobs/export.csv"} {
		w.do("GET", path, "").want(200).shows(append(secret, sent, job, "order")...)
	}

	status = http.StatusServiceUnavailable
	job = w.submit(body)
	w.await(job, "succeeded")
	again := w.delivery(job, "retrying")
	w.do("GET", "/callbacks?state=retrying", "").want(200).shows(append(secret, "The receiver answered 503", again, "!"+sent, "1/7", `data-rel="in"`, "/jobs/"+again+"/cancel", `data-view="callbacks:state=retrying"`)...)
	w.do("GET", "/callbacks?state=failed", "").want(200).shows("No delivery matches", "Show all deliveries")
	// A receiver that refuses has no failed delivery yet, but one that is retried.
	w.do("GET", "/callbacks", "").want(200).shows(`<td class="num late" data-head="retrying">1</td>`)
	w.post("/jobs/"+again+"/cancel", nil).want(303)

	status = http.StatusGone
	if err := w.engine.Queues.SetCallbacks(t.Context(), jobs.DefaultTenant, "orders", []jobs.Callback{{URL: address, Secrets: []jobs.Secret{hookSecret}}}); err != nil {
		t.Fatal(err)
	}
	job = w.submit(`{"kind":"echo","queue":"orders"}`)
	w.await(job, "succeeded")
	w.delivery(job, "failed")
	page := w.do("GET", "/callbacks", "").want(200).shows(append(secret, "The receiver answered 410 Gone", "disabled", `href="/queues/orders"`, "own signing secret", "Enable ")...)
	w.do("GET", "/", "").shows(append(secret, "orders: its callback to "+host+"/hook is disabled", `href="/callbacks"`)...)
	_, id, _ := strings.Cut(page.body, `name="callback" value="`)
	id, _, _ = strings.Cut(id, `"`)
	w.post("/callbacks/enable", url.Values{"queue": {"billing"}, "callback": {id}}).want(404)
	w.post("/callbacks/enable", url.Values{"queue": {"orders"}, "callback": {id}}).want(303).has("Location", "/callbacks")
	if c := w.engine.Queues.Settings(jobs.DefaultTenant, "orders").Callbacks[0]; c.Disabled || !c.DisabledAt.IsZero() {
		t.Errorf("it is still %+v", c)
	}
	w.do("GET", "/callbacks", "").want(200).shows(append(secret, `<span class="st succeeded">active</span>`, "!Enable ")...)
	w.do("GET", "/", "").shows("!is disabled")
	// By receiver: what was delivered, what failed.
	w.do("GET", "/callbacks", "").shows(`1<span class="unseen"> delivered</span>`, `1<span class="unseen"> failed</span>`)
}

// A disabled callback of an unfinished job is shown; of one that has ended it
// does not matter any more.
func TestDisabledCallbacksOfJobs(t *testing.T) {
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusGone) }))
	defer receiver.Close()
	w := start(t)
	w.engine.Handle(jobs.KindWebhook, webhook.Handler(webhook.Options{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}))
	job := w.submit(`{"kind":"nobody","callbacks":[{"url":"` + receiver.URL + `/own","events":["job.queued","job.succeeded"]}]}`)
	w.delivery(job, "failed")
	w.do("GET", "/callbacks", "").want(200).shows("/own</bdi>", "disabled", `<a class="mono" href="/jobs/`+job, "!Enable ")
	w.do("DELETE", "/v1/jobs/"+job, "").want(200)
	w.do("GET", "/callbacks", "").want(200).shows("!disabled</span>")
}

// Viewers get no buttons that work; what others' deliveries are is not shown.
func TestCallbacksOfViewers(t *testing.T) {
	w := start(t)
	w.bearer = w.key(auth.Admin, "default")
	w.disable("https://a.example/hook?token=hunter2")
	w.bearer = w.key(auth.Viewer, "default")
	w.do("GET", "/callbacks", "").want(200).shows("a.example/hook", "data-readonly", "data-operate", "!hunter2", "!"+hookSecret)
	w.bearer = w.key(auth.Admin, "other")
	w.do("GET", "/callbacks", "").want(200).shows("!a.example")
	for _, query := range []string{"cursor=x", "state=lost", "status=failed", "state=failed&cursor=1&cursor=2", "state=%zz"} {
		w.do("GET", "/callbacks?"+query, "").want(400).shows("Malformed query")
	}
	// The order of the states does not matter.
	w.do("GET", "/callbacks?state=waiting,running,queued,scheduled,queued", "").want(200).shows(`data-view="callbacks:state=scheduled%2Cqueued%2Crunning%2Cwaiting"`, `aria-current="page">In progress`)
}

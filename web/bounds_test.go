package web_test

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"jobhub/jobs"
	"jobhub/jobs/engine"
	"jobhub/web/auth"
)

// TestTooManyQueuesAndKinds: one more than a tenant may have is refused, with what to do,
// wherever it is named; existing ones still work, and other tenants are not affected.
func TestTooManyQueuesAndKinds(t *testing.T) {
	w := start(t)
	w.engine.SetLimits(engine.NameLimits{Queues: 3, Kinds: 2})
	w.bearer = w.key(auth.Admin, "a")
	for i := range 3 {
		w.submit(fmt.Sprintf(`{"kind":"k1","queue":"q%d"}`, i))
	}
	w.submit(`{"kind":"k2","queue":"q0"}`)
	head := w.store.Head()
	refused := func(r reply, word string) {
		t.Helper()
		p := r.problem(422, "limit_exceeded")
		if !strings.Contains(fmt.Sprint(p["detail"]), word) {
			t.Errorf("it does not say what to do: %v", p)
		}
	}
	refused(w.do("POST", "/v1/jobs", `{"kind":"k1","queue":"q3"}`), "limits.queues")
	refused(w.do("POST", "/v1/jobs", `{"kind":"k3","queue":"q0"}`), "limits.kinds")
	refused(w.do("PATCH", "/v1/queues/q3", `{"capacity":1}`), "limits.queues")
	refused(w.do("POST", "/v1/queues/q3/pause", `{}`), "limits.queues")
	if r := w.do("POST", "/v1/batch", `{"requests":[{"method":"POST","path":"/v1/jobs","body":{"kind":"k1","queue":"q3"}},{"method":"POST","path":"/v1/jobs","body":{"kind":"k1","queue":"q2"}}]}`).want(200); !strings.Contains(r.body, `"status":422`) || !strings.Contains(r.body, `"status":202`) {
		t.Errorf("as items of a batch: %s", r.body)
	}
	c := w.dial("", "Authorization", "Bearer "+w.bearer)
	c.send(`{"type":"submit","id":"s","job":{"kind":"k1","queue":"q3"}}`)
	if m := c.until("error"); m["code"] != "limit_exceeded" || m["retry"] != false {
		t.Errorf("over a socket: %v", m)
	}
	if w.store.Head().Seq != head.Seq+1 {
		t.Errorf("something was stored: %v", w.log())
	}
	w.submit(`{"kind":"k1","queue":"q1"}`)
	w.submit(`{"kind":"echo","queue":"q1"}`) // the hub's own kinds do not count
	w.bearer = w.key(auth.Admin, "b")
	w.submit(`{"kind":"k3","queue":"q3"}`)
	w.engine.SetLimits(engine.NameLimits{Queues: 4})
	w.bearer = w.key(auth.Admin, "a")
	w.submit(`{"kind":"k3","queue":"q3"}`)
}

// A schedule whose queue is over the limit says so, and stays.
func TestScheduleOfOneQueueTooMany(t *testing.T) {
	w := start(t)
	w.engine.SetLimits(engine.NameLimits{Queues: 1})
	w.submit(`{"kind":"nobody","queue":"q"}`)
	w.do("PUT", "/v1/schedules/s", `{"cron":"@daily","job":{"kind":"nobody","queue":"more"}}`).want(201)
	if r := w.do("POST", "/schedules/s/run", "", "Content-Type", "application/x-www-form-urlencoded"); r.status != 422 {
		t.Errorf("%d %.300s", r.status, r.body)
	}
}

// many makes queues as an older version would have, past any bound.
func (w *world) many(tenant string, n int) {
	w.t.Helper()
	now := time.Now()
	for from := 0; from < n; from += 500 {
		b := &jobs.Batch{Now: now}
		for i := from; i < min(n, from+500); i++ {
			b.Queues = append(b.Queues, &jobs.QueueChange{Tenant: tenant, Name: fmt.Sprintf("q%05d", i)})
		}
		if err := w.store.Commit(w.t.Context(), b); err != nil {
			w.t.Fatal(err)
		}
	}
}

var seriesForm = regexp.MustCompile(`(?m)^jobhub_queue_jobs\{queue="([^"]+)",state="queued",tenant="([^"]+)"\} (\d+)`)

// TestManyQueuesAreBounded: however many queues an older store has, figures and pages have a
// bound, sums stay exact, and all queues can be reached.
func TestManyQueuesAreBounded(t *testing.T) {
	w := start(t)
	const many = 2500
	w.many(jobs.DefaultTenant, many)
	w.many("acme", 10)
	w.engine.SetLimits(engine.NameLimits{Queues: many + 10})
	for i := range 30 {
		w.submit(fmt.Sprintf(`{"kind":"nobody","queue":"q%05d"}`, many-1-i%3))
	}
	w.submit(`{"kind":"nobody","queue":"other"}`)
	text := w.do("GET", "/metrics", "").want(200).body
	sum, series := 0, map[string]string{}
	for _, m := range seriesForm.FindAllStringSubmatch(text, -1) {
		n, _ := strconv.Atoi(m[3])
		sum += n
		series[m[2]+" "+m[1]] = m[3]
	}
	if sum != 31 || len(series) > 1002 || series["default q02499"] != "10" || series["default other"] != "1" || series["acme other"] == "" && series["acme q00001"] == "" {
		t.Errorf("the sum is %d, there are %d series; %v %v", sum, len(series), series["default q02499"], series["default other"])
	}

	seen, pages := 0, 0
	for path := "/v1/queues"; path != ""; pages++ {
		page := w.do("GET", path, "").want(200).json()
		list := page["queues"].([]any)
		if len(list) > 1000 {
			t.Errorf("a page of %d", len(list))
		}
		seen += len(list)
		path = ""
		if next, ok := page["next_cursor"].(string); ok {
			path = "/v1/queues?cursor=" + next
		}
	}
	if seen != many+1 || pages != 3 {
		t.Errorf("%d queues on %d pages", seen, pages)
	}
	page := w.do("GET", "/queues", "").want(200)
	if len(page.body) > 1<<20 || !strings.Contains(page.body, "2,501 queues") || !strings.Contains(page.body, "/queues?after=q00098") {
		t.Errorf("the page has %d bytes", len(page.body))
	}
	if next := w.do("GET", "/queues?after=q00098", "").want(200); !strings.Contains(next.body, "/queues/q00099") || strings.Contains(next.body, "/queues/q00097") || !strings.Contains(next.body, `data-view="queues:q00098"`) {
		t.Error("the second page does not go on")
	}
	c := w.dial("")
	c.send(`{"type":"subscribe","id":"v","view":"queues:q00098"}`)
	if m := c.until("patch"); !strings.Contains(fmt.Sprint(m["html"]), "q00099") {
		t.Error("the second page is not live")
	}
	w.do("GET", "/v1/queues?limit=0", "").problem(400, "bad_message")
	w.do("GET", "/v1/queues?limit=1001", "").problem(400, "bad_message")
	w.do("GET", "/queues?after="+strings.Repeat("q", 65), "").want(400)
}

// TestMetricsOfATenant: admins of a tenant see its own figures, those of the hub all.
func TestMetricsOfATenant(t *testing.T) {
	w := start(t)
	whole, other := w.key(auth.Admin, "default"), w.key(auth.Admin, "other")
	w.bearer = whole
	w.submit(`{"kind":"nobody","queue":"mine"}`)
	w.with(other, "POST", "/v1/jobs", `{"kind":"nobody","queue":"theirs"}`).want(202)
	if text := w.do("GET", "/metrics", "").want(200).body; !strings.Contains(text, `"theirs"`) || !strings.Contains(text, `"mine"`) || !strings.Contains(text, "process_") {
		t.Error("the hub's admin does not see the whole")
	}
	w.bearer = other
	text := w.do("GET", "/metrics", "").want(200).body
	if !strings.Contains(text, `jobhub_queue_jobs{queue="theirs",state="queued",tenant="other"} 1`) {
		t.Errorf("its own queue is missing: %s", text)
	}
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "#") && !strings.Contains(line, `tenant="other"`) {
			t.Errorf("an admin of another tenant sees %s", line)
		}
	}
	for _, path := range []string{"/hub", "/routes"} {
		w.do("GET", path, "").want(403)
		w.with(whole, "GET", path, "").want(200)
	}
	c := w.dial("", "Authorization", "Bearer "+other)
	for _, name := range []string{"hub", "routes"} {
		c.send(`{"type":"subscribe","id":"v","view":"%s"}`, name)
		if m := c.until("error"); m["code"] != "forbidden" {
			t.Errorf("%s: %v", name, m)
		}
	}
	if page := w.do("GET", "/", "").want(200).body; strings.Contains(page, `href="/hub"`) || strings.Contains(page, `href="/routes"`) {
		t.Error("it is led to what it may not see")
	}
}

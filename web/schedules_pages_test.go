package web_test

import (
	"bytes"
	"log/slog"
	"net/url"
	"strings"
	"testing"
	"time"

	"jobhub/web/auth"
)

const hookSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// shows checks what a page holds and what it must not hold.
func (r reply) shows(texts ...string) reply {
	r.t.Helper()
	for _, text := range texts {
		if not, ok := strings.CutPrefix(text, "!"); ok {
			if strings.Contains(r.body, not) {
				r.t.Errorf("the page holds %q", not)
			}
		} else if !strings.Contains(r.body, text) {
			_, main, _ := strings.Cut(r.body, "<main")
			r.t.Errorf("the page does not hold %q:\n%s", text, main)
		}
	}
	return r
}

func TestScheduleForms(t *testing.T) {
	w := start(t)
	w.do("GET", "/schedules", "").want(200).shows("No schedule yet", "curl -X PUT", "/v1/schedules/nightly", `<details class="maker first" id="new-schedule" open>`)
	made := url.Values{"name": {"weekly.report"}, "cron": {" 0 9 * * mon "}, "time_zone": {"Europe/Berlin"}, "kind": {"nobody"}, "queue": {"reports"}, "input": {`{"n":1.10}`},
		"more": {`{"tags":["a"],"callbacks":[{"url":"https://a.example/hook?token=hunter2","secret":"` + hookSecret + `"}]}`}}
	w.post("/schedules", made).want(303).has("Location", "/schedules/weekly.report")
	one, err := w.engine.Schedules.Get(t.Context(), "default", "weekly.report")
	if err != nil || one.Cron != "0 9 * * mon" || one.TimeZone != "Europe/Berlin" || one.NextAt.IsZero() || !strings.Contains(string(one.Job), `"input":{"n":1.10}`) || !strings.Contains(string(one.Job), hookSecret) {
		t.Errorf("made: %+v, %v", one, err)
	}
	if again := w.post("/schedules", made).want(409); !strings.Contains(again.body, "There is a schedule weekly.report already.") || !strings.Contains(again.body, `value="weekly.report"`) {
		t.Errorf("made twice: %s", again.body)
	}
	secret := []string{"!" + hookSecret, "!hunter2"}
	w.do("GET", "/schedules", "").want(200).shows(append(secret, "at 09:00 on Mondays", "Europe/Berlin", "<code>0 9 * * mon</code>", "never")...)
	page := w.do("GET", "/schedules/weekly.report", "").want(200).shows(append(secret, "No run yet", "a.example/hook", "whsec_***", "09:00 CET", "1.10", "one job for all of them")...)
	if n := strings.Count(page.body, ", 09:00 CE"); n != 5 {
		t.Errorf("%d ticks are shown", n)
	}
	if api := w.do("GET", "/v1/schedules/weekly.report", "").want(200); strings.Contains(api.body, hookSecret) || !strings.Contains(api.body, `"secret":"whsec_***"`) {
		t.Errorf("the API shows %s", api.body)
	}

	w.post("/schedules/weekly.report", url.Values{"cron": {"*/5 * * * *"}, "time_zone": {""}}).want(303).has("Location", "/schedules/weekly.report")
	w.post("/schedules/weekly.report", url.Values{"cron": {"soon"}, "time_zone": {"Mars"}}).want(422).shows("Nothing was changed", `value="soon"`, `value="Mars"`, "must have 5 fields", "must be a name like Europe/Berlin")
	w.post("/schedules/weekly.report/pause", nil).want(303)
	if one, _ := w.engine.Schedules.Get(t.Context(), "default", "weekly.report"); one.Cron != "*/5 * * * *" || one.TimeZone != "UTC" || !one.Paused || !strings.Contains(string(one.Job), hookSecret) {
		t.Errorf("changed and paused it is %+v", one)
	}
	w.do("GET", "/schedules/weekly.report", "").shows("every 5 minutes", "if it is resumed", "/resume", "!/pause")
	w.post("/schedules/weekly.report/run", nil).want(303).has("Location", "/schedules/weekly.report")
	runs := w.do("GET", "/v1/jobs?tag=schedule:weekly.report", "").json()["jobs"].([]any)
	if len(runs) != 1 {
		t.Fatalf("%d jobs after it was run", len(runs))
	}
	id := runs[0].(map[string]any)["id"].(string)
	w.do("GET", "/schedules/weekly.report", "").shows("/jobs/"+id, "the last 1 run: 1 queued")
	w.do("GET", "/schedules", "").shows("/jobs/"+id, `aria-label="the last 1 run: 1 queued; the newest queued"`, "paused")
	w.post("/schedules/weekly.report/resume", nil).want(303)
	w.post("/schedules/weekly.report/delete", url.Values{"ask": {"1"}}).want(200).shows("Delete the schedule weekly.report?", "Jobs that it has submitted stay")
	w.post("/schedules/weekly.report/delete", nil).want(303).has("Location", "/schedules")
	w.do("GET", "/schedules/weekly.report", "").want(404)
	w.do("GET", "/v1/jobs/"+id, "").want(200)
}

// All that is wrong is said at once beside its field, what was typed stays, and nothing is
// stored.
func TestSchedulesThatCantBeMade(t *testing.T) {
	w := start(t)
	r := w.post("/schedules", url.Values{"name": {"No good"}, "cron": {"soon"}, "time_zone": {"Mars"}, "kind": {""}, "queue": {"Q"}, "input": {`{"a":1,"a":2}`}, "more": {`{"kind":"k"}`}}).want(422)
	if n := strings.Count(r.body, `aria-invalid="true"`); n != 6 { // the kind is among what is more here
		t.Errorf("%d fields are marked:\n%s", n, r.body)
	}
	r.shows("Nothing was stored", `value="No good"`, "must be 1 to 64 of a-z", "must have 5 fields", "Europe/Berlin", "has the member kind", `{&#34;a&#34;:1,&#34;a&#34;:2}`)
	for field, c := range map[string]struct{ value, says string }{
		"kind":  {"", "must be 1 to 64"},
		"queue": {"Q", "must be 1 to 64"},
		"input": {"{", ""},
		"more":  {`{"priority":1000}`, "priority: "},
	} {
		values := url.Values{"name": {"s"}, "cron": {"@daily"}, "kind": {"k"}}
		values.Set(field, c.value)
		if r := w.post("/schedules", values); r.status < 400 || r.status > 422 || strings.Count(r.body, `aria-invalid="true"`) != 1 || !strings.Contains(r.body, c.says) {
			t.Errorf("%s=%s: %d %s", field, c.value, r.status, r.body)
		}
	}
	for _, more := range []string{"null", "[]", `"x"`, "{", `{"other":1}`, `{"run_at":"2030-01-01T00:00:00Z"}`, `{"tags":"x"}`, `{"kind":"k","x":{`} {
		if r := w.post("/schedules", url.Values{"name": {"s"}, "cron": {"@daily"}, "kind": {"k"}, "more": {more}}); r.status < 400 || r.status > 422 {
			t.Errorf("%s: %d", more, r.status)
		}
	}
	w.post("/schedules", url.Values{"name": {"s"}, "cron": {"@daily"}, "kind": {"picky"}}).want(422).shows("This handler takes yes only.")
	w.post("/schedules", url.Values{"input": {strings.Repeat("x", 257<<10)}}).want(400)
	if list, err := w.engine.Schedules.List(t.Context(), ""); err != nil || len(list) > 0 {
		t.Errorf("stored: %v %v", list, err)
	}
	w.nothingStored()
}

// Viewers see all and can do nothing; another tenant's are not there.
func TestSchedulesOfViewers(t *testing.T) {
	w := start(t)
	w.bearer = w.key(auth.Admin, "default")
	w.do("PUT", "/v1/schedules/mine", `{"cron":"@daily","job":{"kind":"nobody"}}`).want(201)
	w.bearer = w.key(auth.Viewer, "default")
	w.do("GET", "/schedules/mine", "").want(200).shows("<fieldset disabled", "role operator", "read-only", "!data-operator")
	w.do("GET", "/schedules", "").want(200).shows("<fieldset disabled", "read-only")
	for _, path := range []string{"/schedules", "/schedules/mine", "/schedules/mine/run", "/schedules/mine/pause", "/schedules/mine/delete", "/callbacks/enable"} {
		w.post(path, url.Values{"cron": {"@hourly"}}).want(403)
	}
	w.bearer = w.key(auth.Admin, "other")
	w.do("GET", "/schedules", "").want(200).shows("No schedule yet", "!mine")
	w.do("GET", "/schedules/mine", "").want(404)
	w.post("/schedules/mine/delete", nil).want(404)
	c := w.connect("")
	c.send(`{"type":"hello","token":%q}`, w.bearer)
	c.send(`{"type":"subscribe","id":"v","view":"schedule:mine"}`)
	if m := c.until("error"); m["code"] != "not_found" {
		t.Errorf("another tenant's schedule can be watched: %v", m)
	}
}

// The page of a schedule is live: a tick shows at once.
func TestScheduleViewIsLive(t *testing.T) {
	w := start(t)
	w.do("PUT", "/v1/schedules/s", `{"cron":"@daily","job":{"kind":"echo","input":"yes"}}`).want(201)
	var all []*client
	for _, view := range []string{"schedule:s", "schedules"} {
		c := w.connect("")
		c.send(`{"type":"subscribe","id":"v","view":%q}`, view)
		c.until("patch")
		all = append(all, c)
	}
	w.post("/schedules/s/run", nil).want(303)
	for _, c := range all {
		for !strings.Contains(c.until("patch")["html"].(string), "1 succeeded") {
		}
	}
}

func TestSchedulesPages(t *testing.T) {
	w := start(t)
	for i := range 52 {
		name := "s" + string(rune('a'+i/26)) + string(rune('a'+i%26))
		w.do("PUT", "/v1/schedules/"+name, `{"cron":"@daily","job":{"kind":"nobody"}}`).want(201)
	}
	w.do("GET", "/schedules", "").shows("saa", "sbx", "!sby", `href="/schedules?after=sbx"`, "50 of 52")
	w.do("GET", "/schedules?after=sbx", "").shows("sby", "sbz", "!saa", `data-view="schedules:sbx"`, "2 of 52")
}

// A schedule needs attention while its last run failed, or its last tick submitted no job.
func TestAttentionToSchedules(t *testing.T) {
	timeless(t, func(t *testing.T, w *world) {
		for _, name := range []string{"bad", "well"} {
			w.do("PUT", "/v1/schedules/"+name, `{"cron":"@daily","job":{"kind":"busy","input":`+map[string]string{"bad": "false", "well": "true"}[name]+`}}`).want(201)
			w.post("/schedules/"+name+"/run", nil).want(303)
		}
		last := func(name string) string {
			one, err := w.engine.Schedules.Get(t.Context(), "default", name)
			if err != nil {
				t.Fatal(err)
			}
			return one.LastJob.String()
		}
		w.await(last("bad"), "failed")
		w.await(last("well"), "succeeded")
		w.do("GET", "/", "").shows("schedule bad: its last run failed", `href="/schedules/bad"`, "!schedule well")
		// Repeating it with an input that works mends it.
		w.await(w.do("POST", "/v1/jobs/"+last("bad")+"/retry", `{"input":true}`).want(202).text("id"), "succeeded")
		time.Sleep(5 * time.Second) // for so long it was remembered
		w.do("GET", "/", "").shows("!schedule bad")
	})
}

func TestAttentionToRefusedTicks(t *testing.T) {
	timeless(t, func(t *testing.T, w *world) {
		w.do("PUT", "/v1/schedules/hourly", `{"cron":"@hourly","job":{"kind":"nobody","queue":"small"}}`).want(201)
		w.do("PATCH", "/v1/queues/small", `{"capacity":1}`).want(200)
		w.submit(`{"kind":"nobody","queue":"small"}`)
		time.Sleep(time.Hour + time.Second)
		w.do("GET", "/", "").shows("schedule hourly: its last tick submitted no job", "Queue full")
		w.do("GET", "/schedules", "").shows("not submitted")
		w.do("GET", "/schedules/hourly", "").shows("The last tick submitted no job")
	})
}

// A viewer of a schedule that is deleted gets one message; the hub logs no error.
func TestViewOfDeletedSchedule(t *testing.T) {
	var log bytes.Buffer
	w := startIn(t, t.TempDir(), func(p *parts) {
		p.hub.Logger = slog.New(slog.NewTextHandler(&log, nil))
		p.web.Logger = p.hub.Logger
	})
	w.do("PUT", "/v1/schedules/short", `{"cron":"@daily","job":{"kind":"nobody"}}`).want(201)
	c := w.dial("")
	c.send(`{"type":"subscribe","id":"v","view":"schedule:short"}`)
	c.until("patch")
	w.do("DELETE", "/v1/schedules/short", "").want(204)
	if e := c.until("error"); e["id"] != "v" || e["code"] != "not_found" || e["retry"] != false {
		t.Errorf("the viewer got the error %v", e)
	}
	c.send(`{"type":"subscribe","id":"v","view":"schedules"}`) // the connection watches nothing more
	c.until("patch")
	c.send(`{"type":"subscribe","id":"q","view":"queue:nosuch"}`)
	if e := c.until("error"); e["code"] != "limit_exceeded" {
		t.Errorf("a second view: %v", e)
	}
	c.send(`{"type":"unsubscribe","id":"v"}`)
	c.send(`{"type":"subscribe","id":"q","view":"queue:nosuch"}`)
	if e := c.until("error"); e["id"] != "q" || e["code"] != "not_found" {
		t.Errorf("a queue that does not exist: %v", e)
	}
	w.close()
	if strings.Contains(log.String(), "ERROR") {
		t.Errorf("it logs %s", log.String())
	}
}

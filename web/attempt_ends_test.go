package web_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestEndsOfAnAttempt: what each verb makes of a job, and when it is there again.
func TestEndsOfAnAttempt(t *testing.T) {
	for name, test := range map[string]struct {
		verb, body    string
		state, reason string
		after         time.Duration // until it is leased again; -1 for never
		attempt       int           // it is then
		checkpoint    string
		code          string // of the error
	}{
		"complete":             {"complete", `{"result":[1]}`, "succeeded", "", -1, 0, "", ""},
		"fail":                 {"fail", ``, "retrying", "", time.Second, 2, "<nil>", "worker_failed"},
		"fail, auto":           {"fail", `{"error":{"title":"Torn","detail":"The paper is torn.","code":"torn","page":7},"retry":"auto"}`, "retrying", "", time.Second, 2, "<nil>", "torn"},
		"fail, no error":       {"fail", `{"error":null,"retry":"auto"}`, "retrying", "", time.Second, 2, "<nil>", "worker_failed"},
		"fail, never":          {"fail", `{"error":{"title":"Torn"},"retry":"never"}`, "failed", "rejected", -1, 0, "", "worker_failed"},
		"fail, after":          {"fail", `{"error":{"title":"Torn"},"retry":"after 5s"}`, "retrying", "", 5 * time.Second, 2, "<nil>", "worker_failed"},
		"fail, after an hour":  {"fail", `{"retry":"after 1h"}`, "retrying", "", time.Hour, 2, "<nil>", "worker_failed"},
		"snooze":               {"snooze", `{"delay":"30s"}`, "scheduled", "", 30 * time.Second, 1, "<nil>", ""},
		"snooze for a moment":  {"snooze", `{"delay":"1ms"}`, "scheduled", "", time.Millisecond, 1, "<nil>", ""},
		"release":              {"release", ``, "queued", "", 0, 1, "<nil>", ""},
		"release, checkpoint":  {"release", `{"checkpoint":{"page": 4, "n":1.10}}`, "queued", "", 0, 1, "map[n:1.10 page:4]", ""},
		"release, a null mark": {"release", `{"checkpoint":null}`, "queued", "", 0, 1, "<nil>", ""},
	} {
		t.Run(name, func(t *testing.T) {
			timeless(t, func(t *testing.T, w *world) {
				k := w.worker(1, "k")
				id := w.submit(`{"kind":"k","retry":{"backoff":"fixed","initial":"1s"}}`)
				token, _ := k.lease()
				from := time.Now()
				r := w.end(token, test.verb, test.body).want(200)
				doc := w.do("GET", "/v1/jobs/"+id, "").json()
				if m := r.json(); m["state"] != test.state || m["reason"] != test.reason || doc["version"] != m["version"] {
					t.Errorf("%s, want %s %s; and now %v", r.body, test.state, test.reason, doc)
				}
				code := ""
				if problem, ok := doc["error"].(map[string]any); ok {
					code = problem["code"].(string)
				}
				if code != test.code {
					t.Errorf("the error is %v", doc["error"])
				}
				if again := w.end(token, test.verb, test.body).want(200); again.text("version") != r.text("version") {
					t.Errorf("the same verb again: %s", again.body)
				}
				for _, other := range []string{"complete", "fail", "snooze", "release"} {
					if other != test.verb {
						w.end(token, other, map[string]string{"snooze": `{"delay":"1s"}`}[other]).problem(http.StatusConflict, "conflict")
					}
				}
				w.report(token, `{"n":1,"type":"progress"}`).problem(http.StatusConflict, "lease_lost")
				if test.after < 0 {
					if list := k.poll(1, "1m").want(200).leased(); len(list) != 0 {
						t.Errorf("it runs again: %v", list)
					}
					return
				}
				var list []map[string]any
				for len(list) == 0 && time.Since(from) < 2*time.Hour {
					list = k.poll(1, "1m").want(200).leased()
				}
				least := test.after
				if test.after == time.Second { // by the backoff, which is up to 20 % less
					least = 800 * time.Millisecond
				}
				if passed := time.Since(from); passed < least || passed > test.after+5*time.Millisecond {
					t.Errorf("it was there again after %s, want %s", passed, test.after)
				}
				if list[0]["id"] != id || fmt.Sprint(list[0]["attempt"]) != fmt.Sprint(test.attempt) || fmt.Sprint(list[0]["checkpoint"]) != test.checkpoint {
					t.Errorf("again: %v", list[0])
				}
				w.end(token, test.verb, test.body).want(200) // a repetition that comes late does not touch the new attempt
				fresh := list[0]["lease"].(string)
				if m := w.end(fresh, "complete", `{"result":"fresh"}`).want(200).json(); m["state"] != "succeeded" || m["result"] != "fresh" {
					t.Errorf("the new attempt ends as %v", m)
				}
				for _, verb := range []string{"complete", "fail", "snooze", "release"} { // now there has been another end
					w.end(token, verb, map[string]string{"snooze": `{"delay":"1s"}`}[verb]).problem(http.StatusConflict, "lease_lost")
				}
			})
		})
	}
}

func TestMalformedEnds(t *testing.T) {
	w := start(t)
	k := w.worker(1, "k")
	id := w.submit(`{"kind":"k"}`)
	token, _ := k.lease()
	for _, test := range []struct {
		verb, body string
		status     int
		pointer    string
	}{
		{"complete", `{"results":1}`, 422, "/results"},
		{"complete", `7`, 422, ""},
		{"complete", `{"result":}`, 400, ""},
		{"complete", `{"result":1}{"result":2}`, 400, ""},
		{"complete", `{"result":{"a":1,"a":2}}`, 400, "/result/a"},
		{"fail", `{"retry":"later"}`, 422, "/retry"},
		{"fail", `{"retry":"Never"}`, 422, "/retry"},
		{"fail", `{"retry":"after"}`, 422, "/retry"},
		{"fail", `{"retry":"after 5"}`, 422, "/retry"},
		{"fail", `{"retry":"after -5s"}`, 422, "/retry"},
		{"fail", `{"retry":"after  5s"}`, 422, "/retry"},
		{"fail", `{"retry":"after 9223372036854775807ns"}`, 422, "/retry"},
		{"fail", `{"retry":5}`, 422, "/retry"},
		{"fail", `{"error":"torn"}`, 422, "/error"},
		{"fail", `{"error":["torn"]}`, 422, "/error"},
		{"fail", `{"error":{"title":7}}`, 422, "/error"},
		{"fail", `{"problem":{}}`, 422, "/problem"},
		{"snooze", ``, 422, "/delay"},
		{"snooze", `{}`, 422, "/delay"},
		{"snooze", `{"delay":"-1s"}`, 422, "/delay"},
		{"snooze", `{"delay":30}`, 422, "/delay"},
		{"snooze", `{"delay":"87601h"}`, 422, "/delay"},
		{"snooze", `{"delay":"9223372036854775807ns"}`, 422, "/delay"},
		{"release", `{"checkpoint":"` + strings.Repeat("x", 64<<10) + `"}`, 422, "/checkpoint"},
		{"release", `{"delay":"1s"}`, 422, "/delay"},
	} {
		t.Run(test.verb+" "+test.body[:min(len(test.body), 40)], func(t *testing.T) {
			r := w.end(token, test.verb, test.body)
			r.t = t
			pointsAt(t, r.problem(test.status, "bad_message"), test.pointer)
		})
	}
	for _, verb := range []string{"complete", "fail", "snooze", "release"} {
		w.do("POST", "/v1/leases/"+token+"/"+verb, `{}`, "Content-Type", "text/plain").problem(http.StatusUnsupportedMediaType, "unsupported")
	}
	if doc := w.do("GET", "/v1/jobs/"+id, "").json(); doc["state"] != "running" || doc["version"] != json.Number("2") {
		t.Errorf("the job has changed: %v", doc)
	}
	w.end(token, "release", `{"checkpoint":"`+strings.Repeat("x", 64<<10-2)+`"}`).want(200)
}

func TestTokensOfNothing(t *testing.T) {
	w := start(t)
	k := w.worker(1, "k")
	id := w.submit(`{"kind":"k"}`)
	token, _ := k.lease()
	inside := w.submit(`{"kind":"script","input":"a"}`)
	w.await(inside, "running")
	for _, token := range []string{"x", id, id + ".", id + ".w", id + ".wAAAAAAAAAAAAAAAAAAAAAAAAAA", id + ".h", inside + ".hAAAA", unknownID + ".wAAAA", token + "x", token[:len(token)-1],
		"%00", "..%2f..", strings.Repeat("x", 4000), "%7B" + id + "%7D.w"} {
		for _, verb := range []string{"complete", "fail", "release"} {
			w.end(token, verb, "").problem(http.StatusConflict, "lease_lost")
		}
		w.end(token, "snooze", `{"delay":"1s"}`).problem(http.StatusConflict, "lease_lost")
		w.report(token, `{"n":1,"type":"progress"}`).problem(http.StatusConflict, "lease_lost")
	}
	for _, id := range []string{id, inside} {
		if doc := w.do("GET", "/v1/jobs/"+id, "").json(); doc["state"] != "running" || doc["version"] != json.Number("2") {
			t.Errorf("a job has changed: %v", doc)
		}
	}
	w.script("a").succeed("1")
	w.await(inside, "succeeded")
}

// TestCancelIsToldAtOnce: to a call that is held, of either kind.
func TestCancelIsToldAtOnce(t *testing.T) {
	for _, call := range []string{"lease", "beat"} {
		t.Run(call, func(t *testing.T) {
			timeless(t, func(t *testing.T, w *world) {
				k := w.worker(3, "k")
				id, other := w.submit(`{"kind":"k"}`), w.submit(`{"kind":"k"}`)
				list := k.poll(3, "0s").want(200).leased()
				token, second := list[0]["lease"].(string), list[1]["lease"].(string)
				done := held(func() reply {
					if call == "lease" {
						return k.poll(1, "25s")
					}
					return k.beat("25s", token, second)
				})
				if len(done) > 0 {
					t.Fatalf("not held: %s", (<-done).body)
				}
				from := time.Now()
				if doc := w.do("POST", "/v1/jobs/"+id+"/cancel", "").want(200).json(); doc["state"] != "running" || doc["cancel_requested"] != true {
					t.Errorf("cancelled: %v", doc)
				}
				if r := w.ended(done).want(200); r.state(token) != "cancel" || r.state(second) != "ok" || time.Since(from) != 0 {
					t.Errorf("after %s: %s", time.Since(from), r.body)
				}
				w.do("POST", "/v1/jobs/"+other+"/cancel", "").want(200)
				if r := k.beat("25s", token, second).want(200); r.state(second) != "cancel" { // it was not held then
					t.Errorf("the next beat: %s", r.body)
				}
				if m := w.end(token, "complete", `{"result":"all but done"}`).want(200).json(); m["state"] != "succeeded" { // in its grace
					t.Errorf("completed: %v", m)
				}
				doc := w.do("GET", "/v1/jobs/"+other, "", "Prefer", "wait=60").json() // until the grace is over
				if passed := time.Since(from); doc["state"] != "cancelled" || doc["reason"] != "user" || passed != 10*time.Second {
					t.Errorf("after %s: %v", passed, doc)
				}
				w.end(second, "complete", "").problem(http.StatusConflict, "lease_lost")
				if r := k.beat("0s", second).want(200); r.state(second) != "lost" {
					t.Errorf("beat: %s", r.body)
				}
			})
		})
	}
}

func TestLargeResults(t *testing.T) {
	w := startIn(t, t.TempDir(), func(p *parts) { p.lease = time.Hour }) // bodies of this size take long on a busy machine
	k := w.worker(1, "k")
	id := w.submit(`{"kind":"k"}`)
	token, _ := k.lease()
	const most = 16 << 20
	w.end(token, "complete", `{"result":"`+strings.Repeat("x", most-1)+`"}`).problem(http.StatusRequestEntityTooLarge, "too_large")
	w.end(token, "complete", `{"result":"`+strings.Repeat("x", 2*most)+`"}`).problem(http.StatusRequestEntityTooLarge, "too_large")
	result := `"` + strings.Repeat("x", most-2) + `"`
	w.end(token, "complete", `{"result":`+result+`}`).want(200)
	if r := w.do("GET", "/v1/jobs/"+id+"/response", "").want(200); r.body != result+"\n" {
		t.Errorf("a result of %d bytes came back with %d", most, len(r.body))
	}
	for _, e := range w.log() {
		if e.Type.String() == "job.succeeded" && !e.Truncated {
			t.Errorf("its event has %d bytes of data", len(e.Data))
		}
	}
}

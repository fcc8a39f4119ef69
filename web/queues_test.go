package web_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"jobhub/jobs"
)

func (w *world) limits(queue, body string) map[string]any {
	w.t.Helper()
	return w.do("PATCH", "/v1/queues/"+queue, body).want(200).json()["limits"].(map[string]any)
}

func TestQueue(t *testing.T) {
	w := start(t)
	w.do("GET", "/v1/queues/q", "").problem(http.StatusNotFound, "not_found")
	w.submit(`{"kind":"nobody","queue":"q"}`)
	w.submit(`{"kind":"nobody","queue":"q","delay":"1h"}`)
	w.submit(`{"kind":"nobody","queue":"r"}`)
	one := w.do("GET", "/v1/queues/q", "").want(200)
	q := one.json()
	states := q["states"].(map[string]any)
	if q["name"] != "q" || q["paused"] != false || q["pause"] != nil || fmt.Sprintln(states["queued"], states["scheduled"], states["failed"]) != "1 1 0\n" {
		t.Errorf("%s", one.body)
	}
	if fmt.Sprint(q["limits"]) != "map[capacity:<nil> concurrency:<nil> per_key:<nil> queue_timeout:<nil> rate:<nil>]" {
		t.Errorf("limits of a queue without any: %v", q["limits"])
	}
	list := w.do("GET", "/v1/queues", "").json()["queues"].([]any)
	if len(list) != 2 || fmt.Sprint(list[0].(map[string]any)["states"]) != fmt.Sprint(states) {
		t.Errorf("the list says %v", list)
	}
	for _, name := range []string{"Q", "q%20", "%00", strings.Repeat("q", 65), "q%2Fr"} {
		w.do("GET", "/v1/queues/"+name, "").problem(http.StatusNotFound, "not_found")
		w.do("PATCH", "/v1/queues/"+name, `{"capacity":1}`).problem(http.StatusNotFound, "not_found")
		w.do("POST", "/v1/queues/"+name+"/pause", "").problem(http.StatusNotFound, "not_found")
		w.do("POST", "/v1/queues/"+name+"/resume", "").problem(http.StatusNotFound, "not_found")
	}
	w.limits("fresh", `{"capacity":3}`) // comes into being with its limit
	if list := w.do("GET", "/v1/queues", "").json()["queues"].([]any); len(list) != 3 {
		t.Errorf("queues: %v", list)
	}
}

func TestLimitsAreSetAndLifted(t *testing.T) {
	w := start(t)
	for _, test := range []struct{ member, value, shown string }{
		{"concurrency", `1`, "1"},
		{"concurrency", `1000000000`, "1000000000"},
		{"capacity", `50`, "50"},
		{"per_key", `2`, "2"},
		{"queue_timeout", `"30s"`, "30s"},
		{"queue_timeout", `"90m"`, "1h30m0s"},
		{"queue_timeout", `"1ms"`, "1ms"},
		{"rate", `"10/s"`, "10/s"},
		{"rate", `"100/m"`, "100/m"},
		{"rate", `"1000/h"`, "1000/h"},
		{"rate", `"5/30s"`, "5/30s"},
		{"rate", `"1/1s"`, "1/s"},
		{"rate", `"7/60m"`, "7/h"},
		{"rate", `"1000000/24h"`, "1000000/24h0m0s"},
	} {
		t.Run(test.member+" "+test.value, func(t *testing.T) {
			limits := w.limits("q", `{"`+test.member+`":`+test.value+`}`)
			if fmt.Sprint(limits[test.member]) != test.shown {
				t.Errorf("shown as %v, want %s", limits[test.member], test.shown)
			}
			if now := w.do("GET", "/v1/queues/q", "").json()["limits"]; fmt.Sprint(now) != fmt.Sprint(limits) {
				t.Errorf("GET shows %v, PATCH showed %v", now, limits)
			}
			if again := w.limits("q", fmt.Sprintf(`{"%s":%s}`, test.member, text(limits[test.member]))); fmt.Sprint(again) != fmt.Sprint(limits) {
				t.Errorf("what is shown makes it %v", again)
			}
			for other, value := range w.limits("q", `{"`+test.member+`":null}`) {
				if value != nil {
					t.Errorf("lifted, but %s is %v", other, value)
				}
			}
		})
	}
	w.limits("q", `{"concurrency":3,"rate":"10/s"}`)
	for _, body := range []string{"", `{}`, `{"capacity":9}`} { // what is not named stays
		if limits := w.limits("q", body); fmt.Sprintln(limits["concurrency"], limits["rate"]) != "3 10/s\n" {
			t.Errorf("after %q: %v", body, limits)
		}
	}
	if head := w.store.Head().Seq; head != 0 {
		t.Errorf("limits made %d events", head)
	}
}

// text is a decoded value as JSON again.
func text(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func TestLimitsThatAreRefused(t *testing.T) {
	w := start(t)
	w.limits("q", `{"concurrency":3,"capacity":4,"per_key":5,"rate":"6/s","queue_timeout":"7s"}`)
	before := fmt.Sprint(w.do("GET", "/v1/queues/q", "").json()["limits"])
	type refused struct {
		body    string
		status  int
		pointer string
	}
	tests := []refused{
		{`{"concurrence":1}`, 422, "/concurrence"},
		{`{"Capacity":1}`, 422, "/Capacity"},
		{`{"paused":true}`, 422, "/paused"},
		{`{"capacity":1,"capacity":2}`, 400, "/capacity"},
		{`{"capacity":1`, 400, ""},
		{`[]`, 422, ""},
		{`{"concurrency":1,"capacity":2,"per_key":3,"queue_timeout":"1s","rate":"none"}`, 422, "/rate"},
		{`{"capacity":9,"concurrency":8,"per_key":0}`, 422, "/per_key"},
	}
	for _, member := range []string{"concurrency", "capacity", "per_key"} {
		for _, value := range []string{`0`, `-1`, `1.5`, `"1"`, `true`, `[]`, `{}`, `1000000001`, `9223372036854775808`, `1e400`} {
			tests = append(tests, refused{`{"` + member + `":` + value + `}`, 422, "/" + member})
		}
	}
	for _, value := range []string{`""`, `"10"`, `"10/"`, `"/s"`, `"0/s"`, `"-1/s"`, `"1.5/s"`, `"10/d"`, `"10/0s"`, `"10/-1s"`, `"10/25h"`, `"10/s/s"`, `"10 / s"`, `"1000001/s"`, `"99999999999999999999/s"`, `10`, `{"n":1}`} {
		tests = append(tests, refused{`{"rate":` + value + `}`, 422, "/rate"})
	}
	for _, value := range []string{`""`, `"0s"`, `"-1s"`, `"1us"`, `"30"`, `30`, `"soon"`, `"87601h"`, `"9223372036854775808ns"`} {
		tests = append(tests, refused{`{"queue_timeout":` + value + `}`, 422, "/queue_timeout"})
	}
	for _, test := range tests {
		t.Run(test.body, func(t *testing.T) {
			r := w.do("PATCH", "/v1/queues/q", test.body)
			r.t = t
			pointsAt(t, r.problem(test.status, "bad_message"), test.pointer)
			if now := fmt.Sprint(w.do("GET", "/v1/queues/q", "").json()["limits"]); now != before {
				t.Fatalf("the limits are %s, were %s", now, before)
			}
			w.do("PATCH", "/v1/queues/fresh", test.body)
			w.do("GET", "/v1/queues/fresh", "").problem(http.StatusNotFound, "not_found")
		})
	}
	w.do("PATCH", "/v1/queues/q", `{"capacity":1}`, "Content-Type", "text/plain").problem(http.StatusUnsupportedMediaType, "unsupported")
}

func TestFullQueue(t *testing.T) {
	w := start(t)
	w.limits("q", `{"capacity":2}`)
	k := w.worker(1, "k")
	w.submit(`{"kind":"k","queue":"q"}`)
	w.submit(`{"kind":"k","queue":"q","delay":"1h"}`)
	full := func(r reply) {
		t.Helper()
		p := r.has("Retry-After", "1", "RateLimit-Policy", `"default";q=2;w=1`, "RateLimit", `"default";r=0;t=1`, "Location", "", "AsyncResult", "").problem(http.StatusServiceUnavailable, "queue_full")
		if p["type"] != "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity" {
			t.Errorf("type %v", p["type"])
		}
	}
	const body = `{"kind":"k","queue":"q","input":1}`
	full(w.do("POST", "/v1/jobs", body, "Idempotency-Key", "key"))
	full(w.do("POST", "/v1/jobs", body, "Prefer", "wait=60"))
	c := w.dial("")
	c.send(`{"type":"submit","id":"m","job":%s}`, body)
	if m := c.until("error"); m["code"] != "queue_full" || m["retry"] != true {
		t.Errorf("over WebSocket: %v", m)
	}
	w.submit(`{"kind":"nobody"}`) // another queue
	if page := w.do("GET", "/v1/jobs?queue=q", "").json()["jobs"].([]any); len(page) != 2 {
		t.Errorf("the full queue holds %d jobs", len(page))
	}
	token, _ := k.lease() // one that runs does not count
	w.submit(body, "Idempotency-Key", "key")
	full(w.do("POST", "/v1/jobs", body))
	w.end(token, "release", "").want(200) // and is never refused re-entry
	token, job := k.lease()
	w.end(token, "complete", "").want(200)
	done := job["id"].(string)
	full(w.do("POST", "/v1/jobs/"+done+"/retry", ""))
	w.limits("q", `{"capacity":null}`)
	w.submit(body)
	w.do("POST", "/v1/jobs/"+done+"/retry", "").want(202)
}

func TestPauseAndResume(t *testing.T) {
	timeless(t, func(t *testing.T, w *world) {
		w.submit(`{"kind":"k","queue":"q"}`)
		c, other := w.dial("?queue=q"), w.dial("?queue=r")
		c.until("live")
		other.until("live")
		r := w.do("POST", "/v1/queues/q/pause", `{"reason":"the printer is on fire"}`).want(200)
		pause := r.json()["pause"].(map[string]any)
		if r.json()["paused"] != true || pause["reason"] != "the printer is on fire" || pause["by"] != "local" || pause["at"] == nil {
			t.Errorf("%s", r.body)
		}
		m := c.until("queue.paused")
		if data := m["data"].(map[string]any); m["queue"] != "q" || m["job"] != "" || m["version"] != json.Number("0") || fmt.Sprint(data) != fmt.Sprint(pause) {
			t.Errorf("%v", m)
		}
		if again := w.do("POST", "/v1/queues/q/pause", `{"reason":"another"}`).want(200).json()["pause"]; fmt.Sprint(again) != fmt.Sprint(pause) {
			t.Errorf("paused again: %v", again)
		}
		k := w.worker(3, "k")
		w.submit(`{"kind":"k","queue":"q"}`) // a paused queue accepts
		c.until("job.queued")
		done := held(func() reply { return k.poll(3, "25s") })
		if len(done) > 0 {
			t.Fatalf("a paused queue gave %s", (<-done).body)
		}
		from := time.Now()
		if r := w.do("POST", "/v1/queues/q/resume", "").want(200); r.json()["paused"] != false || r.json()["pause"] != nil {
			t.Errorf("%s", r.body)
		}
		if list := w.ended(done).want(200).leased(); len(list) == 0 || time.Since(from) != 0 {
			t.Errorf("after %s: %v", time.Since(from), list)
		}
		if m := c.next(); m["type"] != "queue.resumed" || m["queue"] != "q" || len(m["data"].(map[string]any)) > 0 {
			t.Errorf("%v", m)
		}
		synctest.Wait()
		head := w.store.Head().Seq
		w.do("POST", "/v1/queues/q/resume", "").want(200)
		if w.store.Head().Seq != head {
			t.Error("resuming what is not paused made an event")
		}
		other.quiet()
		for _, test := range []struct{ body, pointer string }{{`{"reason":7}`, "/reason"}, {`{"why":"x"}`, "/why"}, {`{"reason":"` + strings.Repeat("x", 1001) + `"}`, "/reason"}} {
			pointsAt(t, w.do("POST", "/v1/queues/q/pause", test.body).problem(http.StatusUnprocessableEntity, "bad_message"), test.pointer)
		}
		if w.do("GET", "/v1/queues/q", "").json()["paused"] != false {
			t.Error("a refused pause was carried out")
		}
		c.conn.CloseNow()
		other.conn.CloseNow()
	})
}

func TestPauseSurvivesARestart(t *testing.T) {
	dir := t.TempDir()
	w := startIn(t, dir, nil)
	w.limits("q", `{"concurrency":1,"rate":"5/30s","queue_timeout":"1h"}`)
	before := w.do("POST", "/v1/queues/q/pause", "").want(200).json()
	w.close()
	w = startIn(t, dir, nil)
	after := w.do("GET", "/v1/queues/q", "").want(200).json()
	if fmt.Sprint(after["pause"], after["limits"]) != fmt.Sprint(before["pause"], before["limits"]) || after["paused"] != true {
		t.Errorf("%v, were %v", after, before)
	}
	w.submit(`{"kind":"k","queue":"q"}`)
	k := w.worker(1, "k")
	if list := k.poll(1, "0s").leased(); len(list) != 0 {
		t.Errorf("a paused queue gave %v", list)
	}
	w.do("POST", "/v1/queues/q/resume", "").want(200)
	k.lease()
}

// TestLimitsHold: what workers get at once and what only later.
func TestLimitsHold(t *testing.T) {
	timeless(t, func(t *testing.T, w *world) {
		k := w.worker(10, "k")
		submit := func(n int, rest string) {
			t.Helper()
			for range n {
				w.submit(`{"kind":"k",` + rest + `}`)
			}
		}
		take := func(want int) (tokens []string) {
			t.Helper()
			for {
				list := k.poll(10, "0s").want(200).leased()
				if len(list) == 0 {
					break
				}
				for _, job := range list {
					tokens = append(tokens, job["lease"].(string))
				}
			}
			if len(tokens) != want {
				t.Errorf("%d jobs started, want %d", len(tokens), want)
			}
			return tokens
		}
		finish := func(tokens []string) {
			t.Helper()
			for _, token := range tokens {
				w.end(token, "complete", "").want(200)
			}
		}
		w.limits("narrow", `{"concurrency":2}`)
		submit(5, `"queue":"narrow"`)
		first := take(2)
		finish(first[:1])
		second := take(1)
		w.limits("narrow", `{"concurrency":null}`)
		finish(append(take(2), first[1], second[0]))

		w.limits("fair", `{"per_key":1}`)
		submit(3, `"queue":"fair","fair_key":"loud"`)
		submit(1, `"queue":"fair","fair_key":"soft"`)
		first = take(2)
		finish(first)
		first = take(1)
		w.limits("fair", `{"per_key":2}`)
		finish(append(take(1), first...))

		w.limits("slow", `{"rate":"2/30s"}`)
		submit(5, `"queue":"slow"`)
		finish(take(2))
		from := time.Now()
		for _, after := range []time.Duration{15 * time.Second, 30 * time.Second, 45 * time.Second} {
			list := k.poll(10, "1m").want(200).leased()
			if passed := time.Since(from); len(list) != 1 || passed < after || passed > after+100*time.Millisecond {
				t.Fatalf("%d jobs after %s, want one after %s", len(list), passed, after)
			}
			finish([]string{list[0]["lease"].(string)})
		}

		w.limits("hasty", `{"queue_timeout":"5s"}`)
		id := w.submit(`{"kind":"nobody","queue":"hasty"}`)
		patient := w.submit(`{"kind":"nobody","queue":"hasty","queue_timeout":"1h"}`)
		from = time.Now()
		doc := w.do("GET", "/v1/jobs/"+id, "", "Prefer", "wait=60").json()
		if doc["state"] != "failed" || doc["reason"] != "expired" || time.Since(from) < 5*time.Second || time.Since(from) > 6*time.Second {
			t.Errorf("after %s: %v", time.Since(from), doc)
		}
		w.do("GET", "/v1/jobs/"+id+"/response", "").has("AsyncResult", "503").problem(http.StatusServiceUnavailable, "expired")
		if doc := w.do("GET", "/v1/jobs/"+patient, "").json(); doc["state"] != jobs.Queued.String() {
			t.Errorf("%v", doc)
		}
	})
}

package web_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestMalformedPolls(t *testing.T) {
	w := start(t)
	k := w.worker(1, "k")
	for _, test := range []struct {
		call, body string
		status     int
		pointer    string
	}{
		{"lease", `{"max":0,"wait":"0s"}`, 422, "/max"},
		{"lease", `{"max":10001,"wait":"0s"}`, 422, "/max"},
		{"lease", `{"max":"1","wait":"0s"}`, 422, "/max"},
		{"lease", `{"wait":0}`, 422, "/wait"},
		{"lease", `{"wait":"soon"}`, 422, "/wait"},
		{"lease", `{"wait":"-1s"}`, 422, "/wait"},
		{"lease", `{"wait":""}`, 422, "/wait"},
		{"lease", `{"min":1}`, 422, "/min"},
		{"lease", `{"wait":"0s"`, 400, ""},
		{"beat", `{"wait":"5"}`, 422, "/wait"},
		{"beat", `{"wait":"-1ns"}`, 422, "/wait"},
		{"beat", `{"leases":"x"}`, 422, "/leases"},
		{"beat", `{"leases":[1]}`, 422, "/leases/0"},
		{"beat", `{"lease":[]}`, 422, "/lease"},
		{"beat", `[]`, 422, ""},
	} {
		t.Run(test.call+" "+test.body, func(t *testing.T) {
			r := w.do("POST", "/v1/workers/"+k.id+"/"+test.call, test.body)
			r.t = t
			pointsAt(t, r.problem(test.status, "bad_message"), test.pointer)
		})
	}
	for _, call := range []string{"lease", "beat"} {
		w.do("POST", "/v1/workers/"+k.id+"/"+call, `{}`, "Content-Type", "text/plain").problem(http.StatusUnsupportedMediaType, "unsupported")
		w.do("POST", "/v1/workers/wk_unknown/"+call, `{"wait":"0s"}`).problem(http.StatusNotFound, "not_found")
	}
	for _, call := range []string{"quiet", "terminate"} {
		w.do("POST", "/v1/workers/wk_unknown/"+call, "").problem(http.StatusNotFound, "not_found")
	}
	w.do("DELETE", "/v1/workers/wk_unknown", "").problem(http.StatusNotFound, "not_found")
}

func TestPollIsWokenByASubmission(t *testing.T) {
	timeless(t, func(t *testing.T, w *world) {
		k := w.worker(2, "a", "b")
		done := held(func() reply { return k.poll(5, "25s") })
		w.submit(`{"kind":"c"}`) // is not for it
		synctest.Wait()
		if len(done) > 0 {
			t.Fatalf("a job of another kind ended the poll: %s", (<-done).body)
		}
		from := time.Now()
		id := w.submit(`{"kind":"b"}`)
		list := w.ended(done).want(200).leased()
		if len(list) != 1 || list[0]["id"] != id {
			t.Fatalf("woken with %v", list)
		}
		if passed := time.Since(from); passed != 0 {
			t.Errorf("woken after %s", passed)
		}
		w.end(list[0]["lease"].(string), "complete", "").want(200)
		for wait, most := range map[string]time.Duration{"0s": 0, "7s": 7 * time.Second, "10h": time.Minute} { // a minute is the longest
			from = time.Now()
			if r := k.poll(1, wait).want(200); len(r.leased()) != 0 || time.Since(from) != most {
				t.Errorf("wait %s ended after %s: %s", wait, time.Since(from), r.body)
			}
		}
	})
}

func TestNeverMoreThanSlots(t *testing.T) {
	timeless(t, func(t *testing.T, w *world) {
		k := w.worker(2, "k")
		for range 5 {
			w.submit(`{"kind":"k"}`)
		}
		list := k.poll(10, "0s").want(200).leased()
		if len(list) != 2 {
			t.Fatalf("%d jobs for two slots", len(list))
		}
		done := held(func() reply { return k.poll(10, "25s") })
		if len(done) > 0 {
			t.Fatalf("with no free slot: %s", (<-done).body)
		}
		w.end(list[0]["lease"].(string), "complete", "").want(200) // frees a slot, and the poll continues
		if list := w.ended(done).want(200).leased(); len(list) != 1 {
			t.Errorf("%d jobs for one slot", len(list))
		}
		one := w.worker(5, "k")
		if list := one.poll(1, "0s").want(200).leased(); len(list) != 1 {
			t.Errorf("asked for one, got %d", len(list))
		}
	})
}

func TestDirectiveEndsAPollAtOnce(t *testing.T) {
	timeless(t, func(t *testing.T, w *world) {
		k := w.worker(1, "k")
		done := held(func() reply { return k.poll(1, "25s") })
		from := time.Now()
		w.do("POST", "/v1/workers/"+k.id+"/quiet", "").want(200)
		if r := w.ended(done).want(200); r.text("directive") != "quiet" || time.Since(from) != 0 {
			t.Errorf("after %s: %s", time.Since(from), r.body)
		}
		done = held(func() reply { return k.poll(1, "25s") })
		if len(done) > 0 {
			t.Fatalf("the directive came twice: %s", (<-done).body)
		}
		w.do("POST", "/v1/workers/"+k.id+"/terminate", "").want(200)
		if r := w.ended(done).want(200); r.text("directive") != "terminate" {
			t.Errorf("%s", r.body)
		}
	})
}

// TestPollOfAClientThatHangsUp: nothing is given to somebody who is not there any more.
func TestPollOfAClientThatHangsUp(t *testing.T) {
	timeless(t, func(t *testing.T, w *world) {
		k, other := w.worker(1, "k"), w.worker(1, "k")
		ctx, hangUp := context.WithCancel(t.Context())
		failed := make(chan error, 1)
		go func() {
			req, err := http.NewRequestWithContext(ctx, "POST", w.url+"/v1/workers/"+k.id+"/lease", strings.NewReader(`{"wait":"1m"}`))
			if err == nil {
				req.Header.Set("Content-Type", "application/json")
				_, err = w.client.Transport.RoundTrip(req)
			}
			failed <- err
		}()
		synctest.Wait()
		hangUp()
		if err := <-failed; !errors.Is(err, context.Canceled) {
			t.Fatalf("the poll ended with %v", err)
		}
		synctest.Wait()
		id := w.submit(`{"kind":"k"}`)
		synctest.Wait()
		if doc := w.do("GET", "/v1/jobs/"+id, "").json(); doc["state"] != "queued" || doc["version"] != json.Number("1") {
			t.Errorf("somebody took it: %v", doc)
		}
		if _, job := other.lease(); job["id"] != id || job["attempt"] != json.Number("1") {
			t.Errorf("leased: %v", job)
		}
	})
}

func TestDrainEndsPolls(t *testing.T) {
	timeless(t, func(t *testing.T, w *world) {
		k := w.worker(2, "k")
		w.submit(`{"kind":"k"}`)
		token, _ := k.lease()
		idle := w.worker(1, "k")
		polls := []<-chan reply{held(func() reply { return k.poll(1, "1m") }), held(func() reply { return idle.poll(1, "1m") }), held(func() reply { return k.beat("1m", token) })}
		from := time.Now()
		w.Drain()
		for _, done := range polls {
			if r := w.ended(done).want(200); r.text("directive") != "none" || strings.Contains(r.body, `"lost"`) {
				t.Errorf("%s", r.body)
			}
		}
		if time.Since(from) != 0 {
			t.Errorf("after %s", time.Since(from))
		}
		w.do("POST", "/v1/jobs", `{"kind":"k"}`).has("Retry-After", "1").problem(http.StatusServiceUnavailable, "internal")
		k.poll(1, "1m").has("Retry-After", "1").problem(http.StatusServiceUnavailable, "internal") // no new work
		if r := k.beat("0s", token).want(200); r.state(token) != "ok" {
			t.Errorf("beat: %s", r.body)
		}
		w.report(token, `{"n":1,"type":"progress","percent":99}`).want(200)
		w.end(token, "complete", "").want(200) // but what it has it can finish
		if time.Since(from) > time.Second {
			t.Errorf("these took %s", time.Since(from))
		}
	})
}

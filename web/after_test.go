package web_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"jobhub/jobs"
)

// Jobs of one ordering key run one at a time, in the order in which they were accepted,
// whatever their priority; other keys and queues are not in their way.
func TestOrderingKey(t *testing.T) {
	w := start(t)
	k := w.worker(10, "k")
	var want []string
	for i := range 4 {
		r := w.do("POST", "/v1/jobs", fmt.Sprintf(`{"kind":"k","ordering_key":"order 7","priority":%d,"retry":{"max_attempts":1}}`, i)).want(202)
		want = append(want, r.text("id"))
		if r.text("ordering_key") != "order 7" {
			t.Errorf("accepted: %s", r.body)
		}
	}
	others := []string{w.submit(`{"kind":"k","ordering_key":"order 8","priority":-1}`), w.submit(`{"kind":"k","queue":"other","ordering_key":"order 7","priority":-2}`), w.submit(`{"kind":"k","priority":-3}`)}
	list := k.poll(10, "0s").want(200).leased()
	var got []string
	for _, job := range list {
		got = append(got, job["id"].(string))
	}
	if !slices.Equal(got, append([]string{want[0]}, others...)) {
		t.Fatalf("at first run %v", got)
	}
	next := func(i int) string {
		t.Helper()
		token, job := k.lease()
		if job["id"] != want[i] {
			t.Fatalf("then runs %v, want job %d", job["id"], i)
		}
		return token
	}
	token := list[0]["lease"].(string)
	w.end(token, "release", "").want(200) // it has not ended: none may pass
	token = next(0)
	w.end(token, "fail", "").want(200) // for good: the next may go
	token = next(1)
	w.do("DELETE", "/v1/jobs/"+want[2], "").want(200)
	w.end(token, "complete", "").want(200)
	w.end(next(3), "complete", "").want(200)
}

func TestAfter(t *testing.T) {
	w := start(t)
	k := w.worker(10, "k")
	a, b := w.submit(`{"kind":"k"}`), w.submit(`{"kind":"k"}`)
	r := w.do("POST", "/v1/jobs", fmt.Sprintf(`{"kind":"last","after":["%s","%s","%[1]s"]}`, a, b)).want(202)
	last := r.text("id")
	if r.text("state") != "waiting" || r.text("queue_position") != "0" || r.text("progress_state") != "IN_QUEUE" {
		t.Errorf("accepted: %s", r.body)
	}
	later := w.submit(fmt.Sprintf(`{"kind":"last","after":["%s"],"delay":"1h"}`, a))
	grandchild := w.submit(fmt.Sprintf(`{"kind":"last","after":["%s"]}`, last))
	end := w.worker(10, "last")
	for range 2 {
		if list := end.poll(10, "0s").leased(); len(list) != 0 {
			t.Fatalf("these had to wait: %v", list)
		}
		token, _ := k.lease()
		w.end(token, "complete", "").want(200)
	}
	w.await(last, "queued")
	w.await(later, "scheduled")
	token, job := end.lease()
	if job["id"] != last {
		t.Errorf("leased: %v", job)
	}
	w.end(token, "complete", "").want(200)
	w.await(grandchild, "queued")
	if at := w.submit(fmt.Sprintf(`{"kind":"last","after":["%s"]}`, a)); at != "" { // it has succeeded already
		w.await(at, "queued")
	}
	if at := w.submit(`{"kind":"last","after":[]}`); at != "" {
		w.await(at, "queued")
	}
}

func TestAfterAJobThatDidNotSucceed(t *testing.T) {
	w := start(t)
	k := w.worker(1, "k")
	for name, end := range map[string]func(id string){
		"failed": func(string) {
			token, _ := k.lease()
			w.end(token, "fail", `{"retry":"never"}`).want(200)
		},
		"cancelled": func(id string) { w.do("DELETE", "/v1/jobs/"+id, "").want(200) },
	} {
		t.Run(name, func(t *testing.T) {
			parent := w.submit(`{"kind":"k"}`)
			waits := fmt.Sprintf(`{"kind":"nobody","after":["%s"]}`, parent)
			child := w.submit(waits)
			grandchild := w.submit(fmt.Sprintf(`{"kind":"nobody","after":["%s"]}`, child))
			end(parent)
			for _, id := range []string{child, grandchild, w.submit(waits)} {
				doc := w.await(id, "cancelled")
				if problem, ok := doc["error"].(map[string]any); doc["reason"] != "parent" || !ok || problem["code"] != "parent" || doc["attempt"] != json.Number("0") {
					t.Errorf("%v", doc)
				}
			}
			w.do("GET", "/v1/jobs/"+child+"/response", "").has("AsyncResult", "409").problem(http.StatusConflict, "parent")
		})
	}
}

func TestAfterAnUnknownJob(t *testing.T) {
	w := start(t)
	id := w.submit(`{"kind":"nobody"}`)
	head := w.store.Head().Seq
	for body, pointer := range map[string]string{
		fmt.Sprintf(`{"kind":"nobody","after":["%s"]}`, unknownID):          "/after/0",
		fmt.Sprintf(`{"kind":"nobody","after":["%s","%s"]}`, id, unknownID): "/after/1",
	} {
		pointsAt(t, w.do("POST", "/v1/jobs", body, "Idempotency-Key", "k").problem(http.StatusUnprocessableEntity, "bad_message"), pointer)
	}
	if page := w.do("GET", "/v1/jobs", "").json()["jobs"].([]any); len(page) != 1 || w.store.Head().Seq != head {
		t.Errorf("refused, but stored: %v", page)
	}
	w.submit(`{"kind":"nobody"}`, "Idempotency-Key", "k") // the refusals did not take the key
}

func TestRetention(t *testing.T) {
	timeless(t, func(t *testing.T, w *world) {
		short := w.submit(`{"kind":"echo","input":1,"retention":"1s","tags":["t"]}`, "Idempotency-Key", "k")
		long, open := w.submit(`{"kind":"echo","retention":"1h"}`), w.submit(`{"kind":"nobody","retention":"1s"}`)
		doc := w.await(short, "succeeded")
		w.await(long, "succeeded")
		finished, err := time.Parse(time.RFC3339, doc["finished_at"].(string))
		if until := finished.Add(time.Second).Format("2006-01-02T15:04:05.000Z"); err != nil || doc["retained_until"] != until {
			t.Errorf("retained until %v, want %s", doc["retained_until"], until)
		}
		trim := func(at time.Time, want int) {
			t.Helper()
			if n, err := w.store.Trim(w.t.Context(), jobs.Trim{Retained: at, Limit: 10}); n != want || err != nil {
				t.Errorf("%d jobs were deleted, %v", n, err)
			}
		}
		trim(finished, 0)
		w.do("GET", "/v1/jobs/"+short, "").want(200)
		synctest.Wait()
		trim(finished.Add(2*time.Second), 1)
		for _, path := range []string{"", "/response"} {
			w.do("GET", "/v1/jobs/"+short+path, "", "Prefer", "wait=1").problem(http.StatusGone, "not_found")
		}
		w.do("POST", "/v1/jobs/"+short+"/cancel", "").problem(http.StatusGone, "not_found")
		w.do("POST", "/v1/jobs/"+short+"/retry", "").problem(http.StatusGone, "not_found")
		if list := w.do("GET", "/v1/jobs?tag=t", "").want(200).json()["jobs"].([]any); len(list) != 0 {
			t.Errorf("listed: %v", list)
		}
		if states := w.do("GET", "/v1/queues/default", "").json()["states"].(map[string]any); fmt.Sprintln(states["succeeded"], states["queued"]) != "1 1\n" {
			t.Errorf("counted: %v", states)
		}
		pointsAt(t, w.do("POST", "/v1/jobs", fmt.Sprintf(`{"kind":"nobody","after":["%s"]}`, short)).problem(http.StatusUnprocessableEntity, "bad_message"), "/after/0")
		w.do("GET", "/v1/jobs/"+long, "").want(200)
		w.do("GET", "/v1/jobs/"+open, "").want(200)
	})
}

// The hub itself looks after retention, from time to time.
func TestRetentionPassesByItself(t *testing.T) {
	timeless(t, func(t *testing.T, w *world) {
		k := w.worker(1, "k")
		id := w.submit(`{"kind":"k","retention":"1s"}`)
		token, _ := k.lease()
		w.end(token, "complete", "").want(200)
		k.poll(1, "1m").want(200)
		k.poll(1, "1m").want(200)
		w.do("GET", "/v1/jobs/"+id, "").problem(http.StatusGone, "not_found")
		w.end(token, "complete", "").problem(http.StatusConflict, "lease_lost")
	})
}

// rerun: never ends a job whose worker was lost.
func TestRerunNever(t *testing.T) {
	timeless(t, func(t *testing.T, w *world) {
		k := w.worker(1, "k")
		never := w.submit(`{"kind":"k","rerun":"never"}`)
		token, _ := k.lease()
		if doc := w.do("GET", "/v1/jobs/"+never, "", "Prefer", "wait=60").json(); doc["state"] != "failed" || doc["reason"] != "worker_lost" {
			t.Errorf("%v", doc)
		}
		w.end(token, "complete", "").problem(http.StatusConflict, "lease_lost")
		k.beat("0s").want(200) // brings the news
		auto := w.submit(`{"kind":"k","rerun":"auto"}`)
		k.lease()
		if doc := w.do("GET", "/v1/jobs/"+auto, "", "Prefer", "wait=60").json(); doc["state"] != "queued" || doc["attempt"] != json.Number("0") {
			t.Errorf("%v", doc)
		}
	})
}

func TestRetry(t *testing.T) {
	w := start(t)
	k := w.worker(1, "k")
	const settings = `"queue":"q","priority":7,"tags":["a","b"],"ordering_key":"o","fair_key":"f","retry":{"max_attempts":1,"backoff":"fixed","initial":"3s"},"timeout":"9s","retention":"1h"`
	id := w.submit(`{"kind":"k","input":{"n":1.0},` + settings + `}`)
	retry := "/v1/jobs/" + id + "/retry"
	w.do("POST", retry, "").problem(http.StatusConflict, "conflict")
	token, _ := k.lease()
	w.do("POST", retry, "").problem(http.StatusConflict, "conflict")
	w.end(token, "fail", `{"error":{"title":"Torn"}}`).want(200)
	before := w.do("GET", "/v1/jobs/"+id, "").want(200).json()

	var last string
	for _, test := range []struct{ body, input string }{{``, "map[n:1.0]"}, {`{"again":true}`, "map[n:1.0]"}, {`{"input":{"n": 2}}`, "map[n:2]"}, {`{"input":null}`, "<nil>"}} {
		r := w.do("POST", retry, test.body).want(202)
		job := r.json()
		last = job["id"].(string)
		self := "/v1/jobs/" + last
		r.has("Location", self+"/response", "Operation-Location", self, "Retry-After", "1")
		if last == id || job["retry_of"] != id || fmt.Sprint(job["input"]) != test.input || job["state"] != "queued" || job["attempt"] != json.Number("0") || job["error"] != nil || job["version"] != json.Number("1") {
			t.Errorf("with %q: %s", test.body, r.body)
		}
		for _, member := range []string{"kind", "queue", "tenant", "priority", "tags", "ordering_key", "fair_key", "max_attempts"} {
			if fmt.Sprint(job[member]) != fmt.Sprint(before[member]) {
				t.Errorf("%s: %v, the old one had %v", member, job[member], before[member])
			}
		}
	}
	_, leased := k.lease()
	if leased["timeout"] != "9s" || leased["checkpoint"] != nil {
		t.Errorf("leased: %v", leased)
	}
	after := w.do("GET", "/v1/jobs/"+id, "").want(200).json()
	if after["retried_by"] != last || after["version"] == before["version"] {
		t.Errorf("the old job does not name its retry: %v", after)
	}
	for _, member := range []string{"seq", "version", "retried_by"} {
		delete(before, member)
		delete(after, member)
	}
	if fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("the old job has changed: %v", after)
	}
	w.do("DELETE", "/v1/jobs/"+last, "").want(200)
	if r := w.do("POST", "/v1/jobs/"+last+"/retry", "").want(202); r.json()["retry_of"] != last {
		t.Errorf("a retry of a retry: %s", r.body)
	}

	head := w.store.Head().Seq
	for body, status := range map[string]int{`{"inputs":1}`: 422, `[]`: 422, `{"input":`: 400, `{"input":1,"input":2}`: 400, `{"input":"` + strings.Repeat("x", 2<<20) + `"}`: 413} {
		w.do("POST", retry, body).want(status).has("Content-Type", "application/problem+json")
	}
	w.do("POST", retry, `{}`, "Content-Type", "text/plain").problem(http.StatusUnsupportedMediaType, "unsupported")
	for _, id := range []string{unknownID, "x"} {
		w.do("POST", "/v1/jobs/"+id+"/retry", "").problem(http.StatusNotFound, "not_found")
	}
	if w.store.Head().Seq != head {
		t.Error("a refused retry left a job")
	}
}

func TestRetryAsksTheHandler(t *testing.T) {
	w := start(t)
	id := w.submit(`{"kind":"picky","input":"yes"}`)
	w.await(id, "succeeded")
	w.do("POST", "/v1/jobs/"+id+"/retry", `{"input":"no"}`).problem(http.StatusUnprocessableEntity, "blocked_address")
	again := w.do("POST", "/v1/jobs/"+id+"/retry", "").want(202).text("id")
	w.await(again, "succeeded")
}

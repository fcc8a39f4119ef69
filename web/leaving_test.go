package web_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// leaving sends a request whose client leaves after a while, and returns what it would have
// heard, and when.
func (w *world) leaving(after time.Duration, method, path, body string) (*httptest.ResponseRecorder, time.Duration) {
	ctx, cancel := context.WithTimeout(w.t.Context(), after)
	defer cancel()
	r := httptest.NewRequestWithContext(ctx, method, path, strings.NewReader(body))
	r.Host = "localhost"
	r.Header.Set("Content-Type", "application/json")
	begin, answer := time.Now(), httptest.NewRecorder()
	w.ServeHTTP(answer, r)
	return answer, time.Since(begin)
}

// A synchronous batch continues for a while after its client has left. Then what has not begun
// is not run, and says so.
func TestBatchWhoseClientLeft(t *testing.T) {
	timeless(t, func(t *testing.T, w *world) {
		id := w.submit(`{"kind":"nobody"}`)
		items := []string{`{"id":"a","method":"POST","path":"/v1/jobs","body":{"kind":"nobody","tags":["yes"]}}`}
		for range 100 { // more than are at work at the same time
			items = append(items, fmt.Sprintf(`{"method":"GET","path":"/v1/jobs/%s?version=1","headers":{"Prefer":"wait=60"}}`, id))
		}
		items = append(items, `{"method":"POST","path":"/v1/jobs","body":{"kind":"nobody","tags":["no"]},"depends_on":["last"]}`,
			`{"id":"last","method":"GET","path":"/v1/queues","depends_on":["held"]}`, fmt.Sprintf(`{"id":"held","method":"GET","path":"/v1/jobs/%s?version=1","headers":{"Prefer":"wait=60"}}`, id))
		answer, took := w.leaving(time.Second, "POST", "/batch", `{"requests":[`+strings.Join(items, ",")+`]}`)
		if took != 31*time.Second {
			t.Errorf("it took %s", took)
		}
		list := decoded(t, answer.Body.String())["responses"].([]any)
		statuses := map[string]int{}
		for i, r := range list {
			if r == nil {
				t.Fatalf("item %d has no answer", i)
			}
			statuses[fmt.Sprint(r.(map[string]any)["status"])]++
		}
		if answer.Code != 200 || statuses["202"] != 1 || statuses["500"] != 64 || statuses["503"] != 101-64 || statuses["424"] != 2 {
			t.Errorf("status %d, and of the items %v", answer.Code, statuses)
		}
		for tag, n := range map[string]int{"yes": 1, "no": 0} {
			if found := w.do("GET", "/v1/jobs?tag="+tag, "").json()["jobs"].([]any); len(found) != n {
				t.Errorf("%d jobs with the tag %s", len(found), tag)
			}
		}
	})
}

// Who waits for a job and leaves has handed it in: the wait ends, and the answer is that.
func TestWaitingClientThatLeft(t *testing.T) {
	timeless(t, func(t *testing.T, w *world) {
		r := httptest.NewRequest("POST", "/v1/jobs", strings.NewReader(`{"kind":"nobody"}`))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		r = r.WithContext(ctx)
		r.Host = "localhost"
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Prefer", "wait=30")
		answer, begin := httptest.NewRecorder(), time.Now()
		w.ServeHTTP(answer, r)
		if took := time.Since(begin); answer.Code != http.StatusAccepted || took != time.Second {
			t.Errorf("status %d after %s", answer.Code, took)
		}
		w.do("GET", "/v1/jobs/"+decoded(t, answer.Body.String())["id"].(string), "").want(200)
	})
}

// A poll whose client left brings no job: it is there for the next.
func TestPollWhoseClientLeft(t *testing.T) {
	timeless(t, func(t *testing.T, w *world) {
		k := w.worker(1, "k")
		answer, _ := w.leaving(time.Second, "POST", "/v1/workers/"+k.id+"/lease", `{"wait":"25s"}`)
		if answer.Code != http.StatusServiceUnavailable && answer.Code != http.StatusOK || strings.Contains(answer.Body.String(), `"lease":`) {
			t.Errorf("status %d: %s", answer.Code, answer.Body)
		}
		w.submit(`{"kind":"k"}`)
		if jobs := k.poll(1, "5s").want(200).leased(); len(jobs) != 1 {
			t.Errorf("leased: %v", jobs)
		}
	})
}

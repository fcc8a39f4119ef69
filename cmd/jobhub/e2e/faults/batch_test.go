package faults

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"jobhub/cmd/jobhub/e2e/trial"
	"jobhub/web/client"
)

// TestKilledBatch kills the hub in the middle of an asynchronous batch: what was answered
// stays, the rest is answered after the restart, and no item makes two jobs.
func TestKilledBatch(t *testing.T) {
	var mu sync.Mutex
	calls := map[string]int{}
	hold, held := make(chan struct{}), make(chan struct{}, 100)
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		calls[r.URL.Path]++
		mu.Unlock()
		if strings.HasPrefix(r.URL.Path, "/held/") {
			held <- struct{}{}
			select {
			case <-hold:
			case <-r.Context().Done():
			}
		}
		fmt.Fprint(w, "done")
	}))
	t.Cleanup(upstream.Close)
	h := trial.StartHub(t)
	var items []string
	for i := range 40 {
		path := fmt.Sprintf("/quick/%d", i)
		if i%4 == 3 {
			path = fmt.Sprintf("/held/%d", i)
		}
		items = append(items, fmt.Sprintf(`{"method":"POST","path":"/v1/jobs","headers":{"Prefer":"wait=30"},"body":{"kind":"http","input":{"url":%q}}}`, upstream.URL+path))
	}
	a := h.Call("POST", "/batch", `{"requests":[`+strings.Join(items, ",")+`]}`, trial.IsJSON, "Prefer: respond-async")
	if a.Status != http.StatusAccepted {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	var batch client.Job
	h.Decode(a.Body, &batch)
	for range 10 {
		<-held
	}
	type result struct {
		Responses []*struct {
			Status int    `json:"status"`
			Body   string `json:"body"`
		} `json:"responses"`
	}
	answered := func(text []byte) (n int) {
		var job struct {
			Result *result `json:"result"`
		}
		h.Decode(text, &job)
		if job.Result == nil {
			return 0
		}
		if len(job.Result.Responses) != 40 {
			t.Fatalf("%d responses", len(job.Result.Responses))
		}
		for _, r := range job.Result.Responses {
			if r != nil {
				n++
				if r.Status != 200 || r.Body != "done" {
					t.Errorf("answer %+v", *r)
				}
			}
		}
		return n
	}
	for late := time.Now().Add(trial.Patience); answered(h.Call("GET", "/v1/jobs/"+batch.ID, "").Body) < 30; {
		if time.Now().After(late) {
			t.Fatal("not all quick items were answered")
		}
	}
	h.Signal(syscall.SIGKILL)
	close(hold)
	h = h.Restart()
	end := h.Await(batch.ID, trial.InState("succeeded"))
	if n := answered(end.Raw); n != 40 {
		t.Errorf("%d answers in the end", n)
	}
	made := 0
	for _, j := range h.Jobs() {
		if j.Kind == "http" {
			made++
		}
	}
	if made != 40 {
		t.Errorf("40 items made %d jobs", made)
	}
	for i := range 40 {
		path := fmt.Sprintf("/quick/%d", i)
		if mu.Lock(); i%4 != 3 && calls[path] != 1 {
			t.Errorf("%s was called %d times", path, calls[path])
		}
		mu.Unlock()
	}
}

package faults

import (
	"fmt"
	"net/http"
	"path/filepath"
	"syscall"
	"testing"

	"jobhub/cmd/jobhub/e2e/trial"
	"jobhub/web/client"
)

const (
	hogJobs  = 200 // slow ones of one tenant, more than the hub has slots
	hogSlots = 32  // that it holds while there are other tenants
)

// TestTortureHog: a tenant floods the hub with slow jobs. The jobs of others run as if it
// were not there, also those of one that comes for the first time, and after a kill. Of
// the hog's own none is lost.
func TestTortureHog(t *testing.T) {
	t.Parallel()
	rounds := 2
	if trial.Long() {
		rounds = 30
	}
	data := filepath.Join(t.TempDir(), "data")
	key := func(tenant string) string {
		return trial.Bearer + trial.MakeKey(t, data, "--role", "submitter", "--tenant", tenant, "--name", tenant)
	}
	hog, others := key("hog"), []string{key("a"), key("b"), key("c")}
	h := trial.StartHubAt(t, trial.FreeAddr(t), data)
	quick := trial.Serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	for round := range rounds {
		g := trial.NewGate(t)
		var held []client.Job
		for n := range hogJobs {
			held = append(held, h.Submit(trial.HTTPJob(fmt.Sprintf("%s/held/%d", g.URL, n), fmt.Sprintf(`,"queue":"q%d","priority":100`, n%3)), hog))
		}
		othersRun := func() {
			t.Helper()
			for range hogSlots {
				trial.Soon(t, g.Arrived)
			}
			for _, other := range others[:1+round%len(others)] {
				a := h.Call("POST", "/v1/jobs", trial.HTTPJob(quick.URL, `,"priority":-100`), other, trial.IsJSON, "Prefer: wait=20")
				if a.Status != 200 || a.Header.Get("AsyncResult") != "200" {
					t.Fatalf("round %d: while a tenant hogs the slots, the job of another is answered %d %s", round, a.Status, a.Body)
				}
			}
			select {
			case <-g.Arrived:
				t.Errorf("round %d: the hog holds more than %d slots", round, hogSlots)
			default:
			}
		}
		othersRun()
		if round%2 == 0 {
			h.Signal(syscall.SIGKILL)
		} else {
			h.Signal(syscall.SIGTERM)
		}
		h = h.Restart()
		othersRun()
		close(g.Opened)
		for _, j := range held {
			for now := j; now.State != "succeeded"; {
				a := h.Call("GET", fmt.Sprintf("/v1/jobs/%s?version=%d", j.ID, now.Version), "", hog, "Prefer: wait=10")
				if h.Decode(a.Body, &now); now.Final() && now.State != "succeeded" {
					t.Fatalf("round %d: a job of the hog is %s", round, a.Body)
				}
			}
		}
	}
}

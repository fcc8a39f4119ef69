package main_test

import (
	"fmt"
	"net/http"
	"path/filepath"
	"syscall"
	"testing"

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
	if long() {
		rounds = 30
	}
	data := filepath.Join(t.TempDir(), "data")
	key := func(tenant string) string {
		return bearer + makeKey(t, data, "--role", "submitter", "--tenant", tenant, "--name", tenant)
	}
	hog, others := key("hog"), []string{key("a"), key("b"), key("c")}
	h := startHubAt(t, freeAddr(t), data)
	quick := serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	for round := range rounds {
		g := newGate(t)
		var held []client.Job
		for n := range hogJobs {
			held = append(held, h.submit(httpJob(fmt.Sprintf("%s/held/%d", g.URL, n), fmt.Sprintf(`,"queue":"q%d","priority":100`, n%3)), hog))
		}
		othersRun := func() {
			t.Helper()
			for range hogSlots {
				soon(t, g.arrived)
			}
			for _, other := range others[:1+round%len(others)] {
				a := h.call("POST", "/v1/jobs", httpJob(quick.URL, `,"priority":-100`), other, isJSON, "Prefer: wait=20")
				if a.status != 200 || a.header.Get("AsyncResult") != "200" {
					t.Fatalf("round %d: while a tenant hogs the slots, the job of another is answered %d %s", round, a.status, a.body)
				}
			}
			select {
			case <-g.arrived:
				t.Errorf("round %d: the hog holds more than %d slots", round, hogSlots)
			default:
			}
		}
		othersRun()
		if round%2 == 0 {
			h.signal(syscall.SIGKILL)
		} else {
			h.signal(syscall.SIGTERM)
		}
		h = h.restart()
		othersRun()
		close(g.opened)
		for _, j := range held {
			for now := j; now.State != "succeeded"; {
				a := h.call("GET", fmt.Sprintf("/v1/jobs/%s?version=%d", j.ID, now.Version), "", hog, "Prefer: wait=10")
				if h.decode(a.body, &now); now.Final() && now.State != "succeeded" {
					t.Fatalf("round %d: a job of the hog is %s", round, a.body)
				}
			}
		}
	}
}

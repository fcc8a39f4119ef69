package faults

import (
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"jobhub/cmd/jobhub/e2e/trial"
)

// TestQuotaOverKills: a hub that is killed again and again never lets more requests pass than a
// quota allows. A kill loses a block at most, which is 1 % of the quota.
func TestQuotaOverKills(t *testing.T) {
	t.Parallel()
	const quota, kills, block = 300, 3, 3
	var reached atomic.Int64
	due := make(chan struct{}, kills) // for a kill
	up := trial.Serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		if n := reached.Add(1); n%80 == 0 && n/80 <= kills {
			due <- struct{}{}
		}
	}))
	file := filepath.Join(t.TempDir(), "hub.yaml")
	if err := os.WriteFile(file, []byte("routes: [{path: /api/, upstream: '"+up.URL+"', quota: 300/366d}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	h := trial.StartHubAt(t, trial.FreeAddr(t), t.TempDir(), "--config", file)
	for life := range kills + 1 {
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				for {
					answer, err := h.Send(t.Context(), "GET", "/api/x", "")
					if err != nil || answer.Status != http.StatusOK {
						return // killed, or over the quota
					}
				}
			})
		}
		if life < kills { // in the middle of requests
			<-due
			h.Signal(syscall.SIGKILL)
			h.Wait()
		}
		all.Wait()
		if life < kills {
			h = h.Restart()
		}
	}
	if n := reached.Load(); n > quota || n < quota-kills*block {
		t.Errorf("%d of %d requests reached the upstream after %d kills", n, quota, kills)
	}
}

package faults

import (
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"jobhub/cmd/jobhub/e2e/trial"
)

// launch starts a program as a hub and does not wait for it. The end of the test does
// not look at what it logs; the test does.
func launch(t *testing.T, binary, addr, data string, flags ...string) *trial.Hub {
	t.Helper()
	h := &trial.Hub{Addr: addr, Data: data, URL: "http://" + addr}
	h.Client.Base = h.URL
	h.Process = trial.Start(t, exec.Command(binary, append(h.Args(), flags...)...))
	return h
}

func awaitReady(h *trial.Hub) { h.T.Helper(); h.Matched(h.Stdout, `ready at (http://\S+)\n`) }

// alarms are the lines of a hub's log that must not be there.
func alarms(h *trial.Hub) (wrong []string) {
	for line := range strings.Lines(h.Stderr.String()) {
		for _, word := range []string{"level=ERROR", "panic:", "DATA RACE"} {
			if strings.Contains(line, word) {
				wrong = append(wrong, "the hub says "+strings.TrimSpace(line))
			}
		}
	}
	return wrong
}

// stopped ends a hub in order and says what is wrong with how it does.
func stopped(h *trial.Hub) (wrong []string) {
	h.Signal(syscall.SIGTERM)
	if code := h.Wait(); code != 0 {
		wrong = append(wrong, fmt.Sprintf("the hub ended with %d\n%s", code, h.Stderr))
	}
	return wrong
}

// TestSabotageIsCaught shows that the fault tests can fail: each of these programs has
// one promise broken, and the test of that promise says so.
func TestSabotageIsCaught(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]func(*testing.T, string) []string{
		"nosync":  func(t *testing.T, binary string) []string { return powerCuts(t, binary, 8, 10) },
		"refsync": func(t *testing.T, binary string) []string { return failedFsync(t, binary, 20, false) },
		"nofence": func(t *testing.T, binary string) []string { return fencing(t, binary, 40) },
		"resume":  func(t *testing.T, binary string) []string { return torture(t, binary, 2, trial.Seed(t)).wrong },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wrong := test(t, sabotaged(t, name))
			if len(wrong) == 0 {
				t.Fatal("nothing was found to be wrong with this program, so the test proves nothing")
			}
			t.Logf("%d findings, the first of them: %s", len(wrong), wrong[0])
		})
	}
}

func report(t *testing.T, wrong []string) {
	t.Helper()
	for i, w := range wrong {
		if i == 20 {
			t.Errorf("… and %d more", len(wrong)-i)
			break
		}
		t.Error(w)
	}
}

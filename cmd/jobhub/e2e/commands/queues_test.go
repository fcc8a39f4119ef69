package commands

import (
	"regexp"
	"strings"
	"testing"

	"jobhub/cmd/jobhub/e2e/trial"
)

func TestQueues(t *testing.T) {
	t.Parallel()
	h := trial.StartHub(t)
	command := func(wantCode int, want string, args ...string) {
		t.Helper()
		code, out, errs := trial.Run(t, append(args, "--server", h.URL)...)
		if code != wantCode || !regexp.MustCompile(want).MatchString(out+errs) {
			t.Errorf("%s: exit code %d, want %d and %s\n%s%s", strings.Join(args, " "), code, wantCode, want, out, errs)
		}
	}
	h.Submit(`{"kind":"nobody","queue":"slow"}`)
	command(0, `\nslow +1 +0 +0 +0 +\d+m?s +[0-9.]+ +[0-9.]+ +4 +10/s +100 +2 +\n`, "queues", "set", "slow", "--concurrency", "4", "--rate", "10/s", "--capacity", "100", "--per-key", "2")
	command(0, `\nslow .* 2 +\d{4}-\d\d-\d\d \S+ by local: the disk is full\n`, "queues", "pause", "slow", "--reason", "the disk is full")
	command(0, `the disk is full`, "queues")
	command(0, `\nslow .* 2 +\n`, "queues", "resume", "slow")
	command(0, `\nslow +1 .* - +- +- +- +\n`, "queues", "set", "slow", "--concurrency", "0", "--rate", "", "--capacity", "0", "--per-key", "0")
	command(1, `rate`, "queues", "set", "slow", "--rate", "often")
	command(2, `want a whole number`, "queues", "set", "slow", "--capacity", "many")
	for _, args := range [][]string{{"set", "slow"}, {"pause"}, {"stop", "slow"}, {"pause", "slow", "slower"}} {
		command(2, `want nothing, pause NAME`, append([]string{"queues"}, args...)...)
	}
}

func TestRetry(t *testing.T) {
	t.Parallel()
	h := trial.StartHub(t)
	old := h.Submit(`{"kind":"nobody","input":{"n":1.10},"tags":["a"]}`)
	if code, _, errs := trial.Run(t, "retry", old.ID, "--server", h.URL); code != 1 || !strings.Contains(errs, "only a finished job can be retried") {
		t.Errorf("exit code %d: %s", code, errs)
	}
	h.Call("POST", "/v1/jobs/"+old.ID+"/cancel", "")
	code, out, errs := trial.Run(t, "retry", old.ID, "--server", h.URL)
	words := strings.Fields(out)
	if code != 0 || len(words) != 4 || words[0] != old.ID {
		t.Fatalf("exit code %d: %s%s", code, out, errs)
	}
	if j := h.Await(words[3], trial.InState("queued")); j.RetryOf != old.ID || string(j.Input) != `{"n":1.10}` || j.Tags[0] != "a" {
		t.Errorf("%s", j.Raw)
	}
	if code, out, _ := trial.Run(t, "retry", old.ID, "--server", h.URL); code != 0 || strings.Fields(out)[3] != words[3] {
		t.Errorf("once more: exit code %d: %s", code, out)
	}
	if code, out, _ := trial.Run(t, "retry", old.ID, "--again", "--server", h.URL); code != 0 || strings.Fields(out)[3] == words[3] {
		t.Errorf("once more with --again: exit code %d: %s", code, out)
	}
	if code, _, _ := trial.Run(t, "retry", "--server", h.URL); code != 2 {
		t.Errorf("exit code %d", code)
	}
}

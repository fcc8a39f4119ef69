package commands

import (
	"strings"
	"testing"

	"jobhub/cmd/jobhub/e2e/trial"
)

func TestBulk(t *testing.T) {
	t.Parallel()
	h := trial.StartHub(t)
	for range 3 {
		h.Submit(`{"kind":"nobody","tags":["t"]}`)
	}
	command := func(wantCode int, want string, args ...string) {
		t.Helper()
		code, out, errs := trial.Run(t, append(append([]string{"bulk"}, args...), "--server", h.URL)...)
		if code != wantCode || !strings.Contains(out+errs, want) {
			t.Errorf("%s: exit code %d, want %d and %s\n%s%s", strings.Join(args, " "), code, wantCode, want, out, errs)
		}
	}
	command(0, "3\n", "cancel", "--tag", "t", "--dry-run")
	command(0, `"done":3`, "cancel", "--tag", "t", "--wait")
	command(0, `"done":3`, "retry", "--tag", "t", "--wait")
	command(0, `"done":0`, "retry", "--tag", "t", "--state", "cancelled", "--wait")
	command(0, `"done":3`, "delete", "--tag", "t", "--state", "cancelled", "--wait")
	command(0, "0\n", "run", "--tag", "t", "--dry-run")
	command(1, "must be cancel, retry, delete or run", "paint", "--all")
	command(2, "or give --all", "cancel")
	command(2, "want one of", "--all")
	command(0, "3\n", "cancel", "--all", "--dry-run")
}

// TestSubmitUnique: the second one prints the first.
func TestSubmitUnique(t *testing.T) {
	t.Parallel()
	h := trial.StartHub(t)
	var printed []string
	for range 2 {
		code, out, errs := trial.Run(t, "submit", "nobody", `{"n":1}`, "--unique", "--server", h.URL)
		if code != 0 {
			t.Fatalf("exit code %d: %s", code, errs)
		}
		printed = append(printed, out)
	}
	if printed[0] != printed[1] {
		t.Errorf("printed %s, then %s", printed[0], printed[1])
	}
}

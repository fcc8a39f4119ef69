package faults

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"jobhub/cmd/jobhub/e2e/trial"
)

// zombieLease is how long a worker of these tests may be silent.
const zombieLease = time.Second

// init makes the test binary a worker if the environment says so: it takes one job,
// renews its lease, and completes it after a line on its input.
func init() {
	url := os.Getenv("FAULT_WORKER")
	if url == "" {
		return
	}
	if err := faultWorker(url); err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func faultWorker(url string) error {
	ctx := context.Background()
	w := &rawWorker{hub: &trial.Hub{URL: url}, http: http.DefaultClient}
	if err := w.register(ctx, "zombie"); err != nil {
		return err
	}
	k, err := w.lease(ctx, trial.Patience)
	if err != nil || k == nil {
		return fmt.Errorf("no job came: %w", err)
	}
	var beating sync.WaitGroup
	stop := make(chan struct{})
	beating.Go(func() {
		beat := time.NewTicker(zombieLease / 4)
		defer beat.Stop()
		for renewed := 0; ; {
			select {
			case <-beat.C:
			case <-stop:
				return
			}
			v, err := w.post(ctx, "/v1/workers/"+w.id+"/beat", fmt.Sprintf(`{"leases":[%q]}`, k.Lease))
			if err == nil && strings.Contains(string(v.body), `:"ok"`) {
				renewed++
				fmt.Println("renewed", renewed)
			} else {
				fmt.Println("not renewed:", string(v.body), err)
			}
		}
	})
	fmt.Println("took", k.Lease)
	if lines := bufio.NewScanner(os.Stdin); !lines.Scan() {
		return fmt.Errorf("nobody said to go on: %w", lines.Err())
	}
	close(stop)
	beating.Wait()
	for _, call := range [][2]string{{"complete", `{"result":"of the zombie"}`}, {"fail", `{"error":{"title":"of the zombie"}}`}, {"snooze", `{"delay":"1h"}`},
		{"release", `{"checkpoint":1}`}, {"events", `{"n":1,"type":"output","text":"of the zombie"}`}} {
		v, err := w.end(ctx, k.Lease, call[0], call[1])
		if err != nil {
			return err
		}
		fmt.Println(call[0], v.status, v.Code)
	}
	fmt.Println("done")
	return nil
}

// TestZombieWorker stops a worker for longer than its lease: its job runs elsewhere,
// and nothing that it says afterwards changes anything.
func TestZombieWorker(t *testing.T) {
	t.Parallel()
	t.Run("verbs", func(t *testing.T) { t.Parallel(); report(t, fencing(t, trial.Program, 40)) })
	for name, late := range map[string]bool{"while-it-runs-elsewhere": false, "after-it-ended-elsewhere": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			zombie(t, late)
		})
	}
}

func zombie(t *testing.T, late bool) {
	h := launch(t, trial.Program, trial.FreeAddr(t), t.TempDir(), "--lease", zombieLease.String())
	awaitReady(h)
	ctx, cancel := context.WithTimeout(t.Context(), 3*trial.Patience)
	defer cancel()
	id := h.Submit(`{"kind":"zombie","input":{"n":1}}`).ID

	cmd := exec.Command(os.Args[0])
	cmd.Env = []string{"FAULT_WORKER=" + h.URL}
	orders, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	worker := trial.Start(t, cmd)
	worker.Matched(worker.Stdout, `took \S+\n`)
	// It keeps its job for much longer than a lease, as long as it renews it.
	worker.Matched(worker.Stdout, `renewed 10\n`)
	if j, err := h.Client.Job(ctx, id); err != nil || j.State != "running" || j.Attempt != 1 {
		t.Fatalf("the job is %s %v", j.Raw, err)
	}

	syscall.Kill(worker.Cmd.Process.Pid, syscall.SIGSTOP)
	stoppedAt := time.Now()
	other := &rawWorker{hub: h, http: newHTTP(t)}
	if err := other.register(ctx, "zombie"); err != nil {
		t.Fatal(err)
	}
	k, err := other.lease(ctx, trial.Patience)
	if err != nil || k == nil || k.ID != id {
		t.Fatalf("the job of the stopped worker was not given to another: %v %v", k, err)
	}
	if took := time.Since(stoppedAt); took > zombieLease+5*time.Second {
		t.Errorf("a lost lease was made good after %s, promised are 5 s after the lease", took)
	}
	if k.Attempt != 1 {
		t.Errorf("the lost lease cost an attempt: this is attempt %d", k.Attempt)
	}
	keeping, drop := context.WithCancel(ctx)
	var kept sync.WaitGroup
	defer kept.Wait()
	defer drop()
	kept.Go(func() {
		for beat := time.NewTicker(zombieLease / 8); ; {
			select {
			case <-beat.C:
				other.post(keeping, "/v1/workers/"+other.id+"/beat", fmt.Sprintf(`{"leases":[%q]}`, k.Lease))
			case <-keeping.Done():
				beat.Stop()
				return
			}
		}
	})
	finish := func() {
		drop()
		if v, err := other.end(ctx, k.Lease, "complete", `{"result":"of the other"}`); err != nil || v.status != http.StatusOK {
			t.Fatalf("completing: %v %d %s", err, v.status, v.body)
		}
	}
	if late {
		finish()
	}
	before := documentsOf(h, id)
	syscall.Kill(worker.Cmd.Process.Pid, syscall.SIGCONT)
	io.WriteString(orders, "go\n")
	worker.Matched(worker.Stdout, `done\n`)
	if code := worker.Wait(); code != 0 {
		t.Errorf("the zombie ended with %d\n%s", code, worker.Stdout)
	}
	for _, verb := range []string{"complete", "fail", "snooze", "release", "events"} {
		worker.Matched(worker.Stdout, `\n`+verb+` 409 lease_lost\n`)
	}
	if !late {
		// Only the other's silence may have changed the job; it has just been leased.
		if after := documentsOf(h, id); after != before {
			t.Errorf("the zombie changed the job from\n%s\nto\n%s", before, after)
		}
		finish()
		before = documentsOf(h, id)
	}
	if after := documentsOf(h, id); after != before {
		t.Errorf("the zombie changed the job from\n%s\nto\n%s", before, after)
	}
	if j := h.Await(id, trial.InState("succeeded")); string(j.Result) != `"of the other"` {
		t.Errorf("the result is %s", j.Result)
	}
	report(t, append(stopped(h), alarms(h)...))
}

// documentsOf is everything that the hub returns about a job: its document and its events.
func documentsOf(h *trial.Hub, id string) string {
	h.T.Helper()
	doc := h.Client
	j, err := doc.Job(h.T.Context(), id)
	if err != nil {
		h.T.Fatal(err)
	}
	text := fmt.Sprintln(j.State, j.Reason, j.Version, j.Attempt, string(j.Result), j.Error)
	for _, m := range trial.Events(h.Whole(h.T.Context(), j.Epoch)) {
		if m.Job == id {
			text += fmt.Sprintln(m.Seq, m.Type, m.Version, string(m.Data))
		}
	}
	return text
}

// fencing ends attempts by two verbs at the same time, many times over: one wins, and
// the other changes nothing.
func fencing(t *testing.T, binary string, rounds int) (wrong []string) {
	h := launch(t, binary, trial.FreeAddr(t), t.TempDir())
	awaitReady(h)
	ctx, cancel := context.WithTimeout(t.Context(), 3*trial.Patience)
	defer cancel()
	w := &rawWorker{hub: h, http: newHTTP(t)}
	if err := w.register(ctx, "raced"); err != nil {
		t.Fatal(err)
	}
	won := map[string]int{}
	for round := range rounds {
		id := h.Submit(`{"kind":"raced"}`).ID
		ended := false
		for !ended {
			k, err := w.lease(ctx, trial.Patience)
			if err != nil || k == nil || k.ID != id {
				return append(wrong, fmt.Sprintf("round %d: expected %s, leased %v: %v", round, id, k, err))
			}
			complete, release, err := w.both(ctx, k, `"done"`)
			if err != nil {
				t.Fatal(err)
			}
			wrong = append(wrong, wrongEnds(k, complete, release)...)
			switch {
			case complete.status == http.StatusOK:
				won["complete"]++
				ended = true
				j, err := h.Client.Job(ctx, id)
				if err != nil {
					t.Fatal(err)
				}
				if j.State != "succeeded" {
					wrong = append(wrong, fmt.Sprintf("%s was completed and is %s", id, j.State))
				}
			case release.status == http.StatusOK:
				won["release"]++
			default:
				return append(wrong, fmt.Sprintf("%s: neither verb won: %s %s", id, complete.body, release.body))
			}
			if len(wrong) > 0 {
				return wrong
			}
		}
	}
	if len(won) < 2 {
		t.Errorf("of %d races only one verb ever won: %v, so this proves little", rounds, won)
	}
	return append(wrong, append(stopped(h), alarms(h)...)...)
}

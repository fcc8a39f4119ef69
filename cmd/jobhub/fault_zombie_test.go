package main_test

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
)

// zombieLease is how long a worker of these tests may be silent.
const zombieLease = time.Second

// init makes the test binary a worker if the environment says so: it takes one job,
// renews its lease, and completes it when it is told to by a line on its input.
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
	w := &rawWorker{hub: &hub{url: url}, http: http.DefaultClient}
	if err := w.register(ctx, "zombie"); err != nil {
		return err
	}
	k, err := w.lease(ctx, patience)
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
	t.Run("verbs", func(t *testing.T) { t.Parallel(); report(t, fencing(t, program, 40)) })
	for name, late := range map[string]bool{"while-it-runs-elsewhere": false, "after-it-ended-elsewhere": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			zombie(t, late)
		})
	}
}

func zombie(t *testing.T, late bool) {
	h := launch(t, program, freeAddr(t), t.TempDir(), "--lease", zombieLease.String())
	h.awaitReady()
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	defer cancel()
	id := h.submit(`{"kind":"zombie","input":{"n":1}}`).ID

	cmd := exec.Command(os.Args[0])
	cmd.Env = []string{"FAULT_WORKER=" + h.url}
	orders, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	worker := start(t, cmd)
	worker.matched(worker.stdout, `took \S+\n`)
	// It keeps its job for much longer than a lease, as long as it renews it.
	worker.matched(worker.stdout, `renewed 10\n`)
	if j, err := h.client.Job(ctx, id); err != nil || j.State != "running" || j.Attempt != 1 {
		t.Fatalf("the job is %s %v", j.Raw, err)
	}

	syscall.Kill(worker.cmd.Process.Pid, syscall.SIGSTOP)
	stoppedAt := time.Now()
	other := &rawWorker{hub: h, http: newHTTP(t)}
	if err := other.register(ctx, "zombie"); err != nil {
		t.Fatal(err)
	}
	k, err := other.lease(ctx, patience)
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
	before := h.documents(id)
	syscall.Kill(worker.cmd.Process.Pid, syscall.SIGCONT)
	io.WriteString(orders, "go\n")
	worker.matched(worker.stdout, `done\n`)
	if code := worker.wait(); code != 0 {
		t.Errorf("the zombie ended with %d\n%s", code, worker.stdout)
	}
	for _, verb := range []string{"complete", "fail", "snooze", "release", "events"} {
		worker.matched(worker.stdout, `\n`+verb+` 409 lease_lost\n`)
	}
	if !late {
		// Only the other's silence may have changed the job; it has just been leased.
		if after := h.documents(id); after != before {
			t.Errorf("the zombie changed the job from\n%s\nto\n%s", before, after)
		}
		finish()
		before = h.documents(id)
	}
	if after := h.documents(id); after != before {
		t.Errorf("the zombie changed the job from\n%s\nto\n%s", before, after)
	}
	if j := h.await(id, inState("succeeded")); string(j.Result) != `"of the other"` {
		t.Errorf("the result is %s", j.Result)
	}
	report(t, append(h.stopped(), h.alarms()...))
}

// documents is all that the hub tells of a job: the document, and its events.
func (h *hub) documents(id string) string {
	h.t.Helper()
	doc := h.client
	j, err := doc.Job(h.t.Context(), id)
	if err != nil {
		h.t.Fatal(err)
	}
	text := fmt.Sprintln(j.State, j.Reason, j.Version, j.Attempt, string(j.Result), j.Error)
	for _, m := range events(h.whole(h.t.Context(), j.Epoch)) {
		if m.Job == id {
			text += fmt.Sprintln(m.Seq, m.Type, m.Version, string(m.Data))
		}
	}
	return text
}

// fencing ends attempts by two verbs at the same time, many times over: one wins, and
// the other changes nothing.
func fencing(t *testing.T, binary string, rounds int) (wrong []string) {
	h := launch(t, binary, freeAddr(t), t.TempDir())
	h.awaitReady()
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	defer cancel()
	w := &rawWorker{hub: h, http: newHTTP(t)}
	if err := w.register(ctx, "raced"); err != nil {
		t.Fatal(err)
	}
	won := map[string]int{}
	for round := range rounds {
		id := h.submit(`{"kind":"raced"}`).ID
		ended := false
		for !ended {
			k, err := w.lease(ctx, patience)
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
				j, err := h.client.Job(ctx, id)
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
	return append(wrong, append(h.stopped(), h.alarms()...)...)
}

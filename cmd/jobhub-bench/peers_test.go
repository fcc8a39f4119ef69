package main

import (
	"bytes"
	"context"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWindow(10)
		if !w.take(4) || !w.take(6) {
			t.Fatal("there is room for ten")
		}
		taken := make(chan bool)
		go func() { taken <- w.take(4) }()
		w.finish(3)
		synctest.Wait()
		select {
		case <-taken:
			t.Fatal("seven are unfinished, and four more were let in")
		default:
		}
		w.finish(4)
		if !<-taken {
			t.Fatal("there is room, and nothing was let in")
		}
		go func() { taken <- w.take(1) }()
		synctest.Wait()
		w.end()
		if <-taken || w.take(1) || w.sent != 14 || w.finished() != 4 {
			t.Errorf("over, and %d were let in, %d finished", w.sent, w.finished())
		}
	})
}

// forgetful is a system that says after its restart that other numbers of jobs are there.
type forgetful struct {
	backend
	lost, more int
}

func (f forgetful) kept(ctx context.Context) (int, int, error) {
	finished, others, err := f.backend.kept(ctx)
	return finished - f.lost, others + f.more, err
}

// A system that lost a job, or did not finish one, must fail the measurement.
func TestForgetfulSystem(t *testing.T) {
	p := peersOptions{place: place{folder: onDisk(t)}, length: 50 * time.Millisecond}
	for _, f := range []forgetful{{}, {lost: 1}, {lost: -1}, {more: 1}} {
		e := entry{hubSystem, load{4, 1, 4}}
		e.open = func(ctx context.Context, p *place) (backend, error) {
			b, err := openHub(ctx, p)
			return forgetful{b, f.lost, f.more}, err
		}
		rate, err := p.measure(t.Context(), e)
		if good := f == (forgetful{}); (err == nil) != good || good && rate <= 0 {
			t.Errorf("%d lost, %d unfinished: %v/s, %v", f.lost, f.more, rate, err)
		}
	}
}

// A worker that ends must end the measurement, too.
func TestWorkerThatDies(t *testing.T) {
	if _, err := startWorker(t.Context(), "nothing", "127.0.0.1:1", func(int) {}); err == nil || !strings.Contains(err.Error(), "did not start") {
		t.Error(err)
	}
}

func TestMissingSystems(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if found, _ := os.Stat("/usr/lib/postgresql"); found == nil && missingPostgres() == "" {
		t.Error("PostgreSQL is not missed")
	}
	var stdout, stderr bytes.Buffer
	o := &output{stdout: &stdout, stderr: &stderr}
	lines, gone := (&peersOptions{only: "asynq"}).skipped(o)
	if !gone["asynq"] || len(lines) != 1 || !strings.Contains(lines[0].String(), "apt-get install redis-server") || !strings.Contains(stderr.String(), "SKIPPED Asynq") {
		t.Errorf("%v %v %s", lines, gone, &stderr)
	}
	if err := o.print(lines); err != nil || !strings.Contains(stdout.String(), "| Not compared with Asynq | ") {
		t.Error(err, &stdout)
	}
}

// A hub that goes away must end the measurement at once, as a failure.
func TestSystemThatDies(t *testing.T) {
	p := peersOptions{place: place{folder: onDisk(t)}, length: time.Hour}
	e := entry{hubSystem, load{4, 1, 4}}
	e.open = func(ctx context.Context, p *place) (backend, error) {
		b, err := openHub(ctx, p)
		if err == nil {
			hub := b.(*hubBackend).cmd.Process
			time.AfterFunc(time.Second, func() { hub.Kill() })
		}
		return b, err
	}
	if rate, err := p.measure(t.Context(), e); err == nil {
		t.Errorf("%v/s", rate)
	}
}

package hub

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"jobhub/jobs"
)

func TestLatencies(t *testing.T) {
	var l Latencies
	start := time.Unix(1_800_000_000, 0)
	tell := func(id jobs.ID, typ jobs.EventType, after time.Duration) {
		l.count(&jobs.Event{Type: typ, Tenant: "t", Job: id, At: start.Add(after)})
	}
	for i := range 100 {
		id := jobs.ID(uuid.New())
		tell(id, jobs.JobQueued, 0)
		tell(id, jobs.JobStarted, time.Duration(i+1)*10*time.Millisecond)
		tell(id, jobs.JobProgress, time.Second)
		tell(id, jobs.JobSucceeded, time.Duration(i+1)*10*time.Millisecond+4*time.Second)
	}
	cancelled, retried := jobs.ID(uuid.New()), jobs.ID(uuid.New())
	tell(cancelled, jobs.JobQueued, 0)
	tell(cancelled, jobs.JobCancelled, 9*time.Hour) // it never started, so that it has no wait
	tell(retried, jobs.JobStarted, 9*time.Hour)
	if len(l.waits) != 0 || len(l.runs) != 1 {
		t.Errorf("%d jobs are tracked that wait, %d that run; want the one that runs", len(l.waits), len(l.runs))
	}
	series := l.Series("t", Fine, Buckets, start.Add(9*time.Hour))
	if q := series[0]; q.Wait50 != -1 || q.Run50 != -1 {
		t.Errorf("nine hours later: %v", q)
	}
	l = Latencies{}
	for i := range 100 {
		id := jobs.ID(uuid.New())
		tell(id, jobs.JobQueued, 0)
		tell(id, jobs.JobStarted, time.Duration(i+1)*10*time.Millisecond)
		tell(id, jobs.JobFailed, time.Duration(i+1)*10*time.Millisecond+4*time.Second)
	}
	q := l.Series("t", Fine, Buckets, start.Add(6*time.Second))[0]
	near := func(name string, got, want time.Duration) {
		t.Helper()
		if got < want/2 || got > want*2 { // what a histogram of powers of two can tell
			t.Errorf("%s is %v, want about %v", name, got, want)
		}
	}
	near("the median wait", q.Wait50, 500*time.Millisecond)
	near("the 95th wait", q.Wait95, 950*time.Millisecond)
	near("the median run", q.Run50, 4*time.Second)
	if q := l.Series("other", Fine, Buckets, start)[0]; q.Wait95 != -1 {
		t.Errorf("another tenant sees %v", q)
	}
}

func TestLatenciesAreBounded(t *testing.T) {
	var l Latencies
	for range maxTracked + 10 {
		l.count(&jobs.Event{Type: jobs.JobQueued, Job: jobs.ID(uuid.New()), At: time.Now()})
	}
	if len(l.waits) != maxTracked {
		t.Errorf("%d jobs are tracked", len(l.waits))
	}
	// However many wait, how long the others run is measured.
	now, id := time.Now(), jobs.ID(uuid.New())
	l.count(&jobs.Event{Type: jobs.JobQueued, Tenant: "t", Job: id, At: now})
	l.count(&jobs.Event{Type: jobs.JobStarted, Tenant: "t", Job: id, At: now})
	l.count(&jobs.Event{Type: jobs.JobSucceeded, Tenant: "t", Job: id, At: now.Add(time.Second)})
	if q := l.Series("t", Fine, Buckets, now.Add(time.Second))[0]; q.Run50 < 500*time.Millisecond || q.Wait50 != -1 {
		t.Errorf("with a long line the times are %+v", q)
	}
	for range maxTracked + 10 {
		l.count(&jobs.Event{Type: jobs.JobStarted, Job: jobs.ID(uuid.New()), At: now})
	}
	if len(l.runs) != maxTracked {
		t.Errorf("%d jobs that run are tracked", len(l.runs))
	}
}

func TestLatenciesOfManyTenantsAreBounded(t *testing.T) {
	var l Latencies
	start := time.Unix(1_800_000_000, 0)
	for i := range maxTimed + 10 {
		id, at := jobs.ID(uuid.New()), start.Add(time.Duration(i)*time.Minute)
		for _, typ := range []jobs.EventType{jobs.JobQueued, jobs.JobStarted} {
			l.count(&jobs.Event{Type: typ, Tenant: fmt.Sprint(i), Job: id, At: at})
		}
	}
	if len(l.tenants) != maxTimed*7/8+10 || l.tenants["0"] != nil || l.tenants[fmt.Sprint(maxTimed+9)] == nil {
		t.Errorf("%d tenants, the first still there: %v", len(l.tenants), l.tenants["0"] != nil)
	}
}

// Where more queues are busy than are timed, room is not made for each of them anew.
func TestLatenciesMakeRoomForMany(t *testing.T) {
	const most = 4 * maxTimed
	var l Latencies
	start := time.Unix(1_800_000_000, 0)
	for i := range most + 1 {
		at, id := start.Add(time.Duration(i)*time.Minute), jobs.ID(uuid.New())
		for _, typ := range []jobs.EventType{jobs.JobQueued, jobs.JobStarted} {
			l.count(&jobs.Event{Type: typ, Tenant: "t", Queue: fmt.Sprint(i), Job: id, At: at})
		}
	}
	if n := len(l.queues); n != most*7/8+1 {
		t.Errorf("%d queues are timed after the %dth, want room for more", n, most+1)
	}
	for i, want := range map[int]bool{0: false, most/8 - 1: false, most / 8: true, most: true} {
		if has := l.queues[meterKey{"t", fmt.Sprint(i)}] != nil; has != want {
			t.Errorf("queue %d is timed: %t", i, has)
		}
	}
}

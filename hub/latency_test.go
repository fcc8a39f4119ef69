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
	if len(l.waits.jobs) != 0 || len(l.runs.jobs) != 1 {
		t.Errorf("%d jobs are tracked that wait, %d that run; want the one that runs", len(l.waits.jobs), len(l.runs.jobs))
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

// However many jobs of one queue or one tenant wait or run, the times of others are taken,
// and those of its own, too, as their turn comes.
func TestLatenciesAreFair(t *testing.T) {
	var l Latencies
	now := time.Unix(1_800_000_000, 0)
	tell := func(tenant, queue string, id jobs.ID, typ jobs.EventType, after time.Duration) {
		l.count(&jobs.Event{Type: typ, Tenant: tenant, Queue: queue, Job: id, At: now.Add(after)})
	}
	measured := func(tenant, queue string) bool {
		id := jobs.ID(uuid.New())
		tell(tenant, queue, id, jobs.JobQueued, 0)
		tell(tenant, queue, id, jobs.JobStarted, time.Second)
		tell(tenant, queue, id, jobs.JobSucceeded, 2*time.Second)
		q := l.OfQueue(tenant, queue, now.Add(2*time.Second))
		all := l.Series(tenant, Fine, 1, now.Add(2*time.Second))
		last, of := q[len(q)-1], all[len(all)-1]
		return last.Wait50 > 0 && last.Run50 > 0 && of.Wait50 > 0 && of.Run50 > 0
	}
	var hog []jobs.ID
	for i := range 4 * maxTracked {
		id, tenant, queue := jobs.ID(uuid.New()), "hog", "q"
		if i == maxTracked && !measured("hog", "quiet") {
			t.Error("the times of another queue of the same tenant are not taken")
		}
		if i > maxTracked {
			tenant = fmt.Sprint("hog", i%3)
		}
		if i > 2*maxTracked {
			queue = fmt.Sprint("q", i%50)
		}
		hog = append(hog, id)
		tell(tenant, queue, id, jobs.JobQueued, 0)
		if i%2 == 0 {
			tell(tenant, queue, id, jobs.JobStarted, 0)
		}
	}
	for _, who := range [][2]string{{"other", "q"}, {"another", "x"}} {
		if !measured(who[0], who[1]) {
			t.Errorf("the times of queue %s of tenant %s are not taken", who[1], who[0])
		}
	}
	for name, kept := range map[string]tracked{"wait": l.waits, "run": l.runs} {
		if n := len(kept.jobs); n > maxTracked || n < maxTracked/2 || len(kept.queues) > 200 {
			t.Errorf("%d jobs that %s are tracked, of %d tenants and queues", n, name, len(kept.tenants)+len(kept.queues))
		}
	}
	for _, id := range hog {
		tell("hog", "q", id, jobs.JobCancelled, time.Second)
	}
	if n := len(l.waits.jobs) + len(l.runs.jobs) + len(l.waits.queues) + len(l.runs.queues) + len(l.waits.tenants) + len(l.runs.tenants); n != 0 {
		t.Errorf("%d things are tracked after all", n)
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

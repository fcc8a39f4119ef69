package engine

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"jobhub/jobs"
	"jobhub/jobs/engine/transition"
)

// WorkerSpec is what an outside worker registers.
type WorkerSpec struct {
	Name   string
	Kinds  []string
	Queues []string // empty for all
	Slots  int      // attempts at the same time
}

func (s *WorkerSpec) check() error {
	switch {
	case len(s.Kinds) == 0:
		return jobs.Invalid("/kinds", "must name at least one kind of job")
	case len(s.Kinds) > MaxKinds:
		return jobs.Invalid("/kinds", "must be up to %d names", MaxKinds)
	case len(s.Queues) > MaxQueues:
		return jobs.Invalid("/queues", "must be up to %d names", MaxQueues)
	case s.Slots < 1 || s.Slots > MaxSlots:
		return jobs.Invalid("/slots", "must be from 1 to %d", MaxSlots)
	case len(s.Name) > MaxWorkerName:
		return jobs.Invalid("/name", "must be up to %d bytes", MaxWorkerName)
	}
	for member, names := range map[string][]string{"/kinds/": s.Kinds, "/queues/": s.Queues} {
		if i := slices.IndexFunc(names, func(name string) bool { return !jobs.WellFormedName(name) }); i >= 0 {
			return jobs.Invalid(member+strconv.Itoa(i), "must be "+jobs.NameRule)
		}
	}
	return nil
}

// Directive says whether a worker should take jobs.
type Directive string

const (
	DirectiveRun       Directive = "none"      // work
	DirectiveQuiet     Directive = "quiet"     // take no further jobs, finish the running ones
	DirectiveTerminate Directive = "terminate" // give the jobs back and end
)

// LeaseState says what a worker should do about one lease.
type LeaseState string

const (
	LeaseOK     LeaseState = "ok"
	LeaseCancel LeaseState = "cancel" // stop; a result within jobs.CancelGrace still counts
	LeaseLost   LeaseState = "lost"   // stop; nothing that it reports about the job is stored
)

// WorkerInfo is a worker as operators see it.
type WorkerInfo struct {
	WorkerSpec
	ID        string
	Seen      time.Time
	Directive Directive
	Running   []jobs.ID // jobs that it holds
}

// LeaseReply is the answer to Lease and Beat.
type LeaseReply struct {
	Jobs      []jobs.Job
	Leases    map[string]LeaseState // by token
	Directive Directive
}

// Token is how an outside worker names its lease: the job's id and the random lease.
func Token(j *jobs.Job) string { return j.ID.String() + "." + j.Lease }

func parseToken(token string) (id jobs.ID, lease string, err error) {
	name, lease, ok := strings.Cut(token, ".")
	if id, err = uuid.Parse(name); err != nil || !ok || !strings.HasPrefix(lease, transition.ByWorker) {
		return jobs.ID{}, "", jobs.ErrLeaseLost
	}
	return id, lease, nil
}

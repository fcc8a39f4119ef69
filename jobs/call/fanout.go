package call

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"jobhub/jobs"
	"jobhub/jobs/egress"
)

// FanoutFailed is the code of a fan-out whose policy was not met.
const FanoutFailed jobs.Code = "fanout_failed"

// patience is how long a fan-out keeps its slot while it only waits for the next attempt
// at a target.
const patience = time.Second

var errTargetTimeout = errors.New("the attempt at the target ran longer than its timeout")

// Fanout returns the handler of kind "fanout". Its input is
// {"targets":[{"name","method","url","headers","body","timeout"}],"policy"}, its result
// {"targets":{name:{"state","status","headers","body","attempts","ms"}},"completed","total"}.
//
// All targets are called at once. Each has its own attempts, by the retry policy of the
// job; what came of it is stored as soon as it ends, so that no later attempt at the job
// calls it again. The answers may have Options.MaxBody bytes together.
func Fanout(o Options) jobs.Handler {
	c := newCaller(o)
	return jobs.Handler{
		Requests: true,
		Check:    func(input jobs.Value, via jobs.Via) error { _, err := decodeFan(input, c.guard, via); return err },
		Run: func(ctx context.Context, run *jobs.Run) (jobs.Result, error) {
			return c.fanOut(ctx, run.Job(), run)
		},
		Repeat: func(old *jobs.Job, targets []string) (jobs.Value, error) { return repeat(old, targets, c.guard) },
	}
}

// teller is the part of a jobs.Run that a fan-out tells what it knows so far.
type teller interface {
	Finally(f func())
	Partial(result jobs.Value, p jobs.Progress)
	Report(p jobs.Progress)
}

// answer is how an attempt at a target ended.
type answer struct {
	*target
	room *part
	res  *jobs.Response
	err  error
	took time.Duration
}

// fanOut makes one attempt at the job: launch → land … → decided, or put off until a
// target is due again. It alone writes to the fan.
func (c *caller) fanOut(ctx context.Context, job *jobs.Job, out teller) (jobs.Result, error) {
	f, err := decodeFan(job.Input, c.guard, job.Via)
	if err == nil {
		err = f.restore(job.Result)
	}
	if err != nil {
		return jobs.Result{}, egress.Never(err)
	}
	// Each byte is kept as JSON, in the newest result and in the one that is being stored.
	room := c.memory(4, job.Via)
	out.Finally(room.release)
	if known := (&part{memory: room}); f.kept() > 0 {
		if err := known.grow(ctx, int(f.kept())); err != nil {
			return jobs.Result{}, jobs.Snooze(patience)
		}
		known.settle(int(f.kept()))
	}
	calls, stop := context.WithCancel(ctx)
	flying := 0
	answers := make(chan answer, len(f.targets))
	recall := func(take bool) { // ends the calls that are under way
		stop()
		for ; flying > 0; flying-- {
			if a := <-answers; take && !errors.Is(a.err, context.Canceled) {
				f.land(a, job)
			}
		}
	}
	defer recall(false)
	out.Partial(f.result(), f.progress())
	for {
		if over, ok := f.decided(); over {
			recall(false)
			f.cancelRest()
			p := f.progress()
			if ok {
				*p.Percent = 100
			}
			out.Report(p)
			return jobs.Result{Value: f.result()}, f.verdict(ok)
		}
		due := f.launch(func(t *target) {
			flying++
			attempt := t.found.Attempts + 1
			go func() { answers <- c.try(calls, t, job, attempt, &part{memory: room}) }()
		})
		wait := time.Until(due)
		if flying == 0 && wait > patience {
			return jobs.Result{}, jobs.Snooze(wait)
		}
		var timer <-chan time.Time
		if !due.IsZero() {
			timer = time.After(wait)
		}
		select {
		case a := <-answers:
			flying--
			f.land(a, job)
			if over, _ := f.decided(); !over {
				out.Partial(f.result(), f.progress())
			}
		case <-timer:
		case <-ctx.Done():
			return f.interrupted(ctx, job, out, recall)
		}
	}
}

// interrupted ends an attempt at the job from outside. A timeout counts as an attempt at
// the targets that were being called; a restart of the hub does not.
func (f *fan) interrupted(ctx context.Context, job *jobs.Job, out teller, recall func(take bool)) (jobs.Result, error) {
	var called []*target
	for _, t := range f.targets {
		if t.flying {
			called = append(called, t)
		}
	}
	recall(true)
	cause := context.Cause(ctx)
	switch {
	case errors.Is(cause, jobs.ErrCancelRequested):
		f.cancelRest()
	case errors.Is(cause, jobs.ErrTimeout):
		for _, t := range called {
			if t.flying {
				t.flying = false
				t.take(nil, timedOut(job.Timeout), job.Timeout, job)
			}
		}
		if over, ok := f.decided(); over {
			f.cancelRest()
			return jobs.Result{Value: f.result()}, f.verdict(ok)
		}
	}
	out.Partial(f.result(), f.progress())
	return jobs.Result{Value: f.result()}, cause
}

// launch calls the targets that are due, and returns when the next one is.
func (f *fan) launch(call func(*target)) (due time.Time) {
	now := time.Now()
	for _, t := range f.targets {
		switch {
		case t.flying || t.found.State != "running" && t.found.State != "retrying":
		case t.found.RetryAt.After(now):
			if due.IsZero() || t.found.RetryAt.Before(due) {
				due = t.found.RetryAt
			}
		default:
			t.flying = true
			t.found.State, t.found.Status, t.found.RetryAt = "running", nil, time.Time{}
			call(t)
		}
	}
	return due
}

// land notes an answer. What is kept of it may be longer than what was read: then it may
// not fit in any more.
func (f *fan) land(a answer, job *jobs.Job) {
	a.flying = false
	if a.res != nil && f.kept()+expanded(a.res.Body) > a.room.most {
		a.res, a.err = nil, together(a.room.most)
	}
	a.take(a.res, a.err, a.took, job)
	if f.kept() > a.room.most {
		a.found.Attempts--
		a.take(nil, together(a.room.most), a.took, job)
	}
	a.room.settle(len(a.found.Body))
}

// expanded is about what a body takes as JSON: a control character six bytes, and what is no
// text a third more.
func expanded(body []byte) int64 {
	n := int64(len(body))
	if !utf8.Valid(body) {
		return n + n/3
	}
	for _, c := range body {
		if c < ' ' && (c < '\b' || c > '\r') {
			n += 5
		}
	}
	return n
}

func together(most int64) error {
	return egress.Never(jobs.NewProblem(jobs.TooLarge, "Answer too large",
		"The answers of all targets together are larger than the %s that the hub keeps of one job. Ask for less at a time, or have the operator raise max_answer.", jobs.SizeText(most)))
}

// kept is the size of the answers so far.
func (f *fan) kept() (n int64) {
	for _, t := range f.targets {
		n += int64(len(t.found.Body))
	}
	return n
}

func (f *fan) cancelRest() {
	for _, t := range f.targets {
		if !t.ended() {
			t.cancel()
		}
	}
}

// try makes one attempt at a target.
func (c *caller) try(ctx context.Context, t *target, job *jobs.Job, attempt int, room *part) (a answer) {
	defer func() { // it runs in a goroutine of its own, where a panic would end the hub
		if p := recover(); p != nil {
			a = answer{target: t, err: &jobs.Failure{Problem: jobs.NewProblem("handler_failed", "The handler failed", "the handler panicked: %v", p)}}
		}
	}()
	if t.timeout > 0 {
		limited, cancel := context.WithTimeoutCause(ctx, t.timeout, errTargetTimeout)
		defer cancel()
		ctx = limited
	}
	began := time.Now()
	res, err := c.exchange(ctx, t.in, attempt, job.ID.String()+"-"+t.name, room, deaf{})
	if errors.Is(err, errTargetTimeout) {
		err = timedOut(t.timeout)
	} else if err != nil && ctx.Err() != nil {
		res, err = nil, context.Canceled
	}
	if res != nil {
		if res, err = decoded(ctx, res, room, err); res == nil {
			err = broken(ctx, t.in.url, err)
		}
	}
	if large, ok := errors.AsType[*jobs.Problem](err); ok && large.Code == jobs.TooLarge {
		err = together(room.most)
	}
	if res == nil {
		room.settle(0)
	}
	return answer{t, room, res, err, time.Since(began)}
}

// decoded is an answer without its content coding, as the result has it; verdict is what is
// known of it so far.
func decoded(ctx context.Context, res *jobs.Response, room *part, verdict error) (*jobs.Response, error) {
	if !jobs.Gzipped(res.Header) {
		return res, verdict
	}
	n := res.DecodedSize(len(res.Body) + int(room.room()))
	if more := n - len(res.Body); more > 0 {
		if err := room.grow(ctx, more); err != nil {
			return nil, err
		}
		if err := room.count(more); err != nil {
			return nil, err
		}
	}
	return res.Decoded(n), verdict
}

func timedOut(after time.Duration) error {
	return &jobs.Failure{Problem: jobs.NewProblem("timeout", "Timed out", "The attempt ran longer than its timeout of %s.", after)}
}

// verdict is the error of a fan-out that is over; nil for success.
func (f *fan) verdict(ok bool) error {
	if ok {
		return nil
	}
	succeeded, _, _ := f.count()
	var failed []string
	for _, t := range f.targets {
		if t.found.State == "failed" && len(failed) < 10 {
			failed = append(failed, t.name)
		}
	}
	return egress.Never(jobs.NewProblem(FanoutFailed, "Fan-out failed", "%d of %d targets succeeded, which is not enough for the policy %s. Failed: %s. See the result for each.",
		succeeded, len(f.targets), f.policy.text, strings.Join(failed, ", ")))
}

// progress says how many targets have ended, and how.
func (f *fan) progress() jobs.Progress {
	succeeded, failed, _ := f.count()
	n := succeeded + failed
	percent := float64(100 * n / len(f.targets))
	return jobs.Progress{Percent: &percent, Message: fmt.Sprintf("%d of %d targets", n, len(f.targets)), Data: f.summary()}
}

// deaf takes no output: the answers of targets are not relayed.
type deaf struct{}

func (deaf) Output(string, []byte) {}
func (deaf) Report(jobs.Progress)  {}

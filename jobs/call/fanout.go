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

// maxIdleWait is how long a fan-out keeps its slot while no call is under way.
const maxIdleWait = time.Second

var errTargetTimeout = errors.New("the attempt at the target ran longer than its timeout")

// Fanout returns the handler of kind "fanout". Its input is
// {"targets":[{"name","method","url","headers","body","timeout"}],"policy"}, its result
// {"targets":{name:{"state","status","headers","body","attempts","ms"}},"completed","total"}.
//
// All targets are called at the same time. Each has its own attempts, by the retry policy of
// the job. Its result is stored as soon as it has ended, so that no later attempt at the job
// calls it again. All answers together may have Options.MaxBody bytes.
func Fanout(o Options) jobs.Handler {
	c := newCaller(o)
	return jobs.Handler{
		Requests: true,
		Check:    func(input jobs.Value, via jobs.Via) error { _, err := decodeFan(input, c.guard, via); return err },
		Run: func(ctx context.Context, run jobs.Run) (jobs.Result, error) {
			return c.fanOut(ctx, run.Job(), run)
		},
		Repeat: func(old *jobs.Job, targets []string) (jobs.Value, error) { return repeat(old, targets, c.guard) },
	}
}

// fanoutRun is the part of a jobs.Run that takes the partial result of a fan-out.
type fanoutRun interface {
	Finally(f func())
	Partial(result jobs.Value, p jobs.Progress)
	Report(p jobs.Progress)
}

// answer is how an attempt at a target ended.
type answer struct {
	*target
	room     *answerMemory
	res      *jobs.Response
	err      error
	duration time.Duration
}

// fanOut makes one attempt at the job: startDue → record … → outcome, or a Snooze until a
// target is due again. Only its goroutine writes to the fan.
func (c *caller) fanOut(ctx context.Context, job *jobs.Job, out fanoutRun) (jobs.Result, error) {
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
	if known := (&answerMemory{memory: room}); f.kept() > 0 {
		if err := known.grow(ctx, int(f.kept())); err != nil {
			return jobs.Result{}, jobs.Snooze(maxIdleWait)
		}
		known.finish(int(f.kept()))
	}
	calls, stop := context.WithCancel(ctx)
	inFlight := 0
	answers := make(chan answer, len(f.targets))
	recall := func(take bool) { // stops the calls that are under way
		stop()
		for ; inFlight > 0; inFlight-- {
			if a := <-answers; take && !errors.Is(a.err, context.Canceled) {
				f.record(a, job)
			}
		}
	}
	defer recall(false)
	out.Partial(f.result(), f.progress())
	for {
		if over, ok := f.outcome(); over {
			recall(false)
			f.cancelRest()
			p := f.progress()
			if ok {
				*p.Percent = 100
			}
			out.Report(p)
			return jobs.Result{Value: f.result()}, f.verdict(ok)
		}
		due := f.startDue(func(t *target) {
			inFlight++
			attempt := t.result.Attempts + 1
			go func() { answers <- c.callTarget(calls, t, job, attempt, &answerMemory{memory: room}) }()
		})
		wait := time.Until(due)
		if inFlight == 0 && wait > maxIdleWait {
			return jobs.Result{}, jobs.Snooze(wait)
		}
		var timer <-chan time.Time
		if !due.IsZero() {
			timer = time.After(wait)
		}
		select {
		case a := <-answers:
			inFlight--
			f.record(a, job)
			if over, _ := f.outcome(); !over {
				out.Partial(f.result(), f.progress())
			}
		case <-timer:
		case <-ctx.Done():
			return f.interrupted(ctx, job, out, recall)
		}
	}
}

// interrupted ends the attempt because its context has ended. A timeout counts as an attempt
// at the targets that were being called; a restart of the hub does not.
func (f *fan) interrupted(ctx context.Context, job *jobs.Job, out fanoutRun, recall func(take bool)) (jobs.Result, error) {
	var called []*target
	for _, t := range f.targets {
		if t.inFlight {
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
			if t.inFlight {
				t.inFlight = false
				t.record(nil, timedOut(job.Timeout), job.Timeout, job)
			}
		}
		if over, ok := f.outcome(); over {
			f.cancelRest()
			return jobs.Result{Value: f.result()}, f.verdict(ok)
		}
	}
	out.Partial(f.result(), f.progress())
	return jobs.Result{Value: f.result()}, cause
}

// startDue calls the targets that are due, and returns when the next one is due.
func (f *fan) startDue(call func(*target)) (due time.Time) {
	now := time.Now()
	for _, t := range f.targets {
		switch {
		case t.inFlight || t.result.State != "running" && t.result.State != "retrying":
		case t.result.RetryAt.After(now):
			if due.IsZero() || t.result.RetryAt.Before(due) {
				due = t.result.RetryAt
			}
		default:
			t.inFlight = true
			t.result.State, t.result.Status, t.result.RetryAt = "running", nil, time.Time{}
			call(t)
		}
	}
	return due
}

// record stores an answer in the result of its target. As JSON it may be longer than the
// bytes that were read, and so too large.
func (f *fan) record(a answer, job *jobs.Job) {
	a.inFlight = false
	if a.res != nil && f.kept()+expanded(a.res.Body) > a.room.most {
		a.res, a.err = nil, answersTooLarge(a.room.most)
	}
	a.record(a.res, a.err, a.duration, job)
	if f.kept() > a.room.most {
		a.result.Attempts--
		a.record(nil, answersTooLarge(a.room.most), a.duration, job)
	}
	a.room.finish(len(a.result.Body))
}

// expanded is about the size of a body as JSON: six bytes for a control character, and a
// third more for a body that is not text.
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

func answersTooLarge(most int64) error {
	return egress.Never(jobs.NewProblem(jobs.TooLarge, "Answer too large",
		"The answers of all targets together are larger than the %s that the hub keeps of one job. Ask for less at a time, or have the operator raise max_answer.", jobs.SizeText(most)))
}

// kept is the size of the bodies in the result so far.
func (f *fan) kept() (n int64) {
	for _, t := range f.targets {
		n += int64(len(t.result.Body))
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

// callTarget makes one call of a target.
func (c *caller) callTarget(ctx context.Context, t *target, job *jobs.Job, attempt int, room *answerMemory) (a answer) {
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
	res, err := c.exchange(ctx, t.in, attempt, job.ID.String()+"-"+t.name, room, noOutput{})
	if errors.Is(err, errTargetTimeout) {
		err = timedOut(t.timeout)
	} else if err != nil && ctx.Err() != nil {
		res, err = nil, context.Canceled
	}
	if res != nil {
		if res, err = decoded(ctx, res, room, err); res == nil {
			err = attemptError(ctx, t.in.url, err)
		}
	}
	if large, ok := errors.AsType[*jobs.Problem](err); ok && large.Code == jobs.TooLarge {
		err = answersTooLarge(room.most)
	}
	if res == nil {
		room.finish(0)
	}
	return answer{t, room, res, err, time.Since(began)}
}

// decoded is an answer without its content coding, as it is in the result. It passes verdict
// on, or returns the error of acquiring the memory.
func decoded(ctx context.Context, res *jobs.Response, room *answerMemory, verdict error) (*jobs.Response, error) {
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

// verdict is the error of a fan-out that has ended; nil for success.
func (f *fan) verdict(ok bool) error {
	if ok {
		return nil
	}
	succeeded, _, _ := f.count()
	var failed []string
	for _, t := range f.targets {
		if t.result.State == "failed" && len(failed) < 10 {
			failed = append(failed, t.name)
		}
	}
	return egress.Never(jobs.NewProblem(FanoutFailed, "Fan-out failed", "%d of %d targets succeeded, which is not enough for the policy %s. Failed: %s. See the result for each.",
		succeeded, len(f.targets), f.policy.text, strings.Join(failed, ", ")))
}

// progress is how many targets have ended, with the state of each.
func (f *fan) progress() jobs.Progress {
	succeeded, failed, _ := f.count()
	n := succeeded + failed
	percent := float64(100 * n / len(f.targets))
	return jobs.Progress{Percent: &percent, Message: fmt.Sprintf("%d of %d targets", n, len(f.targets)), Data: f.summary()}
}

// noOutput drops output: the answers of targets are not relayed.
type noOutput struct{}

func (noOutput) Output(string, []byte) {}
func (noOutput) Report(jobs.Progress)  {}

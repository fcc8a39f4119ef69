package call

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"jobhub/jobs"
)

func (b *Budget) now() (used int64, waiting int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used, len(b.waiting)
}

// Memory is given in the order in which it was asked for; one attempt may go beyond what
// there is, and the next one when that has ended.
func TestBudgetOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBudget(100)
		c := &caller{budget: b, maxBody: 1000}
		got := make(chan string, 10)
		take := func(name string, m *memory, n int64) {
			go func() { got <- fmt.Sprint(name, " ", b.acquire(t.Context(), m, n)) }()
			synctest.Wait()
		}
		expect := func(want ...string) {
			t.Helper()
			synctest.Wait()
			var all []string
			for range want {
				all = append(all, <-got)
			}
			if slices.Sort(all); !slices.Equal(all, want) {
				t.Errorf("got %q, want %q", all, want)
			}
			if len(got) > 0 {
				t.Errorf("and %s", <-got)
			}
		}
		first, second, third := c.memory(1, jobs.Via{}), c.memory(1, jobs.Via{}), c.memory(1, jobs.Via{})
		take("first", first, 60)
		take("second", second, 40)
		expect("first <nil>", "second <nil>")
		take("second beyond", second, 50)
		expect("second beyond <nil>")
		take("first", first, 30)
		take("third", third, 1) // comes later, though it is small
		expect()
		take("second again", second, 50)
		expect("second again <nil>")
		second.release()
		expect("first <nil>", "third <nil>")
		first.release()
		third.release()
		if used, waiting := b.now(); used != 0 || waiting != 0 || b.overdrawn != nil {
			t.Errorf("%d bytes and %d waits are left", used, waiting)
		}
	})
}

// An answer that waits too long for memory fails, and keeps no memory.
func TestBudgetPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBudget(100)
		c := &caller{budget: b, maxBody: 1000}
		idle, other := c.memory(1, jobs.Via{}), c.memory(1, jobs.Via{})
		if err := b.acquire(t.Context(), idle, 150); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if err := b.acquire(t.Context(), other, 1); err != errBusy || time.Since(began) != maxWaitForRoom {
			t.Errorf("%v after %s", err, time.Since(began))
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(jobs.ErrCancelRequested) })
		if err := b.acquire(ctx, other, 1); !errors.Is(err, jobs.ErrCancelRequested) {
			t.Error(err)
		}
		idle.release()
		if err := b.acquire(t.Context(), other, 100); err != nil {
			t.Error(err)
		}
		other.release()
		if used, waiting := b.now(); used != 0 || waiting != 0 {
			t.Errorf("%d bytes and %d waits are left", used, waiting)
		}
	})
}

// However many read at once and whatever they read, each comes to its end, and never is
// more taken than the budget and one answer.
func TestBudgetProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit, readers = 100_000, 50
		b := NewBudget(2 * limit)
		c := &caller{budget: b, maxBody: limit}
		var all sync.WaitGroup
		for i := range readers {
			all.Go(func() {
				m := c.memory(2, jobs.Via{})
				defer m.release()
				size := limit * (i%7 + 1) / 7
				res := &http.Response{StatusCode: 200, ContentLength: -1, Body: io.NopCloser(&drip{size, i % 3})}
				body, err := readBody(t.Context(), res, &answerMemory{memory: m}, nil)
				if err != nil || len(body) != size {
					t.Errorf("%d: %d bytes, %v", i, len(body), err)
				}
				if used, _ := b.now(); used > b.size+2*(limit+limit/2+firstSize) {
					t.Errorf("%d bytes were taken", used)
				}
				time.Sleep(time.Second) // on the way into the store
			})
		}
		all.Wait()
		if used, waiting := b.now(); used != 0 || waiting != 0 {
			t.Errorf("%d bytes and %d waits are left", used, waiting)
		}
	})
}

// drip is so many bytes, in pieces with a while between them.
type drip struct {
	left int
	ms   int
}

func (d *drip) Read(p []byte) (int, error) {
	if d.left == 0 {
		return 0, io.EOF
	}
	time.Sleep(time.Duration(d.ms) * time.Millisecond)
	n := min(len(p), d.left, 3000)
	d.left -= n
	return n, nil
}

// A fan-out has one allowance for all of its answers while they arrive: what does not fit
// in fails, what does is kept, and memory stays within it.
func TestFanoutMemory(t *testing.T) {
	const limit, size, targets = 4 << 20, 3 << 20, 40
	body := bytes.Repeat([]byte("0123456789abcdef"), size/16)
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		w.Write(body)
	})
	var list []string
	for i := range targets {
		list = append(list, fmt.Sprintf(`{"name":"t%d","url":%q}`, i, s.URL))
	}
	budget := NewBudget(16 << 20)
	c := newCaller(Options{Allow: loopback, MaxBody: limit, Budget: budget})
	job := &jobs.Job{Attempt: 1, MaxAttempts: 1, Input: jobs.Value(`{"policy":"settled","targets":[` + strings.Join(list, ",") + `]}`)}
	stop, most := make(chan struct{}), make(chan int64)
	go func() {
		top := int64(0)
		for {
			select {
			case <-stop:
				most <- top
				return
			default:
				used, _ := budget.now()
				top = max(top, used)
				runtime.Gosched()
			}
		}
	}()
	res, err := c.fanOut(t.Context(), job, mute{})
	close(stop)
	// A buffer that grows is copied: the answer that began first takes up to 2/4 and 4/4 of
	// the limit at once, and the others together up to 1/1 and twice that. Without the
	// allowance, 40 answers would take more than 480 MiB.
	if top := <-most; top > 4*(3*limit/2+3*limit) {
		t.Errorf("%d bytes were taken", top)
	}
	if err != nil {
		t.Fatal(err)
	}
	f, _ := decodeFan(job.Input, c.guard, jobs.Via{})
	if err := f.restore(res.Value); err != nil {
		t.Fatal(err)
	}
	kept, refused := 0, 0
	for _, target := range f.targets {
		switch {
		case target.result.State == "succeeded" && len(target.result.Body) == size+2:
			kept++
		case target.result.Error != nil && target.result.Error.Code == jobs.TooLarge && strings.Contains(target.result.Error.Detail, "4 MiB") && strings.Contains(target.result.Error.Detail, "max_answer"):
			refused++
		default:
			t.Errorf("%s: %s %d bytes %v", target.name, target.result.State, len(target.result.Body), target.result.Error)
		}
	}
	if kept != 1 || refused != targets-1 {
		t.Errorf("%d answers were kept and %d refused", kept, refused)
	}
	if len(res.Value) > limit+64<<10 {
		t.Errorf("the result has %d bytes", len(res.Value))
	}
}

// What is longer as JSON than as it came counts as what it is kept as.
func TestFanoutExpansion(t *testing.T) {
	for name, body := range map[string]string{"control": strings.Repeat("\x01", 400), "binary": strings.Repeat("\xff\x00", 450), "quotes": strings.Repeat(`"`, 600)} {
		inFanWorld(t, map[string][]reply{"a": {{0, 200, http.Header{"Content-Type": {"text/plain"}}, body}}, "b": {{0, 200, nil, "1"}}}, func(w *fanWorld) {
			j := w.await(w.submit("a b", "settled", nil).ID)
			w.expect(name, fmt.Sprint(j.State, " ", brief(w.T, j.Result)), "succeeded a:failed:null:1 b:succeeded:200:1 2/2")
			if !strings.Contains(string(j.Result), `"code":"too_large"`) {
				w.Errorf("%s", j.Result)
			}
		})
	}
}

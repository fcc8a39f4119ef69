package hub_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"jobhub/hub"
	"jobhub/jobs"
)

// easel is a hub with a renderer that shows the head in one fragment and never
// changes the other.
type easel struct {
	*hub.Hub
	log      *memLog
	renders  atomic.Int64
	pace     hub.Pace
	failures atomic.Int64 // renderings that fail from now on
	failure  atomic.Pointer[error]
	drawn    atomic.Int64 // successful renderings of a view before the newest one
}

// inBubble runs a test with a clock of its own.
func inBubble(t *testing.T, run func(t *testing.T, e *easel)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		e := &easel{log: newLog()}
		h, err := hub.New(t.Context(), hub.Options{Log: e.log})
		if err != nil {
			t.Fatal(err)
		}
		defer h.Close()
		e.Hub = h
		h.SetRenderer(e.render)
		run(t, e)
	})
}

func (e *easel) render(_ context.Context, key hub.ViewKey, last any) (hub.Rendered, error) {
	e.renders.Add(1)
	drawn, _ := last.(int)
	e.drawn.Store(int64(drawn))
	if e.failures.Add(-1) >= 0 {
		return hub.Rendered{}, errors.New("no paint")
	}
	if err := e.failure.Load(); err != nil {
		return hub.Rendered{}, *err
	}
	return hub.Rendered{
		Causes: hub.Causes{Filters: []hub.Filter{{Tenant: tenant, All: true}}},
		Fragments: []hub.Fragment{
			{ID: "head", HTML: fmt.Appendf(nil, "<b>%d</b>", e.Position().Seq)},
			{ID: "frame", HTML: []byte("<i>" + key.Page + "</i>")},
		},
		Pace:   e.pace,
		Memory: drawn + 1,
	}, nil
}

type viewer struct {
	*hub.Viewer
	woken chan struct{}
}

func (e *easel) viewer(name string) *viewer {
	woken := make(chan struct{}, 1)
	return &viewer{e.View(hub.ViewKey{Page: name}, func() {
		select {
		case woken <- struct{}{}:
		default:
		}
	}), woken}
}

// shown is what a viewer gets next, or nothing.
func shown(w *viewer) string {
	var b strings.Builder
	if p, _ := w.Next(); p != nil {
		for _, f := range p.Fragments {
			b.Write(f.HTML)
		}
	}
	return b.String()
}

func TestViewIsRenderedOnceForAll(t *testing.T) {
	inBubble(t, func(t *testing.T, e *easel) {
		viewers := make([]*viewer, 20)
		for i := range viewers {
			viewers[i] = e.viewer("v")
			defer viewers[i].Close()
		}
		synctest.Wait()
		for i, w := range viewers {
			if got := shown(w); got != "<b>0</b><i>v</i>" {
				t.Errorf("viewer %d first got %q, want the whole view", i, got)
			}
		}
		time.Sleep(time.Second)
		if n := e.renders.Load(); n != 1 {
			t.Errorf("rendered %d times for %d viewers and no event", n, len(viewers))
		}
		e.log.commit(event(1, jobs.JobStarted))
		synctest.Wait()
		for i, w := range viewers {
			if got := shown(w); got != "<b>1</b>" {
				t.Errorf("viewer %d got %q, want what changed", i, got)
			}
		}
		time.Sleep(time.Second)
		if n := e.renders.Load(); n != 2 {
			t.Errorf("rendered %d times for one event", n-1)
		}
	})
}

func TestViewIsRenderedAtMostTenTimesASecond(t *testing.T) {
	inBubble(t, func(t *testing.T, e *easel) {
		w := e.viewer("v")
		defer w.Close()
		for range 5000 {
			e.log.commit(event(1, jobs.JobProgress))
			time.Sleep(time.Millisecond)
		}
		if n := e.renders.Load(); n < 40 || n > 51 {
			t.Errorf("rendered %d times in 5 s of steady change, want about 50", n)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if got := shown(w); !strings.Contains(got, "<b>5000</b>") {
			t.Errorf("after the last event the view shows %q", got)
		}
	})
}

// A view may ask for more time between two renderings; nothing is left out at the end.
func TestViewKeepsItsPace(t *testing.T) {
	inBubble(t, func(t *testing.T, e *easel) {
		e.pace = hub.Pace{Min: time.Second, Max: 2 * time.Second}
		w := e.viewer("v")
		defer w.Close()
		for range 49 {
			e.log.commit(event(1, jobs.JobProgress))
			time.Sleep(100 * time.Millisecond)
		}
		if n := e.renders.Load(); n != 5 {
			t.Errorf("rendered %d times in 4.9 s of steady change, want once a second", n)
		}
		time.Sleep(500 * time.Millisecond)
		if got := shown(w); !strings.Contains(got, "<b>49</b>") {
			t.Errorf("after the last event the view shows %q", got)
		}
		time.Sleep(4 * time.Second)
		if n := e.renders.Load(); n != 8 {
			t.Errorf("rendered %d times in 4 s without a change, want every 2 s", n-6)
		}
	})
}

func TestFirstChangeIsShownAtOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, e *easel) {
		w := e.viewer("v")
		defer w.Close()
		time.Sleep(time.Minute)
		shown(w)
		start := time.Now()
		e.log.commit(event(1, jobs.JobStarted))
		<-w.woken
		if late := time.Since(start); late != 0 {
			t.Errorf("a change of a quiet view was shown after %s", late)
		}
	})
}

func TestLatestStateWins(t *testing.T) {
	inBubble(t, func(t *testing.T, e *easel) {
		w := e.viewer("v")
		defer w.Close()
		synctest.Wait()
		shown(w)
		for range 5 {
			e.log.commit(event(1, jobs.JobStarted))
			time.Sleep(time.Second)
		}
		if got := shown(w); got != "<b>5</b><i>v</i>" {
			t.Errorf("a slow viewer got %q, want the newest state alone", got)
		}
		if got := shown(w); got != "" {
			t.Errorf("and then %q", got)
		}
	})
}

func TestLateViewerGetsTheWholeViewFirst(t *testing.T) {
	inBubble(t, func(t *testing.T, e *easel) {
		w := e.viewer("v")
		defer w.Close()
		time.Sleep(time.Second)
		e.log.commit(event(1, jobs.JobStarted))
		time.Sleep(time.Second)
		late := e.viewer("v")
		defer late.Close()
		if got := shown(late); got != "<b>1</b><i>v</i>" {
			t.Errorf("a late viewer got %q at once, want all fragments", got)
		}
		e.log.commit(event(1, jobs.JobStarted))
		synctest.Wait()
		if got := shown(late); got != "<b>2</b>" {
			t.Errorf("and then %q, want what changed", got)
		}
		if n := e.renders.Load(); n != 3 {
			t.Errorf("rendered %d times, want 3: joining costs none", n)
		}
	})
}

func TestLastViewerEndsTheRendering(t *testing.T) {
	inBubble(t, func(t *testing.T, e *easel) {
		e.pace.Max = 5 * time.Second
		first, second := e.viewer("v"), e.viewer("v")
		other := e.viewer("another")
		synctest.Wait()
		first.Close()
		time.Sleep(6 * time.Second)
		if n := e.renders.Load(); n != 4 {
			t.Errorf("rendered %d times, want each of two views twice", n)
		}
		second.Close()
		other.Close()
		e.log.commit(event(1, jobs.JobStarted))
		time.Sleep(time.Minute)
		if n := e.renders.Load(); n != 4 {
			t.Errorf("rendered %d times more for nobody", n-4)
		}
		back := e.viewer("v")
		defer back.Close()
		synctest.Wait()
		if got := shown(back); got != "<b>1</b><i>v</i>" {
			t.Errorf("a viewer that reconnects gets %q, want the whole current view", got)
		}
	})
}

func TestViewWithoutChangeIsNotSent(t *testing.T) {
	inBubble(t, func(t *testing.T, e *easel) {
		e.pace.Max = time.Second
		w := e.viewer("v")
		defer w.Close()
		synctest.Wait()
		shown(w)
		time.Sleep(10*time.Second + time.Millisecond)
		if n := e.renders.Load(); n != 11 {
			t.Errorf("rendered %d times, want again every second", n)
		}
		if n := e.drawn.Load(); n != 10 {
			t.Errorf("the eleventh rendering was given the memory of the %dth", n)
		}
		if got := shown(w); got != "" {
			t.Errorf("got %q though nothing changed", got)
		}
	})
}

func TestFailedRenderingIsRepeated(t *testing.T) {
	inBubble(t, func(t *testing.T, e *easel) {
		e.failures.Store(2)
		w := e.viewer("v")
		defer w.Close()
		time.Sleep(1500 * time.Millisecond)
		if got := shown(w); got != "" {
			t.Errorf("got %q of a failed rendering", got)
		}
		time.Sleep(time.Second)
		if got := shown(w); got != "<b>0</b><i>v</i>" {
			t.Errorf("after the failures got %q", got)
		}
		if n := e.drawn.Load(); n != 0 {
			t.Errorf("failed renderings left a memory: %d", n)
		}
	})
}

// The job of a view may be deleted: all viewers are told, once, and it is not rendered again.
func TestViewOfWhatIsGoneEnds(t *testing.T) {
	for _, gone := range []error{jobs.ErrGone, jobs.NewProblem(jobs.NotFound, "No such schedule", "It was deleted.")} {
		inBubble(t, func(t *testing.T, e *easel) {
			e.pace.Max = time.Second
			first, second := e.viewer("v"), e.viewer("v")
			defer first.Close()
			synctest.Wait()
			shown(first)
			<-first.woken
			e.failure.Store(&gone)
			time.Sleep(10 * time.Second)
			select {
			case <-first.woken:
			default:
				t.Error("the end woke nobody")
			}
			for _, w := range []*viewer{first, second} {
				if p, err := w.Next(); p != nil || err != gone {
					t.Errorf("after the end Next gives %v, %v", p, err)
				}
			}
			if n := e.renders.Load(); n != 2 {
				t.Errorf("rendered %d times, want once before and once after", n)
			}
			second.Close()
			e.failure.Store(nil) // it is there again
			back := e.viewer("v")
			defer back.Close()
			synctest.Wait()
			if got := shown(back); got != "<b>0</b><i>v</i>" {
				t.Errorf("a viewer that reconnects gets %q", got)
			}
			if n := e.Viewers(hub.ViewKey{Page: "v"}); n != 1 {
				t.Errorf("%d watch it", n)
			}
		})
	}
}

func TestViewersAreCounted(t *testing.T) {
	inBubble(t, func(t *testing.T, e *easel) {
		first, second := e.viewer("v"), e.viewer("v")
		if n, none := e.Viewers(hub.ViewKey{Page: "v"}), e.Viewers(hub.ViewKey{Page: "w"}); n != 2 || none != 0 {
			t.Errorf("counted %d of two, and %d of none", n, none)
		}
		first.Close()
		second.Close()
		if n := e.Viewers(hub.ViewKey{Page: "v"}); n != 0 {
			t.Errorf("counted %d that are gone", n)
		}
	})
}

// A crowd that is up to date is sent the very same bytes, made once.
func TestPatchIsEncodedOnceForAll(t *testing.T) {
	inBubble(t, func(t *testing.T, e *easel) {
		viewers := make([]*viewer, 1000)
		for i := range viewers {
			viewers[i] = e.viewer("v")
			defer viewers[i].Close()
		}
		builds := 0
		for round := range 3 {
			synctest.Wait()
			var first []byte
			for i, w := range viewers {
				p, _ := w.Next()
				if p == nil {
					t.Fatalf("round %d: viewer %d has nothing to show", round, i)
				}
				b := p.Encoded("1", func(p *hub.Patch) []byte { builds++; return bytes.Clone(p.Fragments[0].HTML) })
				if i == 0 {
					first = b
				} else if &b[0] != &first[0] {
					t.Fatalf("round %d: viewer %d got bytes of its own", round, i)
				}
			}
			if builds != round+1 {
				t.Errorf("encoded %d times for %d updates", builds, round+1)
			}
			e.log.commit(event(1, jobs.JobStarted))
			time.Sleep(time.Second)
		}
	})
}

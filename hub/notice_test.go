package hub_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"jobhub/hub"
	"jobhub/jobs"
)

// TestNotices: a view is rendered again after each notice that it names, and after nothing else.
func TestNotices(t *testing.T) {
	inBubble(t, func(t *testing.T, e *easel) {
		shows := jobs.Notice{Tenant: tenant, Subject: jobs.WorkersChanged}
		var renders atomic.Int64
		e.SetRenderer(func(context.Context, hub.ViewKey, any) (hub.Rendered, error) {
			return hub.Rendered{Causes: hub.Causes{Filters: []hub.Filter{{Tenant: tenant, Tag: "a"}, {Tenant: tenant, Tag: "b"}}, Notices: []jobs.Notice{shows}},
				Fragments: []hub.Fragment{{ID: "n", HTML: fmt.Append(nil, renders.Add(1))}}}, nil
		})
		w := e.viewer("v")
		after := func(what string, do func(), want int64) {
			t.Helper()
			do()
			time.Sleep(time.Hour)
			if n := renders.Swap(0); n != want {
				t.Errorf("%s: rendered %d times, want %d", what, n, want)
			}
		}
		tagged := func(seq int, tag string) jobs.Event {
			one := event(seq, jobs.JobStarted)
			one.Tags = []string{tag}
			return one
		}
		after("at first", func() {}, 1)
		after("its notice", func() { e.Notify(shows) }, 1)
		after("the notice of another tenant", func() { e.Notify(jobs.Notice{Tenant: "other", Subject: jobs.WorkersChanged}) }, 0)
		after("a notice about something else", func() { e.Notify(jobs.Notice{Tenant: tenant, Subject: jobs.SchedulesChanged}) }, 0)
		after("an event of the first filter", func() { e.log.commit(tagged(1, "a")) }, 1)
		after("an event of the second filter", func() { e.log.commit(tagged(2, "b")) }, 1)
		after("an event of neither", func() { e.log.commit(tagged(3, "c")) }, 0)
		w.Close()
		after("its notice without viewers", func() { e.Notify(shows) }, 0)
	})
}

// TestNoticeWhileRendering: a notice that comes before the view has named it is not lost.
func TestNoticeWhileRendering(t *testing.T) {
	inBubble(t, func(t *testing.T, e *easel) {
		shows := jobs.Notice{Subject: jobs.ConfigurationChanged}
		state := "old"
		e.SetRenderer(func(context.Context, hub.ViewKey, any) (hub.Rendered, error) {
			out := hub.Rendered{Causes: hub.Causes{Notices: []jobs.Notice{shows}}, Fragments: []hub.Fragment{{ID: "n", HTML: []byte(state)}}}
			if state == "old" {
				state = "new"
				e.Notify(shows)
			}
			return out, nil
		})
		w := e.viewer("v")
		defer w.Close()
		time.Sleep(time.Minute)
		if got := shown(w); got != "new" {
			t.Errorf("the view shows %q", got)
		}
	})
}

// TestAgain: a view that asks for it is rendered once more after each cause, and then rests.
func TestAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, e *easel) {
		shows := jobs.Notice{Subject: jobs.TrafficChanged}
		var renders atomic.Int64
		e.SetRenderer(func(context.Context, hub.ViewKey, any) (hub.Rendered, error) {
			return hub.Rendered{Causes: hub.Causes{Notices: []jobs.Notice{shows}}, Pace: hub.Pace{Again: time.Second},
				Fragments: []hub.Fragment{{ID: "n", HTML: fmt.Append(nil, renders.Add(1))}}}, nil
		})
		w := e.viewer("v")
		defer w.Close()
		time.Sleep(time.Hour)
		for range 3 {
			renders.Store(0)
			e.Notify(shows)
			time.Sleep(time.Second / 2)
			if n := renders.Load(); n != 1 {
				t.Errorf("rendered %d times at once, want 1", n)
			}
			time.Sleep(time.Hour)
			if n := renders.Load(); n != 2 {
				t.Errorf("rendered %d times in an hour, want 2", n)
			}
		}
	})
}

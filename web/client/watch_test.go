package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
)

func event(typ string, seq int) string {
	return fmt.Sprintf(`{"type":%q,"epoch":"e","seq":%d,"job":"j","queue":"q","kind":"k","tags":["t"],"version":1,"at":"2026-01-02T03:04:05.678Z","data":{"state":"queued"}}`, typ, seq)
}

// watched is what a watch yielded: "type seq" of each message, and its end.
type watched struct {
	messages []string
	last     Message
	err      error
	pauses   []time.Duration
	repeated int
}

func watch(t *testing.T, hub *scripted, f Filter, o WatchOptions) watched {
	t.Helper()
	hub.t = t
	c := serve(t, hub)
	c.Token = "fixed"
	var got watched
	o.Lost = func(_ error, pause time.Duration) { got.pauses = append(got.pauses, pause) }
	o.Repeated = func(Message) { got.repeated++ }
	for m, err := range c.Watch(t.Context(), f, o) {
		if err != nil {
			got.err = err
			break
		}
		got.messages = append(got.messages, fmt.Sprintf("%s %d", m.Type, m.Seq))
		got.last = m
	}
	return got
}

func (w watched) want(t *testing.T, messages ...string) {
	t.Helper()
	if !slices.Equal(w.messages, messages) {
		t.Errorf("got  %q\nwant %q\nerror: %v", w.messages, messages, w.err)
	}
}

// over is the end of a script: the hub refuses for good.
func (w watched) over(t *testing.T) {
	t.Helper()
	if p, ok := errors.AsType[*Problem](w.err); !ok || p.Status != http.StatusForbidden {
		t.Errorf("ended with %v", w.err)
	}
}

func TestResumeAfterCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := &scripted{scripts: []script{
			{frames: []string{`{"type":"subscribed","id":"w","epoch":"e","seq":3}` + "\n" + `{"type":"live","id":"w","seq":3}`,
				event("job.queued", 4) + "\n" + event("job.started", 7), `{"type":"ping","seq":9}`}},
			{frames: []string{`{"type":"subscribed","id":"w","epoch":"e","seq":9,"recovered":true}`, event("job.progress", 10)}, close: 1012},
			{frames: []string{`{"type":"subscribed","id":"w","epoch":"e","seq":10,"recovered":true}`, event("job.progress", 10), event("job.succeeded", 12), `{"type":"live","id":"w","seq":14}`}, close: 4400},
		}}
		got := watch(t, hub, Filter{All: true}, WatchOptions{})
		got.want(t, "subscribed 3", "live 3", "job.queued 4", "job.started 7", "subscribed 9", "job.progress 10", "subscribed 10", "job.succeeded 12", "live 14")
		if got.repeated != 1 {
			t.Errorf("Repeated was called for %d events, want 1", got.repeated)
		}
		if want := (Position{"e", 14}); got.last.Resume != want {
			t.Errorf("resume at %v, want %v", got.last.Resume, want)
		}
		want := []string{`{"type":"subscribe","id":"w","all":true}`,
			`{"type":"subscribe","id":"w","all":true,"since":{"epoch":"e","seq":9}}`,
			`{"type":"subscribe","id":"w","all":true,"since":{"epoch":"e","seq":10}}`}
		if !slices.Equal(hub.requests, want) {
			t.Errorf("asked %q", hub.requests)
		}
	})
}

// Half a snapshot is none: the next connection must not resume in the middle of it.
func TestCutInsideSnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		state := `{"type":"state","id":"w","job":"j","seq":20,"version":2,"data":{"id":"j","state":"running","result":null,"seq":20}}`
		hub := &scripted{scripts: []script{
			{frames: []string{`{"type":"subscribed","id":"w","epoch":"e","seq":20}`, state}},
			{frames: []string{`{"type":"subscribed","id":"w","epoch":"e","seq":21}`, state, `{"type":"live","id":"w","seq":21}`}},
			{frames: []string{`{"type":"subscribed","id":"w","epoch":"f","seq":5,"recovered":false,"reason":"epoch"}`, state}},
			{frames: []string{`{"type":"subscribed","id":"w","epoch":"f","seq":6,"recovered":false,"reason":"epoch"}`, state, `{"type":"live","id":"w","seq":6}`,
				`{"type":"gap","id":"w","from":7,"to":30,"reason":"expired"}`, state, `{"type":"ping","seq":35}`}},
			{frames: []string{`{"type":"subscribed","id":"w","epoch":"f","seq":40,"recovered":false,"reason":"expired"}`, `{"type":"live","id":"w","seq":40}`}},
		}}
		got := watch(t, hub, Filter{Job: "j"}, WatchOptions{Snapshot: true, Progress: "all"})
		got.over(t)
		got.want(t, "subscribed 20", "state 20", "subscribed 21", "state 20", "live 21", "subscribed 5", "state 20", "subscribed 6", "state 20", "live 6", "gap 0", "state 20",
			"subscribed 40", "live 40")
		var asked []string
		for _, r := range hub.requests {
			asked = append(asked, strings.TrimPrefix(r, `{"type":"subscribe","id":"w","job":"j",`))
		}
		want := []string{`"snapshot":true,"progress":"all"}`, `"snapshot":true,"progress":"all"}`, `"since":{"epoch":"e","seq":21},"progress":"all"}`,
			`"since":{"epoch":"e","seq":21},"progress":"all"}`, `"since":{"epoch":"f","seq":6},"progress":"all"}`}
		if !slices.Equal(asked, want) {
			t.Errorf("asked %q", asked)
		}
		if got.last.Resume != (Position{"f", 40}) {
			t.Errorf("resume at %v", got.last.Resume)
		}
	})
}

func TestSnapshotDocument(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := &scripted{scripts: []script{{frames: []string{
			`{"type":"subscribed","id":"w","epoch":"e","seq":20}`,
			`{"type":"state","id":"w","job":"j","seq":20,"version":2,"data":{"id":"j","state":"failed","new_member":1,"started_at":null,"result":{"n":12345678901234567890.10}}}`,
		}}}}
		got := watch(t, hub, Filter{Job: "j"}, WatchOptions{Snapshot: true})
		j, err := got.last.Document()
		if err != nil || !got.last.Final() || j.State != "failed" || !j.StartedAt.IsZero() {
			t.Errorf("document %+v, %v", j, err)
		}
		if string(j.Result) != `{"n":12345678901234567890.10}` || !strings.Contains(string(j.Raw), "new_member") {
			t.Errorf("result %s of %s", j.Result, j.Raw)
		}
	})
}

func TestCloseCodes(t *testing.T) {
	for code, again := range map[websocket.StatusCode]bool{
		1000: true, 1001: true, 1011: true, 1012: true, 1013: true, 4000: true, 4001: true, 4099: true,
		1002: false, 1007: false, 1008: false, 1009: false, 4100: false, 4199: false, 4400: false, 4401: false, 4499: false,
	} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hub := &scripted{scripts: []script{
					{frames: []string{`{"type":"subscribed","id":"w","epoch":"e","seq":3}`}, close: code},
					{frames: []string{`{"type":"subscribed","id":"w","epoch":"e","seq":3,"recovered":true}`}, close: 4400},
				}}
				got := watch(t, hub, Filter{All: true}, WatchOptions{})
				if connections := len(hub.requests); (connections == 2) != again {
					t.Errorf("%d connections", connections)
				}
				if !again && websocket.CloseStatus(got.err) != code {
					t.Errorf("ended with %v", got.err)
				}
			})
		})
	}
}

func TestSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := &scripted{scripts: []script{{frames: []string{`{"type":"subscribed","id":"w","epoch":"e","seq":3}`}, close: silent}}}
		start := time.Now()
		got := watch(t, hub, Filter{All: true}, WatchOptions{})
		got.over(t)
		// The 25 s of the hub's welcome, 10 s more, and the pause before connecting again.
		if len(got.pauses) != 1 || time.Since(start) != 35*time.Second+got.pauses[0] {
			t.Errorf("gave up after %s, pauses %v", time.Since(start), got.pauses)
		}
	})
}

func TestPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		restart := script{frames: []string{`{"type":"reconnect","after_ms":60000}`}, close: silent}
		hub := &scripted{scripts: append([]script{restart}, make([]script, 40)...)}
		got := watch(t, hub, Filter{All: true}, WatchOptions{})
		got.over(t)
		if first := got.pauses[0]; first < time.Minute || first >= time.Minute+firstPause {
			t.Errorf("asked to come back after a minute, came after %s", first)
		}
		longest := slices.Max(got.pauses[1:])
		if longest > maxPause || longest < maxPause/2 {
			t.Errorf("longest pause of 40 was %s", longest)
		}
		if got.pauses[1] > 2*firstPause {
			t.Errorf("second pause was %s", got.pauses[1])
		}
	})
}

func TestErrors(t *testing.T) {
	for name, c := range map[string]struct {
		frame       string
		connections int
		code        string
	}{
		"refused":      {`{"type":"error","id":"w","code":"not_found","message":"no such job","retry":false}`, 1, "not_found"},
		"try again":    {`{"type":"error","id":"w","code":"rate_limited","message":"slowly","retry":true,"after_ms":3000}`, 2, ""},
		"not jobhub":   {`{"type":`, 1, ""},
		"two problems": {`{"type":"subscribed","type":"live"}`, 1, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hub := &scripted{scripts: []script{{frames: []string{c.frame}, close: silent}, {close: 4400}}}
				start := time.Now()
				got := watch(t, hub, Filter{Job: "j"}, WatchOptions{})
				if len(hub.requests) != c.connections || got.err == nil {
					t.Errorf("%d connections, %v", len(hub.requests), got.err)
				}
				p, _ := errors.AsType[*Problem](got.err)
				if c.code != "" && (p == nil || p.Code != c.code) {
					t.Errorf("ended with %v", got.err)
				}
				if c.connections == 2 && time.Since(start) < 3*time.Second {
					t.Errorf("did not wait as long as the hub asked")
				}
			})
		})
	}
}

// A later version of the hub may say more than this client knows.
func TestUnknownMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := &scripted{scripts: []script{{frames: []string{`{"type":"subscribed","id":"w","epoch":"e","seq":3,"news":[]}`,
			`{"type":"expiring","in_ms":5}` + "\n" + `{"type":"weather","seq":99}` + "\n" + event("queue.paused", 4)}, close: 4400}}}
		watch(t, hub, Filter{Queue: "q"}, WatchOptions{}).want(t, "subscribed 3", "queue.paused 4")
	})
}

func TestTrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := &scripted{scripts: []script{{frames: []string{"{\"type\":\"ping\"}\n{\"type\":\"ping\"}"}, close: 4400}}}
		var frames []string
		watch(t, hub, Filter{Queue: "q"}, WatchOptions{Trace: func(sent bool, frame []byte) {
			frames = append(frames, fmt.Sprint(sent, " ", string(frame[:14])))
		}})
		if want := []string{`false {"type":"welco`, `true {"type":"subsc`, `false {"type":"ping"`}; !slices.Equal(frames, want) {
			t.Errorf("frames %q", frames)
		}
	})
}

func TestBreakAndCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		subscribed := script{frames: []string{`{"type":"subscribed","id":"w","epoch":"e","seq":3}`}, close: silent}
		hub := &scripted{t: t, scripts: []script{subscribed, subscribed}}
		c := serve(t, hub)
		for range c.Watch(t.Context(), Filter{All: true}, WatchOptions{}) {
			break
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var last error
		for _, err := range c.Watch(ctx, Filter{All: true}, WatchOptions{}) {
			last = err
			cancel()
		}
		if last != context.Canceled {
			t.Errorf("ended with %v", last)
		}
	})
}

func TestFirstConnectionFails(t *testing.T) {
	c := &Client{Base: "http://127.0.0.1:1"}
	for _, err := range c.Watch(t.Context(), Filter{All: true}, WatchOptions{}) {
		if err == nil {
			t.Fatal("a message out of nowhere")
		}
	}
}

func TestPosition(t *testing.T) {
	p, err := ParsePosition("k3f:1842")
	if err != nil || p != (Position{"k3f", 1842}) || p.String() != "k3f:1842" {
		t.Errorf("%v, %v", p, err)
	}
	for _, bad := range []string{"", "k3f", "k3f:", ":1", "k3f:-1", "k3f:1:2"} {
		if _, err := ParsePosition(bad); err == nil {
			t.Errorf("accepted %q", bad)
		}
	}
}

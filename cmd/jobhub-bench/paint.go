package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"time"
)

// marker says how a page shows which events it has.
type marker int

const (
	markings marker = iota // the canary's newest mark
	endings                // the number of jobs that succeeded
)

// watchPaint records when the value of read in the page grows, as the time when the frame that
// shows it has been painted. Our pages change in an animation frame, and a message posted in
// it is handled when the frame is done. If a page changes between frames, the script waits for
// the next frame.
const watchPaint = `
	const read = %s, inFrame = %t, paints = [], gaps = [], due = [], channel = new MessageChannel();
	let last = read() || 0, before = 0;
	channel.port1.onmessage = () => {
		const at = performance.timeOrigin + performance.now();
		for (const n of due.splice(0)) paints.push([n, at]);
	};
	const painted = () => channel.port2.postMessage(0);
	new MutationObserver(() => {
		const n = read();
		if (!(n > last)) return;
		due.push(last = n);
		if (inFrame) painted(); else requestAnimationFrame(painted);
	}).observe(document.body, { subtree: true, childList: true, characterData: true, attributes: true });
	const frame = (at) => { if (before) gaps.push(at - before); before = at; requestAnimationFrame(frame); };
	globalThis.bench = {
		frames() { requestAnimationFrame(frame); },
		take() { return { paints: paints.splice(0), gaps: gaps.splice(0), now: performance.timeOrigin + performance.now() }; },
	};`

// seen holds what watchPaint recorded.
type seen struct {
	Paints [][2]float64 // what is shown, and since when, in ms since 1970
	Gaps   []float64    // ms between frames
	Now    float64      // the page's clock
}

// canvas is a page whose paints are measured.
type canvas struct {
	key, what string
	path      string // of the hub's page; empty for a page that script makes
	script    string
	read      string // an expression
	by        marker
	load      traffic
	frames    bool // count those that take long
}

// markIn finds the canary's mark in an element.
func markIn(selector string) string {
	return fmt.Sprintf(`() => Number(/mark (\d+)!/.exec(document.querySelector(%q)?.textContent)?.[1] ?? 0)`, selector)
}

// raw is the lower bound: a page that only writes each message of the hub as a text.
const raw = `
	document.body.replaceChildren();
	const socket = new WebSocket("ws://" + location.host + "/v1/ws?%s", "jobhub.v1");
	socket.onmessage = ({ data }) => {
		for (const line of data.split("\n")) {
			document.body.append(document.createTextNode(line));
			const mark = /"message":"mark (\d+)!/.exec(line);
			if (mark) globalThis.mark = Number(mark[1]);
		}
	};`

// polling does what other dashboards do: fetch the list every 2 s and write the whole table.
const polling = `
	const table = document.createElement("table");
	document.body.replaceChildren(table);
	const poll = async () => {
		const { jobs } = await (await fetch("/v1/jobs?queue=watch&limit=50")).json();
		table.replaceChildren(...jobs.map((job) => {
			const row = document.createElement("tr");
			for (const text of [job.id, job.kind, job.state, job.attempt, job.created_at, job.progress?.message]) row.insertCell().textContent = text;
			const mark = /mark (\d+)!/.exec(job.progress?.message);
			if (mark) globalThis.mark = Number(mark[1]);
			return row;
		}));
	};
	poll();
	setInterval(poll, 2000);`

const readMark = `() => globalThis.mark ?? 0`

func (p *pagesOptions) paint(ctx context.Context, o *output) ([]figure, error) {
	s, err := openScene(ctx, &p.place)
	if err != nil {
		return nil, err
	}
	defer s.kill()
	b, err := openBrowser(ctx)
	if err != nil {
		return nil, err
	}
	defer b.close()
	id := s.canary().id
	table := canvas{key: "jobs", what: "table of 50 jobs", path: "/jobs?queue=watch&limit=50", read: markIn("tr:has([value='" + id + "'])")}
	job := canvas{key: "job", what: "page of a job", path: "/jobs/" + id, read: markIn("#job-progress")}
	overview := canvas{key: "overview", what: "overview", path: "/", read: markIn("#now-" + id)}
	bare := canvas{key: "raw", what: "bare page, a text for each message (the floor)", script: fmt.Sprintf(raw, "job="+id), read: readMark}
	poll := canvas{key: "poll", what: "page that asks for the list every 2 s, as other dashboards do", script: polling, read: readMark}
	idle := []canvas{overview, table, job, bare, poll}
	busy := []canvas{overview, table, job, bare}
	busy[0].read, busy[0].by = `() => Number(document.querySelector("#overview-rail .tile.succeeded b").textContent.replaceAll(",", ""))`, endings
	busy[3].script = fmt.Sprintf(raw, "all=1")
	for i := range idle {
		idle[i].load = hushed
	}
	for i := range busy {
		busy[i].load, busy[i].frames = lively, true
	}
	var figures []figure
	var p50, p99 []value
	slow := figure{Key: "pages.frames", What: "1,000 events/s: frames longer than 50 ms", Unit: "%", Goal: "≤ 1"}
	rates := figure{Key: "pages.rate", What: "Events a second while those were measured", Unit: "/s", Goal: "1,000"}
	for _, c := range append(idle, busy...) {
		took, long, rate, err := p.watch(ctx, b, s, c, o)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.what, err)
		}
		key, when, goal := "pages.paint."+c.key, "Event → paint, ", ""
		if c.frames {
			key, when = "pages.busy."+c.key, "Event → paint at 1,000 events/s, "
			slow.Values, rates.Values = append(slow.Values, value{c.key, long}), append(rates.Values, value{c.key, math.Round(rate)})
		} else if c.key != "poll" {
			p50, p99 = append(p50, value{c.key, took.millis(0.5)}), append(p99, value{c.key, took.millis(0.99)})
		}
		switch {
		case c.path == "":
		case c.frames:
			goal = "p99 < 250"
		default:
			goal = "p50 < 30, p99 < 120"
		}
		figures = append(figures, took.latency(key, when+c.what, "ms", goal, 0.5, 0.99, 1))
	}
	floor := p50[len(p50)-1].Value
	ratio := figure{Key: "pages.paint.ratio", What: "Event → paint, p50, in that of the bare page", Unit: "×"}
	for _, v := range p50[:len(p50)-1] {
		ratio.Values = append(ratio.Values, value{v.Name, v.Value / floor})
	}
	return append(figures, ratio, slow, rates), s.stop()
}

// watch opens a page, makes events, and returns how long after their commit they were
// painted, and the share of frames that took more than 50 ms, in percent.
func (p *pagesOptions) watch(ctx context.Context, b *browser, s *scene, c canvas, o *output) (took sample, long, rate float64, err error) {
	o.say("pages paint: %s, %d events/s", c.what, c.load.lives*3+c.load.rows+c.load.marks*(1+c.load.lines))
	t, err := b.open(s.addr)
	if err != nil {
		return nil, 0, 0, err
	}
	defer t.close()
	if err := s.once(func(w *wire) error { return s.tell(w, 0) }); err != nil { // so that the page has a mark from the beginning
		return nil, 0, 0, err
	}
	if c.path != "" {
		_, err = t.show(c.path)
	} else if err = t.blank(); err == nil {
		err = t.run(c.script)
	}
	if err == nil {
		err = t.run(fmt.Sprintf(watchPaint, c.read, c.path != ""))
	}
	if err != nil {
		return nil, 0, 0, err
	}
	var first, last seen
	rate, err = s.during(ctx, c.load, func(ctx context.Context) error {
		if err := pause(ctx, p.length/5+time.Second); err != nil { // warm-up
			return err
		}
		if c.frames {
			if err := t.run(`bench.frames()`); err != nil {
				return err
			}
		}
		if first, err = t.take(); err != nil {
			return err
		}
		length := p.length
		if !c.frames { // there are fewer events
			length *= 2
		}
		if err := pause(ctx, length); err != nil {
			return err
		}
		last, err = t.take()
		return err
	})
	if err == nil {
		err = t.fine()
	}
	if err != nil {
		return nil, 0, 0, err
	}
	if len(first.Paints) == 0 || len(last.Paints) == 0 {
		return nil, 0, 0, fmt.Errorf("nothing was painted (%d times in the warm-up)", len(first.Paints))
	}
	// An event is painted when the page shows it or a later one.
	n := int(first.Paints[len(first.Paints)-1][0]) + 1
	for _, paint := range last.Paints {
		for ; n <= int(paint[0]); n++ {
			at, err := s.committed(ctx, c.by, n)
			if err != nil {
				return nil, 0, 0, err
			}
			d := time.Duration(paint[1]*1e6) - time.Duration(at.UnixNano())
			if d < 0 {
				return nil, 0, 0, fmt.Errorf("the page shows %d %s before it was committed", n, -d)
			}
			took = append(took, d)
		}
	}
	for _, gap := range last.Gaps {
		if gap > 50 {
			long++
		}
	}
	if c.frames && len(last.Gaps) < 10 {
		return nil, 0, 0, fmt.Errorf("%d frames", len(last.Gaps))
	}
	return took, 100 * long / float64(max(len(last.Gaps), 1)), rate, nil
}

// take returns what was recorded since the last call. It checks that the page has the same
// clock.
func (t *tab) take() (s seen, err error) {
	before := time.Now()
	text, err := evaluate[string](t, `JSON.stringify(bench.take())`)
	if err == nil {
		err = json.Unmarshal([]byte(text), &s)
	}
	now := time.UnixMicro(int64(s.Now * 1e3))
	if err == nil && (now.Before(before.Add(-5*time.Millisecond)) || now.After(time.Now().Add(5*time.Millisecond))) {
		err = fmt.Errorf("the page's clock is off by %s", now.Sub(before))
	}
	return s, err
}

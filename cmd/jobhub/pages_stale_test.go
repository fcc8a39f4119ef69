package main_test

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"
)

// valve is a reverse proxy before a hub. Shut, it passes nothing on, in either direction,
// and closes nothing; refusing, it closes what is open and whatever comes.
type valve struct {
	*httptest.Server

	mu       sync.Mutex    // protects the fields below
	asked    []string      // requests that arrived, as "METHOD path"
	shut     chan struct{} // closed when it opens; nil while it is open
	refusing bool
	conns    map[*valved]bool
}

type valved struct {
	net.Conn
	v *valve
}

func newValve(t *testing.T, h *hub) *valve {
	t.Helper()
	to, err := url.Parse(h.url)
	if err != nil {
		t.Fatal(err)
	}
	v := &valve{conns: map[*valved]bool{}}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		r.Out.Host = r.In.Host
	}, FlushInterval: -1, ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { panic(http.ErrAbortHandler) }}
	v.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v.mu.Lock()
		v.asked = append(v.asked, r.Method+" "+r.URL.Path)
		v.mu.Unlock()
		proxy.ServeHTTP(w, r)
	}))
	v.Listener = valveListener{v.Listener, v}
	v.Start()
	t.Cleanup(func() {
		v.turn(false, true)
		v.CloseClientConnections()
		v.Close()
	})
	return v
}

type valveListener struct {
	net.Listener
	v *valve
}

func (l valveListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		c := &valved{conn, l.v}
		l.v.mu.Lock()
		refusing := l.v.refusing
		l.v.conns[c] = true
		l.v.mu.Unlock()
		if !refusing {
			return c, nil
		}
		c.Close()
	}
}

func (c *valved) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.v.pass()
	return n, err
}

func (c *valved) Write(b []byte) (int, error) {
	c.v.pass()
	return c.Conn.Write(b)
}

func (c *valved) Close() error {
	c.v.mu.Lock()
	delete(c.v.conns, c)
	c.v.mu.Unlock()
	return c.Conn.Close()
}

// pass returns when the valve is open.
func (v *valve) pass() {
	v.mu.Lock()
	shut := v.shut
	v.mu.Unlock()
	if shut != nil {
		<-shut
	}
}

// turn shuts the valve or opens it, and makes it refuse or not.
func (v *valve) turn(shut, refusing bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case shut && v.shut == nil:
		v.shut = make(chan struct{})
	case !shut && v.shut != nil:
		close(v.shut)
		v.shut = nil
	}
	if v.refusing = refusing; refusing {
		for c := range v.conns {
			c.Conn.Close()
		}
	}
}

// requests are those that arrived since the last look.
func (v *valve) requests() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	all := v.asked
	v.asked = nil
	return all
}

// withoutTimes is what the page shows besides times, which go on.
const withoutTimes = `(() => { const main = document.getElementById("main").cloneNode(true);
	for (const e of main.querySelectorAll("time, #messages-lines")) e.remove(); return main.textContent.replace(/\s+/g, " "); })()`

// staleAs is the time of the figures as the page says it, of a page that says that it is
// not live.
const staleAs = `document.body.dataset.stale`

// TestPagesSayThatTheyAreStale blocks the events of all pages. They say so with the time
// of their figures, stay as they are, ask for nothing by a timer, and are right again soon
// after the events flow again.
func TestPagesSayThatTheyAreStale(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		shut   bool
		within time.Duration // for the page to say so: a heartbeat and an answer, if it has to miss them
		pages  []place
	}{"closed and refused": {false, 5 * time.Second, ownPages()}, "without a word": {true, 45 * time.Second, livePages()[:4]}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, browser := newScene(t, startHub(t)), openBrowser(t)
			v := newValve(t, s.hub)
			type open struct {
				place
				*page
				before string
			}
			var all []open
			for _, what := range c.pages {
				p := browser.tab(t)
				p.open(v.URL + s.in(what.path))
				p.agrees(s, what, time.Now().Add(patience))
				all = append(all, open{what, p, ""})
			}
			// What is live asks for nothing.
			v.requests()
			for i := range 20 {
				s.stream.say(t, fmt.Sprintf(`{"percent":%d,"message":"step %d"}`, 41+i, i))
			}
			for _, o := range all {
				o.agrees(s, o.place, time.Now().Add(patience))
			}
			if asked := v.requests(); len(asked) > 0 {
				t.Errorf("while they were live the pages asked %q", asked)
			}

			v.turn(c.shut, !c.shut)
			cut := time.Now()
			s.submit(nobodys(`,"queue":"reports"`))
			s.call("POST", "/v1/jobs/"+s.ids["queued"]+"/cancel", "") // of which a callback tells
			s.call("PUT", "/v1/schedules/nightly", nightly(true), isJSON)
			for i, o := range all {
				o.within(c.within-time.Since(cut).Truncate(time.Second)+time.Second, notLive)
				if stale := o.evaluate(staleAs); !timeOfDay.MatchString(stale) {
					t.Errorf("%s: the figures are of %q", o.name, stale)
				}
				all[i].before = o.evaluate(withoutTimes)
				if i == 0 {
					t.Logf("%s: told after %s", name, time.Since(cut).Round(time.Millisecond))
				}
			}
			if !c.shut {
				all[0].fine("reconnecting")
			}
			for _, o := range all {
				o.within(20*time.Second, `document.getElementById("live").dataset.state === "stale" && document.getElementById("live").textContent.includes("figures of " + document.body.dataset.stale)`)
				if after := o.evaluate(withoutTimes); after != o.before {
					t.Errorf("%s changed while it was not live, from\n%s\nto\n%s", o.name, o.before, after)
				}
				if !c.shut { // what differs is the frame, and colours
					o.contrasts(o.name + ", stale")
				}
			}
			asked := slices.DeleteFunc(v.requests(), func(r string) bool { return r == "GET /v1/ws" || r == "GET /healthz" })
			if len(asked) > 0 {
				t.Errorf("while they were not live the pages asked %q", asked)
			}

			v.turn(false, false)
			for _, o := range all {
				o.within(patience, live)
				o.agrees(s, o.place, time.Now().Add(2*time.Second))
				if got := o.evaluate(`String(` + staleAs + `)`); got != "undefined" {
					t.Errorf("%s is live and its figures are of %s", o.name, got)
				}
				if o.evaluate(`String(window.sameDocument)`) != "true" {
					t.Errorf("%s was loaded anew", o.name)
				}
				o.quiet(v.URL, "/v1/ws' failed", "ERR_")
			}
		})
	}
}

// TestPagesAfterAKill kills the hub below all pages. They say that they are not live, and
// two seconds after it is back they show what the API says, though jobs changed meanwhile.
func TestPagesAfterAKill(t *testing.T) {
	t.Parallel()
	s, browser := newScene(t, startHub(t)), openBrowser(t)
	tabs := map[string]*page{}
	for _, what := range livePages() {
		tabs[what.name] = browser.tab(t)
		tabs[what.name].open(s.at(what))
		tabs[what.name].agrees(s, what, time.Now().Add(patience))
	}
	for round := range 2 {
		s.submit(nobodys(`,"queue":"reports"`)) // perhaps heard of, perhaps not
		s.signal(syscall.SIGKILL)
		for _, what := range livePages() {
			tabs[what.name].until(notLive)
		}
		s = s.again()
		up := time.Now()
		s.submit(nobodys(fmt.Sprintf(`,"queue":"later-%d"`, round)))
		s.call("POST", "/v1/jobs/"+s.ids[[]string{"queued", "held"}[round]]+"/cancel", "")
		s.call("POST", "/v1/queues/"+[]string{"reports", "held"}[round]+"/"+[]string{"pause", "resume"}[round], `{"reason":"again"}`, isJSON)
		s.call("PUT", "/v1/schedules/nightly", nightly(round == 0), isJSON)
		for _, what := range livePages() {
			p := tabs[what.name]
			p.within(max(100*time.Millisecond, 2*time.Second-time.Since(up)), live)
			p.agrees(s, what, up.Add(2*time.Second))
		}
		t.Logf("all pages agree %s after the hub is back", time.Since(up).Round(time.Millisecond))
	}
	for _, what := range livePages() {
		p := tabs[what.name]
		p.forgive(s.hub)
		p.quiet(s.url)
		if p.evaluate(`String(window.sameDocument)`) != "true" {
			t.Errorf("%s was loaded anew", what.name)
		}
	}
}

var timeOfDay = regexp.MustCompile(`^\d\d:\d\d:\d\d$`)

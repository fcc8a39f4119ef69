package web_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"jobhub/jobs"
	"jobhub/web/auth"
)

// holder is what somebody with a key holds open; it returns when that has ended.
type holder func(w *world, key string, jobID string) (ended func())

// holders are all ways to hold something open.
var holders = map[string]holder{
	"an idle socket": func(w *world, key, _ string) func() {
		c := w.show("", key)
		c.until("welcome")
		return func() { w.closes(c, 4403) }
	},
	"a socket that watches": func(w *world, key, _ string) func() {
		c := w.show("?all=1", key)
		c.until("live")
		return func() { w.closes(c, 4403) }
	},
	"a socket that takes nothing": func(w *world, key, id string) func() {
		c := w.show("?all=1", key)
		c.until("live")
		w.do("POST", "/v1/queues/q/pause", `{"reason":"x"}`).want(200) // its event is not read
		return func() {
			for n := 1; n > 0; synctest.Wait() {
				if n = strings.Count(w.do("GET", "/metrics", "").want(200).body, "jobhub_live_connections 1\n"); n > 0 {
					time.Sleep(100 * time.Millisecond)
				}
			}
		}
	},
	"the socket of a token": func(w *world, key, id string) func() {
		c := w.show("?job="+id, w.with(key, "POST", "/v1/tokens", `{"jobs":["`+id+`"]}`).want(200).text("token"))
		c.until("live")
		return func() { w.closes(c, 4100) }
	},
	"a page": func(w *world, key, _ string) func() {
		c := w.dial("", "Cookie", w.logIn(key), "Origin", w.url)
		c.send(`{"type":"subscribe","id":"v","view":"overview"}`)
		c.until("patch")
		return func() { w.closes(c, 4403) }
	},
	"a stream": func(w *world, key, _ string) func() {
		s := w.stream("/v1/events?all=1", "Authorization", "Bearer "+key)
		s.block()
		return func() { s.rest() }
	},
	"the stream of a token": func(w *world, key, id string) func() {
		s := w.stream("/v1/events?job="+id, "Authorization", "Bearer "+w.with(key, "POST", "/v1/tokens", `{"jobs":["`+id+`"]}`).want(200).text("token"))
		s.block()
		return func() { s.rest() }
	},
	"a submission that waits": func(w *world, key, _ string) func() {
		return w.meanwhile(key, "POST", "/v1/jobs", `{"kind":"nobody"}`, func(r reply) {
			if r.want(202).has("AsyncResult", ""); r.text("state") != "queued" {
				w.t.Errorf("the answer after the revocation is %s", r.body)
			}
		}, "Prefer", "wait=50")
	},
	"a request that waits for a change": func(w *world, key, id string) func() {
		return w.meanwhile(key, "GET", "/v1/jobs/"+id, "", func(r reply) { r.want(200) }, "Prefer", "wait=50")
	},
	"a worker that asks for jobs": func(w *world, key, _ string) func() {
		id := w.with(key, "POST", "/v1/workers", `{"kinds":["other"]}`).want(200).text("worker_id")
		return w.meanwhile(key, "POST", "/v1/workers/"+id+"/lease", `{"wait":"50s"}`, func(r reply) { r.unauthorized(badToken) })
	},
	"a worker that listens": func(w *world, key, _ string) func() {
		id := w.with(key, "POST", "/v1/workers", `{"kinds":["other"]}`).want(200).text("worker_id")
		return w.meanwhile(key, "POST", "/v1/workers/"+id+"/beat", `{"leases":[],"wait":"50s"}`, func(r reply) { r.unauthorized(badToken) })
	},
}

// closes reads a connection to its end.
func (w *world) closes(c *client, code int) {
	w.t.Helper()
	if got := c.closed(); int(got) != code {
		w.t.Errorf("closed with %d, want %d", got, code)
	}
}

// meanwhile sends a request that is answered later.
func (w *world) meanwhile(bearer, method, path, body string, check func(reply), headers ...string) (ended func()) {
	var asking sync.WaitGroup
	headers = append(headers, "Authorization", "Bearer "+bearer)
	asking.Go(func() { check(w.do(method, path, body, headers...)) })
	return asking.Wait
}

// TestWhatARevokedKeyHolds: each of it ends when the key does, with a second to spare.
func TestWhatARevokedKeyHolds(t *testing.T) {
	for what, hold := range holders {
		t.Run(what, func(t *testing.T) {
			keyed(t, func(t *testing.T, w *world, admin string) {
				key, text, err := w.keys.Create(auth.Key{Role: auth.Operator}, time.Now())
				if err != nil {
					t.Fatal(err)
				}
				id := w.submit(`{"kind":"nobody"}`)
				ended := hold(w, text, id)
				synctest.Wait()
				time.Sleep(5 * time.Second)
				if _, err := w.keys.Revoke(key.ID, time.Now()); err != nil {
					t.Fatal(err)
				}
				from := time.Now()
				if ended(); time.Since(from) > time.Second {
					t.Errorf("it ended after %s", time.Since(from))
				}
				w.client.CloseIdleConnections()
			})
		})
	}
}

// TestWhatAnExpiredKeyHolds: the same when its time is over.
func TestWhatAnExpiredKeyHolds(t *testing.T) {
	for _, what := range []string{"a socket that takes nothing", "a stream", "the stream of a token", "a submission that waits", "a request that waits for a change", "a worker that asks for jobs", "a worker that listens"} {
		t.Run(what, func(t *testing.T) {
			keyed(t, func(t *testing.T, w *world, admin string) {
				end := time.Now().Truncate(time.Second).Add(20 * time.Second)
				_, text, err := w.keys.Create(auth.Key{Role: auth.Operator, Expires: end}, time.Now())
				if err != nil {
					t.Fatal(err)
				}
				holders[what](w, text, w.submit(`{"kind":"nobody"}`))()
				if late := time.Since(end); late < 0 || late > time.Second {
					t.Errorf("it ended %s after the key", late)
				}
				w.client.CloseIdleConnections()
			})
		})
	}
}

// TestKeysOfOthersEndNothing: a change of the keys concerns nobody else.
func TestKeysOfOthersEndNothing(t *testing.T) {
	keyed(t, func(t *testing.T, w *world, admin string) {
		c := w.show("?all=1", admin)
		c.until("live")
		key, text, err := w.keys.Create(auth.Key{Role: auth.Operator}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		other := w.show("", text)
		other.until("welcome")
		other.send(`{"type":"refresh","id":"r","token":"%s"}`, admin) // from now on it is the admin's
		other.until("reply")
		if _, err := w.keys.Revoke(key.ID, time.Now()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		c.quiet()
		other.quiet()
		c.conn.CloseNow()
		other.conn.CloseNow()
	})
}

// TestTheFirstKeyEndsWhatWasOpen: who came without a key has to come back with one.
func TestTheFirstKeyEndsWhatWasOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := startIn(t, t.TempDir(), func(p *parts) { p.listen = listenPiped() })
		c := w.dial("?all=1")
		s := w.stream("/v1/events?all=1")
		s.block()
		ended := w.meanwhile("jh_none", "POST", "/v1/jobs", `{"kind":"nobody"}`, func(r reply) { r.want(202) }, "Prefer", "wait=50")
		synctest.Wait()
		from := time.Now()
		w.key(auth.Admin, "default")
		w.closes(c, 4401)
		io.Copy(io.Discard, s.lines) // which had yet to be given an event
		if ended(); time.Since(from) > time.Second {
			t.Errorf("it ended after %s", time.Since(from))
		}
		w.close()
	})
}

// TestLoggingOutEndsTheSession: a copy of the cookie is no longer valid,
// and the other pages of the session are logged out. Other sessions of the key stay valid.
func TestLoggingOutEndsTheSession(t *testing.T) {
	dir := t.TempDir()
	w := startIn(t, dir, nil)
	key := w.key(auth.Operator, "default")
	cookie, other := w.logIn(key), w.logIn(key)
	open := func(cookie string) *client {
		c := w.connect("", "Cookie", cookie, "Origin", w.url)
		c.send(`{"type":"subscribe","id":"v","view":"overview"}`)
		c.until("patch")
		return c
	}
	mine, others := open(cookie), open(other)
	stream := w.stream("/v1/events?all=1", "Cookie", cookie)
	stream.block()
	w.form("/logout", "", cookie).want(303)
	w.closes(mine, 4401)
	stream.rest()
	for range 2 {
		w.with("", "GET", "/", "", "Cookie", cookie).want(303).has("Location", "/login")
		w.with("", "GET", "/v1/jobs", "", "Cookie", cookie).unauthorized("Bearer")
		w.with("", "GET", "/", "", "Cookie", other).want(200)
		w.form("/logout", "", cookie).want(303)
		if others != nil {
			others.send(`{"type":"ping"}`)
			others.until("pong")
			others = nil
			w.close()
			w = startIn(t, dir, nil) // also after a restart
		}
	}
}

// TestARevokedKeyInTheMiddleOfAFrame: the messages after the revocation are not handled.
func TestARevokedKeyInTheMiddleOfAFrame(t *testing.T) {
	var revoke func()
	w := startIn(t, t.TempDir(), func(p *parts) {
		p.wrap = func(s jobs.Store) jobs.Store { return &afterCommit{s, func() { revoke() }} }
	})
	key, text, err := w.keys.Create(auth.Key{Role: auth.Submitter}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	once := sync.OnceFunc(func() {
		if _, err := w.keys.Revoke(key.ID, time.Now()); err != nil {
			t.Error(err)
		}
	})
	revoke = once
	c := w.show("", text)
	c.until("welcome")
	c.send(`{"type":"submit","id":"a","job":{"kind":"nobody"}}` + "\n" + `{"type":"submit","id":"b","job":{"kind":"nobody"}}`)
	w.closes(c, 4403)
	page, err := w.store.List(t.Context(), jobs.Filter{Limit: 10})
	if err != nil || len(page.Jobs) != 1 {
		t.Errorf("%d jobs were accepted, %v", len(page.Jobs), err)
	}
}

// afterCommit does something after each commit of a job.
type afterCommit struct {
	jobs.Store
	do func()
}

func (s *afterCommit) Commit(ctx context.Context, b *jobs.Batch) error {
	err := s.Store.Commit(ctx, b)
	if len(b.Changes) > 0 {
		s.do()
	}
	return err
}

// TestBatchOfARevokedKey: running requests end normally, the others are refused, and
// so is a batch that has not begun.
func TestBatchOfARevokedKey(t *testing.T) {
	keyed(t, func(t *testing.T, w *world, admin string) {
		key, text, err := w.keys.Create(auth.Key{Role: auth.Admin}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		id := w.submit(`{"kind":"nobody"}`)
		running := w.with(text, "POST", "/batch?async=true", `{"requests":[{"id":"a","method":"GET","path":"/v1/jobs/`+id+`","headers":{"Prefer":"wait=50"}},
			{"depends_on":["a"],"method":"POST","path":"/v1/jobs","body":{"kind":"nobody","tags":["late"]}},{"depends_on":["a"],"method":"POST","path":"/v1/queues/q/pause"}]}`).want(202).text("id")
		later := w.with(text, "POST", "/v1/jobs", `{"kind":"batch","delay":"30s","input":{"requests":[{"method":"POST","path":"/v1/jobs","body":{"kind":"nobody","tags":["late"]}}]}}`).want(202).text("id")
		w.await(running, "running")
		synctest.Wait() // the first is at work
		if _, err := w.keys.Revoke(key.ID, time.Now()); err != nil {
			t.Fatal(err)
		}
		from := time.Now()
		w.await(running, "succeeded")
		if time.Since(from) > time.Second {
			t.Errorf("it went on for %s", time.Since(from))
		}
		time.Sleep(30 * time.Second)
		w.await(later, "succeeded")
		for id, want := range map[string]string{running: "200 403 403", later: "403"} {
			list := w.do("GET", "/v1/jobs/"+id+"/response", "").want(200).responses()
			if got := statuses(list); got != want {
				t.Errorf("the answers are %s, want %s: %v", got, want, list)
			}
			if text := fmt.Sprint(list); !strings.Contains(text, "was revoked") {
				t.Errorf("they say %s", text)
			}
		}
		if page, err := w.store.List(t.Context(), jobs.Filter{Tag: "late"}); err != nil || len(page.Jobs) > 0 {
			t.Errorf("%d jobs were made, %v", len(page.Jobs), err)
		}
		w.client.CloseIdleConnections()
	})
}

// TestScheduleOfARevokedKey: it does not fire, and its document and page say why; saved with
// another key it continues with that key.
func TestScheduleOfARevokedKey(t *testing.T) {
	keyed(t, func(t *testing.T, w *world, admin string) {
		key, text, err := w.keys.Create(auth.Key{Role: auth.Operator, Name: "alice"}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		w.with(text, "PUT", "/v1/schedules/s", `{"cron":"* * * * *","job":{"kind":"nobody"}}`).want(201)
		if _, err := w.keys.Revoke(key.ID, time.Now()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		s := w.do("GET", "/v1/schedules/s", "").want(200).json()
		if why, ok := s["last_error"].(map[string]any); !ok || why["code"] != "forbidden" || !strings.Contains(fmt.Sprint(why["detail"]), "alice") || s["last_job"] != "" {
			t.Errorf("%v", s)
		}
		w.do("GET", "/schedules/s", "").want(200).shows("was revoked", "alice")
		cookie := w.logIn(admin)
		w.form("/schedules/s/run", "", cookie).want(403).shows("was revoked")
		w.form("/schedules/s", "cron=*+*+*+*+*&time_zone=UTC", cookie).want(303)
		time.Sleep(time.Minute)
		synctest.Wait()
		page, err := w.store.List(t.Context(), jobs.Filter{Limit: 10})
		if err != nil || len(page.Jobs) != 1 || strings.HasPrefix(page.Jobs[0].Caller, key.ID) {
			t.Errorf("after it was saved: %+v %v", page.Jobs, err)
		}
		w.client.CloseIdleConnections()
	})
}

// TestSchedulesFromBeforeTheFirstKey: what was made without a key acts as long as there is
// none.
func TestSchedulesFromBeforeTheFirstKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := startIn(t, t.TempDir(), func(p *parts) { p.listen = listenPiped() })
		w.do("PUT", "/v1/schedules/s", `{"cron":"* * * * *","job":{"kind":"batch","input":{"requests":[{"method":"POST","path":"/v1/queues/q/pause"}]}}}`).want(201)
		time.Sleep(time.Minute)
		synctest.Wait()
		one, err := w.engine.Schedules.Get(t.Context(), "default", "s")
		if err != nil || one.LastError != nil || one.LastJob == (jobs.ID{}) {
			t.Errorf("without keys: %+v %v", one, err)
		}
		if !strings.Contains(w.do("GET", "/v1/queues/q", "").body, `"paused":true`) {
			t.Error("its batch did nothing")
		}
		w.bearer = w.key(auth.Admin, "default")
		time.Sleep(time.Minute)
		synctest.Wait()
		two, err := w.engine.Schedules.Get(t.Context(), "default", "s")
		if err != nil || two.LastJob != one.LastJob || two.LastError == nil || !strings.Contains(two.LastError.Detail, "without a key") {
			t.Errorf("with keys: %+v %v", two, err)
		}
		w.client.CloseIdleConnections()
		w.close()
	})
}

// TestAStreamThroughARouteEndsWithItsKey: also what comes from an upstream.
func TestAStreamThroughARouteEndsWithItsKey(t *testing.T) {
	left := make(chan struct{})
	up := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "data: 1\n\n")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
		close(left)
	})
	w := startRoutes(t, up.route("/api/"))
	key, text, err := w.keys.Create(auth.Key{Role: auth.Submitter}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	s := w.stream("/api/x", "Authorization", "Bearer "+text)
	s.block()
	if _, err := w.keys.Revoke(key.ID, time.Now()); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(s.lines); err == nil {
		t.Error("it looks whole")
	}
	select {
	case <-left:
	case <-time.After(patience):
		t.Error("the upstream still answers")
	}
}

// TestKeysThatAnotherProcessRevokes: the hub hears of it without being asked anything.
func TestKeysThatAnotherProcessRevokes(t *testing.T) {
	dir := t.TempDir()
	w := startIn(t, dir, nil)
	w.key(auth.Admin, "default")
	ctx, cancel := context.WithCancel(t.Context())
	var following sync.WaitGroup
	following.Go(func() { w.keys.Follow(ctx) })
	defer following.Wait()
	defer cancel()
	tool, err := auth.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	key, text, err := tool.Create(auth.Key{Role: auth.Viewer}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	c := w.show("?all=1", text)
	c.until("live")
	if _, err := tool.Revoke(key.ID, time.Now()); err != nil {
		t.Fatal(err)
	}
	w.closes(c, 4403)
}

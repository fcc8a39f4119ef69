package web_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"jobhub/hub"
	"jobhub/jobs"
	"jobhub/web/auth"
)

// lateStore lets the hub follow the log, once held, only after somebody has asked how long
// the log is.
type lateStore struct {
	jobs.Store
	held, asking atomic.Bool
	asked        chan struct{}
	ask          func() // closes asked
}

func (l *lateStore) Head() jobs.Position {
	if l.asking.Load() {
		l.ask()
	}
	return l.Store.Head()
}

type followedLate struct {
	hub.Log
	store *lateStore
}

func (l followedLate) Read(ctx context.Context, q jobs.ReadQuery) ([]*jobs.Event, error) {
	if l.store.held.Load() {
		select {
		case <-l.store.asked:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return l.Log.Read(ctx, q)
}

// A client that connects after its 202 is not welcomed at a position before it.
func TestWelcomeIsNotBehindA202(t *testing.T) {
	for name, begin := range map[string]func(w *world, key string) (seq uint64){
		"WebSocket": func(w *world, key string) uint64 {
			c := w.connect("?all=1", "Authorization", "Bearer "+key)
			welcome := number(w.t, c.next(), "seq")
			if from, _, _ := c.block("q"); number(w.t, from, "seq") != welcome {
				w.t.Errorf("welcome at %d, then %v", welcome, from)
			}
			return welcome
		},
		"hello": func(w *world, key string) uint64 {
			c := w.connect("?all=1")
			c.send(`{"type":"hello","token":"%s"}`, key)
			return number(w.t, c.next(), "seq")
		},
		"SSE": func(w *world, key string) uint64 {
			return number(w.t, w.stream("/v1/events?all=1").next(), "seq")
		},
	} {
		t.Run(name, func(t *testing.T) {
			late := &lateStore{asked: make(chan struct{})}
			late.ask = sync.OnceFunc(func() { close(late.asked) })
			w := startIn(t, t.TempDir(), func(p *parts) {
				p.wrap = func(s jobs.Store) jobs.Store { late.Store = s; return late }
				p.hub.Log = followedLate{p.hub.Log, late}
			})
			key := w.key(auth.Submitter, "default")
			w.bearer = key
			late.held.Store(true)
			accepted := w.do("POST", "/v1/jobs", `{"kind":"nobody"}`).want(202)
			late.asking.Store(true)
			t.Cleanup(late.ask)
			if seq := begin(w, key); seq < number(t, accepted.json(), "seq") {
				t.Errorf("the hub begins at %d, after %s", seq, accepted.body)
			}
		})
	}
}

// A client that goes away while it is sent what it missed is no error of the hub's.
func TestCutWhileItIsReplayed(t *testing.T) {
	var log bytes.Buffer
	w := startIn(t, t.TempDir(), func(p *parts) { p.web.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	for range 40 { // more than the kernel takes
		w.submit(`{"kind":"nobody","input":"` + strings.Repeat("x", 50<<10) + `"}`)
	}
	query := "?all=1&seq=0&epoch=" + w.hub.Epoch()
	for _, request := range []string{handshake(w.address(), query), "GET /v1/events" + query + " HTTP/1.1\r\nHost: " + w.address() + "\r\n\r\n"} {
		conn, err := net.Dial("tcp", w.address())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, request); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(conn, make([]byte, 1<<10)); err != nil {
			t.Fatal(err)
		}
		conn.(*net.TCPConn).SetLinger(0)
		conn.Close()
	}
	w.close()
	if text := log.String(); text != "" {
		t.Errorf("the hub says\n%s", text)
	}
}

package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	gorilla "github.com/gorilla/websocket"
)

// room is an audience of a peer that sends with send.
func room[C any](t *testing.T, n int, accept func(http.ResponseWriter, *http.Request) (C, error), send func([][]byte, []C) error) (*audience, *wire) {
	server := httptest.NewServer(newPeer(200, accept, send))
	t.Cleanup(server.Close)
	addr := server.Listener.Addr().String()
	a, err := gather(t.Context(), guests{addr: addr, n: n, path: func(int) string { return "/ws" }, watch: func(i int) watcher {
		if i%2 == 0 {
			return inRow()
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.leave)
	if err := seated(t.Context(), addr, n); err != nil {
		t.Fatal(err)
	}
	w, err := dial(addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.close)
	return a, w
}

func publish(t *testing.T, w *wire, upto int) {
	if _, err := w.call("POST", fmt.Sprintf("/publish?upto=%d", upto), nil, http.StatusOK); err != nil {
		t.Fatal(err)
	}
}

func TestAudience(t *testing.T) {
	try := func(a *audience, w *wire) {
		for _, upto := range []int{1, 1000} {
			publish(t, w, upto)
			if err := a.await(t.Context(), uint64(upto)); err != nil {
				t.Fatal(err)
			}
		}
		if total, least, most := a.heard(); total != 10_000 || least != 1000 || most != 1000 {
			t.Error(total, least, most)
		}
		for i, m := range a.members {
			if m.size.Load() != 200_000 {
				t.Errorf("client %d got %d bytes", i, m.size.Load())
			}
		}
	}
	try(room(t, 10, acceptCoder, sendCoder))
	try(room(t, 10, acceptGorilla, sendGorilla))
	try(room(t, 10, acceptGws, sendGws))
	try(room(t, 10, acceptBare, sendBare))
}

// What a server does wrong must fail the measurement.
func TestLyingServer(t *testing.T) {
	for name, lie := range map[string]struct {
		texts func([][]byte) [][]byte
		want  string
	}{
		"twice":        {func(texts [][]byte) [][]byte { return append(texts, texts[len(texts)-1]) }, ""},
		"out of order": {func(texts [][]byte) [][]byte { slices.Reverse(texts); return texts }, "after event"},
		"another":      {func(texts [][]byte) [][]byte { texts[3] = message(99, 200); return texts }, "after event"},
	} {
		a, w := room(t, 4, acceptGorilla, func(texts [][]byte, to []*gorilla.Conn) error { return sendGorilla(lie.texts(texts), to) })
		publish(t, w, 10)
		if err := a.await(t.Context(), 10); err == nil || !strings.Contains(err.Error(), lie.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestConnectionLost(t *testing.T) {
	a, w := room(t, 2, acceptGorilla, func(_ [][]byte, to []*gorilla.Conn) error {
		for _, c := range to {
			c.WriteControl(gorilla.PingMessage, []byte("there?"), time.Now().Add(time.Second))
			c.WriteControl(gorilla.CloseMessage, gorilla.FormatCloseMessage(4001, "slow"), time.Now().Add(time.Second))
		}
		return nil
	})
	publish(t, w, 1)
	if err := a.await(t.Context(), 1); err == nil || !strings.Contains(err.Error(), "closed it: 4001 slow") {
		t.Error(err)
	}
}

func TestMemberOf(t *testing.T) {
	event := []byte(`{"type":"job.output","epoch":"k3f","seq":1842,"job":"0197","queue":"q","at":"2026-01-02T03:04:05.678Z","data":{"seq":1,"at":"x"}}`)
	if seq, err := seqOf(event); seq != 1842 || err != nil {
		t.Error(seq, err)
	}
	if age, err := ageOf(event, time.Date(2026, 1, 2, 3, 4, 5, 700_000_000, time.UTC)); age != 22*time.Millisecond || err != nil {
		t.Error(age, err)
	}
	for _, broken := range []string{`{}`, `{"seq":}`, `{"seq":x,"at":"yesterday"}`} {
		if _, err := seqOf([]byte(broken)); err == nil {
			t.Errorf("%s has a seq", broken)
		}
		if _, err := ageOf([]byte(broken), time.Now()); err == nil {
			t.Errorf("%s has a time", broken)
		}
	}
}

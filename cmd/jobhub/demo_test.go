package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/go-json-experiment/json"

	"jobhub/web/client"
)

// toyHub ends every job at once and tells of it. It stops the demo after enough jobs.
type toyHub struct {
	endings int // final events of each job
	most    int // jobs
	enough  func()

	mu     sync.Mutex // protects the fields below
	seq    int
	keys   map[string]bool
	socket *websocket.Conn
	queues map[string]int
}

func (h *toyHub) watch(w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"jobhub.v1"}})
	if err != nil {
		return
	}
	defer conn.CloseNow()
	h.mu.Lock()
	h.socket = conn
	h.mu.Unlock()
	h.say(`{"type":"welcome","epoch":"e","seq":0,"ping":25}`)
	conn.Read(context.Background())
	h.say(`{"type":"subscribed","id":"w","epoch":"e","seq":0}` + "\n" + `{"type":"live","id":"w","seq":0}`)
	conn.Read(context.Background())
}

func (h *toyHub) say(frame string) {
	h.socket.Write(context.Background(), websocket.MessageText, []byte(frame))
}

func (h *toyHub) submit(w http.ResponseWriter, r *http.Request) {
	var s struct {
		Kind, Queue string
		Tags        []string
	}
	text, _ := io.ReadAll(r.Body)
	key := r.Header.Get("Idempotency-Key")
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := json.Unmarshal(text, &s, json.MatchCaseInsensitiveNames(true)); err != nil || s.Kind != "http" || h.keys[key] {
		http.Error(w, "what?", http.StatusBadRequest)
		return
	}
	h.keys[key] = true
	h.queues[s.Queue]++
	tags, _ := json.Marshal(s.Tags)
	version := 0
	event := func(typ string) {
		h.seq++
		version++
		h.say(fmt.Sprintf(`{"type":%q,"epoch":"e","seq":%d,"job":"job-%s","queue":%q,"kind":"http","tags":%s,"version":%d,"at":"2026-01-02T03:04:05Z","data":{"state":"x"}}`, typ, h.seq, key, s.Queue, tags, version))
	}
	event("job.queued")
	for range h.endings {
		event("job.succeeded")
	}
	w.WriteHeader(http.StatusAccepted)
	fmt.Fprintf(w, `{"id":"job-%s","state":"queued"}`, key)
	if len(h.keys) == h.most {
		h.enough()
	}
}

func TestDemoClients(t *testing.T) {
	for endings, code := range map[int]int{1: 0, 2: 1} {
		t.Run(fmt.Sprint(endings, " endings"), func(t *testing.T) {
			ctx, stop := context.WithCancel(t.Context())
			hub := &toyHub{endings: endings, most: 200, enough: stop, keys: map[string]bool{}, queues: map[string]int{}}
			mux := http.NewServeMux()
			mux.HandleFunc("/v1/ws", hub.watch)
			mux.HandleFunc("POST /v1/jobs", hub.submit)
			mux.HandleFunc("POST /v1/jobs/{id}/cancel", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "{}") })
			srv := httptest.NewServer(mux)
			defer srv.Close()

			var out bytes.Buffer
			d := &demo{client: &client.Client{Base: srv.URL}, api: "http://127.0.0.1:9", seed: 42, rate: 2000, ledger: newLedger("demo"), out: &out}
			if got := d.run(ctx); got != code {
				t.Errorf("code %d\n%s", got, &out)
			}
			b := d.ledger.balance(time.Now())
			unread := (endings-1)*b.submitted - b.duplicated // the demo ends with the last job's first ending
			if b.submitted < 200 || b.submitted != b.succeeded || unread < 0 || unread > 1 {
				t.Error(b)
			}
			for _, a := range actors {
				if hub.queues[a.queue] == 0 {
					t.Errorf("nothing in queue %s", a.queue)
				}
			}
			if !strings.Contains(out.String(), "submitted ") {
				t.Errorf("printed %s", &out)
			}
		})
	}
}

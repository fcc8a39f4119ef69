package demo

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/go-json-experiment/json"

	"jobhub/cmd/jobhub/app"
	"jobhub/web/client"
)

// toyHub ends every job at once and sends its events. It stops the demo after enough jobs.
type toyHub struct {
	endings int // final events of each job
	most    int // jobs
	enough  func()

	mu     sync.Mutex // protects the fields below
	seq    int
	keys   map[string]bool
	socket *websocket.Conn
	queues map[string]int

	schedules   int
	synchronous int // requests through a route
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
	if err := json.Unmarshal(text, &s, json.MatchCaseInsensitiveNames(true)); err != nil || s.Kind != "http" && s.Kind != "fanout" {
		http.Error(w, "what?", http.StatusBadRequest)
		return
	}
	h.accept(w, r, s.Kind, s.Queue, s.Tags)
}

// through is a request through a route, or a batch: a job has no tag.
func (h *toyHub) through(kind, queue string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("async") == "true" {
			h.accept(w, r, kind, queue, []string{})
			return
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		h.synchronous++
	}
}

func (h *toyHub) schedule(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.schedules++
	w.WriteHeader(http.StatusCreated)
	io.WriteString(w, "{}")
}

func (h *toyHub) accept(w http.ResponseWriter, r *http.Request, kind, queue string, labels []string) {
	key := r.Header.Get("Idempotency-Key")
	h.mu.Lock()
	defer h.mu.Unlock()
	if key == "" || h.keys[key] {
		http.Error(w, "again?", http.StatusBadRequest)
		return
	}
	h.keys[key] = true
	h.queues[queue]++
	tags, _ := json.Marshal(labels)
	version := 0
	event := func(typ string) {
		h.seq++
		version++
		h.say(fmt.Sprintf(`{"type":%q,"epoch":"e","seq":%d,"job":"job-%s","queue":%q,"kind":%q,"tags":%s,"version":%d,"at":"2026-01-02T03:04:05Z","data":{"state":"x"}}`, typ, h.seq, key, queue, kind, tags, version))
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
	for endings, balanced := range map[int]bool{1: true, 2: false} {
		t.Run(fmt.Sprint(endings, " endings"), func(t *testing.T) {
			ctx, stop := context.WithCancel(t.Context())
			hub := &toyHub{endings: endings, most: 800, enough: stop, keys: map[string]bool{}, queues: map[string]int{}}
			mux := http.NewServeMux()
			mux.HandleFunc("/v1/ws", hub.watch)
			mux.HandleFunc("POST /v1/jobs", hub.submit)
			mux.HandleFunc("POST /v1/batch", hub.through("batch", "batch"))
			mux.HandleFunc("/shop/", hub.through("http", "checkout"))
			mux.HandleFunc("/quotes/", hub.through("fanout", "quotes"))
			mux.HandleFunc("PUT /v1/schedules/{name}", hub.schedule)
			mux.HandleFunc("POST /v1/jobs/{id}/cancel", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "{}") })
			srv := httptest.NewServer(mux)
			defer srv.Close()

			var out bytes.Buffer
			d := &demo{client: &client.Client{Base: srv.URL}, api: "http://127.0.0.1:9", hooks: []string{"http://127.0.0.1:9/"}, seed: 42, rate: 2000, ledger: newLedger("demo", untaggedQueues...), out: &out}
			if got := d.run(ctx); got != balanced {
				t.Errorf("balanced %v\n%s", got, &out)
			}
			b := d.ledger.balance(time.Now())
			unread := (endings-1)*b.submitted - b.duplicated // the demo ends with the last job's first ending
			if b.submitted < 800 || b.own+b.others > 0 || b.submitted != b.succeeded || unread < 0 || unread > 1 {
				t.Error(b)
			}
			queues := slices.Clone(untaggedQueues)
			for _, a := range actors {
				queues = append(queues, a.queue)
			}
			for _, queue := range queues {
				if hub.queues[queue] == 0 {
					t.Errorf("nothing in queue %s", queue)
				}
			}
			if hub.schedules != 3 || hub.synchronous == 0 {
				t.Errorf("%d schedules, %d requests through a route", hub.schedules, hub.synchronous)
			}
			if !strings.Contains(out.String(), "submitted ") {
				t.Errorf("printed %s", &out)
			}
		})
	}
}

// TestDemoShares: --rate counts all jobs that the clients submit.
func TestDemoShares(t *testing.T) {
	sum := routesShare + batchesShare
	for _, a := range actors {
		sum += a.share
	}
	if math.Abs(sum-1) > 1e-9 {
		t.Errorf("all shares together are %v", sum)
	}
}

// TestDemoSeed: the same seed means the same jobs, another one others.
func TestDemoSeed(t *testing.T) {
	all := func(seed uint64) string {
		var drawn []any
		for _, a := range actors {
			rng := stream(seed, a.queue)
			for n := range uint64(20) {
				_, input := a.work("http://api", rng, n)
				drawn = append(drawn, input)
			}
		}
		rng := stream(seed, "batches")
		for n := range uint64(20) {
			drawn = append(drawn, invoices("http://api", rng, n))
		}
		text, err := json.Marshal(append(drawn, schedules("http://api", stream(seed, "schedules"))), json.Deterministic(true))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	if first := all(42); first != all(42) || first == all(43) {
		t.Error("a seed does not decide what the clients do")
	}
}

// TestDemoBatches: they have the size and the failing items that the pages want to show.
func TestDemoBatches(t *testing.T) {
	rng, failing, reports := stream(42, "batches"), 0, 0
	for n := range uint64(200) {
		b := invoices("http://api", rng, n)
		if len(b) < 12 || len(b) > 30 {
			t.Errorf("batch %d has %d items", n, len(b))
		}
		ids := map[string]bool{}
		for _, item := range b {
			for _, id := range item.DependsOn {
				if !ids[id] {
					t.Errorf("%s waits for %s", item.ID, id)
				}
			}
			if ids[item.ID] = true; strings.HasSuffix(item.Path, "/customers/0") {
				failing++
			}
			if item.Path == "/v1/jobs" {
				reports++
			}
		}
	}
	if failing < 40 || failing > 140 || reports < 50 || reports > 150 {
		t.Errorf("%d of 200 have a failing item, %d a report", failing, reports)
	}
}

// TestDemoConfig: the file with the routes is a good one.
func TestDemoConfig(t *testing.T) {
	file := filepath.Join(t.TempDir(), "jobhub.yaml")
	if err := os.WriteFile(file, config("http://127.0.0.1:9000"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, notes, err := app.LoadConfig(file, nil)
	if err != nil || len(notes) > 0 || len(c.Routes) != 2 || c.Routes[0].Path != "/shop/" || len(c.Routes[1].Targets) != 3 {
		t.Errorf("%v %v %+v", err, notes, c)
	}
	for _, r := range c.Routes {
		if !slices.Contains(untaggedQueues, r.Queue) {
			t.Errorf("the ledger does not know of queue %s", r.Queue)
		}
	}
}

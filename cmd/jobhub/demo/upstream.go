package demo

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
)

// sampleAPI is an HTTP API like those of the hub's users: sometimes slow, sometimes failing,
// and without any knowledge of jobs.
type sampleAPI struct {
	seed uint64

	mu  sync.Mutex // protects rng
	rng *rand.Rand
}

// startSampleAPI serves it on a loopback port, and returns its URL and a function that stops it.
func startSampleAPI(seed uint64) (url string, stop func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, fmt.Errorf("the sample API can't listen: %w", err)
	}
	srv := &http.Server{Handler: newSampleAPI(seed)}
	go srv.Serve(l)
	return "http://" + l.Addr().String(), func() { srv.Close() }, nil
}

func newSampleAPI(seed uint64) http.Handler {
	a := &sampleAPI{seed: seed, rng: stream(seed, "sample API")}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /reports", a.reports)
	mux.HandleFunc("POST /orders", a.orders)
	mux.HandleFunc("GET /story", a.story)
	mux.HandleFunc("POST /thumbnails", a.thumbnails)
	a.shop(mux)
	return mux
}

// between draws a duration from [least, most).
func (a *sampleAPI) between(least, most time.Duration) time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	return least + time.Duration(a.rng.Int64N(int64(most-least)))
}

func (a *sampleAPI) chance(p float64) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.rng.Float64() < p
}

// pause returns false if the caller has disconnected.
func pause(r *http.Request, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-r.Context().Done():
		return false
	}
}

// mostRows is the size of the largest report, which takes 12 s; the smallest takes 2 s.
const mostRows = 20_000

type reportRequest struct {
	Title string `json:"title"`
	Rows  int    `json:"rows"`
}

// reports takes 2 to 12 seconds, and writes its progress after every page.
func (a *sampleAPI) reports(w http.ResponseWriter, r *http.Request) {
	var in reportRequest
	if !decode(w, r, &in) {
		return
	}
	if in.Rows < 1 || in.Rows > mostRows {
		refuse(w, fmt.Sprintf("rows must be from 1 to %d", mostRows))
		return
	}
	pages := 4 + in.Rows/1000
	each := (2*time.Second + 10*time.Second*time.Duration(in.Rows)/mostRows) / time.Duration(pages)
	w.Header().Set("Content-Type", "application/x-ndjson")
	for page := 1; page <= pages; page++ {
		if !pause(r, each) {
			return
		}
		line(w, map[string]any{"percent": 100 * page / pages, "message": fmt.Sprintf("page %d of %d", page, pages)})
	}
	line(w, map[string]any{"report": in.Title, "rows": in.Rows, "pages": pages})
}

type orderRequest struct {
	Number   uint64 `json:"number"`
	Customer string `json:"customer"`
	Items    int    `json:"items"`
}

// orders answers 503 every seventh time, and always refuses some orders.
func (a *sampleAPI) orders(w http.ResponseWriter, r *http.Request) {
	var in orderRequest
	if !decode(w, r, &in) || !pause(r, a.between(50*time.Millisecond, 400*time.Millisecond)) {
		return
	}
	switch {
	case rand.New(rand.NewPCG(a.seed, in.Number)).Float64() < 0.02:
		refuse(w, "one of the items is no longer sold")
	case a.chance(0.15):
		w.Header().Set("Retry-After", "1")
		http.Error(w, "the warehouse does not answer, try again", http.StatusServiceUnavailable)
	default:
		answer(w, http.StatusCreated, map[string]any{"order": in.Number, "status": "confirmed", "parcels": 1 + in.Items/4})
	}
}

// story streams words as language models do.
func (a *sampleAPI) story(w http.ResponseWriter, r *http.Request) {
	words, err := strconv.Atoi(r.URL.Query().Get("words"))
	if err != nil || words < 1 || words > 500 {
		refuse(w, "words must be from 1 to 500")
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	text := strings.Fields(fable)
	for i := range words {
		if !pause(r, a.between(30*time.Millisecond, 120*time.Millisecond)) {
			return
		}
		io.WriteString(w, "data: ")
		line(w, map[string]string{"text": text[i%len(text)] + " "})
		io.WriteString(w, "\n")
	}
	io.WriteString(w, "data: [DONE]\n\n")
}

const fable = `A dog was crossing a plank bridge over a stream with a piece of meat in his mouth, when he happened to see his own
reflection in the water. He thought it was another dog with a piece of meat twice as big; so he let go his own, and flew at the other dog
to get the larger piece. But, of course, all that happened was that he got neither; for one was only a shadow, and the other was carried
away by the current.`

type thumbnailRequest struct {
	Image string `json:"image"`
	Width int    `json:"width"`
}

// thumbnails answers in 10 to 60 milliseconds.
func (a *sampleAPI) thumbnails(w http.ResponseWriter, r *http.Request) {
	var in thumbnailRequest
	if !decode(w, r, &in) || !pause(r, a.between(10*time.Millisecond, 60*time.Millisecond)) {
		return
	}
	answer(w, http.StatusCreated, map[string]any{"thumbnail": in.Image + "?w=" + strconv.Itoa(in.Width), "width": in.Width, "height": in.Width * 3 / 4})
}

func decode(w http.ResponseWriter, r *http.Request, in any) bool {
	if err := json.UnmarshalRead(http.MaxBytesReader(w, r.Body, 64<<10), in); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return false
	}
	return true
}

func refuse(w http.ResponseWriter, why string) {
	answer(w, http.StatusUnprocessableEntity, map[string]string{"error": why})
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.MarshalWrite(w, v, json.Deterministic(true))
}

// line writes v as one line, without delay.
func line(w http.ResponseWriter, v any) {
	json.MarshalWrite(w, v, json.Deterministic(true))
	io.WriteString(w, "\n")
	http.NewResponseController(w).Flush()
}

package demo

import (
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// supplier is an API that answers within its time.
type supplier struct {
	name        string
	least, most time.Duration
	busy        float64 // share of requests that it answers with 503
	missing     int     // articles whose number is a multiple of this are missing; 0 if it has all
}

var suppliers = []supplier{
	{"north", 300 * time.Millisecond, 1200 * time.Millisecond, 0, 0},
	{"south", 600 * time.Millisecond, 2 * time.Second, 0, 5},
	{"east", 1500 * time.Millisecond, 4 * time.Second, 0.1, 0},
	{"west", 3 * time.Second, 7 * time.Second, 0.2, 0},
}

// Paths of receivers of callbacks: the first always works, the second sometimes answers 500.
const (
	mailHook = "/hooks/mail"
	crmHook  = "/hooks/crm"
)

// demoSecret signs the demo's callbacks. It protects nothing.
const demoSecret = "whsec_am9iaHViIGRlbW8gb25seSwgbm8gc2VjcmV0"

func (a *sampleAPI) shop(mux *http.ServeMux) {
	mux.HandleFunc("GET /suppliers/{name}/offers/{article}", a.offers)
	mux.HandleFunc("GET /stock/{article}", a.stock)
	mux.HandleFunc("GET /customers/{number}", a.customers)
	mux.HandleFunc("POST /invoices", a.invoices)
	mux.HandleFunc("POST /mails", a.mails)
	mux.HandleFunc("POST "+mailHook, a.receive(0))
	mux.HandleFunc("POST "+crmHook, a.receive(0.2))
}

// number reads a number of the path. It answers 404 and reports false if there is none.
func number(w http.ResponseWriter, r *http.Request, name string) (int, bool) {
	n, err := strconv.Atoi(r.PathValue(name))
	if err != nil {
		http.NotFound(w, r)
	}
	return n, err == nil
}

func (a *sampleAPI) offers(w http.ResponseWriter, r *http.Request) {
	article, ok := number(w, r, "article")
	if !ok {
		return
	}
	for _, s := range suppliers {
		switch {
		case s.name != r.PathValue("name"):
			continue
		case !pause(r, a.between(s.least, s.most)):
		case s.missing > 0 && article%s.missing == 0:
			answer(w, http.StatusNotFound, map[string]string{"error": s.name + " does not have this article"})
		case a.chance(s.busy):
			w.Header().Set("Retry-After", "1")
			http.Error(w, s.name+" is busy, try again", http.StatusServiceUnavailable)
		default:
			answer(w, http.StatusOK, map[string]any{"article": article, "supplier": s.name, "cents": 500 + article*7%4000 + len(s.name)*13})
		}
		return
	}
	http.NotFound(w, r)
}

// stock answers for all articles but one.
func (a *sampleAPI) stock(w http.ResponseWriter, r *http.Request) {
	article, ok := number(w, r, "article")
	if !ok || !pause(r, a.between(5*time.Millisecond, 80*time.Millisecond)) {
		return
	}
	if article == 0 {
		answer(w, http.StatusNotFound, map[string]string{"error": "there is no such article"})
		return
	}
	answer(w, http.StatusOK, map[string]int{"article": article, "pieces": article * 37 % 500})
}

// customers are all known but number 0.
func (a *sampleAPI) customers(w http.ResponseWriter, r *http.Request) {
	n, ok := number(w, r, "number")
	if !ok || !pause(r, a.between(20*time.Millisecond, 200*time.Millisecond)) {
		return
	}
	if n == 0 {
		answer(w, http.StatusNotFound, map[string]string{"error": "there is no such customer"})
		return
	}
	answer(w, http.StatusOK, map[string]any{"customer": n, "mail": fmt.Sprintf("customer-%d@example.com", n)})
}

type invoiceRequest struct {
	Batch    uint64 `json:"batch"`
	Customer int    `json:"customer"`
	Euros    int    `json:"euros"`
}

func (a *sampleAPI) invoices(w http.ResponseWriter, r *http.Request) {
	var in invoiceRequest
	if !decode(w, r, &in) || !pause(r, a.between(time.Second, 6*time.Second)) {
		return
	}
	answer(w, http.StatusCreated, map[string]any{"invoice": fmt.Sprintf("%d-%d", in.Batch, in.Customer), "euros": in.Euros})
}

type mailRequest struct {
	To string `json:"to"`
}

func (a *sampleAPI) mails(w http.ResponseWriter, r *http.Request) {
	var in mailRequest
	if decode(w, r, &in) && pause(r, a.between(50*time.Millisecond, 800*time.Millisecond)) {
		answer(w, http.StatusAccepted, map[string]string{"to": in.To, "status": "sent"})
	}
}

// receive accepts callbacks; a share of them fails.
func (a *sampleAPI) receive(fails float64) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !pause(r, a.between(20*time.Millisecond, 200*time.Millisecond)):
		case a.chance(fails):
			http.Error(w, "its database is locked", http.StatusInternalServerError)
		default:
			w.WriteHeader(http.StatusNoContent)
		}
	}
}

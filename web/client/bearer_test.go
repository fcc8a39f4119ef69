package client

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// The token goes to the hub with every request, also with the one for a WebSocket, and to
// nobody else.
func TestTokenIsShownToTheHubOnly(t *testing.T) {
	var elsewhere, here []string
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		elsewhere = append(elsewhere, r.Header.Get("Authorization"))
		w.Write([]byte(`{"queues":[]}`))
	}))
	defer other.Close()
	hub := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		here = append(here, r.URL.Path+" "+r.Header.Get("Authorization"))
		if r.URL.Path == "/v1/queues" {
			http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
			return
		}
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusUnauthorized)
		w.Write([]byte(`{"title":"Expired","code":"unauthorized","status":401}`))
	}))
	defer hub.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	c := Client{Base: strings.Replace(hub.URL, "http:", "HTTP:", 1) + "/", Token: "jh_secret"}
	if _, err := c.Queues(ctx); err != nil {
		t.Error(err)
	}
	if _, err := c.Job(ctx, "x"); err == nil || !strings.Contains(err.Error(), "Expired") {
		t.Errorf("got %v", err)
	}
	for _, err := range c.Watch(ctx, Filter{All: true}, WatchOptions{}) {
		if err == nil || !strings.Contains(err.Error(), "Expired") {
			t.Errorf("watching gave %v", err)
		}
		break
	}
	if len(here) != 3 || here[0] != "/v1/queues Bearer jh_secret" || here[1] != "/v1/jobs/x Bearer jh_secret" || here[2] != "/v1/ws Bearer jh_secret" {
		t.Errorf("the hub was shown %q", here)
	}
	if len(elsewhere) != 1 || elsewhere[0] != "" {
		t.Errorf("another server was shown %q", elsewhere)
	}
	none := Client{Base: hub.URL}
	none.Job(ctx, "x")
	if last := here[len(here)-1]; last != "/v1/jobs/x " {
		t.Errorf("without a token the hub was shown %q", last)
	}
}

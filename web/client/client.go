// Package client talks to a hub: it submits jobs over its HTTP API and follows
// them live over the WebSocket protocol jobhub.v1.
//
// What a caller of [Client.Watch] may rely on:
//
//   - Messages come in the order of the hub's log, and each event once.
//   - A lost connection is made again, after a pause, and resumes where it broke
//     off. Where the hub can't resume, the caller gets a message that says so
//     (gap, or subscribed with Recovered false) and a fresh snapshot. Events are
//     never missing in silence.
//   - A slow caller slows nobody but itself: nothing is buffered here, so the hub
//     sees a slow reader and holds back.
//
// The zero Client is ready to use and talks to a hub on this machine.
package client

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/go-json-experiment/json"
)

// DefaultBase is where a hub listens unless told otherwise.
const DefaultBase = "http://127.0.0.1:8080"

// Client calls one hub. It may be used by several goroutines at once.
type Client struct {
	Base  string       // URL of the hub without a path; DefaultBase if empty
	Token string       // key (jh_…) or token (jht_…) to show; empty for a hub that wants none
	HTTP  *http.Client // http.DefaultClient if nil
}

func (c *Client) url(path string) string {
	base := strings.TrimRight(c.Base, "/")
	if base == "" {
		base = DefaultBase
	}
	return base + path
}

// http is the client of all requests, also of those that become WebSockets.
func (c *Client) http() *http.Client {
	h := http.DefaultClient
	if c.HTTP != nil {
		h = c.HTTP
	}
	if c.Token == "" {
		return h
	}
	shown := *h
	shown.Transport = bearer{cmp.Or(h.Transport, http.DefaultTransport), c.url("/"), c.Token}
	return &shown
}

// bearer shows a token to the hub, and to nobody that it may redirect to. A request that
// shows another one keeps it.
type bearer struct {
	http.RoundTripper
	hub, token string
}

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	if hub, err := url.Parse(b.hub); err == nil && hub.Scheme == r.URL.Scheme && hub.Host == r.URL.Host && r.Header.Get("Authorization") == "" {
		r = r.Clone(r.Context())
		r.Header.Set("Authorization", "Bearer "+b.token)
	}
	return b.RoundTripper.RoundTrip(r)
}

// call sends a request, as JSON unless header says otherwise, and decodes a 2xx answer into out. Any other answer is a
// *Problem.
func (c *Client) call(ctx context.Context, method, path string, header http.Header, body []byte, out any) error {
	req, err := http.NewRequestWithContext(ctx, method, c.url(path), bytes.NewReader(body))
	if err != nil {
		return err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for name, values := range header {
		req.Header[name] = values
	}
	res, err := c.http().Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode/100 != 2 {
		return readProblem(res)
	}
	text, err := io.ReadAll(res.Body)
	if err != nil || out == nil {
		return err
	}
	return json.Unmarshal(text, out)
}

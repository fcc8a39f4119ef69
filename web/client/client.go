package client

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// DefaultBase is the URL of a hub with default settings on this machine.
const DefaultBase = "http://127.0.0.1:8080"

// Client calls one hub. It may be used by several goroutines at once.
type Client struct {
	Base  string       // URL of the hub without a path; DefaultBase if empty
	Token string       // key (jh_…) or token (jht_…) to send; empty for a hub without keys
	HTTP  *http.Client // http.DefaultClient if nil
}

func (c *Client) url(path string) string {
	base := strings.TrimRight(c.Base, "/")
	if base == "" {
		base = DefaultBase
	}
	return base + path
}

// http returns the client for all requests, also for those that become WebSockets.
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

// bearer sends a token to the hub, and to no other server that it may redirect to. A request
// that already has another token keeps it.
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

var errEmptyName = errors.New("client: the id or name is empty; give that of a job, schedule, queue or worker")

// do sends a request, as JSON unless header says otherwise.
func (c *Client) do(ctx context.Context, method, path string, header http.Header, body []byte) (*http.Response, error) {
	if plain, _, _ := strings.Cut(path, "?"); strings.HasPrefix(path, "/v1/") && strings.Contains(plain+"/", "//") { // it would lead elsewhere
		return nil, errEmptyName
	}
	req, err := http.NewRequestWithContext(ctx, method, c.url(path), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for name, values := range header {
		req.Header[name] = values
	}
	return c.http().Do(req)
}

// exchange is call with a body that is written as JSON; nil for none. It sends an idempotency
// key that is not empty.
func (c *Client) exchange(ctx context.Context, method, path, idempotencyKey string, in, out any) error {
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in, durationsAsText, json.Deterministic(true)); err != nil {
			return err
		}
	}
	header := http.Header{}
	if idempotencyKey != "" {
		header.Set("Idempotency-Key", idempotencyKey)
	}
	return c.call(ctx, method, path, header, body, out)
}

// call sends a request and decodes a 2xx answer into out. Any other answer is a *Problem.
func (c *Client) call(ctx context.Context, method, path string, header http.Header, body []byte, out any) error {
	res, err := c.do(ctx, method, path, header, body)
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
	return json.Unmarshal(text, out, durationsFromText)
}

// The API writes durations as text: "30s".
var (
	durationsAsText = json.WithMarshalers(json.MarshalToFunc(func(enc *jsontext.Encoder, d time.Duration) error {
		return enc.WriteToken(jsontext.String(d.String()))
	}))
	durationsFromText = json.WithUnmarshalers(json.UnmarshalFromFunc(func(dec *jsontext.Decoder, d *time.Duration) error {
		var text string
		err := json.UnmarshalDecode(dec, &text)
		if err == nil && text != "" {
			*d, err = time.ParseDuration(text)
		}
		return err
	}))
)

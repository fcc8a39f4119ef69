package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/coder/websocket"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

const (
	subprotocol = "jobhub.v1"
	watchID     = "w"
	patience    = 10 * time.Second // to wait for an answer, and for a ping beyond the time when it was due
	maxFrame    = 64 << 20         // bytes
)

// connection connects once and reads until the connection ends; it always returns an error.
func (w *watcher) connection(ctx context.Context) error {
	w.conn = nil
	dialing, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	header, err := w.authorization(dialing)
	if err != nil {
		return err
	}
	conn, res, err := websocket.Dial(dialing, w.client.url("/v1/ws"), &websocket.DialOptions{
		HTTPClient: w.client.http(), HTTPHeader: header, Subprotocols: []string{subprotocol},
	})
	if err != nil {
		if res != nil && res.StatusCode != http.StatusSwitchingProtocols {
			return readProblem(res)
		}
		return err
	}
	defer conn.CloseNow()
	conn.SetReadLimit(maxFrame)
	w.conn, w.silence = conn, patience
	for {
		frame, err := w.read(ctx)
		if err != nil {
			return err
		}
		if err := w.frame(ctx, frame); err != nil {
			return err
		}
	}
}

// authorization is the header that says who is watching.
func (w *watcher) authorization(ctx context.Context) (http.Header, error) {
	if err := w.fetchToken(ctx); err != nil {
		return nil, err
	}
	token := w.token
	if w.options.Token == nil {
		token = w.client.Token
	}
	if token == "" {
		return nil, nil
	}
	return http.Header{"Authorization": {"Bearer " + token}}, nil
}

// fetchToken fetches a token if there is none and the options can fetch one.
func (w *watcher) fetchToken(ctx context.Context) (err error) {
	if w.options.Token == nil || w.token != "" {
		return nil
	}
	if w.token, err = w.options.Token(ctx); err != nil {
		return fmt.Errorf("fetching a token: %w", err)
	}
	w.renewed = true
	return nil
}

// refresh gives the hub a new token in place of one that expires soon. If no token can be
// fetched now, the hub closes the connection when the old one expires, and the next
// connection tries again.
func (w *watcher) refresh(ctx context.Context) error {
	if w.options.Token == nil {
		return nil
	}
	w.token = ""
	fetching, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := w.fetchToken(fetching); err != nil {
		return ctx.Err()
	}
	return w.write(ctx, struct {
		Type  string `json:"type"`
		ID    string `json:"id"`
		Token string `json:"token"`
	}{"refresh", "refresh", w.token})
}

func (w *watcher) read(ctx context.Context) ([]byte, error) {
	hearing, cancel := context.WithTimeout(ctx, w.silence)
	defer cancel()
	_, frame, err := w.conn.Read(hearing)
	if err != nil {
		if hearing.Err() != nil && ctx.Err() == nil {
			return nil, fmt.Errorf("nothing heard from the hub for %s", w.silence)
		}
		return nil, err
	}
	if w.options.Trace != nil {
		w.options.Trace(false, frame)
	}
	return frame, nil
}

func (w *watcher) write(ctx context.Context, message any) error {
	frame, err := json.Marshal(message)
	if err != nil {
		return err
	}
	if w.options.Trace != nil {
		w.options.Trace(true, frame)
	}
	writing, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return w.conn.Write(writing, websocket.MessageText, frame)
}

func (w *watcher) subscribe(ctx context.Context) error {
	request := struct {
		Type string `json:"type"`
		ID   string `json:"id"`
		Filter
		Since    Position `json:"since,omitzero"`
		Snapshot bool     `json:"snapshot,omitzero"`
		Progress string   `json:"progress,omitzero"`
	}{"subscribe", watchID, w.filter, w.resume, w.options.Snapshot && w.resume == Position{}, w.options.Progress}
	return w.write(ctx, request)
}

// errProtocol means that the server does not speak jobhub.v1. Trying again would not help.
var errProtocol = errors.New("the server does not speak " + subprotocol)

func (w *watcher) frame(ctx context.Context, frame []byte) error {
	for d := jsontext.NewDecoder(bytes.NewReader(frame)); ; {
		var m wireMessage
		switch err := json.UnmarshalDecode(d, &m); {
		case err == io.EOF:
			return nil
		case err != nil:
			return fmt.Errorf("%w: %w", errProtocol, err)
		}
		if err := w.take(ctx, &m); err != nil {
			return err
		}
	}
}

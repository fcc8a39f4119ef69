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
	patience    = 10 * time.Second // for an answer, and past the time when the hub should have pinged
	maxFrame    = 64 << 20         // bytes
)

// connection lives through one connection; it always ends with an error.
func (w *watcher) connection(ctx context.Context) error {
	w.conn = nil
	dialing, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	conn, res, err := websocket.Dial(dialing, w.client.url("/v1/ws"), &websocket.DialOptions{
		HTTPClient: w.client.http(), Subprotocols: []string{subprotocol},
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
	}{"subscribe", "w", w.filter, w.resume, w.options.Snapshot && w.resume == Position{}, w.options.Progress}
	return w.write(ctx, request)
}

// errProtocol: what the server says is not jobhub.v1, and would not be next time.
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

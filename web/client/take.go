package client

import (
	"context"
	"time"
)

// wireMessage has the members of all messages that a hub may send to a watcher.
type wireMessage struct {
	Message
	ID      string  `json:"id"`
	Ping    float64 `json:"ping"` // of welcome: seconds
	AfterMS int64   `json:"after_ms"`
	Code    string  `json:"code"`
	Text    string  `json:"message"`
	Retry   bool    `json:"retry"`
}

// take records the position that m moves to, and delivers m if it is for the caller.
func (w *watcher) take(ctx context.Context, m *wireMessage) error {
	if m.Epoch == "" {
		m.Epoch = w.pos.Epoch
	}
	switch {
	case m.Type == "welcome":
		w.silence = time.Duration(m.Ping*float64(time.Second)) + patience
		w.renewed = false
		return w.subscribe(ctx)
	case m.Type == "expiring":
		return w.refresh(ctx)
	case m.Type == "error" && m.ID != "" && m.ID != watchID:
		return nil // a refused refresh; the hub closes the connection if the old token expires
	case m.Type == "error":
		return &Problem{Code: m.Code, Title: m.Text, RetryAfter: time.Duration(m.AfterMS) * time.Millisecond, retry: m.Retry}
	case m.Type == "reconnect":
		return reconnect(time.Duration(m.AfterMS) * time.Millisecond)
	case m.Type == "ping":
		w.reach(max(m.Seq, w.pos.Seq))
		return nil
	case m.Type == Subscribed:
		w.pos = Position{m.Epoch, m.Seq}
		w.inSnapshot = w.options.Snapshot
		if m.Recovered != nil {
			w.inSnapshot = !*m.Recovered
		}
		w.reach(m.Seq)
	case m.Type == Gap:
		w.inSnapshot = true
	case m.Type == Live:
		w.inSnapshot = false
		w.reach(m.Seq)
	case m.Event():
		if m.Seq <= w.pos.Seq {
			if w.options.Repeated != nil {
				w.options.Repeated(m.Message)
			}
			return nil
		}
		w.reach(m.Seq)
	case m.Type != State:
		return nil // a message of a later version of the protocol
	}
	m.Resume = w.resume
	if !w.yield(m.Message, nil) {
		return errBreak
	}
	return nil
}

func (w *watcher) reach(seq uint64) {
	w.pos.Seq = seq
	if !w.inSnapshot {
		w.resume = w.pos
	}
}

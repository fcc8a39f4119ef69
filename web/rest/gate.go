package rest

import (
	"context"
	"sync"
)

// Gate admits connections and requests until the server drains.
type Gate struct {
	Closing chan struct{} // closed when the server begins to drain

	mu     sync.Mutex // protects closed
	closed bool
}

// NewGate returns an open gate.
func NewGate() *Gate { return &Gate{Closing: make(chan struct{})} }

// Enter adds one to in, or returns false if the gate is closed.
func (g *Gate) Enter(in *sync.WaitGroup) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	in.Add(1)
	return true
}

// Close closes the gate; it returns false if it was closed before.
func (g *Gate) Close() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	g.closed = true
	close(g.Closing)
	return true
}

// Draining returns a channel that is closed when the request of ctx should end because the
// server drains. It is nil for the requests of a batch job, which may go on as long as the
// job.
func (s *Base) Draining(ctx context.Context) <-chan struct{} {
	if ActingJob(ctx) != nil {
		return nil
	}
	return s.Gate.Closing
}

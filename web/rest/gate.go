package rest

import (
	"context"
	"sync"
)

// Gate lets connections and requests in until the server drains.
type Gate struct {
	Closing chan struct{} // closed when what is open should come to an end

	mu     sync.Mutex // protects closed
	closed bool
}

func NewGate() *Gate { return &Gate{Closing: make(chan struct{})} }

// Enter counts one in; false when the gate is closed.
func (g *Gate) Enter(in *sync.WaitGroup) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	in.Add(1)
	return true
}

// Close lets nobody in any more; false if it was closed before.
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

// Draining is closed when the request of ctx should come to an end. What a job asks for
// may go on as long as the job.
func (s *Base) Draining(ctx context.Context) <-chan struct{} {
	if ActingJob(ctx) != nil {
		return nil
	}
	return s.Gate.Closing
}

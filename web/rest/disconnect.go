package rest

import (
	"context"
	"net/http"
	"time"
)

// The context of a request ends when its client disconnects, and also when the client only
// closes its sending side and waits for the answer: net/http can't tell these apart. A
// request that changes something is carried out and answered in both cases.

type clientKey struct{}

// DetachFromClient returns the request with a context that does not end when the client
// disconnects; GET and HEAD, which change nothing, are returned unchanged.
func DetachFromClient(r *http.Request) *http.Request {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return r
	}
	ctx := r.Context()
	return r.WithContext(context.WithValue(context.WithoutCancel(ctx), clientKey{}, ctx))
}

// ClientContext returns the context that ends when the client disconnects or closes its
// sending side: for work that only the client needs, like waiting.
func ClientContext(ctx context.Context) context.Context {
	if client, ok := ctx.Value(clientKey{}).(context.Context); ok {
		return client
	}
	return ctx
}

// clientGrace is how long a synchronous batch continues after its client has disconnected.
const clientGrace = 30 * time.Second

// WithClientGrace returns a context that ends clientGrace after the client of ctx has
// disconnected. After the disconnect it also ends when the server stops.
func (s *Base) WithClientGrace(ctx context.Context) (context.Context, context.CancelFunc) {
	client := ClientContext(ctx)
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(client, func() {
		timer := time.NewTimer(clientGrace)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-s.Stopped.Done():
		case <-ctx.Done():
		}
		cancel()
	})
	return ctx, func() { stop(); cancel() }
}

package rest

import (
	"context"
	"net/http"
	"time"
)

// The context of a request ends when its client leaves, and also when the client only
// closes its sending side and waits for the answer: net/http can't tell these apart. A call
// that changes something is carried out and answered all the same.

type clientKey struct{}

// DetachFromClient is a request whose context does not end with its client if it is to change
// something.
func DetachFromClient(r *http.Request) *http.Request {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return r
	}
	ctx := r.Context()
	return r.WithContext(context.WithValue(context.WithoutCancel(ctx), clientKey{}, ctx))
}

// ClientContext ends when the client has left, or has closed its sending side: for what is
// done for its sake alone, like waiting.
func ClientContext(ctx context.Context) context.Context {
	if client, ok := ctx.Value(clientKey{}).(context.Context); ok {
		return client
	}
	return ctx
}

// clientGrace is how long a synchronous batch goes on after its client has left.
const clientGrace = 30 * time.Second

// WithClientGrace ends leftTime after the client of ctx has left, or when the server stops.
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

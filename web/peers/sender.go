package peers

import (
	"context"
	"net"
	"net/http"
)

// Sender is what the hub tells an upstream about where a request comes from.
type Sender struct {
	For   string // X-Forwarded-For
	Proto string // X-Forwarded-Proto
}

type senderKey struct{}

// WithSender returns the context of a request with that sender. Without it, the sender is the
// client of the connection.
func WithSender(ctx context.Context, s Sender) context.Context {
	return context.WithValue(ctx, senderKey{}, s)
}

// SenderOf returns the sender of a request.
func SenderOf(r *http.Request) Sender {
	if s, ok := r.Context().Value(senderKey{}).(Sender); ok {
		return s
	}
	s := Sender{Proto: "http"}
	s.For, _, _ = net.SplitHostPort(r.RemoteAddr)
	if r.TLS != nil {
		s.Proto = "https"
	}
	return s
}

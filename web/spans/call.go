package spans

import (
	"io"
	"net/http"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"jobhub/web/gateway"
)

// Calls makes a span of each request that next sends, which ends with the answer's body.
// The receiver gets the span's trace context.
func (t *Tracer) Calls(next http.RoundTripper) http.RoundTripper {
	if t == nil {
		return next
	}
	return &calls{t, next}
}

type calls struct {
	*Tracer
	next http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (c *calls) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, attempt := r.Context(), trace.SpanContextFromContext(r.Context())
	options := []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(serverAttributes(r)...)}
	// A call with its own trace context, which a target of a fan-out may have, stays in that trace.
	own := withParent(ctx, gateway.Trace(r.Header))
	if given := trace.SpanContextFromContext(own); given.IsValid() && given.TraceID() != attempt.TraceID() {
		ctx = own
		if attempt.IsValid() {
			options = append(options, trace.WithLinks(trace.Link{SpanContext: attempt}))
		}
	}
	ctx, span := c.tracer.Start(ctx, knownMethod(r.Method), options...)
	r = r.Clone(ctx)
	r.Header.Del("Tracestate")
	propagator.Inject(ctx, propagation.HeaderCarrier(r.Header))
	res, err := c.next.RoundTrip(r)
	if err != nil {
		endSpan(span, 0, 0) // its text may hold addresses
		return nil, err
	}
	res.Body = &body{ReadCloser: res.Body, end: func() { endSpan(span, res.StatusCode, http.StatusBadRequest) }}
	return res, nil
}

// body ends a span when it is read or closed. One goroutine uses it.
type body struct {
	io.ReadCloser
	end func()
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.finish()
	}
	return n, err
}

func (b *body) Close() error {
	b.finish()
	return b.ReadCloser.Close()
}

func (b *body) finish() {
	if b.end != nil {
		b.end()
		b.end = nil
	}
}

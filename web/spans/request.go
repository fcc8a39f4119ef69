package spans

import (
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"jobhub/web/gateway"
)

// untraced are paths without spans: probes, and connections without an end.
var untraced = []string{"/healthz", "/readyz", "/metrics", "/v1/ws", "/v1/events"}

// Requests makes a span of each request that next answers. next gets the request with the
// span's trace context in place of the caller's, and so do jobs and upstreams.
func (t *Tracer) Requests(next http.Handler) http.Handler {
	if t == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if slices.Contains(untraced, r.URL.Path) || strings.HasPrefix(r.URL.Path, "/static/") {
			next.ServeHTTP(w, r)
			return
		}
		method := knownMethod(r.Method)
		ctx, span := t.tracer.Start(withParent(r.Context(), gateway.Trace(r.Header)), method, trace.WithSpanKind(trace.SpanKindServer),
			trace.WithAttributes(semconv.HTTPRequestMethodKey.String(method), semconv.URLScheme("http")))
		r = r.WithContext(ctx)
		r.Header.Del("Tracestate")
		propagator.Inject(ctx, propagation.HeaderCarrier(r.Header))
		seen := &statusRecorder{ResponseWriter: w}
		defer func() {
			if r.Pattern != "" {
				route := r.Pattern[strings.IndexByte(r.Pattern, '/'):]
				span.SetName(method + " " + route)
				span.SetAttributes(semconv.HTTPRoute(route))
			}
			if !strings.HasPrefix(r.URL.Path, "/v1/leases/") { // the token in it is a secret of its worker
				span.SetAttributes(semconv.URLPath(strings.ToValidUTF8(r.URL.Path, "\ufffd")))
			}
			endSpan(span, seen.code, http.StatusInternalServerError)
		}()
		next.ServeHTTP(seen, r)
		if seen.code == 0 {
			seen.code = http.StatusOK
		}
	})
}

// statusRecorder records the status of an answer.
type statusRecorder struct {
	http.ResponseWriter
	code int // 0 before the answer, and after a panic
}

func (s *statusRecorder) Unwrap() http.ResponseWriter { return s.ResponseWriter }

func (s *statusRecorder) WriteHeader(code int) {
	if s.code == 0 && code >= 200 {
		s.code = code
	}
	s.ResponseWriter.WriteHeader(code)
}

func (s *statusRecorder) Write(p []byte) (int, error) {
	if s.code == 0 {
		s.code = http.StatusOK
	}
	return s.ResponseWriter.Write(p)
}

// endSpan ends the span of an HTTP exchange. code is the status, 0 if there was none; codes from
// failed on are errors.
func endSpan(span trace.Span, code, failed int) {
	switch {
	case code == 0:
		span.SetAttributes(semconv.ErrorTypeKey.String("aborted"))
		span.SetStatus(codes.Error, "")
	case code >= failed:
		span.SetAttributes(semconv.ErrorTypeKey.String(strconv.Itoa(code)))
		span.SetStatus(codes.Error, "")
	}
	if code != 0 {
		span.SetAttributes(semconv.HTTPResponseStatusCode(code))
	}
	span.End()
}

// knownMethod returns a standard method, or _OTHER, so that callers can't create an unlimited
// number of values.
func knownMethod(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return method
	}
	return "_OTHER"
}

// serverAttributes returns the attributes of the called server.
func serverAttributes(r *http.Request) []attribute.KeyValue {
	list := []attribute.KeyValue{semconv.HTTPRequestMethodKey.String(knownMethod(r.Method)), semconv.URLScheme(r.URL.Scheme), semconv.ServerAddress(r.URL.Hostname())}
	port := r.URL.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[r.URL.Scheme]
	}
	if n, err := net.LookupPort("tcp", port); err == nil {
		list = append(list, semconv.ServerPort(n))
	}
	return list
}

// Package spans sends traces of the hub to an OpenTelemetry collector, over OTLP/HTTP.
//
// What it promises:
//
//   - A request, the attempts of the jobs that it makes and the HTTP calls of these are spans of
//     one trace: the caller's, if the request has a trace context (W3C Trace Context).
//   - A nil Tracer means that tracing is off: it returns handlers unwrapped, so that it costs
//     nothing, and no goroutine runs.
//   - A collector that is slow or down costs limited memory and delays nothing; the log says how
//     many spans were lost.
//   - Spans contain no queries, headers, bodies, paths of calls or tokens.
package spans

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// Options of a Tracer. With the zero value only the environment counts.
type Options struct {
	// Endpoint is the base URL of a collector, like http://127.0.0.1:4318, to which
	// /v1/traces is added. OTEL_EXPORTER_OTLP_ENDPOINT and
	// OTEL_EXPORTER_OTLP_TRACES_ENDPOINT take precedence.
	Endpoint string
	Version  string // of the hub
	Logger   *slog.Logger
}

// Tracer makes spans and sends them.
type Tracer struct {
	provider *sdk.TracerProvider
	tracer   trace.Tracer
}

// Open returns a tracer, or nil if neither the options nor the environment name a
// collector. Other settings come from the variables of the OpenTelemetry specification, like
// OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES, OTEL_TRACES_SAMPLER and
// OTEL_EXPORTER_OTLP_HEADERS. Its error says what to correct.
func Open(ctx context.Context, o Options) (*Tracer, error) {
	log := o.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	options, err := endpoint(o.Endpoint)
	if err != nil || options == nil || disabled(log) {
		return nil, err
	}
	if protocol := cmp.Or(os.Getenv("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"), os.Getenv("OTEL_EXPORTER_OTLP_PROTOCOL")); protocol == "grpc" {
		log.Warn("traces are sent as http/protobuf; the endpoint must support that (port 4318 of most collectors)", "protocol", protocol)
	}
	exporter, err := otlptracehttp.New(ctx, options...)
	if err != nil {
		return nil, fmt.Errorf("OpenTelemetry: %w", err)
	}
	about, err := resource.New(ctx, resource.WithAttributes(semconv.ServiceName("jobhub"), semconv.ServiceVersion(o.Version)),
		resource.WithTelemetrySDK(), resource.WithFromEnv())
	if err != nil {
		log.Warn("OTEL_RESOURCE_ATTRIBUTES is partly invalid; write it like key=value,key=value", "error", err)
	}
	provider := sdk.NewTracerProvider(sdk.WithResource(about), sdk.WithBatcher(&loggingExporter{SpanExporter: exporter, log: log}))
	return &Tracer{provider: provider, tracer: provider.Tracer("jobhub")}, nil
}

// endpoint returns the options for the collector's address; nil if there is none.
func endpoint(configured string) ([]otlptracehttp.Option, error) {
	for _, name := range []string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"} {
		if text := os.Getenv(name); text != "" {
			u, err := url.Parse(text)
			if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
				return nil, fmt.Errorf("the variable %s must be a URL like http://127.0.0.1:4318", name) // not its value, which may hold a password
			}
			return []otlptracehttp.Option{}, nil // the exporter reads it itself
		}
	}
	if configured == "" {
		return nil, nil
	}
	full, err := url.JoinPath(configured, "v1/traces")
	return []otlptracehttp.Option{otlptracehttp.WithEndpointURL(full)}, err
}

// disabled reports whether the environment turns traces off.
func disabled(log *slog.Logger) bool {
	exporter := os.Getenv("OTEL_TRACES_EXPORTER")
	if exporter != "" && exporter != "otlp" && exporter != "none" {
		log.Warn("no traces are sent: OTEL_TRACES_EXPORTER must be otlp or none", "exporter", exporter)
	}
	return strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true") || exporter != "" && exporter != "otlp"
}

// flushTime is how long a hub that stops waits for its collector.
const flushTime = 2 * time.Second

// Close sends the remaining spans, for flushTime at most and until ctx ends.
func (t *Tracer) Close(ctx context.Context) error {
	if t == nil {
		return nil
	}
	soon, cancel := context.WithTimeout(ctx, flushTime)
	defer cancel()
	return t.provider.Shutdown(soon)
}

// logInterval is the least time between log lines about lost spans.
const logInterval = time.Minute

// loggingExporter is an exporter that logs its failures. It is used by one goroutine at a time.
type loggingExporter struct {
	sdk.SpanExporter
	log      *slog.Logger
	loggedAt time.Time
	lost     int // spans since then
}

func (l *loggingExporter) ExportSpans(ctx context.Context, list []sdk.ReadOnlySpan) error {
	err := l.SpanExporter.ExportSpans(ctx, list)
	if err == nil {
		return nil
	}
	l.lost += len(list)
	if ctx.Err() != nil || time.Since(l.loggedAt) >= logInterval {
		l.log.Warn("traces could not be sent; check that the collector is up", "lost_spans", l.lost, "error", withoutURL(err))
		l.loggedAt, l.lost = time.Now(), 0
	}
	return nil
}

// withoutURL returns an error without the collector's URL, which may hold a password.
func withoutURL(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}

var propagator propagation.TraceContext

// withParent returns ctx with the parent span of a trace context, in the form of jobs.Via.
func withParent(ctx context.Context, text string) context.Context {
	parent, state, _ := strings.Cut(text, " ")
	return propagator.Extract(ctx, propagation.MapCarrier{"traceparent": parent, "tracestate": state})
}

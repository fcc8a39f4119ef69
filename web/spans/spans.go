// Package spans tells an OpenTelemetry collector what the hub does, over OTLP/HTTP.
//
// What it promises:
//
//   - A request, the attempts at the jobs that came of it and the calls that those make are
//     spans of one trace, that of the caller if the request carries one (W3C Trace Context).
//   - A nil Tracer is tracing turned off: it hands back what it is to wrap, so that requests
//     and jobs cost what they cost without this package, and no goroutine runs.
//   - A collector that is slow or gone costs bounded memory and slows nobody; what could
//     not be sent is counted in the log.
//   - No query, header, body, path of a call or token is in a span.
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

// Options of a Tracer. The zero value is what the environment says.
type Options struct {
	// Endpoint is the base URL of a collector, like http://127.0.0.1:4318, to which
	// /v1/traces is added. OTEL_EXPORTER_OTLP_ENDPOINT and
	// OTEL_EXPORTER_OTLP_TRACES_ENDPOINT go before it.
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
// collector. All else comes from the variables of the OpenTelemetry specification, like
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
		log.Warn("the hub sends traces by http/protobuf only; the endpoint must speak that (port 4318 of most collectors)", "protocol", protocol)
	}
	exporter, err := otlptracehttp.New(ctx, options...)
	if err != nil {
		return nil, fmt.Errorf("OpenTelemetry: %w", err)
	}
	about, err := resource.New(ctx, resource.WithAttributes(semconv.ServiceName("jobhub"), semconv.ServiceVersion(o.Version)),
		resource.WithTelemetrySDK(), resource.WithFromEnv())
	if err != nil {
		log.Warn("OTEL_RESOURCE_ATTRIBUTES is not all in force; write it like key=value,key=value", "error", err)
	}
	provider := sdk.NewTracerProvider(sdk.WithResource(about), sdk.WithBatcher(&loggingExporter{SpanExporter: exporter, log: log}))
	return &Tracer{provider: provider, tracer: provider.Tracer("jobhub")}, nil
}

// endpoint is where to send; nothing if nowhere.
func endpoint(configured string) ([]otlptracehttp.Option, error) {
	for _, name := range []string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"} {
		if text := os.Getenv(name); text != "" {
			u, err := url.Parse(text)
			if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
				return nil, fmt.Errorf("the variable %s must be a URL like http://127.0.0.1:4318", name) // it may hold a password
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

// disabled reports whether the environment says that there shall be no traces.
func disabled(log *slog.Logger) bool {
	exporter := os.Getenv("OTEL_TRACES_EXPORTER")
	if exporter != "" && exporter != "otlp" && exporter != "none" {
		log.Warn("no traces are sent: the hub knows OTEL_TRACES_EXPORTER=otlp and none only", "exporter", exporter)
	}
	return strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true") || exporter != "" && exporter != "otlp"
}

// flushTime is how long a hub that ends waits for its collector.
const flushTime = 2 * time.Second

// Close sends what is still to be sent, for two seconds at the most and until ctx ends.
func (t *Tracer) Close(ctx context.Context) error {
	if t == nil {
		return nil
	}
	soon, cancel := context.WithTimeout(ctx, flushTime)
	defer cancel()
	return t.provider.Shutdown(soon)
}

// logInterval is how often the log hears of a collector that takes nothing.
const logInterval = time.Minute

// loggingExporter is an exporter whose failures go to the log. Its caller calls it from one
// goroutine at a time.
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

// withoutURL is an error without the collector's URL, which may hold a password.
func withoutURL(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}

var propagator propagation.TraceContext

// withParent is ctx with the span that text names, written as jobs.Via has it.
func withParent(ctx context.Context, text string) context.Context {
	parent, state, _ := strings.Cut(text, " ")
	return propagator.Extract(ctx, propagation.MapCarrier{"traceparent": parent, "tracestate": state})
}

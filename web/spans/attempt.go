package spans

import (
	"context"
	"errors"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"jobhub/jobs"
)

// Attempts makes a span of each attempt that a handler runs, in the trace of its job.
func (t *Tracer) Attempts(kind string, h jobs.Handler) jobs.Handler {
	if t == nil {
		return h
	}
	run := h.Run
	h.Run = func(ctx context.Context, r jobs.Run) (jobs.Result, error) {
		job := r.Job()
		ctx, span := t.tracer.Start(withParent(ctx, job.Trace()), "process "+job.Queue, trace.WithSpanKind(trace.SpanKindConsumer), trace.WithAttributes(
			semconv.MessagingSystemKey.String("jobhub"), semconv.MessagingOperationTypeProcess, semconv.MessagingOperationName("process"),
			semconv.MessagingDestinationName(job.Queue), semconv.MessagingMessageID(job.ID.String()),
			attribute.String("jobhub.job.kind", kind), attribute.Int("jobhub.job.attempt", job.Attempt), attribute.String("jobhub.tenant", job.Tenant)))
		returned := false
		defer func() { // also after a panic, which the engine turns into a failure
			if !returned {
				setFailed(span, jobs.Internal, "")
			}
			span.End()
		}()
		result, err := run(ctx, r)
		returned = true
		recordOutcome(span, err)
		return result, err
	}
	return h
}

// recordOutcome records how an attempt ended. A snooze or release is not an error.
func recordOutcome(span trace.Span, err error) {
	if err == nil {
		return
	}
	if failure, ok := errors.AsType[*jobs.Failure](err); ok {
		setFailed(span, failure.Problem.Code, failure.Problem.Title)
		return
	}
	if _, ok := errors.AsType[*jobs.Snoozed](err); ok {
		span.AddEvent("snoozed")
		return
	}
	switch {
	case errors.Is(err, jobs.ErrDraining):
		span.AddEvent("released")
	case errors.Is(err, jobs.ErrCancelRequested):
		span.AddEvent("cancelled")
	case errors.Is(err, jobs.ErrTimeout):
		setFailed(span, "timeout", "Timed out")
	default:
		setFailed(span, jobs.Internal, "") // the text of an unknown error may hold secrets
	}
}

// setFailed marks a span as failed.
func setFailed(span trace.Span, code jobs.Code, title string) {
	span.SetAttributes(semconv.ErrorTypeKey.String(string(code)))
	span.SetStatus(codes.Error, strings.ToValidUTF8(title, "\ufffd"))
}

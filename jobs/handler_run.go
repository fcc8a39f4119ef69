package jobs

import (
	"context"
	"time"
)

// CancelGrace is how long a running attempt may take to stop after it was asked to.
const CancelGrace = 10 * time.Second

// MaxCheckpoint is the largest checkpoint, in bytes of JSON.
const MaxCheckpoint = 64 << 10

// Run is one attempt at a job, as its handler sees it. Its methods may be called from several
// goroutines until the handler returns. Progress, Checkpoint, Output and Log are the same as
// those of the Run of a worker (package jobhub/web/client), so that one function can do the
// work in both: give it an interface with these methods.
type Run interface {
	// Job is the job as it was claimed. It must not be changed.
	Job() *Job

	// Progress reports how far the attempt is, in percent, with a message; a percent below 0
	// means unknown. Reports that come faster than commits replace one another.
	Progress(percent float64, message string)

	// Report is Progress with data of the handler's own; data that is not JSON is left out.
	Report(p Progress)

	// Checkpoint stores v, from which the next attempt can continue: it finds it in
	// Job().Checkpoint. v becomes JSON of at most 64 KiB. Only the newest is kept.
	Checkpoint(v any) error

	// Output adds bytes to an output stream of the attempt. Nothing of it is lost or reordered;
	// small pieces may be joined.
	Output(stream string, p []byte)

	// Log adds a line to the stream log.
	Log(text string)

	// Partial stores a partial result, and how far the attempt is, without delay. It is the
	// Result of the job until it ends, also for the next attempt. Calls that come faster than
	// commits replace one another.
	Partial(result Value, p Progress)

	// Finally registers a function that is called when the outcome of the attempt is stored, or
	// storing it has failed: the result is then no longer in memory.
	Finally(f func())
}

// DeliveryRun is the Run of a delivery, a job of KindWebhook.
type DeliveryRun interface {
	Run

	// Callback is where the delivery goes, with its secrets.
	Callback(ctx context.Context) (Callback, error)

	// EnableCallback stores whether the receiver wants further deliveries.
	EnableCallback(ctx context.Context, on bool) error
}

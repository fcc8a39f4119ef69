package rest

import (
	"time"

	"jobhub/jobs"
	"jobhub/jobs/engine"
)

// This file is the table of what foreign peers can have of the hub. The page /docs/limits
// shows it; TestLimits meets each bound.

// Connections.
const (
	StallLimit            = 30 * time.Second // without a byte while something is due: longer than any network is silent
	HeaderTimeout         = 10 * time.Second // for the head of a request, which fits into a few packets
	IdleTimeout           = 2 * time.Minute  // between requests of a connection, so that clients can keep some
	MaxHeader             = 32 << 10         // bytes of the head of a request: four times what browsers send
	ConnectionsPerAddress = 256              // connections of an address, unless the configuration says otherwise: a busy service needs some dozens
	WrongKeys             = 100              // wrong keys of an address at once, and one more a second: nobody mistypes so often
	CloseTimeout          = 5 * time.Second  // for the other side's part of closing a WebSocket
	HelloTimeout          = 10 * time.Second // for the credentials of a WebSocket that has shown none
	KernelBuffer          = 32 << 10         // bytes that the kernel takes for a WebSocket client that reads nothing; it would take 4 MiB
)

// Requests.
const (
	MaxBatch          = 8 << 20                 // bytes of a batch as JSON
	MaxItems          = 1000                    // requests of a batch
	MaxReport         = 4 << 20                 // bytes of one call of a worker, and of other small documents
	MaxResult         = 16 << 20                // bytes of a result as JSON, like an answer of an HTTP job
	MaxResultEnvelope = 4 << 10                 // bytes of the body that holds it
	MaxForm           = 16 << 10                // bytes of a small form
	MaxInputForm      = 3*jobs.MaxInput + 1<<10 // bytes of a form with an input, which grows by escaping
	MaxScheduleForm   = 256 << 10               // bytes of a form with a schedule: its job takes 64 KiB, which grow by escaping
	MaxBulkForm       = 64 << 10                // bytes of a form with selected jobs
	MaxSelected       = 500                     // jobs selected by hand: as many as a page can have
	MaxQueues         = engine.DefaultQueues    // queues on a page of /v1/queues: as many as a tenant has, unless the configuration says otherwise
	MaxQueueName      = 64                      // bytes
	MaxSearchText     = 256                     // bytes of a text to search for
	MaxGrantEntries   = 100                     // jobs, queues and tags of one token

	MaxProgressData = 16 << 10 // bytes of JSON with one progress
)

// Answers.
const (
	BatchConcurrency = 64       // items of a batch at work; submissions, which only wait for their commit, besides
	MaxAnswer        = 4 << 20  // bytes of the answer to an item
	MaxAnswers       = 32 << 20 // bytes of all answers to a batch

	MaxInlineParts     = 256 << 10 // bytes of the parts of a job that are read before its answer begins: what can't be read then has a status
	copyBufferSize     = 64 << 10  // bytes of an answer from the store that are in memory at a time
	MaxBufferedAnswers = 256 << 20 // bytes of answers that have to be in memory as a whole, all together

	MaxQueueSeries = 1000 // queues with figures of their own in /metrics; the others are counted together
)

// Live connections.
const (
	MaxMessage       = 256 << 10 // bytes of a client's message
	MaxFrame         = 64 << 10  // bytes gathered into one frame, unless a single object is larger
	MaxSubscriptions = 1000      // subscriptions of one connection
	MaxSnapshot      = 1000      // jobs in the snapshot of a wide subscription
)

package web

import (
	"time"

	"jobhub/jobs"
)

// This file is the table of what foreign peers can have of the hub. The page /docs/limits
// shows it; TestLimits meets each bound.

// Connections.
const (
	stallLimit   = 30 * time.Second // without a byte while something is due: longer than any network is silent
	headerTime   = 10 * time.Second // for the head of a request, which fits into a few packets
	idleTime     = 2 * time.Minute  // between requests of a connection, so that clients can keep some
	maxHeader    = 32 << 10         // bytes of the head of a request: four times what browsers send
	perAddress   = 256              // connections of an address, unless the configuration says otherwise: a busy service needs some dozens
	wrongKeys    = 100              // wrong keys of an address at once, and one more a second: nobody mistypes so often
	closedIn     = 5 * time.Second  // for the other side's part of closing a WebSocket
	helloWithin  = 10 * time.Second // for the credentials of a WebSocket that has shown none
	kernelBuffer = 32 << 10         // bytes that the kernel takes for a WebSocket client that reads nothing; it would take 4 MiB
)

// Requests.
const (
	maxBatch     = 8 << 20                 // bytes of a batch as JSON
	maxItems     = 1000                    // requests of a batch
	maxReport    = 4 << 20                 // bytes of one call of a worker, and of other small documents
	maxResult    = 16 << 20                // bytes of a result as JSON, like an answer of an HTTP job
	maxAround    = 4 << 10                 // bytes of the body that holds it
	maxForm      = 16 << 10                // bytes of a small form
	maxInputForm = 3*jobs.MaxInput + 1<<10 // bytes of a form with an input, which grows by escaping
	maxMakerForm = 256 << 10               // bytes of a form with a schedule: its job takes 64 KiB, which grow by escaping
	maxBulkForm  = 64 << 10                // bytes of a form with selected jobs
	maxPicked    = 500                     // jobs selected by hand: as many as a page can have
	maxQueues    = jobs.DefaultQueues      // queues on a page of /v1/queues: as many as a tenant has, unless the configuration says otherwise
	maxQueueName = 64                      // bytes
	maxText      = 256                     // bytes of a text to search for
	maxGranted   = 100                     // jobs, queues and tags of one token

	maxProgressData = 16 << 10 // bytes of JSON with one progress
)

// Answers.
const (
	batchAtOnce = 64       // items of a batch at work; submissions, which only wait for their commit, besides
	maxAnswer   = 4 << 20  // bytes of the answer to an item
	maxAnswers  = 32 << 20 // bytes of all answers to a batch

	payloadPiece = 64 << 10  // bytes of an answer from the store that are in memory at a time
	maxHeld      = 256 << 20 // bytes of answers that have to be in memory as a whole, all together

	maxQueueSeries = 1000 // queues with figures of their own in /metrics; the others are counted together
)

// Live connections.
const (
	maxMessage  = 256 << 10 // bytes of a client's message
	maxFrame    = 64 << 10  // bytes gathered into one frame, unless a single object is larger
	maxSubs     = 1000      // subscriptions of one connection
	maxSnapshot = 1000      // jobs in the snapshot of a wide subscription
)

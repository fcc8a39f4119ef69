package rest

import (
	"time"

	"jobhub/jobs"
	"jobhub/jobs/engine"
	"jobhub/web/auth"
)

// This file is the table of all limits for clients. The page /docs/limits shows it, and
// TestLimits tests each.

// Connections.
const (
	StallLimit            = 30 * time.Second // without progress while something is expected: longer than any network is silent
	HeaderTimeout         = 10 * time.Second // for the headers of a request, which fit into a few packets
	IdleTimeout           = 2 * time.Minute  // between requests of a connection, so that clients can reuse it
	MaxHeader             = 32 << 10         // bytes of the headers of a request: four times what browsers send
	ConnectionsPerAddress = 256              // connections of one address, unless configured otherwise: a busy service needs some dozens
	WrongKeys             = 100              // wrong keys of one address at once, and one more each second
	CloseTimeout          = 5 * time.Second  // for the peer's part of closing a WebSocket
	HelloTimeout          = 10 * time.Second // for the hello message of a WebSocket without credentials
	KernelBuffer          = 32 << 10         // bytes that the kernel buffers for a WebSocket client; its default is up to 4 MiB
)

// Requests.
const (
	MaxBatch          = 8 << 20                 // bytes of a batch as JSON
	MaxItems          = 1000                    // requests of a batch
	MaxReport         = 4 << 20                 // bytes of a worker's request, and of other small documents
	MaxResult         = 16 << 20                // bytes of a result as JSON; the same as for the response of an HTTP job
	MaxResultEnvelope = 4 << 10                 // bytes of the JSON around a result in its request
	MaxForm           = 16 << 10                // bytes of a small form
	MaxInputForm      = 3*jobs.MaxInput + 1<<10 // bytes of a form with an input, which escaping makes longer
	MaxScheduleForm   = 256 << 10               // bytes of a form with a schedule: its job takes 64 KiB, which escaping makes longer
	MaxBulkForm       = 64 << 10                // bytes of a form with selected jobs
	MaxSelected       = 500                     // jobs selected by hand: as many as a page can show
	MaxQueues         = engine.DefaultQueues    // queues on a page of /v1/queues: as many as a tenant can have by default
	MaxQueueName      = 64                      // bytes
	MaxSearchText     = 256                     // bytes of a text to search for
	MaxKeys           = auth.MaxKeys            // keys of a tenant
	MaxScopes         = auth.MaxScopes          // scopes of a key
	MaxKeysPage       = 500                     // keys on a page of /v1/keys
	DefaultKeysPage   = 50                      // keys on a page of /v1/keys, unless the request says how many
	MaxGrantEntries   = 100                     // jobs, queues and tags of one token, together

	MaxProgressData = 16 << 10 // bytes of the JSON data of one progress report
)

// The catalogue.
const (
	MaxAPIs          = 1000     // of a tenant
	MaxVersions      = 50       // of an API
	MaxVersionRoutes = 100      // of a version
	MaxOpenAPI       = 1 << 20  // bytes of an OpenAPI document
	MaxVersionBody   = 3 << 20  // bytes of the JSON of a version: its document, which may be quoted, and its routes
	MaxVersionBytes  = 64 << 20 // bytes of all versions of a tenant
	MaxAccess        = 10_000   // requests for access to the APIs of a tenant
	MaxAccessOfOne   = 200      // of these, of one caller
	MaxAPIText       = 16 << 10 // bytes of the description of an API
	MaxAPIWords      = 32       // tags of an API, and plans
	MaxChecked       = 1 << 20  // bytes of an answer that is checked against the document
)

// Answers.
const (
	BatchConcurrency = 64       // items of a batch that run at the same time; submissions, which only wait for their commit, do not count
	MaxAnswer        = 4 << 20  // bytes of the answer to an item
	MaxAnswers       = 32 << 20 // bytes of all answers to a batch

	MaxInlineParts     = 256 << 10 // bytes of a job's parts that are read before its answer begins, so that a failed read can still set the status
	MaxDecoded         = 64 << 20  // bytes of a compressed answer that is decompressed for a client; longer ones are sent compressed
	copyBufferSize     = 64 << 10  // bytes of an answer from the store that are in memory at the same time
	MaxBufferedAnswers = 256 << 20 // bytes of all answers that have to be in memory as a whole

	MaxQueueSeries = 1000 // queues with metrics of their own in /metrics; the others are added up
)

// Live connections.
const (
	MaxMessage       = 256 << 10 // bytes of a client's message
	MaxFrame         = 64 << 10  // bytes gathered into one frame, unless a single object is larger
	MaxSubscriptions = 1000      // subscriptions of one connection
	MaxSnapshot      = 1000      // jobs in the snapshot of a subscription
)

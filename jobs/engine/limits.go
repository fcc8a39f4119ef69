package engine

// Limits of what callers may ask of an engine, each with the HTTP status of the refusal.
// Whatever waits or is kept in memory for a caller has a limit.
const (
	DefaultQueues = 1000 // queues that a tenant names, unless NameLimits say otherwise: what metrics, pages and people can tell apart; 422
	DefaultKinds  = 1000 // kinds, likewise; 422

	MaxKinds       = 1000    // kinds that one worker names; 422
	MaxQueues      = 1000    // queues that one worker names; 422
	MaxSlots       = 10_000  // attempts of one worker at the same time; 422
	MaxWorkerName  = 128     // bytes of a worker's name; 422
	MaxWorkers     = 10_000  // workers of one tenant; 429
	MaxWorkerNames = 200_000 // kinds and queues that all workers of one tenant name; 429
	MaxSpareCalls  = 100     // calls of one worker that wait, more than it has slots; 429
)

package rest

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"jobhub/hub"
	"jobhub/jobs"
	"jobhub/jobs/engine"
	"jobhub/web/auth"
	"jobhub/web/peers"
)

// Base is what all rooms of the server share.
type Base struct {
	Engine *engine.Engine
	Store  jobs.Store
	Hub    *hub.Hub
	Auth   *auth.Keys // who may do what; nil for everybody everything
	Logger *slog.Logger

	Version   string
	StoreName string // what the store is, like sqlite, for people
	Origin    string // the hub's own address, like https://example.com/jobhub
	BasePath  string // the path of Origin; empty for the whole host
	WebOrigin string // Origin without the path

	StallLimit time.Duration // how long a peer may neither send nor take a byte while something is due
	Gate       *Gate
	Stopped    context.Context // ends when what is open has to end
	Stop       context.CancelFunc
	Answers    *Budget         // long answers in memory
	Failures      *peers.Failures // wrong keys and tokens

	settings atomic.Pointer[Settings]
	config   atomic.Pointer[ConfigState]
}

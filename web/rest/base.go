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
	"jobhub/web/auth/jwt"
	"jobhub/web/limit"
	"jobhub/web/peers"
	"jobhub/web/stages"
)

// Base is what the packages of the server share.
type Base struct {
	Engine *engine.Engine
	Store  jobs.Store
	Hub    *hub.Hub
	Auth   *auth.Keys // who may do what; nil lets everybody do everything
	Logger *slog.Logger

	Version   string
	StoreName string // like sqlite; shown on pages
	Origin    string // the hub's own address, like https://example.com/jobhub
	BasePath  string // the path of Origin; empty for none
	WebOrigin string // Origin without the path

	StallLimit time.Duration // how long a peer may make no progress (see package peers)
	Gate       *Gate
	Stopped    context.Context // ends when the server stops
	Stop       context.CancelFunc
	Answers    *Budget         // bytes of answers that are in memory as a whole
	Failures   *peers.Failures // wrong keys and tokens, by address
	Limiter    *limit.Limiter
	Requests   stages.Counters // by the stage at which they ended

	settings atomic.Pointer[Settings]
	issuers  atomic.Pointer[jwt.Issuers]
	config   atomic.Pointer[ConfigState]
}

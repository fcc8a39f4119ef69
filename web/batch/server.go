package batch

import (
	"net/http"

	"jobhub/web/api"
	"jobhub/web/rest"
)

// Server runs batches.
type Server struct {
	*rest.Base
	api   *api.Server
	front Front
}

// Front is the server that answers the items of batches.
type Front interface {
	// Serve answers a request.
	Serve(w http.ResponseWriter, r *http.Request)
	// MakesJob reports whether a request goes to a route and becomes a job.
	MakesJob(r *http.Request) bool
}

// New returns a Server.
func New(b *rest.Base, a *api.Server, front Front) *Server {
	return &Server{Base: b, api: a, front: front}
}

// Start has the engine run asynchronous batches, those of before a restart at once: the front
// has to be able to answer by then.
func (s *Server) Start() { s.Engine.Handle(Kind, s.handler()) }

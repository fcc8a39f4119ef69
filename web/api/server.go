package api

import "jobhub/web/rest"

// Server answers the JSON API.
type Server struct {
	*rest.Base
	workers workers
}

// New returns a Server.
func New(b *rest.Base) *Server {
	s := &Server{Base: b}
	s.workers = workers{s}
	return s
}

// workers has the handlers of the worker protocol and of the worker list.
type workers struct{ *Server }

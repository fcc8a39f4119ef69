package web

import (
	"net"
	"net/http"

	"jobhub/web/peers"
	"jobhub/web/rest"
)

// Listen returns a listener that limits the connections of the listener below, and configures
// the server that uses it. Call it once.
func (s *Server) Listen(server *http.Server, below net.Listener) net.Listener {
	server.ReadHeaderTimeout, server.IdleTimeout, server.MaxHeaderBytes = rest.HeaderTimeout, rest.IdleTimeout, rest.MaxHeader
	total, reserve := peers.ConnectionLimits(peers.MaxOpenFiles())
	s.listener = peers.Listen(below, peers.Options{Stall: s.StallLimit, Total: total, Reserve: reserve, Trusted: s.trustsAddress,
		PerAddress: func() int { return s.Settings().ConnectionsPerAddress }})
	s.live.Listener = s.listener
	s.listener.Configure(server)
	return s.listener
}

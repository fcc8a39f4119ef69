package web

import (
	"time"

	"jobhub/web/gateway"
)

// Live is what may change while the server runs.
type Live struct {
	Hosts   []string // names by which the hub may be called, besides loopback ones
	Origins []string // foreign origins whose pages may use the hub, like https://app.example.com
	Routes  []gateway.Route
}

type live struct {
	Live
	table *gateway.Table
}

// Apply replaces what may change. Requests under way end as they began.
func (s *Server) Apply(l Live) {
	old := s.live.Swap(&live{l, gateway.NewTable(l.Routes, s.fail)})
	if old != nil {
		old.table.Close()
	}
}

// ConfigState is what became of the configuration file.
type ConfigState struct {
	LoadedAt time.Time // when the one in force was read
	Err      error     // why a newer one is not in force; nil if there is none
	FailedAt time.Time // when that was read
}

// ReportConfig tells callers and the dashboard about the configuration file.
func (s *Server) ReportConfig(c ConfigState) { s.config.Store(&c) }

// ConfigError is why the newest configuration file is not in force, or nil.
func (s *Server) ConfigError() error {
	if c := s.config.Load(); c != nil {
		return c.Err
	}
	return nil
}

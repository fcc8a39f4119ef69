package pages

import (
	"jobhub/web/api"
	"jobhub/web/catalog"
	"jobhub/web/gateway"
	"jobhub/web/live"
	"jobhub/web/rest"
	"jobhub/web/view"
)

// Parts are the parts of the hub that the pages show.
type Parts struct {
	API     *api.Server
	Live    *live.Server
	Table   func() *gateway.Table // the routes in force
	Catalog *catalog.Server
}

// Server serves the dashboard.
type Server struct {
	*rest.Base
	Parts

	views   map[string]liveView
	waiting waitingKinds // kinds of jobs that wait for long
	looks   routeLooks
	late    rest.Cache[struct{}, map[string]late] // by tenant
	failing rest.Cache[string, []view.Attention]  // schedules of a tenant
	seen    rest.Cache[string, hostsSeen]         // by tenant

	jobs      jobPages
	tables    tables
	batches   batchPages
	callbacks callbackPages
	schedules schedulePages
	queues    queuePages
	routes    routePages
	catalog   catalogPages
}

// The pages of one subject each.
type (
	jobPages      struct{ *Server }
	tables        struct{ *Server }
	batchPages    struct{ *Server }
	callbackPages struct{ *Server }
	schedulePages struct{ *Server }
	queuePages    struct{ *Server }
	routePages    struct{ *Server }
	catalogPages  struct{ *Server }
)

// New returns the dashboard of a server; it also makes the hub draw the views.
func New(b *rest.Base, parts Parts) *Server {
	s := &Server{Base: b, Parts: parts}
	s.jobs, s.tables, s.batches, s.callbacks = jobPages{s}, tables{s}, batchPages{s}, callbackPages{s}
	s.schedules, s.queues, s.routes = schedulePages{s}, queuePages{s}, routePages{s}
	s.catalog = catalogPages{s}
	s.views = s.liveViews()
	b.Hub.SetRenderer(s.Render)
	return s
}

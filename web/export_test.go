package web

import (
	"context"

	"jobhub/hub"
	"jobhub/jobs"
)

// Render draws a view of the default tenant as the hub does.
func Render(s *Server, ctx context.Context, name string, last any) (hub.Rendered, error) {
	return s.render(ctx, viewName(jobs.DefaultTenant, name), last)
}

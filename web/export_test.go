package web

import (
	"context"
	"strings"

	"jobhub/hub"
	"jobhub/jobs"
	"jobhub/web/rest"
)

// Render draws a view of the default tenant as the hub does.
func Render(s *Server, ctx context.Context, name string, last any) (hub.Rendered, error) {
	page, of, _ := strings.Cut(name, ":")
	return s.pages.Render(ctx, hub.ViewKey{Tenant: jobs.DefaultTenant, Page: page, Of: of}, last)
}

// Stalled is how many connections were closed as they made no progress.
func (s *Server) Stalled() int64 { return s.listener.Stalled.Load() }

// HeldBytes is how much of the budget for long answers is taken.
func (s *Server) HeldBytes() int64 { return rest.MaxBufferedAnswers - s.Answers.Remaining() }

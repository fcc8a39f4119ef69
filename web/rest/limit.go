package rest

import (
	"context"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"jobhub/web/auth"
	"jobhub/web/limit"
	"jobhub/web/stages"
)

// Limit is the stage Limits: it decides by the limits of the caller's plan, of its key, and those
// given, and sets the headers that tell what is left. The caller calls Release of the verdict
// when the request has ended. People at the dashboard have no limits.
func (s *Base) Limit(ctx context.Context, h http.Header, from netip.Addr, who auth.Identity, more ...*limit.RuleSet) *limit.Verdict {
	subject := limit.Subject{Address: from}
	if who.Method() != "none" {
		subject.Consumer = who.Tenant + " " + who.Consumer()
	}
	sets := more
	if who.Session == "" {
		plan, limits := who.Plan, who.Limits
		if who.Key != "" && s.Auth != nil {
			plan, limits = s.Auth.LimitsOf(who) // a WebSocket knows those of when it was opened
		}
		if plan := s.Settings().Plans[plan]; plan != nil {
			sets = append(sets, plan)
		}
		if limits != nil {
			sets = append(sets, limits)
		}
	}
	if len(sets) == 0 {
		return &limit.Verdict{}
	}
	decide := s.Limiter.Decide
	if stages.Of(ctx).Explains() {
		decide = s.Limiter.Explain
	}
	verdict := decide(ctx, time.Now(), subject, sets...)
	verdict.Headers(h)
	return verdict
}

// Left says for people what is left of the limits after a verdict.
func Left(v *limit.Verdict) string {
	var texts []string
	for _, p := range v.Policies() {
		texts = append(texts, strconv.FormatInt(p.Left, 10)+" left of "+p.Text)
	}
	if len(texts) == 0 {
		return "no limits"
	}
	return strings.Join(texts, "; ")
}

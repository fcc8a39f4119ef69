package pages

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"slices"
	"time"

	"jobhub/hub"
	"jobhub/jobs"
	"jobhub/web/rest"
	"jobhub/web/view"
)

// This file is the list of batches and fan-outs; batch.go is the page of one.

// parseBatches reads the parameters of the page. With an error it also returns what it could
// read.
func parseBatches(values url.Values) (q view.BatchQuery, before uint64, err error) {
	kind := values.Get("kind")
	if kind != "" && !slices.Contains(view.BatchKinds, kind) {
		err = rest.BadParameter("kind", "takes batch or fanout")
		kind = ""
	}
	f, bad := rest.ParseFilter(values)
	if err == nil {
		err = bad
	}
	return view.BatchQuery{States: f.States, Kind: kind, Cursor: values.Get("cursor")}, f.Before, err
}

func (s batchPages) batchesPage(w http.ResponseWriter, r *http.Request) error {
	values, err := rest.ReadQuery(r, "state", "kind", "cursor")
	m, pos, status := view.Batches{Origin: s.Origin}, s.Hub.Position(), http.StatusOK
	if err == nil {
		m, pos, err = s.batches(r.Context(), rest.Tenant(r), values)
	}
	if err != nil {
		p := rest.ProblemOf(err)
		if p.Status >= 500 {
			return err
		}
		m.Problem, status = &p, p.Status
	}
	return s.Page(w, r, status, view.BatchesPage(s.Shell(r, pos), m))
}

// batches returns the newest jobs of both kinds, merged.
func (s batchPages) batches(ctx context.Context, tenant string, values url.Values) (view.Batches, jobs.Position, error) {
	m := view.Batches{Origin: s.Origin}
	q, before, err := parseBatches(values)
	m.BatchQuery = q
	pos := s.Hub.Position()
	if err != nil {
		return m, pos, err
	}
	more := false
	for _, kind := range view.BatchKinds {
		if q.Kind != "" && q.Kind != kind {
			continue
		}
		page, err := s.Store.List(ctx, jobs.Filter{Tenant: tenant, Kind: kind, States: q.States, Before: before, Limit: view.BatchesLimit})
		if err != nil {
			return m, page.Pos, err
		}
		m.Jobs, more = append(m.Jobs, page.Jobs...), more || page.Next > 0
		if pos.Seq > page.Pos.Seq || pos.Seq == 0 { // the older position: both lists are at least that new
			pos = page.Pos
		}
	}
	slices.SortFunc(m.Jobs, newestFirst)
	if len(m.Jobs) > view.BatchesLimit {
		m.Jobs, more = m.Jobs[:view.BatchesLimit], true
	}
	if more {
		m.Next = rest.FormatCursor(m.Jobs[len(m.Jobs)-1].N)
	}
	return m, pos, nil
}

func newestFirst(a, b jobs.Job) int { return cmp.Compare(b.N, a.N) }

func findBatches(_ context.Context, _, query string) error {
	values, err := url.ParseQuery(query)
	if err != nil {
		return noView("batches:" + query)
	}
	_, _, err = parseBatches(values)
	return err
}

// drawBatches reads the list again, at most a few times a second, however many events come.
func (s batchPages) drawBatches(ctx context.Context, tenant, query string, _ any) (hub.Rendered, error) {
	values, err := url.ParseQuery(query)
	if err != nil {
		return hub.Rendered{}, err
	}
	m, _, err := s.batches(ctx, tenant, values)
	if err != nil {
		return hub.Rendered{}, err
	}
	return rendered(ctx, onAll(tenant), hub.Pace{Min: time.Second / 4}, view.BatchesFragments(m))
}

package web

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/a-h/templ"

	"jobhub/hub"
	"jobhub/jobs"
	"jobhub/static"
	"jobhub/web/auth"
	"jobhub/web/view"
)

// pagePolicy is what a page may do: load the hub's own files, and nothing inline.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; " +
	"base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types jobhub"

const (
	overviewView  = "overview"
	jobViewPrefix = "job:"
	newestJobs    = 12
)

func (s *Server) overviewPage(w http.ResponseWriter, r *http.Request) {
	model, pos, err := s.overview(r.Context(), tenant(r))
	if err != nil {
		s.failPage(w, r, err)
		return
	}
	s.page(w, r, http.StatusOK, view.OverviewPage(s.shell(r, pos), model))
}

func (s *Server) jobPage(w http.ResponseWriter, r *http.Request) {
	id, err := jobID(r)
	if err != nil {
		s.failPage(w, r, err)
		return
	}
	model, pos, _, err := s.jobModel(r.Context(), tenant(r), id, nil)
	if err != nil {
		s.failPage(w, r, err)
		return
	}
	s.page(w, r, http.StatusOK, view.JobPage(s.shell(r, pos), model))
}

func (s *Server) staticFiles(w http.ResponseWriter, r *http.Request) {
	w.Header().Del("Content-Security-Policy")
	static.Handler().ServeHTTP(w, r)
}

func (s *Server) shell(r *http.Request, pos jobs.Position) view.Shell {
	shell := view.Shell{Epoch: pos.Epoch, Seq: pos.Seq, At: time.Now(), Version: s.Version, Asset: static.Path}
	if who, ok := r.Context().Value(identityKey{}).(auth.Identity); ok && who.Key != "" {
		shell.User, shell.ReadOnly = who.Name, !who.May(auth.Cancel, auth.Target{})
	}
	return shell
}

func (s *Server) failPage(w http.ResponseWriter, r *http.Request, err error) {
	p := problemOf(err)
	if p.Status >= 500 {
		s.Logger.Error("page failed", "path", r.URL.Path, "error", err)
	}
	s.page(w, r, p.Status, view.ErrorPage(s.shell(r, s.Hub.Position()), p.Status, p.Title, p.Detail))
}

func (s *Server) page(w http.ResponseWriter, r *http.Request, status int, c templ.Component) {
	var b bytes.Buffer // a page that fails half-way is an error, not half a page
	if err := c.Render(r.Context(), &b); err != nil {
		s.fail(w, r, err)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", pagePolicy)
	h.Set("Referrer-Policy", "same-origin") // with no-referrer, browsers send the pages' own forms with Origin: null
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	w.Write(b.Bytes())
}

func (s *Server) overview(ctx context.Context, tenant string) (view.Overview, jobs.Position, error) {
	now := time.Now()
	o := view.Overview{At: now, Origin: s.Origin, Throughput: series(s.Hub.Meter.Series(tenant, "", now), now)}
	newest, err := s.Store.List(ctx, jobs.Filter{Tenant: tenant, Limit: newestJobs})
	if err != nil {
		return o, newest.Pos, err
	}
	queues, _, err := s.Store.Queues(ctx, tenant)
	if err != nil {
		return o, newest.Pos, err
	}
	o.Now = newest.Jobs
	for _, q := range queues {
		buckets := s.Hub.Meter.Series(tenant, q.Name, now)
		rates := view.Rates(hub.RatesOf(buckets))
		o.Queues = append(o.Queues, view.Queue{QueueInfo: q, Paused: q.Settings.Paused != nil, Rates: &rates, Series: series(buckets, now)})
	}
	o.Attention = attention(o.Queues, now)
	return o, newest.Pos, nil
}

// series is what is known: it begins with the first bucket in which anything happened.
func series(buckets []hub.Bucket, now time.Time) view.Series {
	first := slices.IndexFunc(buckets, func(b hub.Bucket) bool { return b != hub.Bucket{} })
	buckets = buckets[max(first, 0):] // where nothing happened at all, that is known
	out := view.Series{End: now.Truncate(hub.BucketWidth).Add(hub.BucketWidth), Step: hub.BucketWidth, Buckets: make([]view.Bucket, len(buckets))}
	for i, b := range buckets {
		out.Buckets[i] = view.Bucket{Succeeded: int(b.Done), Failed: int(b.Failed)}
	}
	return out
}

// attention is what a person should look at, the most urgent first: queues where much
// fails, where nothing moves, which refuse jobs, or which somebody paused.
func attention(queues []view.Queue, now time.Time) (out []view.Attention) {
	const (
		longWait      = 30 * time.Second
		recent        = int(5 * time.Minute / hub.BucketWidth)
		few           = 3     // failures that may happen to anybody
		seldom, often = 20, 2 // one in so many jobs that ended
	)
	for _, q := range queues {
		queued, running := q.Counts[jobs.Queued], q.Counts[jobs.Running]
		var done, failed int
		for _, b := range q.Series.Buckets[max(0, len(q.Series.Buckets)-recent):] {
			done, failed = done+b.Succeeded, failed+b.Failed
		}
		add := func(level view.Level, since time.Time, detail, format string, args ...any) {
			out = append(out, view.Attention{Level: level, Text: q.Name + ": " + fmt.Sprintf(format, args...), Detail: detail, Since: since})
		}
		if ended := done + failed; failed >= few && failed*seldom >= ended {
			level := view.Warning
			if failed*often >= ended {
				level = view.Failure
			}
			add(level, time.Time{}, "in the last five minutes", "%d of %d jobs failed", failed, ended)
		}
		if pause := q.Settings.Paused; pause != nil {
			if queued > 0 {
				add(view.Notice, pause.At, pausedBy(pause), "paused, %s", wait(queued))
			}
		} else if queued > 0 && running == 0 && now.Sub(q.OldestAt) > longWait {
			add(view.Failure, time.Time{}, "No worker takes their kind, or none is free", "%s and none runs", wait(queued))
		}
		if limit := int64(q.Settings.Capacity); limit > 0 && q.Backlog() >= limit {
			add(view.Warning, time.Time{}, "New jobs are refused until some have run", "full, %d of %d", q.Backlog(), limit)
		}
	}
	slices.SortStableFunc(out, func(a, b view.Attention) int { return cmp.Compare(b.Level, a.Level) })
	return out
}

func wait(n int64) string {
	if n == 1 {
		return "1 job waits"
	}
	return fmt.Sprintf("%d jobs wait", n)
}

// pausedBy says who paused a queue, and why.
func pausedBy(p *jobs.Pause) string {
	text := "by " + cmp.Or(p.By, "a caller")
	if p.Reason != "" {
		text += ": " + p.Reason
	}
	return text
}

// history is what the log still has of a job; cut says that it had more.
func (s *Server) history(ctx context.Context, job jobs.Job) (events []*jobs.Event, cut bool, err error) {
	events, err = s.Store.Read(ctx, jobs.ReadQuery{Job: job.ID})
	if !errors.Is(err, jobs.ErrTrimmed) {
		return events, false, err
	}
	for low, high := uint64(1), job.Seq; low < high; { // the earliest seq to read from is in [low, high]
		mid := low + (high-low)/2
		kept, err := s.Store.Read(ctx, jobs.ReadQuery{Job: job.ID, After: mid})
		switch {
		case errors.Is(err, jobs.ErrTrimmed):
			low = mid + 1
		case err != nil:
			return nil, true, err
		default:
			events, high = kept, mid
		}
	}
	return events, true, nil
}

// viewName is how the hub calls a view of a tenant, which is drawn for those of that
// tenant only.
func viewName(tenant, name string) string { return tenant + " " + name }

// splitView is the opposite of viewName; a name alone is of the default tenant.
func splitView(full string) (tenant, name string) {
	if tenant, name, ok := strings.Cut(full, " "); ok {
		return tenant, name
	}
	return jobs.DefaultTenant, full
}

// findView returns an error unless a tenant has a view of that name.
func (s *Server) findView(ctx context.Context, tenant, full string) error {
	of, name := splitView(full)
	if of == tenant && name == overviewView {
		return nil
	}
	if query, ok := strings.CutPrefix(name, jobsViewPrefix); ok && of == tenant {
		_, err := s.tableOf(tenant, query)
		return err
	}
	text, ok := strings.CutPrefix(name, jobViewPrefix)
	if !ok || of != tenant {
		return jobs.NewProblem(jobs.NotFound, "Not found", "There is no view %s.", name)
	}
	id, err := parseID(text)
	if err == nil {
		_, _, err = s.Store.Job(ctx, tenant, id)
	}
	return err
}

// render is the hub's renderer: the live parts of the pages.
func (s *Server) render(ctx context.Context, full string, last any) (out hub.Rendered, err error) {
	tenant, name := splitView(full)
	if query, ok := strings.CutPrefix(name, jobsViewPrefix); ok {
		return s.renderTable(ctx, tenant, query, last)
	}
	if text, ok := strings.CutPrefix(name, jobViewPrefix); ok {
		id, err := parseID(text)
		if err != nil {
			return out, err
		}
		return s.renderJob(ctx, tenant, id, last)
	}
	model, _, err := s.overview(ctx, tenant)
	if err != nil {
		return out, err
	}
	out.Filter = hub.Filter{Tenant: tenant, All: true}
	if busy(model) {
		out.Again = hub.BucketWidth // rates and waiting times go on without events
	}
	out.Fragments, err = draw(ctx, view.OverviewFragments(model))
	return out, err
}

// draw renders the parts of a view.
func draw(ctx context.Context, parts []view.Fragment) ([]hub.Fragment, error) {
	all := make([]hub.Fragment, len(parts))
	for i, p := range parts {
		var b bytes.Buffer
		if err := p.Component.Render(ctx, &b); err != nil {
			return nil, err
		}
		all[i] = hub.Fragment{ID: p.ID, HTML: b.Bytes()}
	}
	return all, nil
}

// busy reports whether the overview changes with time alone.
func busy(o view.Overview) bool {
	for _, b := range o.Throughput.Buckets {
		if b.Succeeded+b.Failed > 0 {
			return true
		}
	}
	for _, q := range o.Queues {
		if q.Counts[jobs.Queued]+q.Counts[jobs.Running] > 0 {
			return true
		}
	}
	return false
}

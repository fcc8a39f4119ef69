package web

import (
	"bytes"
	"context"
	"errors"
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
	mostChildren  = 20
)

func (s *Server) overviewPage(w http.ResponseWriter, r *http.Request) {
	model, pos, err := s.overview(r.Context(), tenant(r))
	if err != nil {
		s.failPage(w, r, err)
		return
	}
	page := view.OverviewPage
	if r.URL.Query().Get("view") == wallView {
		page = view.WallPage
	}
	s.page(w, r, http.StatusOK, page(s.shell(r, pos), model))
}

func (s *Server) jobPage(w http.ResponseWriter, r *http.Request) {
	id, err := jobID(r)
	if err != nil {
		s.failPage(w, r, err)
		return
	}
	model, pos, err := s.jobModel(r.Context(), tenant(r), id)
	if err != nil {
		s.failPage(w, r, err)
		return
	}
	s.page(w, r, http.StatusOK, view.JobPage(s.shell(r, pos), model))
}

// cancelForm is the button of the job page, which works without scripts.
func (s *Server) cancelForm(w http.ResponseWriter, r *http.Request) {
	id, err := jobID(r)
	if err == nil {
		_, _, err = s.Engine.Cancel(r.Context(), tenant(r), id)
	}
	if err != nil {
		s.failPage(w, r, err)
		return
	}
	http.Redirect(w, r, "/jobs/"+id.String(), http.StatusSeeOther)
}

// retryForm is the button of the page of a job that has ended: it leads to the new job.
func (s *Server) retryForm(w http.ResponseWriter, r *http.Request) {
	id, err := jobID(r)
	var accepted jobs.Accepted
	if err == nil {
		accepted, err = s.Engine.Retry(r.Context(), tenant(r), id, jobs.Again{Caller: caller(r)})
	}
	if err != nil {
		s.failPage(w, r, err)
		return
	}
	http.Redirect(w, r, "/jobs/"+accepted.Job.ID.String(), http.StatusSeeOther)
}

func (s *Server) staticFiles(w http.ResponseWriter, r *http.Request) {
	w.Header().Del("Content-Security-Policy")
	static.Handler().ServeHTTP(w, r)
}

func (s *Server) shell(r *http.Request, pos jobs.Position) view.Shell {
	shell := view.Shell{Epoch: pos.Epoch, Seq: pos.Seq, At: time.Now(), Version: s.Version, Asset: static.Path}
	who, ok := r.Context().Value(identityKey{}).(auth.Identity)
	if ok && who.Key != "" {
		shell.User, shell.ReadOnly = who.Name, !who.May(auth.Cancel, auth.Target{})
	}
	if ok {
		shell.Operator, shell.Admin = who.May(auth.Operate, auth.Target{}), who.May(auth.Administer, auth.Target{})
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
		o.Queues = append(o.Queues, s.queueOf(q, now))
	}
	o.Times = s.times(tenant, now)
	if o.Attention, err = s.attention(ctx, tenant, o.Queues, now); err != nil {
		return o, newest.Pos, err
	}
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

func (s *Server) jobModel(ctx context.Context, tenant string, id jobs.ID) (view.JobModel, jobs.Position, error) {
	job, pos, err := s.Store.Job(ctx, tenant, id)
	if err != nil {
		return view.JobModel{}, pos, err
	}
	m := view.JobModel{Job: job, At: time.Now(), Origin: s.Origin}
	if m.Events, m.Cut, err = s.history(ctx, job); err != nil {
		return m, pos, err
	}
	children, err := s.Store.List(ctx, jobs.Filter{Tenant: tenant, Parent: id, Limit: mostChildren})
	m.Children, m.MoreChildren = children.Jobs, children.Next > 0
	return m, pos, err
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
	if of == tenant && (name == overviewView || s.operationView(name)) {
		return nil
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
func (s *Server) render(ctx context.Context, full string) (out hub.Rendered, err error) {
	tenant, name := splitView(full)
	out.Filter = hub.Filter{Tenant: tenant}
	var parts []view.Fragment
	if text, ok := strings.CutPrefix(name, jobViewPrefix); ok {
		id, err := parseID(text)
		if err != nil {
			return out, err
		}
		model, _, err := s.jobModel(ctx, tenant, id)
		if err != nil {
			return out, err
		}
		out.Filter.Job = id
		parts = view.JobFragments(model)
		if slices.ContainsFunc(model.Children, func(j jobs.Job) bool { return !j.State.Final() }) {
			out.Again = hub.BucketWidth // they change without an event of this job
		}
	} else if s.operationView(name) {
		out.Filter, out.Again, parts, err = s.drawOperation(ctx, tenant, name)
		if err != nil {
			return out, err
		}
	} else {
		model, _, err := s.overview(ctx, tenant)
		if err != nil {
			return out, err
		}
		out.Filter.All = true
		parts = view.OverviewFragments(model)
		if busy(model) || s.config.Load() != nil {
			out.Again = hub.BucketWidth // rates and waiting times go on without events
		}
	}
	for _, p := range parts {
		var b bytes.Buffer
		if err := p.Component.Render(ctx, &b); err != nil {
			return out, err
		}
		out.Fragments = append(out.Fragments, hub.Fragment{ID: p.ID, HTML: b.Bytes()})
	}
	return out, nil
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

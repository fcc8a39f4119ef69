package web

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/a-h/templ"

	"jobhub/hub"
	"jobhub/jobs"
	"jobhub/static"
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
	model, pos, err := s.overview(r.Context(), "http://"+r.Host)
	if err != nil {
		s.failPage(w, r, err)
		return
	}
	s.page(w, r, http.StatusOK, view.OverviewPage(s.shell(pos), model))
}

func (s *Server) jobPage(w http.ResponseWriter, r *http.Request) {
	id, err := jobID(r)
	if err != nil {
		s.failPage(w, r, err)
		return
	}
	model, pos, err := s.jobModel(r.Context(), id, "http://"+r.Host)
	if err != nil {
		s.failPage(w, r, err)
		return
	}
	s.page(w, r, http.StatusOK, view.JobPage(s.shell(pos), model))
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

func (s *Server) staticFiles(w http.ResponseWriter, r *http.Request) {
	w.Header().Del("Content-Security-Policy")
	static.Handler().ServeHTTP(w, r)
}

func (s *Server) shell(pos jobs.Position) view.Shell {
	return view.Shell{Epoch: pos.Epoch, Seq: pos.Seq, At: time.Now(), Version: s.Version, Asset: static.Path}
}

func (s *Server) failPage(w http.ResponseWriter, r *http.Request, err error) {
	p := problemOf(err)
	if p.Status >= 500 {
		s.Logger.Error("page failed", "path", r.URL.Path, "error", err)
	}
	s.page(w, r, p.Status, view.ErrorPage(s.shell(s.Hub.Position()), p.Status, p.Title, p.Detail))
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

func (s *Server) overview(ctx context.Context, origin string) (view.Overview, jobs.Position, error) {
	now := time.Now()
	o := view.Overview{At: now, Origin: origin, Throughput: series(s.Hub.Meter.Series(jobs.DefaultTenant, "", now), now)}
	newest, err := s.Store.List(ctx, jobs.Filter{Tenant: jobs.DefaultTenant, Limit: newestJobs})
	if err != nil {
		return o, newest.Pos, err
	}
	queues, _, err := s.Store.Queues(ctx, jobs.DefaultTenant)
	if err != nil {
		return o, newest.Pos, err
	}
	o.Now = newest.Jobs
	for _, q := range queues {
		buckets := s.Hub.Meter.Series(jobs.DefaultTenant, q.Name, now)
		rates := view.Rates(hub.RatesOf(buckets))
		o.Queues = append(o.Queues, view.Queue{QueueInfo: q, Rates: &rates, Series: series(buckets, now)})
	}
	o.Attention = attention(o.Queues, now)
	return o, newest.Pos, nil
}

func series(buckets []hub.Bucket, now time.Time) view.Series {
	out := view.Series{End: now.Truncate(hub.BucketWidth).Add(hub.BucketWidth), Step: hub.BucketWidth, Buckets: make([]view.Bucket, len(buckets))}
	for i, b := range buckets {
		out.Buckets[i] = view.Bucket{Succeeded: int(b.Done), Failed: int(b.Failed)}
	}
	return out
}

// attention is what a person should look at: queues where nothing moves, and queues
// where much fails.
func attention(queues []view.Queue, now time.Time) (out []view.Attention) {
	const longWait, recent = 30 * time.Second, 60 // of 5 s: five minutes
	for _, q := range queues {
		waiting, running := q.Counts[jobs.Queued], q.Counts[jobs.Running]
		var done, failed int
		for _, b := range q.Series.Buckets[len(q.Series.Buckets)-recent:] {
			done, failed = done+b.Succeeded, failed+b.Failed
		}
		if failed > 0 {
			level := view.Warning
			if failed >= done {
				level = view.Failure
			}
			out = append(out, view.Attention{Level: level, Text: fmt.Sprintf("%s: %d of %d jobs failed", q.Name, failed, failed+done), Detail: "in the last five minutes"})
		}
		if waiting > 0 && running == 0 && now.Sub(q.OldestAt) > longWait {
			out = append(out, view.Attention{Level: view.Failure, Text: fmt.Sprintf("%s: %d jobs wait and none runs", q.Name, waiting),
				Detail: "No worker takes their kind, or none is free."})
		}
	}
	return out
}

func (s *Server) jobModel(ctx context.Context, id jobs.ID, origin string) (view.JobModel, jobs.Position, error) {
	job, pos, err := s.Store.Job(ctx, jobs.DefaultTenant, id)
	if err != nil {
		return view.JobModel{}, pos, err
	}
	m := view.JobModel{Job: job, At: time.Now(), Origin: origin}
	m.Events, err = s.Store.Read(ctx, jobs.ReadQuery{Job: id})
	if errors.Is(err, jobs.ErrTrimmed) {
		m.Cut, err = true, nil
	}
	return m, pos, err
}

// findView returns an error unless there is a view of that name.
func (s *Server) findView(ctx context.Context, tenant, name string) error {
	if name == overviewView {
		return nil
	}
	text, ok := strings.CutPrefix(name, jobViewPrefix)
	if !ok {
		return jobs.NewProblem(jobs.NotFound, "Not found", "There is no view %s.", name)
	}
	id, err := parseID(text)
	if err == nil {
		_, _, err = s.Store.Job(ctx, tenant, id)
	}
	return err
}

// render is the hub's renderer: the live parts of the pages.
func (s *Server) render(ctx context.Context, name string) (out hub.Rendered, err error) {
	out.Filter = hub.Filter{Tenant: jobs.DefaultTenant}
	var parts []view.Fragment
	if text, ok := strings.CutPrefix(name, jobViewPrefix); ok {
		id, err := parseID(text)
		if err != nil {
			return out, err
		}
		model, _, err := s.jobModel(ctx, id, s.Origin)
		if err != nil {
			return out, err
		}
		out.Filter.Job = id
		parts = view.JobFragments(model)
	} else {
		model, _, err := s.overview(ctx, s.Origin)
		if err != nil {
			return out, err
		}
		out.Filter.All = true
		parts = view.OverviewFragments(model)
		if busy(model) {
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

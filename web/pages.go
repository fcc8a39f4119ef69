package web

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
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
	newestJobs = 12
	pieceOfLog = 1 << 20 // bytes of a job's events that are read at a time
)

func (s *Server) overviewPage(w http.ResponseWriter, r *http.Request) {
	reach, err := rangeOf(r.URL.Query().Get("range"))
	if err != nil {
		s.failPage(w, r, err)
		return
	}
	model, pos, err := s.overview(r.Context(), tenant(r), reach)
	if err != nil {
		s.failPage(w, r, err)
		return
	}
	page := view.OverviewPage
	if r.URL.Query().Get("view") == "wall" {
		page = view.WallPage
	}
	s.page(w, r, http.StatusOK, page(s.shell(r, pos), model))
}

func (s *Server) jobPage(w http.ResponseWriter, r *http.Request) {
	id, err := jobID(r)
	if err != nil {
		s.page(w, r, http.StatusNotFound, view.MissingPage(s.shell(r, s.Hub.Position()), r.PathValue("id"), false))
		return
	}
	upto, err := lineNumber(r.URL.Query().Get("lines"))
	var model view.JobModel
	var pos jobs.Position
	if err == nil {
		model, pos, err = s.jobModel(r.Context(), tenant(r), id, &jobMemory{way: view.Way{Upto: upto}})
		model.Upto = upto
	}
	if errors.Is(err, jobs.ErrNotFound) || errors.Is(err, jobs.ErrGone) {
		s.page(w, r, problemOf(err).Status, view.MissingPage(s.shell(r, s.Hub.Position()), id.String(), errors.Is(err, jobs.ErrGone)))
		return
	}
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
	shell := view.Shell{Epoch: pos.Epoch, Seq: pos.Seq, At: time.Now(), Version: s.Version, Store: s.Kept, Asset: static.Path}
	who, ok := r.Context().Value(identityKey{}).(auth.Identity)
	if ok && who.Key != "" {
		shell.User, shell.ReadOnly = who.Name, !who.May(auth.Cancel, auth.Target{})
	}
	if ok {
		shell.Operator, shell.Admin = who.May(auth.Operate, auth.Target{}), who.May(auth.Administer, auth.Target{}) && seesHub(who.Tenant)
	}
	return shell
}

func (s *Server) failPage(w http.ResponseWriter, r *http.Request, err error) {
	p := problemOf(err)
	if p.Status >= 500 && clientOf(r.Context()).Err() == nil {
		s.Logger.Error("page failed", "path", r.URL.Path, "error", err)
	}
	if p.Code == rateLimited {
		w.Header().Set("Retry-After", "1")
	}
	s.page(w, r, p.Status, view.ErrorPage(s.shell(r, s.Hub.Position()), p.Status, p.Title, p.Detail))
}

func (s *Server) page(w http.ResponseWriter, r *http.Request, status int, c templ.Component) {
	var b bytes.Buffer                        // a page that fails half-way is an error, not half a page
	ctx := context.WithoutCancel(r.Context()) // it ends when a body breaks off, and that is to be said
	if err := c.Render(view.WithBase(ctx, s.base), &b); err != nil {
		s.fail(w, r, err)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", pagePolicy)
	h.Set("Referrer-Policy", "same-origin") // with no-referrer, browsers send the pages' own forms with Origin: null
	h.Set("Cache-Control", "no-store")
	h.Add("Vary", "Accept-Encoding")
	content := readable(b.Bytes())
	if static.TakesGzip(r) {
		h.Set("Content-Encoding", "gzip")
		content = zipped(content)
	}
	h.Set("Content-Length", strconv.Itoa(len(content)))
	w.WriteHeader(status)
	w.Write(content)
}

// readable is HTML without what no page may hold: bytes that are not UTF-8, and zeros. Headers
// of upstreams and queries may bring both.
func readable(html []byte) []byte {
	return bytes.ReplaceAll(bytes.ToValidUTF8(html, []byte("\ufffd")), []byte{0}, []byte("\ufffd"))
}

// rangeOf is the range of a name in a query or a view.
func rangeOf(name string) (view.Range, error) {
	r, ok := view.RangeOf(name)
	if !ok {
		return r, badParameter("range", "takes 5m, 15m, 1h or 24h")
	}
	return r, nil
}

func findRange(_ context.Context, _, name string) error {
	if _, err := rangeOf(name); err != nil {
		return noView("overview:" + name)
	}
	return nil
}

// overview is the hub in one look, with charts that reach so far back.
func (s *Server) overview(ctx context.Context, tenant string, reach view.Range) (view.Overview, jobs.Position, error) {
	now := time.Now()
	o := view.Overview{Origin: s.Origin, Range: reach, Throughput: s.series(tenant, "", hub.Fine, now)}
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
	o.History, o.Times = s.charts(tenant, reach, now)
	_, o.Slots, _ = s.Engine.Handlers()
	for _, w := range s.Engine.Workers(tenant) {
		o.Slots += w.Slots
	}
	if o.NextRetry, err = s.nextRetry(ctx, tenant, o.Queues); err != nil {
		return o, newest.Pos, err
	}
	if o.Attention, err = s.attention(ctx, tenant, o.Queues, now); err != nil {
		return o, newest.Pos, err
	}
	return o, newest.Pos, nil
}

// nextRetry is when the next of the retrying jobs is due; zero where they are too many to
// look at.
func (s *Server) nextRetry(ctx context.Context, tenant string, queues []view.Queue) (next time.Time, err error) {
	n := int64(0)
	for _, q := range queues {
		n += q.Counts[jobs.Retrying]
	}
	if n == 0 || n > looked {
		return next, nil
	}
	page, err := s.Store.List(ctx, jobs.Filter{Tenant: tenant, States: []jobs.State{jobs.Retrying}, Limit: looked})
	for _, j := range page.Jobs {
		if next.IsZero() || j.ScheduledAt.Before(next) {
			next = j.ScheduledAt
		}
	}
	return next, err
}

// series is what is known of a queue, or of all of a tenant.
func (s *Server) series(tenant, queue string, r hub.Resolution, now time.Time) view.Series {
	return seriesOf(s.Hub.Meter.Series(tenant, queue, r, now), r.Width(), now)
}

// seriesOf begins with the first bucket in which anything happened.
func seriesOf(buckets []hub.Bucket, step time.Duration, now time.Time) view.Series {
	first := slices.IndexFunc(buckets, func(b hub.Bucket) bool { return b != hub.Bucket{} })
	buckets = buckets[max(first, 0):] // where nothing happened at all, that is known
	out := view.Series{End: now.Truncate(step).Add(step), Step: step, Buckets: make([]view.Bucket, len(buckets))}
	for i, b := range buckets {
		out.Buckets[i] = view.Bucket{In: int(b.In), Succeeded: int(b.Done), Failed: int(b.Failed)}
	}
	return out
}

// eachPiece gives what the log still has of a job, piece by piece; cut says that it had more.
func (s *Server) eachPiece(ctx context.Context, job jobs.ID, take func([]*jobs.Event) error) (cut bool, err error) {
	q := jobs.ReadQuery{Job: job, MaxBytes: pieceOfLog, Walk: new(jobs.Walk)}
	for {
		events, err := s.Store.Read(ctx, q)
		if err != nil || len(events) == 0 {
			return q.Walk.Trimmed, err
		}
		if err := take(events); err != nil {
			return q.Walk.Trimmed, err
		}
		q.After = events[len(events)-1].Seq
	}
}

func (s *Server) drawOverview(ctx context.Context, tenant, of string, _ any) (hub.Rendered, error) {
	reach, err := rangeOf(of)
	if err != nil {
		return hub.Rendered{}, err
	}
	model, _, err := s.overview(ctx, tenant, reach)
	if err != nil {
		return hub.Rendered{}, err
	}
	again := whileBusy(model)
	if s.config.Load() != nil { // whose file may be mended, or spoiled
		again = hub.BucketWidth
	}
	return rendered(ctx, everything(tenant), again, view.OverviewFragments(model))
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

package web

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"jobhub/hub"
	"jobhub/jobs"
	"jobhub/web/auth"
)

// jobID is the id in the path. What is not an id is the id of no job.
func jobID(r *http.Request) (jobs.ID, error) { return parseID(r.PathValue("id")) }

func parseID(text string) (jobs.ID, error) {
	id, err := uuid.Parse(text)
	if err != nil || len(text) != 36 {
		return jobs.ID{}, jobs.ErrNotFound
	}
	return id, nil
}

// getJob is GET /v1/jobs/{id}.
func (s *Server) getJob(w http.ResponseWriter, r *http.Request) {
	id, err := jobID(r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	wait, waiting, err := preferredWait(r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	w.Header().Set("Vary", "Prefer")
	job, pos, large, err := jobs.Brief(r.Context(), s.Store, tenant(r), id)
	if err == nil && waiting {
		version := job.Version
		if text := r.URL.Query().Get("version"); text != "" {
			if version, err = strconv.ParseUint(text, 10, 64); err != nil {
				s.fail(w, r, jobs.NewProblem(jobs.BadMessage, "Malformed version", "version takes the version of the job that you know, a whole number."))
				return
			}
		}
		w.Header().Set("Preference-Applied", "wait="+strconv.Itoa(int(wait.Seconds())))
		job, pos, large, err = s.await(r.Context(), job.Tenant, id, wait, func(j *jobs.Job) bool { return j.Version > version || j.State.Final() })
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	if !job.State.Final() {
		w.Header().Set("Retry-After", "1")
	}
	s.writeJob(w, r, &job, pos, large)
}

// await reads a job, in brief, until it is as wanted, or the time is over, or the hub drains, or the
// credentials of the request are no good any more: then it is as it was before.
func (s *Server) await(ctx context.Context, tenant string, id jobs.ID, most time.Duration, wanted func(*jobs.Job) bool) (jobs.Job, jobs.Position, bool, error) {
	who, _ := ctx.Value(identityKey{}).(auth.Identity)
	good, stop := s.while(context.WithoutCancel(ctx), who)
	defer stop()
	changed := s.Hub.Signal(hub.Filter{Tenant: tenant, Job: id})
	defer changed.Close()
	timer := time.NewTimer(most)
	defer timer.Stop()
	for {
		job, pos, large, err := jobs.Brief(ctx, s.Store, tenant, id)
		if err != nil || wanted(&job) {
			return job, pos, large, err
		}
		select {
		case <-changed.C:
			if good.Err() != nil {
				return job, pos, large, nil
			}
		case <-good.Done():
			return job, pos, large, nil
		case <-timer.C:
			return job, pos, large, nil
		case <-s.ending(ctx):
			return job, pos, large, nil
		case <-ctx.Done():
			return job, pos, large, ctx.Err()
		}
	}
}

func (s *Server) awaitFinal(ctx context.Context, tenant string, id jobs.ID, most time.Duration) (jobs.Job, jobs.Position, bool, error) {
	return s.await(ctx, tenant, id, most, func(j *jobs.Job) bool { return j.State.Final() })
}

// cancel is POST /v1/jobs/{id}/cancel and DELETE /v1/jobs/{id}.
func (s *Server) cancel(w http.ResponseWriter, r *http.Request) {
	id, err := jobID(r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	job, _, err := s.Engine.Cancel(r.Context(), tenant(r), id)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.writeNow(w, r, job.ID)
}

// listJobs is GET /v1/jobs. With q each call looks at a bounded number of jobs, so that a
// page may hold fewer than limit, or none, and still have a next_cursor.
func (s *Server) listJobs(w http.ResponseWriter, r *http.Request) {
	query, err := readQuery(r)
	var filter jobs.Filter
	if err == nil {
		filter, err = listFilter(query)
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	filter.Tenant = tenant(r)
	page, err := s.Store.List(r.Context(), filter)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	b := []byte(`{"jobs":[`)
	for i := range page.Jobs {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendJob(b, &page.Jobs[i], page.Pos)
	}
	b = append(b, ']')
	if page.Next > 0 {
		cursor := formatCursor(page.Next)
		b = append(b, `,"next_cursor":"`+cursor+`"`...)
		query.Set("cursor", cursor)
		w.Header().Set("Link", `</v1/jobs?`+query.Encode()+`>; rel="next"`)
	}
	b = append(b, `,"epoch":"`+page.Pos.Epoch+`","seq":`...)
	b = strconv.AppendUint(b, page.Pos.Seq, 10)
	writeJSON(w, http.StatusOK, append(b, '}'))
}

var listParameters = []string{"state", "queue", "kind", "tag", "parent", "q", "limit", "cursor"}

// formatCursor writes the place of a page, with a check: a damaged cursor must not look
// like another place.
func formatCursor(n uint64) string {
	return strconv.FormatUint(n, 36) + "." + strconv.FormatUint(n%cursorCheck, 36)
}

const cursorCheck = 1_000_003

func parseCursor(text string) (uint64, error) {
	place, _, _ := strings.Cut(text, ".")
	n, err := strconv.ParseUint(place, 36, 63)
	if err != nil || n == 0 || formatCursor(n) != text {
		return 0, errors.New("no cursor")
	}
	return n, nil
}

func listFilter(query url.Values) (f jobs.Filter, err error) {
	if err := only(query, listParameters...); err != nil {
		return f, err
	}
	for name, values := range query {
		if len(values) != 1 && name != "state" {
			return f, badParameter(name, "stands there more than once")
		}
		value := strings.Join(values, ",")
		if value == "" {
			continue
		}
		switch name {
		case "state":
			for word := range strings.SplitSeq(value, ",") {
				state, ok := jobs.ParseState(word)
				if !ok {
					return f, badParameter(name, "takes names of states, with commas between them")
				}
				if !slices.Contains(f.States, state) {
					f.States = append(f.States, state)
				}
			}
		case "queue":
			f.Queue = value
		case "kind":
			f.Kind = value
		case "tag":
			f.Tag = value
		case "parent":
			if f.Parent, err = parseID(value); err != nil {
				return f, badParameter(name, "takes the id of a job")
			}
		case "q":
			if f.Text = value; len(value) > maxText || !utf8.ValidString(value) {
				return f, badParameter(name, "takes up to 256 bytes of UTF-8")
			}
		case "limit":
			if f.Limit, err = strconv.Atoi(value); err != nil || f.Limit < 1 || f.Limit > 500 {
				return f, badParameter(name, "takes a number from 1 to 500")
			}
		case "cursor":
			if f.Before, err = parseCursor(value); err != nil {
				return f, badParameter(name, "takes the next_cursor of a page")
			}
		}
	}
	return f, nil
}

// healthz says that the process answers; readyz that it accepts jobs, and more to those who
// may measure the hub.
func (s *Server) healthz(w http.ResponseWriter, r *http.Request) {
	writeJSON(w, http.StatusOK, append(appendText([]byte(`{"status":"ok","version":`), s.Version), '}'))
}

// readyBody tells, in detail, also of a configuration file that could not be taken over: the hub
// goes on with the old one, so it is ready all the same.
func (s *Server) readyBody(detail bool) ([]byte, error) {
	type config struct {
		LoadedAt time.Time  `json:"loaded_at"`
		FailedAt *time.Time `json:"failed_at,omitzero"`
		Error    *string    `json:"error"`
	}
	var doc struct {
		Status string  `json:"status"`
		Config *config `json:"config,omitzero"`
	}
	doc.Status = "ready"
	if c := s.config.Load(); c != nil && detail {
		doc.Config = &config{LoadedAt: c.LoadedAt.UTC().Truncate(time.Millisecond)}
		if c.Err != nil {
			text, at := strings.ToValidUTF8(c.Err.Error(), "\ufffd"), c.FailedAt.UTC().Truncate(time.Millisecond)
			doc.Config.Error, doc.Config.FailedAt = &text, &at
		}
	}
	return json.Marshal(doc, jsontext.AllowInvalidUTF8(true))
}

func (s *Server) readyz(w http.ResponseWriter, r *http.Request) {
	if err := s.Engine.Err(); err != nil {
		s.fail(w, r, jobs.Unavailable("Not ready", "The hub does not accept jobs; its log says why."))
		return
	}
	select {
	case <-s.drain:
		s.fail(w, r, jobs.Unavailable("Not ready", "The hub is shutting down."))
	default:
		if !s.isCalled(r.Host) { // a page that lured a browser here learns nothing
			writeJSON(w, http.StatusOK, []byte(`{"status":"ready"}`))
			return
		}
		who, err := s.identify(r) // who shows bad credentials is told as much as who shows none
		body, err := s.readyBody(err == nil && who.May(auth.Measure, auth.Target{}))
		if err != nil {
			s.fail(w, r, err)
			return
		}
		writeJSON(w, http.StatusOK, body)
	}
}

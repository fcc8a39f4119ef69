package pages

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"jobhub/jobs"
	"jobhub/web/auth"
	"jobhub/web/rest"
	"jobhub/web/view"
)

// This file is the page of jobs: the list of the API with a form above it.

// tableQuery is what the page of jobs, its live view and its exports select.
type tableQuery struct {
	view.Query
	filter jobs.Filter
	since  time.Duration // 0 for any time
	ids    []jobs.ID     // only these, newest first
	bulk   jobs.ID
}

// parseTable reads the parameters of the page: those of the list, and its own. With an error
// it also returns what it could read, for the form.
func parseTable(tenant string, values url.Values) (q tableQuery, err error) {
	values = maps.Clone(values)
	take := func(name string) string {
		text := values.Get(name)
		values.Del(name)
		return text
	}
	q.Query = view.Query{Queue: values.Get("queue"), Kind: values.Get("kind"), Tag: values.Get("tag"), Parent: values.Get("parent"),
		Text: strings.TrimSpace(values.Get("q")), Since: take("since"), Cursor: values.Get("cursor"), IDs: take("id"), Bulk: take("bulk")}
	chosen, known := view.ParseColumns(strings.Join(values["columns"], ","))
	q.Columns = chosen
	values.Del("columns")
	for _, own := range []string{"did", "done", "skipped"} { // the result of the last bulk action, see bulkForm
		values.Del(own)
	}
	values.Set("q", q.Text)
	q.filter, err = rest.ParseFilter(values)
	q.filter.Tenant = tenant
	q.States, q.Limit = q.filter.States, q.filter.Limit
	if q.filter.Limit == 0 {
		q.filter.Limit = view.DefaultLimit
	}
	bad := func(name, detail string) {
		if err == nil {
			err = rest.BadParameter(name, detail)
		}
	}
	if !known {
		bad("columns", "takes names of columns, with commas between them")
	}
	if q.Since != "" {
		if q.since, _ = time.ParseDuration(q.Since); q.since <= 0 {
			bad("since", "takes a time like 24h")
		}
	}
	for text := range strings.SplitSeq(q.IDs, ",") {
		if q.IDs == "" {
			break
		}
		id, unknown := rest.ParseID(text)
		if q.ids = append(q.ids, id); unknown != nil || len(q.ids) > rest.MaxSelected {
			bad("id", "takes up to 500 ids of jobs, with commas between them")
			break
		}
	}
	if q.Bulk != "" {
		var unknown error
		if q.bulk, unknown = rest.ParseID(q.Bulk); unknown != nil {
			bad("bulk", "takes the id of a job")
		}
	}
	return q, err
}

func (s tables) jobsPage(w http.ResponseWriter, r *http.Request) error {
	values, err := rest.ReadQuery(r)
	if err != nil {
		return err
	}
	q, err := parseTable(rest.Tenant(r), values)
	m := view.Jobs{Query: q.Query, Origin: s.Origin}
	pos, status := s.Hub.Position(), http.StatusOK
	if err == nil {
		m.Did = didBefore(values)
		pos, err = s.fillTable(r.Context(), q, &m)
	}
	if err != nil {
		p := rest.ProblemOf(err)
		if p.Status >= 500 {
			return err
		}
		m.Problem, status = &p, p.Status
	}
	return s.Page(w, r, status, view.JobsPage(s.Shell(r, pos), m))
}

func (s tables) fillTable(ctx context.Context, q tableQuery, m *view.Jobs) (jobs.Position, error) {
	page, err := s.tablePage(ctx, q)
	if err != nil {
		return page.Pos, err
	}
	m.Jobs = page.Jobs
	if page.Next > 0 {
		m.Next = rest.FormatCursor(page.Next)
	}
	queues, _, err := s.Store.Queues(ctx, q.filter.Tenant)
	if err != nil {
		return page.Pos, err
	}
	for _, info := range queues[:min(len(queues), view.MaxSuggested)] {
		m.Queues = append(m.Queues, info.Name)
	}
	m.Counts = countsOf(q, queues)
	m.Kinds = s.kindsKnown(q.filter.Tenant, page.Jobs)
	m.Around, _ = s.around(q.filter.Tenant, queues, page.Jobs, view.Around{}, nil, time.Now())
	m.Bulk, err = s.bulkJob(ctx, q)
	return page.Pos, err
}

// kindsKnown returns the kinds of the jobs shown, of the hub's handlers and of its workers.
func (s tables) kindsKnown(tenant string, rows []jobs.Job) []string {
	all, _, _ := s.Engine.Handlers()
	for _, w := range s.Engine.Workers.List(tenant) {
		all = append(all, w.Kinds...)
	}
	for _, j := range rows {
		all = append(all, j.Kind)
	}
	slices.Sort(all)
	all = slices.Compact(all)
	return all[:min(len(all), view.MaxSuggested)]
}

// countsOf returns the numbers that the hub keeps; no jobs are counted for a page.
func countsOf(q tableQuery, queues []jobs.QueueInfo) *view.Counts {
	if !q.Counted() {
		return nil
	}
	var c view.Counts
	for _, info := range queues {
		if q.Queue == "" || info.Name == q.Queue {
			for _, state := range jobs.States {
				c[state] += info.Counts[state]
			}
		}
	}
	return &c
}

// bulkJob is the job whose progress the page shows; nil if there is none.
func (s tables) bulkJob(ctx context.Context, q tableQuery) (*jobs.Job, error) {
	if q.bulk == (jobs.ID{}) {
		return nil, nil
	}
	job, _, err := s.Store.Job(ctx, q.filter.Tenant, q.bulk)
	if errors.Is(err, jobs.ErrNotFound) || errors.Is(err, jobs.ErrGone) {
		return nil, nil
	}
	return &job, err
}

// tablePage is a page of the jobs that a query selects. Jobs are listed in the order in which
// they were accepted, so the list ends at the first job that is older than the limit of age.
func (s tables) tablePage(ctx context.Context, q tableQuery) (jobs.Page, error) {
	if len(q.ids) > 0 {
		return s.Store.List(ctx, jobs.Filter{Tenant: q.filter.Tenant, IDs: q.ids, Limit: len(q.ids)})
	}
	page, err := s.Store.List(ctx, q.filter)
	if err != nil || q.since == 0 {
		return page, err
	}
	oldest := time.Now().Add(-q.since)
	if i := slices.IndexFunc(page.Jobs, func(j jobs.Job) bool { return j.CreatedAt.Before(oldest) }); i >= 0 {
		page.Jobs, page.Next = page.Jobs[:i], 0
	}
	return page, nil
}

// mayBulk is the permission that each action needs.
var mayBulk = map[string]auth.Action{"cancel": auth.Cancel, "retry": auth.Submit}

// didBefore is the result of the action after which the page is shown.
func didBefore(values url.Values) *view.Did {
	did := view.Did{Action: values.Get("did")}
	if _, known := mayBulk[did.Action]; !known {
		return nil
	}
	var err, err2 error
	did.Done, err = strconv.ParseInt(values.Get("done"), 10, 64)
	did.Skipped, err2 = strconv.ParseInt(values.Get("skipped"), 10, 64)
	if err != nil || err2 != nil || did.Done < 0 || did.Skipped < 0 {
		return nil
	}
	return &did
}

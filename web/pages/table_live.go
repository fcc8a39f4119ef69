package pages

import (
	"context"
	"net/url"
	"slices"
	"time"

	"jobhub/hub"
	"jobhub/jobs"
	"jobhub/web/view"
)

const (
	listEvery   = time.Second     // shortest time between two reads of which jobs a table has
	searchEvery = 5 * time.Second // the same where each list is a search
	maxLeft     = 100             // jobs that are still shown after they left a table
	maxHeard    = 2000            // events that are searched for jobs of a table
)

// tableMemory is what the live view of a table keeps from one rendering to the next.
type tableMemory struct {
	listed time.Time  // when the list was last read
	at     uint64     // position up to which the rows are current
	rows   []jobs.Job // the jobs of that list, and those that have left it; newest first
	counts *view.Counts
	queues []jobs.QueueInfo
	around view.Around
	said   map[jobs.ID]float64 // progress of running jobs as last reported, in per cent
}

// renderTable renders the rows of a table, each a fragment of its own, so that only those
// that changed are sent. The list is read once a second at most; a job that has left it is
// still shown for a while, as somebody may be reading its row.
func (s tables) renderTable(ctx context.Context, tenant, query string, last any) (out hub.Rendered, err error) {
	q, err := s.tableOf(tenant, query)
	if err != nil {
		return out, err
	}
	m, _ := last.(tableMemory)
	every, pace := listEvery, onEvents
	if q.Text != "" {
		every = searchEvery
	}
	if since := time.Since(m.listed); since < every {
		pace.Max = every - since
		m.rows = slices.Clone(m.rows)
		head := s.Store.Head().Seq
		changed := s.changed(ctx, m.at, head)
		m.at, err = head, s.refresh(ctx, tenant, m.rows, changed)
	} else {
		m, err = s.listAgain(ctx, q, m)
	}
	if err != nil {
		return out, err
	}
	bulk, err := s.bulkJob(ctx, q)
	if err != nil {
		return out, err
	}
	m.around, m.said = s.around(tenant, m.queues, m.rows, m.around, m.said, time.Now())
	parts := view.JobsFragments(view.Jobs{Query: q.Query, Jobs: m.rows, Counts: m.counts, Around: m.around, Bulk: bulk})
	out, err = rendered(ctx, on(tableFilter(q)), pace, parts)
	out.Memory = m
	return out, err
}

func (s tables) findTable(_ context.Context, tenant, query string) error {
	_, err := s.tableOf(tenant, query)
	return err
}

// tableOf reads the query of a view's name.
func (s tables) tableOf(tenant, query string) (tableQuery, error) {
	values, err := url.ParseQuery(query)
	if err != nil {
		return tableQuery{}, noView("jobs:" + query)
	}
	return parseTable(tenant, values)
}

// tableFilter selects the events that change a table. It selects more than the table does:
// also jobs that leave a state, and a bulk job in another queue.
func tableFilter(q tableQuery) hub.Filter {
	f := hub.Filter{Tenant: q.filter.Tenant}
	switch {
	case q.bulk != (jobs.ID{}):
		f.All = true
	case q.Tag != "":
		f.Tag = q.Tag
	case q.Kind != "":
		f.Kind = q.Kind
	case q.Queue != "":
		f.Queue = q.Queue
	default:
		f.All = true
	}
	return f
}

func (s tables) listAgain(ctx context.Context, q tableQuery, m tableMemory) (tableMemory, error) {
	now, head := time.Now(), s.Store.Head().Seq
	page, err := s.tablePage(ctx, q)
	if err != nil {
		return m, err
	}
	left := slices.DeleteFunc(slices.Clone(m.rows), func(old jobs.Job) bool {
		return slices.ContainsFunc(page.Jobs, func(j jobs.Job) bool { return j.N == old.N })
	})
	left = left[:min(len(left), maxLeft)]
	if err := s.refresh(ctx, q.filter.Tenant, left, nil); err != nil {
		return m, err
	}
	queues, _, err := s.Store.Queues(ctx, q.filter.Tenant)
	if err != nil {
		return m, err
	}
	rows := append(page.Jobs, left...)
	slices.SortFunc(rows, newestFirst)
	return tableMemory{now, head, rows, countsOf(q, queues), queues, m.around, m.said}, nil
}

// around is what the rows show besides their jobs. The end of a job is estimated again only
// after new progress, so that its row does not change without.
func (s tables) around(tenant string, queues []jobs.QueueInfo, rows []jobs.Job, last view.Around, said map[jobs.ID]float64, now time.Time) (view.Around, map[jobs.ID]float64) {
	a := view.Around{Paused: map[string]bool{}, Workers: map[jobs.ID]string{}, Ends: map[jobs.ID]time.Time{}}
	says := map[jobs.ID]float64{}
	for _, q := range queues {
		if q.Settings.Paused != nil {
			a.Paused[q.Name] = true
		}
	}
	running := map[jobs.ID]bool{}
	for i := range rows {
		j := &rows[i]
		if j.State != jobs.Running {
			continue
		}
		running[j.ID] = true
		if j.Progress == nil || j.Progress.Percent == nil {
			continue
		}
		p := *j.Progress.Percent
		says[j.ID] = p
		if before, known := said[j.ID]; known && before == p {
			a.Ends[j.ID] = last.Ends[j.ID]
		} else {
			a.Ends[j.ID] = view.EndOf(j.StartedAt, now, p)
		}
	}
	if len(running) > 0 {
		for _, w := range s.Engine.Workers.List(tenant) {
			for _, id := range w.Running {
				if running[id] {
					a.Workers[id] = w.Name
				}
			}
		}
	}
	return a, says
}

// changed returns the jobs with events in (after, head]; nil if that is not known.
func (s tables) changed(ctx context.Context, after, head uint64) map[jobs.ID]bool {
	ids := map[jobs.ID]bool{}
	for heard := 0; after < head; {
		events, err := s.Store.Read(ctx, jobs.ReadQuery{After: after})
		if heard += len(events); err != nil || len(events) == 0 || heard > maxHeard {
			return nil
		}
		for _, e := range events {
			ids[e.Job], after = true, e.Seq
		}
	}
	return ids
}

// refresh reads the unfinished jobs of rows again, without their payloads: those in changed,
// or all if changed is nil. A job that no longer exists stays as it was.
func (s tables) refresh(ctx context.Context, tenant string, rows []jobs.Job, changed map[jobs.ID]bool) error {
	var ids []jobs.ID
	for i := range rows {
		if !rows[i].State.Final() && (changed == nil || changed[rows[i].ID]) {
			ids = append(ids, rows[i].ID)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	page, err := s.Store.List(ctx, jobs.Filter{Tenant: tenant, IDs: ids, Limit: len(ids)})
	for _, fresh := range page.Jobs {
		if i := slices.IndexFunc(rows, func(j jobs.Job) bool { return j.N == fresh.N }); i >= 0 {
			rows[i] = fresh
		}
	}
	return err
}

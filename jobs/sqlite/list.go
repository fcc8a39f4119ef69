package sqlite

import (
	"cmp"
	"context"
	"encoding/hex"
	"math"
	"slices"
	"strconv"
	"strings"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"jobhub/jobs"
)

// maxDamagedJobs is how many damaged jobs a list skips before it fails.
const maxDamagedJobs = 10_000

// runQuery adds up to limit+1 jobs of a query to a page, with numbers from low to high.
// Damaged jobs are left out and logged.
func (s *Store) runQuery(conn *sqlite.Conn, p listQuery, page *jobs.Page, low, high int64, limit int) error {
	sql := "SELECT " + jobColumns + " FROM " + p.from + " WHERE " + strings.Join(append(p.where, "jobs.n<=?", "jobs.n>=?"), " AND ") + " ORDER BY jobs.n DESC LIMIT ?+0"
	left := limit + 1
	return s.passDamage(low, high, func(low, high int64) (int64, error) {
		if left == 0 {
			return low, nil
		}
		lowest := high + 1
		err := sqlitex.Execute(conn, sql, &sqlitex.ExecOptions{Args: append(p.args[:len(p.args):len(p.args)], high, low, left), ResultFunc: func(st *sqlite.Stmt) error {
			job, _, err := scanJob(s.queueCache, st, 0)
			if err == nil {
				page.Jobs = append(page.Jobs, job)
				lowest, left = int64(job.N), left-1
			}
			return err
		}})
		return lowest, err
	})
}

// passDamage reads jobs with numbers from low to high, newest first. read returns the lowest
// number that it has read. If it meets damage, the rest is read in ever smaller halves, so
// that only damaged jobs are left out.
func (s *Store) passDamage(low, high int64, read func(low, high int64) (lowest int64, err error)) error {
	gaps := 0
	var between func(low, high int64) error
	between = func(low, high int64) error {
		if low > high {
			return nil
		}
		lowest, err := read(low, high)
		if !isDamage(err) {
			return err
		}
		high = lowest - 1
		if low == high {
			s.damaged(err, "job %d, which lists leave out", low)
			if gaps++; gaps > maxDamagedJobs {
				return err
			}
			return nil
		}
		middle := low + (high-low+1)/2
		if err := between(middle, high); err != nil {
			return err
		}
		return between(low, middle-1)
	}
	head, _ := s.tail.Position()
	lowest, err := read(low, high)
	if !isDamage(err) {
		return err
	}
	return between(low, min(lowest-1, int64(head)))
}

// List implements jobs.Store. Each queue and state is a run of the index in the order
// of acceptance; the newest of them all are the page.
func (s *Store) List(ctx context.Context, f jobs.Filter) (page jobs.Page, err error) {
	limit := f.Limit
	if limit <= 0 {
		limit = 50
	}
	before := int64(math.MaxInt64)
	if f.Before > 0 && f.Before < math.MaxInt64 {
		before = int64(f.Before)
	}
	switch {
	case f.Retained:
		return s.earliestRetained(ctx)
	case !f.Due.IsZero():
		return s.listDue(ctx, f)
	case f.Text != "":
		return s.search(ctx, f, before, limit)
	}
	page.Pos, err = s.snapshot(ctx, func(conn *sqlite.Conn) error {
		floor := int64(0) // older jobs are not on the page
		for _, part := range s.queriesOf(f) {
			if err := s.runQuery(conn, part, &page, floor+1, before-1, limit); err != nil {
				return err
			}
			if len(page.Jobs) > limit {
				newestFirst(page.Jobs)
				page.Jobs = page.Jobs[:limit+1]
				floor = int64(page.Jobs[limit].N)
			}
		}
		return nil
	})
	err = s.damaged(err, "a list of jobs")
	newestFirst(page.Jobs)
	if len(page.Jobs) > limit {
		page.Jobs = page.Jobs[:limit]
		page.Next = page.Jobs[limit-1].N
	}
	return page, err
}

func newestFirst(list []jobs.Job) {
	slices.SortFunc(list, func(a, b jobs.Job) int { return cmp.Compare(b.N, a.N) })
}

// listQuery is one of the queries that make up a list; each job is in at most one of them.
type listQuery struct {
	from  string
	where []string
	args  []any
}

func (s *Store) queriesOf(f jobs.Filter) (parts []listQuery) {
	base := listQuery{from: "jobs"}
	and := func(p listQuery, where string, args ...any) listQuery {
		return listQuery{p.from, append(slices.Clone(p.where), where), append(slices.Clone(p.args), args...)}
	}
	if f.Kind != "" {
		base = and(base, "kind=+?", f.Kind)
	}
	if f.Parent != (jobs.ID{}) {
		base = and(base, "parent=+?", f.Parent[:])
	}
	if f.DependsOn != (jobs.ID{}) {
		base = and(base, "jobs.n IN (SELECT child FROM waits WHERE parent=(SELECT n FROM jobs WHERE id=?))", f.DependsOn[:])
	}
	if f.DependencyOf != (jobs.ID{}) {
		base = and(base, "jobs.n IN (SELECT parent FROM waits WHERE child=(SELECT n FROM jobs WHERE id=?))", f.DependencyOf[:])
	}
	switch {
	case len(f.IDs) > 0:
		base.from = "(SELECT DISTINCT unhex(value) AS wanted FROM json_each(?)) CROSS JOIN jobs ON jobs.id=wanted"
		base.args = append([]any{hexList(f.IDs)}, base.args...) // its parameter comes before those of the conditions
		if f.Tag != "" {
			base.from += " CROSS JOIN tags USING (n)"
		}
	case f.Tag != "":
		base.from = "tags CROSS JOIN jobs USING (n)"
	}
	if f.Tag != "" {
		base = and(base, "tag=+?", f.Tag)
	}
	queues, all := s.queueCache.selected(f)
	if len(f.IDs) == 0 && f.Text == "" && f.Tag == "" && f.Parent == (jobs.ID{}) && f.DependsOn == (jobs.ID{}) && f.DependencyOf == (jobs.ID{}) && (!all || len(f.States) > 0) {
		states := f.States
		if len(states) == 0 {
			states = jobs.States
		}
		for _, q := range queues {
			for _, state := range states {
				parts = append(parts, and(base, "q=+? AND state="+stateLiteral(state), q))
			}
		}
		return parts
	}
	if !all {
		ids := []byte{'['} // one text, so that the statement is the same for any number
		for _, q := range queues {
			ids = append(strconv.AppendInt(ids, q, 10), ',')
		}
		base = and(base, "+q IN (SELECT value FROM json_each(?))", string(append(ids, '0', ']')))
	}
	if len(f.States) > 0 {
		states := make([]any, len(f.States))
		for i, state := range f.States {
			states[i] = int(state)
		}
		base = and(base, "+state IN (0"+strings.Repeat(",?", len(states))+")", states...)
	}
	return []listQuery{base}
}

// hexList is ids as one text, so that the statement is the same for any number of them.
func hexList(ids []jobs.ID) string {
	list := []byte{'['}
	for i, id := range ids {
		if i > 0 {
			list = append(list, ',')
		}
		list = append(hex.AppendEncode(append(list, '"'), id[:]), '"')
	}
	return string(append(list, ']'))
}

// A parameter that SQLite could compare with the condition of a partial index, or that is a
// limit, makes SQLite prepare the statement again for each value, at ten times the cost of
// running it. As +? or ?+0 it does not. States are written out, so that SQLite can choose the
// index of a state.

// stateLiteral is a state as it is written in a statement.
func stateLiteral(s jobs.State) string { return strconv.Itoa(int(s)) }

// earliestRetained finds the earliest RetainedUntil.
func (s *Store) earliestRetained(ctx context.Context) (page jobs.Page, err error) {
	page.Pos, err = s.snapshot(ctx, func(conn *sqlite.Conn) error {
		return sqlitex.Execute(conn, "SELECT min(retained) FROM jobs WHERE retained IS NOT NULL", &sqlitex.ExecOptions{ResultFunc: func(st *sqlite.Stmt) error {
			page.Wake = (&row{st, -1}).time()
			return nil
		}})
	})
	return page, err
}

package sqlite

import (
	"bytes"
	"context"
	"strings"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"jobhub/jobs"
)

const (
	searchTime = 100 * time.Millisecond // after which a search ends its page
	searchSpan = 2_000                  // numbers of jobs (N) that one query of it covers
)

// search is List with a text: it reads job by job, newest first, until the page is full or a
// limit is reached. Only one search runs at a time, so that the other connections stay free.
func (s *Store) search(ctx context.Context, f jobs.Filter, before int64, limit int) (page jobs.Page, err error) {
	select {
	case s.searching <- struct{}{}:
		defer func() { <-s.searching }()
	case <-ctx.Done():
		return page, context.Cause(ctx)
	}
	p := s.queriesOf(f)[0]
	span := "SELECT " + jobColumns + " FROM " + p.from + " WHERE " + strings.Join(append(p.where, "jobs.n<=?", "jobs.n>=?"), " AND ") + " ORDER BY jobs.n DESC"
	text := fold(f.Text)
	end := time.Now().Add(searchTime)
	page.Pos, err = s.snapshot(ctx, func(conn *sqlite.Conn) error {
		newest := conn.Prep("SELECT max(n) FROM jobs WHERE n<?")
		looked := 0
		over := func() bool {
			return len(page.Jobs) > limit || looked >= jobs.MaxSearched || page.Next > 0 && !time.Now().Before(end)
		}
		for !over() {
			newest.BindInt64(1, before)
			n, err := sqlitex.ResultInt64(newest)
			if isDamage(err) {
				head, _ := s.tail.Position()
				n, err = min(before-1, int64(head)), nil
			}
			if err != nil {
				return err
			}
			if n == 0 {
				page.Next = 0
				return nil
			}
			low, cut := max(n-searchSpan+1, 1), false
			err = s.passDamage(low, before-1, func(low, high int64) (int64, error) {
				if cut {
					return low, nil
				}
				lowest := high + 1
				err := sqlitex.ExecuteTransient(conn, span, &sqlitex.ExecOptions{Args: append(p.args[:len(p.args):len(p.args)], high, low), ResultFunc: func(st *sqlite.Stmt) error {
					if cut = cut || over(); cut {
						return nil
					}
					job, far, err := scanJob(s.queueCache, st, 0)
					if err != nil {
						return err
					}
					listed := job
					if err := loadPayloads(conn, &job, far); err != nil {
						return err
					}
					looked++
					lowest, page.Next = int64(job.N), job.N
					if holds(&job, text) {
						page.Jobs = append(page.Jobs, listed)
					}
					return nil
				}})
				return lowest, err
			})
			if err != nil {
				return err
			}
			if len(page.Jobs) > limit {
				page.Jobs = page.Jobs[:limit]
				page.Next = page.Jobs[limit-1].N
				return nil
			}
			if !cut {
				before, page.Next = low, uint64(low)
			}
		}
		return nil
	})
	return page, s.damaged(err, "a search")
}

// holds reports whether a job contains a text, which is folded.
func holds(j *jobs.Job, text []byte) bool {
	in := func(b []byte) bool { return len(b) >= len(text) && bytes.Contains(fold(b), text) }
	if in(j.Input) || in([]byte(j.Kind)) || in([]byte(j.ID.String())) {
		return true
	}
	for _, tag := range j.Tags {
		if in([]byte(tag)) {
			return true
		}
	}
	return j.Error != nil && (in([]byte(j.Error.Title)) || in([]byte(j.Error.Detail)))
}

// fold makes texts equal that differ only in case.
func fold[T ~string | ~[]byte](text T) []byte { return bytes.ToLower([]byte(text)) }

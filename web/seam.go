package web

import (
	"context"
	"errors"
	"slices"
	"strings"

	"jobhub/jobs"
)

// The pages need two things of the engine that are made elsewhere: a search for text, and
// actions on all jobs that match. This file is the only place that knows how they are done
// until then, and its three functions are where to connect them: search becomes
// jobs.Filter.Text, countMatching Engine.Count, and startMatching the submission of a bulk job.

// maxSearched is how many jobs one search looks at.
const maxSearched = 10_000

// search lists jobs, with a text only those that hold it. Then it looks at a bounded
// number, so that a page may hold fewer than the limit and still have a Next.
func (s *Server) search(ctx context.Context, f jobs.Filter, text string) (page jobs.Page, err error) {
	if text == "" {
		return s.Store.List(ctx, f)
	}
	limit := f.Limit
	if limit <= 0 {
		limit = 50
	}
	text = strings.ToLower(text)
	f.Limit = 500
	for looked := 0; looked < maxSearched; looked += f.Limit {
		part, err := s.Store.List(ctx, f)
		if err != nil {
			return page, err
		}
		page.Pos, page.Next, f.Before = part.Pos, part.Next, part.Next
		for i := range part.Jobs {
			if !holds(&part.Jobs[i], text) {
				continue
			}
			if page.Jobs = append(page.Jobs, part.Jobs[i]); len(page.Jobs) == limit {
				if i < len(part.Jobs)-1 || part.Next > 0 {
					page.Next = part.Jobs[i].N
				}
				return page, nil
			}
		}
		if part.Next == 0 {
			break
		}
	}
	return page, nil
}

func holds(j *jobs.Job, text string) bool {
	in := func(s string) bool { return strings.Contains(strings.ToLower(s), text) }
	return in(j.ID.String()) || in(j.Kind) || slices.ContainsFunc(j.Tags, in) || in(string(j.Input)) || j.Error != nil && (in(j.Error.Title) || in(j.Error.Detail))
}

// concerned are the states in which a job can be told to cancel or retry, of those asked
// for; without any asked for, a retry is of what did not succeed.
func concerned(action string, asked []jobs.State) []jobs.State {
	states := []jobs.State{jobs.Scheduled, jobs.Queued, jobs.Running, jobs.Retrying, jobs.Waiting}
	if action == "retry" {
		if states = []jobs.State{jobs.Failed, jobs.Cancelled}; len(asked) > 0 {
			states = []jobs.State{jobs.Succeeded, jobs.Failed, jobs.Cancelled}
		}
	}
	if len(asked) == 0 {
		return states
	}
	return slices.DeleteFunc(states, func(state jobs.State) bool { return !slices.Contains(asked, state) })
}

// countMatching is the dry run: how many jobs an action on all that match would concern now.
func (s *Server) countMatching(ctx context.Context, action string, q tableQuery) (n int64, err error) {
	err = s.eachMatching(ctx, action, q, func(jobs.ID) error { n++; return nil })
	return n, err
}

// startMatching does an action on all that match. It returns the bulk job that does it, if
// it is not done yet.
func (s *Server) startMatching(ctx context.Context, action string, q tableQuery) (bulk jobs.ID, done, skipped int64, err error) {
	err = s.eachMatching(ctx, action, q, func(id jobs.ID) error {
		ok, err := s.act(ctx, action, q.filter.Tenant, id)
		if ok {
			done++
		} else {
			skipped++
		}
		return err
	})
	return bulk, done, skipped, err
}

func (s *Server) eachMatching(ctx context.Context, action string, q tableQuery, do func(jobs.ID) error) error {
	f := q.filter
	if f.States = concerned(action, f.States); len(f.States) == 0 {
		return nil
	}
	f.Before, f.Limit = s.Store.Head().Seq+1, 500
	for f.Before > 0 {
		page, err := s.search(ctx, f, q.Text)
		if err != nil {
			return err
		}
		for i := range page.Jobs {
			if err := do(page.Jobs[i].ID); err != nil {
				return err
			}
		}
		f.Before = page.Next
	}
	return nil
}

// act cancels or retries one job; false if its state, or the job itself, is not for that.
func (s *Server) act(ctx context.Context, action, tenant string, id jobs.ID) (bool, error) {
	var err error
	if action == "cancel" {
		var job jobs.Job
		if job, _, err = s.Engine.Cancel(ctx, tenant, id); err == nil {
			return job.State == jobs.Cancelled || job.CancelRequested, nil
		}
	} else if _, err = s.Engine.Retry(ctx, tenant, id, nil, nil); err == nil {
		return true, nil
	}
	if p, ok := errors.AsType[*jobs.Problem](err); ok && problemOf(p).Status < 500 {
		return false, nil
	}
	return false, err
}

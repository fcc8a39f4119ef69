package pages

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"jobhub/hub"
	"jobhub/jobs"
	"jobhub/web/batch"
	"jobhub/web/rest"
	"jobhub/web/view"
)

// This file is the page of one batch or fan-out, and its live view; batch_items.go makes
// its model from the job.

const maxMembers = rest.MaxItems // jobs of a batch that are read

// batchPlace reads which part of the batch a page's query, or a live view's name, selects.
func batchPlace(values url.Values) (p view.BatchPlace, err error) {
	if err := rest.CheckParameters(values, "item", "show", "from"); err != nil {
		return p, err
	}
	for name := range values {
		value := values.Get(name)
		if value == "" {
			continue
		}
		n, wrong := strconv.Atoi(value)
		switch name {
		case "item":
			if wrong != nil || n < 1 || n > rest.MaxItems {
				return p, rest.BadParameter(name, "takes the number of a request, from 1")
			}
			p.Item = strconv.Itoa(n)
		case "from":
			if wrong != nil || n < 0 || n > rest.MaxItems {
				return p, rest.BadParameter(name, "takes how many requests come before, up to 1000")
			}
			p.From = n
		case "show":
			if !slices.Contains(view.Shows, value) {
				return p, rest.BadParameter(name, "takes failed or open")
			}
			p.Show = value
		}
	}
	return p, nil
}

// batchOf reads the name of a live view: an id, and perhaps a query.
func batchOf(of string) (id jobs.ID, p view.BatchPlace, err error) {
	text, query, _ := strings.Cut(of, "?")
	if id, err = rest.ParseID(text); err != nil {
		return id, p, err
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return id, p, noView("batch:" + of)
	}
	p, err = batchPlace(values)
	return id, p, err
}

func (s batchPages) batchPage(w http.ResponseWriter, r *http.Request) error {
	id, err := rest.JobID(r)
	var values url.Values
	if err == nil {
		values, err = rest.ReadQuery(r)
	}
	var p view.BatchPlace
	if err == nil {
		p, err = batchPlace(values)
	}
	if err != nil {
		return err
	}
	m, pos, err := s.batchModel(r.Context(), rest.Tenant(r), id, p, &batchMemory{})
	if err != nil {
		return err
	}
	return s.Page(w, r, http.StatusOK, view.BatchPage(s.Shell(r, pos), m))
}

// batchMemory is what the live view of a batch keeps from one rendering to the next: its
// requests, which never change, and its jobs that have ended.
type batchMemory struct {
	id    jobs.ID
	parts *batch.Contents
	ended map[jobs.ID]jobs.Job
}

func (s batchPages) findBatch(ctx context.Context, tenant, of string) error {
	id, _, err := batchOf(of)
	if err == nil {
		var job jobs.Job
		if job, _, err = s.Store.Job(ctx, tenant, id); err == nil {
			err = isOfMany(job)
		}
	}
	return err
}

// isOfMany returns an error for a job that is neither a batch nor a fan-out.
func isOfMany(job jobs.Job) error {
	if !slices.Contains(view.BatchKinds, job.Kind) {
		return jobs.NewProblem(jobs.NotFound, "No batch", "The job %s is of kind %s, and neither a batch nor a fan-out. Its page is /jobs/%s.", job.ID, job.Kind, job.ID)
	}
	return nil
}

// drawBatch renders the live parts of the page of a batch. The jobs that its requests
// submitted have events of their own, so until they have ended the view follows all events.
func (s batchPages) drawBatch(ctx context.Context, tenant, of string, last any) (hub.Rendered, error) {
	id, p, err := batchOf(of)
	if err != nil {
		return hub.Rendered{}, err
	}
	memory, _ := last.(*batchMemory)
	if memory == nil {
		memory = &batchMemory{}
	}
	m, _, err := s.batchModel(ctx, tenant, id, p, memory)
	if err != nil {
		return hub.Rendered{}, err
	}
	filter, pace := hub.Filter{Tenant: tenant, Job: id}, onEvents
	open := !m.Job.State.Final()
	for i := range m.Items {
		if it := &m.Items[i]; it.Parted && !it.State.Final() {
			filter, open = everything(tenant), true
			break
		}
	}
	if open {
		pace = everySecond // the times of running requests
	}
	out, err := rendered(ctx, on(filter), pace, view.BatchFragments(m))
	out.Memory = memory
	return out, err
}

// batchModel reads a batch or a fan-out.
func (s batchPages) batchModel(ctx context.Context, tenant string, id jobs.ID, p view.BatchPlace, memory *batchMemory) (view.Batch, jobs.Position, error) {
	job, pos, err := s.Store.Job(ctx, tenant, id)
	if err == nil {
		err = isOfMany(job)
	}
	if err != nil {
		return view.Batch{}, pos, err
	}
	if memory.parts == nil || memory.id != id {
		if memory.parts, err = batch.ReadContents(&job); err != nil {
			return view.Batch{}, pos, err
		}
		memory.id, memory.ended = id, map[jobs.ID]jobs.Job{}
	}
	m := view.Batch{BatchPlace: p, Job: job, At: time.Now(), Origin: s.Origin, Policy: memory.parts.Policy, Items: slices.Clone(memory.parts.Items)}
	whole := -1
	if n, _ := strconv.Atoi(p.Item); n > 0 && n <= len(m.Items) {
		whole = n - 1
		m.Whole = &view.WholeItem{N: whole, Request: memory.parts.Requests[whole]}
	}
	memory.parts.FillAnswers(&job, m.Items, m.Whole)
	m.Job.Input, m.Job.Result = nil, nil
	return m, pos, s.members(ctx, tenant, id, m.Items, memory)
}

// members gives each item that submitted a job the state of that job. Jobs that have ended
// are read once.
func (s batchPages) members(ctx context.Context, tenant string, id jobs.ID, items []view.Item, memory *batchMemory) error {
	open := false
	for i := range items {
		if items[i].Job != (jobs.ID{}) {
			if _, over := memory.ended[items[i].Job]; !over {
				open = true
			}
		}
	}
	now := map[jobs.ID]jobs.Job{}
	if open {
		page, err := s.Store.List(ctx, jobs.Filter{Tenant: tenant, Parent: id, Limit: maxMembers})
		if err != nil {
			return err
		}
		for _, j := range page.Jobs {
			j.Input, j.Result, j.Response, j.Progress = nil, nil, nil, nil
			if now[j.ID] = j; j.State.Final() {
				memory.ended[j.ID] = j
			}
		}
	}
	for i := range items {
		it := &items[i]
		j, known := now[it.Job]
		if !known {
			if j, known = memory.ended[it.Job]; !known {
				continue // it submitted no job, or the job is past its retention
			}
		}
		it.State, it.Parted, it.Attempts = j.State, true, j.Attempt
		it.From, it.To = j.StartedAt, j.FinishedAt
		if it.Took = -1; !it.From.IsZero() && !it.To.IsZero() {
			it.Took = it.To.Sub(it.From)
		}
		if j.State == jobs.Failed && j.Error != nil {
			it.Problem = batch.ProblemText(j.Error.Title, j.Error.Detail)
		}
	}
	return nil
}

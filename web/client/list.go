package client

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// ListOptions selects jobs. The zero value selects all of them.
type ListOptions struct {
	States []string
	Queue  string
	Kind   string
	Tag    string
	Parent string // id of the job whose deliveries to list, or of the batch whose jobs to list
	Text   string // found in their input, result or error
	Limit  int    // of a page; 50 if 0, at most 500
	Cursor string // Page.NextCursor of the page before
}

// filter returns the members of o that select jobs, by their names in the API.
func (o *ListOptions) filter() map[string]string {
	all := map[string]string{"state": strings.Join(o.States, ","), "queue": o.Queue, "kind": o.Kind, "tag": o.Tag, "parent": o.Parent, "q": o.Text}
	for name, value := range all {
		if value == "" {
			delete(all, name)
		}
	}
	return all
}

// Page is one page of a list, newest jobs first. Inputs and results over 1 KiB are left out.
type Page struct {
	Jobs       []Job  `json:"jobs"`
	NextCursor string `json:"next_cursor"` // empty on the last page
	Epoch      string `json:"epoch"`
	Seq        uint64 `json:"seq"`
}

// Jobs returns one page of the jobs selected. With Text a page may hold fewer than Limit,
// or none, and not be the last.
func (c *Client) Jobs(ctx context.Context, o ListOptions) (p Page, err error) {
	query := url.Values{}
	for name, value := range o.filter() {
		query.Set(name, value)
	}
	if o.Limit > 0 {
		query.Set("limit", strconv.Itoa(o.Limit))
	}
	if o.Cursor != "" {
		query.Set("cursor", o.Cursor)
	}
	err = c.exchange(ctx, http.MethodGet, "/v1/jobs?"+query.Encode(), "", nil, &p)
	return p, err
}

// AllJobs yields all jobs selected, newest first, page by page. An error comes last.
func (c *Client) AllJobs(ctx context.Context, o ListOptions) iter.Seq2[Job, error] {
	return func(yield func(Job, error) bool) {
		for {
			p, err := c.Jobs(ctx, o)
			if err != nil {
				yield(Job{}, err)
				return
			}
			for _, j := range p.Jobs {
				if !yield(j, nil) {
					return
				}
			}
			if o.Cursor = p.NextCursor; o.Cursor == "" {
				return
			}
		}
	}
}

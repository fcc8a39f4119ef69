package client

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// Schedule submits a job at each of its times. The hub sets the members after Overlap.
type Schedule struct {
	Name     string     `json:"name"`
	Cron     string     `json:"cron"`      // minute hour day month weekday, or @hourly, @daily …
	TimeZone string     `json:"time_zone"` // IANA name; UTC if empty
	Job      Submission `json:"job"`       // when read from the hub, credentials and secrets are ***
	Paused   bool       `json:"paused"`
	Overlap  string     `json:"overlap"` // what to do while an earlier run is unfinished: allow, skip, queue or replace; allow if empty

	NextAt    time.Time `json:"next_at"`  // zero while paused
	LastAt    time.Time `json:"last_at"`  // when it last submitted a job
	LastJob   string    `json:"last_job"` // its id
	LastError *Problem  `json:"last_error"`
	SkippedAt time.Time `json:"skipped_at"` // when it last skipped a tick because of an unfinished run
}

// Schedules returns all schedules by name.
func (c *Client) Schedules(ctx context.Context) ([]Schedule, error) {
	var out struct {
		Schedules []Schedule `json:"schedules"`
	}
	err := c.exchange(ctx, http.MethodGet, "/v1/schedules", "", nil, &out)
	return out.Schedules, err
}

// Schedule returns the schedule with that name.
func (c *Client) Schedule(ctx context.Context, name string) (s Schedule, err error) {
	err = c.exchange(ctx, http.MethodGet, schedulePath(name), "", nil, &s)
	return s, err
}

// PutSchedule creates or replaces the schedule with the name s.Name. A credential that is ***
// and a callback's secret that is whsec_*** keep their stored values.
func (c *Client) PutSchedule(ctx context.Context, s Schedule) (stored Schedule, err error) {
	in := struct {
		Cron     string     `json:"cron"`
		TimeZone string     `json:"time_zone,omitzero"`
		Job      Submission `json:"job"`
		Paused   bool       `json:"paused,omitzero"`
		Overlap  string     `json:"overlap,omitzero"`
	}{s.Cron, s.TimeZone, s.Job, s.Paused, s.Overlap}
	err = c.exchange(ctx, http.MethodPut, schedulePath(s.Name), "", in, &stored)
	return stored, err
}

// DeleteSchedule deletes a schedule; the jobs that it has submitted stay.
func (c *Client) DeleteSchedule(ctx context.Context, name string) error {
	return c.exchange(ctx, http.MethodDelete, schedulePath(name), "", nil, nil)
}

func schedulePath(name string) string { return "/v1/schedules/" + url.PathEscape(name) }

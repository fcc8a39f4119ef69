package client

import (
	"testing"
	"time"
)

func TestEdits(t *testing.T) {
	a := &answer{status: 200, typ: "application/json", body: `{"id":"j1","state":"queued","retried_by":"j2","existing":true,"count":7}`}
	c := start(t, a)
	queue, delay, priority := "other", 90*time.Second, 0
	for want, call := range map[string]func() error{
		`PATCH /v1/jobs/j1 {"priority":0,"queue":"other","delay":"1m30s"}`: func() error {
			_, err := c.Change(t.Context(), "j1", Edit{Priority: &priority, Queue: &queue, Delay: &delay})
			return err
		},
		`PATCH /v1/jobs/j1 {"tags":[]}`: func() error { _, err := c.Change(t.Context(), "j1", Edit{Tags: &[]string{}}); return err },
		`POST /v1/jobs/j1/run `:         func() error { _, err := c.RunNow(t.Context(), "j1"); return err },
		`POST /v1/jobs/j1/delete `:      func() error { return c.Delete(t.Context(), "j1") },
		`POST /v1/jobs/j1/retry {"again":true}`: func() error {
			j, err := c.Retry(t.Context(), "j1", RetryOptions{Again: true})
			if !j.Existing || j.RetriedBy != "j2" {
				t.Errorf("%+v", j)
			}
			return err
		},
		`POST /v1/jobs:bulk {"action":"delete","filter":{"queue":"q","state":"failed,cancelled"},"dry_run":true}`: func() error {
			n, err := c.CountBulk(t.Context(), Bulk{Action: "delete", States: []string{"failed", "cancelled"}, Queue: "q"})
			if n != 7 {
				t.Errorf("%d jobs", n)
			}
			return err
		},
		`POST /v1/jobs:bulk {"action":"run","filter":{},"dry_run":false}`: func() error { _, err := c.Bulk(t.Context(), Bulk{Action: "run"}); return err },
		`POST /v1/jobs {"kind":"k","unique":{"by":["kind"],"within":"1h0m0s"}}`: func() error {
			_, err := c.Submit(t.Context(), Submission{Kind: "k", Unique: &Unique{By: []string{"kind"}, Within: time.Hour}}, "")
			return err
		},
	} {
		if err := call(); err != nil || a.request != want {
			t.Errorf("sent %s, %v\nwant %s", a.request, err, want)
		}
	}
}

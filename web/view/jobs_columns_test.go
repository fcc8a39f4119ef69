package view

import (
	"testing"
	"time"

	"jobhub/jobs"
)

// A job that was to come later has not waited before its time.
func TestWaited(t *testing.T) {
	at := func(s int) time.Time { return noon.Add(time.Duration(s) * time.Second) }
	for name, test := range map[string]struct {
		job  jobs.Job
		want string
	}{
		"not begun":            {jobs.Job{CreatedAt: noon, ScheduledAt: at(20)}, dash},
		"at once":              {jobs.Job{CreatedAt: noon, StartedAt: at(12)}, "12 s"},
		"at its time":          {jobs.Job{CreatedAt: noon, ScheduledAt: at(86400), StartedAt: at(86412)}, "12 s"},
		"before its next time": {jobs.Job{CreatedAt: noon, ScheduledAt: at(600), StartedAt: at(12)}, "12 s"},
	} {
		if got := waited(test.job); got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
}

package eventlog

import (
	"testing"

	"jobhub/jobs"
)

func FuzzLogRow(f *testing.F) {
	f.Add(Encode(nil, []*jobs.Event{{Type: jobs.JobQueued, Seq: 7, Tenant: "default", Queue: "q", Kind: "k", Tags: []string{"a"}, Version: 1, Data: jobs.Value(`{}`)},
		{Type: jobs.JobProgress, Seq: 8, Prev: 7, Truncated: true}}))
	f.Fuzz(func(t *testing.T, row []byte) {
		events, err := Decode(row)
		if err != nil {
			return
		}
		again, err := Decode(Encode(nil, events))
		if err != nil || len(again) != len(events) {
			t.Errorf("decoded once %d events, again %d: %v", len(events), len(again), err)
		}
	})
}

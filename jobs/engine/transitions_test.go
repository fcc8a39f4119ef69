package engine_test

import (
	"testing"

	"jobhub/jobs"
)

// TestTransitions holds the table against the words of the contract.
func TestTransitions(t *testing.T) {
	for _, from := range jobs.States {
		for _, to := range jobs.States {
			if from.Final() && from.CanBecome(to) {
				t.Errorf("%s is final and becomes %s", from, to)
			}
			if to == jobs.Running && from.CanBecome(to) != (from == jobs.Queued) {
				t.Errorf("%s becomes running: %v", from, from.CanBecome(to))
			}
		}
		if !from.Final() && !from.CanBecome(jobs.Cancelled) {
			t.Errorf("%s can't be cancelled", from)
		}
	}
}

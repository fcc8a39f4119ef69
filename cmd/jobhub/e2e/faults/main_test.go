// Package faults does to the real program what breaks programs of its kind: it kills it,
// stops its workers, fills its disk, fails its flushes, cuts its power and its connections,
// and floods it. What a test found wrong it returns as lines of text, so that
// TestSabotageIsCaught can show, with programs that were built to be wrong, that it would be
// found.
package faults

import (
	"os"
	"testing"

	"jobhub/cmd/jobhub/e2e/trial"
)

func TestMain(m *testing.M) { os.Exit(trial.Main(m)) }

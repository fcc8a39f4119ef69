// Package memory tests that neither answers nor jobs take more memory from the real program
// than it has.
package memory

import (
	"os"
	"testing"

	"jobhub/cmd/jobhub/e2e/trial"
)

func TestMain(m *testing.M) { os.Exit(trial.Main(m)) }

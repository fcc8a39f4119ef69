// Package calls tests what the real program calls and who calls through it: callbacks,
// routes of a configuration file, and traces.
package calls

import (
	"os"
	"testing"

	"jobhub/cmd/jobhub/e2e/trial"
)

func TestMain(m *testing.M) { os.Exit(trial.Main(m)) }

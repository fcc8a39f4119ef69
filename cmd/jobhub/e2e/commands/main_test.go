// Package commands tests the commands of the real program, and the README's tour.
package commands

import (
	"os"
	"testing"

	"jobhub/cmd/jobhub/e2e/trial"
)

func TestMain(m *testing.M) { os.Exit(trial.Main(m)) }

// Package clients tests that clients and workers in other languages and of other makers get
// along with the real program.
package clients

import (
	"os"
	"testing"

	"jobhub/cmd/jobhub/e2e/trial"
)

func TestMain(m *testing.M) { os.Exit(trial.Main(m)) }

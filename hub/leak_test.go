package hub_test

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain fails if goroutines of the tests are still there at the end.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

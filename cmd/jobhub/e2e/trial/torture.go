package trial

import (
	"flag"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
)

// Seed is where a test's random choices come from: SEED in the environment, or a new one.
func Seed(t *testing.T) uint64 {
	t.Helper()
	n, err := strconv.ParseUint(os.Getenv("SEED"), 10, 64)
	if err != nil {
		n = rand.Uint64()
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the seed was SEED=%d", n)
		}
	})
	return n
}

var tortureKills = flag.Int("torture", 0, "how often the torture test kills the hub; also TORTURE_KILLS")

const fewKills = 8

// Kills is how often a torture test kills the hub.
func Kills() int {
	n := *tortureKills
	if n == 0 {
		n, _ = strconv.Atoi(os.Getenv("TORTURE_KILLS"))
	}
	if n == 0 {
		n = fewKills
	}
	return n
}

// Long says that the fault tests may take minutes.
func Long() bool { return Kills() > fewKills }

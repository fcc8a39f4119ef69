package call

import (
	"strconv"
	"strings"

	"jobhub/jobs"
)

// policy decides when a fan-out has ended, and whether it succeeded.
type policy struct {
	text  string
	need  int  // how many targets have to succeed
	early bool // end as soon as the outcome is certain, not only when all targets have ended
}

// parsePolicy reads all, any, quorum:N or settled, for a fan-out of that many targets.
func parsePolicy(text string, targets int) (policy, error) {
	switch text {
	case "", "all":
		return policy{text: "all", need: targets}, nil
	case "any":
		return policy{text: text, need: 1, early: true}, nil
	case "settled":
		return policy{text: text}, nil
	}
	digits, ok := strings.CutPrefix(text, "quorum:")
	n, err := strconv.Atoi(digits)
	if !ok || err != nil || strconv.Itoa(n) != digits {
		return policy{}, jobs.Invalid("/input/policy", "must be all, any, quorum:N or settled")
	}
	if n < 1 || n > targets {
		return policy{}, jobs.Invalid("/input/policy", "must ask for a quorum from 1 to %d, the number of targets", targets)
	}
	return policy{text: text, need: n, early: true}, nil
}

// outcome reports whether a fan-out with so many successes and failures has ended, and
// whether it succeeded.
func (p policy) outcome(succeeded, failed, total int) (over, ok bool) {
	ok = succeeded >= p.need
	if succeeded+failed == total {
		return true, ok
	}
	return p.early && (ok || total-failed < p.need), ok
}

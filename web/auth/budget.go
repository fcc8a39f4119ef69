package auth

import (
	"math"
	"strconv"
	"strings"
	"time"

	"jobhub/web/limit"
)

// Budget is an amount of money that may be spent in each window of time.
type Budget struct {
	Amount int64         // in nano-USD, over 0
	Window time.Duration // as that of a limit.Quota
}

// ParseBudget reads a budget like 50/30d or 0.50/1d: USD, with up to nine decimal places, in a
// window as limit.ParseQuota reads it.
func ParseBudget(text string) (b Budget, ok bool) {
	amount, window, _ := strings.Cut(text, "/")
	quota, ok := limit.ParseQuota("1/" + window)
	if !ok {
		return b, false
	}
	whole, fraction, point := strings.Cut(amount, ".")
	if whole == "" || point && fraction == "" || len(fraction) > 9 {
		return b, false
	}
	// Without a sign, and at once too large for int64 if it is.
	nanos, err := strconv.ParseUint(whole+fraction+strings.Repeat("0", 9-len(fraction)), 10, 64)
	if err != nil || nanos == 0 || nanos > math.MaxInt64 {
		return b, false
	}
	return Budget{Amount: int64(nanos), Window: quota.Window}, true
}

package egress

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// RetryStatus reports whether an answer with that status is tried again: 408, 425, 429 and
// 5xx.
func RetryStatus(status int) bool {
	return status == 408 || status == 425 || status == 429 || status >= 500 && status <= 599
}

// maxRetryAfter is how long an upstream can delay a job.
const maxRetryAfter = 24 * time.Hour

// RetryAfter is the delay that a Retry-After header asks for, in seconds or as a date: at
// most a day, 0 if it can't be read.
func RetryAfter(value string, now time.Time) time.Duration {
	value = strings.TrimSpace(value)
	if value != "" && strings.Trim(value, "0123456789") == "" {
		seconds, err := strconv.ParseInt(value, 10, 64)
		if err != nil || seconds > int64(maxRetryAfter/time.Second) {
			return maxRetryAfter
		}
		return time.Duration(seconds) * time.Second
	}
	date, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	return min(max(date.Sub(now), 0), maxRetryAfter)
}

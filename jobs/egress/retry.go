package egress

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// RetryStatus reports whether an answer of that status may be another one the next time.
func RetryStatus(status int) bool {
	return status == 408 || status == 425 || status == 429 || status >= 500 && status <= 599
}

// maxRetryAfter bounds how long an upstream can put off a job.
const maxRetryAfter = 24 * time.Hour

// RetryAfter reads a Retry-After header: seconds or a date. It is at most a day.
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

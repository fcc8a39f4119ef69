package egress

import (
	"testing"
	"time"
)

func TestRetryAfter(t *testing.T) {
	const day = 24 * time.Hour
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"": 0, "0": 0, "120": 2 * time.Minute, " 5 ": 5 * time.Second, "3600": time.Hour, "7200": 2 * time.Hour, "86400": day, "86401": day,
		"99999999999999999999999": day, "9223372036854775807": day, "-5": 0, "+5": 0, "1.5": 0, "soon": 0,
		"Thu, 01 Jan 2026 12:00:30 GMT":    30 * time.Second,
		"Thu, 01 Jan 2026 11:00:00 GMT":    0,
		"Thu, 01 Jan 2026 18:30:00 GMT":    6*time.Hour + 30*time.Minute,
		"Fri, 01 Jan 2027 12:00:00 GMT":    day,
		"Thursday, 01-Jan-26 12:01:00 GMT": time.Minute,
	} {
		if got := RetryAfter(value, now); got != want {
			t.Errorf("%q: got %s, want %s", value, got, want)
		}
	}
}

package view

import (
	"cmp"
	"math"
	"strconv"
	"strings"
	"time"

	"jobhub/jobs"
)

const dash = "–"

// count groups the digits of n by threes.
func count(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Plural writes a number with what it counts.
func Plural(n int64, one, many string) string { return plural(n, one, many) }

func plural(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return count(n) + " " + many
}

// rate writes a number per second with few digits.
func rate(r float64) string {
	switch {
	case r == 0:
		return "0"
	case r < 0.1:
		return "<0.1"
	case r < 99.95:
		return strconv.FormatFloat(r, 'f', 1, 64)
	}
	return count(int64(math.Round(r)))
}

// share writes part of whole in per cent; it never rounds a part above 0 down to 0.
func share(part, whole int64) string {
	if whole == 0 {
		return dash
	}
	p := 100 * float64(part) / float64(whole)
	switch {
	case part == 0:
		return "0 %"
	case p < 0.01:
		return "<0.01 %"
	case p < 1:
		return strconv.FormatFloat(p, 'f', 2, 64) + " %"
	case p > 99.9 && part < whole:
		return ">99.9 %"
	}
	return strings.TrimSuffix(strconv.FormatFloat(p, 'f', 1, 64), ".0") + " %"
}

// span writes a duration in its two largest units, like static/time.js.
func span(d time.Duration) string {
	whole := func(n time.Duration, unit string) string { return strconv.FormatInt(int64(n), 10) + unit }
	switch {
	case d < 0:
		return dash
	case d < time.Millisecond:
		return "<1 ms"
	case d < time.Second:
		return whole(d/time.Millisecond, " ms")
	case d < 10*time.Second:
		return strconv.FormatFloat(math.Floor(d.Seconds()*10)/10, 'f', 1, 64) + " s"
	case d < time.Minute:
		return whole(d/time.Second, " s")
	case d < time.Hour:
		return whole(d/time.Minute, " min ") + whole(d%time.Minute/time.Second, " s")
	case d < 24*time.Hour:
		return whole(d/time.Hour, " h ") + whole(d%time.Hour/time.Minute, " min")
	}
	return whole(d/(24*time.Hour), " d ") + whole(d%(24*time.Hour)/time.Hour, " h")
}

func iso(t time.Time) string     { return t.UTC().Format(jobs.TimeFormat) }
func second(t time.Time) string  { return t.UTC().Format("2006-01-02T15:04:05Z") }
func clock(t time.Time) string   { return t.UTC().Format("15:04:05") }
func precise(t time.Time) string { return t.UTC().Format("15:04:05.000") }
func minute(t time.Time) string  { return t.UTC().Format("15:04") }
func day(t time.Time) string     { return t.UTC().Format("2006-01-02 15:04") }
func full(t time.Time) string    { return t.UTC().Format("2006-01-02 15:04:05.000 UTC") }

// PausedBy says who paused a queue, and why.
func PausedBy(p *jobs.Pause) string {
	text := "by " + cmp.Or(p.By, "a caller")
	if p.Reason != "" {
		text += ": " + p.Reason
	}
	return text
}

// size writes a number of bytes.
func size(n int) string {
	switch {
	case n < 1<<10:
		return plural(int64(n), "byte", "bytes")
	case n < 1<<20:
		return strconv.FormatFloat(float64(n)/(1<<10), 'f', 1, 64) + " KiB"
	}
	return strconv.FormatFloat(float64(n)/(1<<20), 'f', 1, 64) + " MiB"
}

// tail is the end of an id, which differs between jobs; a UUIDv7 begins with the time.
func tail(id jobs.ID) string { s := id.String(); return s[len(s)-8:] }

func number(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

// readOnlyHint is shown instead of the actions on jobs to keys that may only read.
const readOnlyHint = "Read only: your key can't cancel or retry jobs."

package cron_test

import (
	"strings"
	"testing"
	"time"

	"jobhub/jobs/cron"
)

const layout = "2006-01-02 15:04 -0700"

func in(t testing.TB, zone string) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation(zone)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

// ticks are the next n times after a time, each looked for after the one before.
func ticks(t testing.TB, text, zone, after string, n int) string {
	t.Helper()
	e, err := cron.Parse(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	at, err := time.ParseInLocation("2006-01-02 15:04", after, in(t, zone))
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for range n {
		at = e.Next(at)
		if at.IsZero() {
			all = append(all, "never")
			break
		}
		all = append(all, at.Format(layout))
	}
	return strings.Join(all, ", ")
}

func TestNext(t *testing.T) {
	for _, c := range []struct{ text, after, want string }{
		{"* * * * *", "2026-01-01 00:00", "2026-01-01 00:01 +0000, 2026-01-01 00:02 +0000"},
		{"*/15 * * * *", "2026-01-01 00:44", "2026-01-01 00:45 +0000, 2026-01-01 01:00 +0000"},
		{"5/20 * * * *", "2026-01-01 00:06", "2026-01-01 00:25 +0000, 2026-01-01 00:45 +0000, 2026-01-01 01:05 +0000"},
		{"0 9-17/4 * * mon-FRI", "2026-01-02 13:00", "2026-01-02 17:00 +0000, 2026-01-05 09:00 +0000"},
		{"30 4 1,15 * *", "2026-01-01 04:30", "2026-01-15 04:30 +0000, 2026-02-01 04:30 +0000"},
		{"0 0 1,15 * 5", "2026-01-01 00:00", "2026-01-02 00:00 +0000, 2026-01-09 00:00 +0000, 2026-01-15 00:00 +0000"}, // either day
		{"0 0 */10 * 5", "2026-01-01 00:00", "2026-05-01 00:00 +0000"},                                                 // a day that begins with * is no choice
		{"0 0 * * 7", "2026-01-01 00:00", "2026-01-04 00:00 +0000"},
		{"0 0 * * 5-7", "2026-01-01 00:00", "2026-01-02 00:00 +0000, 2026-01-03 00:00 +0000, 2026-01-04 00:00 +0000, 2026-01-09 00:00 +0000"},
		{"0 12 L * *", "2026-01-31 12:00", "2026-02-28 12:00 +0000, 2026-03-31 12:00 +0000, 2026-04-30 12:00 +0000"},
		{"0 0 29 2 *", "2026-01-01 00:00", "2028-02-29 00:00 +0000, 2032-02-29 00:00 +0000"},
		{"0 0 29 2 *", "2096-03-01 00:00", "2104-02-29 00:00 +0000"}, // 2100 is no leap year
		{"0 0 31 apr,dec *", "2026-01-01 00:00", "2026-12-31 00:00 +0000"},
		{"59 23 31 12 *", "2026-12-31 23:59", "2027-12-31 23:59 +0000"},
		{"@hourly", "2026-01-01 00:00", "2026-01-01 01:00 +0000"},
		{"@daily", "2026-01-01 00:00", "2026-01-02 00:00 +0000"},
		{"@Midnight", "2026-01-01 00:00", "2026-01-02 00:00 +0000"},
		{"@weekly", "2026-01-01 00:00", "2026-01-04 00:00 +0000"},
		{"@monthly", "2026-01-01 00:00", "2026-02-01 00:00 +0000"},
		{" @yearly ", "2026-01-01 00:00", "2027-01-01 00:00 +0000"},
		{"@annually", "2026-01-01 00:00", "2027-01-01 00:00 +0000"},
		{"\t0  0 1   1 *", "2026-01-01 00:00", "2027-01-01 00:00 +0000"},
	} {
		if got := ticks(t, c.text, "UTC", c.after, strings.Count(c.want, ",")+1); got != c.want {
			t.Errorf("%s after %s: %s, want %s", c.text, c.after, got, c.want)
		}
	}
}

// TestClocksThatChange: what is said of the wall comes once, what is said of passing time
// goes on with it (Vixie cron's rules).
func TestClocksThatChange(t *testing.T) {
	for _, c := range []struct{ text, zone, after, want string }{
		// Forward: 02:00 → 03:00 on 29 March 2026.
		{"30 2 * * *", "Europe/Berlin", "2026-03-28 03:00", "2026-03-29 03:00 +0200, 2026-03-30 02:30 +0200"},
		{"0 2 * * *", "Europe/Berlin", "2026-03-28 03:00", "2026-03-29 03:00 +0200, 2026-03-30 02:00 +0200"},
		{"0 2,3 * * *", "Europe/Berlin", "2026-03-28 03:00", "2026-03-29 03:00 +0200, 2026-03-30 02:00 +0200, 2026-03-30 03:00 +0200"},
		{"0,30 2 * * *", "Europe/Berlin", "2026-03-28 03:00", "2026-03-29 03:00 +0200, 2026-03-30 02:00 +0200"},
		{"30 * * * *", "Europe/Berlin", "2026-03-29 01:00", "2026-03-29 01:30 +0100, 2026-03-29 03:30 +0200"},
		{"*/20 2 * * *", "Europe/Berlin", "2026-03-29 01:00", "2026-03-30 02:00 +0200"},
		{"0 */2 * * *", "Europe/Berlin", "2026-03-29 00:00", "2026-03-29 04:00 +0200"},
		// Back: 03:00 → 02:00 on 25 October 2026.
		{"30 2 * * *", "Europe/Berlin", "2026-10-24 03:00", "2026-10-25 02:30 +0200, 2026-10-26 02:30 +0100"},
		{"0 3 * * *", "Europe/Berlin", "2026-10-24 04:00", "2026-10-25 03:00 +0100, 2026-10-26 03:00 +0100"},
		{"0 2,3 * * *", "Europe/Berlin", "2026-10-24 04:00", "2026-10-25 02:00 +0200, 2026-10-25 03:00 +0100"},
		{"30 * * * *", "Europe/Berlin", "2026-10-25 01:00", "2026-10-25 01:30 +0200, 2026-10-25 02:30 +0200, 2026-10-25 02:30 +0100, 2026-10-25 03:30 +0100"},
		{"*/30 2 * * *", "Europe/Berlin", "2026-10-25 01:00", "2026-10-25 02:00 +0200, 2026-10-25 02:30 +0200, 2026-10-25 02:00 +0100, 2026-10-25 02:30 +0100, 2026-10-26 02:00 +0100"},
		// In New York, and where the change is half an hour, or at midnight.
		{"30 2 * * *", "America/New_York", "2026-03-07 12:00", "2026-03-08 03:00 -0400, 2026-03-09 02:30 -0400"},
		{"30 1 * * *", "America/New_York", "2026-10-31 12:00", "2026-11-01 01:30 -0400, 2026-11-02 01:30 -0500"},
		{"15 2 * * *", "Australia/Lord_Howe", "2026-10-03 12:00", "2026-10-04 02:30 +1100, 2026-10-05 02:15 +1100"},
		{"45 1 * * *", "Australia/Lord_Howe", "2026-04-04 12:00", "2026-04-05 01:45 +1100, 2026-04-06 01:45 +1030"},
		{"0 0 * * *", "America/Santiago", "2026-09-05 12:00", "2026-09-06 01:00 -0300, 2026-09-07 00:00 -0300"},
		{"@hourly", "America/Santiago", "2026-09-05 22:30", "2026-09-05 23:00 -0400, 2026-09-06 01:00 -0300"},
		{"30 23 * * *", "America/Santiago", "2026-04-04 12:00", "2026-04-04 23:30 -0300, 2026-04-05 23:30 -0400"},
		// A day that a place left out altogether.
		{"0 12 30 12 *", "Pacific/Apia", "2011-12-01 00:00", "2011-12-31 00:00 +1400, 2012-12-30 12:00 +1400"},
	} {
		if got := ticks(t, c.text, c.zone, c.after, strings.Count(c.want, ",")+1); got != c.want {
			t.Errorf("%s in %s after %s:\n%s, want\n%s", c.text, c.zone, c.after, got, c.want)
		}
	}
}

func TestExpressionsThatAreRefused(t *testing.T) {
	for _, text := range []string{"", " ", "*", "* * * *", "* * * * * *", "0 0 * * * 2026", "60 * * * *", "-1 * * * *", "* 24 * * *", "* * 0 * *", "* * 32 * *", "* * * 0 *", "* * * 13 *",
		"* * * * 8", "5-1 * * * *", "*/0 * * * *", "*/-1 * * * *", "*/60 * * * *", "1/ * * * *", "/5 * * * *", "1- * * * *", "-5 * * * *", "1,,2 * * * *", ", * * * *", "a * * * *", "* * * * monday",
		"* * * foo *", "1.5 * * * *", "+1 * * * *", "*/+2 * * * *", "? * * * *", "* * L-1 * *", "* * * * 5L", "* * 15W * *", "* * * * 1#2", "L * * * *", "@every 5m", "@reboot", "@", "@ daily",
		"0 0 30 2 *", "0 0 31 2,4,6,9,11 *", "99999999999999999999 * * * *", "* * * * *\n", strings.Repeat("1,", 200) + "1 * * * *", "٣ * * * *", "\x00 * * * *"} {
		if e, err := cron.Parse(text); err == nil {
			t.Errorf("%q was taken; next %v", text, e.Next(time.Unix(0, 0)))
		} else if len(err.Error()) > 200 {
			t.Errorf("%.40q: a long error: %s", text, err)
		}
	}
}

// TestNoTickIsMissed compares Next with all minutes of two years, in zones that change
// their clocks.
func TestNoTickIsMissed(t *testing.T) {
	for _, zone := range []string{"UTC", "Europe/Berlin", "Australia/Lord_Howe", "America/Santiago"} {
		for _, text := range []string{"*/7 3-5 * * *", "13 */5 */3 * *", "* 2 L * *", "30 * * 3,10 sun"} {
			e, err := cron.Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			loc := in(t, zone)
			at := time.Date(2026, 1, 1, 0, 0, 0, 0, loc)
			end := at.AddDate(2, 0, 0)
			next := e.Next(at)
			for at = at.Add(time.Minute); at.Before(end); at = at.Add(time.Minute) {
				if fits(text, at) {
					if !next.Equal(at) {
						t.Fatalf("%s in %s: Next gives %v, but %v fits", text, zone, next, at)
					}
					next = e.Next(at)
				} else if next.Equal(at) {
					t.Fatalf("%s in %s: %v does not fit", text, zone, at)
				}
			}
		}
	}
}

// fits is what the expressions of TestNoTickIsMissed mean, said once more.
func fits(text string, at time.Time) bool {
	switch text {
	case "*/7 3-5 * * *":
		return at.Minute()%7 == 0 && at.Hour() >= 3 && at.Hour() <= 5
	case "13 */5 */3 * *":
		return at.Minute() == 13 && at.Hour()%5 == 0 && at.Day()%3 == 1
	case "* 2 L * *":
		return at.Hour() == 2 && at.AddDate(0, 0, 1).Day() == 1
	}
	return at.Minute() == 30 && (at.Month() == 3 || at.Month() == 10) && at.Weekday() == time.Sunday
}

// FuzzCron: what is taken names times that come after the time asked for, on whole
// minutes, in order, and the same from anywhere between two of them.
func FuzzCron(f *testing.F) {
	for _, seed := range []string{"* * * * *", "*/15 0-5,8 1,L jan-mar/2 mon", "0 0 29 2 *", "@weekly", "30 2 * * *", "5/7 */3 31 12 7", "0 0 1 1 0-7", "x", "1-", "*/", "60 * * * *"} {
		f.Add(seed, int64(1_774_746_000), uint8(0))
		f.Add(seed, int64(1_792_890_000), uint8(1))
	}
	zones := []*time.Location{in(f, "UTC"), in(f, "Europe/Berlin"), in(f, "Australia/Lord_Howe"), in(f, "America/Santiago")}
	f.Fuzz(func(t *testing.T, text string, seconds int64, zone uint8) {
		e, err := cron.Parse(text)
		if err != nil {
			return
		}
		at := time.Unix(seconds&(1<<32-1), 0).In(zones[int(zone)%len(zones)])
		next := e.Next(at)
		if next.IsZero() {
			return // a leap day that has to be a certain weekday
		}
		if !next.After(at) || next.Unix()%60 != 0 || next.Sub(at) > 9*366*24*time.Hour {
			t.Fatalf("%q after %v: %v", text, at, next)
		}
		if between := at.Add(next.Sub(at) / 2); !e.Next(between).Equal(next) {
			t.Fatalf("%q: %v after %v, but %v after %v", text, next, at, e.Next(between), between)
		}
		if after := e.Next(next); !after.IsZero() && !after.After(next) {
			t.Fatalf("%q: %v after %v", text, after, next)
		}
	})
}

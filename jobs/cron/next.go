package cron

import (
	"time"
	_ "time/tzdata" // machines without time zones know them too
)

// maxDays is how far ahead a time is looked for: eight years lie between some leap days,
// and a weekday may have to fit, too.
const maxDays = 9 * 366

// Next returns the first time of e after t, in the time zone of t. The zero time if it
// lies more than nine years ahead.
func (e *Expr) Next(t time.Time) time.Time {
	if e.passing {
		return e.nextPassing(t)
	}
	return e.nextOnWall(t)
}

// nextPassing goes through the minutes as they pass.
func (e *Expr) nextPassing(t time.Time) time.Time {
	at := t.Add(time.Minute - time.Duration(t.Second())*time.Second - time.Duration(t.Nanosecond()))
	for end := t.AddDate(0, 0, maxDays); at.Before(end); {
		year, month, day := at.Date()
		if !e.on(year, month, day) {
			midnight := time.Date(year, month, day+1, 0, 0, 0, 0, at.Location())
			if !midnight.After(at) { // there is none on the next day
				midnight = at.Add(time.Minute)
			}
			at = midnight
			continue
		}
		if e.at(at.Hour(), at.Minute()) {
			return at
		}
		at = at.Add(time.Minute)
	}
	return time.Time{}
}

// nextOnWall goes through the days of the calendar and the times on the wall. It begins
// a day early, because a time that is skipped may come on the day after its own.
func (e *Expr) nextOnWall(t time.Time) time.Time {
	year, month, day := t.Date()
	for ahead := -1; ahead < maxDays; ahead++ {
		noon := time.Date(year, month, day+ahead, 12, 0, 0, 0, time.UTC)
		if !e.on(noon.Date()) {
			continue
		}
		for hour := range 24 {
			if e.hour&(1<<hour) == 0 {
				continue
			}
			for minute := range 60 {
				if !e.at(hour, minute) {
					continue
				}
				if at := wall(noon, hour, minute, t.Location()); at.After(t) {
					return at
				}
			}
		}
	}
	return time.Time{}
}

// wall is when the clocks of a place show a time on a day: for the first time if they do so
// twice, and the moment at which they are set forward if they never do.
func wall(day time.Time, hour, minute int, place *time.Location) time.Time {
	y, m, d := day.Date()
	at := time.Date(y, m, d, hour, minute, 0, 0, place)
	begin, end := at.ZoneBounds()
	shown := time.Date(at.Year(), at.Month(), at.Day(), at.Hour(), at.Minute(), 0, 0, time.UTC)
	wanted := time.Date(y, m, d, hour, minute, 0, 0, time.UTC)
	switch {
	case shown.After(wanted):
		return begin
	case shown.Before(wanted):
		return end
	}
	if !begin.IsZero() { // the clocks were set back before: perhaps over this time
		_, now := at.Zone()
		_, before := begin.Add(-1).Zone()
		if first := at.Add(time.Duration(now-before) * time.Second); before > now && first.Before(begin) {
			return first
		}
	}
	return at
}

// on reports whether a day fits.
func (e *Expr) on(year int, month time.Month, day int) bool {
	if e.month&(1<<month) == 0 {
		return false
	}
	next := time.Date(year, month, day+1, 12, 0, 0, 0, time.UTC)
	byDay := e.day&(1<<day) != 0 || e.day&1 != 0 && next.Day() == 1
	byWeek := e.weekday&(1<<((next.Weekday()+6)%7)) != 0
	if e.everyDay || e.everyWeek {
		return byDay && byWeek
	}
	return byDay || byWeek
}

func (e *Expr) at(hour, minute int) bool { return e.hour&(1<<hour) != 0 && e.minute&(1<<minute) != 0 }

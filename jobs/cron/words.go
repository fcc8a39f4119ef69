package cron

import (
	"fmt"
	"math/bits"
	"strconv"
	"strings"
)

// Words says an expression in plain English, like "every 15 minutes" or "at 03:00 on
// Mondays and Fridays". It says all that the expression does.
func (e *Expr) Words() string {
	text, alone := e.times()
	days := e.days()
	if days == "" && alone {
		text = "every day " + text
	}
	if days != "" {
		text += " " + days
	}
	if e.month != span(1, 12) {
		text += " in " + list(each(e.month, func(n int) string { return months[n-1] }), "and")
	}
	return text
}

var (
	months   = [...]string{"January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"}
	weekdays = [...]string{"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"}
)

const (
	mostTimes = 6    // of a day that are named one by one
	workdays  = 0x3e // Monday to Friday
	weekend   = 1<<0 | 1<<6
)

// times says when on a day; alone, that these are times of the day that stand by themselves.
func (e *Expr) times() (text string, alone bool) {
	minutes, hours := bits.OnesCount64(e.minute), bits.OnesCount64(e.hour)
	everyHour := e.hour == span(0, 23)
	if !everyHour && minutes*hours <= mostTimes {
		var all []string
		for _, h := range numbers(e.hour) {
			for _, m := range numbers(e.minute) {
				all = append(all, fmt.Sprintf("%02d:%02d", h, m))
			}
		}
		return "at " + list(all, "and"), true
	}
	first := bits.TrailingZeros64(e.minute)
	hourStep, stepped := step(e.hour, 24)
	if minutes == 1 && (everyHour || stepped) {
		text = "every hour"
		if !everyHour {
			text = fmt.Sprintf("every %d hours from %02d:%02d", hourStep, bits.TrailingZeros64(e.hour), first)
		} else if first > 0 {
			text += fmt.Sprintf(" at :%02d", first)
		}
		return text, false
	}
	n, even := step(e.minute, 60)
	switch {
	case e.minute == span(0, 59):
		text = "every minute"
	case even:
		text = fmt.Sprintf("every %d minutes", n)
		if first > 0 {
			text += fmt.Sprintf(" from :%02d", first)
		}
	default:
		text = "at " + list(each(e.minute, func(n int) string { return fmt.Sprintf(":%02d", n) }), "and")
		if everyHour {
			text += " of every hour"
		}
	}
	if everyHour {
		return text, false
	}
	return text + " " + hoursOf(e.hour), false
}

// hoursOf says during which hours.
func hoursOf(set uint64) string {
	low, high := bits.TrailingZeros64(set), 63-bits.LeadingZeros64(set)
	switch n, even := step(set, 24); {
	case set == span(low, high):
		return fmt.Sprintf("from %02d:00 to %02d:59", low, high)
	case even && low == 0:
		return fmt.Sprintf("of every %s hour", ordinal(n))
	}
	return "in the hours from " + list(each(set, func(n int) string { return fmt.Sprintf("%02d:00", n) }), "and")
}

// days says on which days; nothing for all.
func (e *Expr) days() string {
	ofMonth, ofWeek := "", ""
	if e.day&^1 != span(1, 31) {
		var all []string
		for _, r := range runs(e.day &^ 1) {
			if r[1]-r[0] < 2 {
				all = append(all, ordinal(r[0]))
				if r[1] > r[0] {
					all = append(all, ordinal(r[1]))
				}
			} else {
				all = append(all, ordinal(r[0])+" to "+ordinal(r[1]))
			}
		}
		if e.day&1 != 0 {
			all = append(all, "last day")
		}
		ofMonth = "on the " + list(all, "and") + " of the month"
	}
	switch all := uint64(0x7f); e.weekday {
	case all:
	case workdays:
		ofWeek = "on weekdays"
	case weekend:
		ofWeek = "at weekends"
	default:
		ofWeek = "on " + list(each(e.weekday, func(n int) string { return weekdays[n] + "s" }), "and")
	}
	switch {
	case ofMonth == "" || ofWeek == "":
		if ofMonth != "" && !e.everyDay && !e.everyWeek { // the other one names every day
			return ""
		}
		if ofWeek != "" && !e.everyDay && !e.everyWeek {
			return ""
		}
		return ofMonth + ofWeek
	case e.everyDay || e.everyWeek:
		return ofMonth + ", only " + ofWeek
	}
	return ofMonth + " and " + ofWeek
}

func span(low, high int) uint64 { return 1<<(high+1) - 1<<low }

func numbers(set uint64) (all []int) {
	for ; set != 0; set &= set - 1 {
		all = append(all, bits.TrailingZeros64(set))
	}
	return all
}

func each(set uint64, write func(int) string) (all []string) {
	for _, n := range numbers(set) {
		all = append(all, write(n))
	}
	return all
}

// runs are the stretches of numbers without a gap, as first and last.
func runs(set uint64) (all [][2]int) {
	for _, n := range numbers(set) {
		if last := len(all) - 1; last >= 0 && all[last][1] == n-1 {
			all[last][1] = n
		} else {
			all = append(all, [2]int{n, n})
		}
	}
	return all
}

// step is the distance between the numbers of a set, if it is the same all around the clock.
func step(set uint64, around int) (by int, even bool) {
	all := numbers(set)
	if len(all) < 2 {
		return 0, false
	}
	by = all[1] - all[0]
	return by, by*len(all) == around && all[len(all)-1]-all[0] == by*(len(all)-1)
}

func list(all []string, and string) string {
	if len(all) < 2 {
		return strings.Join(all, "")
	}
	return strings.Join(all[:len(all)-1], ", ") + " " + and + " " + all[len(all)-1]
}

func ordinal(n int) string {
	suffix := "th"
	if n/10 != 1 {
		switch n % 10 {
		case 1:
			suffix = "st"
		case 2:
			suffix = "nd"
		case 3:
			suffix = "rd"
		}
	}
	return strconv.Itoa(n) + suffix
}

// Package cron reads cron expressions and finds the times they name.
//
// An expression has five fields: minute (0–59), hour (0–23), day of the month (1–31, or L
// for the last), month (1–12 or jan–dec) and day of the week (0–7 or sun–sat; 0 and 7 are
// Sunday). A field is *, a number, a range a-b, either of these with a step /n, or several
// of them with commas between; a/n is a step from a on. Where both days are restricted,
// a day that fits either will do, as in every cron. For the usual ones there are names:
// @yearly (@annually), @monthly, @weekly, @daily (@midnight), @hourly.
//
// When clocks change, it keeps to what Vixie cron documents:
//
//   - Expressions whose minute or hour begins with * mean the time that passes: they go on
//     in a repeated hour, and make up for nothing when an hour is skipped.
//   - All others mean the clock on the wall: a time that is skipped comes at the moment
//     of the change, and one that is repeated comes the first time only.
package cron

import (
	"fmt"
	"math/bits"
	"strconv"
	"strings"
)

// Expr is a cron expression. It is immutable.
type Expr struct {
	minute, hour, day, month, weekday uint64 // sets of numbers; bit 0 of day is the last one

	passing   bool // the minute or the hour begins with *
	everyDay  bool // the day of the month begins with *
	everyWeek bool // the day of the week begins with *
}

var macros = map[string]string{"@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *", "@weekly": "0 0 * * 0",
	"@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@hourly": "0 * * * *"}

// field says what one of the five may hold.
type field struct {
	name        string
	least, most int
	words       []string // names of the numbers from least on
}

var fields = [...]field{
	{name: "minute", most: 59},
	{name: "hour", most: 23},
	{name: "day of the month", least: 1, most: 31},
	{name: "month", least: 1, most: 12, words: []string{"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}},
	{name: "day of the week", most: 7, words: []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}},
}

const maxText = 256

// Parse reads an expression. It refuses those that name no time at all, like the 31st
// of February.
func Parse(text string) (*Expr, error) {
	if len(text) > maxText {
		return nil, fmt.Errorf("must be up to %d bytes", maxText)
	}
	if long, ok := macros[strings.ToLower(strings.TrimSpace(text))]; ok {
		text = long
	} else if strings.HasPrefix(text, "@") {
		return nil, fmt.Errorf("%.20q is not one of @yearly, @monthly, @weekly, @daily, @hourly", text)
	}
	parts := strings.FieldsFunc(text, func(r rune) bool { return r == ' ' || r == '\t' })
	if len(parts) != len(fields) {
		return nil, fmt.Errorf("must have 5 fields, minute hour day month weekday, and has %d", len(parts))
	}
	var e Expr
	for i, to := range []*uint64{&e.minute, &e.hour, &e.day, &e.month, &e.weekday} {
		set, err := fields[i].parse(strings.ToLower(parts[i]))
		if err != nil {
			return nil, err
		}
		*to = set
	}
	e.weekday = (e.weekday | e.weekday>>7) & 0x7f
	e.passing = parts[0][0] == '*' || parts[1][0] == '*'
	e.everyDay, e.everyWeek = parts[2][0] == '*', parts[4][0] == '*'
	if e.everyWeek && !e.comes() {
		return nil, fmt.Errorf("names a day that no month of it has")
	}
	return &e, nil
}

// parse reads one field as the set of its numbers.
func (f *field) parse(text string) (set uint64, err error) {
	for item := range strings.SplitSeq(text, ",") {
		span, step, stepped := strings.Cut(item, "/")
		from, to, ranged := strings.Cut(span, "-")
		low, high, by := f.least, f.most, 1
		switch {
		case span == "l" && f.least == 1 && f.words == nil && !stepped:
			set |= 1
			continue
		case span == "*":
			if f.most == 7 {
				high = 6
			}
		default:
			if low, err = f.number(from); err != nil {
				return 0, err
			}
			if ranged {
				if high, err = f.number(to); err != nil {
					return 0, err
				}
			} else if !stepped {
				high = low
			}
		}
		if low > high {
			return 0, fmt.Errorf("the %s has the range %.20q, which ends before it begins", f.name, span)
		}
		if stepped {
			if by, err = strconv.Atoi(step); err != nil || by < 1 || by > f.most || step[0] == '+' {
				return 0, fmt.Errorf("the %s has the step %.20q; it takes 1 to %d", f.name, step, f.most)
			}
		}
		for n := low; n <= high; n += by {
			set |= 1 << n
		}
	}
	return set, nil
}

func (f *field) number(text string) (int, error) {
	for i, word := range f.words {
		if text == word {
			return f.least + i, nil
		}
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < f.least || n > f.most || text[0] == '+' || text[0] == '-' {
		return 0, fmt.Errorf("the %s is %.20q; it takes %d to %d, *, ranges, lists and steps", f.name, text, f.least, f.most)
	}
	return n, nil
}

// comes reports whether one of the months has one of the days.
func (e *Expr) comes() bool {
	longest := [...]int{0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}
	for month := 1; month <= 12; month++ {
		if e.month&(1<<month) != 0 && bits.TrailingZeros64(e.day) <= longest[month] {
			return true
		}
	}
	return false
}

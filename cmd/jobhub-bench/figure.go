package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// figure is one line of the result.
type figure struct {
	Key    string  `json:"key"`
	What   string  `json:"what"`
	Values []value `json:"values"`
	Unit   string  `json:"unit"` // of the values, like ms
	Goal   string  `json:"goal,omitempty"`
}

// value is a measured value; Name distinguishes it from others of its figure, like p99.
type value struct {
	Name  string  `json:"name,omitempty"`
	Value float64 `json:"value"`
}

func single(key, what string, v float64, unit, goal string) figure {
	return figure{key, what, []value{{"", v}}, unit, goal}
}

// sample is recorded durations.
type sample []time.Duration

// at is the recorded duration of rank q, a share from 0 to 1. It sorts the sample.
func (s sample) at(q float64) time.Duration {
	if len(s) == 0 {
		return 0
	}
	if !slices.IsSorted(s) {
		slices.Sort(s)
	}
	return s[max(int(math.Ceil(q*float64(len(s))))-1, 0)]
}

func (s sample) micros(q float64) float64 { return float64(s.at(q).Nanoseconds()) / 1e3 }
func (s sample) millis(q float64) float64 { return float64(s.at(q).Nanoseconds()) / 1e6 }

// latency is the figure of a sample in the unit µs or ms.
func (s sample) latency(key, what, unit, goal string, ranks ...float64) figure {
	f := figure{Key: key, What: what, Unit: unit, Goal: goal}
	for _, q := range ranks {
		v := value{"p" + strconv.FormatFloat(100*q, 'f', -1, 64), s.micros(q)}
		if unit == "ms" {
			v.Value /= 1e3
		}
		if q == 1 {
			v.Name = "max"
		}
		f.Values = append(f.Values, v)
	}
	return f
}

func (f figure) String() string {
	var b strings.Builder
	for i, v := range f.Values {
		if i > 0 {
			b.WriteString(" · ")
		}
		if v.Name != "" {
			b.WriteString(v.Name + " ")
		}
		b.WriteString(short(v.Value))
	}
	if f.Unit != "" {
		b.WriteString(" " + f.Unit)
	}
	return b.String()
}

// short writes three digits, or all digits before the point if there are more.
func short(v float64) string {
	digits := 2
	if v == math.Trunc(v) {
		digits = 0
	}
	for limit := 10.0; digits > 0 && math.Abs(v) >= limit; limit *= 10 {
		digits--
	}
	text := strconv.FormatFloat(v, 'f', digits, 64)
	for i := len(text) - 3; digits == 0 && i > len(text)-len(strings.TrimLeft(text, "-")); i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// output is where results go.
type output struct {
	stdout, stderr io.Writer
	file           string // for JSON; none if empty
	machine        machine
}

// say prints what is being done.
func (o *output) say(format string, args ...any) { fmt.Fprintf(o.stderr, format+"\n", args...) }

// print writes the figures as a Markdown table, and to a JSON file if there is one.
func (o *output) print(figures []figure) error {
	if len(figures) == 0 {
		return nil
	}
	fmt.Fprintf(o.stdout, "%s\n\n| | measured | wanted |\n|---|---|---|\n", o.machine)
	for _, f := range figures {
		fmt.Fprintf(o.stdout, "| %s | %s | %s |\n", f.What, f, f.Goal)
	}
	if o.file == "" {
		return nil
	}
	text, err := json.MarshalIndent(struct {
		Machine machine  `json:"machine"`
		Figures []figure `json:"figures"`
	}{o.machine, figures}, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(o.file, append(text, '\n'), 0o666)
}

package view

import (
	"math"
	"strconv"
	"time"

	"jobhub/jobs"
)

// A chart is drawn in a box of fixed units that the browser stretches to its place;
// texts stand outside the drawing, so that they are not stretched with it.
const (
	chartSpan   = 15 * time.Minute
	chartBars   = 90
	chartWidth  = 900
	chartHeight = 160
	sparkSpan   = 5 * time.Minute
	sparkBars   = 30
)

// bars is a histogram: two paths, failed standing on succeeded.
type bars struct {
	Succeeded, Failed string
	Top               float64 // per second, at the upper edge
	Known             bool
}

// histogram draws the last n buckets of s, merged by the given factor, into a box.
func histogram(s Series, n, merge int, width, height float64, top func(float64) float64) bars {
	var out bars
	if len(s.Buckets) == 0 || s.Step <= 0 || merge < 1 {
		return out
	}
	merged := make([]Bucket, n)
	most := 0
	first := n // the first bucket about which something is known
	for i := range s.Buckets {
		// Counted from the newest, so that buckets keep their company from render to render.
		k := n - 1 - i/merge
		if k < 0 {
			break
		}
		b := s.Buckets[len(s.Buckets)-1-i]
		merged[k].Succeeded += b.Succeeded
		merged[k].Failed += b.Failed
		most = max(most, merged[k].Succeeded+merged[k].Failed)
		first = k
	}
	seconds := (s.Step * time.Duration(merge)).Seconds()
	out.Known = true
	out.Top = top(float64(most) / seconds)
	scale := height / (out.Top * seconds)
	step := width / float64(n)
	bar := step * 0.72
	var done, failed []byte
	for k := first; k < n; k++ {
		x, y := float64(k)*step, height
		if c := merged[k].Succeeded; c > 0 {
			h := math.Max(float64(c)*scale, 1)
			done = appendBar(done, x, y-h, bar, h)
			y -= h
		}
		if c := merged[k].Failed; c > 0 {
			h := math.Max(float64(c)*scale, 2)
			y = math.Max(y, h) // a failure is visible even on a bar that fills the box
			failed = appendBar(failed, x, y-h, bar, h)
		}
	}
	out.Succeeded, out.Failed = string(done), string(failed)
	return out
}

func appendBar(b []byte, x, y, w, h float64) []byte {
	b = appendCoord(append(b, 'M'), x)
	b = appendCoord(append(b, ' '), y)
	b = appendCoord(append(b, 'h'), w)
	b = appendCoord(append(b, 'v'), h)
	b = appendCoord(append(b, 'h'), -w)
	return append(b, 'z')
}

func appendCoord(b []byte, f float64) []byte {
	return strconv.AppendFloat(b, math.Round(f*10)/10, 'f', -1, 64)
}

// roundTop is the next of 1, 2, 5, 10 … at or above v, so that the scale changes
// seldom and its middle is a number one can say.
func roundTop(v float64) float64 {
	if v <= 0 {
		return 1
	}
	p := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 2, 5} {
		if v <= m*p*(1+1e-9) {
			return m * p
		}
	}
	return 10 * p
}

// tick writes a number of the scale.
func tick(v float64) string {
	if v >= 1000 {
		return count(int64(v))
	}
	return number(v)
}

func tightTop(v float64) float64 {
	if v <= 0 {
		return 1
	}
	return v
}

func (s Series) chart() bars {
	if s.Step <= 0 {
		return bars{}
	}
	merge := max(1, int(chartSpan/chartBars/s.Step))
	return histogram(s, chartBars, merge, chartWidth, chartHeight, roundTop)
}

func (s Series) spark(width, height float64) bars {
	if s.Step <= 0 {
		return bars{}
	}
	return histogram(s, sparkBars, max(1, int(sparkSpan/sparkBars/s.Step)), width, height, tightTop)
}

// rates are the newest full picture of the series: the mean over its last half minute.
func (s Series) rates() (succeeded, failed float64, known bool) {
	n := min(len(s.Buckets), max(1, int(30*time.Second/max(s.Step, time.Second))))
	if n == 0 || s.Step <= 0 {
		return 0, 0, false
	}
	for _, b := range s.Buckets[len(s.Buckets)-n:] {
		succeeded += float64(b.Succeeded)
		failed += float64(b.Failed)
	}
	seconds := (s.Step * time.Duration(n)).Seconds()
	return succeeded / seconds, failed / seconds, true
}

// only is the series of one outcome.
func (s Series) only(state jobs.State) Series {
	out := Series{End: s.End, Step: s.Step, Buckets: make([]Bucket, len(s.Buckets))}
	for i, b := range s.Buckets {
		if state == jobs.Failed {
			out.Buckets[i].Failed = b.Failed
		} else {
			out.Buckets[i].Succeeded = b.Succeeded
		}
	}
	return out
}

// summary says in words what the chart shows.
func (s Series) summary() string {
	var total Bucket
	for _, b := range s.Buckets {
		total.Succeeded += b.Succeeded
		total.Failed += b.Failed
	}
	return "In the last " + span(s.Step*time.Duration(len(s.Buckets))) + " " + count(int64(total.Succeeded)) + " jobs succeeded and " + count(int64(total.Failed)) + " failed."
}

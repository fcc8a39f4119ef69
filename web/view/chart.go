package view

import (
	"cmp"
	"math"
	"strconv"
	"time"
)

// A chart is drawn in a box of fixed units, which the browser stretches. Texts are outside the
// drawing, so that they are not stretched with it.
const (
	chartSpan   = 15 * time.Minute // unless a series says otherwise
	chartBars   = 60               // at most
	chartWidth  = 900
	chartHeight = 200
	sparkSpan   = 5 * time.Minute
	sparkBars   = 20
	traceLeast  = 4 // smallest number of steps for a line
)

// Series counts finished jobs, oldest bucket first. It may be shorter than the time of the
// chart; the time before it is not known and stays blank.
type Series struct {
	End     time.Time // end of the last bucket
	Step    time.Duration
	Buckets []Bucket
	Most    time.Duration // that a chart shows; 15 minutes if zero
}

// Bucket counts the jobs that were accepted and that ended within one step.
type Bucket struct{ In, Succeeded, Failed int }

// bars is a histogram of two paths: failed on top of succeeded.
type bars struct {
	Succeeded, Failed string
	Top               float64 // per second, at the upper edge
	Known             bool
}

// histogram draws the last n bars of s, each of merge buckets, into a box. The bars begin at
// multiples of their length, so that each rendering merges the same buckets; the last bar
// may still be growing.
func histogram(s Series, n, merge int, width, height float64, top func(float64) float64) bars {
	var out bars
	if len(s.Buckets) == 0 || s.Step <= 0 || merge < 1 {
		return out
	}
	merged, first := s.merged(n, merge)
	most := 0
	for _, b := range merged {
		most = max(most, b.Succeeded+b.Failed)
	}
	seconds := (s.Step * time.Duration(merge)).Seconds()
	out.Known = true
	out.Top = top(float64(most) / seconds)
	scale := height / (out.Top * seconds)
	step := width / float64(n)
	bar := step * 0.72
	done, failed := skyline{thin: height < 50}, skyline{thin: height < 50}
	for k := first; k < n; k++ {
		x, y := float64(k)*step, height
		if c := merged[k].Succeeded; c > 0 {
			h := math.Max(float64(c)*scale, 1)
			done.add(x, y, bar, h)
			y -= h
		}
		if c := merged[k].Failed; c > 0 {
			h := math.Max(float64(c)*scale, 2)
			y = math.Max(y, h) // a failure is visible even on a bar that fills the box
			failed.add(x, y, bar, h)
		}
	}
	out.Succeeded, out.Failed = string(done.path), string(failed.path)
	return out
}

// skyline is the shortest path for a row of bars. Wide bars are outlines, joined along the
// base line; thin bars are lines through their middles, in whole numbers, drawn with a pen of
// their width.
type skyline struct {
	thin bool
	path []byte
	x, y float64 // where it ended
}

// add draws a bar with its foot at y.
func (l *skyline) add(x, y, w, h float64) {
	if l.thin {
		x, y, h = math.Round(x)+2, math.Round(y), math.Round(h)
		if l.path == nil {
			l.path = appendCoord(append(l.path, 'M'), x)
			l.path = appendCoord(append(l.path, ' '), y)
		} else {
			l.path = appendCoord(append(l.path, 'm'), x-l.x)
			if d := y - l.y; d >= 0 {
				l.path = append(l.path, ' ')
			}
			l.path = appendCoord(l.path, y-l.y)
		}
		l.path = appendCoord(append(l.path, 'v'), -h)
		l.x, l.y = x, y-h
		return
	}
	x0, x1, top := l.round(x), l.round(x+w), l.round(y-h)
	y = l.round(y)
	switch {
	case len(l.path) == 0 || y != l.y:
		l.path = appendCoord(append(l.path, 'M'), x0)
		l.path = appendCoord(append(l.path, ' '), y)
	case x0 != l.x:
		l.path = appendCoord(append(l.path, 'h'), x0-l.x)
	}
	l.path = appendCoord(append(l.path, 'v'), top-y)
	l.path = appendCoord(append(l.path, 'h'), x1-x0)
	l.path = appendCoord(append(l.path, 'v'), y-top)
	l.x, l.y = x1, y
}

func (*skyline) round(f float64) float64 { return math.Round(f*10) / 10 }

// merged returns the last n bars, each of merge buckets, and the index of the first bar with
// data.
func (s Series) merged(n, merge int) (merged []Bucket, first int) {
	merged, first = make([]Bucket, n), n
	growing := s.growing(merge)
	for i := range s.Buckets {
		k := n - 1
		if i >= growing {
			k -= 1 + (i-growing)/merge
		}
		if k < 0 {
			break
		}
		b := s.Buckets[len(s.Buckets)-1-i]
		merged[k].In += b.In
		merged[k].Succeeded += b.Succeeded
		merged[k].Failed += b.Failed
		first = k
	}
	return merged, first
}

// trace is a line through one number in the last five minutes, or since it is known, without
// the step that is still growing; and the area below it. Both are empty while there is too
// little data, or if nothing happened.
func (s Series) trace(of func(Bucket) int, width, height float64) (line, area string) {
	if s.Step <= 0 || len(s.Buckets) == 0 {
		return "", ""
	}
	merged, first := s.merged(sparkBars+1, max(1, int(sparkSpan/sparkBars/s.Step)))
	merged = merged[:sparkBars]
	if first > sparkBars-traceLeast {
		return "", ""
	}
	most := 0
	for _, b := range merged {
		most = max(most, of(b))
	}
	if most == 0 {
		return "", ""
	}
	var b []byte
	for i := first; i < sparkBars; i++ {
		b = append(b, "ML"[min(i-first, 1)])
		b = appendCoord(b, width*float64(i-first)/float64(sparkBars-1-first))
		b = append(b, ' ')
		b = appendCoord(b, height-1-(height-2)*float64(of(merged[i]))/float64(most))
	}
	line = string(b)
	b = appendCoord(append(b, 'V'), height)
	return line, string(append(b, "H0Z"...))
}

func ofIn(b Bucket) int        { return b.In }
func ofSucceeded(b Bucket) int { return b.Succeeded }
func ofFailed(b Bucket) int    { return b.Failed }

func appendCoord(b []byte, f float64) []byte {
	return strconv.AppendFloat(b, math.Round(f*10)/10, 'f', -1, 64)
}

// roundTop is a round number a little above v, whose half is round, too, and which stays the
// same while v changes little.
func roundTop(v float64) float64 {
	if v <= 0 {
		return 1
	}
	p := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 1.2, 1.6, 2, 3, 4, 6, 8} {
		if v <= m*p*(1+1e-9) {
			return m * p
		}
	}
	return 10 * p
}

// tick writes a number at the scale.
func tick(v float64) string {
	if v >= 1000 {
		return count(int64(v))
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

func tightTop(v float64) float64 {
	if v <= 0 {
		return 1
	}
	return v
}

// growing is the number of the newest buckets that make up the last bar, 1 to merge.
func (s Series) growing(merge int) int {
	last := s.End.Add(-1).UnixNano() / int64(s.Step) // its number since 1970
	return int(last%int64(merge)) + 1
}

// chart is a histogram of the known part of a series, and its time.
type chart struct {
	bars
	Span  time.Duration
	Ticks []tickMark
}

// tickMark is a full minute on the axis of time.
type tickMark struct {
	At time.Time
	X  float64 // 0 to 1
}

func (s Series) chart() chart {
	if s.Step <= 0 || len(s.Buckets) == 0 {
		return chart{}
	}
	most := cmp.Or(s.Most, chartSpan)
	known := min(most, max(most*2/15, s.Step*time.Duration(len(s.Buckets))))
	merge := 1
	for s.Step*time.Duration(merge*chartBars) < known {
		merge++
	}
	bar := s.Step * time.Duration(merge)
	end := s.End.Add(bar - s.Step*time.Duration(s.growing(merge)))
	n := int((known + bar - 1) / bar)
	c := chart{bars: histogram(s, n, merge, chartWidth, chartHeight, roundTop), Span: bar * time.Duration(n)}
	every := tickSteps[0]
	for _, step := range tickSteps {
		if c.Span/step >= 2 {
			every = step
		}
	}
	for at := end.Truncate(every); ; at = at.Add(-every) {
		x := 1 - float64(end.Sub(at))/float64(c.Span)
		if x < 0.02 {
			return c
		}
		if x < 0.98 { // at the edges there is no room for its text
			c.Ticks = append(c.Ticks, tickMark{at, x})
		}
	}
}

// tickSteps are the distances of the marks on the axis of time.
var tickSteps = []time.Duration{time.Minute, 2 * time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour, 2 * time.Hour, 6 * time.Hour}

// grid is the lines behind the bars.
func (c chart) grid() string {
	b := []byte("M0 .5H900M0 100H900M0 199.5H900")
	for _, t := range c.Ticks {
		b = appendCoord(append(b, 'M'), t.X*chartWidth)
		b = append(b, " 200v6"...)
	}
	return string(b)
}

// lasts says how far back the chart reaches.
func (c chart) lasts() string {
	if c.Span > 90*time.Minute {
		return plural(int64(c.Span.Round(time.Hour)/time.Hour), "hour", "hours")
	}
	return plural(int64(c.Span.Round(time.Minute)/time.Minute), "minute", "minutes")
}

func (s Series) spark(width, height float64) bars {
	if s.Step <= 0 {
		return bars{}
	}
	return histogram(s, sparkBars, max(1, int(sparkSpan/sparkBars/s.Step)), width, height, tightTop)
}

// rates are the means over the last half minute of the series.
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

// summary describes the chart in words.
func (s Series) summary() string {
	var total Bucket
	for _, b := range s.Buckets[max(0, len(s.Buckets)-int(cmp.Or(s.Most, chartSpan)/max(1, s.Step))):] {
		total.Succeeded += b.Succeeded
		total.Failed += b.Failed
	}
	return "In the last " + span(s.Step*time.Duration(len(s.Buckets))) + " " + count(int64(total.Succeeded)) + " jobs succeeded and " + count(int64(total.Failed)) + " failed."
}

package view

import (
	"math"
	"strings"
	"time"
)

// Times is how long jobs waited and ran, oldest first.
type Times struct {
	End    time.Time
	Step   time.Duration
	Points []Quantiles
}

// Quantiles are those of one step; negative if not known.
type Quantiles struct{ Wait50, Wait95, Run50, Run95 time.Duration }

// timesLeast is the lower edge of the scale, which is logarithmic.
const timesLeast = time.Millisecond

// timesTops are its possible upper edges, all round times.
var timesTops = []time.Duration{100 * time.Millisecond, time.Second, 10 * time.Second, time.Minute, 10 * time.Minute, time.Hour, 24 * time.Hour}

type timesChart struct {
	Wait, Run string // paths
	Top       time.Duration
	Newest    Quantiles
	Known     bool
	First     int // the first point with data
}

// chart draws the steps into a box that is span wide.
func (t Times) chart(span time.Duration) (c timesChart) {
	c.Newest = Quantiles{-1, -1, -1, -1}
	most := 10 * time.Millisecond
	c.First = -1
	for i, p := range t.Points {
		if p.Wait95 < 0 && p.Run95 < 0 {
			continue
		}
		if c.First < 0 {
			c.First = i
		}
		c.Known, c.Newest = true, p
		most = max(most, p.Wait95, p.Run95)
	}
	if !c.Known {
		return c
	}
	for _, c.Top = range timesTops {
		if c.Top >= most {
			break
		}
	}
	at := func(i int) float64 { // where step i begins
		return max(0, chartWidth*(1-float64(t.Step)*float64(len(t.Points)-i)/float64(max(1, span))))
	}
	line := func(of func(Quantiles) time.Duration) string {
		var b []byte
		drawn := false
		for i, p := range t.Points {
			d := of(p)
			if d < 0 || at(i+1) == 0 {
				drawn = false
				continue
			}
			y := chartHeight * (1 - math.Log10(min(max(1, float64(d)/float64(timesLeast)), float64(c.Top)/float64(timesLeast)))/math.Log10(float64(c.Top)/float64(timesLeast)))
			if drawn {
				b = appendCoord(append(b, 'V'), y)
			} else {
				b = appendCoord(append(b, 'M'), at(i))
				b = appendCoord(append(b, ' '), y)
			}
			b = appendCoord(append(b, 'H'), at(i+1))
			drawn = true
		}
		return string(b)
	}
	c.Wait = line(func(q Quantiles) time.Duration { return q.Wait95 })
	c.Run = line(func(q Quantiles) time.Duration { return q.Run95 })
	return c
}

// edge writes a round time of the scale.
func edge(d time.Duration) string {
	return strings.NewReplacer(".0 s", " s", " min 0 s", " min", "1 h 0 min", "1 h", "1 d 0 h", "1 d").Replace(span(d))
}

// middle is the time at half of the height.
func (c timesChart) middle() time.Duration {
	return time.Duration(math.Sqrt(float64(c.Top) * float64(timesLeast)))
}

func (c timesChart) spanText(t Times) string {
	return span(time.Duration(len(t.Points)-c.First) * t.Step)
}

func (c timesChart) summary(t Times) string {
	return "Latency in the last " + c.spanText(t) + ". Newest values: 95th percentile wait " + span(c.Newest.Wait95) + ", run " + span(c.Newest.Run95) +
		"; median wait " + span(c.Newest.Wait50) + ", run " + span(c.Newest.Run50) + "."
}

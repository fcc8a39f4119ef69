package view

import (
	"math"
	"strconv"
	"strings"
	"time"

	"jobhub/hub/quantile"
)

// delayChart is a histogram of the known part of m.Delays.
type delayChart struct {
	Bars    []delayBar
	Top     int64 // deliveries at the upper edge; even
	Summary string
}

type delayBar struct{ Path, Label string }

func (m HubModel) delays() (c delayChart) {
	first, last := -1, -1
	var most, total int64
	var counts []int64
	for i, d := range m.Delays {
		counts = append(counts, d.N)
		if d.N > 0 {
			if first < 0 {
				first = i
			}
			last = i
		}
		most, total = max(most, d.N), total+d.N
	}
	if first < 0 {
		return c
	}
	c.Top = max(2, int64(roundTop(float64(most))))
	for _, d := range m.Delays[first : last+1] {
		h := 100 * float64(d.N) / float64(c.Top)
		if d.N > 0 {
			h = math.Max(h, 1)
		}
		c.Bars = append(c.Bars, delayBar{string(appendBar(nil, 0, 100-h, 10, h)), fine(d.Most)})
	}
	within := func(q float64) string {
		i, _ := quantile.Step(counts, q)
		return fine(m.Delays[i].Most)
	}
	c.Summary = "Of " + count(total) + " deliveries: median up to " + within(.5) + ", 99th percentile up to " + within(.99) + "."
	return c
}

func appendBar(b []byte, x, y, w, h float64) []byte {
	b = appendCoord(append(b, 'M'), x)
	b = appendCoord(append(b, ' '), y)
	b = appendCoord(append(b, 'h'), w)
	b = appendCoord(append(b, 'v'), h)
	b = appendCoord(append(b, 'h'), -w)
	return append(b, 'z')
}

// fine writes a duration, also one below a millisecond.
func fine(d time.Duration) string {
	switch {
	case d <= 0:
		return "more"
	case d < time.Millisecond:
		return strconv.Itoa(int(d/time.Microsecond)) + " µs"
	case d < 10*time.Millisecond:
		return strings.TrimSuffix(strconv.FormatFloat(d.Seconds()*1000, 'f', 1, 64), ".0") + " ms"
	}
	return span(d)
}

package view

import "jobhub/jobs"

// filling is how full something is, drawn in a box 100 wide.
type filling struct {
	Width string
	Class string // "", "hot" from three quarters, "full"
	Text  string // "604 of 720"
}

func filled(n, most int64) filling {
	share := 100 * float64(n) / float64(max(1, most))
	f := filling{Text: count(n) + " of " + count(most), Width: coord(min(100, max(share, least(n))))}
	switch {
	case n >= most:
		f.Class = "full"
	case share >= 75:
		f.Class = "hot"
	}
	return f
}

// least is what can be seen of a little.
func least(n int64) float64 {
	if n > 0 {
		return 2
	}
	return 0
}

// capacity is how full the queue is. Only one with a capacity has it.
func (q Queue) capacity() filling { return filled(q.Backlog(), int64(q.Settings.Capacity)) }

// busy is how many slots are taken: many is good, so that it is never hot.
func (o Overview) busy() (f filling, known bool) {
	n := o.total(jobs.Running)
	if o.Slots == 0 || n > int64(o.Slots) { // other programs of the hub run some
		return f, false
	}
	f = filled(n, int64(o.Slots))
	f.Class = ""
	return f, true
}

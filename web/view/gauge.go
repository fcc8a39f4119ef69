package view

import "jobhub/jobs"

// filling is a bar that shows how full something is, in a box 100 wide.
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

// least makes a small part above 0 wide enough to be visible.
func least(n int64) float64 {
	if n > 0 {
		return 2
	}
	return 0
}

// capacity is how full a queue with a capacity is.
func (q Queue) capacity() filling { return filled(q.Backlog(), int64(q.Settings.Capacity)) }

// busy is how many slots are taken. Many are good, so it is never hot.
func (o Overview) busy() (f filling, known bool) {
	n := o.total(jobs.Running)
	if o.Slots == 0 || n > int64(o.Slots) { // other programs of the hub run some
		return f, false
	}
	f = filled(n, int64(o.Slots))
	f.Class = ""
	return f, true
}

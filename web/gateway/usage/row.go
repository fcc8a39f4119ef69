package usage

import "math"

// series is what calls have in common that are counted together. Its words may be empty.
type series struct {
	consumer, api, version, route, model string
	status                               uint16
}

// row is what was counted of one series in some time.
type row struct {
	in, out, cost int64
	bins          bins
}

// add adds what another row has.
func (r *row) add(o *row) {
	r.in, r.out, r.cost = sum(r.in, o.in), sum(r.out, o.out), sum(r.cost, o.cost)
	if r.bins == nil {
		r.bins = append(r.bins, o.bins...)
		return
	}
	for _, b := range o.bins {
		r.bins = r.bins.add(b.bucket(), b.count())
	}
}

// sum adds numbers that are not negative; at the most MaxInt64.
func sum(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

// table is what was counted in some time for one tenant.
type table map[series]*row

func (t table) add(s series, r *row) {
	own := t[s]
	if own == nil {
		own = &row{}
		t[s] = own
	}
	own.add(r)
}

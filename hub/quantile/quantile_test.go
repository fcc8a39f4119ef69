package quantile

import "testing"

func TestStep(t *testing.T) {
	for _, c := range []struct {
		counts []int64
		q      float64
		index  int
		part   float64
	}{
		{nil, .5, -1, 0}, {[]int64{0, 0}, .5, -1, 0}, {[]int64{0, 4, 0}, .5, 1, .5}, {[]int64{2, 2}, .5, 0, 1}, {[]int64{2, 2}, .75, 1, .5},
		{[]int64{0, 1, 0, 1, 0}, 1, 3, 1}, {[]int64{19, 1}, .95, 0, 1}, {[]int64{98, 1, 1}, .99, 1, 1},
	} {
		if index, part := Step(c.counts, c.q); index != c.index || part != c.part {
			t.Errorf("quantile %g of %v is in step %d at %g, want %d at %g", c.q, c.counts, index, part, c.index, c.part)
		}
	}
}

func TestOf(t *testing.T) {
	for _, c := range []struct {
		sorted []int
		q      float64
		want   int
	}{{[]int{7}, .5, 7}, {[]int{7}, .95, 7}, {[]int{1, 2}, .5, 1}, {[]int{1, 2, 3}, .5, 2}, {[]int{1, 2}, 0, 1}, {[]int{1, 2}, 1, 2}, {[]int{1, 2, 3}, .95, 3}} {
		if got := Of(c.sorted, c.q); got != c.want {
			t.Errorf("quantile %g of %v is %d, want %d", c.q, c.sorted, got, c.want)
		}
	}
}

package upstream

import (
	"fmt"
	"math"
	"strconv"
	"testing"
	"time"
)

// chosen counts which members get n requests, with the key that key returns.
func chosen(t *testing.T, p *Pool, n int, key func(i int) string) map[string]int {
	got := map[string]int{}
	for i := range n {
		m, pass, err := p.choose(key(i), time.Now(), nil)
		if err != nil {
			t.Fatal(err)
		}
		m.report(pass, Success, "", time.Now())
		got[m.name]++
	}
	return got
}

func weighted(t *testing.T, weights ...int) (all []Member) {
	for i, w := range weights {
		all = append(all, Member{parse(t, fmt.Sprintf("http://10.0.0.%d:9000", i+1)), w})
	}
	return all
}

// TestShares: members get requests by weight, with keys and without: within 5 standard
// deviations.
func TestShares(t *testing.T) {
	const n = 20000
	for _, weights := range [][]int{{1}, {9, 1}, {1, 1, 1}, {100, 50, 0, 1}, {0, 3, 0, 1}} {
		for name, key := range map[string]func(int) string{
			"random":      func(int) string { return "" },
			"consumers":   func(i int) string { return "consumer-" + strconv.Itoa(i) },
			"tiny change": func(i int) string { return strconv.Itoa(i) },
		} {
			t.Run(fmt.Sprint(weights, name), func(t *testing.T) {
				all := weighted(t, weights...)
				got := chosen(t, newPool(t, Options{Members: all}), n, key)
				sum := 0
				for _, w := range weights {
					sum += w
				}
				for i, m := range all {
					share := float64(weights[i]) / float64(sum)
					want, deviation := n*share, math.Sqrt(n*share*(1-share))
					if math.Abs(float64(got[m.URL.String()])-want) > 5*deviation {
						t.Errorf("weight %d got %d of %d requests, want %.0f", weights[i], got[m.URL.String()], n, want)
					}
				}
			})
		}
	}
}

// TestStickiness: a key keeps its member when others join, leave or change their weight, unless
// its own member is concerned.
func TestStickiness(t *testing.T) {
	const keys = 5000
	place := func(weights ...int) (all []string) {
		p := newPool(t, Options{Members: weighted(t, weights...)})
		for i := range keys {
			m, _, err := p.choose("key"+strconv.Itoa(i), time.Now(), nil)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, m.name)
		}
		return all
	}
	first := "http://10.0.0.1:9000"
	for name, c := range map[string]struct {
		before, after []int
		member        string  // the one that changes
		gains         bool    // else it loses
		share         float64 // of keys that move
	}{
		"joins":      {[]int{1, 1, 1}, []int{1, 1, 1, 1}, "http://10.0.0.4:9000", true, 1. / 4},
		"drained":    {[]int{1, 1, 1, 1}, []int{0, 1, 1, 1}, first, false, 1. / 4},
		"heavier":    {[]int{1, 3}, []int{3, 3}, first, true, 1./2 - 1./4},
		"lighter":    {[]int{9, 1}, []int{1, 1}, first, false, 9./10 - 1./2},
		"not at all": {[]int{9, 1}, []int{9, 1}, first, true, 0},
	} {
		t.Run(name, func(t *testing.T) {
			before, after := place(c.before...), place(c.after...)
			moved := 0
			for i := range keys {
				if before[i] == after[i] {
					continue
				}
				moved++
				if c.gains && after[i] != c.member || !c.gains && before[i] != c.member {
					t.Fatalf("a key moved from %s to %s, but only %s changed", before[i], after[i], c.member)
				}
			}
			if got := float64(moved) / keys; math.Abs(got-c.share) > .035 {
				t.Errorf("%.3f of the keys moved, want %.3f", got, c.share)
			}
		})
	}
}

// TestSameEverywhere: keys have the same member on every node and after every restart.
func TestSameEverywhere(t *testing.T) {
	p := newPool(t, Options{Members: weighted(t, 1, 1, 1)})
	got := ""
	for i := range 16 {
		m, _, _ := p.choose("k"+strconv.Itoa(i), time.Now(), nil)
		got += m.name[len("http://10.0.0."):][:1]
	}
	if want := "2121323121222332"; got != want {
		t.Errorf("keys went to %s, want %s: a new version must not move them", got, want)
	}
}

// TestStickyMoves: while a member is ill, its keys move to others, each one to the same; then
// they come back.
func TestStickyMoves(t *testing.T) {
	p := newPool(t, Options{Members: weighted(t, 1, 1, 1)})
	find := func(i int) string {
		m, _, err := p.choose("k"+strconv.Itoa(i), time.Now(), nil)
		if err != nil {
			t.Fatal(err)
		}
		return m.name
	}
	before := make([]string, 300)
	for i := range before {
		before[i] = find(i)
	}
	ill := p.members[1]
	ill.state.checked("down", time.Now())
	ill.state.checked("down", time.Now())
	for i, was := range before {
		now := find(i)
		if was != ill.name && now != was || now == ill.name || now != find(i) {
			t.Fatalf("key %d went from %s to %s", i, was, now)
		}
	}
	ill.state.checked("", time.Now())
	ill.state.checked("", time.Now())
	for i, was := range before {
		if now := find(i); now != was {
			t.Fatalf("key %d did not come back to %s", i, was)
		}
	}
}

func TestDrained(t *testing.T) {
	p := newPool(t, Options{Members: weighted(t, 0, 0)})
	_, _, err := do(t, p, request(t, "GET", "/", ""))
	unavailable(t, err)
	_, _, err = do(t, newPool(t, Options{}), request(t, "GET", "/", ""))
	unavailable(t, err)
}

package usage_test

import (
	"context"
	"testing"
	"time"

	"pgregory.net/rapid"

	"jobhub/web/gateway/usage"
)

// TestModel: whatever is recorded, stored, restarted, and whenever the store fails, with its
// change applied or not, answers equal those of a model that looks at each call.
func TestModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) { checkModel(t, rt) })
}

func checkModel(t *testing.T, rt *rapid.T) {
	ctx := context.Background()
	store := newStore()
	options := usage.Options{Store: store, Minutes: 12 * time.Hour}
	u := open(t, options)
	defer func() { u.Close(ctx) }()
	clock := time.Now().UTC().Truncate(24 * time.Hour).Add(-20 * 24 * time.Hour)
	var all []entry
	moves := 0
	word := func(of ...string) string { return rapid.SampledFrom(of).Draw(rt, "word") }
	rt.Repeat(map[string]func(*rapid.T){
		"record": func(rt *rapid.T) {
			now := clock.Add(-time.Duration(rapid.SampledFrom([]int{0, 0, 0, 60}).Draw(rt, "clock set back")) * time.Minute)
			if moves++; moves > 7 {
				u.Flush(ctx, now)
				moves = 0
			}
			for range rapid.IntRange(1, 20).Draw(rt, "calls") {
				c := usage.Call{Tenant: word("acme", "shop"), Consumer: word("", "k1", "k2", "jwt:corp:ann"), API: word("", "orders"), Version: word("v1", "v2"),
					Route: word("/a", "/b/{id}"), Model: word("", "x/y"), Status: rapid.SampledFrom([]int{0, 200, 204, 404, 500, 503}).Draw(rt, "status"),
					Took: time.Duration(rapid.Int64Range(0, int64(2*time.Hour)).Draw(rt, "took")),
					In:   rapid.Int64Range(0, 1<<40).Draw(rt, "in"), Out: rapid.Int64Range(0, 1<<40).Draw(rt, "out"), Cost: rapid.Int64Range(0, 1<<40).Draw(rt, "cost")}
				u.Record(now, c)
				all = append(all, entry{now, c})
			}
		},
		"time passes": func(rt *rapid.T) {
			minutes := rapid.SampledFrom([]int{5, 55, 60, 300, 1440}).Draw(rt, "minutes")
			clock = clock.Add(time.Duration(minutes) * time.Minute)
		},
		"flush": func(rt *rapid.T) {
			fail := rapid.IntRange(0, 5).Draw(rt, "the put that fails")
			applied := rapid.Bool().Draw(rt, "applied")
			begin := store.puts
			store.fails = func(put int) (bool, error) {
				if put-begin == fail {
					return applied, errStore
				}
				return true, nil
			}
			u.Flush(ctx, clock)
			store.fails, moves = nil, 0
		},
		"restart": func(rt *rapid.T) {
			if err := u.Close(ctx); err != nil {
				rt.Fatal(err)
			}
			u, moves = open(t, options), 0
		},
		"another process": func(rt *rapid.T) {
			now := clock
			other := open(t, options)
			c := usage.Call{Tenant: "acme", Consumer: "k9", Took: time.Second}
			other.Record(now, c)
			if err := other.Close(ctx); err != nil {
				rt.Fatal(err)
			}
			all = append(all, entry{now, c})
			u.Record(now, c) // the conflict shows what the other has stored
			all = append(all, entry{now, c})
			if err := u.Flush(ctx, now); err != nil {
				rt.Fatal(err)
			}
		},
		"": func(rt *rapid.T) {
			now := clock
			q := usage.Question{Scope: usage.Scope{Tenant: word("acme", "shop")}}
			for _, w := range usage.Words {
				if rapid.Bool().Draw(rt, w) {
					q.By = append(q.By, w)
				}
			}
			if rapid.Bool().Draw(rt, "own") {
				q.Own, q.Consumer = true, word("k1", "k9", "")
			}
			q.Step = rapid.SampledFrom([]time.Duration{0, time.Minute, time.Hour, 24 * time.Hour}).Draw(rt, "step")
			limit := 15 * 24 * 60
			if q.Step == time.Minute {
				limit = 11 * 60
			}
			q.From = now.Add(-time.Duration(rapid.IntRange(0, limit).Draw(rt, "from")) * time.Minute)
			q.To = q.From.Add(time.Duration(rapid.IntRange(1, limit).Draw(rt, "to")) * time.Minute)
			a, err := u.Ask(ctx, now, q)
			if err != nil {
				rt.Fatal(err)
			}
			moves = 0
			if a.From.After(q.From) || a.To.Before(q.To) {
				rt.Fatalf("%v to %v asked, %v to %v answered", q.From, q.To, a.From, a.To)
			}
			sameRows(rt, a.Rows, naive(all, q, a.From, a.To))
		},
	})
}

package usage_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"jobhub/jobs"
	"jobhub/web/gateway/usage"
)

// TestPercentiles: of durations of any size and distribution they are within 2 %.
func TestPercentiles(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	now := time.Now()
	for name, took := range map[string]func() time.Duration{
		"even, short":  func() time.Duration { return time.Duration(random.IntN(100_000)) },
		"even, long":   func() time.Duration { return time.Duration(random.Int64N(int64(24 * time.Hour))) },
		"log-normal":   func() time.Duration { return time.Duration(5e6 * math.Exp(random.NormFloat64())) },
		"two peaks":    func() time.Duration { return []time.Duration{time.Millisecond, time.Minute}[random.IntN(2)] },
		"all the same": func() time.Duration { return 1234567 },
		"none":         func() time.Duration { return 0 },
	} {
		for _, n := range []int{1, 2, 19, 1000} {
			u := open(t, usage.Options{})
			var all []entry
			for range n {
				c := usage.Call{Tenant: "acme", Status: 200, Took: took()}
				u.Record(now, c)
				all = append(all, entry{now, c})
			}
			t.Log(name, n)
			q := usage.Question{Scope: usage.Scope{Tenant: "acme"}}
			a, err := u.Ask(t.Context(), now, q)
			if err != nil {
				t.Fatal(err)
			}
			sameRows(t, total(t, u, now, "acme"), naive(all, q, now.Add(-240*time.Hour).Truncate(time.Hour), now.Add(time.Hour)))
			if a.Rows[0].Count != uint64(n) {
				t.Fatal(a.Rows)
			}
		}
	}
}

// TestParallel: calls that are recorded in parallel, while questions are asked and what was
// counted is stored, are all counted once, and tenants are never mixed.
func TestParallel(t *testing.T) {
	store := newStore()
	u := open(t, usage.Options{Store: store})
	now := time.Now()
	const callers, each = 8, 2000
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			for j := range each {
				u.Record(now, usage.Call{Tenant: []string{"acme", "shop"}[i%2], Consumer: fmt.Sprint("k", i%2, j%20), Status: 200, In: 1, Cost: int64(i)})
			}
		})
	}
	for range 3 {
		wg.Go(func() {
			if err := u.Flush(context.Background(), now); err != nil {
				t.Error(err)
			}
			total(t, u, now, "acme", "consumer")
		})
	}
	wg.Wait()
	for _, tenant := range []string{"acme", "shop"} {
		rows := total(t, u, now, tenant, "consumer")
		if len(rows) != 20 || countOf(rows) != callers/2*each {
			t.Errorf("%s: %d calls of %d consumers", tenant, countOf(rows), len(rows))
		}
		for _, row := range rows {
			if want := map[string]string{"acme": "k0", "shop": "k1"}[tenant]; !strings.HasPrefix(row.Words[0], want) {
				t.Errorf("%s has calls of %s", tenant, row.Words[0])
			}
		}
	}
	if rows := total(t, u, now, "other"); len(rows) != 0 {
		t.Error(rows)
	}
}

// TestCrash: a process that dies loses what was counted since the last flush, at most 10
// seconds, and nothing else.
func TestCrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newStore()
		u := usage.Open(usage.Options{Store: store})
		for i := range 100 {
			u.Record(time.Now(), usage.Call{Status: 200, In: int64(i)})
			time.Sleep(time.Second)
		}
		synctest.Wait()
		store.mu.Lock()
		store.fails = func(int) (bool, error) { return false, errStore } // dead
		store.mu.Unlock()
		u.Close(t.Context())
		store.fails = nil

		u = usage.Open(usage.Options{Store: store})
		defer u.Close(t.Context())
		if n := countOf(total(t, u, time.Now(), jobs.DefaultTenant)); n < 90 || n > 100 {
			t.Errorf("%d of 100 calls are left", n)
		}
	})
}

// TestStoreFails: while the store fails nothing is lost, and afterwards nothing is counted
// twice, whether the changes that failed were applied or not.
func TestStoreFails(t *testing.T) {
	for _, applied := range []bool{false, true} {
		store := newStore()
		u := open(t, usage.Options{Store: store})
		now := time.Now()
		for round := range 5 {
			u.Record(now, usage.Call{Status: 200})
			store.fails = func(int) (bool, error) { return applied, errStore }
			if round == 4 {
				store.fails = nil
			}
			if err := u.Flush(t.Context(), now); (err != nil) != (round < 4) {
				t.Fatal(round, err)
			}
			if n := countOf(total(t, u, now, jobs.DefaultTenant)); n != uint64(round+1) {
				t.Fatalf("applied %v, round %d: %d calls", applied, round, n)
			}
		}
		u.Close(t.Context())
		if n := countOf(total(t, open(t, usage.Options{Store: store}), now, jobs.DefaultTenant)); n != 5 {
			t.Fatalf("applied %v: %d calls are stored, not 5", applied, n)
		}
	}
}

// TestReadFails: questions get 503 until the store was read; what is counted meanwhile is kept.
func TestReadFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newStore()
		store.reads = errStore
		u := usage.Open(usage.Options{Store: store})
		defer u.Close(t.Context())
		u.Record(time.Now(), usage.Call{})
		_, err := u.Ask(t.Context(), time.Now(), usage.Question{Scope: usage.Scope{Tenant: jobs.DefaultTenant}})
		if p, ok := err.(*jobs.Problem); !ok || p.Status != 503 {
			t.Fatal(err)
		}
		store.mu.Lock()
		store.reads = nil
		store.mu.Unlock()
		time.Sleep(11 * time.Second)
		if n := countOf(total(t, u, time.Now(), jobs.DefaultTenant)); n != 1 {
			t.Fatal(n)
		}
	})
}

// TestUnreadable: a document that can't be read is kept as it is; what is counted in its hour
// has another.
func TestUnreadable(t *testing.T) {
	now := time.Now()
	store := newStore()
	u := open(t, usage.Options{Store: store})
	u.Record(now, usage.Call{Status: 200})
	u.Close(t.Context())

	good := store.names("usage_hour")[0]
	key := "usage_hour\x00" + strings.Replace(good, "/", "\x00", 1)
	for what, damage := range map[string]func(b []byte) []byte{
		"a changed byte":  func(b []byte) []byte { b[len(b)/2] ^= 1; return b },
		"a later version": func(b []byte) []byte { return append([]byte{9}, b[1:]...) },
		"cut":             func(b []byte) []byte { return b[:len(b)-1] },
		"empty":           func(b []byte) []byte { return []byte{} },
		"JSON":            func(b []byte) []byte { return []byte(`{"a":1}`) },
	} {
		t.Run(what, func(t *testing.T) {
			damaged := newStore()
			for k, d := range store.all {
				damaged.all[k] = d
			}
			d := damaged.all[key]
			d.Data = damage(bytes.Clone(d.Data))
			damaged.all[key] = d
			var log bytes.Buffer
			for round := range 3 {
				u := open(t, usage.Options{Store: damaged, Logger: slog.New(slog.NewTextHandler(&log, nil))})
				u.Record(now, usage.Call{Status: 200})
				if err := u.Close(t.Context()); err != nil {
					t.Fatal(err)
				}
				if n := countOf(total(t, u, now, jobs.DefaultTenant)); n != uint64(round+1) {
					t.Fatalf("%d calls in round %d", n, round)
				}
			}
			if !bytes.Equal(damaged.all[key].Data, d.Data) {
				t.Error("the damaged document has changed")
			}
			if names := damaged.names("usage_hour"); len(names) != 2 || names[1] != good+".2" {
				t.Error(names)
			}
			if !strings.Contains(log.String(), "can't be read") {
				t.Error(log.String())
			}
		})
	}
}

// TestRetention: minutes and hours are deleted when their time is over, also from the store.
func TestRetention(t *testing.T) {
	now := time.Date(2026, 11, 30, 12, 34, 0, 0, time.UTC)
	store := newStore()
	u := open(t, usage.Options{Store: store, Retention: 48 * time.Hour})
	for i := range 5 * 24 {
		at := now.Add(time.Duration(i) * time.Hour)
		u.Record(at, usage.Call{Status: 200})
		if err := u.Flush(t.Context(), at); err != nil {
			t.Fatal(err)
		}
	}
	last := now.Add((5*24 - 1) * time.Hour)
	if n := len(store.names("usage_hour")); n != 73 {
		t.Errorf("%d hours are stored", n)
	}
	if n := len(store.names("usage_minute")); n != 3 {
		t.Errorf("%d minutes are stored", n)
	}
	a, err := u.Ask(t.Context(), last, usage.Question{Scope: usage.Scope{Tenant: jobs.DefaultTenant}, From: last.Add(-48 * time.Hour), Step: 24 * time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	if len(a.Rows) != 3 || a.Rows[0].Count != 24 {
		t.Error(a.Rows)
	}
}

// TestOther: what is beyond the limit of series is counted under (other), and no sum loses it.
func TestOther(t *testing.T) {
	now := time.Now()
	u := open(t, usage.Options{MaxSeries: 100})
	for i := range 1000 {
		u.Record(now, usage.Call{Tenant: "greedy", Consumer: fmt.Sprint("k", i), Model: fmt.Sprint("m", i%7), Status: 200 + 300*(i%2), In: 1})
	}
	for i := range 1000 {
		u.Record(now, usage.Call{Tenant: "wild", Route: fmt.Sprint("/", i), Status: 200, In: 1})
	}
	for i := range 10 {
		u.Record(now, usage.Call{Tenant: "modest", Consumer: fmt.Sprint("k", i), Status: 200})
	}
	u.Record(now, usage.Call{Tenant: "modest", Consumer: "k1", Status: 200})

	if rows := total(t, u, now, "greedy", "consumer"); len(rows) != 81 || countOf(rows) != 1000 || rows[0].Words[0] != usage.Other || rows[0].Count != 920 {
		t.Errorf("%d rows, %d calls, first %v", len(rows), countOf(rows), rows[0])
	}
	models := total(t, u, now, "greedy", "model", "status")
	if len(models) != 14 || countOf(models) != 1000 {
		t.Error(models)
	}
	if rows := total(t, u, now, "wild", "route"); countOf(rows) != 1000 || !slices.ContainsFunc(rows, func(r usage.Row) bool { return r.Words[0] == usage.Other }) || len(rows) > 50 {
		t.Error(len(rows), countOf(rows))
	}
	if rows := total(t, u, now, "modest", "consumer"); countOf(rows) != 11 || rows[len(rows)-1].Words[0] == usage.Other {
		t.Error("one tenant has crowded out another:", rows)
	}
}

// TestLongWords: what callers choose is cut and made UTF-8.
func TestLongWords(t *testing.T) {
	now := time.Now()
	u := open(t, usage.Options{})
	for range 2 {
		u.Record(now, usage.Call{Consumer: strings.Repeat("é", 1000), Model: "a\xffb", Took: -1, In: -1, Out: math.MaxInt64, Cost: -1, Status: 7})
	}
	rows := total(t, u, now, jobs.DefaultTenant, "consumer", "model", "status")
	if len(rows) != 1 || rows[0].Words[0] != strings.Repeat("é", 100) || rows[0].Words[1] != "a\ufffdb" || rows[0].Words[2] != "0" || rows[0].In != 0 || rows[0].Out != math.MaxInt64 || rows[0].Cost != 0 || rows[0].Errors != 2 {
		t.Error(rows)
	}
}

// TestMaxBytes: if the hours take too much, the oldest days lose their consumers and no sums;
// a restart keeps it so.
func TestMaxBytes(t *testing.T) {
	now := time.Now().Truncate(24 * time.Hour).Add(-5 * 24 * time.Hour)
	store := newStore()
	options := usage.Options{Store: store, MaxBytes: 40_000}
	u := open(t, options)
	for range 5 {
		for i := range 1000 {
			u.Record(now, usage.Call{Consumer: fmt.Sprint("consumer", i), Route: "/a", Status: 200, In: 1})
		}
		now = now.Add(24 * time.Hour)
		for range 2 {
			if err := u.Flush(t.Context(), now); err != nil {
				t.Fatal(err)
			}
		}
	}
	for range 2 {
		rows := total(t, u, now, jobs.DefaultTenant, "consumer")
		if len(rows) != 1001 || rows[0].Words[0] != usage.Other || countOf(rows) != 5000 || rows[0].Count < 1000 || rows[0].Count > 4000 {
			t.Error(len(rows), countOf(rows), rows[0])
		}
		if rows := total(t, u, now, jobs.DefaultTenant, "route"); len(rows) != 1 || rows[0].Count != 5000 || rows[0].In != 5000 {
			t.Error(rows)
		}
		if n := store.size(); n > 100_000 {
			t.Error(n)
		}
		u.Close(t.Context())
		u = open(t, options)
	}
}

package limit_test

import (
	"context"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"jobhub/jobs"
	"jobhub/web/limit"
)

// TestExact: 1,000 parallel requests at 100 let exactly 100 pass, also over a reload.
func TestExact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := limit.New(limit.Options{})
		set := compile(t, "route", "", rate(100, time.Minute, limit.PerConsumer), rate(5000, time.Second, ""))
		l.Use(set)
		if n := passesAtOnce(l, 1000, ann, set); n != 100 {
			t.Fatalf("%d of 1,000 passed, not 100", n)
		}
		l.Use(compile(t, "route", "", rate(100, time.Minute, limit.PerConsumer)))
		if n := passesAtOnce(l, 1000, ann, set); n != 0 {
			t.Fatalf("%d passed after a reload, not 0", n)
		}
		time.Sleep(time.Minute - 1) // to the last nanosecond of the window
		if n := passesAtOnce(l, 1000, ann, set); n != 0 {
			t.Fatalf("%d passed before the end of the window, not 0", n)
		}
		time.Sleep(time.Nanosecond)
		if n := passesAtOnce(l, 1000, ann, set); n != 100 {
			t.Fatalf("%d passed in the next window, not 100", n)
		}
		time.Sleep(time.Minute)
		reloads := make(chan bool)
		go func() {
			for range 100 {
				l.Use(compile(t, "route", "", rate(100, time.Minute, limit.PerConsumer)), compile(t, "other", "", rate(1, time.Second, "")))
				l.Use(compile(t, "route", "", rate(100, time.Minute, limit.PerConsumer)))
			}
			close(reloads)
		}()
		if n := passesAtOnce(l, 1000, ann, set); n != 100 {
			t.Fatalf("%d of 1,000 passed during reloads, not 100", n)
		}
		<-reloads
		l.Close(context.Background())
	})
}

// TestUse: what changed starts anew or is forgotten; what runs is counted on.
func TestUse(t *testing.T) {
	l := newLimiter(t, limit.Options{})
	old := compile(t, "a", "", rate(2, time.Hour, limit.PerConsumer), concurrency(2, limit.PerConsumer))
	l.Use(old)
	first := l.Decide(context.Background(), noon, ann, old)
	if n := passes(l, 3, noon, ann, old); n != 1 {
		t.Fatalf("%d passed beside the first, not 1", n)
	}
	changed := compile(t, "a", "", rate(3, time.Hour, limit.PerConsumer), concurrency(4, limit.PerConsumer))
	l.Use(changed)
	if n := passes(l, 9, noon, ann, changed); n != 2 { // two of four run
		t.Fatalf("%d passed under the new concurrency, not 2", n)
	}
	first.Release()
	first.Release()
	if n := passes(l, 9, noon, ann, changed); n != 1 {
		t.Fatalf("%d passed after one ended, not 1", n)
	}
	l.Use()
	l.Use(old)
	if n := passes(l, 9, noon, ann, old); n != 2 {
		t.Fatalf("%d passed under what was removed and came back, not 2", n)
	}
	if other := compile(t, "b", "", rate(2, time.Hour, limit.PerConsumer)); passes(l, 9, noon, ann, other) != 2 {
		t.Fatal("scopes share their state")
	}
}

// TestAllOrNothing: a refused request uses up nothing of the other rules.
func TestAllOrNothing(t *testing.T) {
	store := &memoryStore{}
	l := newLimiter(t, limit.Options{Store: store})
	wide := compile(t, "wide", "7/1d", rate(5, time.Hour, limit.PerConsumer), concurrency(50, limit.PerRoute))
	narrow := compile(t, "narrow", "", rate(2, time.Hour, ""))
	if n := passes(l, 10, noon, ann, wide, narrow); n != 2 {
		t.Fatalf("%d passed, not 2", n)
	}
	if n := passes(l, 10, noon, ann, wide); n != 3 {
		t.Fatalf("%d passed without the narrow rule, not 3", n)
	}
	if used := store.used(); used != 5 {
		t.Fatalf("%d used of the quota, not 5", used)
	}
	v := l.Explain(context.Background(), noon, ann, wide)
	if got := headers(v).Get("RateLimit"); !strings.Contains(got, `"route-route-concurrency";r=45`) {
		t.Fatalf("refused requests run: %s", got)
	}
}

// TestSubjects: whose requests are counted together.
func TestSubjects(t *testing.T) {
	address := func(text string) netip.Addr { return netip.MustParseAddr(text) }
	bob := limit.Subject{Consumer: "bob", Address: home}
	long := strings.Repeat("x", 100_000)
	for _, c := range []struct {
		per  limit.Per
		a, b limit.Subject
		same bool
	}{
		{limit.PerConsumer, ann, bob, false},
		{limit.PerConsumer, ann, limit.Subject{Consumer: "ann", Address: address("192.0.2.9")}, true},
		{limit.PerConsumer, limit.Subject{Address: home}, limit.Subject{Address: address("192.0.2.9")}, false},
		{limit.PerConsumer, limit.Subject{Address: home}, limit.Subject{Consumer: string(home.AsSlice())}, false},
		{limit.PerConsumer, limit.Subject{Consumer: long + "a"}, limit.Subject{Consumer: long + "b"}, false},
		{limit.PerConsumer, limit.Subject{Consumer: long}, limit.Subject{Consumer: long}, true},
		{limit.PerAddress, ann, bob, true},
		{limit.PerAddress, limit.Subject{}, limit.Subject{}, true},
		{limit.PerAddress, ann, limit.Subject{Address: address("::ffff:192.0.2.1")}, true},
		{limit.PerAddress, limit.Subject{Address: address("2001:db8::1")}, limit.Subject{Address: address("2001:db8::ffff:0:0:1%eth0")}, true},
		{limit.PerAddress, limit.Subject{Address: address("2001:db8::1")}, limit.Subject{Address: address("2001:db8:0:1::1")}, false},
		{limit.PerRoute, ann, limit.Subject{}, true},
		{"", ann, bob, true},
	} {
		for _, rule := range []limit.Rule{rate(1, time.Hour, c.per), concurrency(1, c.per)} {
			l := newLimiter(t, limit.Options{})
			set := compile(t, "route", "", rule)
			if !l.Decide(context.Background(), noon, c.a, set).Allowed() {
				t.Fatal("the first was refused")
			}
			if passed := l.Decide(context.Background(), noon, c.b, set).Allowed(); passed == c.same {
				t.Errorf("per %s: %.40v and %.40v: passed %v", c.per, c.a, c.b, passed)
			}
		}
	}
}

// TestSameSetTwice: a rule that is given twice is taken once.
func TestSameSetTwice(t *testing.T) {
	l := newLimiter(t, limit.Options{Store: &memoryStore{}})
	set := compile(t, "route", "4/1d", rate(4, time.Hour, limit.PerConsumer), concurrency(4, limit.PerConsumer))
	if n := passes(l, 9, noon, ann, set, nil, set); n != 4 {
		t.Fatalf("%d passed, not 4", n)
	}
}

// TestExplain takes nothing.
func TestExplain(t *testing.T) {
	l := newLimiter(t, limit.Options{Store: &memoryStore{}})
	set := compile(t, "route", "9/1d", rate(3, time.Hour, limit.PerConsumer), concurrency(7, limit.PerConsumer))
	for range 20 {
		v := l.Explain(context.Background(), noon, ann, set)
		if !v.Allowed() || v.Policies()[0].Left != 3 || v.Policies()[1].Left != 7 || v.Policies()[2].Left != 9 {
			t.Fatalf("%+v", v.Policies())
		}
		v.Release()
	}
	passes(l, 3, noon, ann, set)
	v := l.Explain(context.Background(), noon, ann, set)
	if v.Allowed() || !v.Policies()[0].Violated || v.Policies()[1].Violated || v.RetryAfter != time.Hour {
		t.Fatalf("%+v", v)
	}
	if n, _ := l.States(); n != 3 {
		t.Fatalf("%d states", n)
	}
}

// TestClock: a clock that is set back gives nothing, and shuts nobody out for longer than the
// window; one that jumps ahead refills.
func TestClock(t *testing.T) {
	l := newLimiter(t, limit.Options{Store: &memoryStore{}})
	set := compile(t, "route", "", rate(10, time.Minute, limit.PerConsumer))
	for i, c := range []struct {
		now  time.Time
		want int
	}{
		{noon, 10},
		{noon.Add(-time.Millisecond), 0},
		{noon.Add(-24 * time.Hour), 0},
		{noon.Add(-24*time.Hour + 59*time.Second), 0},
		{noon.Add(-24*time.Hour + 60*time.Second), 10},
		{noon.AddDate(500, 0, 0), 10}, // as far as a time.Duration goes
		{time.Time{}, 0},
		{noon, 10},
	} {
		if n := passes(l, 20, c.now, ann, set); n != c.want {
			t.Errorf("%d: %d passed at %s, not %d", i, n, c.now, c.want)
		}
	}
	quota := compile(t, "quota", "5/1h")
	if n := passes(l, 9, noon, ann, quota); n != 5 {
		t.Errorf("%d passed, not 5", n)
	}
	if n := passes(l, 9, noon.Add(-3*time.Hour), ann, quota); n != 0 {
		t.Errorf("%d passed after the clock was set back, not 0", n)
	}
	if n := passes(l, 9, noon.Add(time.Hour), ann, quota); n != 5 {
		t.Errorf("%d passed in the next window, not 5", n)
	}
}

// TestOlderClock: a request that read the clock before another one, and was decided after it,
// counts as if both had read it at once.
func TestOlderClock(t *testing.T) {
	l := newLimiter(t, limit.Options{})
	set := compile(t, "route", "", rate(10, time.Minute, limit.PerConsumer))
	passes(l, 1, noon, ann, set)
	if n := passes(l, 20, noon.Add(-time.Millisecond), ann, set); n != 9 {
		t.Fatalf("%d passed beside the first, not 9", n)
	}
}

// TestCompile: what is wrong with a set, by the place.
func TestCompile(t *testing.T) {
	day := 24 * time.Hour
	for _, c := range []struct {
		set  limit.Set
		want string
	}{
		{limit.Set{Rules: []limit.Rule{{}}}, "/limits/0: must have a rate like 100/1m or a concurrency"},
		{limit.Set{Rules: []limit.Rule{concurrency(-1, "")}}, "/limits/0"},
		{limit.Set{Rules: []limit.Rule{rate(0, time.Second, "")}}, "to let nobody call"},
		{limit.Set{Rules: []limit.Rule{rate(-5, time.Second, "")}}, "/limits/0/rate"},
		{limit.Set{Rules: []limit.Rule{rate(5, 0, "")}}, "/limits/0/rate"},
		{limit.Set{Rules: []limit.Rule{rate(5, 367*day, "")}}, "/limits/0/rate"},
		{limit.Set{Rules: []limit.Rule{rate(5, time.Second, "planet")}}, "/limits/0/per"},
		{limit.Set{Rules: []limit.Rule{{Rate: jobs.Rate{N: 1, Per: 1e9}, Concurrency: 1}}}, "two limits"},
		{limit.Set{Rules: []limit.Rule{rate(5, time.Second, ""), rate(6, time.Second, limit.PerRoute)}}, "/limits/1: counts the same as limits[0]"},
		{limit.Set{Rules: []limit.Rule{concurrency(5, ""), concurrency(6, "")}}, "/limits/1"},
		{limit.Set{Quota: limit.Quota{N: 0, Window: day}}, "/quota: must be like 10000/1d"},
		{limit.Set{Quota: limit.Quota{N: 1}}, "/quota"},
		{limit.Set{Quota: limit.Quota{N: 1, Window: time.Second}}, "/quota"},
		{limit.Set{Quota: limit.Quota{N: 1, Window: time.Minute + 1}}, "/quota"},
		{limit.Set{Name: `a"b`}, "/name"},
	} {
		if c.set.Name == "" {
			c.set.Name = "route"
		}
		_, err := limit.Compile(c.set)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %s", c.set, err, c.want)
		}
	}
	huge := compile(t, "huge", "999999999999999/366d", rate(1_000_000_000, 366*day, ""), rate(999_999_937, 366*day-1, limit.PerConsumer), rate(1, 366*day, limit.PerAddress))
	l := newLimiter(t, limit.Options{Store: &memoryStore{}})
	if n := passes(l, 3, noon, ann, huge); n != 1 {
		t.Fatalf("%d passed, not 1", n)
	}
}

func TestParseQuota(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"10000/1d", "10000/1d"}, {"10000/d", "10000/1d"}, {"5/24h", "5/1d"}, {"5/90m", "5/90m"}, {"1/2w", "1/14d"},
		{"999999999999999/366d", "999999999999999/366d"},
		{"0/1d", ""}, {"-1/1d", ""}, {"5/0d", ""}, {"5/1s", ""}, {"5/1.5d", ""}, {"5/367d", ""}, {"5/-1d", ""}, {"5/+1d", ""}, {"5", ""}, {"5/", ""}, {"/1d", ""},
		{"1000000000000000/1d", ""}, {"5/99999999999999999999d", ""}, {"5/1y", ""}, {"", ""}, {"5/1d/1d", ""}, {" 5/1d", ""},
	} {
		q, ok := limit.ParseQuota(c.text)
		if ok != (c.want != "") || ok && q.String() != c.want {
			t.Errorf("%q: %v %v, want %q", c.text, q, ok, c.want)
		}
	}
}

func FuzzParseQuota(f *testing.F) {
	for _, text := range []string{"10000/1d", "5/", "1/2w", "/", "9/90m"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		q, ok := limit.ParseQuota(text)
		if !ok {
			return
		}
		if again, ok := limit.ParseQuota(q.String()); !ok || again != q {
			t.Fatalf("%q: %v, then %v", text, q, again)
		}
		if _, err := limit.Compile(limit.Set{Name: "x", Quota: q}); err != nil {
			t.Fatal(err)
		}
	})
}

// TestMadeUpAddresses: whoever makes up addresses can't make the memory grow, and makes no
// consumer be forgotten.
func TestMadeUpAddresses(t *testing.T) {
	l := newLimiter(t, limit.Options{MaxAddresses: 2560, MaxConsumers: 2560})
	perAddress := compile(t, "addresses", "", rate(5, time.Hour, limit.PerAddress))
	perConsumer := compile(t, "consumers", "", rate(2, time.Hour, limit.PerConsumer))
	if n := passes(l, 5, noon, ann, perConsumer); n != 2 {
		t.Fatalf("%d passed, not 2", n)
	}
	b := [16]byte{0x20, 0x01}
	for i := range 50_000 {
		b[5], b[6], b[7] = byte(i>>16), byte(i>>8), byte(i)
		who := limit.Subject{Address: netip.AddrFrom16(b)}
		if !l.Decide(context.Background(), noon, who, perAddress).Allowed() {
			t.Fatal("a new address was refused")
		}
	}
	if consumers, addresses := l.States(); consumers != 1 || addresses > 2560+2*192 {
		t.Fatalf("%d and %d states", consumers, addresses)
	}
	if n := passes(l, 5, noon, ann, perConsumer); n != 0 {
		t.Fatal("a consumer was forgotten")
	}
	// Consumers beyond the bound are refused, and say so; the known ones go on.
	refused := 0
	for i := range 10_000 {
		v := l.Decide(context.Background(), noon, limit.Subject{Consumer: strconv.Itoa(i)}, perConsumer)
		if v.Allowed() {
			continue
		}
		if p := problemOf(t, v); p.Status != 503 {
			t.Fatal(p)
		}
		refused++
	}
	if n, _ := l.States(); n > 2560+2*192 || refused != 10_000-n+1 {
		t.Fatalf("%d states, %d refused", n, refused)
	}
	// An hour later all is fresh, and is dropped.
	later := noon.Add(3 * time.Hour)
	for i := range 1000 {
		passes(l, 1, later.Add(time.Duration(i)*time.Second), limit.Subject{}, compile(t, "other", "", rate(5, time.Second, "")))
	}
	if consumers, addresses := l.States(); consumers+addresses > 1 {
		t.Fatalf("%d and %d states are left", consumers, addresses)
	}
}

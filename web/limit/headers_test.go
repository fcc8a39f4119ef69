package limit_test

import (
	"context"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/dunglas/httpsfv"
	"pgregory.net/rapid"

	"jobhub/web/limit"
)

// TestHeaders: what they look like, word for word.
func TestHeaders(t *testing.T) {
	for _, c := range []struct {
		name  string
		quota string
		rules []limit.Rule
		take  int
		want  [3]string // RateLimit-Policy, RateLimit, Retry-After
	}{
		{"one rate", "", []limit.Rule{rate(100, time.Minute, limit.PerConsumer)}, 50, [3]string{`"default";q=100;w=60`, `"default";r=50;t=60`, ""}},
		{"a rate that is used up", "", []limit.Rule{rate(2, time.Minute, limit.PerConsumer)}, 3, [3]string{`"default";q=2;w=60`, `"default";r=0;t=60`, "60"}},
		{"a short one", "", []limit.Rule{rate(1, 100*time.Millisecond, "")}, 2, [3]string{`"default";q=1;w=1`, `"default";r=0;t=1`, "1"}},
		{"one concurrency", "", []limit.Rule{concurrency(3, "")}, 2, [3]string{`"default";q=3;qu="concurrent-requests"`, `"default";r=1`, ""}},
		{"a concurrency that is used up", "", []limit.Rule{concurrency(3, "")}, 4, [3]string{`"default";q=3;qu="concurrent-requests"`, `"default";r=0`, "1"}},
		{"a quota", "3/1d", nil, 4, [3]string{`"default";q=3;w=86400`, `"default";r=0;t=43200`, "43200"}},
		{"several", "10/1d", []limit.Rule{rate(100, time.Minute, limit.PerConsumer), rate(20, time.Second, limit.PerAddress), concurrency(10, "")}, 1,
			[3]string{`"route-consumer-1m";q=100;w=60, "route-address-1s";q=20;w=1, "route-route-concurrency";q=10;qu="concurrent-requests", "route-quota-1d";q=10;w=86400`,
				`"route-consumer-1m";r=99;t=60, "route-address-1s";r=19;t=1, "route-route-concurrency";r=9, "route-quota-1d";r=9;t=43200`, ""}},
		{"the longest wait", "2/1w", []limit.Rule{rate(2, time.Minute, ""), rate(2, time.Hour, "")}, 3,
			[3]string{`"route-route-1m";q=2;w=60, "route-route-1h";q=2;w=3600, "route-quota-7d";q=2;w=604800`,
				`"route-route-1m";r=0;t=60, "route-route-1h";r=0;t=3600, "route-quota-7d";r=0;t=388800`, "388800"}}, // Monday
		{"none", "", nil, 1, [3]string{}},
	} {
		l := newLimiter(t, limit.Options{Store: &memoryStore{}})
		set := compile(t, "route", c.quota, c.rules...)
		var v *limit.Verdict
		for range c.take {
			v = l.Decide(context.Background(), noon, ann, set)
		}
		h := headers(v)
		if got := [3]string{h.Get("RateLimit-Policy"), h.Get("RateLimit"), h.Get("Retry-After")}; got != c.want {
			t.Errorf("%s:\n%q, want\n%q", c.name, got, c.want)
		}
	}
}

// TestProblems: what a refused caller is told.
func TestProblems(t *testing.T) {
	for _, c := range []struct {
		quota string
		rules []limit.Rule
		want  string
	}{
		{"", []limit.Rule{rate(1, time.Minute, limit.PerConsumer)},
			`{"type":"https://iana.org/assignments/http-problem-types#quota-exceeded","title":"Rate limit exceeded","status":429,"detail":"The limit is 1 in 1m for each consumer. Try again in 60 s.","code":"rate_limited"}`},
		{"", []limit.Rule{concurrency(1, limit.PerAddress)},
			`{"type":"https://iana.org/assignments/http-problem-types#quota-exceeded","title":"Too many requests at once","status":429,"detail":"The limit is 1 at once for each address. Try again when one of them has ended.","code":"limit_exceeded"}`},
		{"1/1d", nil,
			`{"type":"https://iana.org/assignments/http-problem-types#quota-exceeded","title":"Quota used up","status":429,"detail":"The quota is 1/1d, and all of it is used. The next begins at 2026-11-26T00:00:00Z, in 43200 s.","code":"quota_exceeded"}`},
	} {
		l := newLimiter(t, limit.Options{Store: &memoryStore{}})
		set := compile(t, "route", c.quota, c.rules...)
		passes(l, 1, noon, ann, set)
		if got := string(problemOf(t, l.Decide(context.Background(), noon, ann, set)).AppendJSON(nil)); got != c.want {
			t.Errorf("%s\nwant\n%s", got, c.want)
		}
	}
}

// parsed are the headers of a verdict, read by a parser of structured fields: of each policy
// r and t; t is -1 if it has none.
func parsed(t *rapid.T, h http.Header) map[string][2]int64 {
	list, err := httpsfv.UnmarshalList(h.Values("RateLimit"))
	if err != nil {
		t.Fatalf("%v: %q", err, h)
	}
	policies, err := httpsfv.UnmarshalList(h.Values("RateLimit-Policy"))
	if err != nil || len(policies) != len(list) {
		t.Fatalf("%v: %q", err, h)
	}
	all := map[string][2]int64{}
	for i, member := range list {
		item, policy := member.(httpsfv.Item), policies[i].(httpsfv.Item)
		name := item.Value.(string)
		if policy.Value != name {
			t.Fatalf("the policies stand in another order: %q", h)
		}
		r, _ := item.Params.Get("r")
		q, _ := policy.Params.Get("q")
		if r.(int64) > q.(int64) || r.(int64) < 0 {
			t.Fatalf("r is not from 0 to q: %q", h)
		}
		until := int64(-1)
		if v, ok := item.Params.Get("t"); ok {
			until = v.(int64)
		}
		all[name] = [2]int64{r.(int64), until}
	}
	if len(all) != len(list) {
		t.Fatalf("two policies have one name: %q", h)
	}
	return all
}

// TestHeadersAgainstVerdicts: after r=k exactly k requests pass at that moment, r=0 is a
// refusal of the next, and a retry after Retry-After passes.
func TestHeadersAgainstVerdicts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pers := rapid.SampledFrom([]limit.Per{limit.PerConsumer, limit.PerAddress, limit.PerRoute})
		set := limit.Set{Scope: "route", Name: "route"}
		for _, window := range rapid.SliceOfNDistinct(rapid.Int64Range(1000, 100_000), 1, 4, rapid.ID[int64]).Draw(t, "windows") { // ms
			set.Rules = append(set.Rules, rate(rapid.IntRange(1, 40).Draw(t, "n"), time.Duration(window)*time.Millisecond, pers.Draw(t, "per")))
		}
		if rapid.Bool().Draw(t, "concurrency") {
			set.Rules = append(set.Rules, concurrency(rapid.IntRange(1, 40).Draw(t, "n"), pers.Draw(t, "per")))
		}
		if rapid.Bool().Draw(t, "quota") {
			set.Quota = limit.Quota{N: rapid.Int64Range(1, 300).Draw(t, "n"), Window: time.Minute}
		}
		rules, err := limit.Compile(set)
		if err != nil {
			t.Fatal(err)
		}
		l := limit.New(limit.Options{Store: &memoryStore{}})
		defer l.Close(context.Background())
		now := noon
		var runs []*limit.Verdict
		decide := func() (v *limit.Verdict, least int64) {
			before := parsed(t, headers(l.Explain(context.Background(), now, ann, rules)))
			v = l.Decide(context.Background(), now, ann, rules)
			least = int64(1 << 60)
			for name, p := range parsed(t, headers(v)) {
				least = min(least, p[0])
				if want := before[name][0]; v.Allowed() && p[0] != want-1 || !v.Allowed() && p[0] != want {
					t.Fatalf("r of %s was %d, then %d; passed %v", name, want, p[0], v.Allowed())
				}
			}
			if v.Allowed() {
				runs = append(runs, v)
			} else if least != 0 {
				t.Fatalf("refused with r=%d", least)
			}
			return v, least
		}
		for range rapid.IntRange(1, 15).Draw(t, "steps") {
			switch rapid.IntRange(0, 3).Draw(t, "step") {
			case 0: // what the last verdict says is what passes
				v, least := decide()
				for v.Allowed() {
					next, left := decide()
					if next.Allowed() != (least > 0) || next.Allowed() && left != least-1 {
						t.Fatalf("passed %v with r=%d, then r=%d", next.Allowed(), least, left)
					}
					v, least = next, left
				}
			case 1:
				now = now.Add(time.Duration(rapid.IntRange(0, 5000).Draw(t, "ms")) * time.Millisecond)
				decide()
			case 2: // a retry after what it says passes
				v, _ := decide()
				if v.Allowed() {
					break
				}
				after, err := strconv.Atoi(headers(v).Get("Retry-After"))
				if err != nil {
					t.Fatal(err)
				}
				for _, p := range v.Policies() {
					if p.Violated && !p.Concurrency && int64(after) < int64(p.Next/time.Second) {
						t.Fatalf("Retry-After: %d ends before the window of %+v", after, p)
					}
				}
				now = now.Add(time.Duration(after) * time.Second)
				for _, run := range runs {
					run.Release()
				}
				runs = nil
				if v, _ := decide(); !v.Allowed() {
					t.Fatalf("refused after Retry-After: %v", v.Err())
				}
			case 3:
				if len(runs) > 0 {
					runs[0].Release()
					runs = runs[1:]
				}
			}
		}
	})
}

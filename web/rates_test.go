package web_test

import (
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"jobhub/jobs"
	"jobhub/web"
	"jobhub/web/auth"
	"jobhub/web/gateway"
	"jobhub/web/limit"
)

func rules(t *testing.T, set limit.Set) *limit.RuleSet {
	t.Helper()
	compiled, err := limit.Compile(set)
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

// TestRouteRate: of 1,000 parallel requests at 100, exactly 100 pass, also over reloads of the
// configuration. A refused one reaches no upstream, and says when to come back.
func TestRouteRate(t *testing.T) {
	up := newUpstream(t, sample)
	w := startRoutes(t)
	daily := jobs.Rate{N: 100, Per: jobs.Duration(24 * time.Hour)}
	apply := func() {
		err := w.Apply(web.Settings{}, []gateway.Route{up.route("/api/", func(r *gateway.Route) {
			r.Limits = rules(t, limit.Set{Scope: "route /api/", Name: "route", Rules: []limit.Rule{{Rate: daily}}})
		})})
		if err != nil {
			t.Error(err)
		}
	}
	apply()
	var passed, refused atomic.Int64
	var all sync.WaitGroup
	waiting := make(chan struct{}, 50) // connections at once
	for i := range 1000 {
		if i%100 == 99 {
			all.Go(apply)
		}
		waiting <- struct{}{}
		all.Go(func() {
			defer func() { <-waiting }()
			res, err := http.Get(w.url + "/api/x")
			if err != nil {
				t.Error(err)
				return
			}
			res.Body.Close()
			switch left := res.Header.Get("RateLimit"); {
			case res.StatusCode == 200 && left != "" && res.Header.Get("RateLimit-Policy") == `"default";q=100;w=86400`:
				passed.Add(1)
			case res.StatusCode == 429 && strings.Contains(left, ";r=0;") && res.Header.Get("Retry-After") != "":
				refused.Add(1)
			default:
				t.Errorf("%d %v", res.StatusCode, res.Header)
			}
		})
	}
	all.Wait()
	if passed.Load() != 100 || refused.Load() != 900 || up.hits.Load() != 100 {
		t.Errorf("%d passed, %d were refused, %d reached the upstream", passed.Load(), refused.Load(), up.hits.Load())
	}
	w.do("GET", "/api/x", "", "Prefer", "respond-async").problem(429, "rate_limited")
	w.nothingStored()
}

// TestPlansAndKeys: the limits of a plan and of a key count for routes, jobs, live connections and
// each item of a batch, for each consumer by itself.
func TestPlansAndKeys(t *testing.T) {
	up := newUpstream(t, sample)
	w := startRoutes(t)
	daily := func(n int) jobs.Rate { return jobs.Rate{N: n, Per: jobs.Duration(24 * time.Hour)} }
	plans := map[string]*limit.RuleSet{"free": rules(t, limit.Set{Scope: "plan free", Name: "plan", Rules: []limit.Rule{{Rate: daily(5), Per: limit.PerConsumer}}})}
	if err := w.Apply(web.Settings{Plans: plans}, []gateway.Route{up.route("/api/")}); err != nil {
		t.Fatal(err)
	}
	create := func(k auth.Key) string {
		k.Role = auth.Submitter
		_, text, err := w.keys.Create(k, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	one, two, own := create(auth.Key{Plan: "free"}), create(auth.Key{Plan: "free"}), create(auth.Key{Rate: "2/24h"})
	for range 2 {
		w.with(one, "GET", "/api/x", "").want(200)
		w.with(one, "POST", "/v1/jobs", `{"kind":"echo"}`).want(202)
	}
	w.with(one, "GET", "/v1/jobs", "").want(200) // reading costs nothing
	batch := w.with(one, "POST", "/batch", `{"requests":[{"id":"a","method":"GET","url":"/api/x"},{"id":"b","method":"GET","url":"/api/x"}]}`).want(200)
	if got := batch.body; strings.Count(got, `"status":200`) != 1 || strings.Count(got, `"status":429`) < 1 {
		t.Errorf("batch: %s", got)
	}
	for _, path := range []string{"/api/x", "/v1/events?all=1"} {
		w.with(one, "GET", path, "").problem(429, "rate_limited")
	}
	w.with(one, "POST", "/v1/jobs", `{"kind":"echo"}`).problem(429, "rate_limited")
	w.with(two, "GET", "/api/x", "").want(200)
	w.with(own, "GET", "/api/x", "").want(200).has("RateLimit-Policy", `"default";q=2;w=86400`)
	w.with(own, "GET", "/api/x", "").want(200)
	w.with(own, "GET", "/api/x", "").problem(429, "rate_limited")
}

// TestQuota: a quota is counted for each consumer, and goes on after a restart.
func TestQuota(t *testing.T) {
	up, dir := newUpstream(t, sample), t.TempDir()
	var ann, bob string
	for i, want := range []int{4, 3, 0} { // of ten that Ann may send, in three lives of the hub
		w := startIn(t, dir, nil)
		w.applyConfig(up, `
routes:
  - {path: /api/, upstream: UP, quota: 7/366d}
`)
		if i == 0 {
			ann, bob = w.key(auth.Submitter, "default"), w.key(auth.Submitter, "default")
		}
		for n := range 4 {
			got := w.with(ann, "GET", "/api/x", "", "Prefer", []string{"wait=0", "respond-async"}[n%2])
			switch {
			case n < want && got.status >= 300:
				t.Errorf("life %d, request %d: %d %s", i, n, got.status, got.body)
			case n >= want:
				p := got.has("RateLimit-Policy", `"default";q=7;w=31622400`).problem(429, "quota_exceeded")
				if p["type"] != "https://iana.org/assignments/http-problem-types#quota-exceeded" {
					t.Errorf("%v", p)
				}
			}
		}
		w.with(bob, "GET", "/api/x", "").want(200)
		w.close()
	}
}

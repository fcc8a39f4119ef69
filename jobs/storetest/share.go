package storetest

import (
	"fmt"
	"jobhub/jobs"
)

// A claim with a Share skips jobs that would be too many for a tenant or a key, and takes the
// jobs of others by priority.
func checkShare(t T, h Harness) {
	s := h.Open()
	of := func(name, tenant, key string, priority int) *jobs.Change {
		return named(name, func(j *jobs.Job) { j.Tenant, j.FairKey, j.Priority = tenant, key, priority })
	}
	for i := range 8 {
		must(t, s, of(fmt.Sprint("a", i), "a", "", 5))
	}
	must(t, s, of("b0", "b", "", 0), of("b1", "b", "", 1), of("c0", "c", "", -1))
	take := func(share *jobs.Share, n int, want string, limited bool) {
		t.Helper()
		cl := &jobs.Claim{Kinds: []string{"k"}, Leases: leases(want, n), Share: share}
		if err := s.Commit(t.Context(), &jobs.Batch{Now: epochStart, Claims: []*jobs.Claim{cl}}); err != nil || inputsOf(cl.Jobs) != want || cl.Limited != limited {
			t.Errorf("claimed %q, limited %t, want %q, %t; %v", inputsOf(cl.Jobs), cl.Limited, want, limited, err)
		}
	}
	share := &jobs.Share{Free: 8, Several: true}
	take(share, 8, "a0 a1 a2 a3 b1 b0 c0", true) // a fifth of a would leave fewer than it holds
	if share.Free != 1 {
		t.Errorf("%d slots are free, want 1", share.Free)
	}
	take(&jobs.Share{Free: 2}, 2, "a4 a5", false) // one tenant only
	s = h.Crash()
	take(&jobs.Share{Several: true}, 1, "", true)
	take(&jobs.Share{Free: 2, Several: true}, 2, "a6", true)
	take(&jobs.Share{Free: 1, Several: true}, 1, "a7", false) // a tenant without slots gets the last one

	noisy := func(i int) *jobs.Change { return of(fmt.Sprint("n", i), "default", "noisy", 5) }
	for i := range 5 {
		must(t, s, noisy(i))
	}
	must(t, s, of("quiet", "default", "quiet", 0), of("none", "default", "", 0))
	take(&jobs.Share{Free: 4}, 4, "n0 quiet none", true)
	take(&jobs.Share{Free: 4}, 4, "n1 n2", true)
}

package pages

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"jobhub/jobs"
)

// lined is a store in which each queue has jobs of two kinds in line.
type lined struct {
	jobs.Store
	lists int
}

func (s *lined) List(_ context.Context, f jobs.Filter) (jobs.Page, error) {
	s.lists++
	return jobs.Page{Jobs: []jobs.Job{{Kind: "b"}, {Kind: f.Queue}, {Kind: "b"}}}, nil
}

// TestLinesAreLookedIntoInTurn: renderings that ask of many queues look into a few a
// second, and into each again when it was long ago.
func TestLinesAreLookedIntoInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l waitingKinds
		store := &lined{}
		const queues = 3 * linesMost
		ask := func() (known int) {
			for i := range queues {
				name := fmt.Sprintf("a%d", i)
				kinds, err := l.kinds(t.Context(), store, "default", name)
				if err != nil {
					t.Fatal(err)
				}
				if slices.Equal(kinds, []string{name, "b"}) {
					known++
				} else if len(kinds) > 0 {
					t.Errorf("%s has %q in line", name, kinds)
				}
			}
			return known
		}
		for round := 1; round <= 3; round++ {
			for range 10 { // as renderings follow each other
				if known := ask(); known != round*linesMost || store.lists != round*linesMost {
					t.Errorf("second %d: %d queues are known after %d looks", round, known, store.lists)
				}
			}
			time.Sleep(time.Second)
		}
		time.Sleep(lookupAge)
		if known := ask(); known != queues || store.lists != queues+linesMost {
			t.Errorf("later %d queues are known after %d looks", known, store.lists)
		}
	})
}

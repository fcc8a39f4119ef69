package web_test

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"jobhub/hub"
	"jobhub/jobs"
)

// busyStore has something happen before each of the next so many lists is read.
type busyStore struct {
	jobs.Store
	lists  atomic.Int32
	happen func() error
}

func (s *busyStore) List(ctx context.Context, f jobs.Filter) (jobs.Page, error) {
	if s.lists.Add(-1) >= 0 {
		if err := s.happen(); err != nil {
			return jobs.Page{}, err
		}
	}
	return s.Store.List(ctx, f)
}

// startGaps is a hub whose log can be cut, with a store to whose lists things happen.
func startGaps(t *testing.T) (*world, *cutLog, *busyStore) {
	var log cutLog
	var store busyStore
	w := startIn(t, t.TempDir(), func(p *parts) {
		p.listen = listenPiped()
		log.Log = p.hub.Log
		p.hub.Log, p.hub.RingBytes = &log, 1
		p.wrap = func(s jobs.Store) jobs.Store { store.Store = s; return &store }
	})
	return w, &log, &store
}

// An event moves all subscriptions of a connection to its position. So none may come
// before each of them has been told of its gap: a client that is cut behind it would
// resume from there, and never hear of what it missed.
func TestNoEventComesBeforeItsGap(t *testing.T) {
	for name, ids := range map[string][]string{"one": {"all"}, "several": {"all", "queue", "job"}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, log, store := startGaps(t)
				old := w.submit(`{"kind":"nobody","queue":"others"}`)
				filters := map[string]filter{"all": {`"all":true`, hub.Filter{Tenant: jobs.DefaultTenant, All: true}},
					"queue": {`"queue":"q"`, hub.Filter{Tenant: jobs.DefaultTenant, Queue: "q"}}, "job": {`"job":"` + old + `"`, hub.Filter{Tenant: jobs.DefaultTenant, Job: jobID(old)}}}
				c := w.dial("")
				for _, id := range ids {
					c.send(`{"type":"subscribe","id":"%s",%s}`, id, filters[id].member)
					c.until("live")
				}
				w.submit(`{"kind":"nobody","queue":"others"}`) // the client does not read its event
				time.Sleep(10 * time.Second)
				for range 2 { // this is what it misses
					w.submit(`{"kind":"nobody","queue":"q"}`)
				}
				synctest.Wait()
				store.happen = func() error {
					id := w.submit(`{"kind":"nobody","queue":"q"}`)
					return w.hub.WaitFor(t.Context(), jobSeq(w, id))
				}
				store.lists.Store(int32(len(ids)))
				log.cut.Store(true)
				if m := c.next(); m["type"] != "job.queued" || number(t, m, "seq") != 2 {
					t.Errorf("before the gap came %v", m)
				}
				synctest.Wait() // the state is read
				at, got, block, last := map[string]uint64{}, map[string][]uint64{}, "", w.submit(`{"kind":"nobody","queue":"q"}`)
				for m := c.next(); ; m = c.next() {
					switch {
					case m["type"] == "gap" || m["type"] == "subscribed":
						if block = m["id"].(string); m["type"] == "gap" {
							at[block] = number(t, m, "to")
						}
					case m["type"] == "live":
						block = ""
					case event(m) && block != "":
						got[block] = append(got[block], number(t, m, "seq"))
					case event(m):
						if len(at) != len(ids) {
							t.Fatalf("%v came when only %v had got their gaps", m, at)
						}
						for _, id := range ids {
							if filters[id].Match(w.log()[number(t, m, "seq")-1]) {
								got[id] = append(got[id], number(t, m, "seq"))
							}
						}
					}
					if block == "" && m["job"] == last {
						break
					}
				}
				for _, id := range ids {
					if want := selected(w.log(), filters[id].Filter, at[id], w.store.Head().Seq); !slices.Equal(got[id], want) {
						t.Errorf("after its gap, which ends at %d, %s got %v, want %v", at[id], id, got[id], want)
					}
				}
				c.conn.CloseNow()
				w.close()
			})
		})
	}
}

func jobSeq(w *world, id string) uint64 {
	job, _, err := w.store.Job(w.t.Context(), jobs.DefaultTenant, jobID(id))
	if err != nil {
		w.t.Error(err)
	}
	return job.Seq
}

// If a gap can't be told, whoever caused that it was found, the connection ends: the
// client resumes from what it has.
func TestGapThatCannotBeTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, log, store := startGaps(t)
		c := w.dial("")
		c.send(`{"type":"subscribe","id":"all","all":true}`)
		c.until("live")
		store.happen = func() error {
			if store.lists.Load() == 0 {
				return errors.New("out of order")
			}
			w.submit(`{"kind":"nobody"}`)
			last := w.submit(`{"kind":"nobody"}`)
			log.cut.Store(true)
			return w.hub.WaitFor(t.Context(), jobSeq(w, last))
		}
		store.lists.Store(2)
		c.send(`{"type":"subscribe","id":"other","queue":"q","snapshot":true}`)
		if text, err := c.line(); websocket.CloseStatus(err) != websocket.StatusInternalError {
			t.Errorf("got %s, %v", text, err)
		}
		c.conn.CloseNow()
		w.close()
	})
}

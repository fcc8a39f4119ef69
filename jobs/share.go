package jobs

import "maps"

// Share divides the slots of a pool, so that nobody takes them all and whoever comes later
// finds one free:
//
//   - A tenant, where there are several, holds at most as many slots as are still free.
//   - A fair key holds at most as many as its tenant may still take.
//   - Who holds none gets one while there is one.
//
// With 64 slots a tenant that is alone at it holds 32, a second one beside it 16 more, and
// so on; when one holds fewer, the others may hold more. All slots are for the only tenant
// of a hub, except that a fair key of it leaves half of them.
type Share struct {
	Free    int  // slots that are free
	Several bool // there are several tenants
	held    map[holder]int
}

// holder is who holds slots: a tenant, or a fair key in one of its queues.
type holder struct{ tenant, queue, key string }

// Fits reports whether a job of a tenant, with a fair key or none, may have a slot.
func (s *Share) Fits(queue QueueName, key string) bool {
	left := s.Free - 1 // for others, if it does
	if s.Several {
		n := s.held[holder{tenant: queue.Tenant}]
		if left -= n + 1; left < 0 && n > 0 {
			return false
		}
	}
	if n := s.held[holder{queue.Tenant, queue.Name, key}]; key != "" && n > 0 && n+1 > left {
		return false
	}
	return s.Free > 0
}

// Take gives a slot to a job.
func (s *Share) Take(queue QueueName, key string) { s.move(queue, key, 1) }

// give takes it back.
func (s *Share) give(queue QueueName, key string) { s.move(queue, key, -1) }

func (s *Share) move(queue QueueName, key string, n int) {
	if s.held == nil {
		s.held = map[holder]int{}
	}
	s.Free -= n
	who := []holder{{tenant: queue.Tenant}, {queue.Tenant, queue.Name, key}}
	if key == "" {
		who = who[:1]
	}
	for _, h := range who {
		if s.held[h] += n; s.held[h] == 0 {
			delete(s.held, h)
		}
	}
}

// clone is a share for a claim, which may come to nothing.
func (s *Share) clone(several bool) *Share {
	return &Share{Free: s.Free, Several: several, held: maps.Clone(s.held)}
}

package jobs

import "maps"

// Share divides the slots of a pool, so that no tenant or fair key takes them all and
// newcomers find one free:
//
//   - A tenant, where there are several, holds at most as many slots as are still free.
//   - A fair key holds at most as many as its tenant could still take.
//   - One that holds none gets a free slot.
//
// With 64 slots the first of several tenants holds up to 32, a second one 16 more, and so on;
// if one holds fewer, the others may hold more. The only tenant of a hub may take all slots,
// but each of its fair keys at most half of them.
type Share struct {
	Free    int  // slots that are free
	Several bool // there are several tenants
	used    map[holder]int
}

// holder is a tenant, or a fair key in one of its queues, that holds slots.
type holder struct{ tenant, queue, key string }

// Fits reports whether a job of a tenant, with a fair key or none, may have a slot.
func (s *Share) Fits(queue QueueName, key string) bool {
	left := s.Free - 1 // slots left for others if it gets one
	if s.Several {
		n := s.used[holder{tenant: queue.Tenant}]
		if left -= n + 1; left < 0 && n > 0 {
			return false
		}
	}
	if n := s.used[holder{queue.Tenant, queue.Name, key}]; key != "" && n > 0 && n+1 > left {
		return false
	}
	return s.Free > 0
}

// Acquire gives a slot to a job.
func (s *Share) Acquire(queue QueueName, key string) { s.add(queue, key, 1) }

// release takes it back.
func (s *Share) Release(queue QueueName, key string) { s.add(queue, key, -1) }

func (s *Share) add(queue QueueName, key string, n int) {
	if s.used == nil {
		s.used = map[holder]int{}
	}
	s.Free -= n
	who := []holder{{tenant: queue.Tenant}, {queue.Tenant, queue.Name, key}}
	if key == "" {
		who = who[:1]
	}
	for _, h := range who {
		if s.used[h] += n; s.used[h] == 0 {
			delete(s.used, h)
		}
	}
}

// clone is a copy for a claim, whose commit may fail.
func (s *Share) Clone(several bool) *Share {
	return &Share{Free: s.Free, Several: several, used: maps.Clone(s.used)}
}

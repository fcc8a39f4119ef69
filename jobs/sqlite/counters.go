package sqlite

import (
	"jobhub/jobs"

	"github.com/go-json-experiment/json"
)

func (c *commit) moveCount(q *queue, from, to jobs.State) {
	by := c.countChanges[q]
	if by == nil {
		by = new(counts)
		c.countChanges[q] = by
	}
	if from != 0 {
		by[from]--
	}
	if to != 0 {
		by[to]++
	}
}

// moveCounts applies the counter changes of a durable transaction to memory.
func (s *Store) moveCounts(moved map[*queue]*counts) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for q, by := range moved {
		for i, n := range by {
			q.counts[i] += n
		}
	}
}

func (c *commit) saveCounts() error {
	st := c.write.Prep("UPDATE queues SET counts=? WHERE q=?")
	for q, by := range c.countChanges {
		sum := q.counts
		for i, n := range by {
			sum[i] += n
		}
		text, _ := json.Marshal(sum)
		st.BindText(1, string(text))
		st.BindInt64(2, q.id)
		if err := run(st); err != nil {
			return err
		}
	}
	return nil
}

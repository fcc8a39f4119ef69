package match

import (
	"cmp"
	"slices"
	"strings"
)

// index holds all rules in trees of segments, one for each host.
type index struct {
	hosts    map[string]*node
	anyHost  *node // of the rules without host; nil if there are none
	hasQuery bool  // some rule matches the query
}

// node is a place in a tree: the segments on the way to it.
type node struct {
	literal map[string]*node
	param   *node
	here    []*rule // whose path ends here, the best first
	below   []*rule // whose path ends here with a slash, the best first
	best    rank    // of the rules here and further down
}

// newIndex makes the trees of rules without conflicts.
func newIndex(rules []*rule) *index {
	x := &index{hosts: map[string]*node{}}
	for _, r := range slices.SortedStableFunc(slices.Values(rules), func(a, b *rule) int { return cmp.Compare(b.rank, a.rank) }) { // so that each list is sorted
		n := x.anyHost
		if r.host != "" {
			n = x.hosts[r.host]
		}
		if n == nil {
			n = &node{}
			if r.host == "" {
				x.anyHost = n
			} else {
				x.hosts[r.host] = n
			}
		}
		n.add(r)
		x.hasQuery = x.hasQuery || len(r.query) > 0
	}
	return x
}

func (n *node) add(r *rule) {
	n.best = max(n.best, r.rank)
	for _, s := range r.segments {
		next := n.param
		if !s.param {
			next = n.literal[s.text]
		}
		if next == nil {
			next = &node{}
			switch {
			case s.param:
				n.param = next
			case n.literal == nil:
				n.literal = map[string]*node{s.text: next}
			default:
				n.literal[s.text] = next
			}
		}
		n = next
		n.best = max(n.best, r.rank)
	}
	if r.below {
		n.below = append(n.below, r)
	} else {
		n.here = append(n.here, r)
	}
}

// search looks for the best rule of a request by one reading of it.
type search struct {
	request    *Request
	path       string
	semicolons bool // they separate parameters of the query

	best *rule // so far; nil if none matches
	tie  bool  // another rule matches as well as best
}

// run searches the trees for a host.
func (s *search) run(x *index, host []byte) {
	if n := x.hosts[string(host)]; n != nil {
		s.walk(n, s.path)
	}
	if x.anyHost != nil {
		s.walk(x.anyHost, s.path)
	}
}

// walk searches below a node. rest is the path behind it: empty, or a slash and what follows.
func (s *search) walk(n *node, rest string) {
	if s.best != nil && n.best < s.best.rank {
		return
	}
	if rest != "" {
		text, after := cutSegment(rest)
		if text != "" {
			if next := n.literal[text]; next != nil {
				s.walk(next, after)
			}
			if n.param != nil {
				s.walk(n.param, after)
			}
		}
		s.consider(n.below)
	}
	s.consider(n.here)
}

// consider compares rules, whose paths match, with the best one so far.
func (s *search) consider(rules []*rule) {
	for _, r := range rules {
		if s.best != nil && r.rank < s.best.rank {
			return
		}
		if !r.matches(s.request, s.semicolons) {
			continue
		}
		if s.best != nil && r.rank == s.best.rank {
			s.tie = true
		} else {
			s.best, s.tie = r, false
		}
	}
}

// cutSegment splits a path that begins with a slash into its first segment and the rest.
func cutSegment(path string) (text, rest string) {
	if i := strings.IndexByte(path[1:], '/'); i >= 0 {
		return path[1 : 1+i], path[1+i:]
	}
	return path[1:], ""
}

// methods returns the methods of all rules that match a request but for its method, sorted.
func (x *index) methods(q *Request, host []byte) (all []string) {
	var walk func(n *node, rest string)
	collect := func(rules []*rule) {
		for _, r := range rules {
			if r.matchesValues(q, false) {
				all = append(all, r.methods...)
			}
		}
	}
	walk = func(n *node, rest string) {
		if n == nil {
			return
		}
		collect(n.here)
		if rest == "" {
			return
		}
		collect(n.below)
		if text, after := cutSegment(rest); text != "" {
			walk(n.literal[text], after)
			walk(n.param, after)
		}
	}
	walk(x.hosts[string(host)], q.Path)
	walk(x.anyHost, q.Path)
	slices.Sort(all)
	return slices.Compact(all)
}

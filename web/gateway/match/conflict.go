package match

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// maxConflicts is the largest number of pairs that are listed.
const maxConflicts = 1000

// Conflict is two rules that could match one request equally well. Rules that want different
// values of the same header or parameter are none: a request that has both values is refused
// when it comes.
type Conflict struct {
	First, Second int     // indexes of the entries; First is the smaller one
	Example       Request // matches both
}

func (c Conflict) String() string {
	return fmt.Sprintf("rules %d and %d match %s equally well; change a path, or give one of them a condition more", c.First, c.Second, c.Example)
}

// String returns a request for people.
func (r Request) String() string {
	text := r.Method + " " + r.Host + r.Path
	if r.Query != "" {
		text += "?" + r.Query
	}
	for i, name := range slices.Sorted(maps.Keys(r.Header)) {
		text += []string{" with ", ", "}[min(i, 1)] + name + ": " + r.Header.Get(name)
	}
	return text
}

// TableError is all that is wrong with the rules of a table.
type TableError struct {
	Invalid   []Invalid
	Conflicts []Conflict // of the valid rules, sorted
	More      bool       // there are more conflicts than the 1,000 that are listed
}

func (e *TableError) Error() string {
	var lines []string
	for _, i := range e.Invalid {
		lines = append(lines, i.String())
	}
	for _, c := range e.Conflicts {
		lines = append(lines, c.String())
	}
	if e.More {
		lines = append(lines, "and more rules that match equally well")
	}
	return strings.Join(lines, "\n")
}

// conflicts finds the pairs of rules that could match one request equally well. more tells that
// not all are returned.
//
// Only rules of the same host and rank can be equal, which have as many segments. Of these, it
// joins those that are literal at the same positions with those of each other pattern, by the
// texts at the positions that are literal in both.
func conflicts(rules []*rule) (all []Conflict, more bool) {
	type group struct {
		host string
		rank rank
	}
	var groups []group // in the order of the rules, for the same result each time
	masks := map[group][]uint64{}
	members := map[group]map[uint64][]*rule{}
	for _, r := range rules {
		g, mask := group{r.host, r.rank}, r.mask()
		if members[g] == nil {
			members[g] = map[uint64][]*rule{}
			groups = append(groups, g)
		}
		if members[g][mask] == nil {
			masks[g] = append(masks[g], mask)
		}
		members[g][mask] = append(members[g][mask], r)
	}
	defer func() {
		slices.SortFunc(all, func(a, b Conflict) int {
			return cmp.Or(cmp.Compare(a.First, b.First), cmp.Compare(a.Second, b.Second))
		})
	}()
	for _, g := range groups {
		for i, one := range masks[g] {
			for _, other := range masks[g][i:] {
				seen := map[string][]*rule{}
				if one != other {
					for _, r := range members[g][one] {
						key := r.textsAt(one & other)
						seen[key] = append(seen[key], r)
					}
				}
				for _, r := range members[g][other] {
					key := r.textsAt(one & other)
					for _, before := range seen[key] {
						if !r.overlaps(before) {
							continue
						}
						if len(all) == maxConflicts {
							return all, true
						}
						all = append(all, newConflict(before, r))
					}
					if one == other {
						seen[key] = append(seen[key], r)
					}
				}
			}
		}
	}
	return all, false
}

// mask returns which segments are literal, the first one in the lowest bit.
func (r *rule) mask() (mask uint64) {
	for i, s := range r.segments {
		if !s.param {
			mask |= 1 << i
		}
	}
	return mask
}

// textsAt returns the segments at some positions, as one text.
func (r *rule) textsAt(mask uint64) string {
	var b strings.Builder
	for i, s := range r.segments {
		if mask&(1<<i) != 0 {
			b.WriteString(s.text)
			b.WriteByte('/')
		}
	}
	return b.String()
}

// overlaps reports whether the methods, headers and parameters of two rules of the same rank
// could all hold for one request that has each header and parameter once.
func (r *rule) overlaps(other *rule) bool {
	if len(r.methods) > 0 && !slices.ContainsFunc(r.methods, func(m string) bool { return slices.Contains(other.methods, m) }) {
		return false
	}
	return agree(r.headers, other.headers) && agree(r.query, other.query)
}

// agree reports whether no name has different values in two lists.
func agree(a, b []pair) bool {
	for _, p := range a {
		if slices.ContainsFunc(b, func(q pair) bool { return p.name == q.name && p.value != q.value }) {
			return false
		}
	}
	return true
}

// newConflict makes the conflict of two rules that overlap, with its example.
func newConflict(a, b *rule) Conflict {
	e := Request{Method: http.MethodGet, Host: a.host, Header: http.Header{}}
	if strings.Contains(e.Host, ":") {
		e.Host = "[" + e.Host + "]"
	}
	for _, m := range a.methods {
		if slices.Contains(b.methods, m) {
			e.Method = m
			break
		}
	}
	for i, s := range a.segments {
		text := s.text // also of a parameter
		if s.param && !b.segments[i].param {
			text = b.segments[i].text
		}
		e.Path += "/" + text
	}
	if a.below {
		e.Path += "/"
	}
	query := url.Values{}
	for _, r := range []*rule{a, b} {
		for _, p := range r.headers {
			e.Header.Set(p.name, p.value)
		}
		for _, p := range r.query {
			query.Set(p.name, p.value)
		}
	}
	e.Query = query.Encode()
	return Conflict{First: min(a.index, b.index), Second: max(a.index, b.index), Example: e}
}

package usage

import (
	"slices"
	"strconv"
	"time"
)

// Row is what was counted of the calls that have some words in common.
type Row struct {
	Words         []string // in the order of Question.By
	From          time.Time
	Count         uint64
	Errors        uint64 // answered with 500 and above, or not at all
	P50, P95, P99 time.Duration
	In, Out       int64 // bytes
	Cost          int64 // nano-USD
}

// placeConsumer is the place of the word consumer, which a block has elsewhere.
const placeConsumer = -1

var placeOf = map[string]int{"consumer": placeConsumer, "api": placeAPI, "version": placeVersion, "route": placeRoute, "status": placeStatus, "model": placeModel}

// groups adds up the rows of blocks that have some words in common.
type groups struct {
	places []int          // of these words
	lists  []list[string] // the texts that each has
	own    *string        // only the rows of this consumer; nil for all
	index  map[groupKey]*group
	max    int // groups; add returns errTooMany beyond
}

// groupKey has the places in lists of the words of a group.
type groupKey [placeCount + 1]uint32

type group struct {
	in, out, cost int64
	errors        uint64
	took          histogram
}

func newGroups(by []string, own *string, max int) *groups {
	g := &groups{own: own, max: max}
	for _, word := range by {
		g.places = append(g.places, placeOf[word])
	}
	g.lists = make([]list[string], len(by))
	g.index = map[groupKey]*group{}
	return g
}

// add adds the rows of a block.
func (g *groups) add(block []byte) error {
	r := read(block)
	var known [placeCount + 1][]uint32 // by the place in g.places and the place in the block: the place in g.lists
	for i, place := range g.places {
		switch place {
		case placeConsumer:
		case placeStatus:
			for _, status := range r.statuses {
				known[i] = append(known[i], uint32(g.lists[i].place(strconv.Itoa(int(status)))))
			}
		default:
			for _, text := range r.texts[place] {
				known[i] = append(known[i], uint32(placeOfBytes(&g.lists[i], text)))
			}
		}
	}
	var key, last groupKey
	var to *group
	for {
		name, ok := r.nextConsumer()
		if !ok {
			return r.err
		}
		if g.own != nil && string(name) != *g.own {
			continue
		}
		for i, place := range g.places {
			if place == placeConsumer {
				key[i] = uint32(placeOfBytes(&g.lists[i], name))
			}
		}
		for r.nextRow() {
			for i, place := range g.places {
				if place != placeConsumer {
					key[i] = known[i][r.places[place]]
				}
			}
			if to == nil || key != last {
				if to = g.index[key]; to == nil {
					if len(g.index) >= g.max {
						return errTooMany
					}
					to = &group{}
					g.index[key] = to
				}
				last = key
			}
			to.add(&r.row, r.statuses[r.places[placeStatus]])
		}
	}
}

func (g *group) add(r *row, status uint16) {
	g.in, g.out, g.cost = sum(g.in, r.in), sum(g.out, r.out), sum(g.cost, r.cost)
	if status == 0 || status >= 500 {
		for _, b := range r.bins {
			g.errors += b.count()
		}
	}
	g.took.add(r.bins)
}

// rows returns a row for each group, by its words, and forgets the groups.
func (g *groups) rows(from time.Time) []Row {
	all := make([]Row, 0, len(g.index))
	for key, of := range g.index {
		row := Row{Words: g.words(key), From: from, Errors: of.errors, In: of.in, Out: of.out, Cost: of.cost}
		row.Count, row.P50, row.P95, row.P99 = of.took.summary()
		all = append(all, row)
	}
	slices.SortFunc(all, func(a, b Row) int { return slices.Compare(a.Words, b.Words) })
	clear(g.index)
	return all
}

func (g *groups) words(key groupKey) []string {
	words := make([]string, len(g.places))
	for i := range words {
		words[i] = g.lists[i].all[key[i]]
	}
	return words
}

// table returns the groups as a table, in which words that are not asked for are empty.
func (g *groups) table() table {
	all := table{}
	for key, of := range g.index {
		var s series
		words := g.words(key)
		for i, place := range g.places {
			switch place {
			case placeConsumer:
				s.consumer = words[i]
			case placeAPI:
				s.api = words[i]
			case placeVersion:
				s.version = words[i]
			case placeRoute:
				s.route = words[i]
			case placeModel:
				s.model = words[i]
			case placeStatus:
				n, _ := strconv.Atoi(words[i])
				s.status = uint16(n)
			}
		}
		all[s] = &row{of.in, of.out, of.cost, of.took.bins()}
	}
	return all
}

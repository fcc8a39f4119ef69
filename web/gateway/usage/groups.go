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

// Places of the words that are not in a list of a block.
const (
	placeStatus   = textPlaces
	placeConsumer = textPlaces + 1
)

var placeOf = map[string]int{"consumer": placeConsumer, "api": placeAPI, "version": placeVersion, "route": placeRoute, "status": placeStatus, "model": placeModel}

// groups adds up the rows of blocks that have some words in common.
type groups struct {
	places     []int // of these words, in the order of the question
	byConsumer bool
	lists      [textPlaces + 2]list[string] // the texts that each word has, by its place
	targets    list[groupTarget]            // that rows have; words that are not asked for are 0
	own        *string                      // only the rows of this consumer; nil for all
	index      map[groupKey]*group
	max        int // groups; add returns errTooMany beyond
}

// groupTarget has places in lists.
type groupTarget [textPlaces + 1]int

// groupKey says what a group has in common, as places in lists.
type groupKey struct{ consumer, target uint32 }

type group struct {
	in, out, cost int64
	errors        uint64
	took          histogram
}

func newGroups(by []string, own *string, max int) *groups {
	g := &groups{own: own, max: max, index: map[groupKey]*group{}}
	for _, word := range by {
		g.places = append(g.places, placeOf[word])
	}
	g.byConsumer = slices.Contains(by, "consumer")
	return g
}

// add adds the rows of a block.
func (g *groups) add(block []byte) error {
	r := read(block)
	targets := make([]uint32, len(r.targets)) // by their places in the block
	for i, to := range r.targets {
		var key groupTarget
		for _, place := range g.places {
			switch place {
			case placeConsumer:
			case placeStatus:
				key[place] = g.lists[place].place(strconv.Itoa(int(to.status)))
			default:
				key[place] = placeOfBytes(&g.lists[place], r.texts[place][to.places[place]])
			}
		}
		targets[i] = uint32(g.targets.place(key))
	}
	known := make([]*group, len(g.targets.all)) // of the current consumer, by target
	for {
		name, ok := r.nextConsumer()
		if !ok {
			return r.err
		}
		if g.own != nil && string(name) != *g.own {
			continue
		}
		var key groupKey
		if g.byConsumer {
			key.consumer = uint32(placeOfBytes(&g.lists[placeConsumer], name))
			clear(known)
		}
		for r.nextRow() {
			key.target = targets[r.target]
			to := known[key.target]
			if to == nil {
				if to = g.index[key]; to == nil {
					if len(g.index) >= g.max {
						return errTooMany
					}
					to = &group{}
					g.index[key] = to
				}
				known[key.target] = to
			}
			to.add(&r.row, r.targets[r.target].status)
		}
	}
}

func (g *group) add(r *row, status uint16) {
	g.in, g.out, g.cost = sum(g.in, r.in), sum(g.out, r.out), sum(g.cost, r.cost)
	if isError(status) {
		for _, b := range r.bins {
			g.errors += b.count()
		}
	}
	g.took.add(r.bins)
}

func isError(status uint16) bool { return status == 0 || status >= 500 }

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
	for i, place := range g.places {
		if place == placeConsumer {
			words[i] = g.lists[place].all[key.consumer]
		} else {
			words[i] = g.lists[place].all[g.targets.all[key.target][place]]
		}
	}
	return words
}

// table returns the groups as a table, in which words that are not asked for are empty.
func (g *groups) table() table {
	all := table{}
	for key, of := range g.index {
		var s series
		for i, word := range g.words(key) {
			switch g.places[i] {
			case placeConsumer:
				s.consumer = word
			case placeAPI:
				s.api = word
			case placeVersion:
				s.version = word
			case placeRoute:
				s.route = word
			case placeModel:
				s.model = word
			case placeStatus:
				n, _ := strconv.Atoi(word)
				s.status = uint16(n)
			}
		}
		all[s] = &row{of.in, of.out, of.cost, of.took.bins()}
	}
	return all
}

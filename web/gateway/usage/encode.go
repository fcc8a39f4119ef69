package usage

import (
	"cmp"
	"encoding/binary"
	"hash/crc32"
	"maps"
	"slices"
)

// A block is a table as it is stored and read. All numbers are unsigned varints (as
// encoding/binary has them), a text is its length and its bytes:
//
//	format                                    one byte, 1
//	count, marks, each: writer (8 bytes, little endian), its last addition
//	4 × (count, texts)                        the APIs, versions, routes and models
//	count, targets, each:
//	    api, version, route, model            as their places in the lists above
//	    status
//	count, consumers, each:
//	    text, size of what follows in bytes, count, rows, each:
//	        target                            as its place in the list above
//	        in, out, cost, count of bins
//	        bins, each: 2 × the buckets between it and the one before; if not 1 call, plus 1, and then the calls
//	CRC-32 (Castagnoli) of all before         4 bytes, little endian
//
// A row of one call takes about 11 bytes. The size lets a reader pass over other consumers.
const format = 1

const sumSize = 4

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Places of the lists of texts in a block.
const (
	placeAPI = iota
	placeVersion
	placeRoute
	placeModel
	textPlaces
)

// target is what a series has besides the consumer: its texts, as places in lists, and the status.
type target struct {
	places [textPlaces]int
	status uint16
}

// marks says of each process that has written a document which of its additions is the last in
// it. So a process whose addition was sent without an answer finds out whether it was stored.
type marks map[uint64]uint64

// encode returns the block of a table. Equal tables and marks have equal blocks.
func (t table) encode(m marks) []byte {
	all := make([]series, 0, len(t))
	for s := range t {
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b series) int {
		return cmp.Or(cmp.Compare(a.consumer, b.consumer), cmp.Compare(a.api, b.api), cmp.Compare(a.version, b.version),
			cmp.Compare(a.route, b.route), cmp.Compare(a.model, b.model), cmp.Compare(a.status, b.status))
	})

	var lists [textPlaces]list[string]
	var targets list[target]
	ofRow := make([]int, len(all))
	for i, s := range all {
		to := target{status: s.status}
		for place, text := range [textPlaces]string{s.api, s.version, s.route, s.model} {
			to.places[place] = lists[place].place(text)
		}
		ofRow[i] = targets.place(to)
	}

	b := []byte{format}
	b = binary.AppendUvarint(b, uint64(len(m)))
	for _, writer := range slices.Sorted(maps.Keys(m)) {
		b = binary.LittleEndian.AppendUint64(b, writer)
		b = binary.AppendUvarint(b, m[writer])
	}
	for _, l := range lists {
		b = binary.AppendUvarint(b, uint64(len(l.all)))
		for _, text := range l.all {
			b = appendText(b, text)
		}
	}
	b = binary.AppendUvarint(b, uint64(len(targets.all)))
	for _, to := range targets.all {
		for _, place := range to.places {
			b = binary.AppendUvarint(b, uint64(place))
		}
		b = binary.AppendUvarint(b, uint64(to.status))
	}

	consumers := 0
	var rows, section []byte
	for begin := 0; begin < len(all); consumers++ {
		end := begin + 1
		for end < len(all) && all[end].consumer == all[begin].consumer {
			end++
		}
		section = binary.AppendUvarint(section[:0], uint64(end-begin))
		for i := begin; i < end; i++ {
			section = binary.AppendUvarint(section, uint64(ofRow[i]))
			section = t[all[i]].append(section)
		}
		rows = appendText(rows, all[begin].consumer)
		rows = append(binary.AppendUvarint(rows, uint64(len(section))), section...)
		begin = end
	}
	b = append(binary.AppendUvarint(b, uint64(consumers)), rows...)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

func (r *row) append(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(r.in))
	b = binary.AppendUvarint(b, uint64(r.out))
	b = binary.AppendUvarint(b, uint64(r.cost))
	b = binary.AppendUvarint(b, uint64(len(r.bins)))
	before := -1
	for _, bin := range r.bins {
		distance := uint64(bin.bucket()-before-1) << 1
		before = bin.bucket()
		if n := bin.count(); n == 1 {
			b = binary.AppendUvarint(b, distance)
		} else {
			b = binary.AppendUvarint(binary.AppendUvarint(b, distance|1), n)
		}
	}
	return b
}

func appendText(b []byte, text string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

// list gives values their places, in the order in which they come.
type list[T comparable] struct {
	all    []T
	places map[T]int
}

func (l *list[T]) place(value T) int {
	place, known := l.places[value]
	if !known {
		if l.places == nil {
			l.places = map[T]int{}
		}
		place = len(l.all)
		l.places[value] = place
		l.all = append(l.all, value)
	}
	return place
}

// placeOfBytes is place for a text, which is copied only if it is new.
func placeOfBytes(l *list[string], text []byte) int {
	if place, known := l.places[string(text)]; known {
		return place
	}
	return l.place(string(text))
}

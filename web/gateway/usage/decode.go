package usage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
)

// errDamaged: the bytes are not a block.
var errDamaged = errors.New("the bytes of the usage are damaged")

// reader reads a block. It accepts all bytes, and never more rows or bins than they hold.
type reader struct {
	rest    []byte // behind what was read, without the sum
	marks   marks
	texts   [textPlaces][][]byte
	targets []target

	consumers int    // that remain
	rows      int    // of the current consumer that remain
	after     []byte // what follows the rows of the current consumer

	target int // of the current row, as its place in targets
	row    row // the current row; its bins are used again for the next
	err    error
}

// checkSum returns an error if bytes are not a block of a known format, or were changed.
func checkSum(block []byte) error {
	switch {
	case len(block) < 1+sumSize:
		return errDamaged
	case crc32.Checksum(block[:len(block)-sumSize], castagnoli) != binary.LittleEndian.Uint32(block[len(block)-sumSize:]):
		return errDamaged
	case block[0] != format:
		return fmt.Errorf("the usage has the format %d, which this version does not know", block[0])
	}
	return nil
}

// read begins to read a block whose sum was checked. After an error it has nothing.
func read(block []byte) *reader {
	r := &reader{}
	r.readLists(block)
	if r.err != nil {
		return &reader{err: r.err}
	}
	return r
}

// readLists reads what is before the consumers.
func (r *reader) readLists(block []byte) {
	if len(block) < 1+sumSize || block[0] != format {
		r.err = errDamaged
		return
	}
	r.rest = block[1 : len(block)-sumSize]
	for range r.count(9) {
		if len(r.rest) < 8 {
			r.fail()
			return
		}
		writer := binary.LittleEndian.Uint64(r.rest)
		r.rest = r.rest[8:]
		if r.marks == nil {
			r.marks = marks{}
		}
		r.marks[writer] = max(r.marks[writer], r.number())
	}
	for i := range r.texts {
		r.texts[i] = make([][]byte, 0, r.count(1))
		for range cap(r.texts[i]) {
			r.texts[i] = append(r.texts[i], r.text())
		}
	}
	r.targets = make([]target, r.count(textPlaces+1))
	for i := range r.targets {
		for place := range r.texts {
			r.targets[i].places[place] = int(r.below(uint64(len(r.texts[place]))))
		}
		if r.targets[i].status = uint16(r.below(math.MaxUint16 + 1)); r.err != nil {
			return
		}
	}
	r.consumers = r.count(3)
}

// nextConsumer goes on to the next consumer, passing over the rows of the last one that were
// not read. ok is false at the end, and after an error.
func (r *reader) nextConsumer() (name []byte, ok bool) {
	if r.after != nil && r.err == nil {
		r.rest = r.after
	}
	if r.consumers == 0 || r.err != nil {
		return nil, false
	}
	r.consumers--
	name = r.text()
	size := r.count(1)
	if r.err != nil {
		return nil, false
	}
	r.after, r.rest = r.rest[size:], r.rest[:size]
	r.rows = r.count(5)
	return name, r.err == nil
}

// nextRow reads the next row of the current consumer.
func (r *reader) nextRow() bool {
	if r.rows == 0 || r.err != nil {
		return false
	}
	r.rows--
	r.target = int(r.below(uint64(len(r.targets))))
	r.row.in, r.row.out, r.row.cost = r.amount(), r.amount(), r.amount()
	n := r.count(1)
	all, rest := r.row.bins[:0], r.rest // most of the time is spent in this loop
	bucket := -1
	for range n {
		var distance uint64
		calls := uint64(1)
		if len(rest) > 1 && rest[0] < 0x80 && (rest[0]&1 == 0 || rest[1] < 0x80) {
			if distance = uint64(rest[0]); distance&1 == 0 {
				rest = rest[1:]
			} else {
				calls, rest = uint64(rest[1]), rest[2:]
			}
		} else {
			r.rest = rest
			if distance = r.number(); distance&1 != 0 {
				calls = r.number()
			}
			rest = r.rest
		}
		bucket += int(min(distance>>1, bucketCount)) + 1
		if bucket >= bucketCount || calls == 0 || calls > maxCount || r.err != nil {
			r.fail()
			return false
		}
		all = append(all, newBin(bucket, calls))
	}
	r.row.bins, r.rest = all, rest
	return r.err == nil
}

// number reads a varint.
func (r *reader) number() uint64 {
	if len(r.rest) > 0 && r.rest[0] < 0x80 { // most are
		n := uint64(r.rest[0])
		r.rest = r.rest[1:]
		return n
	}
	n, size := binary.Uvarint(r.rest)
	if size <= 0 {
		r.fail()
		return 0
	}
	r.rest = r.rest[size:]
	return n
}

// below reads a number that must be less than bound.
func (r *reader) below(bound uint64) uint64 {
	n := r.number()
	if n >= bound {
		r.fail()
		return 0
	}
	return n
}

// count reads how many things follow that take at least size bytes each.
func (r *reader) count(size int) int {
	n := r.number()
	if n > uint64(len(r.rest)/size) {
		r.fail()
		return 0
	}
	return int(n)
}

func (r *reader) amount() int64 { return int64(r.below(math.MaxInt64 + 1)) }

func (r *reader) text() []byte {
	size := r.count(1)
	text := r.rest[:size:size]
	r.rest = r.rest[size:]
	return text
}

func (r *reader) fail() {
	r.err, r.rest = errDamaged, nil
}

// addBlock adds what a block has to a table, and to marks.
func (t table) addBlock(block []byte, m marks) error {
	r := read(block)
	for writer, last := range r.marks {
		m[writer] = max(m[writer], last)
	}
	var texts [textPlaces][]string
	for i, list := range r.texts {
		texts[i] = make([]string, len(list))
		for j, text := range list {
			texts[i][j] = string(text)
		}
	}
	for {
		name, ok := r.nextConsumer()
		if !ok {
			return r.err
		}
		s := series{consumer: string(name)}
		for r.nextRow() {
			to := r.targets[r.target]
			s.api, s.version = texts[placeAPI][to.places[placeAPI]], texts[placeVersion][to.places[placeVersion]]
			s.route, s.model = texts[placeRoute][to.places[placeRoute]], texts[placeModel][to.places[placeModel]]
			s.status = to.status
			t.add(s, &r.row)
		}
	}
}

// joined returns the block that has what some blocks have, and marks, which it changes. A nil
// block has nothing.
func joined(m marks, blocks ...[]byte) ([]byte, error) {
	all := table{}
	for _, block := range blocks {
		if block == nil {
			continue
		}
		if err := all.addBlock(block, m); err != nil {
			return nil, err
		}
	}
	return all.encode(m), nil
}

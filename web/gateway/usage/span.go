package usage

import (
	"bytes"
	"time"

	"jobhub/jobs"
)

// level keeps what was counted by minutes or by hours.
type level struct {
	kind  string // of its documents
	width int64  // of a span in seconds
	form  string // of the times in the names of its documents
}

var (
	minutes = &level{"usage_minute", 60, "2006-01-02T15:04Z"}
	hours   = &level{"usage_hour", 3600, "2006-01-02T15Z"}
	levels  = []*level{minutes, hours}
)

const day = 24 * 3600 // seconds

// floor returns the last whole number of widths up to a time; all are in seconds since 1970.
func floor(at, width int64) int64 {
	over := at % width
	if over < 0 {
		over += width
	}
	return at - over
}

func (l *level) name(start int64) string { return time.Unix(start, 0).UTC().Format(l.form) }

// start reads the time in a name. What follows it tells apart the documents of one time.
func (l *level) start(name string) (int64, bool) {
	if len(name) < len(l.form) {
		return 0, false
	}
	at, err := time.Parse(l.form, name[:len(l.form)])
	return at.Unix(), err == nil
}

// span is what was counted in one minute or hour for one tenant. All blocks and documents in
// it are never changed, only replaced.
type span struct {
	fresh table  // since delta was made; nil for nothing
	block []byte // fresh as a block; nil if that has to be made

	name  string // of the document
	base  []byte // as far as known, what is stored; nil for nothing
	delta []byte // what is being added to base; nil for nothing
	added uint64 // the number of delta, which stands in its marks
	data  []byte // base and delta: what will be stored

	folded bool            // data has no consumers
	others []jobs.Document // further documents of the same time, which are never written: of another version, or damaged
	joined [][]byte        // the blocks of those of them that can be read
}

// blocks returns what was counted, as blocks.
func (s *span) blocks() (all [][]byte) {
	if len(s.fresh) > 0 {
		if s.block == nil {
			s.block = s.fresh.encode(nil)
		}
		all = append(all, s.block)
	}
	if s.data != nil {
		all = append(all, s.data)
	}
	return append(all, s.joined...)
}

// pending reports whether data wait to be stored. Perhaps they are stored, and the answer of
// the store was lost; so they are sent again as they are.
func (s *span) pending() bool { return !bytes.Equal(s.data, s.base) }

// advance makes the data that are to be stored next, unless others are pending.
func (s *span) advance(writer, number uint64) error {
	if s.pending() || len(s.fresh) == 0 {
		return nil
	}
	s.delta, s.added = s.fresh.encode(marks{writer: number}), number
	s.fresh, s.block = nil, nil
	return s.rebuild()
}

// rebuild makes data of base and delta.
func (s *span) rebuild() error {
	data, err := joined(marks{}, s.base, s.delta)
	if err == nil && s.folded {
		data, err = withoutConsumers(data)
	}
	if err == nil {
		s.data = data
	}
	return err
}

// stored notes that data are stored.
func (s *span) stored() { s.base, s.delta = s.data, nil }

// fold takes the consumers out of data.
func (s *span) fold() error {
	data, err := withoutConsumers(s.data)
	if err == nil {
		s.data, s.folded = data, true
	}
	return err
}

// withoutConsumers returns a block with Other for all consumers.
func withoutConsumers(block []byte) ([]byte, error) {
	all, folded, m := table{}, table{}, marks{}
	if err := all.addBlock(block, m); err != nil {
		return nil, err
	}
	for s, r := range all {
		s.consumer = Other
		folded.add(s, r)
	}
	return folded.encode(m), nil
}

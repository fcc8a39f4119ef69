// Package eventlog is the log of events: how the events of a commit are written as a row of
// the database, and the newest events in memory.
package eventlog

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"time"

	"jobhub/jobs"
)

// A row of the log is
//
//	format byte · first seq · time (ms) · number of events · events · CRC-32C of all before
//
// and an event is
//
//	type and flags · distance to prev (0 for none) · job id · tenant, queue, kind · tags · version · data
//
// Numbers are uvarints, texts and data are preceded by their length. A text that the
// row has held before is written as its number from 1, a new one as 0 and the text.
const (
	logFormat     = 1
	flagTruncated = 0x80
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// ErrCorrupt: a row is not what was written.
var ErrCorrupt = errors.New("the row is not what was written")

// Encode encodes the events of one commit; they are consecutive and not empty.
func Encode(b []byte, events []*jobs.Event) []byte {
	start := len(b)
	seen := map[string]uint64{}
	text := func(s string) {
		if i, ok := seen[s]; ok {
			b = binary.AppendUvarint(b, i)
			return
		}
		seen[s] = uint64(len(seen) + 1)
		b = append(b, 0)
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	b = append(b, logFormat)
	b = binary.AppendUvarint(b, events[0].Seq)
	b = binary.AppendUvarint(b, uint64(events[0].At.UnixMilli()))
	b = binary.AppendUvarint(b, uint64(len(events)))
	for _, e := range events {
		flags := byte(e.Type)
		if e.Truncated {
			flags |= flagTruncated
		}
		b = append(b, flags)
		back := uint64(0)
		if e.Prev > 0 {
			back = e.Seq - e.Prev
		}
		b = binary.AppendUvarint(b, back)
		b = append(b, e.Job[:]...)
		text(e.Tenant)
		text(e.Queue)
		text(e.Kind)
		b = binary.AppendUvarint(b, uint64(len(e.Tags)))
		for _, t := range e.Tags {
			text(t)
		}
		b = binary.AppendUvarint(b, e.Version)
		b = binary.AppendUvarint(b, uint64(len(e.Data)))
		b = append(b, e.Data...)
	}
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b[start:], castagnoli))
}

// Decode reads what Encode wrote. The events share memory with row.
func Decode(row []byte) (events []*jobs.Event, err error) {
	if len(row) < 5 || row[0] != logFormat || crc32.Checksum(row[:len(row)-4], castagnoli) != binary.BigEndian.Uint32(row[len(row)-4:]) {
		return nil, ErrCorrupt
	}
	d := decoder{rest: row[1 : len(row)-4]}
	seq, at, n := d.number(), time.UnixMilli(int64(d.number())), d.number()
	if n > uint64(len(row)) {
		return nil, ErrCorrupt
	}
	events = make([]*jobs.Event, 0, n)
	for ; n > 0 && !d.bad; n-- {
		flags := d.bytes(1)
		if d.bad {
			break
		}
		e := &jobs.Event{Type: jobs.EventType(flags[0] &^ flagTruncated), Truncated: flags[0]&flagTruncated != 0, Seq: seq, At: at}
		if back := d.number(); back > 0 {
			e.Prev = seq - back
		}
		copy(e.Job[:], d.bytes(16))
		e.Tenant, e.Queue, e.Kind = d.text(), d.text(), d.text()
		for tags := d.number(); tags > 0 && !d.bad; tags-- {
			e.Tags = append(e.Tags, d.text())
		}
		e.Version = d.number()
		if data := d.bytes(d.number()); len(data) > 0 {
			e.Data = data
		}
		if !e.Type.Valid() || e.Prev >= seq {
			d.bad = true
		}
		events = append(events, e)
		seq++
	}
	if d.bad || len(d.rest) > 0 || len(events) == 0 {
		return nil, ErrCorrupt
	}
	return events, nil
}

// decoder reads a row from its beginning; after the first error it returns only zero values.
type decoder struct {
	rest  []byte
	texts []string
	bad   bool
}

func (d *decoder) number() uint64 {
	n, size := binary.Uvarint(d.rest)
	if size <= 0 || d.bad {
		d.bad = true
		return 0
	}
	d.rest = d.rest[size:]
	return n
}

func (d *decoder) bytes(n uint64) []byte {
	if d.bad || n > uint64(len(d.rest)) {
		d.bad = true
		return nil
	}
	b := d.rest[:n:n]
	d.rest = d.rest[n:]
	return b
}

func (d *decoder) text() string {
	i := d.number()
	if i == 0 {
		s := string(d.bytes(d.number()))
		d.texts = append(d.texts, s)
		return s
	}
	if i > uint64(len(d.texts)) {
		d.bad = true
		return ""
	}
	return d.texts[i-1]
}

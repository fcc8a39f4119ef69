package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// Opcodes of RFC 6455 section 5.2.
const (
	opContinuation = 0
	opText         = 1
	opBinary       = 2
	opClose        = 8
	opPing         = 9
	opPong         = 10
)

// frames reads what a server sends over a WebSocket connection (RFC 6455 section 5), in pieces
// of any length. It keeps no payload of data frames, so that ten thousand connections need
// little memory.
type frames struct {
	sink    sink
	count   uint64 // data frames begun
	header  [10]byte
	have    int    // bytes of the header
	left    uint64 // of the payload still to come
	payload bool   // the header is complete
	inside  bool   // a message that has not ended
	control []byte // payload of a control frame so far
}

// sink receives the contents of frames. A part is valid only during the call.
type sink interface {
	data(part []byte, end bool) error // part of a message; end after its last
	control(opcode byte, payload []byte) error
}

func (f *frames) feed(b []byte) error {
	for len(b) > 0 {
		if !f.payload {
			b = f.head(b)
			if !f.payload {
				return nil
			}
			if err := f.check(); err != nil {
				return err
			}
		}
		n := min(uint64(len(b)), f.left)
		part := b[:n]
		b, f.left = b[n:], f.left-n
		if err := f.pass(part); err != nil {
			return err
		}
	}
	return nil
}

func (f *frames) final() bool  { return f.header[0]&0x80 != 0 }
func (f *frames) opcode() byte { return f.header[0] & 0x0f }

// head takes bytes of a header and returns the others.
func (f *frames) head(b []byte) []byte {
	for len(b) > 0 {
		f.header[f.have] = b[0]
		f.have, b = f.have+1, b[1:]
		size, n := 2, f.header[1]&0x7f
		switch n {
		case 126:
			size = 4
		case 127:
			size = 10
		}
		if f.have < 2 || f.have < size {
			continue
		}
		switch n {
		case 126:
			f.left = uint64(binary.BigEndian.Uint16(f.header[2:]))
		case 127:
			f.left = binary.BigEndian.Uint64(f.header[2:])
		default:
			f.left = uint64(n)
		}
		f.payload, f.have = true, 0
		break
	}
	return b
}

// check checks a complete header.
func (f *frames) check() error {
	control := f.opcode() >= opClose
	switch {
	case f.header[0]&0x70 != 0:
		return errors.New("a frame with reserved bits")
	case f.header[1]&0x80 != 0:
		return errors.New("a masked frame from a server")
	case control && (!f.final() || f.left > 125):
		return errors.New("a control frame that is fragmented or too long")
	case control:
		f.control = f.control[:0]
		return f.pass(nil) // it may be empty
	case f.opcode() == opContinuation && !f.inside, f.opcode() != opContinuation && f.inside:
		return errors.New("a message within a message, or a continuation of none")
	case f.opcode() > opBinary:
		return fmt.Errorf("opcode %d", f.opcode())
	}
	f.inside = true
	f.count++
	return f.pass(nil)
}

// pass gives the sink a part of the payload, and the end of the frame.
func (f *frames) pass(part []byte) error {
	if !f.payload || len(part) == 0 && f.left > 0 {
		return nil
	}
	ended := f.left == 0
	f.payload = !ended
	if f.opcode() >= opClose {
		if f.control = append(f.control, part...); ended {
			return f.sink.control(f.opcode(), f.control)
		}
		return nil
	}
	end := ended && f.final()
	f.inside = !end
	return f.sink.data(part, end)
}

// eventPrefix is how only an event of a job begins in the protocol jobhub.v1. In a quoted event
// the quotation marks would be escaped.
const eventPrefix = `{"type":"job.`

// counter counts the events in messages, each of which holds JSON objects separated by
// newlines, and adds up their bytes without the newlines.
type counter struct {
	events, bytes uint64
	length        uint64 // of the object so far
	other         bool   // the object is not an event
}

func (c *counter) data(part []byte, end bool) {
	for len(part) > 0 {
		object, rest, cut := bytes.Cut(part, newline)
		c.take(object)
		if cut {
			c.finish()
		}
		part = rest
	}
	if end {
		c.finish()
	}
}

func (c *counter) take(piece []byte) {
	if c.length < uint64(len(eventPrefix)) && !c.other {
		want := eventPrefix[c.length:]
		n := min(len(want), len(piece))
		c.other = string(piece[:n]) != want[:n]
	}
	c.length += uint64(len(piece))
}

func (c *counter) finish() {
	if !c.other && c.length >= uint64(len(eventPrefix)) {
		c.events++
		c.bytes += c.length
	}
	c.length, c.other = 0, false
}

var newline = []byte{'\n'}

// objects splits messages into their objects.
type objects struct {
	begun []byte // of an object that has not ended
}

// data calls yield with each complete object, which is valid only during the call.
func (o *objects) data(part []byte, end bool, yield func([]byte) error) error {
	for len(part) > 0 {
		object, rest, cut := bytes.Cut(part, newline)
		part = rest
		if !cut && !end {
			o.begun = append(o.begun, object...)
			return nil
		}
		if err := o.whole(object, yield); err != nil {
			return err
		}
	}
	if end {
		return o.whole(nil, yield)
	}
	return nil
}

func (o *objects) whole(tail []byte, yield func([]byte) error) error {
	if len(o.begun) > 0 {
		tail = append(o.begun, tail...)
		o.begun = tail[:0]
	}
	if len(tail) == 0 {
		return nil
	}
	return yield(tail)
}

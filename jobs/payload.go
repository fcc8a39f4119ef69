package jobs

import (
	"bytes"
	"context"
	"io"
)

// Part is a part of a job that can be large.
type Part int

const (
	PartInput Part = iota
	PartResult
	PartResponse // encoded as by Response.MarshalBinary
)

// PayloadReader is a Store that also gives large payloads piece by piece, so that a job can
// be sent on without being in memory as a whole.
type PayloadReader interface {
	// Brief is Job without the parts over SmallPayload; large says whether there are any.
	Brief(ctx context.Context, tenant string, id ID) (job Job, pos Position, large bool, err error)

	// ReadPayload reads bytes of a part that Brief left out, from an offset on, until p is
	// full or the part ends. It returns how many, and the size of the whole part: 0 if
	// Brief did not leave it out.
	ReadPayload(ctx context.Context, tenant string, id ID, part Part, off int64, p []byte) (n int, size int64, err error)
}

// Brief reads a job without the parts over SmallPayload, where the store can do so; large
// says whether there are some.
func Brief(ctx context.Context, s Store, tenant string, id ID) (job Job, pos Position, large bool, err error) {
	if r, ok := s.(PayloadReader); ok {
		return r.Brief(ctx, tenant, id)
	}
	job, pos, err = s.Job(ctx, tenant, id)
	return job, pos, false, err
}

// Payload reads a part of a job that Brief left out, without keeping it in memory. The part
// must not change meanwhile; that of a job that has ended does not.
type Payload struct {
	store  PayloadReader
	tenant string
	id     ID
	part   Part
	size   int64
	off    int64 // of what is read next
}

// OpenPayload begins to read a part of a job; nil if the job has none that Brief leaves out.
func OpenPayload(ctx context.Context, s Store, tenant string, id ID, part Part) (*Payload, error) {
	r, ok := s.(PayloadReader)
	if !ok {
		return nil, nil
	}
	_, size, err := r.ReadPayload(ctx, tenant, id, part, 0, nil)
	if err != nil || size == 0 {
		return nil, err
	}
	return &Payload{store: r, tenant: tenant, id: id, part: part, size: size}, nil
}

// Left is how many bytes are still to be read.
func (p *Payload) Left() int64 { return p.size - p.off }

// Next reads bytes, as many as b has room for, or all that are left. The error at the end is
// io.EOF.
func (p *Payload) Next(ctx context.Context, b []byte) (int, error) {
	if p.Left() == 0 {
		return 0, io.EOF
	}
	n, _, err := p.store.ReadPayload(ctx, p.tenant, p.id, p.part, p.off, b)
	if err == nil && n == 0 {
		err = io.ErrUnexpectedEOF // deleted meanwhile
	}
	p.off += int64(n)
	return n, err
}

// headPiece is how much of a response is read at first. Most headers fit into it.
const headPiece = 16 << 10

// OpenResponse reads the head of a response that Brief left out. What follows is its body.
func OpenResponse(ctx context.Context, s Store, tenant string, id ID) (*Response, *Payload, error) {
	p, err := OpenPayload(ctx, s, tenant, id, PartResponse)
	if p == nil || err != nil {
		return nil, nil, err
	}
	var head []byte
	for piece := make([]byte, headPiece); ; {
		n, err := p.Next(ctx, piece)
		if err != nil {
			return nil, nil, err
		}
		head = append(head, piece[:n]...)
		if end := bytes.IndexByte(head[len(head)-n:], '\n'); end >= 0 {
			head = head[:len(head)-n+end]
			break
		}
	}
	r := new(Response)
	if err := r.UnmarshalBinary(head); err != nil {
		return nil, nil, err
	}
	p.off = int64(len(head)) + 1
	return r, p, nil
}

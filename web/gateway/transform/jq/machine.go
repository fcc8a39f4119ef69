package jq

import (
	"context"
	"encoding/json"
	"errors"
	"math/big"
	"time"

	"github.com/itchyny/gojq"
)

// Bounds of a run.
const (
	// MaxTime ends a run that takes few steps, but long ones. Usually the steps end first:
	// a million of them take about 30 ms.
	MaxTime = 2 * time.Second

	minSteps     = 1_000_000
	stepsPerByte = 8 // of the document
	maxSteps     = 64_000_000

	maxDepth = 1000 // of nested arrays and objects

	// bytesPerStep is how many copied bytes cost a step.
	bytesPerStep = 16

	clockSteps = 64 // steps between two looks at the clock
)

var (
	errSteps = errors.New("it takes too many steps for a document of this size")
	errTime  = errors.New("it takes too long")
	errDeep  = errors.New("arrays and objects are nested too deeply")
)

// closed is ready at once, as the channel of a context that has ended.
var closed = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// A machine runs a program on one document at a time. It is the context of the run: gojq asks
// before each step whether it is done. Compiled code belongs to one machine, because gojq
// writes to objects of the program when members are deleted, which would be fatal in two
// goroutines at once.
type machine struct {
	program *Program
	code    *gojq.Code
	doc     *document // of the run

	context.Context // of the run
	left            int
	tick            int
	end             time.Time
	stopped         error
	uses            int
	broken          bool // a run panicked
}

// start prepares a run on a document of size bytes.
func (m *machine) start(ctx context.Context, size int) {
	m.Context, m.stopped, m.tick = ctx, nil, 0
	m.left = min(minSteps+stepsPerByte*size, maxSteps)
	m.end = time.Now().Add(MaxTime)
}

// Done takes a step.
func (m *machine) Done() <-chan struct{} {
	if m.tick++; m.tick == clockSteps {
		m.tick = 0
		m.look()
	}
	if m.left--; m.left < 0 {
		m.stop(errSteps)
	}
	if m.stopped != nil {
		return closed
	}
	return nil
}

// Err says why the run was stopped; nil if it was not.
func (m *machine) Err() error { return m.stopped }

// stop ends the run at its next step. The first reason counts.
func (m *machine) stop(err error) error {
	if m.stopped == nil {
		m.stopped = err
	}
	return m.stopped
}

// look stops the run if it is late. Guards call it before work that takes long.
func (m *machine) look() {
	if err := m.Context.Err(); err != nil {
		m.stop(err)
	} else if time.Now().After(m.end) {
		m.stop(errTime)
	}
}

// charge takes steps for work that is done in one go. A program that catches the error is
// stopped all the same.
func (m *machine) charge(steps int) error {
	if steps < 0 || steps > m.left {
		m.left = -1
		return m.stop(errSteps)
	}
	m.left -= steps
	return nil
}

// width is what a copy of a value costs, without what its members hold.
func width(v any) int {
	switch v := v.(type) {
	case string:
		return len(v) / bytesPerStep
	case json.Number:
		return len(v) / bytesPerStep
	case *big.Int:
		return v.BitLen() / 64
	case []any:
		return len(v)
	case map[string]any:
		return 4 * len(v)
	}
	return 0
}

// measure charges for a walk through all of a value: two values that share their parts can be
// much longer than the memory they take. It returns the steps.
func (m *machine) measure(v any) (int, error) {
	before := m.left
	err := m.walk(v, maxDepth)
	return before - m.left, err
}

func (m *machine) walk(v any, depth int) error {
	if err := m.charge(1 + width(v)); err != nil {
		return err
	}
	switch v := v.(type) {
	case []any:
		if depth == 0 {
			return m.stop(errDeep)
		}
		for _, e := range v {
			if err := m.walk(e, depth-1); err != nil {
				return err
			}
		}
	case map[string]any:
		if depth == 0 {
			return m.stop(errDeep)
		}
		for k, e := range v {
			if err := m.charge(len(k) / bytesPerStep); err != nil {
				return err
			}
			if err := m.walk(e, depth-1); err != nil {
				return err
			}
		}
	}
	return nil
}

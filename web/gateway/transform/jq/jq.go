package jq

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"unicode/utf8"

	"github.com/itchyny/gojq"
)

const (
	maxSource = 64 << 10 // length of a program, in bytes
	codeUses  = 10_000   // runs of compiled code before it is compiled again
)

// A Program is a compiled jq program. It is safe for concurrent use.
type Program struct {
	query    *gojq.Query
	objects  [][]string     // the names in each object that the program makes
	places   map[string]int // of names: the order in which the program has them
	patterns map[patternKey]*pattern

	machines sync.Pool // of *machine, which are used by one run at a time
}

// Why a run failed.
var (
	// ErrDocument means that the document is not JSON, or has duplicate members.
	ErrDocument = errors.New("the document is not JSON")
	// ErrProgram means that the program failed on this document, or has not exactly one result.
	ErrProgram = errors.New("the program failed")
	// ErrBounds means that the run or its result exceeds a bound of this package.
	ErrBounds = errors.New("a bound was exceeded")
)

// An Error is why a run failed. It wraps ErrDocument, ErrProgram or ErrBounds, or the error of
// the context.
type Error struct {
	Text string // what is wrong, in a sentence without a period
	kind error
}

func (e *Error) Error() string { return e.Text }

// Unwrap returns what kind of error it is.
func (e *Error) Unwrap() error { return e.kind }

// Compile compiles a program. Its error says what to write instead.
func Compile(source string) (*Program, error) {
	if len(source) > maxSource {
		return nil, fmt.Errorf("the program is longer than %d KiB", maxSource>>10)
	}
	query, err := gojq.Parse(source)
	if err != nil {
		return nil, parseError(source, err)
	}
	p := &Program{query: query, places: map[string]int{}, patterns: map[patternKey]*pattern{}}
	w := &rewriter{program: p, prelude: prelude()}
	w.query(query)
	if len(w.errs) > 0 {
		return nil, errors.New(w.errs[0])
	}
	query.FuncDefs = append(w.used[:len(w.used):len(w.used)], query.FuncDefs...)
	m, err := p.compile()
	if err != nil {
		return nil, err
	}
	p.machines.Put(m)
	return p, nil
}

// parseError says where a program is wrong.
func parseError(source string, err error) error {
	parse, ok := errors.AsType[*gojq.ParseError](err)
	if !ok {
		return err
	}
	if parse.Token == "" {
		return errors.New("the program ends too early: is a bracket, quote or end missing?")
	}
	at := max(0, min(parse.Offset-len(parse.Token), len(source)))
	return fmt.Errorf("%q is not expected at character %d of the program", parse.Token, utf8.RuneCountInString(source[:at])+1)
}

func (p *Program) compile() (m *machine, err error) {
	defer func() {
		if r := recover(); r != nil {
			m, err = nil, fmt.Errorf("the program can't be compiled: %v", r)
		}
	}()
	m = &machine{program: p, Context: context.Background()}
	m.code, err = gojq.Compile(p.query, m.options()...)
	return m, err
}

// Run runs the program on a document, and returns its result as JSON of at most maxOutput
// bytes. If the result is the document, it returns the very slice. An error is an *Error.
func (p *Program) Run(ctx context.Context, document []byte, maxOutput int) ([]byte, error) {
	doc, err := decode(document)
	if err != nil {
		return nil, documentError(err)
	}
	m, _ := p.machines.Get().(*machine)
	if m == nil || m.uses == codeUses {
		if m, err = p.compile(); err != nil {
			return nil, &Error{err.Error(), ErrProgram}
		}
	}
	m.uses++
	m.start(ctx, len(document))
	out, err := m.run(doc, maxOutput)
	m.Context = context.Background()
	if !m.broken {
		p.machines.Put(m)
	}
	if err != nil {
		return nil, err
	}
	if bytes.Equal(out, bytes.Trim(document, " \t\r\n")) {
		return document, nil
	}
	return out, nil
}

// run returns the only result of the program.
func (m *machine) run(doc *document, maxOutput int) (out []byte, err error) {
	defer func() {
		if r := recover(); r != nil {
			m.broken = true
			out, err = nil, &Error{"the program can't be run on this document", ErrProgram}
		}
	}()
	m.doc = doc
	defer func() { m.doc = nil }()
	results := m.code.RunWithContext(m, doc.value)
	v, ok := results.Next()
	if err := m.failure(v); err != nil {
		return nil, err
	}
	if !ok {
		return nil, &Error{"the program has no result; it must have exactly one", ErrProgram}
	}
	w := &writer{doc: doc, program: m.program, max: maxOutput, buf: make([]byte, 0, min(len(doc.text), maxOutput)+64)}
	if err := w.write(v, maxDepth); err != nil {
		return nil, &Error{err.Error(), ErrBounds}
	}
	second, more := results.Next()
	if err := m.failure(second); err != nil {
		return nil, err
	}
	if more {
		return nil, &Error{"the program has more than one result; put it in [ ] to make an array of them", ErrProgram}
	}
	return w.buf, nil
}

// failure returns the error for what a run gave, nil if it is a value.
func (m *machine) failure(v any) error {
	if m.stopped != nil {
		if err := m.Context.Err(); err != nil {
			return &Error{"the request ended before the program", err}
		}
		return &Error{m.stopped.Error(), ErrBounds}
	}
	err, ok := v.(error)
	if !ok {
		return nil
	}
	text := err.Error()
	if len(text) > 200 {
		text = text[:200] + "…"
	}
	return &Error{text, ErrProgram}
}

// documentError says where a document is wrong, without its content.
func documentError(err error) error {
	if err == errDeep {
		return &Error{err.Error(), ErrBounds}
	}
	return &Error{err.Error(), ErrDocument}
}

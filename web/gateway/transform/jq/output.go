package jq

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/itchyny/gojq"
)

var errLong = errors.New("its result is too long")

// A writer writes a result. Its methods return errLong or errDeep, or why the run was stopped.
type writer struct {
	doc     *document
	program *Program
	buf     []byte
	max     int  // bytes
	compact bool // no part is copied from the document
}

func (w *writer) write(v any, depth int) error {
	if raw := w.doc.source(v); raw != nil && !w.compact {
		w.buf = append(w.buf, raw...)
		return w.check()
	}
	switch v := v.(type) {
	case nil:
		w.buf = append(w.buf, "null"...)
	case bool:
		w.buf = strconv.AppendBool(w.buf, v)
	case int:
		w.buf = strconv.AppendInt(w.buf, int64(v), 10)
	case json.Number:
		w.buf = append(w.buf, v...)
	case *big.Int:
		w.buf = v.Append(w.buf, 10)
	case float64:
		w.float(v)
	case string:
		w.text(v)
	case []any:
		if depth == 0 {
			return errDeep
		}
		return w.array(v, depth-1)
	case map[string]any:
		if depth == 0 {
			return errDeep
		}
		return w.object(v, depth-1)
	}
	return w.check()
}

func (w *writer) check() error {
	if len(w.buf) > w.max {
		return errLong
	}
	return nil
}

// float writes a number as jq does: what JSON can't express becomes null or the largest number.
func (w *writer) float(f float64) {
	if f == math.Trunc(f) && math.Abs(f) < 1<<53 && (f != 0 || !math.Signbit(f)) {
		w.buf = strconv.AppendInt(w.buf, int64(f), 10)
		return
	}
	text, _ := gojq.Marshal(f)
	w.buf = append(w.buf, text...)
}

func (w *writer) text(s string) {
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\ufffd")
	}
	w.buf, _ = jsontext.AppendQuote(w.buf, s)
}

func (w *writer) array(list []any, depth int) error {
	w.buf = append(w.buf, '[')
	for i, v := range list {
		if i > 0 {
			w.buf = append(w.buf, ',')
		}
		if err := w.write(v, depth); err != nil {
			return err
		}
	}
	w.buf = append(w.buf, ']')
	return w.check()
}

func (w *writer) object(object map[string]any, depth int) error {
	w.buf = append(w.buf, '{')
	for i, name := range w.order(object) {
		if i > 0 {
			w.buf = append(w.buf, ',')
		}
		w.text(name)
		w.buf = append(w.buf, ':')
		if err := w.write(object[name], depth); err != nil {
			return err
		}
	}
	w.buf = append(w.buf, '}')
	return w.check()
}

// order returns the names of an object's members in the order in which they are written. An
// object of the document has its own. In others they come as the program has them if it names
// exactly these, else as they first came in the document, then in the program, then by their
// letters.
func (w *writer) order(object map[string]any) []string {
	if raw := w.doc.source(object); raw != nil {
		return namesOf(raw)
	}
	for _, names := range w.program.objects {
		if len(names) == len(object) && !slices.ContainsFunc(names, func(n string) bool { _, ok := object[n]; return !ok }) {
			return names
		}
	}
	type ranked struct {
		name string
		rank int
	}
	all := make([]ranked, 0, len(object))
	for name := range object {
		rank := math.MaxInt
		if i, ok := w.doc.places[name]; ok {
			rank = i
		} else if i, ok := w.program.places[name]; ok {
			rank = len(w.doc.names) + i
		}
		all = append(all, ranked{name, rank})
	}
	slices.SortFunc(all, func(a, b ranked) int {
		return cmp.Or(cmp.Compare(a.rank, b.rank), strings.Compare(a.name, b.name))
	})
	names := make([]string, len(all))
	for i, r := range all {
		names[i] = r.name
	}
	return names
}

// namesOf returns the names in the text of an object.
func namesOf(text []byte) (names []string) {
	dec := jsontext.NewDecoder(bytes.NewBuffer(text))
	dec.ReadToken() // the brace
	for dec.PeekKind() == '"' {
		name, err := dec.ReadToken()
		if err != nil {
			break
		}
		names = append(names, name.String())
		if dec.SkipValue() != nil {
			break
		}
	}
	return names
}

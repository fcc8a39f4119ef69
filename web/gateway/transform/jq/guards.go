package jq

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"

	"github.com/itchyny/gojq"
)

// maxBits is the size of the largest product of integers, in bits.
const maxBits = 1 << 16

// options returns the functions of the rewriter. Most return their input as it is, and charge
// for what the function behind them does. Paths go through them unchanged.
func (m *machine) options() []gojq.CompilerOption {
	var all []gojq.CompilerOption
	guard := func(name string, f func(v any) error) {
		all = append(all, gojq.WithFunction(name, 0, 0, func(v any, _ []any) any {
			if err := f(v); err != nil {
				return err
			}
			return v
		}))
	}
	guardWith := func(name string, f func(v, arg any) error) {
		all = append(all, gojq.WithFunction(name, 1, 1, func(v any, args []any) any {
			if err := f(v, args[0]); err != nil {
				return err
			}
			return v
		}))
	}
	guard(":copy", func(v any) error { return m.charge(width(v)) })
	guard(":walk", func(v any) error { _, err := m.measure(v); return err })
	guard(":spread", m.spread)
	guard(":sum", m.sum)
	guard(":matrix", m.matrix)
	guardWith(":product", m.product)
	guardWith(":multiply", m.multiply)
	guardWith(":divide", m.divide)
	guardWith(":join", m.join)
	guardWith(":argument", func(_, arg any) error { _, err := m.measure(arg); return err })
	guardWith(":format", func(_, arg any) error { return m.charge(64 * width(arg)) }) // a field may be 1 KiB wide
	guardWith(":at", m.at)
	guardWith(":gaps", func(v, path any) error { return m.along(v, path, false) })
	guardWith(":along", func(v, path any) error { return m.along(v, path, true) })
	guard(":key", func(v any) error {
		if _, ok := v.([]any); ok {
			return errors.New("an array can't be a name in a pattern")
		}
		return nil
	})
	all = append(all,
		gojq.WithFunction(":names", 0, 0, func(v any, _ []any) any { return m.names(v) }),
		gojq.WithFunction(":json", 0, 0, func(v any, _ []any) any { return m.json(v) }),
		gojq.WithFunction(":text", 0, 0, func(v any, _ []any) any {
			switch v.(type) {
			case []any, map[string]any:
				return m.json(v)
			}
			if err := m.charge(width(v)); err != nil {
				return err
			}
			return v
		}),
		gojq.WithFunction(":literal", 0, 0, func(v any, _ []any) any {
			if s, ok := v.(string); ok && isNumber(s) {
				return number(s)
			}
			return v
		}),
		gojq.WithFunction(":number", 1, 1, func(_ any, args []any) any { return number(args[0].(string)) }))
	return append(all, m.regexOptions()...)
}

// names returns the names of an object in the order in which it is written, or the indexes of
// an array.
func (m *machine) names(v any) any {
	switch v := v.(type) {
	case map[string]any:
		if err := m.charge(4*len(v) + len(m.doc.source(v))/bytesPerStep); err != nil {
			return err
		}
		list := make([]any, 0, len(v))
		for _, name := range (&writer{doc: m.doc, program: m.program}).order(v) {
			list = append(list, name)
		}
		return list
	case []any:
		list := make([]any, len(v))
		for i := range list {
			list[i] = i
		}
		return list
	}
	return fmt.Errorf("%s (%s) has no keys", gojq.TypeOf(v), gojq.Preview(v))
}

// json returns the JSON text of a value, with the members of objects in the order in which they
// are written and without white space.
func (m *machine) json(v any) any {
	if _, err := m.measure(v); err != nil {
		return err
	}
	w := &writer{doc: m.doc, program: m.program, max: math.MaxInt, compact: true}
	if err := w.write(v, maxDepth); err != nil {
		return m.stop(err)
	}
	return string(w.buf)
}

// spread charges for an array of the characters of a text, or of its parts.
func (m *machine) spread(v any) error {
	if s, ok := v.(string); ok {
		return m.charge(2 * len(s))
	}
	return m.charge(width(v))
}

// sum charges for the concatenation of an array's or object's members.
func (m *machine) sum(v any) error {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			if err := m.charge(1 + width(e)); err != nil {
				return err
			}
		}
	case map[string]any:
		for _, e := range v {
			if err := m.charge(1 + width(e)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (m *machine) join(v, separator any) error {
	if err := m.sum(v); err != nil {
		return err
	}
	n := 0
	switch v := v.(type) {
	case []any:
		n = len(v)
	case map[string]any:
		n = len(v)
	}
	return m.charge(times(n, width(separator)))
}

// matrix charges for an array of arrays with rows and columns exchanged.
func (m *machine) matrix(v any) error {
	rows, _ := v.([]any)
	longest := 0
	for _, row := range rows {
		if row, ok := row.([]any); ok {
			longest = max(longest, len(row))
		}
	}
	return m.charge(times(len(rows), longest))
}

// product charges for a comparison of each part of one value with each of the other.
func (m *machine) product(v, w any) error {
	switch v := v.(type) {
	case string:
		if w, ok := w.(string); ok {
			return m.charge(2*len(v) + 2*len(w) + times(len(v), len(w))/8)
		}
	case []any, map[string]any:
		switch w.(type) {
		case []any, map[string]any:
			a, err := m.measure(v)
			if err != nil {
				return err
			}
			b, err := m.measure(w)
			if err != nil {
				return err
			}
			return m.charge(times(a, b))
		}
		_, err := m.measure(v)
		return err
	}
	_, err := m.measure(w)
	return err
}

func (m *machine) multiply(v, w any) error {
	if s, ok := w.(string); ok {
		v, w = s, v
	}
	switch v := v.(type) {
	case string:
		if n, ok := gojq.ToFloat64(w); ok && n > 0 {
			return m.charge(int(min(float64(len(v))*n/bytesPerStep, math.MaxInt32)))
		}
	case map[string]any:
		if _, err := m.measure(v); err != nil {
			return err
		}
		_, err := m.measure(w)
		return err
	default:
		if a, b := bits(v), bits(w); a > 64 || b > 64 {
			if a+b > maxBits {
				return fmt.Errorf("the product of %s and %s is too large", gojq.Preview(v), gojq.Preview(w))
			}
			return m.charge((a / 64) * (b / 64) / 16)
		}
	}
	return nil
}

// bits returns about how long a number is, in bits; 0 if it isn't an integer of any length.
func bits(v any) int {
	switch v := v.(type) {
	case *big.Int:
		return v.BitLen()
	case json.Number:
		return 4 * len(v)
	}
	return 0
}

func (m *machine) divide(v, _ any) error {
	if s, ok := v.(string); ok {
		return m.spread(s)
	}
	return nil
}

// at charges for the members between the end of an array and an index behind it, which an
// assignment fills.
func (m *machine) at(v, index any) error {
	switch index.(type) {
	case []any:
		return m.product(v, index)
	case string, map[string]any, nil, bool:
		return nil
	}
	i, _ := gojq.ToInt(index)
	list, ok := v.([]any)
	if !ok && v != nil {
		return nil
	}
	if gap := i - len(list); i > freeIndex && gap > 0 {
		return m.charge(gap)
	}
	return nil
}

// along charges for the gaps that setting a path would fill, and if copies is set for the
// copies of the values on it.
func (m *machine) along(v, path any, copies bool) error {
	steps, ok := path.([]any)
	if !ok {
		return nil // an error of what comes next
	}
	for _, step := range steps {
		if copies {
			if err := m.charge(1 + width(v)); err != nil {
				return err
			}
		}
		if err := m.at(v, step); err != nil {
			return err
		}
		v = member(v, step)
	}
	return nil
}

// member returns a member of a value; nil if there is none.
func member(v, step any) any {
	switch step := step.(type) {
	case string:
		if v, ok := v.(map[string]any); ok {
			return v[step]
		}
	case map[string]any:
		return v // a slice of it
	default:
		if i, ok := gojq.ToInt(step); ok {
			if v, ok := v.([]any); ok {
				if i < 0 {
					i += len(v)
				}
				if i >= 0 && i < len(v) {
					return v[i]
				}
			}
		}
	}
	return nil
}

// times multiplies without overflow; what is too large for an int is too large for any budget.
func times(a, b int) int {
	if a > 0 && b > math.MaxInt32/a {
		return math.MaxInt32
	}
	return a * b
}

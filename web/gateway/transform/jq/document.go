package jq

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"strconv"
	"unsafe"

	"github.com/go-json-experiment/json/jsontext"
)

// A document is a decoded JSON text. It knows its values by their addresses, so that those that
// a program copies can be written as they came. gojq never changes a value of its input, and
// the document keeps all of them, so that no other value gets their addresses.
type document struct {
	text   []byte
	value  any
	parts  map[unsafe.Pointer]part // arrays, objects, and strings with escapes
	places map[string]int          // of the names of members: the order in which they first came
	names  []string
}

// part is where a value stands in the text.
type part struct {
	start, end int
	len        int // of the array or string: a slice has the address of what it was cut from
}

// decode reads a text. Numbers that a Go int and its decimal form don't express exactly stay
// literals (json.Number). An error says where the text is wrong.
func decode(text []byte) (*document, error) {
	d := &document{text: text, parts: map[unsafe.Pointer]part{}, places: map[string]int{}}
	dec := jsontext.NewDecoder(bytes.NewBuffer(text))
	var err error
	if d.value, err = d.read(dec, maxDepth); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	if _, err := dec.ReadToken(); err == nil {
		return nil, errors.New("there is more behind the end of the document")
	} else if err != io.EOF {
		return nil, err
	}
	return d, nil
}

func (d *document) read(dec *jsontext.Decoder, depth int) (any, error) {
	kind := dec.PeekKind()
	if kind != '{' && kind != '[' {
		raw, err := dec.ReadValue()
		if err != nil {
			return nil, err
		}
		return d.scalar(raw, int(dec.InputOffset())), nil
	}
	if depth == 0 {
		return nil, errDeep
	}
	if _, err := dec.ReadToken(); err != nil {
		return nil, err
	}
	start := int(dec.InputOffset()) - 1
	if kind == '[' {
		list := []any{}
		for dec.PeekKind() != ']' {
			v, err := d.read(dec, depth-1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		if _, err := dec.ReadToken(); err != nil {
			return nil, err
		}
		end := int(dec.InputOffset())
		if len(list) == 0 {
			if end-start == 2 {
				return list, nil
			}
			list = make([]any, 0, 1) // has an address of its own, so that [ ] is found again
		}
		d.parts[unsafe.Pointer(unsafe.SliceData(list))] = part{start, end, len(list)}
		return list, nil
	}
	object := map[string]any{}
	for dec.PeekKind() != '}' {
		raw, err := dec.ReadValue()
		if err != nil {
			return nil, err
		}
		name := d.name(raw)
		v, err := d.read(dec, depth-1)
		if err != nil {
			return nil, err
		}
		object[name] = v
	}
	if _, err := dec.ReadToken(); err != nil {
		return nil, err
	}
	d.parts[reflect.ValueOf(object).UnsafePointer()] = part{start, int(dec.InputOffset()), 0}
	return object, nil
}

// name returns the name of a member; equal ones share their memory.
func (d *document) name(raw []byte) string {
	text := raw[1 : len(raw)-1]
	if bytes.IndexByte(text, '\\') >= 0 {
		text, _ = jsontext.AppendUnquote(nil, raw)
	}
	if i, ok := d.places[string(text)]; ok {
		return d.names[i]
	}
	name := string(text)
	d.places[name] = len(d.names)
	d.names = append(d.names, name)
	return name
}

// scalar returns the value of a literal that ends at end.
func (d *document) scalar(raw []byte, end int) any {
	switch raw[0] {
	case 'n':
		return nil
	case 't':
		return true
	case 'f':
		return false
	case '"':
		if bytes.IndexByte(raw, '\\') < 0 {
			return string(raw[1 : len(raw)-1])
		}
		text, _ := jsontext.AppendUnquote(nil, raw)
		s := string(text)
		if s != "" {
			d.parts[unsafe.Pointer(unsafe.StringData(s))] = part{end - len(raw), end, len(s)}
		}
		return s
	}
	return number(string(raw))
}

// number returns the value of a JSON number.
func number(literal string) any {
	if len(literal) <= 15 {
		if n, err := strconv.Atoi(literal); err == nil && literal != "-0" {
			return n
		}
	}
	return json.Number(literal)
}

// source returns the text of a value, if it is one of the document.
func (d *document) source(v any) []byte {
	var at unsafe.Pointer
	n := 0
	switch v := v.(type) {
	case map[string]any:
		at = reflect.ValueOf(v).UnsafePointer()
	case []any:
		at, n = unsafe.Pointer(unsafe.SliceData(v)), len(v)
	case string:
		if v == "" {
			return nil
		}
		at, n = unsafe.Pointer(unsafe.StringData(v)), len(v)
	}
	if p, ok := d.parts[at]; ok && p.len == n {
		return d.text[p.start:p.end]
	}
	return nil
}

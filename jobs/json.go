package jobs

import (
	"bytes"
	"encoding/base64"
	"errors"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// This file checks JSON from outside: requests, answers of upstreams, results and reports of
// workers. All of it passes through CompactJSON; what that returns can be part of any
// document, event or frame.

const (
	// MaxDepth is how many levels of objects and arrays JSON from outside may have.
	MaxDepth = 64

	// extraDepth is how many levels the hub itself may add around a value that it stores
	// again: a delivery holds the document of a job.
	ExtraDepth = 8
)

var errTooDeep = errors.New("nested too deeply")

// TooDeep reports whether JSON has more than depth levels of objects and arrays.
func TooDeep(data []byte, depth int) bool {
	if bytes.Count(data, []byte{'{'})+bytes.Count(data, []byte{'['}) <= depth {
		return false
	}
	level := 0
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case '{', '[':
			if level++; level > depth {
				return true
			}
		case '}', ']':
			level--
		case '"': // skip the string
			for i++; i < len(data) && data[i] != '"'; i++ {
				if data[i] == '\\' {
					i++
				}
			}
		}
	}
	return false
}

// CompactJSON returns data in one line if it is one valid JSON value: UTF-8, no member twice,
// no half of a surrogate pair, and at most depth levels. Strings and numbers stay as they
// are. The result shares no memory with data.
func CompactJSON(data []byte, depth int) (Value, error) {
	if TooDeep(data, depth) {
		return nil, errTooDeep
	}
	out, err := jsontext.AppendFormat(make([]byte, 0, len(data)), data, jsontext.PreserveRawStrings(true))
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Decode reads one JSON document from outside. Its error is a *Problem: with status 400
// for what is not JSON, has a member twice or more than MaxDepth levels, and 422 for what
// does not fit into v.
func Decode(data []byte, v any) error {
	if err := CheckDepth(data); err != nil {
		return err
	}
	return DecodeAnyDepth(data, v)
}

// CheckDepth refuses JSON of more than MaxDepth levels, with a *Problem of status 400.
func CheckDepth(data []byte) error {
	if !TooDeep(data, MaxDepth) {
		return nil
	}
	p := NewProblem(BadMessage, "Malformed request", "The body has more than %d levels of objects and arrays inside one another.", MaxDepth)
	p.Status = 400
	return p
}

// DecodeAnyDepth is Decode without the check of the depth, for data whose depth was checked
// before.
func DecodeAnyDepth(data []byte, v any) error {
	if err := json.Unmarshal(data, v, json.RejectUnknownMembers(true)); err != nil {
		return DecodeProblem(err)
	}
	return nil
}

// jsonMember is v as it may be kept with a job, nil if it is empty. Its error is a *Problem
// with status 422.
func JsonMember(pointer string, v Value, depth int) (Value, error) {
	if len(v) == 0 {
		return nil, nil
	}
	if oneLineJSON(v, depth) {
		return v, nil
	}
	compact, err := CompactJSON(v, depth)
	switch {
	case errors.Is(err, errTooDeep):
		return nil, Invalid(pointer, "has more than %d levels of objects and arrays inside one another", depth)
	case err != nil:
		return nil, Invalid(pointer, "must be JSON: %s", jsonFault(err))
	}
	return compact, nil
}

// jsonFault says what is wrong with JSON, without its place.
func jsonFault(err error) string {
	if syntactic, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		return syntactic.Err.Error()
	}
	return err.Error()
}

// AsJSON is data as a value that may be stored: itself if CompactJSON accepts it, else a
// string, or {"base64":"…"} if it is not UTF-8.
func AsJSON(v Value) Value {
	if len(v) == 0 {
		return Value("null")
	}
	if oneLineJSON(v, MaxDepth+ExtraDepth) {
		return v
	}
	if compact, err := CompactJSON(v, MaxDepth+ExtraDepth); err == nil {
		return compact
	}
	return opaque(v, true)
}

// oneLineJSON reports whether v is JSON by the rules of CompactJSON and in one line, so that
// it can be part of a document or frame unchanged.
func oneLineJSON(v Value, depth int) bool {
	return !TooDeep(v, depth) && v.IsValid() && bytes.IndexByte(v, '\n') < 0 && bytes.IndexByte(v, '\r') < 0
}

// opaque is bytes that are not JSON as a JSON value: a string if they are text, else
// {"base64":"…"}.
func opaque(data []byte, text bool) Value {
	if text && utf8.Valid(data) {
		v, _ := jsontext.AppendQuote(nil, data)
		return v
	}
	v, _ := jsontext.AppendQuote([]byte(`{"base64":`), base64.StdEncoding.EncodeToString(data))
	return append(v, '}')
}

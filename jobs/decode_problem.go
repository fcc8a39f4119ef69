package jobs

import (
	"encoding"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// DecodeProblem turns an error of the JSON decoder into a *Problem.
func DecodeProblem(err error) *Problem {
	p := NewProblem(BadMessage, "Malformed request", "")
	if syntactic, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		p.Status = 400
		p.Detail = "The body is not one JSON document: " + syntactic.Err.Error()
		if pointer := string(syntactic.JSONPointer); pointer != "" && len(pointer) <= 256 {
			p.Errors = []MemberError{{pointer, syntactic.Err.Error()}}
		}
		return p
	}
	if semantic, ok := errors.AsType[*json.SemanticError](err); ok {
		return Invalid(string(semantic.JSONPointer), "%s", mismatch(semantic))
	}
	p.Status = 400
	p.Detail = "The body is not one JSON document: " + err.Error()
	return p
}

// mismatch says what a value must be and what was found.
func mismatch(err *json.SemanticError) string {
	_, badTime := errors.AsType[*time.ParseError](err.Err)
	number := errors.Is(err.Err, strconv.ErrSyntax) || errors.Is(err.Err, strconv.ErrRange)
	switch {
	case errors.Is(err, json.ErrUnknownName):
		return "unknown member"
	case err.GoType == nil || err.Err != nil && !badTime && !number:
		if err.Err == nil {
			return "has the wrong type"
		}
		return err.Err.Error()
	}
	return "must be " + expected(err.GoType, errors.Is(err.Err, strconv.ErrRange)) + ", not " + found(err)
}

const maxFound = 40 // bytes of a value that are repeated in an error

func found(err *json.SemanticError) string {
	if len(err.JSONValue) > 0 && len(err.JSONValue) <= maxFound {
		return string(err.JSONValue)
	}
	if name := kindNames[err.JSONKind]; name != "" {
		return name
	}
	return "another value"
}

var kindNames = map[jsontext.Kind]string{'n': "null", 't': "true", 'f': "false", '"': "a string", '0': "a number", '{': "an object", '[': "an array"}

// expected names the values that fit into a type. limits says that the range matters.
func expected(t reflect.Type, limits bool) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t == reflect.TypeFor[time.Time]() {
		return "a time like 2026-01-02T15:04:05Z (RFC 3339)"
	}
	if reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
		return "a string"
	}
	switch t.Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		if limits {
			most := int64(math.MaxInt64) >> (64 - t.Bits())
			return fmt.Sprintf("a whole number from %d to %d", -most-1, most)
		}
		return "a whole number"
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		if limits {
			return fmt.Sprintf("a whole number from 0 to %d", uint64(math.MaxUint64)>>(64-t.Bits()))
		}
		return "a whole number, 0 or more"
	case reflect.Float32, reflect.Float64:
		if limits {
			return "a number of at most 64 bits"
		}
		return "a number"
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice, reflect.Array:
		if t.Elem().Kind() == reflect.Uint8 {
			return "a string in base64"
		}
		return "an array"
	case reflect.Struct, reflect.Map:
		return "an object"
	}
	return "another type"
}

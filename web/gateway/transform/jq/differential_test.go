package jq

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"reflect"
	"strings"
	"testing"
)

// fixture is testdata/jq-1.7.json: what jq 1.7 answers for every program and document.
type fixture struct {
	Docs  []string
	Cases []struct {
		Program string
		Doc     int
		Outputs []string
		Error   string
	}
}

func readFixture(t *testing.T) (f fixture) {
	t.Helper()
	data, err := os.ReadFile("testdata/jq-1.7.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &f); err != nil {
		t.Fatal(err)
	}
	return f
}

// value decodes a JSON text so that equal numbers are equal, whatever their form. round says
// whether to compare numbers as 64-bit floating point.
func value(t *testing.T, text string, round bool) any {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return numbers(v, round)
}

func numbers(v any, round bool) any {
	switch v := v.(type) {
	case json.Number:
		if f, err := v.Float64(); round || err == nil && strings.HasPrefix(v.String(), "1.797693134862315") {
			return f
		}
		r, ok := new(big.Rat).SetString(v.String())
		if !ok {
			return v
		}
		return r.RatString()
	case []any:
		for i := range v {
			v[i] = numbers(v[i], round)
		}
	case map[string]any:
		for k := range v {
			v[k] = numbers(v[k], round)
		}
	}
	return v
}

// verdict is what a program does: its output, or how it fails.
func verdict(t *testing.T, outputs []string, failed, round bool) any {
	switch {
	case failed:
		return "error"
	case len(outputs) == 0:
		return "no result"
	case len(outputs) > 1:
		return "more than one result"
	}
	return value(t, outputs[0], round)
}

func ours(t *testing.T, p *Program, doc string, round bool) any {
	t.Helper()
	out, err := p.Run(t.Context(), []byte(doc), 1<<20)
	if err != nil {
		switch text := err.Error(); {
		case !errors.Is(err, ErrProgram):
			return err.Error()
		case strings.Contains(text, "no result"):
			return "no result"
		case strings.Contains(text, "more than one result"):
			return "more than one result"
		}
		return "error"
	}
	return value(t, string(out), round)
}

func TestLikeJq17(t *testing.T) {
	f := readFixture(t)
	if len(f.Cases) < 2000 {
		t.Fatalf("only %d cases", len(f.Cases))
	}
	seen := map[string]bool{}
	programs := map[string]*Program{}
	for _, c := range f.Cases {
		p := programs[c.Program]
		if p == nil {
			var err error
			if p, err = Compile(c.Program); err != nil {
				t.Errorf("%s: %v", c.Program, err)
				continue
			}
			programs[c.Program] = p
		}
		want := verdict(t, c.Outputs, c.Error != "", false)
		got := ours(t, p, f.Docs[c.Doc], false)
		k := fmt.Sprintf("%s · %d", c.Program, c.Doc)
		if reason := differences[k]; reason != "" {
			seen[k] = true
			if reflect.DeepEqual(got, want) {
				t.Errorf("%s: is like jq now; delete it from the differences", k)
			}
			continue
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %.300v, jq has %.300v", k, got, want)
		}
	}
	for k := range differences {
		if !seen[k] {
			t.Errorf("%s is not a case", k)
		}
	}
}
var differences = map[string]string{}
var _ = exec.Command

package jq

import (
	"encoding/json"
	"errors"
	"math"
	"math/big"
	"os"
	"os/exec"
	"reflect"
	"regexp"
	"slices"
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
		f, err := v.Float64()
		f = max(min(f, math.MaxFloat64), -math.MaxFloat64)
		if round || err == nil && strings.HasPrefix(v.String(), "1.797693134862315") {
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

// differences are the programs that have other results than jq 1.7 on some documents, and why.
var differences = map[string]string{}

func init() {
	for why, programs := range map[string][]string{
		"objects are iterated in the order of their names": {"[.[]?]", "map(.)", "map(type)", "[.[]?|tostring]", "[.[]?|tojson]", "[paths]",
			"[paths(type==\"number\")]", "[.[]?]|first?", "[.[]?]|tojson", "limit(1;.[]?)"},
		"the literal 1e400 stays as it is, where jq writes 1E+400": {"tojson", "tostring", "@json", "\"v: \\(.)\"", "[.order.id?,.order.e?]|map(tostring)"},
		"integers are computed exactly":                            {"walk(if type==\"number\" then .+1 else . end)"},
		"texts have an element for an index, as in jq 1.8":         {"last", ".[8]?", "[.[9]?]|tojson"},
		"reverse is for arrays only":                               {"reverse"},
		"only texts have a prefix, as in jq 1.8":                   {".text|ltrimstr(\"one\")", ".text|rtrimstr(\"three\")", "\"x\"|ltrimstr(1)", "ltrimstr(\"x\")"},
	} {
		for _, p := range programs {
			differences[p] = why
		}
	}
}

func TestLikeJq17(t *testing.T) {
	f := readFixture(t)
	if len(f.Cases) < 2000 {
		t.Fatalf("only %d cases", len(f.Cases))
	}
	differs := map[string]bool{}
	programs := map[string]*Program{}
	for _, c := range f.Cases {
		p := programs[c.Program]
		if p == nil {
			var err error
			if p, err = Compile(c.Program); err != nil {
				t.Fatalf("%s: %v", c.Program, err)
			}
			programs[c.Program] = p
		}
		want := verdict(t, c.Outputs, c.Error != "", false)
		switch got := ours(t, p, f.Docs[c.Doc], false); {
		case reflect.DeepEqual(got, want):
		case differences[c.Program] != "":
			differs[c.Program] = true
		default:
			t.Errorf("%s on document %d: got %.300v, jq has %.300v", c.Program, c.Doc, got, want)
		}
	}
	for p := range differences {
		if !differs[p] {
			t.Errorf("%s: is like jq; delete it from the differences", p)
		}
	}
}

// endless are the programs that never end in jq 1.6: they replace empty matches.
var endless = regexp.MustCompile(`gsub\("("|a\*|\\\\b|\^o)`)

// TestLikeInstalledJq runs the programs with the jq of this machine. Versions before 1.7 compute
// with all numbers as 64-bit floating point, so they are compared as such.
func TestLikeInstalledJq(t *testing.T) {
	if _, err := exec.LookPath("jq"); err != nil {
		t.Skip("there is no jq; make tools says how to install it")
	}
	f := readFixture(t)
	var programs []string
	for _, c := range f.Cases {
		if !slices.Contains(programs, c.Program) && differences[c.Program] == "" && !endless.MatchString(c.Program) {
			programs = append(programs, c.Program)
		}
	}
	same, other := 0, 0
	for some := range slices.Chunk(programs, 10) {
		results := installed(t, f.Docs, some)
		for i, program := range some {
			one := results
			if results == nil { // some program is not known to this version
				if one = installed(t, f.Docs, some[i:i+1]); one == nil {
					continue
				}
			}
			p := mustCompile(t, program)
			for doc := range f.Docs {
				result := one[doc][0]
				if results != nil {
					result = one[doc][i]
				}
				var outputs []json.RawMessage
				failed := json.Unmarshal(result, &outputs) != nil
				texts := make([]string, len(outputs))
				for i := range outputs {
					texts[i] = string(outputs[i])
				}
				got, want := ours(t, p, f.Docs[doc], true), verdict(t, texts, failed, true)
				if reflect.DeepEqual(got, want) {
					same++
				} else if other++; os.Getenv("JQ_DIFFERENCES") != "" {
					t.Logf("%s on document %d: got %.200v, jq has %.200v", program, doc, got, want)
				}
			}
		}
	}
	// Versions of jq differ from each other, too: 1.6 and 1.7 in 2 of 100 of these cases.
	t.Logf("%d cases are as in the installed jq, %d are not", same, other)
	if same < 30*other || same < 1000 {
		t.Errorf("%d cases are as in the installed jq, but %d are not; JQ_DIFFERENCES=1 shows them", same, other)
	}
}

// installed runs programs with the jq of this machine. It returns for each document and
// program the array of results, or a text for an error; nil if jq refuses a program.
func installed(t *testing.T, docs, programs []string) (results [][]json.RawMessage) {
	t.Helper()
	filter := "[(try [" + strings.Join(programs, "\n] catch \"error\"), (try [") + "\n] catch \"error\")]"
	cmd := exec.CommandContext(t.Context(), "jq", "-c", filter)
	cmd.Stdin = strings.NewReader(strings.Join(docs, "\n"))
	out, err := cmd.Output()
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(out)) {
		var result []json.RawMessage
		if err := json.Unmarshal([]byte(line), &result); err != nil || len(result) != len(programs) {
			return nil
		}
		results = append(results, result)
	}
	if len(results) != len(docs) {
		return nil
	}
	return results
}

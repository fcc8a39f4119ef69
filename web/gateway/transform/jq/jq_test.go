package jq

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/itchyny/gojq"
)

func run(t testing.TB, program, doc string) (string, error) {
	t.Helper()
	p, err := Compile(program)
	if err != nil {
		t.Fatalf("%s: %v", program, err)
	}
	out, err := p.Run(t.Context(), []byte(doc), 1<<20)
	return string(out), err
}

func TestBytesAreKept(t *testing.T) {
	const doc = `{"order": {"total":1.10, "id":9007199254740993, "x":[ ], "e":1e400,"n":-0,"o":{ }, "f":0.1234567890123456789,"s":"caf\u00e9\/"}, "b":[3,1,2]}`
	for _, c := range []struct{ program, want string }{
		{".", doc},
		{".order", `{"total":1.10, "id":9007199254740993, "x":[ ], "e":1e400,"n":-0,"o":{ }, "f":0.1234567890123456789,"s":"caf\u00e9\/"}`},
		{"{data: .}", `{"data":` + doc + `}`},
		{".order | {id, total}", `{"id":9007199254740993,"total":1.10}`},
		{".order | {total, id, s, x}", `{"total":1.10,"id":9007199254740993,"s":"caf\u00e9\/","x":[ ]}`},
		{".order | [.e, .n, .f, .o]", `[1e400,-0,0.1234567890123456789,{ }]`},
		{"del(.b, .order.x)", `{"order":{"total":1.10,"id":9007199254740993,"e":1e400,"n":-0,"o":{ },"f":0.1234567890123456789,"s":"caf\u00e9\/"}}`},
		{".b[1:]", `[1,2]`},
		{".b[:2]", `[3,1]`},
		{".a = 1 | .order = 2", `{"order":2,"b":[3,1,2],"a":1}`},
		{"map_values(type)", `{"order":"object","b":"array"}`},
		{"with_entries(select(.key == \"b\"))", `{"b":[3,1,2]}`},
		{".order | tojson", `"{\"total\":1.10,\"id\":9007199254740993,\"x\":[],\"e\":1e400,\"n\":-0,\"o\":{},\"f\":0.1234567890123456789,\"s\":\"café/\"}"`},
		{".order | keys_unsorted", `["total","id","x","e","n","o","f","s"]`},
		{"{v: 1.10, w: 100000000000000000001, x: -0.0}", `{"v":1.10,"w":100000000000000000001,"x":-0.0}`},
		{".order.id + 1", `9007199254740994`},
		{"{z: 1, a: 2, m: {y: 1, b: 2}}", `{"z":1,"a":2,"m":{"y":1,"b":2}}`},
		{`"\(.order.total)"`, `"1.10"`},
		{`@csv "\([.order.total])", "" | select(. != "")`, `"1.10"`},
		{"[]", "[]"}, {"{}", "{}"},
	} {
		if got, err := run(t, c.program, doc); err != nil || got != c.want {
			t.Errorf("%s: got %s, %v; want %s", c.program, got, err, c.want)
		}
	}
	if out, err := mustCompile(t, ".order |= .").Run(t.Context(), []byte(doc), 1<<20); err != nil || string(out) == "" {
		t.Errorf("%s, %v", out, err)
	}
	in := []byte(" " + doc + "\n")
	if out, err := mustCompile(t, ".").Run(t.Context(), in, 1<<20); err != nil || &out[0] != &in[0] {
		t.Errorf("a program that changes nothing must return its document: %s, %v", out, err)
	}
}

func mustCompile(t testing.TB, source string) *Program {
	t.Helper()
	p, err := Compile(source)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestDocuments(t *testing.T) {
	p := mustCompile(t, "[.]")
	for _, doc := range []string{
		``, ` `, `{`, `[1,]`, `{"a":1,}`, `{"a":1,"a":2}`, `{"a":{"b":1,"\u0062":2}}`, "\"\xff\"", `1 2`, `{} x`, `nul`, `01`, `+1`, `.5`, `NaN`, `"\ud800"`,
		"\ufeff{}", `'a'`, `{a:1}`, "[1]\x00",
	} {
		if out, err := p.Run(t.Context(), []byte(doc), 1<<20); !errors.Is(err, ErrDocument) {
			t.Errorf("%q: got %s, %v", doc, out, err)
		}
	}
	deep := strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth)
	if _, err := mustCompile(t, ".").Run(t.Context(), []byte(deep), 1<<20); err != nil {
		t.Errorf("at the bound: %v", err)
	}
	if _, err := p.Run(t.Context(), []byte("["+deep+"]"), 1<<20); !errors.Is(err, ErrBounds) {
		t.Errorf("over the bound: %v", err)
	}
	if _, err := p.Run(t.Context(), []byte(deep), 1<<20); err != nil && !errors.Is(err, ErrBounds) {
		t.Error(err)
	}
}

func TestOneResult(t *testing.T) {
	for program, want := range map[string]string{
		"empty": "no result", ".[]": "more than one result", "error(\"no\")": "no", ".[\"a\"]": "expected an object",
	} {
		if _, err := run(t, program, "[1,2]"); !errors.Is(err, ErrProgram) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", program, err)
		}
	}
	p := mustCompile(t, "[.,.]")
	if _, err := p.Run(t.Context(), []byte(`"0123456789"`), 20); !errors.Is(err, ErrBounds) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := mustCompile(t, "[range(1e9)]").Run(ctx, []byte("1"), 20); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestCompileErrors(t *testing.T) {
	for program, want := range map[string]string{
		"{a: 1":                              "ends too early",
		".a | } | .":                         "not expected at character 6",
		"input":                              "use . instead",
		"[inputs]":                           "use .[]",
		"env.HOME":                           "only the document",
		"$ENV":                               "only the document",
		"debug":                              "delete it",
		"debug(\"x\")":                       "delete it",
		"halt":                               "use empty",
		"halt_error":                         "use error",
		"import \"a\" as a; .":               "not available",
		"include \"a\"; .":                   "not available",
		"modulemeta":                         "no modules",
		"$__prog_args":                       "not defined",
		"input_filename":                     "not defined",
		"nope(1)":                            "not defined",
		"_multiply(1;2)":                     "not a function",
		"test(.a)":                           "must be texts in the program",
		"test(\"(\")":                        "missing closing",
		"test(\"a\"; \"x\")":                 "not a flag",
		"gsub(\"a\"; \"b\"; .flags)":         "must be texts in the program",
		"def test(f): 1; test(1)":            "another name",
		"def f($join): 1; f(1)":              "another name",
		"localtime":                          "gmtime",
		"test(\"(?=a)\")":                    "patterns are those of Go",
		strings.Repeat("[", 50000):           "ends too early",
		strings.Repeat(" ", maxSource) + ".": "longer than",
	} {
		if _, err := Compile(program); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40s: %v", program, err)
		}
	}
}

// TestSameVerdict runs a program on the edge of its steps twice.
func TestSameVerdict(t *testing.T) {
	for n := 10_000; n < 1_000_000; n = n * 2 {
		p := mustCompile(t, fmt.Sprintf("[range(%d)] | length", n))
		_, first := p.Run(t.Context(), []byte("1"), 100)
		_, second := p.Run(t.Context(), []byte("1"), 100)
		if (first == nil) != (second == nil) {
			t.Errorf("%d: %v, then %v", n, first, second)
		}
	}
}

// TestConcurrent runs programs with constants, whose objects gojq writes to, in many goroutines.
func TestConcurrent(t *testing.T) {
	p := mustCompile(t, `{"a": {"x": 1}, "b": [{"y": 2}]} + . | del(.b[0].y)`)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 200 {
				out, err := p.Run(context.Background(), []byte(`{"c":1}`), 1000)
				if err != nil || string(out) != `{"c":1,"a":{"x":1},"b":[{}]}` {
					t.Errorf("%s, %v", out, err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// TestEveryFunctionIsKnown fails when a new gojq has functions that nobody has looked at.
func TestEveryFunctionIsKnown(t *testing.T) {
	q, _ := gojq.Parse("builtins")
	v, _ := q.Run(nil).Next()
	have := map[string]bool{}
	for _, name := range v.([]any) {
		have[name.(string)] = true
	}
	known := map[string]bool{}
	for _, name := range strings.Fields(harmless) {
		known[name] = true
		if !have[name] {
			t.Errorf("gojq no longer has %s", name)
		}
	}
	for name := range have {
		short, _, _ := strings.Cut(name, "/")
		_, isBefore := before[name]
		_, isWith := with[name]
		_, isInstead := instead[name]
		if !known[name] && !isBefore && !isWith && !isInstead && refused[short] == "" && prelude()[name] == nil && name != "getpath/1" && name != "setpath/2" {
			t.Errorf("gojq has %s: can it take time or memory out of proportion?", name)
		}
	}
}

// harmless are the functions that take time in proportion to their input, or step by step.
const harmless = `
abs/0 acos/0 acosh/0 all/0 all/1 all/2 any/0 any/1 any/2 arrays/0 asin/0 asinh/0 atan/0 atan2/2 atanh/0
booleans/0 cbrt/0 ceil/0 combinations/0 combinations/1 copysign/2 cos/0 cosh/0 drem/2 empty/0 endswith/1
erf/0 erfc/0 exp/0 exp10/0 exp2/0 expm1/0 fabs/0 fdim/2 finites/0 first/0 first/1 floor/0 fma/3 fmax/2 fmin/2
fmod/2 frexp/0 from_entries/0 fromdate/0 fromdateiso8601/0 gamma/0 gmtime/0 has/1 hypot/2 in/1 infinite/0
isempty/1 isfinite/0 isinfinite/0 isnan/0 isnormal/0 iterables/0 j0/0 j1/0 last/0 last/1 ldexp/2 length/0
lgamma/0 limit/2 log/0 log10/0 log1p/0 log2/0 logb/0 ltrim/0 ltrimstr/1 map/1 mktime/0 modf/0 nan/0
nearbyint/0 nextafter/2 nexttoward/2 normals/0 not/0 now/0 nth/2 nulls/0 numbers/0 objects/0 path/1 paths/0
paths/1 pow/2 range/1 range/2 range/3 recurse/0 recurse/1 recurse/2 remainder/2 repeat/1 rint/0 round/0
rtrim/0 rtrimstr/1 scalars/0 scalb/2 scalbln/2 select/1 significand/0 sin/0 sinh/0 skip/2 sqrt/0 startswith/1
strings/0 strptime/1 tan/0 tanh/0 tgamma/0 toboolean/0 todate/0 todateiso8601/0 tostream/0 trim/0 trimstr/1
trunc/0 truncate_stream/1 type/0 until/2 utf8bytelength/0 values/0 while/2 y0/0 y1/0
`

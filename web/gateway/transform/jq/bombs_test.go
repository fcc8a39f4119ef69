package jq

import (
	"errors"
	"os"
	"runtime"
	"strings"
	"testing"
)

// bombs are programs that take time or memory out of proportion, on a document of that kind.
var bombs = []struct{ program, doc string }{
	{"[range(1e9)]", "null"},
	{"[range(infinite)]", "null"},
	{"def f: f; f", "null"},
	{"def f: [f]; f", "null"},
	{"[repeat(1)]", "null"},
	{"last(repeat(1))", "null"},
	{`"x" * 1e9`, "null"},
	{`[range(1e6) | "xxxxxxxxxxxxxxxx" * 1e5]`, "null"},
	{"reduce range(64) as $i (\"x\"; . + .)", "null"},
	{"reduce range(64) as $i ({a: \"x\"}; .a += .a)", "null"},
	{"reduce range(64) as $i (\"x\"; \"\\(.)\\(.)\")", "null"},
	{"reduce range(64) as $i ([1]; . + .)", "null"},
	{"reduce range(64) as $i (\"x\"; [., .] | add)", "null"},
	{"reduce range(64) as $i (\"x\"; [., .] | join(\"\"))", "null"},
	{"reduce range(64) as $i (3; . * .) | tostring | length | . > 1e9", "null"},
	{"reduce range(64) as $i (1; [., .])", "null"},
	{"reduce range(64) as $i (1; [., .]) | tojson | length", "null"},
	{"reduce range(64) as $i (1; [., .]) | tostring | length", "null"},
	{"reduce range(64) as $i (1; [., .]) | \"\\(.)\" | length", "null"},
	{"reduce range(64) as $i (1; [., .]) | @html | length", "null"},
	{"reduce range(64) as $i (1; [., .]) | . == .", "null"},
	{"reduce range(64) as $i (1; [., .]) as $x | $x == $x", "null"},
	{"reduce range(64) as $i (1; [., .]) | [., .] | sort | length", "null"},
	{"reduce range(64) as $i (1; [., .]) | [., .] | unique_by(.) | length", "null"},
	{"reduce range(64) as $i (1; [., .]) | [., .] | group_by(.) | length", "null"},
	{"reduce range(64) as $i (1; [., .]) | flatten | length", "null"},
	{"reduce range(64) as $i (1; [., .]) | contains([[1]])", "null"},
	{"reduce range(64) as $i (1; [., .]) | inside([[1]])", "null"},
	{"reduce range(64) as $i (1; [., .]) | index([1])", "null"},
	{"reduce range(64) as $i (1; [., .]) as $x | $x | .[$x]", "null"},
	{"reduce range(64) as $i (1; [., .]) as $x | $x - $x", "null"},
	{"reduce range(64) as $i (1; [., .]) | del(.[0][0][0])", "null"},
	{"reduce range(64) as $i (1; [., .]) | .[0][0] |= empty | length", "null"},
	{"reduce range(64) as $i (1; [., .]) as $x | [$x] | bsearch($x)", "null"},
	{"reduce range(64) as $i (1; [., .]) as $x | [$x, $x] | IN([$x, $x])", "null"},
	{"reduce range(64) as $i (1; [., .]) as $x | {} | INDEX($x; .)", "null"},
	{"reduce range(64) as $i ({}; {a: ., b: .}) as $x | $x * $x | length", "null"},
	{"reduce range(1e6) as $i (1; [.]) | tojson", "null"},
	{"reduce range(1e6) as $i (1; [.]) | . == 1 or . == [1]", "null"},
	{"reduce range(1e6) as $i (1; [.])", "null"},
	{".[536870911] = 1", "null"},
	{"setpath([536870911]; 1)", "null"},
	{"[[536870911], 1] | fromstream(.,[[1]])", "null"},
	{"pick(.[536870911])", "null"},
	{"100000000 as $i | .[$i] |= 1", "null"},
	{"[range(1e6) as $i | null | .[100000] = $i] | length", "null"},
	{"[range(1e6) as $i | null | getpath([100000]) |= $i] | length", "null"},
	{". as $d | [range(1e6) as $i | $d | .[0] = $i] | length", zeros(100_000)},
	{". as $d | [range(1e6) as $i | {a: $d} | .a[0] += 1] | length", zeros(100_000)},
	{". as $d | [range(1e6) as $i | $d + [1]] | length", zeros(100_000)},
	{". as $d | [range(1e6) as $i | $d | reverse] | length", zeros(100_000)},
	{". as $d | [range(1e6) as $i | $d | sort] | length", zeros(100_000)},
	{". - .", zeros(100_000)},
	{"[range(50000) | [.]] + [.] | transpose | length", zeros(100_000)},
	{"(\"x\" * 1e6) as $s | join($s)", zeros(100_000)},
	{"[range(1000) as $i | explode] | length", `"` + strings.Repeat("x", 100_000) + `"`},
	{"[range(1000) as $i | split(\"\")] | length", `"` + strings.Repeat("x", 100_000) + `"`},
	{"[range(1000) as $i | . / \"\"] | length", `"` + strings.Repeat("x", 100_000) + `"`},
	{"indices(\"" + strings.Repeat("a", 1000) + "b\")", `"` + strings.Repeat("a", 100_000) + `"`},
	{"[match(\"a.*b|a\"; \"g\")] | length", `"` + strings.Repeat("a", 200_000) + `"`},
	{"gsub(\"(a|aa|aaa|.*x)*y\"; \"\")", `"` + strings.Repeat("a", 1_000_000) + `"`},
	{"test(\"((a{30}){30})\")", `"` + strings.Repeat("a", 200_000) + `"`},
	{"[limit(1e9; repeat(\"x\"))] | add", "null"},
	{"try (\"x\" * 1e9) catch 1", "null"},
	{"[.[]?, (\"x\" * 1e9)?] | length", "null"},
	{"[[range(9)] | combinations(9)] | length", "null"},
	{"reduce range(64) as $i (1; [., .]) | try error catch length", "null"},
	{"reduce range(64) as $i (1; [., .]) | try error(.) catch length", "null"},
	{"[range(1000) as $i | 0 | strftime(\"%1024Y\" * 10000)] | length", "null"},
	{"[walk([., .])] | walk([., .]) | walk([.,.]) | tojson | length", zeros(10_000)},
	{"tojson | [range(1e5) as $i | .] | add | length", zeros(10_000)},
	{"until(false; . + 1)", "1"},
	{"[while(true; .)]", "1"},
	{"[recurse([.])]", "1"},
	{"label $l | foreach repeat(1) as $x (0; . + 1; if . < 0 then ., break $l else empty end)", "1"},
	{"ltrimstr(\"a\") | [splits(\"\")] | map(explode) | flatten | [., .] | [., .] | [., .] | [., .] | [., .] | [., .] | [., .] | flatten | length", `"` + strings.Repeat("x", 100_000) + `"`},
}

func zeros(n int) string { return "[" + strings.Repeat("0,", n-1) + "0]" }

func TestBombs(t *testing.T) {
	if testing.Short() {
		t.Skip("takes ten seconds")
	}
	for _, c := range bombs {
		p := mustCompile(t, c.program)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		out, err := p.Run(t.Context(), []byte(c.doc), 1<<20)
		runtime.ReadMemStats(&after)
		mib := (after.TotalAlloc - before.TotalAlloc) >> 20
		if os.Getenv("BOMBS") != "" {
			t.Logf("%5d MiB  %.80s  %.20s %v", mib, c.program, out, err)
		}
		if !errors.Is(err, ErrBounds) && !(errors.Is(err, ErrProgram) && strings.Contains(err.Error(), "too")) {
			t.Errorf("%.80s: got %.50s, %v", c.program, out, err)
		}
		if mib > 512 {
			t.Errorf("%.80s: took %d MiB in all", c.program, mib)
		}
	}
}

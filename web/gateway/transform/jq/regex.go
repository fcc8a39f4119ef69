package jq

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
	"unicode/utf8"

	"github.com/itchyny/gojq"
)

const (
	maxPattern = 1000      // length of a regular expression, in bytes
	maxSearch  = 8_000_000 // length of a text × instructions of a pattern: one search takes less than 0.2 s
)

// A pattern is a compiled regular expression.
type pattern struct {
	re    *regexp.Regexp
	next  *regexp.Regexp // of re behind the first character of a text, which is context only
	size  int            // instructions
	names []any          // of its groups
}

// patternKey is a regular expression as it stands in a program, and its flags without g.
type patternKey struct{ re, flags string }

// regexps compiles the regular expressions of a call.
func (w *rewriter) regexps(f *gojq.Func, flagsAt int) {
	patterns, flags := f.Args[0], []string{""}
	var res []string
	var ok bool
	if a := patterns.Term; flagsAt < 0 && a != nil && a.Type == gojq.TermTypeArray && len(a.SuffixList) == 0 && a.Array.Query != nil {
		both, isText := texts(a.Array.Query)
		if ok = isText && len(both) <= 2; ok {
			res = both[:1]
			flags = append(flags, both[1:]...)
		}
	} else {
		res, ok = texts(patterns)
	}
	if ok && flagsAt > 0 {
		flags, ok = texts(f.Args[flagsAt])
	}
	if !ok {
		w.fail("the pattern and flags of %s must be texts in the program, like %s(\"^a\")", f.Name, f.Name)
		return
	}
	for _, re := range res {
		for _, flag := range flags {
			if err := w.program.addPattern(re, flag); err != nil {
				w.fail("%s", err)
			}
		}
	}
}

// texts returns the texts of "a" or "a", "b"; null counts as an empty one.
func texts(q *gojq.Query) ([]string, bool) {
	if len(q.FuncDefs) > 0 {
		return nil, false
	}
	if q.Term == nil {
		if q.Op != gojq.OpComma {
			return nil, false
		}
		l, ok := texts(q.Left)
		r, ok2 := texts(q.Right)
		return append(l, r...), ok && ok2
	}
	t := q.Term
	if len(t.SuffixList) > 0 {
		return nil, false
	}
	switch {
	case t.Type == gojq.TermTypeNull:
		return []string{""}, true
	case t.Type == gojq.TermTypeString && t.Str.Queries == nil:
		return []string{t.Str.Str}, true
	case t.Type == gojq.TermTypeQuery:
		return texts(t.Query)
	}
	return nil, false
}

func (p *Program) addPattern(re, flags string) error {
	k := patternKey{re, strings.ReplaceAll(flags, "g", "")}
	if p.patterns[k] != nil {
		return nil
	}
	if len(re) > maxPattern {
		return fmt.Errorf("the pattern %.20q… is longer than %d bytes", re, maxPattern)
	}
	text := re
	for _, flag := range k.flags {
		switch flag {
		case 'i':
			text = "(?i)" + text
		case 'm':
			text = "(?s)" + text
		default:
			return fmt.Errorf("%q is not a flag of patterns: use g (all), i (any case) and m (. matches line breaks)", flag)
		}
	}
	compiled, err := regexp.Compile(text)
	if err != nil {
		return fmt.Errorf("the pattern %q: %s; patterns are those of Go's regexp", re, strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	next, err := regexp.Compile(`\A(?s:.)(?s:.*?)(` + text + `)`)
	if err != nil {
		return fmt.Errorf("the pattern %q is too complex", re)
	}
	tree, err := syntax.Parse(next.String(), syntax.Perl)
	if err != nil {
		return err
	}
	prog, err := syntax.Compile(tree.Simplify())
	if err != nil {
		return err
	}
	pt := &pattern{re: compiled, next: next, size: len(prog.Inst)}
	for _, name := range compiled.SubexpNames()[1:] {
		if name == "" {
			pt.names = append(pt.names, nil)
		} else {
			pt.names = append(pt.names, name)
		}
	}
	p.patterns[k] = pt
	return nil
}

// find calls found with the matches in s, one after another, as regexp's indexes. all says
// whether to look for more than one.
func (m *machine) find(p *pattern, s string, all bool, found func([]int) error) error {
	if times(len(s), p.size) > maxSearch {
		return fmt.Errorf("a text of %d bytes is too long for this pattern", len(s))
	}
	at := p.re.FindStringSubmatchIndex(s)
	for at != nil {
		if err := m.charge(8 + 4*len(at) + (at[1]-at[0])*p.size/64); err != nil {
			return err
		}
		if err := found(at); err != nil || !all {
			return err
		}
		m.look()
		if m.stopped != nil {
			return m.stopped
		}
		at = p.after(s, at)
	}
	return nil
}

// after returns the match behind another one. An empty one may follow at its end, but not
// where an empty one was.
func (p *pattern) after(s string, last []int) []int {
	from := last[1] // the character before it is the context
	if last[0] == last[1] {
		if from >= len(s) {
			return nil
		}
		_, n := utf8.DecodeRuneInString(s[from:])
		from += n
	}
	_, n := utf8.DecodeLastRuneInString(s[:from])
	from -= n
	at := p.next.FindStringSubmatchIndex(s[from:])
	if at == nil {
		return nil
	}
	at = at[2:]
	for i := range at {
		if at[i] >= 0 {
			at[i] += from
		}
	}
	return at
}

// A counter counts the characters of a text up to an offset that only grows.
type counter struct {
	s         string
	at, runes int
}

func (c *counter) to(offset int) int {
	c.runes += utf8.RuneCountInString(c.s[c.at:offset])
	c.at = offset
	return c.runes
}

// captures returns the groups of a match as jq has them.
func (p *pattern) captures(s string, at []int, offset int) []any {
	list := make([]any, len(p.names))
	for i, name := range p.names {
		from, to := at[2*i+2], at[2*i+3]
		c := map[string]any{"name": name, "offset": -1, "length": 0, "string": nil}
		if from >= 0 {
			before := offset
			if from >= at[0] {
				before += utf8.RuneCountInString(s[at[0]:from])
			}
			c["offset"], c["length"], c["string"] = before, utf8.RuneCountInString(s[from:to]), s[from:to]
		}
		list[i] = c
	}
	return list
}

// named returns the named groups of a match by their names.
func (p *pattern) named(s string, at []int) map[string]any {
	groups := map[string]any{}
	for i, name := range p.names {
		if name, ok := name.(string); ok {
			groups[name] = nil
			if from := at[2*i+2]; from >= 0 {
				groups[name] = s[from:at[2*i+3]]
			}
		}
	}
	return groups
}

// regexOptions returns the functions that search texts. Their arguments are a pattern and its
// flags.
func (m *machine) regexOptions() []gojq.CompilerOption {
	search := func(name string, f func(p *pattern, s string, all bool) (any, error)) gojq.CompilerOption {
		return gojq.WithFunction(":"+name, 2, 2, func(v any, args []any) any {
			s, ok := v.(string)
			if !ok {
				return fmt.Errorf("%s is for texts, not for %s (%s)", name, gojq.TypeOf(v), gojq.Preview(v))
			}
			re, ok := args[0].(string)
			flags, ok2 := args[1].(string)
			p := m.program.patterns[patternKey{re, strings.ReplaceAll(flags, "g", "")}]
			if !ok || !ok2 && args[1] != nil || p == nil {
				return errors.New("a pattern and its flags must be texts in the program")
			}
			result, err := f(p, s, strings.Contains(flags, "g"))
			if err != nil {
				return err
			}
			return result
		})
	}
	return []gojq.CompilerOption{
		search("test", func(p *pattern, s string, _ bool) (any, error) {
			if times(len(s), p.size) > maxSearch {
				return nil, fmt.Errorf("a text of %d bytes is too long for this pattern", len(s))
			}
			return p.re.MatchString(s), m.charge(times(len(s), p.size) / 64)
		}),
		search("match", func(p *pattern, s string, all bool) (any, error) {
			list := []any{}
			count := counter{s: s}
			err := m.find(p, s, all, func(at []int) error {
				offset := count.to(at[0])
				list = append(list, map[string]any{"offset": offset, "length": utf8.RuneCountInString(s[at[0]:at[1]]), "string": s[at[0]:at[1]], "captures": p.captures(s, at, offset)})
				return nil
			})
			return list, err
		}),
		search("split", func(p *pattern, s string, _ bool) (any, error) {
			list, end := []any{}, 0
			err := m.find(p, s, true, func(at []int) error {
				list, end = append(list, s[end:at[0]]), at[1]
				return nil
			})
			return append(list, s[end:]), err
		}),
		// [[{text before the match, captures}], text, text behind the last match]
		search("pieces", func(p *pattern, s string, all bool) (any, error) {
			list, end := []any{}, 0
			err := m.find(p, s, all, func(at []int) error {
				list, end = append(list, map[string]any{"before": s[end:at[0]], "captures": p.named(s, at)}), at[1]
				return nil
			})
			return []any{list, s, s[end:]}, err
		}),
		gojq.WithFunction(":replace", 2, 2, func(_ any, args []any) any { return m.replace(args[0].([]any), args[1].([]any)) }),
	}
}

// replace returns the texts that pieces and the results for each of them make. A replacement
// may have several results: each first one is for the first text, and so on.
func (m *machine) replace(pieces, results []any) any {
	list, whole, tail := pieces[0].([]any), pieces[1], pieces[2].(string)
	var built []*strings.Builder
	for i, piece := range list {
		before := piece.(map[string]any)["before"].(string)
		for j, result := range results[i].([]any) {
			s, ok := result.(string)
			if !ok {
				return fmt.Errorf("a replacement must be a text, not %s (%s)", gojq.TypeOf(result), gojq.Preview(result))
			}
			if err := m.charge(1 + (len(before)+len(s))/bytesPerStep); err != nil {
				return err
			}
			if j == len(built) {
				built = append(built, new(strings.Builder))
			}
			built[j].WriteString(before)
			built[j].WriteString(s)
		}
	}
	if len(built) == 0 {
		return []any{whole}
	}
	texts := make([]any, len(built))
	for i, b := range built {
		b.WriteString(tail)
		if err := m.charge(len(tail) / bytesPerStep); err != nil {
			return err
		}
		texts[i] = b.String()
	}
	return texts
}

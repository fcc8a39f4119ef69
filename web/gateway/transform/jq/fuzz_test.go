package jq

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

func FuzzRun(f *testing.F) {
	for _, c := range []struct{ program, doc string }{
		{".a|{b,c}", `{"a":{"b":1.10,"c":[]}}`}, {"del(.a)|.b+=1", `{"b":9007199254740993}`}, {"map(gsub(\"a\";\"b\"))", `["a","\u00e9"]`},
		{"walk(.)", `[[{"a":null}]]`}, {"to_entries|from_entries", `{"b":1,"a":2}`}, {".[.[0]]", "[1,2]"}, {"group_by(.a)|map(add)", `[{"a":1}]`},
	} {
		f.Add(c.program, []byte(c.doc))
	}
	f.Fuzz(func(t *testing.T, program string, doc []byte) {
		p, err := Compile(program)
		if err != nil {
			return
		}
		before := bytes.Clone(doc)
		out, err := p.Run(t.Context(), doc, 1<<16)
		if !bytes.Equal(before, doc) {
			t.Fatal("the document was changed")
		}
		if err != nil {
			if _, ok := errors.AsType[*Error](err); !ok {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		if len(out) > 1<<16+len(doc) || !jsontext.Value(out).IsValid() {
			t.Fatalf("%q on %q: %q", program, doc, out)
		}
	})
}

// FuzzDocument runs . and programs that copy, on any document: each must give its value back.
func FuzzDocument(f *testing.F) {
	for _, doc := range []string{`{"a":1.10,"b":[{"c":"\u00e9"}]}`, `[1e400,-0,[],{}]`, ` "x" `, `{"a":{"a":{"b":1}},"b":{"b":2,"a":3}}`} {
		f.Add([]byte(doc))
	}
	same := mustCompile(f, ".")
	wrap := mustCompile(f, "[.]")
	copied := mustCompile(f, `walk(.)`)
	f.Fuzz(func(t *testing.T, doc []byte) {
		out, err := same.Run(t.Context(), doc, 1<<20)
		if err != nil {
			return
		}
		if !bytes.Equal(out, doc) {
			t.Fatalf("%q became %q", doc, out)
		}
		if out, err = wrap.Run(t.Context(), doc, 1<<20); err == nil && string(out) != "["+strings.Trim(string(doc), " \t\r\n")+"]" {
			if c := bytes.TrimSpace(doc); !bytes.HasPrefix(c, []byte("[")) && c[0] != '"' {
				t.Fatalf("%q became %q", doc, out)
			}
		}
		out, err = copied.Run(t.Context(), doc, 1<<20)
		if err != nil {
			return
		}
		a, b := jsontext.Value(bytes.Clone(doc)), jsontext.Value(bytes.Clone(out))
		a.Compact()
		b.Compact()
		again, err := copied.Run(t.Context(), b, 1<<20)
		if err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%q became %q, then %q", a, b, again)
		}
	})
}

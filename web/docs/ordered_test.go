package docs

import "testing"

func TestOrderedDocument(t *testing.T) {
	for text, want := range map[string]string{
		"b: 1\na: [x, 2.5, true, null, 2026-11-22]":                  `{"b":1,"a":["x",2.5,true,null,"2026-11-22"]}`,
		"one: &one {a: 1, b: 2}\ntwo: {<<: *one, b: 3}\nthree: *one": `{"one":{"a":1,"b":2},"two":{"a":1,"b":3},"three":{"a":1,"b":2}}`,
		"one: &one {a: 1, b: 2}\ntwo: {b: 3, <<: *one}":              `{"one":{"a":1,"b":2},"two":{"b":3,"a":1}}`,
		"200: {\"1\": {}}":               `{"200":{"1":{}}}`,
		"a: 1\na: 2":                     "",
		"one: &one [1]\ntwo: {<<: *one}": "",
		"- a":                            "",
		"a: [":                           "",
	} {
		got := ""
		if doc, err := parse(text); err == nil {
			b, err := appendOrdered(nil, doc)
			if got = string(b); err != nil {
				t.Error(err)
			}
		}
		if got != want {
			t.Errorf("%s\nbecomes %s\nwant    %s", text, got, want)
		}
	}
	if _, err := merge(object{{"a", 1}}, object{{"a", 2}}); err == nil {
		t.Error("two documents give the member a, and neither is refused")
	}
}

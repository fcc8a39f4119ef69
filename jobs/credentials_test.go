package jobs

import (
	"strings"
	"testing"
)

func TestSplitCredentials(t *testing.T) {
	for _, test := range []struct{ doc, shown string }{
		{`{"url":"http://a/","headers":{"Accept":"x"}}`, ""},
		{`{"url":"http://a/","headers":{"authorization":"Bearer s3cret","X":"1"},"body":1.50}`, `{"url":"http://a/","headers":{"authorization":"***","X":"1"},"body":1.50}`},
		{`{"headers":{"COOKIE":["a=s3cret","b"],"x-my-Token":"s3cret","X_API_KEY":"s3cret","X-Corp":"s3cret"}}`, `{"headers":{"COOKIE":"***","x-my-Token":"***","X_API_KEY":"***","X-Corp":"***"}}`},
		{`{"url":"https://me:s3cret@a.example:8/p?a=1&access_token=s3cret&b=2#f"}`, `{"url":"https://me:***@a.example:8/p?a=1&access_token=***&b=2#f"}`},
		{`{"url":"https://me@a.example/?pass%77ord=s3cret"}`, `{"url":"https://me@a.example/?pass%77ord=***"}`},
		{`{"targets":[{"name":"n","url":"http://a/?api-key=s3cret","headers":{"Api-Key":"s3cret"}}]}`, `{"targets":[{"name":"n","url":"http://a/?api-key=***","headers":{"Api-Key":"***"}}]}`},
		{`{"requests":[{"path":"/x?token=s3cret","body":{"kind":"http","input":{"url":"http://a/","headers":{"Cookie":"s3cret"}}}}]}`,
			`{"requests":[{"path":"/x?token=***","body":{"kind":"http","input":{"url":"http://a/","headers":{"Cookie":"***"}}}}]}`},
		{`{"body":{"token":"not a header","url":{"headers":{"Secret":"s3cret"}}}}`, `{"body":{"token":"not a header","url":{"headers":{"Secret":"***"}}}}`},
		{`{"headers":{"a/b~c-token":"s3cret","Authorization":"***"}}`, `{"headers":{"a/b~c-token":"***","Authorization":"***"}}`},
		{`[]`, ""}, {`"x"`, ""}, {`{"headers":[{"Cookie":1}]}`, ""}, {`{"url":7,"path":null}`, ""},
	} {
		shown, hidden := SplitCredentials(Value(test.doc), []string{"X-Corp"})
		want := test.shown
		if want == "" {
			want = test.doc
		}
		if string(shown) != want || strings.Contains(string(shown), "s3cret") {
			t.Errorf("%s\nis shown as %s\nwant        %s", test.doc, shown, want)
		}
		if again := hidden.Join(shown); string(again) != test.doc {
			t.Errorf("joined again it is %s, want %s", again, test.doc)
		}
	}
}

// FuzzCredentials: what is split is joined to the same bytes, and both are JSON.
func FuzzCredentials(f *testing.F) {
	f.Add(`{"url":"http://a:b@c/?token=1&x","headers":{"cookie":["a"],"é":{}},"path":"?secret=\u00e9"}`)
	f.Add(`{"requests":[{"headers":{"~/":{"headers":{"token":[]}}},"url":"://@?"}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		doc := Value(text)
		if !doc.IsValid() || doc.Compact() != nil {
			return
		}
		shown, hidden := SplitCredentials(doc, []string{"é"})
		if !shown.IsValid() {
			t.Fatalf("%s is shown as %s", doc, shown)
		}
		if again := hidden.Join(shown); string(again) != string(doc) {
			t.Errorf("%s is shown as %s and joined to %s", doc, shown, again)
		}
		if twice, more := SplitCredentials(shown, []string{"é"}); string(twice) != string(shown) || len(more) > 0 {
			t.Errorf("%s is shown as %s and then as %s", doc, shown, twice)
		}
	})
}

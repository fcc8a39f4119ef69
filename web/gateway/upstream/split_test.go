package upstream

import "testing"

func TestSplit(t *testing.T) {
	r := request(t, "GET", "/", "")
	r.Header.Set("X-Tenant", "acme")
	r.Header.Set("Cookie", "a=1; side=left")
	for text, want := range map[string]string{
		"": "", "consumer": "jane", "header:x-tenant": "acme", "header:X-Other": "", "cookie:side": "left", "cookie:none": "",
	} {
		s, err := ParseSplit(text)
		if err != nil || s.Key(r, "jane") != want {
			t.Errorf("%q: %q, %v, want %q", text, s.Key(r, "jane"), err, want)
		}
	}
	for _, text := range []string{"random", "header", "header:", "header:a b", "cookie:", "Consumer", "consumer:x", "query:x"} {
		if _, err := ParseSplit(text); err == nil {
			t.Errorf("%q: no error", text)
		}
	}
}

package rest

import (
	"strings"
	"testing"
)

// FuzzIdempotencyKey: a key is printable ASCII, and quoting it gives the same key.
func FuzzIdempotencyKey(f *testing.F) {
	for _, seed := range []string{"k", `"k"`, `"a\"b\\"`, `"`, `""`, `"a`, ` k `, "\x00", "é", strings.Repeat("k", 256)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		key, ok := ParseKey([]string{value})
		if !ok {
			return
		}
		if key == "" || len(key) > 255 || strings.IndexFunc(key, func(r rune) bool { return r < 0x20 || r > 0x7e }) >= 0 {
			t.Fatalf("%q gives the key %q", value, key)
		}
		quoted := `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(key) + `"`
		if again, ok := ParseKey([]string{quoted}); !ok || again != key {
			t.Fatalf("%q gives %q, but %q gives %q", value, key, quoted, again)
		}
	})
}

package trial

import (
	"regexp"
	"strings"
	"testing"
)

// MakeKey runs jobhub token create and returns the key.
func MakeKey(t *testing.T, data string, args ...string) string {
	t.Helper()
	code, out, errs := Run(t, append([]string{"token", "create", "--data", data}, args...)...)
	key := strings.TrimSpace(out)
	if code != 0 || !regexp.MustCompile(`^jh_[a-z2-7]{52}$`).MatchString(key) || strings.Contains(errs, key) {
		t.Fatalf("jobhub token create %q: %d %q %q", args, code, out, errs)
	}
	return key
}

// Bearer is a header line to send, before a key.
const Bearer = "Authorization: Bearer "

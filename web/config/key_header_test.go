package config

import (
	"strings"
	"testing"
)

// TestKeyHeader: any header may take the hub's keys but those that mean something else.
func TestKeyHeader(t *testing.T) {
	for _, name := range []string{"Jobhub-Key", "x-hub-key", "X-Api-Key"} {
		if c, err := Decode("f", []byte("key_header: "+name)); err != nil || c.KeyHeader != name {
			t.Errorf("%s: %+v %v", name, c, err)
		}
	}
	if c, err := Decode("f", nil); err != nil || c.KeyHeader != "" {
		t.Errorf("not given: %+v %v", c, err)
	}
	for _, name := range []string{"authorization", "Cookie", "HOST", "content-type", "Connection", "te", "Sec-WebSocket-Protocol", "x-forwarded-for", "idempotency-key", "'a b'", "'a:'", "ä", "''", "7", "[a]"} {
		if _, err := Decode("f", []byte("hosts: [a]\nkey_header: "+name)); err == nil || !strings.HasPrefix(err.Error(), "f:2: key_header: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

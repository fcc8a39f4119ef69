package engine

import (
	"strings"
	"sync/atomic"
)

// maskedNames are further names of headers and query parameters that hold credentials.
type maskedNames struct{ list atomic.Pointer[[]string] }

func (m *maskedNames) get() []string {
	if names := m.list.Load(); names != nil {
		return *names
	}
	return nil
}

// Mask sets further names of headers and query parameters that hold credentials. It applies
// to jobs that are accepted from now on.
func (e *Engine) Mask(names []string) {
	plain := make([]string, len(names))
	for i, name := range names {
		plain[i] = strings.ReplaceAll(name, "_", "-") // as isCredential compares them
	}
	e.masked.list.Store(&plain)
}

package engine

import "strings"

// Mask sets further names of headers and query parameters that hold credentials. It applies
// to jobs that are accepted from now on.
func (e *Engine) Mask(names []string) {
	plain := make([]string, len(names))
	for i, name := range names {
		plain[i] = strings.ReplaceAll(name, "_", "-") // as isCredential compares them
	}
	e.masked.Store(&plain)
}

func (e *Engine) maskedNames() []string {
	if names := e.masked.Load(); names != nil {
		return *names
	}
	return nil
}

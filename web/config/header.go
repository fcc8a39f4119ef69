package config

import (
	"net/http"
	"os"
	"strings"

	"jobhub/jobs/httpheader"

	"go.yaml.in/yaml/v4"
)

// maxHeaderFile is the largest file that a header's value is read from, in bytes.
const maxHeaderFile = 64 << 10

// headers reads the headers that a route sends to its upstream. A value is a text, or env:NAME
// or file:PATH for a secret that should not be in the file.
func (r *routeReader) headers(n *yaml.Node, at string) map[string]string {
	headers := map[string]string{}
	r.each(n, at, func(key, value *yaml.Node, at string) {
		name := http.CanonicalHeaderKey(key.Value)
		_, twice := headers[name]
		switch {
		case !httpheader.IsToken(name):
			r.fail(key, at, "is not the name of a header")
		case httpheader.IsHopByHop(name) || name == "Host" || name == "Content-Length" || strings.HasPrefix(name, "X-Forwarded-"):
			r.fail(key, at, "is set by the hub; delete it")
		case twice:
			r.fail(key, at, "is given twice, in different case; keep one")
		default:
			if text, ok := r.secret(value, at); ok {
				headers[name] = text
			}
		}
	})
	return headers
}

// secret reads a text, or what env:NAME or file:PATH refers to. No error contains it.
func (r *reader) secret(n *yaml.Node, at string) (string, bool) {
	text, ok := r.text(n, at)
	if !ok {
		return "", false
	}
	if r.foreign {
		// What these name is on the operator's machine.
		if strings.HasPrefix(text, "env:") || strings.HasPrefix(text, "file:") {
			r.fail(n, at, "can name a variable or a file only in the configuration file; write the value")
			return "", false
		}
	} else if name, is := strings.CutPrefix(text, "env:"); is {
		if text = os.Getenv(name); text == "" {
			r.fail(n, at, "the variable %s is not set", name)
			return "", false
		}
	} else if path, is := strings.CutPrefix(text, "file:"); is {
		data, err := os.ReadFile(path)
		if err != nil {
			r.fail(n, at, "can't be read: %s", err)
			return "", false
		}
		if text = strings.TrimSpace(string(data)); text == "" || len(data) > maxHeaderFile {
			r.fail(n, at, "%s must hold a text of up to %d bytes", path, maxHeaderFile)
			return "", false
		}
	}
	if strings.ContainsFunc(text, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }) {
		r.fail(n, at, "must be one line without control characters")
		return "", false
	}
	return text, true
}

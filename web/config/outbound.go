package config

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"regexp"
	"strconv"

	"go.yaml.in/yaml/v4"

	"jobhub/jobs/egress"
)

// Bounds of what the file may set.
const (
	minBytes         = 1 << 10
	maxAnswerSetting = 256 << 20
	maxInputSetting  = 64 << 20
)

// outbound returns the fields for outgoing requests, and a function to call after they were
// read, which checks and loads what depends on several of them.
func (r *reader) outbound(o *egress.Outbound, maxInput *int64) (fields map[string]field, end func()) {
	var cert, key string
	var certAt, keyAt *yaml.Node
	var at string
	fields = map[string]field{
		"proxy": func(n *yaml.Node, at string) {
			u, ok := r.url(n, at)
			if ok && (u.Path != "" && u.Path != "/" || u.RawQuery != "") {
				r.fail(n, at, "must be a scheme, a host and a port, like http://proxy:3128")
			} else if ok {
				o.Proxy = u
			}
		},
		"ca":          func(n *yaml.Node, at string) { o.CAs = r.authorities(n, at) },
		"client_cert": func(n *yaml.Node, a string) { certAt, at = n, a; cert, _ = r.text(n, a) },
		"client_key":  func(n *yaml.Node, a string) { keyAt, at = n, a; key, _ = r.text(n, a) },
		"max_answer":  func(n *yaml.Node, at string) { o.MaxAnswer = r.size(n, at, maxAnswerSetting) },
		"max_input":   func(n *yaml.Node, at string) { *maxInput = r.size(n, at, maxInputSetting) },
	}
	return fields, func() {
		switch {
		case certAt != nil && keyAt == nil:
			r.fail(certAt, at, "needs client_key, too")
		case certAt == nil && keyAt != nil:
			r.fail(keyAt, at, "needs client_cert, too")
		case cert != "" && key != "":
			pair, err := tls.LoadX509KeyPair(cert, key)
			if err != nil {
				r.fail(certAt, at, "can't be used: %s; client_cert and client_key are files in PEM that belong together", err)
				return
			}
			o.Certificate = &pair
		}
	}
}

// authorities reads a file of CA certificates, which are trusted in addition to the system's.
func (r *reader) authorities(n *yaml.Node, at string) *x509.CertPool {
	path, ok := r.text(n, at)
	if !ok {
		return nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		r.fail(n, at, "can't be read: %s", err)
		return nil
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(data) {
		r.fail(n, at, "holds no certificate in PEM, which begins with -----BEGIN CERTIFICATE-----")
		return nil
	}
	return pool
}

var sizeText = regexp.MustCompile(`^([1-9][0-9]{0,9})(KiB|MiB|GiB)$`)

// size reads a number of bytes like 16MiB.
func (r *reader) size(n *yaml.Node, at string, most int64) int64 {
	m := sizeText.FindStringSubmatch(n.Value)
	if n.Kind != yaml.ScalarNode || m == nil {
		r.fail(n, at, "must be a size with its unit, like 512KiB, 16MiB or 1GiB")
		return 0
	}
	count, _ := strconv.ParseInt(m[1], 10, 64)
	bytes := count << map[string]int{"KiB": 10, "MiB": 20, "GiB": 30}[m[2]]
	if bytes < minBytes || bytes > most {
		r.fail(n, at, "must be from 1KiB to %dMiB", most>>20)
		return 0
	}
	return bytes
}

package cache

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

type hash [sha256.Size]byte

// keys are where the answers to a request stand.
type keys struct {
	uri    hash // for invalidation: scheme, host, path and query, for all routes and callers
	shared hash // of public answers
	own    hash // of answers for the caller alone
}

func (t *Transport) keysOf(req *http.Request, caller string) keys {
	b := make([]byte, 0, 512)
	k := keys{uri: uriKey(b, req.URL)}
	b = append(b, k.uri[:]...)
	b = appendText(appendText(b, t.policy.Scope), req.Host)
	names := make([]string, 0, 16)
	for name := range req.Header {
		if changesAnswers(name) || tellsWho(name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		if changesAnswers(name) {
			b = appendField(b, name, req.Header[name])
		}
	}
	k.shared = sha256.Sum256(append(b, 0))
	b = appendText(append(b, 1), caller)
	for _, name := range names {
		if tellsWho(name) {
			b = appendField(b, name, req.Header[name])
		}
	}
	k.own = sha256.Sum256(b)
	return k
}

// uriKey returns the key of a URI. b is used as a buffer.
func uriKey(b []byte, u *url.URL) hash {
	b = appendText(appendText(b, u.Scheme), strings.ToLower(u.Host))
	return sha256.Sum256(appendText(b, u.RequestURI()))
}

// appendText appends a text so that no other texts in a row give the same bytes.
func appendText(b []byte, text string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

func appendField(b []byte, name string, values []string) []byte {
	b = binary.AppendUvarint(appendText(b, name), uint64(len(values)))
	for _, v := range values {
		b = appendText(b, v)
	}
	return b
}

// changesAnswers reports whether many servers let a header change their answers without a Vary:
// by such a header one caller could give others an answer that they did not ask for. It is part
// of the key. X-Forwarded-For is not: the hub sets it, and it differs for each client.
func changesAnswers(name string) bool {
	switch name {
	case "Origin", "Forwarded", "X-Host", "X-Http-Host-Override", "X-Http-Destinationurl", "X-Url-Scheme", "X-Scheme", "X-Proto", "X-Base-Url",
		"Front-End-Https", "X-Forwarded", "X-Wap-Profile", "X-Script-Name":
		return true
	}
	return strings.HasPrefix(name, "X-Forwarded-") && name != "X-Forwarded-For" ||
		strings.HasPrefix(name, "X-Original-") || strings.HasPrefix(name, "X-Rewrite-")
}

var whoWords = bytes.Fields([]byte("auth token secret passw key session user account customer tenant identity role cert"))

// tellsWho reports whether a header may tell who asks. It is part of the key unless an answer
// is public.
func tellsWho(name string) bool {
	if name == "Cookie" || name == "Authorization" {
		return true
	}
	if name == "User-Agent" || strings.HasPrefix(name, "Sec-") {
		return false
	}
	var low [64]byte
	for i := range min(len(name), len(low)) {
		if low[i] = name[i]; 'A' <= low[i] && low[i] <= 'Z' {
			low[i] += 'a' - 'A'
		}
	}
	for _, word := range whoWords {
		if bytes.Contains(low[:min(len(name), len(low))], word) {
			return true
		}
	}
	return len(name) > len(low) // it is not read to its end
}

// varyNames returns the names of Vary, sorted and in canonical form; false for one with *.
func varyNames(h http.Header) (names []string, ok bool) {
	for _, line := range h["Vary"] {
		for name := range listItems(line) {
			if name == "*" {
				return nil, false
			}
			names = append(names, http.CanonicalHeaderKey(name))
		}
	}
	slices.Sort(names)
	return slices.Compact(names), true
}

// variantKey is the hash of the headers of a request that Vary names.
func variantKey(names []string, h http.Header) hash {
	if len(names) == 0 {
		return hash{}
	}
	b := make([]byte, 0, 256)
	for _, name := range names {
		values := h[name]
		b = appendText(b, name)
		if len(values) == 0 {
			b = append(b, 0)
			continue
		}
		joined := values[0] // lines may be joined, and space around commas left out (RFC 9111, 4.1)
		for _, v := range values[1:] {
			joined += "," + v
		}
		b = append(b, 1)
		for item := range listItems(joined) {
			b = appendText(b, item)
		}
		b = append(b, 0)
	}
	return sha256.Sum256(b)
}

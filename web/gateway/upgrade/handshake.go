package upgrade

import (
	"crypto/sha1"
	"encoding/base64"
	"net/http"
	"slices"
	"strings"

	"jobhub/jobs"
	"jobhub/jobs/httpheader"
)

// Version is the version of the WebSocket protocol that passes.
const Version = "13"

// IsWebSocket reports whether a request asks for a WebSocket.
func IsWebSocket(r *http.Request) bool {
	return slices.ContainsFunc(list(r.Header["Upgrade"]), func(s string) bool { return strings.EqualFold(s, "websocket") })
}

// CheckRequest returns what is wrong with a client's handshake (RFC 6455, 4.2.1), as a
// *jobs.Problem; nil if it is right.
func CheckRequest(r *http.Request) error {
	key := r.Header["Sec-Websocket-Key"]
	switch {
	case r.ProtoMajor != 1 || r.ProtoMinor < 1:
		return malformed("A WebSocket begins with a request of HTTP/1.1. Connect with HTTP/1.1.")
	case r.Method != http.MethodGet:
		return malformed("A WebSocket begins with a GET. Use the method GET, or leave out the header Upgrade.")
	case !has(r.Header["Connection"], "upgrade") || len(list(r.Header["Upgrade"])) != 1 || !IsWebSocket(r):
		return malformed("A WebSocket needs the headers Connection: Upgrade and Upgrade: websocket.")
	case len(r.Header["Sec-Websocket-Version"]) != 1 || r.Header.Get("Sec-WebSocket-Version") != Version:
		p := malformed("Only version 13 of the WebSocket protocol passes. Send Sec-WebSocket-Version: 13.")
		p.Status = http.StatusUpgradeRequired
		return p
	case len(key) != 1 || !validKey(key[0]):
		return malformed("Sec-WebSocket-Key must be 16 random bytes in base64, once.")
	case r.ContentLength != 0:
		return malformed("A WebSocket begins with a request without a body.")
	}
	return nil
}

func malformed(detail string) *jobs.Problem {
	return jobs.NewProblem(jobs.BadMessage, "Malformed handshake", "%s", detail)
}

func validKey(s string) bool {
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	return err == nil && len(b) == 16
}

// list splits the values of a header that is a list.
func list(values []string) (all []string) {
	for _, line := range values {
		for item := range strings.SplitSeq(line, ",") {
			if item = strings.TrimSpace(item); item != "" {
				all = append(all, item)
			}
		}
	}
	return all
}

func has(values []string, token string) bool {
	return slices.ContainsFunc(list(values), func(s string) bool { return strings.EqualFold(s, token) })
}

// offer sets the handshake of a client in the header of the upstream's request, without the
// subprotocols that hidden names.
func offer(to, client http.Header, hidden func(string) bool) {
	for name := range to {
		if httpheader.IsHopByHop(name) || strings.HasPrefix(name, "Sec-Websocket-") {
			delete(to, name)
		}
	}
	to["Connection"], to["Upgrade"] = []string{"Upgrade"}, []string{"websocket"}
	for _, name := range []string{"Sec-Websocket-Key", "Sec-Websocket-Version", "Sec-Websocket-Extensions"} {
		if values := client[name]; len(values) > 0 {
			to[name] = values
		}
	}
	protocols := list(client["Sec-Websocket-Protocol"])
	if hidden != nil {
		protocols = slices.DeleteFunc(protocols, hidden)
	}
	if len(protocols) > 0 {
		to["Sec-Websocket-Protocol"] = []string{strings.Join(protocols, ", ")}
	}
}

// checkAnswer returns what is wrong with an upstream's answer 101 to a request (RFC 6455, 4.1);
// empty if it is right.
func checkAnswer(request, answer http.Header) string {
	proof := answer["Sec-Websocket-Accept"]
	protocols := list(answer["Sec-Websocket-Protocol"])
	switch {
	case !has(answer["Connection"], "upgrade") || len(list(answer["Upgrade"])) != 1 || !has(answer["Upgrade"], "websocket"):
		return "it does not upgrade to a WebSocket"
	case len(proof) != 1 || proof[0] != accept(request.Get("Sec-WebSocket-Key")):
		return "its Sec-WebSocket-Accept is not that of the key"
	case len(protocols) > 1 || len(protocols) == 1 && !slices.Contains(list(request["Sec-Websocket-Protocol"]), protocols[0]):
		return "it chose a subprotocol that was not offered"
	}
	offered := extensions(request)
	for _, name := range extensions(answer) {
		if !slices.Contains(offered, name) {
			return "it chose an extension that was not offered"
		}
	}
	return ""
}

// extensions returns the names of the extensions in a header.
func extensions(h http.Header) (names []string) {
	for _, item := range list(h["Sec-Websocket-Extensions"]) {
		name, _, _ := strings.Cut(item, ";")
		names = append(names, strings.TrimSpace(name))
	}
	return names
}

// accept returns the Sec-WebSocket-Accept for a key.
func accept(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

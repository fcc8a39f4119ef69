package jobs

import (
	"bytes"
	"encoding/base64"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Response is the answer of an HTTP API, kept so that it can be given again as it
// was: same status, end-to-end headers and body bytes.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
}

// responseHead is a response without its body. HTTP allows header values of any bytes
// from 0x80 on and JSON does not, so headers with such values stand in Raw.
type responseHead struct {
	Status int                 `json:"s"`
	Header http.Header         `json:"h"`
	Raw    map[string][][]byte `json:"r,omitzero"`
}

// MarshalBinary encodes the response as its head in JSON, a newline, and the body.
func (r *Response) MarshalBinary() ([]byte, error) {
	h := responseHead{Status: r.Status, Header: r.Header}
	for name, values := range r.Header {
		if !slices.ContainsFunc(values, func(v string) bool { return !utf8.ValidString(v) }) {
			continue
		}
		if h.Raw == nil {
			h.Raw, h.Header = map[string][][]byte{}, maps.Clone(r.Header)
		}
		delete(h.Header, name)
		for _, v := range values {
			h.Raw[name] = append(h.Raw[name], []byte(v))
		}
	}
	head, err := json.Marshal(h, json.Deterministic(true))
	if err != nil {
		return nil, err
	}
	return append(append(head, '\n'), r.Body...), nil
}

// UnmarshalBinary decodes what MarshalBinary wrote. The body shares memory with data.
func (r *Response) UnmarshalBinary(data []byte) error {
	head, body, _ := bytes.Cut(data, []byte{'\n'})
	var h responseHead
	if err := json.Unmarshal(head, &h); err != nil {
		return err
	}
	for name, values := range h.Raw {
		for _, v := range values {
			h.Header[name] = append(h.Header[name], string(v))
		}
	}
	r.Status, r.Header, r.Body = h.Status, h.Header, body
	return nil
}

// JSON is the response as the result of a job: {"status","headers","body"}, the body
// as BodyValue has it and the headers as FlatHeader has them.
func (r *Response) JSON() Value {
	r = r.Decoded(maxDecoded)
	v, err := json.Marshal(struct {
		Status  int               `json:"status"`
		Headers map[string]string `json:"headers"`
		Body    Value             `json:"body"`
	}{r.Status, r.FlatHeader(), BodyValue(r.Header.Get("Content-Type"), r.Body)}, json.Deterministic(true))
	if err != nil { // nothing in it can fail: the texts are valid and the body is JSON
		panic(err)
	}
	return v
}

// FlatHeader are the headers by their names in lower case, several values joined with commas.
func (r *Response) FlatHeader() map[string]string {
	flat := make(map[string]string, len(r.Header))
	for name, values := range r.Header {
		flat[strings.ToLower(name)] = strings.ToValidUTF8(strings.Join(values, ", "), "\ufffd")
	}
	return flat
}

// BodyValue is a body as a JSON value: as it is when its type is JSON, a string when
// it is text, else {"base64":"…"}. An empty body is null.
func BodyValue(contentType string, body []byte) Value {
	if len(body) == 0 {
		return Value("null")
	}
	media := contentType
	if media != "application/json" {
		media, _, _ = mime.ParseMediaType(contentType)
	}
	if media == "application/json" || strings.HasSuffix(media, "+json") {
		if v := Value(bytes.Clone(body)); v.Compact() == nil {
			return v
		}
	}
	texty := strings.HasPrefix(media, "text/") || media == "" || strings.HasSuffix(media, "json") ||
		strings.HasSuffix(media, "xml") || media == "application/x-www-form-urlencoded" || media == "application/javascript"
	if texty && utf8.Valid(body) {
		v, _ := jsontext.AppendQuote(nil, body)
		return v
	}
	v, _ := jsontext.AppendQuote([]byte(`{"base64":`), base64.StdEncoding.EncodeToString(body))
	return append(v, '}')
}

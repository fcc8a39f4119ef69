package jobs

import (
	"bytes"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"jobhub/jobs/httpheader"

	"github.com/go-json-experiment/json"
)

// Response is the answer of an HTTP API as it was received: status, end-to-end headers and
// the bytes of the body.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
}

// responseHead is a response without its body. HTTP allows header values of any bytes
// from 0x80 on and JSON does not, so headers with such values are in Raw.
type responseHead struct {
	Status int                 `json:"s"`
	Header http.Header         `json:"h"`
	Raw    map[string][][]byte `json:"r,omitzero"`
}

// MarshalBinary encodes the response as its head in JSON, a newline, and the body.
func (r *Response) MarshalBinary() ([]byte, error) {
	h := responseHead{Status: r.Status, Header: make(http.Header, len(r.Header))}
	for name, values := range r.Header {
		switch {
		case !httpheader.IsToken(name): // HTTP does not allow it
		case !slices.ContainsFunc(values, func(v string) bool { return !utf8.ValidString(v) }):
			h.Header[name] = values
		default:
			if h.Raw == nil {
				h.Raw = map[string][][]byte{}
			}
			for _, v := range values {
				h.Raw[name] = append(h.Raw[name], []byte(v))
			}
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
// as BodyValue has it. Credentials in headers are hidden: those of the usual names, and of
// mask.
func (r *Response) JSON(mask []string) Value {
	r = r.Decoded(maxDecoded)
	b := strconv.AppendInt([]byte(`{"status":`), int64(r.Status), 10)
	b = AppendHeader(append(b, `,"headers":`...), ShownHeader(r.Header, mask))
	b = append(append(b, `,"body":`...), BodyValue(r.Header.Get("Content-Type"), r.Body, 1)...)
	return append(b, '}')
}

// ShownHeader is FlatHeader with credentials hidden: those of the usual names, and of mask.
func ShownHeader(h http.Header, mask []string) map[string]string {
	flat := FlatHeader(h)
	for name := range flat {
		if isCredential(name, mask) {
			flat[name] = Hidden
		}
	}
	return flat
}

// FlatHeader is headers by their names in lower case, several values joined with commas.
func FlatHeader(h http.Header) map[string]string {
	flat := make(map[string]string, len(h))
	for _, name := range slices.Sorted(maps.Keys(h)) {
		lower, value := strings.ToValidUTF8(strings.ToLower(name), "\ufffd"), strings.Join(h[name], ", ")
		if before, twice := flat[lower]; twice { // the same name in another case
			value = before + ", " + value
		}
		flat[lower] = strings.ToValidUTF8(value, "\ufffd")
	}
	return flat
}

// AppendHeader appends the headers of FlatHeader or ShownHeader as a JSON object.
func AppendHeader(b []byte, flat map[string]string) []byte {
	b = append(b, '{')
	for i, name := range slices.Sorted(maps.Keys(flat)) {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(AppendString(b, name), ':')
		b = AppendString(b, flat[name])
	}
	return append(b, '}')
}

// BodyValue is a body as a JSON value: as it is when it is JSON by its type and by
// CompactJSON, a string when it is text, else {"base64":"…"}. An empty body is null.
// around is how many levels of objects and arrays will be around the value.
func BodyValue(contentType string, body []byte, around int) Value {
	if len(body) == 0 {
		return Value("null")
	}
	media := mediaType(contentType)
	if media == "application/json" || strings.HasSuffix(media, "+json") {
		if v, err := CompactJSON(body, MaxDepth-around); err == nil {
			return v
		}
	}
	text := strings.HasPrefix(media, "text/") || media == "" || strings.HasSuffix(media, "json") ||
		strings.HasSuffix(media, "xml") || media == "application/x-www-form-urlencoded" || media == "application/javascript"
	return opaque(body, text)
}

// mediaType is a content type without its parameters, which may be malformed; empty if it
// is no type at all.
func mediaType(contentType string) string {
	media, _, _ := strings.Cut(contentType, ";")
	media = strings.ToLower(strings.TrimSpace(media))
	if kind, subtype, ok := strings.Cut(media, "/"); !ok || !httpheader.IsToken(kind) || !httpheader.IsToken(subtype) {
		return ""
	}
	return media
}

package call

import (
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"jobhub/jobs"
	"jobhub/jobs/egress"
	"jobhub/jobs/httpheader"
)

// document is the input of a job of kind http, as JSON.
type document struct {
	Method  string                `json:"method"`
	URL     string                `json:"url"`
	Headers map[string]jobs.Value `json:"headers"` // each a string, or an array of them for a header that is sent several times

	// Body: a string is sent as it is, {"base64":"…"} as its bytes, any other value as
	// JSON. null is no body.
	Body jobs.Value `json:"body"`

	// Expect lists statuses that count as success besides 2xx. A redirect that is
	// listed is not followed.
	Expect []int `json:"expect"`
}

// input is a document after it was checked.
type input struct {
	method string
	url    *url.URL
	header http.Header
	body   []byte
	expect []int
	via    jobs.Via // of the job
}

// decode reads and checks an input. Its error is a *jobs.Problem with status 422.
func decode(data jobs.Value, g *egress.Guard, via jobs.Via) (*input, error) {
	var doc document
	if err := json.Unmarshal(data, &doc, json.RejectUnknownMembers(true)); err != nil {
		return nil, inputProblem(err)
	}
	return doc.input("/input", g, via)
}

// input checks a document; at is its JSON pointer.
func (doc *document) input(at string, g *egress.Guard, via jobs.Via) (*input, error) {
	in := &input{expect: doc.Expect, via: via}
	var err error
	open := via.Upstreams
	if via.Guarded {
		open = nil
	}
	if in.url, err = g.Parse(at+"/url", doc.URL, open); err != nil {
		return nil, err
	}
	if in.header, err = decodeHeaders(at+"/headers", doc.Headers); err != nil {
		return nil, err
	}
	if err := in.decodeBody(at+"/body", doc.Body); err != nil {
		return nil, err
	}
	if doc.Method != "" {
		in.method = strings.ToUpper(doc.Method)
	}
	if !httpheader.IsToken(in.method) || in.method == "CONNECT" || in.method == "TRACE" {
		return nil, jobs.Invalid(at+"/method", "must be an HTTP method like GET or POST, and not CONNECT or TRACE")
	}
	for i, status := range in.expect {
		if status < 100 || status > 599 {
			return nil, jobs.Invalid(fmt.Sprintf("%s/expect/%d", at, i), "must be a status from 100 to 599")
		}
	}
	return in, nil
}

func decodeHeaders(at string, headers map[string]jobs.Value) (http.Header, error) {
	header := make(http.Header, len(headers)+4)
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		pointer := string(jsontext.Pointer(at).AppendToken(name))
		values, ok := decodeHeader(headers[name])
		switch {
		case !httpheader.IsToken(name):
			return nil, jobs.Invalid(pointer, "is not a valid header name")
		case reserved(name):
			return nil, jobs.Invalid(pointer, "is set by the hub or belongs to one connection; leave it out")
		case has(header, name):
			return nil, jobs.Invalid(pointer, "is there twice, in different case")
		case !ok:
			return nil, jobs.Invalid(pointer, "must be a string without line breaks and control characters, or an array of them")
		}
		header[http.CanonicalHeaderKey(name)] = values
	}
	return header, nil
}

// decodeHeader reads one string, or several.
func decodeHeader(v jobs.Value) (values []string, ok bool) {
	texts := make([]*string, 1)
	var err error
	switch v.Kind() {
	case jsontext.KindString:
		err = json.Unmarshal(v, &texts[0])
	case jsontext.KindBeginArray:
		err = json.Unmarshal(v, &texts)
	default:
		return nil, false
	}
	for _, text := range texts {
		if err != nil || text == nil || !isFieldValue(*text) {
			return nil, false
		}
		values = append(values, *text)
	}
	return values, true
}

// decodeBody sets the body, and the method and content type that follow from it.
func (in *input) decodeBody(at string, v jobs.Value) error {
	in.method = http.MethodPost
	switch v.Kind() {
	case jsontext.KindInvalid, jsontext.KindNull:
		in.method = http.MethodGet
		return nil
	case jsontext.KindString:
		var text string
		err := json.Unmarshal(v, &text)
		in.body = []byte(text)
		return err
	case jsontext.KindBeginObject:
		var binary struct {
			Base64 *string `json:"base64"`
		}
		if err := json.Unmarshal(v, &binary, json.RejectUnknownMembers(true)); err == nil && binary.Base64 != nil {
			if in.body, err = base64.StdEncoding.DecodeString(*binary.Base64); err != nil {
				return jobs.Invalid(at+"/base64", "is not base64 (RFC 4648, with padding)")
			}
			return nil
		}
	}
	in.body = v
	if !has(in.header, "Content-Type") {
		in.header.Set("Content-Type", "application/json")
	}
	return nil
}

// inputProblem turns an error of the JSON decoder into the problem of a job's input.
func inputProblem(err error) *jobs.Problem {
	p := jobs.DecodeProblem(err)
	p.Status = 422
	for i := range p.Errors {
		p.Errors[i].Pointer = "/input" + p.Errors[i].Pointer
	}
	return p
}

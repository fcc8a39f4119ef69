package openapi

import (
	"context"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"jobhub/jobs"
	"jobhub/web/gateway/openapi/jsontree"
	"jobhub/web/gateway/openapi/schema"
)

// Answer is an answer made from the document.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Mock answers a request with these headers from the document. "Prefer: code=404" and "Prefer:
// example=name" choose; else it is the first answer of success with its first example, or a
// value made from its schema, the same one each time. Accept chooses the media type.
//
// Its error is a *jobs.Problem: 422 for a preference that the document does not have, 406 if no
// media type is acceptable, 501 if an answer can't be made.
func (op *Operation) Mock(ctx context.Context, h http.Header) (*Answer, error) {
	want := preferences(h["Prefer"])
	r, status, err := op.mocked(want["code"])
	if err != nil {
		return nil, err
	}
	a := &Answer{Status: status, Header: http.Header{"Vary": {"Accept, Prefer"}}}
	var applied []string
	if want["code"] != "" {
		applied = append(applied, "code="+want["code"])
	}
	m := schema.NewSampler(ctx, op.doc.json, schema.InResponse)
	mockHeaders(m, a.Header, r.Headers)
	name := want["example"]
	if len(r.Content) > 0 || name != "" {
		media, err := acceptable(r.Content, h["Accept"], name)
		if err != nil {
			return nil, err
		}
		if a.Body, err = mockBody(m, media, name); err != nil {
			return nil, err
		}
		a.Header.Set("Content-Type", concrete(media.Type))
		if name != "" {
			applied = append(applied, "example="+name)
		}
	}
	if len(applied) > 0 {
		a.Header.Set("Preference-Applied", strings.Join(applied, ", "))
	}
	return a, nil
}

// preferences reads the headers Prefer; of each preference the first counts.
func preferences(values []string) map[string]string {
	all := map[string]string{}
	for _, line := range values {
		for _, one := range strings.FieldsFunc(line, func(c rune) bool { return c == ',' || c == ';' }) {
			name, value, _ := strings.Cut(one, "=")
			name = strings.ToLower(strings.TrimSpace(name))
			if _, twice := all[name]; !twice {
				all[name] = strings.Trim(strings.TrimSpace(value), `"`)
			}
		}
	}
	return all
}

// mocked chooses the answer, by its status if code is not empty.
func (op *Operation) mocked(code string) (*Response, int, error) {
	if code != "" {
		status, err := strconv.Atoi(code)
		if err == nil && status >= 200 && status <= 599 {
			if r := op.response(status); r != nil {
				return r, status, nil
			}
		}
		var described []string
		for _, r := range op.Responses {
			described = append(described, r.Status)
		}
		return nil, 0, jobs.Invalid("/header/Prefer", "asks for code=%s; described are %s", jsontree.Quote(code), strings.Join(described, ", "))
	}
	for _, first := range []string{"2", "d", ""} {
		for _, r := range op.Responses {
			if strings.HasPrefix(r.Status, first) {
				if status, err := strconv.Atoi(strings.ReplaceAll(r.Status, "X", "0")); err == nil {
					if status >= 200 {
						return r, status, nil
					}
				} else {
					return r, http.StatusOK, nil // default
				}
			}
		}
	}
	return nil, 0, unavailable("The document describes no answer of this operation. Add one to responses.")
}

func unavailable(detail string) *jobs.Problem {
	p := jobs.NewProblem(jobs.Unsupported, "No example", "%s", detail)
	p.Status = http.StatusNotImplemented
	return p
}

// acceptable chooses the media type by Accept and, if name is not empty, the example.
func acceptable(all []*Media, accept []string, name string) (*Media, error) {
	var best *Media
	bestQuality, found := 0.0, false
	var names, types []string
	for _, m := range all {
		types = append(types, m.Type)
		for _, e := range m.Examples {
			if e.Name != "" && !slices.Contains(names, e.Name) {
				names = append(names, e.Name)
			}
		}
		if name != "" && !slices.ContainsFunc(m.Examples, func(e Example) bool { return e.Name == name }) {
			continue
		}
		found = true
		if q := quality(concrete(m.Type), accept); q > bestQuality {
			best, bestQuality = m, q
		}
	}
	switch {
	case name != "" && !found:
		return nil, jobs.Invalid("/header/Prefer", "asks for example=%s; this answer has the examples %s", jsontree.Quote(name), strings.Join(names, ", "))
	case best == nil:
		p := jobs.NewProblem(jobs.Unsupported, "Not acceptable", "The answer is there as %s; change Accept.", strings.Join(types, ", "))
		p.Status = http.StatusNotAcceptable
		return nil, p
	}
	return best, nil
}

// quality is how much a media type is wanted by Accept (RFC 9110, section 12.5.1): the most
// specific range decides.
func quality(mediaType string, accept []string) float64 {
	t, _, _ := mime.ParseMediaType(mediaType)
	group, _, _ := strings.Cut(t, "/")
	q, specific, any := 0.0, 0, false
	for _, line := range accept {
		for _, one := range strings.Split(line, ",") {
			if strings.TrimSpace(one) == "" {
				continue
			}
			any = true
			of, attributes, err := mime.ParseMediaType(one)
			if err != nil && of == "" {
				continue
			}
			rank := 0
			switch of {
			case t:
				rank = 3
			case group + "/*":
				rank = 2
			case "*/*":
				rank = 1
			}
			if rank <= specific {
				continue
			}
			specific, q = rank, 1
			if text := attributes["q"]; text != "" {
				if parsed, err := strconv.ParseFloat(text, 64); err == nil && parsed >= 0 && parsed <= 1 {
					q = parsed
				}
			}
		}
	}
	if !any {
		return 1
	}
	return q
}

// concrete is a media type without ranges.
func concrete(t string) string {
	switch plain, _, _ := strings.Cut(t, ";"); strings.TrimSpace(plain) {
	case "*/*", "application/*":
		return "application/json"
	case "text/*":
		return "text/plain"
	}
	return t
}

// mockBody is the body of an answer in a media type: an example, or a value made from the schema.
func mockBody(m *schema.Sampler, media *Media, name string) ([]byte, error) {
	var value jobs.Value
	for _, e := range media.Examples {
		if e.Value != nil && (name == "" || e.Name == name) {
			value = e.Value
			break
		}
	}
	switch {
	case value != nil:
	case name != "":
		return nil, unavailable("That example is kept outside of the document, from where nothing is fetched. Give it a value.")
	case media.Schema == nil:
		return nil, nil
	default:
		value = m.Sample(media.Schema.s)
	}
	if isJSON(concrete(media.Type)) {
		return slices.Clone(value), nil
	}
	v, err := jsontree.Read(value)
	if err == nil && v.Kind == '"' {
		return []byte(v.Text), nil
	}
	if err == nil && v.Kind != '{' && v.Kind != '[' {
		return slices.Clone(value), nil
	}
	return nil, unavailable("The document has no example of " + media.Type + " that is a text. Add one, or ask for another media type with Accept.")
}

// mockHeaders sets the headers of an answer that are required or have an example.
func mockHeaders(m *schema.Sampler, h http.Header, all []*Parameter) {
	for _, p := range all {
		var value jobs.Value
		switch {
		case len(p.Examples) > 0 && p.Examples[0].Value != nil:
			value = p.Examples[0].Value
		case p.Required && p.Schema != nil:
			value = m.Sample(p.Schema.s)
		default:
			continue
		}
		text := string(value)
		if v, err := jsontree.Read(value); err == nil && v.Kind == '"' {
			text = v.Text
		}
		if !strings.ContainsFunc(text, func(c rune) bool { return c < ' ' || c == 0x7f }) && len(text) <= 8<<10 {
			h.Set(p.Name, text)
		}
	}
}

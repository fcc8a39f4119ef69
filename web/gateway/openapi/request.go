package openapi

import (
	"bytes"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"jobhub/jobs"
	"jobhub/web/gateway/openapi/jsontree"
	"jobhub/web/gateway/openapi/schema"
)

// ValidateRequest checks a request with its decoded body; params are those that Find returned.
// It returns what is wrong, 100 faults at most; Problem makes the answer of them. The work is
// bounded and ends with the context of the request.
//
// Bodies in JSON, forms and texts are checked; of other media types only that they are
// described. Authentication is not checked here.
func (op *Operation) ValidateRequest(r *http.Request, params map[string]string, body []byte) []Fault {
	c := checking{schema.NewCheck(r.Context(), schema.InRequest)}
	query, ok := splitPairs(r.URL.RawQuery)
	if !ok {
		c.In = "query"
		c.Fail((&jsontree.Path{}).Member("query"), "has more than %d parameters", maxPairs)
		return c.Faults
	}
	from := sources{params: params, query: query, header: r.Header}
	for _, p := range op.Parameters {
		if p.In == "cookie" && from.cookies == nil {
			from.cookies = r.Cookies()
		}
		c.parameter(p, &from)
	}
	c.In = "body"
	c.requestBody(op, r.Header, body)
	return c.Faults
}

func (c *checking) requestBody(op *Operation, h http.Header, body []byte) {
	switch {
	case op.Body == nil:
		return // OpenAPI gives no meaning to a body that it does not describe
	case len(body) == 0:
		if op.Body.Required {
			c.Fail(&jsontree.Path{}, "is missing; this operation needs a body")
		}
		return
	}
	if coding := h.Get("Content-Encoding"); coding != "" && !strings.EqualFold(coding, "identity") {
		c.unsupported("is compressed; send it without Content-Encoding")
		return
	}
	contentType := h.Get("Content-Type")
	if contentType == "" {
		c.unsupported("has no Content-Type; send one of " + mediaTypes(op.Body.Content))
		return
	}
	media := findMedia(op.Body.Content, contentType)
	if media == nil {
		c.unsupported("is " + jsontree.Quote(contentType) + ", but must be one of " + mediaTypes(op.Body.Content))
		return
	}
	c.content(media, contentType, body)
}

// unsupported replaces all faults: nothing else can be said of the request.
func (c *checking) unsupported(detail string) {
	c.Faults = []Fault{{In: "body", Detail: detail, Status: http.StatusUnsupportedMediaType}}
}

// content checks a body in a media type.
func (c *checking) content(media *Media, contentType string, body []byte) {
	t, attributes, _ := mime.ParseMediaType(contentType)
	top := &jsontree.Path{}
	switch {
	case isJSON(contentType):
		v, err := jsontree.Read(body)
		switch {
		case err == jsontree.ErrTooMany:
			c.Faults = []Fault{{In: "body", Detail: err.Error(), Status: http.StatusRequestEntityTooLarge}}
		case err != nil:
			pointer, detail := jsontree.Place(body, err)
			c.Faults = []Fault{{In: "body", Pointer: jsontree.Detail("%.512s", pointer), Detail: jsontree.Detail("%s", detail), Status: http.StatusBadRequest}}
		case media.Schema != nil:
			c.Value(media.Schema.s, v, top)
		}
	case media.Schema == nil:
	case t == "application/x-www-form-urlencoded":
		pairs, ok := splitPairs(string(body))
		if !ok {
			c.Fail(top, "has more than %d members", maxPairs)
			return
		}
		for i := range pairs {
			pairs[i] = schema.Pair{Name: unescape(pairs[i].Name), Value: unescape(pairs[i].Value)}
		}
		c.Value(media.Schema.s, c.ObjectOf(media.Schema.s, pairs), top)
	case t == "multipart/form-data":
		c.multipart(media, attributes["boundary"], body)
	case strings.HasPrefix(t, "text/"):
		if !utf8.Valid(body) {
			c.Fail(top, "must be a text in UTF-8")
			return
		}
		c.Value(media.Schema.s, c.Scalar(media.Schema.s, string(body)), top)
	}
}

// multipart checks a form with files. A part in JSON is checked as JSON, every other one as a
// text.
func (c *checking) multipart(media *Media, boundary string, body []byte) {
	top := &jsontree.Path{}
	form := &jsontree.Node{Kind: '{', Size: 1, End: len(body)}
	position := map[string]int{}
	parts := multipart.NewReader(bytes.NewReader(body), boundary)
	for n := 0; ; n++ {
		part, err := parts.NextRawPart()
		if err == io.EOF {
			break
		}
		var data []byte
		if err == nil {
			data, err = io.ReadAll(part)
		}
		if err != nil || n == 1_000 {
			c.Fail(top, "must be a form of at most 1000 parts, with the boundary that Content-Type names")
			return
		}
		name := part.FormName()
		one := schema.PropertyOf(media.Schema.s, name)
		of := one
		if one.TakesList() {
			of = schema.ItemsOf(one)
		}
		v := c.part(of, part.Header.Get("Content-Type"), media.encodings[name], data)
		i, again := position[name]
		if !again {
			i = len(form.Items)
			position[name] = i
			form.Names, form.Items = append(form.Names, name), append(form.Items, v)
			if of != one {
				form.Items[i] = &jsontree.Node{Kind: '[', Items: []*jsontree.Node{v}, Size: 1 + v.Size}
			}
			continue
		}
		if form.Items[i].Kind != '[' {
			form.Items[i] = &jsontree.Node{Kind: '[', Items: []*jsontree.Node{form.Items[i]}, Size: 1}
		}
		form.Items[i].Items = append(form.Items[i].Items, v)
	}
	form.IndexNames()
	c.Value(media.Schema.s, form, top)
}

// part is the value of a part of a form.
func (c *checking) part(s *schema.Schema, contentType, described string, data []byte) *jsontree.Node {
	if described != "" && contentType == "" {
		contentType = described
	}
	if isJSON(contentType) || contentType == "" && s.TakesObject() {
		if v, err := jsontree.Read(data); err == nil {
			return v
		}
	}
	if contentType != "" && !strings.HasPrefix(contentType, "text/") || !utf8.Valid(data) {
		return jsontree.TextNode(strings.ToValidUTF8(string(data), "\ufffd")) // a file
	}
	return c.Scalar(s, string(data))
}

// findMedia finds the description for a media type: the same type, then text/*, then */*.
func findMedia(all []*Media, contentType string) *Media {
	t, _, err := mime.ParseMediaType(contentType)
	if err != nil && t == "" {
		return nil
	}
	group, _, _ := strings.Cut(t, "/")
	for _, want := range []string{t, group + "/*", "*/*"} {
		for _, m := range all {
			if described, _, _ := mime.ParseMediaType(m.Type); described == want {
				return m
			}
		}
	}
	return nil
}

func mediaTypes(all []*Media) string {
	names := make([]string, len(all))
	for i, m := range all {
		names[i] = m.Type
	}
	return strings.Join(names, ", ")
}

// Problem is the answer for a Match without an operation: 405 if its path has other methods,
// else 404.
func (m Match) Problem(method string, u *url.URL) *jobs.Problem {
	if len(m.Allow) == 0 {
		return jobs.NewProblem(jobs.NotFound, "Not found", "The API describes no path like %s.", jsontree.Quote(u.EscapedPath()))
	}
	p := jobs.NewProblem(jobs.Unsupported, "Method not allowed", "This path takes %s, not %s.", strings.Join(m.Allow, ", "), jsontree.Quote(method))
	p.Status = http.StatusMethodNotAllowed
	return p
}

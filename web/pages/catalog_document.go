package pages

import (
	"bytes"
	"cmp"
	"context"
	"html"
	"net/url"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"jobhub/jobs"
	"jobhub/web/gateway/openapi"
	"jobhub/web/view"
)

// This file turns OpenAPI documents of others into pages. Their texts are shown as they are
// written: Markdown is not rendered.

const (
	membersShown = 60      // of a body
	sampleShown  = 8 << 10 // bytes of an example
)

// describe adds the operations of a document to the page of a version.
func describe(ctx context.Context, m *view.APIVersion, doc *openapi.Document) {
	m.Title, m.Text, m.Of = doc.Title, cmp.Or(doc.Summary, doc.Description), len(doc.Operations)
	m.From = min(m.From, m.Of)
	for i, op := range doc.Operations[m.From:min(m.From+view.OperationsShown, m.Of)] {
		m.Calls = append(m.Calls, operationOf(ctx, "op-"+strconv.Itoa(m.From+i+1), m.Server, op))
	}
}

func operationOf(ctx context.Context, id, server string, op *openapi.Operation) view.APIOperation {
	out := view.APIOperation{ID: id, Method: op.Method, Path: op.Path, Summary: cmp.Or(op.Summary, op.ID, op.Method+" "+op.Path), HTML: plain(op.Description)}
	if op.Deprecated {
		out.HTML = plain("Deprecated.") + out.HTML
	}
	for _, p := range op.Parameters {
		out.Parameters = append(out.Parameters, parameterOf(p))
	}
	if op.Body != nil {
		for _, media := range op.Body.Content {
			b := view.APIBody{Media: media.Type}
			if media.Schema != nil {
				b.Type, b.Members = view.APIType{Text: media.Schema.Type()}, membersOf(media.Schema, true)
			}
			out.Bodies = append(out.Bodies, b)
		}
	}
	for _, r := range op.Responses {
		out.Answers = append(out.Answers, answerOf(r))
	}
	out.Examples = []view.APIExample{exampleOf(ctx, server, op)}
	return out
}

// plain is a text as HTML, with a paragraph for each of its own.
func plain(text string) string {
	var b strings.Builder
	for part := range strings.SplitSeq(strings.TrimSpace(text), "\n\n") {
		if part = strings.TrimSpace(part); part != "" {
			b.WriteString("<p><bdi>" + html.EscapeString(part) + "</bdi></p>")
		}
	}
	return b.String()
}

func parameterOf(p *openapi.Parameter) view.APIMember {
	out := view.APIMember{Name: p.Name, In: p.In, Required: p.Required, HTML: plain(p.Description)}
	if p.Schema != nil {
		out.Type.Text = p.Schema.Type()
		out.HTML += plain(p.Schema.Limits())
	}
	return out
}

// membersOf returns what is inside a schema, with dotted names. Callers do not send what is
// read-only, and are not told to send anything in answers.
func membersOf(schema *openapi.Schema, request bool) (all []view.APIMember) {
	var names []string // of the rows that the present one is in
	for _, row := range schema.Rows() {
		names = append(names[:min(row.Depth, len(names))], row.Name)
		if request && row.ReadOnly || !request && row.WriteOnly {
			continue
		}
		if len(all) == membersShown {
			return append(all, view.APIMember{Name: "…", HTML: plain("More members are in the document.")})
		}
		all = append(all, view.APIMember{Name: strings.ReplaceAll(strings.Join(names, "."), ".[ ]", "[ ]"), Type: view.APIType{Text: row.Type}, Required: request && row.Required, HTML: plain(row.Description) + plain(row.Limits)})
	}
	return all
}

func answerOf(r *openapi.Response) view.APIAnswer {
	out := view.APIAnswer{Status: r.Status, HTML: plain(r.Description)}
	for _, h := range r.Headers {
		out.Headers = append(out.Headers, parameterOf(h))
	}
	if len(r.Content) > 0 {
		out.Media = r.Content[0].Type
		if schema := r.Content[0].Schema; schema != nil {
			out.Members = membersOf(schema, false)
		}
	}
	return out
}

// exampleOf is a call with an example of each parameter that is required, and its answer.
func exampleOf(ctx context.Context, server string, op *openapi.Operation) view.APIExample {
	path, query, headers := op.Path, "", []string(nil)
	for _, p := range op.Parameters {
		value := sampleText(ctx, p)
		switch {
		case p.In == "path":
			path = strings.ReplaceAll(path, "{"+p.Name+"}", url.PathEscape(value))
		case !p.Required:
		case p.In == "query":
			query += "&" + url.QueryEscape(p.Name) + "=" + url.QueryEscape(value)
		case p.In == "header":
			headers = append(headers, p.Name+": "+value)
		case p.In == "cookie":
			headers = append(headers, "Cookie: "+p.Name+"="+value)
		}
	}
	address := strings.TrimSuffix(server, "/") + path
	if query != "" {
		address += "?" + query[1:]
	}
	body := ""
	if op.Body != nil && len(op.Body.Content) > 0 {
		media := op.Body.Content[0]
		headers = append(headers, "Content-Type: "+media.Type)
		body = sampleBody(ctx, media, true)
	}
	e := view.APIExample{Name: "call", Command: view.Curl(op.Method, address, headers, body)}
	for _, r := range op.Responses {
		if strings.HasPrefix(r.Status, "2") && len(r.Content) > 0 {
			e.Status, e.Answer = r.Status, sampleBody(ctx, r.Content[0], false)
			break
		}
	}
	return e
}

// sampleText is an example of a parameter as text.
func sampleText(ctx context.Context, p *openapi.Parameter) string {
	value := jobs.Value(`"x"`)
	if len(p.Examples) > 0 && p.Examples[0].Value != nil {
		value = p.Examples[0].Value
	} else if p.Schema != nil {
		value = p.Schema.Sample(ctx, true)
	}
	var text string
	if json.Unmarshal(value, &text) == nil {
		return text
	}
	return string(value)
}

// sampleBody is an example of a body, indented if it is JSON.
func sampleBody(ctx context.Context, media *openapi.Media, request bool) string {
	var value jobs.Value
	if len(media.Examples) > 0 {
		value = media.Examples[0].Value
	}
	if value == nil && media.Schema != nil {
		value = media.Schema.Sample(ctx, request)
	}
	var text string
	if value.Kind() == '"' && !strings.Contains(media.Type, "json") && json.Unmarshal(value, &text) == nil {
		return shortened(text)
	}
	indented := jsontext.Value(bytes.Clone(value))
	if len(value) == 0 || indented.Indent(jsontext.WithIndent("  ")) != nil {
		return shortened(string(value))
	}
	return shortened(string(indented))
}

func shortened(text string) string {
	if len(text) > sampleShown {
		return strings.ToValidUTF8(text[:sampleShown], "") + " …"
	}
	return text
}

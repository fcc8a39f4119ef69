package openapi

import (
	"context"

	"jobhub/jobs"
	"jobhub/web/gateway/openapi/schema"
)

// Schema is the description of a value.
type Schema struct {
	Name string // of the component; empty if it has none of its own

	doc *Document
	s   *schema.Schema
}

// JSON is the schema as it stands in the document.
func (s *Schema) JSON() jobs.Value { return s.doc.raw(s.s.Node) }

// Description is Markdown.
func (s *Schema) Description() string { return s.s.Node.Str("description") }

// Row is one line of the table that shows a schema on a page.
type Row = schema.Row

// Rows is a schema as lines for a page, 500 at most. A schema that is inside itself is shown
// once.
func (s *Schema) Rows() []Row { return s.s.Rows(s.doc.json) }

// Sample is an example of a value as JSON: the first that the document gives, else one made
// from the schema. request leaves out what the API alone sets (readOnly), else what only
// callers send (writeOnly).
func (s *Schema) Sample(ctx context.Context, request bool) jobs.Value {
	way := schema.InResponse
	if request {
		way = schema.InRequest
	}
	return schema.NewSampler(ctx, s.doc.json, way).Sample(s.s)
}

// Type is what kind of value a schema describes, in words.
func (s *Schema) Type() string { return s.s.TypeText() }

// Limits is the limits of a schema, in words.
func (s *Schema) Limits() string { return s.s.LimitsText() }

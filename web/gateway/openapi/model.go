package openapi

import (
	"jobhub/jobs"
	"jobhub/web/gateway/openapi/jsontree"
	"jobhub/web/gateway/openapi/schema"
)

// Document is an OpenAPI document that Parse accepted: what pages show of it, and what requests
// are checked against.
type Document struct {
	OpenAPI     string // the version of the format, like 3.1.0
	Title       string
	Version     string
	Summary     string
	Description string // Markdown
	Terms       string // the URL of the terms of service
	Contact     Contact
	License     License
	Servers     []Server
	Tags        []Tag        // the declared ones, then those that operations use besides
	Operations  []*Operation // in the order of the document
	Schemas     []*Schema    // of components, in the order of the document
	Security    []Scheme     // of components
	Docs        Link
	Warnings    []Fault // what has no effect, by pointer; 100 at most

	json     []byte
	root     *jsontree.Node
	routes   router
	bases    []string // paths of the servers, the longest first
	compiled []*schema.Schema
}

// Contact is who answers for an API.
type Contact struct{ Name, URL, Email string }

// License is the licence of an API.
type License struct{ Name, Identifier, URL string }

// Link is a place with more documentation.
type Link struct{ Description, URL string }

// Server is where an API is served, with the defaults of its variables filled in.
type Server struct{ URL, Description string }

// Tag is a group of operations.
type Tag struct {
	Name, Description string
	Docs              Link
}

// Operation is one method of one path.
type Operation struct {
	ID          string // operationId; may be empty
	Method      string // in capital letters
	Path        string // the template, like /orders/{id}
	Summary     string
	Description string // Markdown
	Tags        []string
	Deprecated  bool
	Parameters  []*Parameter // those of the path included
	Body        *Body        // nil if none is described
	Responses   []*Response  // in the order of the document
	Security    []Requirement
	Docs        Link

	doc *Document
}

// Parameter is one value outside of the body of a request, or a header of an answer.
type Parameter struct {
	Name        string
	In          string // path, query, header or cookie
	Description string // Markdown
	Required    bool
	Deprecated  bool
	AllowEmpty  bool
	Style       string // simple, label, matrix, form, spaceDelimited, pipeDelimited or deepObject
	Explode     bool
	Schema      *Schema // nil if anything is allowed
	MediaType   string  // if the value is a text of that type instead, like application/json
	Examples    []Example

	at *jsontree.Path
}

// Body is the body of requests.
type Body struct {
	Description string // Markdown
	Required    bool
	Content     []*Media
}

// Response is one kind of answer.
type Response struct {
	Status      string // like 200, 4XX or default
	Description string // Markdown
	Headers     []*Parameter
	Content     []*Media
}

// Media is a body in one media type.
type Media struct {
	Type     string // may be a range, like text/*
	Schema   *Schema
	Examples []Example

	encodings map[string]string // media types of the parts of a form, by property
}

// Example is an example of a value.
type Example struct {
	Name        string // empty for the only one
	Summary     string
	Description string
	Value       jobs.Value // nil if it is kept outside of the document
	External    string     // its URL then
}

// Requirement is one way to be let in; all its schemes are needed. One without schemes lets
// everybody in.
type Requirement []SchemeUse

// SchemeUse is a security scheme with the scopes that are needed.
type SchemeUse struct {
	Scheme string
	Scopes []string
}

// Scheme is a security scheme.
type Scheme struct {
	Name, Type, Description string
	In, Parameter           string // of an API key
	HTTP, BearerFormat      string // of HTTP authentication
	OpenIDConnect           string // a URL
	Flows                   []string
}

// raw is the bytes of a value in the document, which the caller must not change.
func (d *Document) raw(n *jsontree.Node) jobs.Value { return n.Raw(d.json) }

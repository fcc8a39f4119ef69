package openapi

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"jobhub/web/gateway/openapi/jsontree"
	"jobhub/web/gateway/openapi/schema"
)

// Parse reads an OpenAPI document, 3.0 or 3.1, as JSON or YAML. Its error is a *jobs.Problem
// with status 422, whose errors name the places by JSON pointer; 100 of them at most. Nothing
// that the document refers to is fetched.
func Parse(doc []byte) (*Document, error) {
	data, err := toJSON(doc)
	if err != nil {
		return nil, err
	}
	root, err := jsontree.Read(data, jsontree.Limit{Name: "paths", Most: MaxPaths, Detail: fmt.Sprintf("has more than %d paths; split the API into several documents", MaxPaths)})
	if err != nil {
		pointer, detail := jsontree.Place(data, err)
		return nil, refuse(pointer, "%s", detail)
	}
	version := root.Str("openapi")
	var r jsontree.Report
	b := builder{root: root, doc: &Document{OpenAPI: version, json: data, root: root}, Compiler: schema.NewCompiler(root, strings.HasPrefix(version, "3.1."), &r)}
	b.document()
	if err := problemOf(&r); err != nil {
		return nil, err
	}
	b.doc.Warnings = r.Warnings
	b.doc.compiled = b.Compiled()
	return b.doc, nil
}

// builder makes a Document from nodes.
type builder struct {
	*schema.Compiler
	doc  *Document
	root *jsontree.Node

	tags map[string]bool
	open map[*jsontree.Node]bool // callbacks that are being read
	ids  map[string]string       // operationId → where it is used
}

var supportedVersion = regexp.MustCompile(`^3\.[01]\.\d+(-[0-9A-Za-z.-]+)?$`)

func (b *builder) document() {
	top := &jsontree.Path{}
	if b.root.Kind != '{' {
		b.Fail(top, "must be an object: an OpenAPI document")
		return
	}
	version := b.doc.OpenAPI
	switch {
	case b.root.Get("swagger") != nil:
		b.Fail(top.Member("swagger"), "is of Swagger 2.0; convert the document to OpenAPI 3.0 or 3.1")
		return
	case !supportedVersion.MatchString(version):
		b.Fail(top.Member("openapi"), "must be a version 3.0.x or 3.1.x of OpenAPI, not %s", jsontree.Quote(version))
		return
	}
	d := b.doc
	b.known(b.root, top, "openapi", "info", "servers", "paths", "components", "security", "tags", "externalDocs", "webhooks", "jsonSchemaDialect")
	b.info(b.root.Get("info"), top.Member("info"))
	d.Servers = b.servers(b.root, top)
	d.bases = basePaths(d.Servers)
	d.Docs = b.link(b.root)
	b.tags, b.ids = map[string]bool{}, map[string]string{}
	b.tagList(b.root.Get("tags"), top.Member("tags"))
	if dialect := b.root.Str("jsonSchemaDialect"); dialect != "" && dialect != "https://json-schema.org/draft/2020-12/schema" && !strings.HasPrefix(dialect, "https://spec.openapis.org/oas/3.1/dialect/") {
		b.Fail(top.Member("jsonSchemaDialect"), "names another dialect than JSON Schema 2020-12, which is what is supported")
	}
	b.components(b.root.Get("components"), top.Member("components"))
	b.paths(b.root.Get("paths"), top.Member("paths"))
	b.webhooks(b.root.Get("webhooks"), top.Member("webhooks"))
	b.CompileAll()
}

// object reports whether n is an object that is there; it reports what is something else.
func (b *builder) object(n *jsontree.Node, at *jsontree.Path) bool {
	if n != nil && n.Kind != '{' {
		b.Fail(at, "must be an object")
	}
	return n != nil && n.Kind == '{'
}

// known warns of members that OpenAPI does not know at a place.
func (b *builder) known(n *jsontree.Node, at *jsontree.Path, names ...string) {
	for _, name := range n.Names {
		if !slices.Contains(names, name) && !strings.HasPrefix(name, "x-") {
			b.Warn(at.Member(name), "is no member that OpenAPI %s has here, and has no effect", b.doc.OpenAPI)
		}
	}
}

// text is a member that must be a text if it is there.
func (b *builder) text(n *jsontree.Node, at *jsontree.Path, name string) string {
	m := n.Get(name)
	if m == nil {
		return ""
	}
	if m.Kind != '"' {
		b.Fail(at.Member(name), "must be a text")
		return ""
	}
	return m.Text
}

// boolean is a member that must be true or false if it is there.
func (b *builder) boolean(n *jsontree.Node, at *jsontree.Path, name string) bool {
	m := n.Get(name)
	if m == nil {
		return false
	}
	if m.Kind != 't' && m.Kind != 'f' {
		b.Fail(at.Member(name), "must be true or false")
	}
	return m.Kind == 't'
}

func (b *builder) info(n *jsontree.Node, at *jsontree.Path) {
	if n == nil {
		b.Fail(at, "is missing; it must have title and version")
		return
	}
	if !b.object(n, at) {
		return
	}
	b.known(n, at, "title", "summary", "description", "termsOfService", "contact", "license", "version")
	d := b.doc
	d.Title, d.Version = b.text(n, at, "title"), b.text(n, at, "version")
	for _, name := range []string{"title", "version"} {
		if n.Get(name) == nil {
			b.Fail(at.Member(name), "is missing")
		}
	}
	d.Summary, d.Description, d.Terms = b.text(n, at, "summary"), b.text(n, at, "description"), b.text(n, at, "termsOfService")
	if c := n.Get("contact"); b.object(c, at.Member("contact")) {
		d.Contact = Contact{c.Str("name"), c.Str("url"), c.Str("email")}
	}
	if l := n.Get("license"); b.object(l, at.Member("license")) {
		d.License = License{l.Str("name"), l.Str("identifier"), l.Str("url")}
	}
}

func (b *builder) link(n *jsontree.Node) Link {
	docs := n.Get("externalDocs")
	return Link{docs.Str("description"), docs.Str("url")}
}

func (b *builder) tagList(n *jsontree.Node, at *jsontree.Path) {
	if n == nil {
		return
	}
	if n.Kind != '[' {
		b.Fail(at, "must be a list of tags")
		return
	}
	for i, tag := range n.Items {
		name := b.text(tag, at.At(i), "name")
		switch {
		case name == "":
			b.Fail(at.At(i), "must be an object with a name")
		case b.tags[name]:
			b.Fail(at.At(i), "is the second tag %s; keep one", jsontree.Quote(name))
		default:
			b.tags[name] = true
			b.doc.Tags = append(b.doc.Tags, Tag{name, tag.Str("description"), b.link(tag)})
		}
	}
}

var serverVariable = regexp.MustCompile(`\{[^{}]*\}`)

// servers reads the member servers; the variables of a URL get their defaults.
func (b *builder) servers(n *jsontree.Node, at *jsontree.Path) (all []Server) {
	list := n.Get("servers")
	if list == nil {
		return nil
	}
	at = at.Member("servers")
	if list.Kind != '[' {
		b.Fail(at, "must be a list of servers")
		return nil
	}
	for i, s := range list.Items {
		template := b.text(s, at.At(i), "url")
		if template == "" {
			b.Fail(at.At(i), "must be an object with a url")
			continue
		}
		plain := serverVariable.ReplaceAllStringFunc(template, func(v string) string {
			name := v[1 : len(v)-1]
			value := s.Get("variables").Get(name).Get("default")
			if value == nil || value.Kind != '"' {
				b.Fail(at.At(i).Member("variables").Member(name), "is missing, or has no default")
				return ""
			}
			return value.Text
		})
		if _, err := url.Parse(plain); err != nil {
			var urlError *url.Error
			if errors.As(err, &urlError) {
				err = urlError.Err
			}
			b.Fail(at.At(i).Member("url"), "is not a URL: %s", err)
			continue
		}
		all = append(all, Server{plain, s.Str("description")})
	}
	return all
}

// basePaths is the paths of the servers without a slash at the end, the longest first.
func basePaths(servers []Server) (all []string) {
	for _, s := range servers {
		if u, err := url.Parse(s.URL); err == nil {
			all = append(all, strings.TrimRight(u.EscapedPath(), "/"))
		}
	}
	if len(all) == 0 {
		all = []string{""}
	}
	slices.SortFunc(all, func(a, b string) int { return len(b) - len(a) })
	return slices.Compact(all)
}

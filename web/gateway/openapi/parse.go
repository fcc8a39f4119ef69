package openapi

import (
	"errors"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// Parse reads an OpenAPI document, 3.0 or 3.1, as JSON or YAML. Its error is a *jobs.Problem
// with status 422, whose errors name the places by JSON pointer; 100 of them at most. Nothing
// that the document refers to is fetched.
func Parse(doc []byte) (*Document, error) {
	data, err := toJSON(doc)
	if err != nil {
		return nil, err
	}
	root, err := read(data, true)
	if err != nil {
		pointer, detail := place(data, err)
		return nil, refuse(pointer, "%s", detail)
	}
	b := builder{doc: &Document{json: data, root: root}, root: root, schemas: map[*node]*schema{}, regexps: map[string]*pattern{}}
	b.document()
	if err := b.problem(); err != nil {
		return nil, err
	}
	b.doc.Warnings = b.warnings
	for _, c := range b.roots {
		b.doc.compiled = append(b.doc.compiled, c.schema)
	}
	return b.doc, nil
}

// builder makes a Document from nodes.
type builder struct {
	report
	doc     *Document
	root    *node
	v31     bool
	schemas map[*node]*schema
	pending []compiling // schemas to be compiled
	roots   []compiling // all schemas, in the order of the document
	regexps map[string]*pattern
	refCost int

	tags map[string]bool
	open map[*node]bool    // callbacks that are being read
	ids  map[string]string // operationId → where it is used
}

var supportedVersion = regexp.MustCompile(`^3\.[01]\.\d+(-[0-9A-Za-z.-]+)?$`)

func (b *builder) document() {
	top := &path{}
	if b.root.kind != '{' {
		b.fail(top, "must be an object: an OpenAPI document")
		return
	}
	version := b.root.str("openapi")
	switch {
	case b.root.get("swagger") != nil:
		b.fail(top.member("swagger"), "is of Swagger 2.0; convert the document to OpenAPI 3.0 or 3.1")
		return
	case !supportedVersion.MatchString(version):
		b.fail(top.member("openapi"), "must be a version 3.0.x or 3.1.x of OpenAPI, not %s", short(version))
		return
	}
	d := b.doc
	d.OpenAPI, b.v31 = version, strings.HasPrefix(version, "3.1.")
	b.known(b.root, top, "openapi", "info", "servers", "paths", "components", "security", "tags", "externalDocs", "webhooks", "jsonSchemaDialect")
	b.info(b.root.get("info"), top.member("info"))
	d.Servers = b.servers(b.root, top)
	d.bases = basePaths(d.Servers)
	d.Docs = b.link(b.root)
	b.tags, b.ids = map[string]bool{}, map[string]string{}
	b.tagList(b.root.get("tags"), top.member("tags"))
	if dialect := b.root.str("jsonSchemaDialect"); dialect != "" && dialect != "https://json-schema.org/draft/2020-12/schema" && !strings.HasPrefix(dialect, "https://spec.openapis.org/oas/3.1/dialect/") {
		b.fail(top.member("jsonSchemaDialect"), "names another dialect than JSON Schema 2020-12, which is what is supported")
	}
	b.components(b.root.get("components"), top.member("components"))
	b.paths(b.root.get("paths"), top.member("paths"))
	b.webhooks(b.root.get("webhooks"), top.member("webhooks"))
	b.compileAll()
}

// object reports whether n is an object that is there; it reports what is something else.
func (b *builder) object(n *node, at *path) bool {
	if n != nil && n.kind != '{' {
		b.fail(at, "must be an object")
	}
	return n != nil && n.kind == '{'
}

// known warns of members that OpenAPI does not know at a place.
func (b *builder) known(n *node, at *path, names ...string) {
	for _, name := range n.names {
		if !slices.Contains(names, name) && !strings.HasPrefix(name, "x-") {
			b.warn(at.member(name), "is no member that OpenAPI %s has here, and has no effect", b.doc.OpenAPI)
		}
	}
}

// text is a member that must be a text if it is there.
func (b *builder) text(n *node, at *path, name string) string {
	m := n.get(name)
	if m == nil {
		return ""
	}
	if m.kind != '"' {
		b.fail(at.member(name), "must be a text")
		return ""
	}
	return m.text
}

// boolean is a member that must be true or false if it is there.
func (b *builder) boolean(n *node, at *path, name string) bool {
	m := n.get(name)
	if m == nil {
		return false
	}
	if m.kind != 't' && m.kind != 'f' {
		b.fail(at.member(name), "must be true or false")
	}
	return m.kind == 't'
}

func (b *builder) info(n *node, at *path) {
	if n == nil {
		b.fail(at, "is missing; it must have title and version")
		return
	}
	if !b.object(n, at) {
		return
	}
	b.known(n, at, "title", "summary", "description", "termsOfService", "contact", "license", "version")
	d := b.doc
	d.Title, d.Version = b.text(n, at, "title"), b.text(n, at, "version")
	for _, name := range []string{"title", "version"} {
		if n.get(name) == nil {
			b.fail(at.member(name), "is missing")
		}
	}
	d.Summary, d.Description, d.Terms = b.text(n, at, "summary"), b.text(n, at, "description"), b.text(n, at, "termsOfService")
	if c := n.get("contact"); b.object(c, at.member("contact")) {
		d.Contact = Contact{c.str("name"), c.str("url"), c.str("email")}
	}
	if l := n.get("license"); b.object(l, at.member("license")) {
		d.License = License{l.str("name"), l.str("identifier"), l.str("url")}
	}
}

func (b *builder) link(n *node) Link {
	docs := n.get("externalDocs")
	return Link{docs.str("description"), docs.str("url")}
}

func (b *builder) tagList(n *node, at *path) {
	if n == nil {
		return
	}
	if n.kind != '[' {
		b.fail(at, "must be a list of tags")
		return
	}
	for i, tag := range n.items {
		name := b.text(tag, at.at(i), "name")
		switch {
		case name == "":
			b.fail(at.at(i), "must be an object with a name")
		case b.tags[name]:
			b.fail(at.at(i), "is the second tag %s; keep one", short(name))
		default:
			b.tags[name] = true
			b.doc.Tags = append(b.doc.Tags, Tag{name, tag.str("description"), b.link(tag)})
		}
	}
}

var serverVariable = regexp.MustCompile(`\{[^{}]*\}`)

// servers reads the member servers; the variables of a URL get their defaults.
func (b *builder) servers(n *node, at *path) (all []Server) {
	list := n.get("servers")
	if list == nil {
		return nil
	}
	at = at.member("servers")
	if list.kind != '[' {
		b.fail(at, "must be a list of servers")
		return nil
	}
	for i, s := range list.items {
		template := b.text(s, at.at(i), "url")
		if template == "" {
			b.fail(at.at(i), "must be an object with a url")
			continue
		}
		plain := serverVariable.ReplaceAllStringFunc(template, func(v string) string {
			name := v[1 : len(v)-1]
			value := s.get("variables").get(name).get("default")
			if value == nil || value.kind != '"' {
				b.fail(at.at(i).member("variables").member(name), "is missing, or has no default")
				return ""
			}
			return value.text
		})
		if _, err := url.Parse(plain); err != nil {
			var urlError *url.Error
			if errors.As(err, &urlError) {
				err = urlError.Err
			}
			b.fail(at.at(i).member("url"), "is not a URL: %s", err)
			continue
		}
		all = append(all, Server{plain, s.str("description")})
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

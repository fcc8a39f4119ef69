package config

import (
	"bytes"
	"errors"
	"io"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"go.yaml.in/yaml/v4"

	"jobhub/jobs"
	"jobhub/web/gateway"
)

// operatorOnly are the members of a route that only the operator may write: they name files of
// the hub's machine and its way out, or are decided elsewhere for a route of the catalogue.
var operatorOnly = []string{"api", "proxy", "ca", "client_cert", "client_key"}

func (r *routeReader) onlyInFile(n *yaml.Node, at string) {
	r.fail(n, at, "can be given only in the configuration file; leave it out")
}

// DecodeRoutes reads routes that somebody else than the operator wrote, as a JSON list. They have
// the members of the file's routes, without those that concern the hub's machine. mocked says
// that they need no upstream. own are the http.ServeMux patterns of the hub's own paths, which
// no route can replace. Its error is of type Errors, whose Pointer says where, or is a
// *jobs.Problem for what is not JSON.
func DecodeRoutes(data jobs.Value, mocked bool, own []string) ([]gateway.Route, error) {
	if err := jobs.CheckDepth(data); err != nil {
		return nil, err
	}
	list, err := nodeOf(data)
	if err != nil {
		return nil, jobs.DecodeProblem(err)
	}
	r := &reader{file: "routes", foreign: true, mocked: mocked}
	c := &Config{name: "routes", lines: map[int]int{}}
	r.list(list, "routes", func(n *yaml.Node, at string) { r.route(n, at, c) })
	if len(r.errs) == 0 {
		r.checkRoutes(c)
		_, wrong := c.PathConflicts(own)
		r.errs = append(r.errs, wrong...)
	}
	if len(r.errs) > 0 {
		return nil, r.errs
	}
	return c.Routes, nil
}

// nodeOf returns a JSON document as the node that YAML would give.
func nodeOf(data []byte) (*yaml.Node, error) {
	d := jsontext.NewDecoder(bytes.NewReader(data))
	n, err := readNode(d)
	if err != nil {
		return nil, err
	}
	if _, err := d.ReadToken(); err != io.EOF {
		return nil, errors.New("there is more behind the list")
	}
	return n, nil
}

func readNode(d *jsontext.Decoder) (*yaml.Node, error) {
	token, err := d.ReadToken()
	if err != nil {
		return nil, err
	}
	n := &yaml.Node{Kind: yaml.ScalarNode}
	switch token.Kind() {
	case '{', '[':
		n.Kind, n.Tag = yaml.MappingNode, "!!map"
		if token.Kind() == '[' {
			n.Kind, n.Tag = yaml.SequenceNode, "!!seq"
		}
		for d.PeekKind() != '}' && d.PeekKind() != ']' {
			item, err := readNode(d)
			if err != nil {
				return nil, err
			}
			n.Content = append(n.Content, item)
		}
		_, err = d.ReadToken()
		return n, err
	case '"':
		n.Tag, n.Value = "!!str", token.String()
	case '0':
		n.Tag, n.Value = "!!int", token.String()
		if strings.ContainsAny(n.Value, ".eE") {
			n.Tag = "!!float"
		}
	case 't', 'f':
		n.Tag, n.Value = "!!bool", token.String()
	default:
		n.Tag, n.Value = "!!null", "null"
	}
	return n, nil
}

// Dots and brackets in the keys of a document that is not the operator's are replaced in
// Error.At, so that Pointer can tell them from those between keys.
var hide, show = strings.NewReplacer(".", "\ue000", "[", "\ue001", "]", "\ue002"), strings.NewReplacer("\ue000", ".", "\ue001", "[", "\ue002", "]")

// keyIn returns a key as it stands in Error.At.
func (r *reader) keyIn(key string) string {
	if r.foreign {
		return hide.Replace(printable(key))
	}
	return printable(key)
}

// Pointer returns the place of an error of DecodeRoutes as a JSON pointer.
func (e Error) Pointer() string {
	var p jsontext.Pointer
	for _, part := range strings.FieldsFunc(e.At, func(c rune) bool { return c == '.' || c == '[' || c == ']' }) {
		p = p.AppendToken(show.Replace(part))
	}
	return string(p)
}

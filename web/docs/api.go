package docs

import (
	"cmp"
	"fmt"
	"iter"
	"strings"

	"github.com/go-json-experiment/json"

	"jobhub/web/view"
)

// This file makes the page of the API from openapi.json.

// node is a value in a document whose members have an order.
type node struct {
	root  object
	value any
	ref   string // the last name of the reference through which it was found
}

// at follows names and references. The value is nil if there is none.
func (n node) at(names ...string) node {
	for _, name := range names {
		next := node{root: n.root}
		members, _ := n.value.(object)
		for _, m := range members {
			if m.name == name {
				next.value = m.value
			}
		}
		n = next
		if ref := n.raw("$ref"); ref != "" {
			parts := strings.Split(strings.TrimPrefix(ref, "#/"), "/")
			n = node{root: n.root, value: n.root}.at(parts...)
			n.ref = parts[len(parts)-1]
		}
	}
	return n
}

// raw returns a member that is a text.
func (n node) raw(name string) string {
	members, _ := n.value.(object)
	for _, m := range members {
		if text, ok := m.value.(string); ok && m.name == name {
			return text
		}
	}
	return ""
}

// all yields the members of an object, or the elements of an array.
func (n node) all() iter.Seq2[string, node] {
	return func(yield func(string, node) bool) {
		members, _ := n.value.(object)
		if list, ok := n.value.([]any); ok {
			for i, element := range list {
				members = append(members, member{fmt.Sprint(i), element})
			}
		}
		for _, m := range members {
			one := object{m}
			if !yield(m.name, node{root: n.root, value: one}.at(m.name)) {
				return
			}
		}
	}
}

func (n node) has(element string) bool {
	list, _ := n.value.([]any)
	for _, e := range list {
		if e == element {
			return true
		}
	}
	return false
}

func (n node) prose(name string) string {
	html, _, err := markdown(n.raw(name))
	if err != nil { // it renders any text
		panic(err)
	}
	return html
}

func (s *Server) readAPI() (*view.API, error) {
	whole, err := s.mergeDocument("openapi")
	if err != nil {
		return nil, err
	}
	doc := node{root: whole, value: whole}
	api := &view.API{HTML: doc.at("info").prose("description")}
	for _, tag := range doc.at("tags").all() {
		group := view.APIGroup{Name: tag.raw("name"), HTML: tag.prose("description")}
		for path, item := range doc.at("paths").all() {
			for method, op := range item.all() {
				if op.at("tags").has(group.Name) {
					group.Operations = append(group.Operations, s.operation(method, path, item, op))
				}
			}
		}
		api.Groups = append(api.Groups, group)
	}
	for name, schema := range doc.at("components", "schemas").all() {
		shown := view.APISchema{Name: name, HTML: schema.prose("description"), Members: members(schema, "")}
		if len(shown.Members) == 0 {
			shown.Type = typeOf(node{root: whole, value: schema.value})
		}
		api.Schemas = append(api.Schemas, shown)
	}
	return api, nil
}

func (s *Server) operation(method, path string, item, op node) view.APIOperation {
	out := view.APIOperation{ID: op.raw("operationId"), Method: strings.ToUpper(method), Path: path, Summary: op.raw("summary"), HTML: op.prose("description")}
	for _, list := range []node{item.at("parameters"), op.at("parameters")} {
		for _, p := range list.all() {
			out.Parameters = append(out.Parameters, view.APIMember{Name: p.raw("name"), In: p.raw("in"), Type: typeOf(p.at("schema")), Required: p.at("required").value == true,
				HTML: p.prose("description")})
		}
	}
	for media, content := range op.at("requestBody", "content").all() {
		out.Bodies = append(out.Bodies, view.APIBody{Media: media, Type: typeOf(content.at("schema")), Members: members(content.at("schema"), "")})
	}
	for status, response := range op.at("responses").all() {
		answer := view.APIAnswer{Status: status, HTML: response.prose("description")}
		for name, header := range response.at("headers").all() {
			answer.Headers = append(answer.Headers, view.APIMember{Name: name, Type: typeOf(header.at("schema")), HTML: header.prose("description")})
		}
		for media, content := range response.at("content").all() {
			answer.Media, answer.Type, answer.Members = media, typeOf(content.at("schema")), notRequired(inline(content.at("schema")))
			for name, example := range content.at("examples").all() {
				if status < "300" || len(out.Examples) == 0 && status == "426" {
					out.Examples = append(out.Examples, s.apiExample(name, status, media, &out, item, op, example.at("value")))
				}
			}
		}
		out.Answers = append(out.Answers, answer)
	}
	return out
}

// apiExample is a call as a command, with its answer.
func (s *Server) apiExample(name, status, media string, out *view.APIOperation, item, op, answer node) view.APIExample {
	e := view.APIExample{Name: name, Status: status}
	var command, query strings.Builder
	path := out.Path
	for _, list := range []node{item.at("parameters"), op.at("parameters")} {
		for _, p := range list.all() {
			value := p.at("examples", name, "value").value
			if value == nil && p.raw("in") == "path" {
				for _, first := range p.at("examples").all() {
					value = first.at("value").value
					break
				}
			}
			if value == nil {
				continue
			}
			text := fmt.Sprint(value)
			switch p.raw("in") {
			case "path":
				path = strings.ReplaceAll(path, "{"+p.raw("name")+"}", text)
			case "query":
				fmt.Fprintf(&query, "&%s=%s", p.raw("name"), text)
			case "header":
				fmt.Fprintf(&command, " \\\n  -H '%s: %s'", p.raw("name"), text)
			}
		}
	}
	for mediaType, content := range op.at("requestBody", "content").all() {
		body := content.at("examples", name, "value")
		if body.value == nil {
			continue
		}
		fmt.Fprintf(&command, " \\\n  -H 'Content-Type: %s'", mediaType)
		if text, ok := body.value.(string); ok {
			fmt.Fprintf(&command, " \\\n  --data-binary '%s'", strings.TrimSuffix(text, "\n"))
		} else {
			fmt.Fprintf(&command, " \\\n  -d '%s'", strings.ReplaceAll(pretty(body, "  "), "'", `'\''`))
		}
	}
	address := cmp.Or(s.Origin, sampleOrigin) + path
	if query.Len() > 0 {
		address = "'" + address + "?" + query.String()[1:] + "'"
	}
	verb := ""
	if media == "text/event-stream" {
		verb = " -N"
	} else if (out.Method == "POST") != strings.Contains(command.String(), " -d '") && (out.Method != "GET") && !(out.Method == "POST" && strings.Contains(command.String(), "--data")) {
		verb = " -X " + out.Method
	}
	e.Command = "curl" + verb + " " + address + command.String()
	if strings.HasSuffix(media, "json") {
		e.Answer = pretty(answer, "")
	} else if text, ok := answer.value.(string); ok && media == "text/event-stream" {
		e.Answer = strings.TrimSpace(text)
	}
	return e
}

// inline returns the members of a schema that has no name of its own.
func inline(schema node) []view.APIMember {
	if schema.ref != "" {
		return nil
	}
	return members(schema, "")
}

// notRequired clears Required, which has no meaning in answers.
func notRequired(all []view.APIMember) []view.APIMember {
	for i := range all {
		all[i].Required = false
	}
	return all
}

// members returns the members of an object and, with dotted names, of the objects in it.
func members(schema node, prefix string) (all []view.APIMember) {
	for _, part := range schema.at("allOf").all() {
		all = append(all, members(part, prefix)...)
	}
	for name, p := range schema.at("properties").all() {
		html := p.prose("description")
		if p.ref != "" && len(members(p, "")) > 0 { // described at its own place, which is linked
			html = ""
		}
		all = append(all, view.APIMember{Name: prefix + name, Type: typeOf(p), Required: schema.at("required").has(name), HTML: html})
		if p.ref == "" {
			all = append(all, members(p, prefix+name+".")...)
		}
		if items := p.at("items"); items.value != nil && items.ref == "" {
			all = append(all, members(items, prefix+name+"[].")...)
		}
	}
	return all
}

// typeOf is the type of a value in words.
func typeOf(schema node) view.APIType {
	word := func(text string) view.APIType { return view.APIType{Text: text} }
	if schema.ref != "" {
		return view.APIType{Text: schema.ref, Schema: schema.ref}
	}
	if value := schema.at("const").value; value != nil {
		return word(pretty(schema.at("const"), ""))
	}
	if list, ok := schema.at("enum").value.([]any); ok {
		var words []string
		for _, v := range list {
			if text := fmt.Sprint(v); text != "" {
				words = append(words, text)
			}
		}
		return word(strings.Join(words, " · "))
	}
	for _, choice := range []string{"anyOf", "oneOf", "allOf"} {
		var out view.APIType
		for _, part := range schema.at(choice).all() {
			t := typeOf(part)
			if t.Text = strings.TrimSpace(t.Text); t.Text == "any" && out.Text != "" {
				t.Text = "any JSON"
			}
			if out.Text != "" {
				out.Text += " or "
			}
			out.Text, out.Schema = out.Text+t.Text, cmp.Or(out.Schema, t.Schema)
		}
		if out.Text != "" {
			return out
		}
	}
	switch kind := schema.at("type").value.(type) {
	case string:
		switch {
		case kind == "array" && schema.at("items").value != nil:
			t := typeOf(schema.at("items"))
			return view.APIType{Text: "array of " + t.Text, Schema: t.Schema}
		case schema.raw("format") == "date-time":
			return word("time")
		case schema.at("default").value != nil:
			return word(kind + ", by default " + pretty(schema.at("default"), ""))
		}
		return word(kind)
	case []any:
		var words []string
		for _, k := range kind {
			words = append(words, fmt.Sprint(k))
		}
		return word(strings.Join(words, " or "))
	}
	return word("any")
}

// pretty writes a value as JSON, with as many members on each line as fit.
func pretty(n node, indent string) string {
	const fits = 68
	flat := func(v any) string {
		b, err := appendOrdered(nil, v)
		if err != nil { // it was read from YAML
			panic(err)
		}
		return string(b)
	}
	inner := indent + "  "
	var lines []string
	opening, closing := "{", "}"
	switch v := n.value.(type) {
	case object:
		for _, m := range v {
			name, _ := json.Marshal(m.name)
			lines = append(lines, string(name)+": "+pretty(node{root: n.root, value: m.value}, inner))
		}
	case []any:
		opening, closing = "[", "]"
		for _, element := range v {
			lines = append(lines, pretty(node{root: n.root, value: element}, inner))
		}
	default:
		return flat(v)
	}
	line := opening + strings.Join(lines, ", ") + closing
	if len(indent)+len(line) <= fits && !strings.Contains(line, "\n") {
		return line
	}
	var filled []string // lines, each with as many members as fit
	for _, next := range lines {
		if last := len(filled) - 1; last >= 0 && len(inner)+len(filled[last])+len(next)+3 <= fits && !strings.Contains(filled[last]+next, "\n") {
			filled[last] += ", " + next
		} else {
			filled = append(filled, next)
		}
	}
	return opening + "\n" + inner + strings.Join(filled, ",\n"+inner) + "\n" + indent + closing
}

package web_test

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// document is openapi.json or asyncapi.json as the hub serves it.
type document struct {
	t        testing.TB
	url      string
	root     any
	compiler *jsonschema.Compiler
}

// place is a value in a document and its JSON pointer.
type place struct {
	*document
	pointer string
	value   any
}

func readDocument(w *world, path string, draft *jsonschema.Draft) *document {
	w.t.Helper()
	root, err := jsonschema.UnmarshalJSON(strings.NewReader(w.do("GET", path, "").want(200).body))
	if err != nil {
		w.t.Fatal(err)
	}
	d := &document{w.t, "http://hub.test" + path, root, jsonschema.NewCompiler()}
	d.compiler.DefaultDraft(draft)
	d.compiler.AssertFormat()
	if err := d.compiler.AddResource(d.url, root); err != nil {
		w.t.Fatal(err)
	}
	return d
}

// at follows names from the root, and references; what is not there is nil.
func (d *document) at(names ...string) place {
	p := place{d, "", d.root}
	for _, name := range names {
		p = p.at(name)
	}
	return p
}

func (p place) at(name string) place {
	next := place{p.document, p.pointer + "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(name), nil}
	if list, ok := p.value.([]any); ok {
		var i int
		if _, err := fmt.Sscan(name, &i); err == nil && i < len(list) {
			next.value = list[i]
		}
	} else if members, ok := p.value.(map[string]any); ok {
		next.value = members[name]
	}
	return next.resolved()
}

// resolved is what a reference leads to.
func (p place) resolved() place {
	members, ok := p.value.(map[string]any)
	ref, isRef := members["$ref"].(string)
	if !ok || !isRef {
		return p
	}
	names := strings.Split(strings.TrimPrefix(ref, "#/"), "/")
	for i, name := range names {
		names[i] = strings.NewReplacer("~1", "/", "~0", "~").Replace(name)
	}
	target := p.document.at(names...)
	if target.value == nil {
		p.t.Fatalf("%s: %s leads nowhere", p.pointer, ref)
	}
	return target
}

func (p place) text(name string) string { text, _ := p.at(name).value.(string); return text }

// names are those of the members, or the indices of the elements, in order.
func (p place) names() (names []string) {
	if list, ok := p.value.([]any); ok {
		for i := range list {
			names = append(names, fmt.Sprint(i))
		}
		return names
	}
	members, _ := p.value.(map[string]any)
	return slices.Sorted(maps.Keys(members))
}

// check validates a value against the schema at p. What the schema does not speak of is
// a mistake, too: clients must expect new members, the document must know them.
func (p place) check(value any) error {
	schema, err := p.compiler.Compile(p.url + "#" + p.pointer)
	if err != nil {
		p.t.Fatal(err)
	}
	if err := schema.Validate(value); err != nil {
		return err
	}
	if unknown := p.undescribed(value); len(unknown) > 0 {
		return fmt.Errorf("%s does not describe %v", p.pointer, unknown)
	}
	return nil
}

// undescribed are the members of a valid value that the schema does not describe.
func (p place) undescribed(value any) (all []string) {
	switch v := value.(type) {
	case []any:
		if items := p.at("items"); items.value != nil {
			for _, element := range v {
				all = append(all, items.undescribed(element)...)
			}
		}
	case map[string]any:
		described, open := p.members(v)
		if len(described) == 0 { // any value
			return nil
		}
		for name, member := range v {
			if schema, ok := described[name]; ok {
				all = append(all, schema.undescribed(member)...)
			} else if !open {
				all = append(all, name)
			}
		}
	}
	return all
}

// members are the schemas of the members of v that p and what it is made of have.
func (p place) members(v map[string]any) (described map[string]place, open bool) {
	described = map[string]place{}
	properties := p.at("properties")
	for _, name := range properties.names() {
		described[name] = properties.at(name)
	}
	switch rest := p.at("additionalProperties"); rest.value.(type) {
	case bool:
		open = rest.value == true
	case map[string]any:
		for name := range v {
			if _, known := described[name]; !known {
				described[name] = rest
			}
		}
	}
	for _, word := range []string{"allOf", "anyOf", "oneOf"} {
		for _, i := range p.at(word).names() {
			part := p.at(word).at(i)
			if schema, err := p.compiler.Compile(p.url + "#" + part.pointer); err != nil || schema.Validate(v) != nil {
				continue
			}
			more, moreOpen := part.members(v)
			maps.Copy(described, more)
			open = open || moreOpen
		}
	}
	return described, open
}

// npmPackages check the documents as others will read them. They are installed once,
// into the user's cache.
var npmPackages = []string{"@asyncapi/parser@3.6.3", "@redocly/cli@2.77.0"}

var installNPM = sync.OnceValues(func() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	folder := filepath.Join(cache, "jobhub", strings.NewReplacer("/", "-", "@", "").Replace(strings.Join(npmPackages, "+")))
	if _, err := os.Stat(folder); err == nil {
		return folder, nil
	}
	if err := os.MkdirAll(filepath.Dir(folder), 0o755); err != nil {
		return "", err
	}
	fresh, err := os.MkdirTemp(filepath.Dir(folder), "new-")
	if err != nil {
		return "", err
	}
	install := exec.Command("npm", append([]string{"install", "--prefix", ".", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"}, npmPackages...)...)
	install.Dir = fresh
	if out, err := install.CombinedOutput(); err != nil {
		os.RemoveAll(fresh)
		return "", fmt.Errorf("npm install (on Debian: apt-get install npm): %v\n%s", err, out)
	}
	if err := os.Rename(fresh, folder); err != nil { // another process was faster, or it can't be
		os.RemoveAll(fresh)
		if _, err := os.Stat(folder); err != nil {
			return "", err
		}
	}
	return folder, nil
})

// node runs a program of the npm packages and returns what it prints.
func node(t *testing.T, args ...string) (string, error) {
	t.Helper()
	folder, err := installNPM()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "node", args...)
	cmd.Dir = folder
	cmd.Env = append(os.Environ(), "REDOCLY_TELEMETRY=off", "REDOCLY_SUPPRESS_UPDATE_NOTICE=true", "NO_COLOR=1")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

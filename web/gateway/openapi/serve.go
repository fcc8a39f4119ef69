package openapi

import (
	"cmp"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"jobhub/jobs"
	"jobhub/web/gateway/openapi/jsontree"
)

// JSON is the document as JSON with url as its only server, also that of paths and operations
// that name their own. All else is byte for byte as Parse got it, or as its YAML says.
func (d *Document) JSON(url string) []byte {
	quoted, err := jsontext.AppendQuote([]byte(`[{"url":`), url)
	if err != nil { // not UTF-8
		quoted, _ = jsontext.AppendQuote([]byte(`[{"url":`), strings.ToValidUTF8(url, "\ufffd"))
	}
	servers := append(quoted, "}]"...)

	var old []*jsontree.Node
	collect := func(n *jsontree.Node) {
		if s := n.Get("servers"); s != nil {
			old = append(old, s)
		}
	}
	for _, paths := range []*jsontree.Node{d.root.Get("paths"), d.root.Get("components").Get("pathItems")} {
		if paths == nil {
			continue
		}
		for _, item := range paths.Items {
			collect(item)
			for _, method := range methods {
				collect(item.Get(method))
			}
		}
	}
	out := make([]byte, 0, len(d.json)+len(servers)*(len(old)+1)+16)
	from := 0
	if d.root.Get("servers") == nil {
		from = d.root.Start + 1
		out = append(append(append(out, d.json[:from]...), `"servers":`...), servers...)
		out = append(out, ',') // a document has other members
	} else {
		collect(d.root)
	}
	slices.SortFunc(old, func(a, b *jsontree.Node) int { return cmp.Compare(a.Start, b.Start) })
	for _, n := range old {
		out = append(append(out, d.json[from:n.Start]...), servers...)
		from = n.End
	}
	return append(out, d.json[from:]...)
}

// Source is the document as JSON, as Parse got it. The caller must not change it.
func (d *Document) Source() jobs.Value { return jobs.Value(d.json) }

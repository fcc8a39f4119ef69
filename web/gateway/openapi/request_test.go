package openapi

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"jobhub/web/gateway/openapi/jsontree"
	"jobhub/web/gateway/openapi/schema"
)

func TestParameters(t *testing.T) {
	d := orders(t)
	for _, c := range []struct {
		target string
		header http.Header
		want   string // "" if valid
	}{
		{"/orders?limit=9007199254740993", nil, ""},
		{"/orders?limit=9007199254740994", nil, "422 query /query/limit: is 9007199254740994, but must be at most 9007199254740993"},
		{"/orders?limit=0", nil, "/query/limit: is 0, but must be at least 1"},
		{"/orders?limit=1.5", nil, "/query/limit: must be a whole number, not 1.5"},
		{"/orders?limit=1.0", nil, ""},
		{"/orders?limit=ten", nil, `/query/limit: must be a whole number, not the text "ten"`},
		{"/orders?limit=1&limit=2", nil, "/query/limit: is given 2 times"},
		{"/orders?limit=", nil, "/query/limit: must be a whole number"},
		{"/orders?state=open,paid", nil, ""},
		{"/orders?state=open,gone", nil, `/query/state/1: is "gone", but must be one of "open", "paid", "sent"`},
		{"/orders?state=ope%6E%2Cpaid", nil, "/query/state/0"}, // an escaped comma is part of the text
		{"/orders?tag=a&tag=b", nil, ""},
		{"/orders?tag=a&tag=b&tag=c", nil, "/query/tag: has 3 items, but may have at most 2"},
		{"/orders?filter[min]=1.5&filter[name]=x", nil, ""},
		{"/orders?filter%5Bmin%5D=x", nil, "/query/filter/min: must be a number"},
		{"/orders?filter[other]=1", nil, "/query/filter/other: is unknown here"},
		{"/orders?where={%22a%22:1}", nil, ""},
		{"/orders?where={%22b%22:1}", nil, "/query/where/a: is missing"},
		{"/orders?where={", nil, "/query/where: must be JSON"},
		{"/orders?unknown=1", nil, ""},
		{"/orders", http.Header{"X-Trace": {"00ff"}}, ""},
		{"/orders", http.Header{"X-Trace": {"xyz"}}, "422 header /header/X-Trace: does not match the pattern ^[0-9a-f]{4}$"},
		{"/orders", http.Header{"Cookie": {"session=abcd"}}, ""},
		{"/orders", http.Header{"Cookie": {"session=abc"}}, "422 cookie /cookie/session: has 3 characters, but must have at least 4"},
		{"/orders/9223372036854775807", nil, ""},
		{"/orders/9223372036854775808", nil, "422 path /path/id: is 9223372036854775808, but must be a whole number of 64 bits"},
		{"/orders/x", nil, "/path/id: must be a whole number"},
	} {
		t.Run(c.target, func(t *testing.T) {
			got := ask(t, d, "GET", "/shop/v1"+c.target, c.header, "")
			if c.want == "" && got != "" || !strings.Contains(got, c.want) || strings.Count(got, "\n") > 0 {
				t.Errorf("faults %q, want %q", got, c.want)
			}
		})
	}
}

// TestStyles has the examples of the table "Style Examples" of the specification, and what is
// near to them.
func TestStyles(t *testing.T) {
	const list, object = `{"type":"array","items":{"type":"integer"},"minItems":3}`, `{"type":"object","required":["R","G"],"properties":{"R":{"type":"integer"},"G":{"type":"integer"}}}`
	for _, c := range []struct{ in, style, explode, schema, value, bad string }{
		{"path", "simple", "false", list, "/3,4,5", "/3,4,x"},
		{"path", "simple", "true", list, "/3,4,5", "/3,4"},
		{"path", "simple", "false", object, "/R,100,G,200", "/R,100"},
		{"path", "simple", "true", object, "/R=100,G=200", "/R=100,G=x"},
		{"path", "label", "false", list, "/.3,4,5", "/3,4,5"},
		{"path", "label", "true", list, "/.3.4.5", "/.3.4"},
		{"path", "label", "true", object, "/.R=100.G=200", "/.R=100"},
		{"path", "label", "false", `{"type":"integer"}`, "/.5", "/.x"},
		{"path", "matrix", "false", `{"type":"integer"}`, "/;p=5", "/5"},
		{"path", "matrix", "false", list, "/;p=3,4,5", "/;p=3"},
		{"path", "matrix", "true", list, "/;p=3;p=4;p=5", "/;p=3;p=4"},
		{"path", "matrix", "true", object, "/;R=100;G=200", "/;R=100"},
		{"path", "matrix", "false", object, "/;p=R,100,G,200", "/;p=R,100"},
		{"query", "form", "true", list, "/?p=3&p=4&p=5", "/?p=3"},
		{"query", "form", "false", list, "/?p=3,4,5", "/?p=3&p=4&p=5"},
		{"query", "form", "true", object, "/?R=100&G=200", "/?R=100"},
		{"query", "form", "false", object, "/?p=R,100,G,200", "/?p=R,100"},
		{"query", "spaceDelimited", "false", list, "/?p=3%204+5", "/?p=3,4,5"},
		{"query", "pipeDelimited", "false", list, "/?p=3|4%7C5", "/?p=3"},
		{"query", "deepObject", "true", object, "/?p[R]=100&p[G]=200", "/?p[R]=1"},
		{"query", "form", "true", `{"anyOf":[{"type":"integer"},{"type":"string","minLength":3}]}`, "/?p=5", "/?p=x"},
		{"query", "form", "true", `{"type":"string","minLength":2}`, "/?p=12", "/?p=1"},
		{"query", "form", "true", `{"type":"boolean"}`, "/?p=true", "/?p=1"},
		{"query", "form", "true", `{"type":["integer","null"]}`, "/?p=", "/?p=x"},
	} {
		required := `"required":true,`
		path := "/"
		if c.in == "path" {
			path = "/{p}"
		}
		d := parse(t, withPaths(fmt.Sprintf(`{%q:{"get":{"parameters":[{"name":"p",%s"in":%q,"style":%q,"explode":%s,"schema":%s}]}}}`, path, required, c.in, c.style, c.explode, c.schema)))
		if got := ask(t, d, "GET", c.value, nil, ""); got != "" {
			t.Errorf("%s %s %s: %s", c.style, c.explode, c.value, got)
		}
		if got := ask(t, d, "GET", c.bad, nil, ""); got == "" {
			t.Errorf("%s %s %s: accepted", c.style, c.explode, c.bad)
		}
	}
}

func TestBodies(t *testing.T) {
	d := orders(t)
	form := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	for name, c := range map[string]struct {
		header     http.Header
		body, want string
	}{
		"valid":            {nil, `{"item":"tea","price":1.10,"note":null,"due":"2026-01-31","tags":["a"],"parts":[{"item":"x"}],"pet":{"kind":"hound"}}`, ""},
		"with charset":     {http.Header{"Content-Type": {"application/json; charset=utf-8"}}, `{"item":"tea"}`, ""},
		"no JSON":          {nil, `{"item":`, "400 body"},
		"member twice":     {nil, `{"item":"a","item":"b"}`, "400 body /item: line 1: is given twice"},
		"more":             {nil, `{"item":"a"} {}`, "400 body"},
		"deep":             {nil, strings.Repeat(`[`, 100) + strings.Repeat(`]`, 100), "400 body : has more than 64 levels"},
		"missing":          {nil, "", "422 body : is missing; this operation needs a body"},
		"other type":       {http.Header{"Content-Type": {"text/csv"}}, "a,b", `415 body : is "text/csv", but must be one of application/json, application/x-www-form-urlencoded, multipart/form-data`},
		"compressed":       {http.Header{"Content-Encoding": {"gzip"}}, "x", "415 body : is compressed"},
		"not an object":    {nil, `[]`, "422 body : must be an object, not a list"},
		"member missing":   {nil, `{}`, "422 body /item: is missing"},
		"unknown":          {nil, `{"item":"a","x~y/z":1}`, "/x~0y~1z: is unknown here; leave it out"},
		"read only":        {nil, `{"item":"a","id":1}`, "/id: is set by the API alone"},
		"too short":        {nil, `{"item":""}`, "/item: has 0 characters, but must have at least 1"},
		"characters":       {nil, `{"item":"` + strings.Repeat("ä", 20) + `"}`, ""},
		"exclusive":        {nil, `{"item":"a","price":0}`, "/price: is 0, but must be above 0"},
		"multiple":         {nil, `{"item":"a","price":1.101}`, "/price: is 1.101, but must be a multiple of 0.01"},
		"multiple, digits": {nil, `{"item":"a","price":123456789012345678901234567890.01}`, ""},
		"not null":         {nil, `{"item":null}`, "/item: must be a text, not null"},
		"date":             {nil, `{"item":"a","due":"2026-02-30"}`, "/due: must be a date, like 2026-01-31"},
		"twice":            {nil, `{"item":"a","tags":["a","b","a"]}`, "/tags/2: is the same as item 0"},
		"inside":           {nil, `{"item":"a","parts":[{"item":"b"},{"item":"c","parts":[{}]}]}`, "/parts/1/parts/0/item: is missing"},
		"chosen":           {nil, `{"item":"a","pet":{"kind":"Cat","lives":"nine"}}`, `/pet/lives: must be a whole number, not the text "nine"`},
		"not to choose":    {nil, `{"item":"a","pet":{"kind":"bird"}}`, `/pet/kind: is "bird", but must be one of Cat, Dog, hound`},
		"no choice":        {nil, `{"item":"a","pet":{}}`, "/pet/kind: is missing"},
		"form":             {form, "item=tea&price=1.10&tags=a&tags=b", ""},
		"form fault":       {form, "item=tea&price=x", "/price: must be a number"},
		"form of one tag":  {form, "item=tea&tags=a", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := ask(t, d, "POST", "/shop/v1/orders", c.header, c.body)
			if c.want == "" && got != "" || !strings.Contains(got, c.want) || strings.Count(got, "\n") > 0 {
				t.Errorf("faults %q, want %q", got, c.want)
			}
		})
	}
}

func TestMultipart(t *testing.T) {
	d := orders(t)
	header := http.Header{"Content-Type": {"multipart/form-data; boundary=b"}}
	part := func(name, contentType, body string) string {
		return "--b\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n" + contentType + "\r\n" + body + "\r\n"
	}
	for name, c := range map[string]struct{ body, want string }{
		"valid":        {part("order", "Content-Type: application/json\r\n", `{"item":"a"}`) + part("picture", "Content-Type: image/png\r\n", "\x89PNG\xff") + "--b--\r\n", ""},
		"without type": {part("order", "", `{"item":"a"}`) + part("picture", "", "x") + "--b--\r\n", ""},
		"missing":      {part("order", "", `{"item":"a"}`) + "--b--\r\n", "/picture: is missing"},
		"fault":        {part("order", "", `{"item":1}`) + part("picture", "", "x") + "--b--\r\n", "/order/item: must be a text, not 1"},
		"cut":          {part("order", "", `{"item":"a"}`), "must be a form"},
	} {
		t.Run(name, func(t *testing.T) {
			got := ask(t, d, "POST", "/shop/v1/orders", header, c.body)
			if c.want == "" && got != "" || !strings.Contains(got, c.want) {
				t.Errorf("faults %q, want %q", got, c.want)
			}
		})
	}
}

func TestProblem(t *testing.T) {
	d := orders(t)
	r := httptest.NewRequest("POST", "/shop/v1/orders?x", nil)
	r.Header.Set("Content-Type", "application/json")
	m := d.Find("", "POST", "/shop/v1/orders")
	for body, status := range map[string]int{`{"item":"a"}`: 0, `{`: 400, `{}`: 422, "[" + strings.Repeat("0,", jsontree.MaxValues) + "0]": 413} {
		p := Problem(m.Operation.ValidateRequest(r, m.Params, []byte(body)))
		if p == nil && status == 0 {
			continue
		}
		if p == nil || p.Status != status || len(p.Errors) != 1 || p.Detail == "" {
			t.Errorf("%.20s: %v, want status %d", body, p, status)
		}
	}
	many := `{"item":"a","parts":[` + strings.Repeat("1,", 500) + "1]}"
	if faults := m.Operation.ValidateRequest(r, m.Params, []byte(many)); len(faults) != schema.MaxFaults {
		t.Errorf("%d faults are listed", len(faults))
	}
}

// TestHostileSchemas: a check ends, whatever schema and body meet.
func TestHostileSchemas(t *testing.T) {
	nested := func(n int) string { return strings.Repeat("[", n) + "1" + strings.Repeat("]", n) }
	doubling := `{"S":{"anyOf":[{"type":"array","items":{"$ref":"#/components/schemas/S"},"maxItems":9},{"type":"array","items":{"$ref":"#/components/schemas/S"},"minItems":1},{"type":"string"}]}}`
	var chain strings.Builder
	for i := range 40 {
		fmt.Fprintf(&chain, `"S%d":{"oneOf":[{"$ref":"#/components/schemas/S%d"},{"allOf":[{"$ref":"#/components/schemas/S%d"}]}]},`, i, i+1, i+1)
	}
	for name, c := range map[string]struct{ doc, body string }{
		"doubling by depth":  {with("3.1.0", doubling), nested(60)},
		"doubling in place":  {with("3.1.0", `{"S":{"$ref":"#/components/schemas/S0"},`+chain.String()+`"S40":{"type":"object"}}`), "1"},
		"pattern":            {with("3.1.0", `{"S":{"pattern":"^([a-z]{0,400}x){2}[^b]*$"}}`), `"` + strings.Repeat("a", 8<<20) + `"`},
		"unevaluated":        {with("3.1.0", `{"S":{"unevaluatedProperties":false,"allOf":[`+strings.Repeat(`{"additionalProperties":true},`, 5000)+`{}]}}`), `{` + manyMembers(20_000) + `}`},
		"patterns of many":   {with("3.1.0", `{"S":{"patternProperties":{`+manyPatterns(500)+`}}}`), `{` + manyMembers(50_000) + `}`},
		"if of itself":       {with("3.1.0", `{"S":{"if":{"items":{"$ref":"#/components/schemas/S"}},"then":{"items":{"$ref":"#/components/schemas/S"}},"else":{"items":{"$ref":"#/components/schemas/S"}}}}`), nested(60)},
		"contains of itself": {with("3.1.0", `{"S":{"contains":{"$ref":"#/components/schemas/S"},"items":{"$ref":"#/components/schemas/S"},"prefixItems":[{"$ref":"#/components/schemas/S"}]}}`), nested(60)},
	} {
		t.Run(name, func(t *testing.T) {
			d := parse(t, c.doc)
			began := time.Now()
			if got := checkBody(t, d, c.body); !strings.Contains(got, "takes too long to be checked") {
				t.Errorf("faults %q", got)
			}
			t.Logf("ended after %v", time.Since(began))
		})
	}
}

func manyMembers(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `"m%d":1,`, i)
	}
	return b.String() + `"m":1`
}

func manyPatterns(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `"^x%d":{},`, i)
	}
	return b.String() + `"^y":{}`
}

func TestCheckEndsWithItsContext(t *testing.T) {
	d := parse(t, with("3.1.0", `{"S":{"type":"array","items":{"type":"integer"}}}`))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := httptest.NewRequestWithContext(ctx, "POST", "/a", nil)
	r.Header.Set("Content-Type", "application/json")
	m := d.Find("", "POST", "/a")
	if got := lines(m.Operation.ValidateRequest(r, nil, []byte("["+strings.Repeat("1,", 10_000)+"1]"))); !strings.Contains(got, "takes too long") {
		t.Errorf("faults %q", got)
	}
}

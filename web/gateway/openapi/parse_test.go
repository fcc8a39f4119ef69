package openapi

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"jobhub/web/gateway/openapi/jsontree"
)

func TestDocument(t *testing.T) {
	d := orders(t)
	if d.Title != "Orders" || d.Version != "1.2.0" || d.OpenAPI != "3.0.3" || d.Contact.Email != "orders@example.com" || len(d.Tags) != 1 || len(d.Schemas) != 4 {
		t.Errorf("read as %+v", d)
	}
	if len(d.Warnings) > 0 {
		t.Errorf("warnings: %v", d.Warnings)
	}
	if d.Servers[0].URL != "https://eu.example.com/shop/v1" {
		t.Errorf("server %q", d.Servers[0].URL)
	}
	var all []string
	for _, op := range d.Operations {
		all = append(all, fmt.Sprintf("%s %s %d", op.Method, op.Path, len(op.Parameters)))
	}
	want := "GET /orders 7, POST /orders 0, GET /orders/{id} 1, DELETE /orders/{id} 1, GET /orders/latest 0, GET /orders/{name}.json 1"
	if got := strings.Join(all, ", "); got != want {
		t.Errorf("operations %s\nwant %s", got, want)
	}
	list := d.Operations[0]
	if list.Security[0][0].Scheme != "key" || len(d.Operations[3].Security) != 0 || list.Responses[0].Content[0].Examples[1].Name != "big" {
		t.Errorf("read as %+v", list)
	}
}

func TestParseRefuses(t *testing.T) {
	deep := strings.Repeat(`{"not":`, 80) + "{}" + strings.Repeat("}", 80)
	for name, c := range map[string]struct{ doc, want string }{
		"empty":               {"", "is empty"},
		"no document":         {"hello", "must be an object"},
		"cut":                 {`{"openapi":"3.0.0"`, "line 1: "},
		"Swagger":             {`{"swagger":"2.0"}`, "convert the document to OpenAPI 3.0"},
		"OpenAPI 3.2":         {`{"openapi":"3.2.0"}`, `/openapi: must be a version 3.0.x or 3.1.x of OpenAPI, not "3.2.0"`},
		"no info":             {`{"openapi":"3.1.0","paths":{}}`, "/info: is missing"},
		"no paths in 3.0":     {`{"openapi":"3.0.0","info":{"title":"t","version":"1"}}`, "/paths: is missing"},
		"two documents":       {"openapi: 3.0.0\n---\nopenapi: 3.0.0", "second YAML document"},
		"member twice":        {withPaths(`{"/a":{},"/a":{}}`), "/paths/~1a: line 1: is given twice"},
		"member twice, YAML":  {"openapi: 3.1.0\ninfo: {title: a}\ninfo: {title: b}", "/info: line 3: is given twice, first in line 2"},
		"merge key":           {"a: &a {x: 1}\nb:\n  <<: *a", "merge key"},
		"tag":                 {"a: !!binary aGVsbG8=", "YAML tag"},
		"infinite number":     {"a: .inf", "JSON can't hold"},
		"octal or decimal":    {"a: 010", "JSON can't hold"},
		"alias of its parent": {"a: &a [*a]", "part of"},
		"not UTF-8":           {"{\"a\":\"\xff\"}", "UTF-8"},
		"deep":                {with("3.1.0", `{"S":`+deep+`}`), "more than 64 levels"},
		"deep YAML":           {strings.Repeat("[", 3000) + strings.Repeat("]", 3000), "levels"},
		"big number":          {with("3.1.0", `{"S":{"maximum":1e9999999999}}`), "exponent of more than 9 digits"},
		"long number":         {with("3.1.0", `{"S":{"maximum":`+strings.Repeat("9", 2000)+`}}`), "more than 1000 characters"},

		"file":               {with("3.0.0", `{"S":{"$ref":"other.json#/X"}}`), `/components/schemas/S/$ref: refers to "other.json#/X", which is outside`},
		"URL":                {with("3.1.0", `{"S":{"items":{"$ref":"https://example.com/x.json"}}}`), `/components/schemas/S/items/$ref: refers to "https://example.com/x.json", which is outside`},
		"parameter of a URL": {withPaths(`{"/a":{"get":{"parameters":[{"$ref":"http://example.com/p"}]}}}`), "/paths/~1a/get/parameters/0/$ref: refers to"},
		"missing":            {with("3.0.0", `{"S":{"$ref":"#/components/schemas/X"}}`), `which is not in this document`},
		"anchor":             {with("3.1.0", `{"S":{"$ref":"#x"}}`), "only JSON pointers"},
		"mapping to a file":  {with("3.0.0", `{"S":{"oneOf":[{"type":"object"}],"discriminator":{"propertyName":"a","mapping":{"x":"x.json"}}}}`), "outside"},
		"circle of responses": {`{"openapi":"3.1.0","info":{"title":"t","version":"1"},"components":{"responses":{"A":{"$ref":"#/components/responses/B"},"B":{"$ref":"#/components/responses/A"}}}}`,
			"leads to itself"},
		"schema of nothing but itself": {with("3.1.0", `{"S":{"$ref":"#/components/schemas/S"}}`), "leads to itself"},
		"allOf of itself":              {with("3.0.0", `{"S":{"allOf":[{"$ref":"#/components/schemas/T"}]},"T":{"anyOf":[{"type":"object"},{"$ref":"#/components/schemas/S"}]}}`), "leads to itself"},
		"dynamic":                      {with("3.1.0", `{"S":{"$dynamicRef":"#x"}}`), "$dynamicRef: is not supported"},
		"other dialect":                {with("3.1.0", `{"S":{"$schema":"http://json-schema.org/draft-07/schema#"}}`), "another dialect"},

		"equal paths":       {withPaths(`{"/a/{x}":{"parameters":[{"name":"x","in":"path","required":true}]},"/a/{y}":{}}`), `/paths/~1a~1{y}: matches the same requests as "/a/{x}"`},
		"equal parts":       {withPaths(`{"/{x}.a":{},"/a.{x}":{}}`), `/paths/~1a.{x}: has a segment that matches the same requests as the segment "{…}.a"`},
		"no slash":          {withPaths(`{"a":{}}`), "must begin with a slash"},
		"query":             {withPaths(`{"/a?b":{}}`), "must not have a query"},
		"open brace":        {withPaths(`{"/{a":{}}`), "not written {name}"},
		"name twice":        {withPaths(`{"/{a}/{a}":{}}`), `has the parameter "a" twice`},
		"adjacent":          {withPaths(`{"/{a}{b}":{}}`), "without a text between"},
		"undescribed":       {withPaths(`{"/{a}":{"get":{}}}`), "does not describe the parameter {a}"},
		"too much":          {withPaths(`{"/a":{"get":{"parameters":[{"name":"b","in":"path","required":true}]}}}`), `describes a parameter of the path, "b"`},
		"optional in path":  {withPaths(`{"/{a}":{"get":{"parameters":[{"name":"a","in":"path"}]}}}`), "must be true"},
		"parameter twice":   {withPaths(`{"/a":{"get":{"parameters":[{"name":"a","in":"query"},{"name":"a","in":"query"}]}}}`), "is the second parameter"},
		"unknown place":     {withPaths(`{"/a":{"get":{"parameters":[{"name":"a","in":"body"}]}}}`), "must be path, query, header or cookie"},
		"unknown style":     {withPaths(`{"/a":{"get":{"parameters":[{"name":"a","in":"query","style":"label"}]}}}`), "must be one of form"},
		"operationId twice": {withPaths(`{"/a":{"get":{"operationId":"x"}},"/b":{"get":{"operationId":"x"}}}`), `/paths/~1b/get/operationId: is "x", as that of /paths/~1a/get`},
		"unknown scheme":    {withPaths(`{"/a":{"get":{"security":[{"key":[]}]}}}`), "names no scheme"},
		"status":            {withPaths(`{"/a":{"get":{"responses":{"20":{}}}}}`), "must be a status like 200"},
		"media type":        {withPaths(`{"/a":{"get":{"responses":{"200":{"content":{"json":{}}}}}}}`), "is not a media type"},
		"two examples":      {withPaths(`{"/a":{"get":{"responses":{"200":{"content":{"text/plain":{"example":1,"examples":{}}}}}}}}`), "keep one"},

		"lookahead":          {with("3.0.0", `{"S":{"pattern":"^(?=a)b"}}`), "/components/schemas/S/pattern: is not a regular expression that can be checked"},
		"explosive pattern":  {with("3.0.0", `{"S":{"pattern":"(((a{30}){30}){30})"}}`), "/components/schemas/S/pattern: "},
		"property pattern":   {with("3.1.0", `{"S":{"patternProperties":{"(":{}}}}`), "/components/schemas/S/patternProperties/(: is not a regular"},
		"type":               {with("3.0.0", `{"S":{"type":["string","null"]}}`), "/components/schemas/S/type: must be string"},
		"unknown type":       {with("3.1.0", `{"S":{"type":"text"}}`), "/components/schemas/S/type: must be string"},
		"empty enum":         {with("3.1.0", `{"S":{"enum":[]}}`), "must be a list of values that is not empty"},
		"maxLength":          {with("3.1.0", `{"S":{"maxLength":-1}}`), "must be a whole number that is not negative"},
		"multipleOf":         {with("3.1.0", `{"S":{"multipleOf":0}}`), "must be above zero"},
		"minimum":            {with("3.1.0", `{"S":{"minimum":"1"}}`), "must be a number"},
		"exclusive in 3.0":   {with("3.0.0", `{"S":{"exclusiveMinimum":1}}`), "must be true or false"},
		"schema true in 3.0": {with("3.0.0", `{"S":{"items":true}}`), "must be a schema, which is an object"},
		"same twice":         {with("3.0.0", `{"S":{"oneOf":[{"$ref":"#/components/schemas/T"},{"$ref":"#/components/schemas/T"}]},"T":{}}`), `lists "#/components/schemas/T" twice`},
		"required twice":     {with("3.0.0", `{"S":{"required":["a","a"]}}`), "lists a text twice"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := refused(t, c.doc); !strings.Contains(got, c.want) {
				t.Errorf("%s\nwant %s", got, c.want)
			}
		})
	}
}

func TestParseListsAllErrors(t *testing.T) {
	got := refused(t, withPaths(`{"/a":{"get":{"responses":{"1":{}}}},"b":{},"/c":{"get":{"deprecated":1}}}`))
	if strings.Count(got, "\n") != 3 {
		t.Errorf("errors:\n%s", got)
	}
	var b strings.Builder
	for i := range 500 {
		fmt.Fprintf(&b, `"x%d":{},`, i)
	}
	if got := refused(t, withPaths(`{`+b.String()+`"y":{}}`)); strings.Count(got, "\n") != jsontree.MaxErrors {
		t.Errorf("%d errors", strings.Count(got, "\n"))
	}
}

func TestParseWarns(t *testing.T) {
	for name, c := range map[string]struct{ doc, want string }{
		"unknown member":        {withPaths(`{"/a":{"get":{"sumary":"x"}}}`), "/paths/~1a/get/sumary"},
		"keyword of 3.1":        {with("3.0.0", `{"S":{"const":1}}`), "/components/schemas/S/const"},
		"nullable in 3.1":       {with("3.1.0", `{"S":{"type":"string","nullable":true}}`), "/components/schemas/S/nullable"},
		"beside $ref":           {with("3.0.0", `{"S":{"$ref":"#/components/schemas/T","maxLength":1},"T":{}}`), "/components/schemas/S/maxLength"},
		"header Authorization":  {withPaths(`{"/a":{"get":{"parameters":[{"name":"authorization","in":"header","schema":{}}]}}}`), "/paths/~1a/get/parameters/0"},
		"external example":      {withPaths(`{"/a":{"get":{"responses":{"200":{"description":"","content":{"a/b":{"examples":{"x":{"externalValue":"http://example.com"}}}}}}}}}`), "/paths/~1a/get/responses/200/content/a~1b/examples/x/externalValue"},
		"unknown keyword":       {with("3.1.0", `{"S":{"maxLenght":1}}`), "/components/schemas/S/maxLenght"},
		"useless discriminator": {with("3.1.0", `{"S":{"discriminator":{"propertyName":"a"}}}`), "/components/schemas/S/discriminator"},
	} {
		t.Run(name, func(t *testing.T) {
			d := parse(t, c.doc)
			if len(d.Warnings) != 1 || d.Warnings[0].Pointer != c.want {
				t.Errorf("warnings %+v, want one at %s", d.Warnings, c.want)
			}
		})
	}
}

// TestParseIsBounded: hostile documents are refused before they cost much. What is measured is
// the outcome; the deadline only keeps a failure from hanging.
func TestParseIsBounded(t *testing.T) {
	repeat := func(n int, format string) string {
		var b strings.Builder
		for i := range n {
			if i > 0 {
				b.WriteByte(',')
			}
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	laughs := "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n"
	for i := range 12 {
		laughs += fmt.Sprintf("a%d: &a%d [*a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d]\n", i+1, i+1, i, i, i, i, i, i, i, i, i, i)
	}
	for name, c := range map[string]struct{ doc, want string }{
		"million paths":      {withPaths("{" + repeat(1_000_000, `"/%d":{}`) + "}"), "/paths: has more than 10000 paths; split the API"},
		"million paths YAML": {"openapi: 3.1.0\npaths:\n" + strings.ReplaceAll(repeat(1_000_000, "  /%d: {}"), ",", "\n"), "has more than 4 MiB"},
		"laughs":             {laughs, "when its aliases are written out"},
		"long laughs":        {"a: &a " + strings.Repeat("x", 1<<20) + "\nb: [" + strings.Repeat("*a, ", 100) + "]", "when its aliases are written out"},
		"values":             {with("3.1.0", `{"S":{"enum":[`+repeat(600_000, "%d")+`]}}`), "has more than 500000 values"},
		"bytes":              {`{"a":"` + strings.Repeat("x", MaxJSON) + `"}`, "has more than 16 MiB"},
		"schemas":            {with("3.1.0", `{"S":{},`+repeat(110_000, `"S%d":{}`)+`}`), "more than 100000 schemas"},
		"references to much": {with("3.1.0", `{"S":{"enum":[`+repeat(100_000, "%d")+`]},"T":{"allOf":[`+repeat(1000, `{"not":{"$ref":"#/components/schemas/S","title":"%d"}}`)+`]}}`), "too many references to large parts"},
	} {
		t.Run(name, func(t *testing.T) {
			began := time.Now()
			if got := refused(t, c.doc); !strings.Contains(got, c.want) {
				t.Errorf("%.300s\nwant %s", got, c.want)
			}
			t.Logf("%d bytes refused in %v", len(c.doc), time.Since(began))
		})
	}
	t.Run("huge enum", func(t *testing.T) {
		d := parse(t, with("3.1.0", `{"S":{"type":"array","items":{"enum":[`+repeat(100_000, "%d")+`]}}}`))
		if got := checkBody(t, d, "["+repeat(50_000, "%d")+"]"); got != "" {
			t.Error(got)
		}
		if got := checkBody(t, d, "[100000]"); !strings.Contains(got, "/0: is 100000, but must be one of 0, 1, 2") {
			t.Error(got)
		}
	})
	t.Run("long chain of references", func(t *testing.T) {
		var b strings.Builder
		for i := range 50_000 {
			fmt.Fprintf(&b, `"S%d":{"$ref":"#/components/schemas/S%d"},`, i, i+1)
		}
		d := parse(t, with("3.1.0", `{"S":{"$ref":"#/components/schemas/S0"},`+b.String()+`"S50000":{}}`))
		if got := checkBody(t, d, "1"); !strings.Contains(got, "takes too long") {
			t.Error(got)
		}
	})
}

func TestParseYAMLKeepsDigits(t *testing.T) {
	d := parse(t, "openapi: 3.1.0\ninfo: {title: t, version: '1'}\nx-numbers: [9007199254740993, 1.10, 1e400, 0x1F, +5, .5, 2., -0, 0.1000000000000000055511151231257827, 2026-01-31, yes, 1_000]\n")
	want := `"x-numbers":[9007199254740993,1.10,1e400,31,5,0.5,2,-0,0.1000000000000000055511151231257827,"2026-01-31","yes",1000]`
	if got := string(d.Source()); !strings.Contains(got, want) {
		t.Errorf("%s\nwant %s", got, want)
	}
}

package openapi

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"jobhub/jobs"
)

func TestMock(t *testing.T) {
	d := orders(t)
	order := `{"id":1,"item":"string","price":1,"note":"string","due":"2026-01-31","tags":["string"]`
	for _, c := range []struct {
		op             int
		prefer, accept string
		want           string // status, type and body, or the status and detail of the problem
	}{
		{0, "", "", "200 application/json []"},
		{0, "example=big", "", `200 application/json [{"id":9007199254740993,"item":"tea","price":1.10}]`},
		{0, `example="big"; x=1`, "application/*;q=0.5", `200 application/json [{"id":9007199254740993,"item":"tea","price":1.10}]`},
		{0, "example=small", "", `422 asks for example="small"; this answer has the examples none, big`},
		{0, "", "text/plain, application/json;q=0.5", "200 text/plain tea, 1.10"},
		{0, "", "application/xml", "406 The answer is there as application/json, text/plain; change Accept."},
		{0, "", "application/json;q=0, */*", "200 text/plain tea, 1.10"},
		{0, "code=404", "", `404 application/problem+json {"title": "Not found"}`},
		{0, "code=500", "", `422 asks for code="500"; described are 200, 404`},
		{0, "code=x", "", `422 asks for code="x"`},
		{1, "code=418", "", `418 application/problem+json {"title": "Not found"}`},
		{1, "", "", "201 application/json " + order},
		{2, "", "", "200 application/json " + order},
		{3, "", "", "204  "},
	} {
		h := http.Header{}
		if c.prefer != "" {
			h.Set("Prefer", c.prefer)
		}
		if c.accept != "" {
			h.Set("Accept", c.accept)
		}
		a, err := d.Operations[c.op].Mock(t.Context(), h)
		var got string
		if p, ok := errors.AsType[*jobs.Problem](err); ok {
			got = fmt.Sprintf("%d %s", p.Status, p.Detail)
			if len(p.Errors) > 0 {
				got = fmt.Sprintf("%d %s", p.Status, p.Errors[0].Detail)
			}
		} else {
			got = fmt.Sprintf("%d %s %s", a.Status, a.Header.Get("Content-Type"), a.Body)
		}
		if strings.ReplaceAll(got, `": "`, `":"`) != strings.ReplaceAll(c.want, `": "`, `":"`) && !strings.HasPrefix(got, c.want+",") && !(c.prefer == "code=x" && strings.HasPrefix(got, c.want)) {
			t.Errorf("%d %q %q: %s\nwant %s", c.op, c.prefer, c.accept, got, c.want)
		}
	}
	a, err := d.Operations[0].Mock(t.Context(), http.Header{"Prefer": {"code=200, example=none"}})
	if err != nil || a.Header.Get("X-Total") != "2" || a.Header.Get("Preference-Applied") != "code=200, example=none" || a.Header.Get("Vary") != "Accept, Prefer" {
		t.Errorf("answer %+v, %v", a, err)
	}
}

// TestMockFits: what a mock answers fits the document, and is the same each time.
func TestMockFits(t *testing.T) {
	for _, schema := range []string{
		`{"type":"string","pattern":"^[A-Z]{3}-\\d+(x|y)?$"}`, `{"type":"string","minLength":30}`, `{"type":"string","maxLength":2}`, `{"enum":["b","a"]}`, `{"const":9007199254740993}`,
		`{"type":"integer","minimum":10}`, `{"type":"integer","exclusiveMaximum":-3}`, `{"type":"number","exclusiveMinimum":0.5,"maximum":2}`, `{"type":"integer","multipleOf":7,"minimum":1}`,
		`{"type":"array","items":{"type":"integer"},"minItems":3}`, `{"type":"array","prefixItems":[{"type":"string"},{"type":"null"}]}`, `{"type":"boolean"}`, `{"type":"null"}`, `{}`, `true`,
		`{"type":"object","required":["a","z"],"properties":{"a":{"type":"integer"},"b":{"type":["null","string"]}}}`,
		`{"allOf":[{"type":"object","required":["a"]},{"properties":{"a":{"type":"integer","minimum":4}}}]}`,
		`{"oneOf":[{"type":"null"},{"type":"object","required":["x"],"properties":{"x":{"format":"uuid","type":"string"}}}]}`,
		`{"type":"object","properties":{"child":{"$ref":"#/components/schemas/S"},"n":{"type":"integer"}}}`,
		`{"type":"object","properties":{"children":{"type":"array","items":{"$ref":"#/components/schemas/S"}}}}`,
		`{"type":"string","examples":["x"]}`, `{"type":"string","default":"y"}`,
	} {
		d := parse(t, with("3.1.0", `{"S":`+schema+`}`))
		op := d.Operations[0]
		a, err := op.Mock(t.Context(), nil)
		if err != nil {
			t.Fatal(schema, err)
		}
		if faults := op.ValidateResponse(t.Context(), "POST", a.Status, a.Header, a.Body); len(faults) > 0 {
			t.Errorf("%s: %s has %s", schema, a.Body, lines(faults))
		}
		if again, _ := op.Mock(t.Context(), nil); string(again.Body) != string(a.Body) {
			t.Errorf("%s: %s, then %s", schema, a.Body, again.Body)
		}
		if got := checkBody(t, d, string(d.Schemas[0].Sample(t.Context(), true))); got != "" {
			t.Errorf("%s: the sample of a request has %s", schema, got)
		}
	}
}

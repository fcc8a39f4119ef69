package openapi

import (
	"fmt"
	"strings"
	"testing"
)

func TestDiff(t *testing.T) {
	d := orders(t)
	source := string(d.Source())
	for name, c := range map[string]struct {
		replace              []string
		breaking, compatible string
	}{
		"nothing":        {nil, "", ""},
		"removed method": {[]string{`"delete":{"security":[],"responses":{"204":{"description":"Gone"}}}`, `"x-gone":1`}, "DELETE /orders/{id}: API removed without deprecation", ""},
		"new required":   {[]string{`"required":["id","item"]`, `"required":["id","item","due"]`}, "POST /orders: the request property", "GET /orders: the response property"},
		"longer texts":   {[]string{`"maxLength":20`, `"maxLength":30`}, "the `item` response property's maxLength was increased", "POST /orders: the `item` request property's maxLength was increased from `20` to `30`"},
		"new method":     {[]string{`"/orders/latest":{`, `"/orders/latest":{"delete":{"responses":{"204":{"description":"x"}}},`}, "", "DELETE /orders/latest: endpoint added"},
	} {
		t.Run(name, func(t *testing.T) {
			changed := strings.NewReplacer(c.replace...).Replace(source)
			if len(c.replace) > 0 && changed == source {
				t.Fatal("nothing is changed")
			}
			got, err := Diff(d, parse(t, changed))
			if err != nil {
				t.Fatal(err)
			}
			for _, one := range []struct {
				changes []Change
				want    string
			}{{got.Breaking, c.breaking}, {got.Compatible, c.compatible}} {
				var all []string
				for _, change := range one.changes {
					all = append(all, fmt.Sprintf("%s %s: %s", change.Method, change.Path, change.Text))
				}
				if text := strings.Join(all, "\n"); !strings.Contains(text, one.want) || one.want == "" && c.replace == nil && text != "" {
					t.Errorf("changes\n%s\nwant %s", text, one.want)
				}
			}
		})
	}
}

// TestDiffOf31 compares documents with what only OpenAPI 3.1 has, and with cycles. Those that
// would take too long are refused.
func TestDiffOf31(t *testing.T) {
	doc := func(levels int, last string) *Document {
		var b strings.Builder
		for i := range levels {
			fmt.Fprintf(&b, `"S%d":{"type":["object","null"],"properties":{"x":{"const":"c"},"up":{"$ref":"#/components/schemas/S"},"a":{"oneOf":[{"$ref":"#/components/schemas/S%d"},{"allOf":[{"$ref":"#/components/schemas/S%d"}]}]}}},`, i, i+1, i+1)
		}
		return parse(t, with("3.1.0", fmt.Sprintf(`{"S":{"$ref":"#/components/schemas/S0"},%s"S%d":{"type":"%s"}}`, b.String(), levels, last)))
	}
	got, err := Diff(doc(5, "string"), doc(5, "integer"))
	if err != nil || len(got.Breaking) == 0 {
		t.Errorf("changes %+v, %v", got, err)
	}
	if _, err = Diff(doc(40, "string"), doc(40, "integer")); err == nil || !strings.Contains(err.Error(), "leads to too many others") {
		t.Errorf("error %v", err)
	}
}

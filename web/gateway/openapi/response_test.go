package openapi

import (
	"net/http"
	"strings"
	"testing"
)

func TestValidateResponse(t *testing.T) {
	d := orders(t)
	list, create, get, remove := d.Operations[0], d.Operations[1], d.Operations[2], d.Operations[3]
	json := func(more ...string) http.Header {
		h := http.Header{"Content-Type": {"application/json"}}
		for i := 0; i < len(more); i += 2 {
			h.Set(more[i], more[i+1])
		}
		return h
	}
	for name, c := range map[string]struct {
		op     *Operation
		method string
		status int
		header http.Header
		body   string
		want   string
	}{
		"valid":          {list, "GET", 200, json("X-Total", "1"), `[{"id":9007199254740993,"item":"a"}]`, ""},
		"digits":         {list, "GET", 200, json("X-Total", "1"), `[{"id":9223372036854775808,"item":"a"}]`, "/0/id: is 9223372036854775808, but must be a whole number of 64 bits"},
		"read only":      {list, "GET", 200, json("X-Total", "1"), `[{"item":"a"}]`, "/0/id: is missing"},
		"write only":     {list, "GET", 200, json("X-Total", "1"), `[{"id":1,"item":"a","secret":"x"}]`, "/0/secret: must not be in an answer"},
		"header missing": {list, "GET", 200, json(), `[]`, "422 header /header/X-Total: is missing"},
		"header":         {list, "GET", 200, json("X-Total", "many"), `[]`, "/header/X-Total: must be a whole number"},
		"no JSON":        {list, "GET", 200, json("X-Total", "1"), `[`, "400 body"},
		"other type":     {list, "GET", 200, http.Header{"X-Total": {"1"}, "Content-Type": {"text/html"}}, `x`, `is "text/html", but must be one of application/json, text/plain`},
		"no body":        {list, "GET", 200, json("X-Total", "1"), "", "is missing"},
		"head":           {list, "HEAD", 200, json("X-Total", "1"), "", ""},
		"compressed":     {list, "GET", 200, json("X-Total", "1", "Content-Encoding", "gzip"), "x", ""},
		"undescribed":    {list, "GET", 500, json(), "{}", "422 status /status: is 500, which is not described"},
		"range":          {create, "POST", 422, http.Header{"Content-Type": {"application/problem+json"}}, `{}`, "/title: is missing"},
		"default":        {get, "GET", 503, json(), `{}`, "/id: is missing"},
		"none":           {remove, "DELETE", 204, http.Header{}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := lines(c.op.ValidateResponse(t.Context(), c.method, c.status, c.header, []byte(c.body)))
			if c.want == "" && got != "" || !strings.Contains(got, c.want) {
				t.Errorf("faults %q, want %q", got, c.want)
			}
		})
	}
}

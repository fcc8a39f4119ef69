package openapi

import (
	"errors"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"jobhub/jobs"
	"jobhub/web/gateway/openapi/schema"
)

// FuzzParse: whatever the bytes are, Parse returns a document that can be used, or a problem.
func FuzzParse(f *testing.F) {
	data, err := os.ReadFile("testdata/orders.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(with("3.1.0", `{"S":{"type":["object","null"],"properties":{"a":{"$ref":"#/components/schemas/S"}},"oneOf":[{"not":{}},true]}}`)))
	f.Add([]byte(with("3.0.0", `{"S":{"nullable":true,"type":"string","pattern":"a+","enum":["aa"]}}`)))
	f.Add([]byte(withPaths(`{"/{a}.{b}":{"get":{"parameters":[{"name":"a","in":"path","required":true,"schema":{"type":"array"}},{"name":"b","in":"path","required":true}]}}}`)))
	f.Add([]byte("a: &a [1, *a]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := Parse(data)
		if err != nil {
			p, ok := errors.AsType[*jobs.Problem](err)
			if !ok || p.Status != 422 || len(p.Errors) == 0 {
				t.Fatalf("error %#v", err)
			}
			for _, e := range p.Errors {
				if !utf8.ValidString(e.Pointer) || !utf8.ValidString(e.Detail) {
					t.Fatalf("not UTF-8: %q %q", e.Pointer, e.Detail)
				}
			}
			return
		}
		served := d.JSON("https://hub.example.com")
		again, err := Parse(served)
		if err != nil {
			t.Fatalf("what is served is refused: %v\n%s", err, served)
		}
		if len(again.Operations) != len(d.Operations) || len(again.Servers) != 1 {
			t.Fatalf("what is served is another document: %s", served)
		}
		for _, op := range d.Operations {
			if !strings.ContainsAny(op.Path, "{%") {
				if m := d.Find("/", op.Method, op.Path); m.Operation != op {
					t.Fatalf("%s %s finds %+v", op.Method, op.Path, m)
				}
			}
			_, _ = op.Mock(t.Context(), nil)
		}
		for _, s := range d.Schemas {
			s.Rows()
			if sample := s.Sample(t.Context(), true); !sample.IsValid() {
				t.Fatalf("sample %s", sample)
			}
		}
	})
}

// FuzzValidateRequest: whatever the request is, the faults are bounded and can be sent.
func FuzzValidateRequest(f *testing.F) {
	d := orders(f)
	f.Add("GET", "/orders?limit=5&state=open,paid&filter[min]=1", "", "", []byte(nil))
	f.Add("POST", "/orders", "application/json", "", []byte(`{"item":"a","pet":{"kind":"Dog"},"price":1.10}`))
	f.Add("POST", "/orders", "application/x-www-form-urlencoded", "", []byte(`item=a&tags=b&tags=c`))
	f.Add("POST", "/orders", "multipart/form-data; boundary=b", "session=a", []byte("--b\r\nContent-Disposition: form-data; name=\"order\"\r\n\r\n{}\r\n--b--"))
	f.Fuzz(func(t *testing.T, method, target, contentType, cookie string, body []byte) {
		path, query, _ := strings.Cut(target, "?")
		r := httptest.NewRequest("GET", "/", nil)
		r.URL.RawQuery = query
		r.Header.Set("Content-Type", contentType)
		r.Header.Set("Cookie", cookie)
		r.Header.Set("X-Trace", cookie)
		m := d.Find("/", method, path)
		if m.Operation == nil {
			return
		}
		faults := m.Operation.ValidateRequest(r, m.Params, body)
		if len(faults) > schema.MaxFaults {
			t.Fatalf("%d faults", len(faults))
		}
		for _, fault := range faults {
			if !utf8.ValidString(fault.Pointer) || !utf8.ValidString(fault.Detail) || fault.Status == 0 || len(fault.Detail) > 1100 {
				t.Fatalf("fault %+v", fault)
			}
		}
		m.Operation.ValidateResponse(t.Context(), method, 200, r.Header, body)
	})
}

// BenchmarkValidateRequest checks a body of 2 KiB with a query.
func BenchmarkValidateRequest(b *testing.B) {
	d := orders(b)
	body := []byte(`{"item":"tea","price":1.10,"parts":[` + strings.Repeat(`{"item":"cup","price":3.25,"tags":["a","b"],"due":"2026-01-31"},`, 30) + `{"item":"end"}]}`)
	r := httptest.NewRequest("POST", "/shop/v1/orders", nil)
	r.Header.Set("Content-Type", "application/json")
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		m := d.Find("", "POST", "/shop/v1/orders")
		if faults := m.Operation.ValidateRequest(r, m.Params, body); len(faults) > 0 {
			b.Fatal(lines(faults))
		}
	}
}

// BenchmarkFind finds one of 10,000 paths.
func BenchmarkFind(b *testing.B) {
	var paths strings.Builder
	for i := range MaxPaths {
		if i > 0 {
			paths.WriteByte(',')
		}
		paths.WriteString(`"/g` + strings.Repeat("x", i%100) + `/h` + strings.Repeat("y", i/100) + `/{id}":{"get":{"parameters":[{"name":"id","in":"path","required":true}]}}`)
	}
	d := parse(b, withPaths("{"+paths.String()+"}"))
	for b.Loop() {
		if m := d.Find("", "GET", "/gxxxxxxxxxx/hyyyyyyyyyy/42"); m.Operation == nil {
			b.Fatal("not found")
		}
	}
}

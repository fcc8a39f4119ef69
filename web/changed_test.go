package web_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"jobhub/hub"
	"jobhub/web"
)

// TestTableReadsWhatChanged: between two looks at which jobs there are, a table is right,
// after few events and after more than it looks through.
func TestTableReadsWhatChanged(t *testing.T) {
	w := start(t)
	id := w.submit(`{"kind":"script","queue":"q","input":"slow"}`)
	other := w.submit(`{"kind":"nobody","queue":"q"}`)
	w.await(id, "running")
	draw := func(last any) (hub.Rendered, string) {
		t.Helper()
		out, err := web.Render(w.Server, t.Context(), "jobs:queue=q", last)
		if err != nil {
			t.Fatal(err)
		}
		var all strings.Builder
		for _, f := range out.Fragments {
			fmt.Fprintf(&all, "%s\n", f.HTML)
		}
		return out, all.String()
	}
	row := func(html, id string) string {
		t.Helper()
		_, rest, _ := strings.Cut(html, `name="id" value="`+id+`"`)
		text, _, _ := strings.Cut(rest, "</tr>")
		if text == "" {
			t.Fatalf("no row of %s in %s", id, html)
		}
		return text
	}
	for _, more := range []int{0, 3000} {
		began := time.Now()
		out, before := draw(nil)
		w.script("slow").progress(float64(10 + more/100))
		for range more / 1000 {
			w.do("POST", "/v1/batch", `{"requests":[`+strings.TrimSuffix(strings.Repeat(`{"method":"POST","path":"/v1/jobs","body":{"kind":"nobody","queue":"elsewhere"}},`, 1000), ",")+`]}`).want(200)
		}
		want := fmt.Sprintf(`value="%d"`, 10+more/100)
		for deadline := time.Now().Add(patience); ; {
			var html string
			if out, html = draw(out.Memory); strings.Contains(row(html, id), want) {
				if row(html, other) != row(before, other) {
					t.Errorf("the other row changed: %s", row(html, other))
				}
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("after %s and %d events the row is %s", time.Since(began), more, row(html, id))
			}
		}
	}
	w.do("POST", "/v1/jobs/"+other+"/cancel", "").want(200)
	w.script("slow").succeed("1")
	w.await(id, "succeeded")
}

package web_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"jobhub/jobs"
)

// found is the names in the inputs of the jobs that a query gives, page by page.
func (w *world) found(query string) (names []string, pages int) {
	w.t.Helper()
	for next := ""; ; pages++ {
		r := w.do("GET", "/v1/jobs?"+query+next, "").want(200)
		list := r.json()
		for _, j := range list["jobs"].([]any) {
			names = append(names, fmt.Sprint(j.(map[string]any)["input"].(map[string]any)["name"]))
		}
		cursor, more := list["next_cursor"].(string)
		if link := r.header.Get("Link"); more != strings.Contains(link, "cursor="+url.QueryEscape(cursor)) || more && !strings.Contains(link, "q=") {
			w.t.Errorf("cursor %q and link %q", cursor, link)
		}
		if !more {
			return names, pages + 1
		}
		next = "&cursor=" + url.QueryEscape(cursor)
	}
}

func TestSearch(t *testing.T) {
	w := start(t)
	for i, name := range []string{"Anna", "Bert & Co", "Zoë", "100%", "anna_b"} {
		w.submit(fmt.Sprintf(`{"kind":"nobody","queue":"q%d","input":{"name":%q}}`, i%2, name))
	}
	for query, want := range map[string]string{
		"q=ANNA":                        "[anna_b Anna]",
		"q=anna&limit=1":                "[anna_b Anna]",
		"q=anna&queue=q0":               "[anna_b Anna]",
		"q=anna&queue=q1":               "[]",
		"q=anna&state=running":          "[]",
		"q=" + url.QueryEscape("T & c"): "[Bert & Co]",
		"q=" + url.QueryEscape("ZOË"):   "[Zoë]",
		"q=%25":                         "[100%]",
		"q=_b":                          "[anna_b]",
		"q=nobody&queue=q1":             "[100% Bert & Co]",
		"q=":                            "[anna_b 100% Zoë Bert & Co Anna]",
	} {
		if got, _ := w.found(query); fmt.Sprint(got) != want {
			t.Errorf("%s: %v, want %s", query, got, want)
		}
	}
	for _, query := range []string{"q=" + strings.Repeat("x", 257), "q=%ff", "q=a&q=b"} {
		w.do("GET", "/v1/jobs?"+query, "").problem(400, "bad_message")
	}
}

// TestSearchFarBack: a page ends after a limited number of jobs, and its cursor continues the search.
func TestSearchFarBack(t *testing.T) {
	w := start(t)
	w.submit(`{"kind":"nobody","input":{"name":"needle"}}`)
	item := `{"method":"POST","path":"/v1/jobs","body":{"kind":"nobody","input":{"name":"hay"}}}`
	for range jobs.MaxSearched/1000 + 1 {
		w.batch(strings.Repeat(item+",", 999) + item)
	}
	names, pages := w.found("q=needle")
	if fmt.Sprint(names) != "[needle]" || pages < 2 {
		t.Errorf("%v in %d pages", names, pages)
	}
}

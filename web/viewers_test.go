package web_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// TestThousandViewersCostOneRender: however many watch a page over WebSockets, it is
// rendered once and encoded once for each update, and all get the newest state.
func TestThousandViewersCostOneRender(t *testing.T) {
	const updates = 5
	cost := func(t *testing.T, viewers int) (renders, encoded int64) {
		w := start(t)
		all := make([]*client, viewers)
		for i := range all {
			all[i] = w.dial("")
			all[i].send(`{"type":"subscribe","id":"v","view":"overview"}`)
		}
		each := func(what string, sees func(html string) bool) {
			t.Helper()
			var wg sync.WaitGroup
			for i, c := range all {
				wg.Go(func() {
					for {
						text, err := c.line()
						if err != nil {
							t.Errorf("viewer %d waits for %s: %v", i, what, err)
							return
						}
						if strings.HasPrefix(text, `{"type":"patch"`) && sees(text) {
							return
						}
					}
				})
			}
			wg.Wait()
			if t.Failed() {
				t.FailNow()
			}
		}
		each("the page", func(html string) bool { return strings.Contains(html, "overview-rail") })
		for n := range updates {
			// A job for later: it changes the page, and the page does not change with time because of it.
			id := w.submit(fmt.Sprintf(`{"kind":"echo","delay":"1h","tags":["n%d"]}`, n))
			each(fmt.Sprintf("update %d", n), func(html string) bool { return strings.Contains(html, id) })
		}
		for _, line := range strings.Split(w.do("GET", "/metrics", "").want(http.StatusOK).body, "\n") {
			if strings.HasPrefix(line, "jobhub_hub_renders_total") && line != fmt.Sprintf("jobhub_hub_renders_total %d", w.hub.Stats.Renders.Load()) {
				t.Errorf("/metrics says %s", line)
			}
		}
		return w.hub.Stats.Renders.Load(), w.hub.Stats.Encoded.Load()
	}
	renders, encoded := cost(t, 1)
	if renders != 1+updates || encoded != 1+updates {
		t.Errorf("one viewer costs %d renderings and %d encodings, want %d", renders, encoded, 1+updates)
	}
	if r, e := cost(t, 1000); r != renders || e != encoded {
		t.Errorf("1,000 viewers cost %d renderings and %d encodings, one costs %d and %d", r, e, renders, encoded)
	}
}

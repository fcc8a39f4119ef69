package browser

import (
	"context"
	"testing"

	"github.com/chromedp/chromedp"

	"jobhub/cmd/jobhub/e2e/trial"
)

// TestPageDocs looks at the documentation in a browser: nothing on it breaks its own policy,
// no page is wider than a phone, the address is the hub's, and a command can be copied.
func TestPageDocs(t *testing.T) {
	t.Parallel()
	h := trial.StartHub(t)
	p := openBrowser(t)
	for _, path := range []string{"/docs", "/docs/protocol", "/docs/workers", "/docs/gateway", "/docs/operate", "/docs/api", "/docs/errors"} {
		for _, width := range []int64{1440, 390} {
			show(p, width, 900, "light")
			p.read(h.URL + path)
			if wide := p.Evaluate(`String(document.documentElement.scrollWidth)`); p.Evaluate(`String(document.documentElement.scrollWidth > innerWidth)`) == "true" {
				t.Errorf("%s is %s wide on a screen of %d", path, wide, width)
			}
		}
	}
	p.read(h.URL + "/docs")
	p.Shows("pre", h.URL+"/v1/jobs")
	p.Evaluate(`document.querySelector("[data-copy]").click()`)
	p.Until(`/copied|Ctrl/.test(document.querySelector("[data-copy]").textContent)`)
	p.read(h.URL + "/docs/errors#lease_lost")
	p.Until(`Math.abs(document.getElementById("lease_lost").getBoundingClientRect().top) < innerHeight`)
	for _, c := range p.Heard() {
		t.Errorf("the browser complains: %s", c)
	}
}

// read opens a page that has nothing live.
func (p *page) read(url string) {
	p.T.Helper()
	ctx, cancel := context.WithTimeout(p.Ctx, trial.Patience)
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.Navigate(url)); err != nil {
		p.T.Fatalf("%s: %v", url, err)
	}
}

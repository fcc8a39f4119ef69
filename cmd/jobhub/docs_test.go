package main_test

import (
	"context"
	"testing"

	"github.com/chromedp/chromedp"
)

// TestPageDocs looks at the documentation in a browser: nothing on it breaks its own policy,
// no page is wider than a phone, the address is the hub's, and a command can be copied.
func TestPageDocs(t *testing.T) {
	t.Parallel()
	h := startHub(t)
	p := openBrowser(t)
	for _, path := range []string{"/docs", "/docs/protocol", "/docs/workers", "/docs/operate", "/docs/api", "/docs/errors"} {
		for _, width := range []int64{1440, 390} {
			show(p, width, 900, "light")
			p.read(h.url + path)
			if wide := p.evaluate(`String(document.documentElement.scrollWidth)`); p.evaluate(`String(document.documentElement.scrollWidth > innerWidth)`) == "true" {
				t.Errorf("%s is %s wide on a screen of %d", path, wide, width)
			}
		}
	}
	p.read(h.url + "/docs")
	p.shows("pre", h.url+"/v1/jobs")
	p.evaluate(`document.querySelector("[data-copy]").click()`)
	p.until(`/copied|Ctrl/.test(document.querySelector("[data-copy]").textContent)`)
	p.read(h.url + "/docs/errors#lease_lost")
	p.until(`Math.abs(document.getElementById("lease_lost").getBoundingClientRect().top) < innerHeight`)
	for _, c := range p.heard() {
		t.Errorf("the browser complains: %s", c)
	}
}

// read opens a page that has nothing live.
func (p *page) read(url string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.Navigate(url)); err != nil {
		p.t.Fatalf("%s: %v", url, err)
	}
}

// Package browser tests the pages of the real program in Chromium: that they show what the
// API says, keep what the viewer does, and work by keyboard, without script and on phones.
package browser

import (
	"os"
	"testing"

	"github.com/chromedp/chromedp"

	"jobhub/cmd/jobhub/e2e/trial"
)

func TestMain(m *testing.M) { os.Exit(trial.Main(m)) }

// page is a tab of a browser with what these tests do to pages.
type page struct{ *trial.Page }

func openBrowser(t *testing.T) *page {
	t.Helper()
	return &page{trial.OpenBrowser(t)}
}

// tab opens another tab of the same browser, in a window of its own unless an option says
// otherwise.
func (p *page) tab(t *testing.T, options ...chromedp.ContextOption) *page {
	t.Helper()
	return &page{p.Tab(t, options...)}
}

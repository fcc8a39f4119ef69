package main

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// first measures the cost of showing a page for the first time, with 200 queues and 50 running
// jobs on it.
func (p *pagesOptions) first(ctx context.Context, o *output) ([]figure, error) {
	s, err := openScene(ctx, &p.place)
	if err != nil {
		return nil, err
	}
	defer s.kill()
	b, err := openBrowser(ctx)
	if err != nil {
		return nil, err
	}
	defer b.close()
	t, err := b.open(s.addr)
	if err != nil {
		return nil, err
	}
	defer t.close()
	html := figure{Key: "pages.html", What: "HTML of a page, with 200 queues and 250 jobs", Unit: "KB", Goal: "overview < 25"}
	small := figure{Key: "pages.html.sent", What: "HTML of a page as it is sent", Unit: "KB"}
	scripts := figure{Key: "pages.scripts", What: "Scripts of a page as they are sent, with their headers", Unit: "KB", Goal: "< 15 without headers"}
	requests := figure{Key: "pages.requests", What: "Requests of a page, all to the hub, nothing in the cache", Goal: "none elsewhere"}
	again := figure{Key: "pages.requests.again", What: "Requests of a page when it is opened again"}
	cold := figure{Key: "pages.live", What: "From opening a page until it is live, nothing in the cache, p50", Unit: "ms"}
	warm := figure{Key: "pages.live.again", What: "From opening a page until it is live when it is opened again, p50", Unit: "ms"}
	for _, page := range []struct{ name, path string }{
		{"overview", "/"}, {"jobs", "/jobs"}, {"job", "/jobs/" + s.canary().id}, {"queues", "/queues"}, {"queue", "/queues/watch"}, {"workers", "/workers"}, {"hub", "/hub"}, {"wall", "/?view=wall"},
	} {
		o.say("pages first: %s", page.path)
		plain, sent, err := sizesOf(ctx, "http://"+s.addr+page.path)
		if err != nil {
			return nil, err
		}
		html.Values, small.Values = append(html.Values, value{page.name, plain / 1000}), append(small.Values, value{page.name, sent / 1000})
		var fresh, known sample
		var asked, askedAgain int
		var bytes float64
		for range p.loads {
			if _, err := chromedp.Call(t.ctx, network.ClearBrowserCache, cdp.Empty{}); err != nil {
				return nil, err
			}
			took, err := t.show(page.path)
			if err != nil {
				return nil, err
			}
			fresh = append(fresh, took)
			asked, bytes = t.traffic()
			if took, err = t.show(page.path); err != nil {
				return nil, err
			}
			known = append(known, took)
			askedAgain, _ = t.traffic()
		}
		scripts.Values, requests.Values = append(scripts.Values, value{page.name, bytes / 1000}), append(requests.Values, value{page.name, float64(asked)})
		again.Values = append(again.Values, value{page.name, float64(askedAgain)})
		cold.Values, warm.Values = append(cold.Values, value{page.name, fresh.millis(0.5)}), append(warm.Values, value{page.name, known.millis(0.5)})
	}
	return []figure{html, small, scripts, requests, again, cold, warm}, s.stop()
}

// sizesOf are the bytes of a page, plain and as they are sent to a browser.
func sizesOf(ctx context.Context, url string) (plain, sent float64, err error) {
	req, err := http.NewRequestWithContext(ctx, "GET", url, nil)
	if err != nil {
		return 0, 0, err
	}
	req.Header.Set("Accept-Encoding", "gzip") // and not unpacked by the client
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, 0, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK || res.Header.Get("Content-Encoding") != "gzip" {
		return 0, 0, fmt.Errorf("%s: %s, Content-Encoding %q", url, res.Status, res.Header.Get("Content-Encoding"))
	}
	counted := &countingReader{r: res.Body}
	z, err := gzip.NewReader(counted)
	if err != nil {
		return 0, 0, err
	}
	n, err := io.Copy(io.Discard, z)
	return float64(n), float64(counted.n), err
}

type countingReader struct {
	r io.Reader
	n int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

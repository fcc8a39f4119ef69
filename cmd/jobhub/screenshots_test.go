package main_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"jobhub/web/client"
)

// TestScreenshots takes the pictures of the README into the folder that SCREENSHOTS
// names: both pages of a demo, light and dark, on a screen and on a phone.
func TestScreenshots(t *testing.T) {
	folder := os.Getenv("SCREENSHOTS")
	if folder == "" {
		t.Skip("takes pictures only with SCREENSHOTS=folder; see make screenshots")
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	demo := start(t, exec.Command(program, "demo", "--addr", "127.0.0.1:0", "--seed", "42", "--rate", "8"))
	h := &hub{process: demo, url: demo.matched(demo.stdout, `Dashboard +(http://\S+)/`)[1]}
	h.client = client.Client{Base: h.url}
	p := openBrowser(t)
	show(p, 1440, 900, "light")
	p.open(h.url + "/")
	p.within(90*time.Second, `+document.querySelector("#overview-rail .tile.succeeded b").textContent.replaceAll(/\D/g, "") > 250 &&
		document.querySelector("#overview-now progress") && document.querySelector("#overview-now li.failed, #overview-now li.retrying")`)
	p.pictures(folder, "overview")

	p.open(h.url + "/jobs/" + longest(h))
	p.within(30*time.Second, `document.querySelector("#job-progress progress").value >= 40`)
	p.pictures(folder, "job")
	for _, c := range p.heard() {
		t.Errorf("the browser complains: %s", c)
	}
	demo.signal(syscall.SIGTERM)
}

// longest returns the id of a job that has just begun and goes on for a while: a report of
// many pages.
func longest(h *hub) (id string) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), 3*patience)
	defer cancel()
	for m, err := range h.client.Watch(ctx, client.Filter{Queue: "reports"}, client.WatchOptions{}) {
		if err != nil {
			h.t.Fatal(err)
		}
		var p client.Progress
		if m.Type != "job.progress" {
			continue
		}
		if h.decode(m.Data, &p); p.Percent != nil && *p.Percent <= 6 {
			return m.Job
		}
	}
	return ""
}

// within is until for what takes its time.
func (p *page) within(most time.Duration, expression string) {
	p.t.Helper()
	defer func(d time.Duration) { p.patience = d }(p.patience)
	p.patience = most
	p.until(expression)
}

func (p *page) pictures(folder, name string) {
	p.t.Helper()
	for _, c := range []struct {
		suffix        string
		width, height int64
		scheme        string
	}{{"-light", 1440, 900, "light"}, {"-dark", 1440, 900, "dark"}, {"-phone-light", 390, 844, "light"}, {"-phone-dark", 390, 844, "dark"}} {
		show(p, c.width, c.height, c.scheme)
		if p.evaluate(`String(document.documentElement.scrollWidth > innerWidth)`) == "true" {
			p.t.Errorf("%s%s is wider than the screen", name, c.suffix)
		}
		picture, err := chromedp.Run(p.ctx, chromedp.CaptureScreenshot())
		if err != nil {
			p.t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, name+c.suffix+".png"), picture, 0o644); err != nil {
			p.t.Fatal(err)
		}
	}
}

// show sets the size of the screen and the colours that its user prefers.
func show(p *page, width, height int64, scheme string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	media := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: scheme},
		{Name: "prefers-reduced-motion", Value: "reduce"}, // no picture in the middle of a transition
	}}
	if _, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, media); err != nil {
		p.t.Fatal(err)
	}
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(width, height, chromedp.EmulateScale(1))); err != nil {
		p.t.Fatal(err)
	}
	p.evaluate(`new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done())))`)
}

package browser

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"jobhub/cmd/jobhub/e2e/trial"
	"jobhub/web/client"
)

// picture is a picture of the README.
type picture struct {
	name          string
	width, height int64
	scheme        string
}

const largestPicture = 150 << 10 // bytes

// TestScreenshots takes the pictures of the README from a demo, into the folder that
// SCREENSHOTS names.
func TestScreenshots(t *testing.T) {
	folder := os.Getenv("SCREENSHOTS")
	if folder == "" {
		t.Skip("takes pictures only with SCREENSHOTS=folder; see make screenshots")
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	demo := trial.Start(t, exec.Command(trial.Program, "demo", "--addr", "127.0.0.1:0", "--seed", "42", "--rate", "8"))
	h := &trial.Hub{Process: demo, URL: demo.Matched(demo.Stdout, `Dashboard +(http://\S+)/`)[1]}
	h.Client = client.Client{Base: h.URL}
	p := openBrowser(t)
	take := func(path string, when string, pictures ...picture) {
		t.Helper()
		for i, c := range pictures {
			show(p, c.width, c.height, c.scheme)
			if i == 0 {
				p.Open(h.URL + path)
				p.Within(90*time.Second, when)
			}
			p.picture(folder, c)
		}
	}
	take("/", `+document.querySelector("#overview-rail .tile.succeeded b").textContent.replaceAll(/\D/g, "") > 250 &&
		document.querySelector("#overview-now progress") && document.querySelector("#overview-now li.failed, #overview-now li.retrying")`,
		picture{"overview-light", 1440, 900, "light"}, picture{"overview-dark", 1440, 900, "dark"}, picture{"phone-light", 390, 844, "light"}, picture{"phone-dark", 390, 844, "dark"})
	take("/jobs/"+longest(h), `document.querySelector("#job-progress progress").value >= 40`,
		picture{"job-light", 1440, 900, "light"}, picture{"job-dark", 1440, 900, "dark"})
	take("/jobs", `document.querySelector("#rows-body tr.running") && document.querySelectorAll("#rows-body tr").length >= 20`,
		picture{"jobs-light", 1440, 900, "light"}, picture{"jobs-dark", 1440, 900, "dark"})
	take("/?view=wall", `+document.getElementById("stage").dataset.running > 0`,
		picture{"wall-dark", 1280, 720, "dark"})
	p.quiet(h.URL)
	demo.Signal(syscall.SIGTERM)
}

// longest returns the id of a job that runs for some time: a report with many pages. More than
// four seconds have passed since it began, so the demo no longer cancels it.
func longest(h *trial.Hub) (id string) {
	h.T.Helper()
	ctx, cancel := context.WithTimeout(h.T.Context(), 3*trial.Patience)
	defer cancel()
	for m, err := range h.Client.Watch(ctx, client.Filter{Queue: "reports"}, client.WatchOptions{}) {
		if err != nil {
			h.T.Fatal(err)
		}
		var p client.Progress
		if m.Type != "job.progress" {
			continue
		}
		h.Decode(m.Data, &p)
		var page, pages int
		if fmt.Sscanf(p.Message, "page %d of %d", &page, &pages); pages >= 17 && 3*page > pages && 5*page < 2*pages {
			return m.Job
		}
	}
	return ""
}

// picture takes a picture into a folder.
func (p *page) picture(folder string, c picture) {
	p.T.Helper()
	if p.Evaluate(`String(document.documentElement.scrollWidth > innerWidth)`) == "true" {
		p.T.Errorf("%s is wider than the screen", c.name)
	}
	shot, err := chromedp.Run(p.Ctx, chromedp.CaptureScreenshot())
	if err == nil {
		shot, err = small(shot)
	}
	if err != nil {
		p.T.Fatal(err)
	}
	if len(shot) > largestPicture {
		p.T.Errorf("%s has %d bytes, more than the limit of %d", c.name, len(shot), largestPicture)
	}
	if err := os.WriteFile(filepath.Join(folder, c.name+".png"), shot, 0o644); err != nil {
		p.T.Fatal(err)
	}
}

// small writes a picture with 256 colours, which needs less than half of the bytes. It takes
// first the most frequent colours that differ clearly, so that also rare ones like the red of a
// failed job keep their hue, and then the most frequent of the others.
func small(shot []byte) ([]byte, error) {
	whole, err := png.Decode(bytes.NewReader(shot))
	if err != nil {
		return nil, err
	}
	size, often := whole.Bounds(), map[color.RGBA]int{}
	at := func(x, y int) color.RGBA { return color.RGBAModel.Convert(whole.At(x, y)).(color.RGBA) }
	for y := range size.Dy() {
		for x := range size.Dx() {
			often[at(x, y)]++
		}
	}
	colours := slices.SortedFunc(maps.Keys(often), func(a, b color.RGBA) int {
		return cmp.Or(cmp.Compare(often[b], often[a]), cmp.Compare(fmt.Sprint(a), fmt.Sprint(b)))
	})
	var few, similar color.Palette
	for _, c := range colours {
		if len(few) > 0 && distance(c, few[few.Index(c)].(color.RGBA)) < 24*24 {
			similar = append(similar, c)
		} else if len(few) < 256 {
			few = append(few, c)
		}
	}
	few = append(few, similar[:min(256-len(few), len(similar))]...)
	nearest := map[color.RGBA]uint8{}
	for _, c := range colours {
		nearest[c] = uint8(few.Index(c))
	}
	out := image.NewPaletted(size, few)
	for y := range size.Dy() {
		for x := range size.Dx() {
			out.SetColorIndex(x, y, nearest[at(x, y)])
		}
	}
	var b bytes.Buffer
	err = (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&b, out)
	return b.Bytes(), err
}

// distance is the square of how far two colours are apart.
func distance(a, b color.RGBA) (sum int) {
	for _, d := range []int{int(a.R) - int(b.R), int(a.G) - int(b.G), int(a.B) - int(b.B)} {
		sum += d * d
	}
	return sum
}

// show sets the size of the screen and the colours that its user prefers.
func show(p *page, width, height int64, scheme string) {
	p.T.Helper()
	ctx, cancel := context.WithTimeout(p.Ctx, trial.Patience)
	defer cancel()
	media := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: scheme},
		{Name: "prefers-reduced-motion", Value: "reduce"}, // no picture in the middle of a transition
	}}
	if _, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, media); err != nil {
		p.T.Fatal(err)
	}
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(width, height, chromedp.EmulateScale(1))); err != nil {
		p.T.Fatal(err)
	}
	p.Evaluate(`new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done())))`)
}

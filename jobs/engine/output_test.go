package engine_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"jobhub/jobs"
)

func TestOutputIsWholeAndOrdered(t *testing.T) {
	var want strings.Builder
	inWorld(t, func(w *world) {
		w.open(handlers{"k": {Run: func(_ context.Context, run jobs.Run) (jobs.Result, error) {
			for i := range 3000 {
				text := fmt.Sprintf("line %d: grüße, 世界 🌍\n", i)
				want.WriteString(text)
				for cut := 0; cut < len(text); cut += 5 { // through the middle of characters
					run.Output("out", []byte(text[cut:min(cut+5, len(text))]))
				}
			}
			run.Output("raw", []byte{0xff, 0xfe})
			run.Output("raw", []byte("\xe4\xb8")) // a character that never ends
			return jobs.Result{}, nil
		}}}, 1)
		defer w.close(time.Second)
		j := w.await(w.submit(jobs.Spec{Kind: "k"}).ID)
		events, err := w.store.Read(context.Background(), jobs.ReadQuery{Job: j.ID})
		if err != nil {
			t.Fatal(err)
		}
		var got strings.Builder
		var raw []byte
		off := 0
		for _, e := range events {
			if e.Type != jobs.JobOutput {
				continue
			}
			o := decodeOutput(t, e.Data)
			if o.Off != off || o.Attempt != 1 {
				t.Fatalf("output at %d of attempt %d, want %d", o.Off, o.Attempt, off)
			}
			off += len(o.bytes())
			if o.Stream == "out" {
				got.WriteString(o.Text)
			} else {
				raw = append(raw, o.bytes()...)
			}
		}
		if got.String() != want.String() {
			t.Errorf("%d bytes of output came out as %d", want.Len(), got.Len())
		}
		w.expect("raw", raw, []byte("\xff\xfe\xe4\xb8"))
		if len(events) > 200 {
			t.Errorf("%d events: output was not joined", len(events))
		}
	})
}

func TestProgressIsMergedBeforeTheLog(t *testing.T) {
	inWorld(t, func(w *world) {
		w.open(handlers{"k": {Run: func(_ context.Context, run jobs.Run) (jobs.Result, error) {
			for i := range 100_000 {
				p := float64(i) / 1000
				run.Report(jobs.Progress{Percent: &p})
			}
			return jobs.Result{}, nil
		}}}, 1)
		defer w.close(time.Second)
		j := w.await(w.submit(jobs.Spec{Kind: "k"}).ID)
		w.expect("last progress", *j.Progress.Percent, 99.999)
		if n := strings.Count(w.story(j.ID), "progress"); n == 0 || n > 2000 {
			t.Errorf("%d progress events", n)
		}
	})
}

type output struct {
	Attempt int    `json:"attempt"`
	Start   int    `json:"start"`
	Off     int    `json:"off"`
	Stream  string `json:"stream"`
	Text    string `json:"text"`
	Base64  string `json:"base64"`
}

func decodeOutput(t *testing.T, data jobs.Value) (o output) {
	t.Helper()
	if err := json.Unmarshal(data, &o); err != nil {
		t.Fatal(err)
	}
	return o
}

func (o output) bytes() []byte {
	if o.Base64 != "" {
		b, _ := base64.StdEncoding.DecodeString(o.Base64)
		return b
	}
	return []byte(o.Text)
}

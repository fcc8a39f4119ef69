package storetest

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"

	"jobhub/jobs"
)

// checkPayload checks stores that return payloads piece by piece.
func checkPayload(t T, h Harness) {
	s := h.Open()
	r, ok := s.(jobs.PayloadReader)
	if !ok {
		return
	}
	large := jobs.Value(`"` + strings.Repeat("0123456789", 10_000) + `"`)
	in := newJob(func(c *jobs.Change) { c.Job.Input = large })
	small := newJob(func(c *jobs.Change) { c.Job.Kind = "other" })
	must(t, s, in, small)
	run := claim(t, s, []string{"k"}, "lease-1")[0]
	done := finish(run, ``)
	done.Job.Result, done.Job.Response = nil, &jobs.Response{Status: 201, Header: http.Header{"X-A": {strings.Repeat("h", 40_000)}}, Body: large}
	must(t, s, done)

	brief, pos, far, err := r.Brief(t.Context(), "default", in.Job.ID)
	whole, _, wrong := s.Job(t.Context(), "default", in.Job.ID)
	if err != nil || wrong != nil || !far || pos != s.Head() || brief.Input != nil || brief.Response != nil || brief.State != whole.State || brief.N != whole.N {
		t.Errorf("in brief: %+v %v %v", brief, far, err)
	}
	if brief, _, far, err := r.Brief(t.Context(), "default", small.Job.ID); err != nil || far || string(brief.Input) != string(small.Job.Input) {
		t.Errorf("a small one in brief: %+v %v %v", brief, far, err)
	}
	for off := range int64(len(large)) + 2 {
		if off > 5 && off < int64(len(large))-5 && off%9973 != 0 {
			continue
		}
		p := make([]byte, 5000)
		n, size, err := r.ReadPayload(t.Context(), "default", in.Job.ID, jobs.PartInput, off, p)
		want := large[min(off, int64(len(large))):]
		want = want[:min(len(want), len(p))]
		if err != nil || size != int64(len(large)) || !bytes.Equal(p[:n], want) {
			t.Errorf("from %d on: %d bytes of %d, %v", off, n, size, err)
		}
	}
	if n, size, err := r.ReadPayload(t.Context(), "default", in.Job.ID, jobs.PartResult, 0, make([]byte, 10)); n != 0 || size != 0 || err != nil {
		t.Errorf("a result that does not exist: %d %d %v", n, size, err)
	}
	for _, of := range []struct {
		tenant string
		id     jobs.ID
	}{{"other", in.Job.ID}, {"default", jobs.ID{1}}} {
		if _, _, err := r.ReadPayload(t.Context(), of.tenant, of.id, jobs.PartInput, 0, nil); !errors.Is(err, jobs.ErrNotFound) {
			t.Errorf("a payload that does not exist, or of another tenant: %v", err)
		}
	}

	resp, body, err := jobs.OpenResponse(t.Context(), s, "default", in.Job.ID)
	if err != nil || resp == nil {
		t.Fatalf("the response: %v", err)
	}
	var got []byte
	for p := make([]byte, 999); ; {
		n, err := body.Next(t.Context(), p)
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("the body: %v", err)
		}
		got = append(got, p[:n]...)
	}
	if resp.Status != 201 || len(resp.Header["X-A"][0]) != 40_000 || !bytes.Equal(got, large) {
		t.Errorf("the response is %d with %d bytes", resp.Status, len(got))
	}
}

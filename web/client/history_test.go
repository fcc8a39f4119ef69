package client

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
)

// TestHistoryOfATrimmedLog: what can't be told as a whole is told as far as it goes, and
// ends with an error that says so.
func TestHistoryOfATrimmedLog(t *testing.T) {
	for name, c := range map[string]struct {
		frames []string
		events int
	}{
		"trimmed before":    {[]string{`{"type":"subscribed","id":"w","epoch":"e","seq":9,"recovered":false,"reason":"expired"}`}, 0},
		"trimmed meanwhile": {[]string{`{"type":"subscribed","id":"w","epoch":"e","seq":0,"recovered":true}`, event("job.queued", 2), `{"type":"gap","id":"w","from":3,"to":8,"reason":"expired","epoch":"e","seq":8}`}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			mux := http.NewServeMux()
			hub := &scripted{t: t, scripts: []script{{frames: c.frames, close: silent}}}
			mux.Handle("/v1/ws", hub)
			mux.Handle("/v1/jobs/j", &answer{status: 200, typ: "application/json", body: `{"id":"j","state":"failed","epoch":"e","seq":9}`})
			srv := httptest.NewServer(mux)
			t.Cleanup(srv.Close)
			events := 0
			var last error
			for _, err := range (&Client{Base: srv.URL}).History(t.Context(), "j") {
				if last = err; err == nil {
					events++
				}
			}
			if !errors.Is(last, ErrTrimmed) || events != c.events {
				t.Errorf("%d events, then %v", events, last)
			}
			if want := `{"type":"subscribe","id":"w","job":"j","since":{"epoch":"e","seq":0},"progress":"all"}`; hub.requests[0] != want {
				t.Errorf("asked with %s\nwant %s", hub.requests[0], want)
			}
		})
	}
}

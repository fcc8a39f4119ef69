package web

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"jobhub/web/auth"
	"jobhub/web/gateway/usage"
	"jobhub/web/rest"
	"jobhub/web/stages"
)

// account is the stage Account. It returns what the stages before it use instead of a request
// and its writer, and a function to call after the answer.
func (s *Server) account(w http.ResponseWriter, r *http.Request, rec *stages.Record) (http.ResponseWriter, *http.Request, func()) {
	began := time.Now()
	out := &countingWriter{ResponseWriter: w}
	in := &countingBody{}
	if r.Body != nil && r.Body != http.NoBody {
		in.ReadCloser = r.Body
		r.Body = in // r is a copy of serve
	}
	return out, r, func() {
		last := rec.Last()
		if rec.Explains() {
			return
		}
		s.Requests.Add(last)
		if rec.Consumer != "" && !rec.Page {
			now := time.Now()
			name, version, _ := strings.Cut(rec.API, "/")
			s.usage.Record(now, usage.Call{Tenant: rec.Tenant, Consumer: rec.Consumer, API: name, Version: version, Route: rec.Route, Status: out.status,
				Took: now.Sub(began), In: in.bytes.Load(), Out: out.bytes})
		}
		s.Logger.Debug("request", "method", r.Method, "route", rec.Route, "consumer", rec.Consumer, "status", out.status,
			"stage", last.Stage.String(), "verdict", last.Outcome.String(), "in", in.bytes.Load(), "out", out.bytes, "took", time.Since(began))
	}
}

// countingWriter counts an answer.
type countingWriter struct {
	http.ResponseWriter
	status int // 0 before it begins
	bytes  int64
}

func (w *countingWriter) WriteHeader(status int) {
	if status >= 200 || status == http.StatusSwitchingProtocols {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *countingWriter) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	n, err := w.ResponseWriter.Write(b)
	w.bytes += int64(n)
	return n, err
}

// Unwrap is for http.ResponseController.
func (w *countingWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// countingBody counts the bytes of a body that are read.
type countingBody struct {
	io.ReadCloser
	bytes atomic.Int64 // may be read while the upstream still takes the body
}

func (b *countingBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.bytes.Add(int64(n))
	return n, err
}

// usageRoutes are the paths about usage. Each consumer may see its own.
func (s *Server) usageRoutes() map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{
		"GET /v1/usage": s.MayAny(func(w http.ResponseWriter, r *http.Request) error {
			who := rest.IdentityOf(r)
			return s.usage.Answer(w, r, usage.Scope{Tenant: who.Tenant, Own: !who.May(auth.SeeUsage, auth.Target{}), Consumer: who.Consumer()})
		}),
	}
}

package web

import (
	"cmp"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"jobhub/jobs"
	"jobhub/web/auth"
	"jobhub/web/rest"
	"jobhub/web/stages"
)

// This file says what the hub would do with a request, without sending it.

// explainRoutes are the paths of this file, with the action that each needs.
func (s *Server) explainRoutes() map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{
		"GET /v1/explain":  s.May(auth.Watch, s.explainQuery),
		"POST /v1/explain": s.May(auth.Watch, s.explainBody),
	}
}

// explained is the request to explain.
type explained struct {
	Method  string                `json:"method"`
	URL     string                `json:"url"`
	Headers map[string]jobs.Value `json:"headers"` // each a string or a list of strings
	Body    string                `json:"body"`
}

// explainQuery explains a request that has the headers of the request that asks.
func (s *Server) explainQuery(w http.ResponseWriter, r *http.Request) error {
	query, err := rest.ReadQuery(r, "method", "url")
	if err != nil {
		return err
	}
	return s.explain(w, r, explained{Method: query.Get("method"), URL: query.Get("url")}, r.Header.Clone())
}

// explainBody explains the request in a body.
func (s *Server) explainBody(w http.ResponseWriter, r *http.Request) error {
	var in explained
	if _, err := rest.DecodeBody(w, r, rest.MaxReport, &in); err != nil {
		return err
	}
	h := http.Header{}
	for name, value := range in.Headers {
		var values []string
		var one string
		if json.Unmarshal(value, &one) == nil {
			values = []string{one}
		} else if json.Unmarshal(value, &values) != nil {
			return rest.InvalidMember("/headers/"+string(jsontext.Pointer("").AppendToken(name))[1:], "must be a text or a list of texts")
		}
		for _, v := range values {
			h.Add(name, v)
		}
	}
	return s.explain(w, r, in, h)
}

// explain answers with what the stages decide about a request.
func (s *Server) explain(w http.ResponseWriter, r *http.Request, in explained, h http.Header) error {
	u, err := url.Parse(in.URL)
	if err != nil || !strings.HasPrefix(u.EscapedPath(), "/") || u.Opaque != "" {
		return rest.InvalidMember("/url", "must be a URL or a path, like /api/orders/7")
	}
	req, err := http.NewRequestWithContext(r.Context(), cmp.Or(in.Method, http.MethodGet), in.URL, strings.NewReader(in.Body))
	if err != nil {
		return rest.InvalidMember("/method", "must be an HTTP method, like GET")
	}
	if in.Body == "" {
		req.Body, req.ContentLength = http.NoBody, 0
	}
	req.Header, req.Host, req.RemoteAddr, req.TLS = h, cmp.Or(u.Host, r.Host), r.RemoteAddr, r.TLS
	req.URL.Scheme, req.URL.Host = "", ""
	if h.Get("Host") != "" {
		req.Host = h.Get("Host")
		h.Del("Host")
	}
	rec := &stages.Record{DryRun: true}
	out := &explanation{header: http.Header{}}
	s.serve(out, req, rec)
	return rest.WriteJSON(w, http.StatusOK, out.document(rec))
}

// explanation is the writer of a request that is explained. It keeps the status.
type explanation struct {
	header http.Header
	status int
}

func (e *explanation) Header() http.Header { return e.header }

func (e *explanation) WriteHeader(status int) { e.status = cmp.Or(e.status, status) }

func (e *explanation) Write(b []byte) (int, error) {
	e.WriteHeader(http.StatusOK)
	return io.Discard.Write(b)
}

// document is the answer of explain. It has a status if the hub itself would answer.
func (e *explanation) document(rec *stages.Record) []byte {
	type verdict struct {
		Stage   string `json:"stage"`
		Verdict string `json:"verdict"`
		Detail  string `json:"detail"`
	}
	out := struct {
		Route  string    `json:"route"`
		Status int       `json:"status,omitzero"`
		Stages []verdict `json:"stages"`
	}{Route: rec.Route, Status: e.status}
	for _, v := range rec.Verdicts() {
		out.Stages = append(out.Stages, verdict{v.Stage.String(), v.Outcome.String(), v.Detail})
	}
	b, _ := json.Marshal(out) // only texts and numbers
	return b
}

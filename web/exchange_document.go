package web

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"net/http"
	"strings"
	"time"

	"jobhub/jobs"
	"jobhub/jobs/httpheader"
	"jobhub/web/gateway"
	"jobhub/web/gateway/openapi"
	"jobhub/web/rest"
	"jobhub/web/stages"
)

// This file is what the stages do with the OpenAPI document of a route's API.

// checkTime is how long the check of an answer may take.
const checkTime = 5 * time.Second

// find returns the operation of the request.
func (x *exchange) find() (openapi.Match, error) {
	if x.api.Version == nil {
		return openapi.Match{}, jobs.NewProblem(jobs.NotFound, "No document", "The catalogue has no %s yet, so there is no document to go by.", x.route.API)
	}
	doc, err := x.api.Version.Document()
	if err != nil {
		return openapi.Match{}, err
	}
	base := strings.TrimSuffix(cmp.Or(x.route.Base, x.route.Strip), "/")
	return doc.Find(base, x.r.Method, x.r.URL.EscapedPath()), nil
}

// noOperation is the answer to a request that the document does not describe.
func (x *exchange) noOperation(m openapi.Match) error {
	if len(m.Allow) > 0 {
		x.w.Header().Set("Allow", strings.Join(m.Allow, ", "))
	}
	return m.Problem(x.r.Method, x.r.URL)
}

// checkRequest compares the request with the document. With Report the answer is only a detail.
func (x *exchange) checkRequest() (string, error) {
	strict := x.route.Validate == gateway.Strict
	m, err := x.find()
	if err != nil {
		return "there is no document", err
	}
	if x.op = m.Operation; x.op == nil {
		if strict {
			return "", x.noOperation(m)
		}
		return x.reportRequest([]openapi.Fault{{In: "path", Detail: "is not described for this method"}}), nil
	}
	body, whole, err := x.peekBody(strict)
	if err != nil {
		return "", err
	}
	faults := x.op.ValidateRequest(x.r, m.Params, body)
	if !whole { // only what stands outside of it was looked at
		kept := faults[:0]
		for _, f := range faults {
			if f.In != "body" {
				kept = append(kept, f)
			}
		}
		faults = kept
	}
	switch {
	case len(faults) == 0:
		return "as the document of " + x.route.API + " says", nil
	case strict:
		x.countWrong()
		return "", openapi.Problem(faults)
	}
	return x.reportRequest(faults), nil
}

// peekBody reads the body, if the operation describes one, and puts it back. With strict, one
// that is too large is an error; else whole is false.
func (x *exchange) peekBody(strict bool) (body []byte, whole bool, err error) {
	if x.op.Body == nil || x.r.Body == nil || x.r.Body == http.NoBody {
		return nil, true, nil
	}
	most := cmp.Or(x.route.MaxBody, jobs.MaxInput)
	if strict {
		if body, err = rest.ReadBody(x.w, x.r, most); err != nil {
			x.w.Header().Set("Connection", "close")
			return nil, false, err
		}
		x.r.Body, x.r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		return body, true, nil
	}
	from := x.r.Body
	body, err = io.ReadAll(io.LimitReader(from, most+1))
	var behind io.Reader = from
	if err != nil { // whoever reads the body meets it again
		behind = failedReader{err}
	}
	x.r.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(body), behind), from}
	return body, err == nil && int64(len(body)) <= most, nil
}

type failedReader struct{ err error }

func (f failedReader) Read([]byte) (int, error) { return 0, f.err }

func (x *exchange) countWrong() {
	if !stages.Of(x.r.Context()).Explains() {
		x.route.Stats.CountWrongRequest()
	}
}

// reportRequest counts and logs faults of a request that passes nevertheless.
func (x *exchange) reportRequest(faults []openapi.Fault) string {
	x.countWrong()
	first := faults[0].In + " " + faults[0].Pointer + " " + faults[0].Detail
	if !stages.Of(x.r.Context()).Explains() {
		x.s.Logger.Warn("a request is not as the document of its API says", "api", x.route.API, "method", x.r.Method, "path", x.r.URL.Path, "consumer", x.who.Consumer(), "faults", len(faults), "first", first)
	}
	return "not as the document says, which is only reported: " + first
}

// answerCheck keeps an answer of the upstream, to compare it with the document.
type answerCheck struct {
	http.ResponseWriter
	upstream bool // it is the upstream's answer
	status   int
	body     []byte
	partial  bool // not all of the body is kept
}

func (c *answerCheck) WriteHeader(status int) {
	if status >= 200 {
		c.status = status
		c.partial = strings.HasPrefix(c.Header().Get("Content-Type"), "text/event-stream")
	}
	c.ResponseWriter.WriteHeader(status)
}

func (c *answerCheck) Write(b []byte) (int, error) {
	if c.partial = c.partial || len(c.body)+len(b) > rest.MaxChecked; c.partial {
		c.body = nil
	} else {
		c.body = append(c.body, b...)
	}
	return c.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (c *answerCheck) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// checkAnswer counts and logs what is wrong with an answer.
func (x *exchange) checkAnswer(c *answerCheck) {
	if c == nil || !c.upstream || c.status == 0 || c.partial {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(x.r.Context()), checkTime)
	defer cancel()
	faults := x.op.ValidateResponse(ctx, x.r.Method, c.status, c.Header(), c.body)
	if len(faults) == 0 {
		return
	}
	x.route.Stats.CountWrongAnswer()
	x.s.Logger.Warn("an answer is not as the document of its API says", "api", x.route.API, "method", x.r.Method, "path", x.r.URL.Path, "status", c.status, "faults", len(faults),
		"first", faults[0].In+" "+faults[0].Pointer+" "+faults[0].Detail)
}

// mock answers from the examples of the document.
func (x *exchange) mock() (string, bool, error) {
	m, err := x.find()
	if err != nil {
		return "", false, err
	}
	if m.Operation == nil {
		return "", false, x.noOperation(m)
	}
	a, err := m.Operation.Mock(x.r.Context(), x.r.Header)
	if err != nil {
		return "", false, err
	}
	const detail = "the answer is made from the document"
	if stages.Of(x.r.Context()).Explains() {
		return detail, true, nil
	}
	gateway.DropHubCookies(a.Header)
	h := x.w.Header()
	for name, values := range a.Header {
		switch {
		case gateway.IsHubHeader(name) || httpheader.IsHopByHop(name) || strings.HasPrefix(name, "Access-Control-") || name == "Content-Length" || name == "Content-Security-Policy":
		case name == "Vary" || name == "Link":
			h[name] = append(h[name], values...)
		default:
			h[name] = values
		}
	}
	x.w.WriteHeader(a.Status)
	if x.r.Method != http.MethodHead && a.Status != http.StatusNoContent && a.Status != http.StatusNotModified {
		x.w.Write(a.Body)
	}
	return detail, true, nil
}

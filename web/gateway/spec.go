package gateway

import (
	"cmp"
	"encoding/base64"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"jobhub/jobs"
	"jobhub/web/gateway/transform"
)

// call is the input of a job of kind http, or a target in the input of a fan-out.
type call struct {
	Name    string                `json:"name,omitzero"`
	Method  string                `json:"method"`
	URL     string                `json:"url"`
	Headers map[string]jobs.Value `json:"headers"`
	Body    jobs.Value            `json:"body"`
	Timeout string                `json:"timeout,omitzero"`
}

// Spec returns the job for a request with that body: of kind http, or fanout if the route has
// targets. values are for the rules of the route; they may be nil if it has none. queueTimeout
// says whether the queue has a default queue timeout.
func (r *Route) Spec(req *http.Request, body []byte, values *transform.Values, queueTimeout bool) (jobs.Spec, error) {
	h := r.upstreamHeader(req)
	trace := cmp.Or(Trace(h), newTrace())
	for _, name := range []string{"Traceparent", "Tracestate", "Expect", "Content-Length"} {
		h.Del(name) // the first two are kept with the job; the others are about this connection only
	}
	spec := jobs.Spec{Kind: "http", Queue: r.QueueName(), Timeout: r.Timeout, QueueTimeout: r.QueueTimeout,
		MaxAttempts: max(r.MaxAttempts, 1), Backoff: r.Backoff, Via: jobs.Via{Guarded: r.Guard != nil, Route: r.Name(), Trace: trace, Headers: slices.Sorted(maps.Keys(r.Headers))}}
	if spec.QueueTimeout == 0 && !queueTimeout {
		spec.QueueTimeout = DefaultQueueTimeout
	}
	newCall := func(upstream *url.URL, strip string) (call, error) {
		to, h, body := upstreamURL(upstream, strip, req.URL, true), h, body
		if r.Request != nil {
			h = h.Clone()
			var err error
			if body, err = r.Request.Whole(req.Context(), to, h, body, values, r.MaxBody); err != nil {
				return call{}, err
			}
			h.Del("Content-Length")
		}
		headers, err := headerValues(h)
		return call{Method: req.Method, URL: to.String(), Headers: headers, Body: bodyValue(body)}, err
	}
	spec.Via.Upstreams = slices.Compact(r.Upstreams())
	var err error
	if spec.Via.Values, err = r.keep(req, values); err != nil {
		return spec, err
	}
	var input any
	if len(r.Targets) == 0 {
		if input, err = newCall(r.Upstream, r.Strip); err != nil {
			return spec, err
		}
	} else {
		fanout := struct {
			Targets []call `json:"targets"`
			Policy  string `json:"policy,omitzero"`
		}{Policy: r.Policy}
		for _, t := range r.Targets {
			c, err := newCall(t.Upstream, cmp.Or(t.Strip, r.Strip))
			if err != nil {
				return spec, err
			}
			c.Name = t.Name
			if t.Timeout > 0 {
				c.Timeout = t.Timeout.String()
			}
			fanout.Targets = append(fanout.Targets, c)
		}
		spec.Kind, input = "fanout", fanout
	}
	spec.Input, err = json.Marshal(input, json.Deterministic(true))
	return spec, err
}

// headerValues returns headers as the input of jobs of kind http has them.
func headerValues(h http.Header) (map[string]jobs.Value, error) {
	headers := make(map[string]jobs.Value, len(h))
	for name, values := range h {
		v, err := headerValue(values)
		if err != nil {
			return nil, jobs.NewProblem(jobs.BadMessage, "Malformed header", "%s holds bytes that are not UTF-8. Such a header can't be kept in a job: send the request without async, or encode the value.", name)
		}
		headers[strings.ToLower(name)] = v
	}
	return headers, nil
}

func headerValue(values []string) (jobs.Value, error) {
	if len(values) == 1 {
		return jsontext.AppendQuote(nil, values[0])
	}
	return json.Marshal(values)
}

// bodyValue returns a body as the input of jobs of kind http has it: as a string, or as
// {"base64":…} if it is not UTF-8.
func bodyValue(body []byte) jobs.Value {
	if utf8.Valid(body) {
		v, _ := jsontext.AppendQuote(nil, body)
		return v
	}
	v, _ := jsontext.AppendQuote([]byte(`{"base64":`), base64.StdEncoding.EncodeToString(body))
	return append(v, '}')
}

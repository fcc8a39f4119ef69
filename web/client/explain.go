package client

import (
	"context"
	"net/http"
)

// Explanation says what each stage of the hub decides about a request.
type Explanation struct {
	Route  string         `json:"route"`  // the path of the route, or the pattern of the hub's own path
	Status int            `json:"status"` // of the answer, if the hub itself would answer; else 0
	Stages []StageVerdict `json:"stages"` // those that the request reaches
}

// StageVerdict is the decision of one stage: pass, answer or refuse, with the reason for people.
type StageVerdict struct {
	Stage   string `json:"stage"`
	Verdict string `json:"verdict"`
	Detail  string `json:"detail"`
}

// Explain asks what the hub would do with a request, which it does not send. url is a URL or a
// path; header may hold credentials: without them the caller is anonymous.
func (c *Client) Explain(ctx context.Context, method, url string, header http.Header, body string) (e Explanation, err error) {
	in := struct {
		Method  string      `json:"method"`
		URL     string      `json:"url"`
		Headers http.Header `json:"headers"`
		Body    string      `json:"body"`
	}{method, url, header, body}
	if in.Headers == nil {
		in.Headers = http.Header{}
	}
	err = c.exchange(ctx, http.MethodPost, "/v1/explain", "", in, &e)
	return e, err
}

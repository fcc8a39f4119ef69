package openapi

import (
	"context"
	"net/http"
	"strconv"

	"jobhub/web/gateway/openapi/jsontree"
	"jobhub/web/gateway/openapi/schema"
)

// ValidateResponse checks an answer with its decoded body to a request with that method, for
// reports: what is wrong with it is the API's fault, not the caller's. It returns 100 faults at
// most. A body with a Content-Encoding is not looked at.
func (op *Operation) ValidateResponse(ctx context.Context, method string, status int, h http.Header, body []byte) []Fault {
	c := checking{schema.NewCheck(ctx, schema.InResponse)}
	r := op.response(status)
	if r == nil {
		c.In = "status"
		c.Fail((&jsontree.Path{}).Member("status"), "is %d, which is not described", status)
		return c.Faults
	}
	from := sources{header: h}
	for _, p := range r.Headers {
		c.parameter(p, &from)
	}
	c.In = "body"
	bodyless := method == http.MethodHead || status < 200 || status == http.StatusNoContent || status == http.StatusNotModified
	switch contentType := h.Get("Content-Type"); {
	case bodyless || h.Get("Content-Encoding") != "" || len(r.Content) == 0:
	case len(body) == 0:
		c.Fail(&jsontree.Path{}, "is missing; %s is described", mediaTypes(r.Content))
	default:
		media := findMedia(r.Content, contentType)
		if media == nil {
			c.Fail(&jsontree.Path{}, "is %s, but must be one of %s", jsontree.Quote(contentType), mediaTypes(r.Content))
			break
		}
		c.content(media, contentType, body)
	}
	return c.Faults
}

// response is the description of a status: its own, then that of its range, then the default.
func (op *Operation) response(status int) *Response {
	for _, want := range []string{strconv.Itoa(status), strconv.Itoa(status/100) + "XX", "default"} {
		for _, r := range op.Responses {
			if r.Status == want {
				return r
			}
		}
	}
	return nil
}

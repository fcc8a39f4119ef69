package openapi

import (
	"context"
	"net/http"
	"strconv"
)

// ValidateResponse checks an answer with its decoded body to a request with that method, for
// reports: what is wrong with it is the API's fault, not the caller's. It returns 100 faults at
// most. A body with a Content-Encoding is not looked at.
func (op *Operation) ValidateResponse(ctx context.Context, method string, status int, h http.Header, body []byte) []Fault {
	c := newCheck(ctx, inResponse)
	r := op.response(status)
	if r == nil {
		c.in = "status"
		c.fail((&path{}).member("status"), "is %d, which is not described", status)
		return c.faults
	}
	from := sources{header: h}
	for _, p := range r.Headers {
		c.parameter(p, &from)
	}
	c.in = "body"
	bodyless := method == http.MethodHead || status < 200 || status == http.StatusNoContent || status == http.StatusNotModified
	switch contentType := h.Get("Content-Type"); {
	case bodyless || h.Get("Content-Encoding") != "" || len(r.Content) == 0:
	case len(body) == 0:
		c.fail(&path{}, "is missing; %s is described", mediaTypes(r.Content))
	default:
		media := findMedia(r.Content, contentType)
		if media == nil {
			c.fail(&path{}, "is %s, but must be one of %s", short(contentType), mediaTypes(r.Content))
			break
		}
		c.content(media, contentType, body)
	}
	return c.faults
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

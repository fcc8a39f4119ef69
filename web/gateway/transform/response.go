package transform

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"

	"jobhub/jobs"
)

var errPart = errors.New("the upstream answered with a part of the content (206)")

// HasBody reports whether there is a rule for bodies.
func (t *Response) HasBody() bool { return t.body != nil }

// Prepare changes the headers of a request to the upstream so that its answer can be changed:
// it asks for the whole content, unconditionally, in an encoding that is known here.
func (t *Response) Prepare(method string, h http.Header) {
	if t.body == nil {
		return
	}
	if h["Accept-Encoding"] != nil {
		h.Set("Accept-Encoding", acceptEncoding)
	}
	if method != http.MethodGet && method != http.MethodHead {
		return
	}
	for _, name := range []string{"Range", "If-Range", "If-None-Match", "If-Modified-Since"} {
		h.Del(name) // they are about the upstream's bytes, which the caller never sees
	}
}

// Apply changes an answer of the upstream: its headers and body. v is of the request as it
// came. maxBody bounds the body and its decoded form in bytes; DefaultMaxBody if 0. With a
// rule for bodies, the body is read whole; one that can't be changed is not read. After an
// error (a *jobs.Problem, or that of ctx) the answer must not be sent; its body is still open.
func (t *Response) Apply(ctx context.Context, res *http.Response, v *Values, maxBody int64) error {
	if res.StatusCode < 200 {
		return nil
	}
	method := ""
	if res.Request != nil {
		method = res.Request.Method
	}
	change, err := t.changes(method, res.StatusCode, res.Header)
	if err != nil {
		return err
	}
	if change && res.Body != nil && res.Body != http.NoBody && res.ContentLength != 0 {
		limit := cmp.Or(maxBody, DefaultMaxBody)
		if _, err := ofAnswer.check(res.Header); err != nil {
			return err
		}
		body, err := ofAnswer.read(res.Body, res.ContentLength, limit)
		if err != nil {
			return err
		}
		changed := false
		if len(body) > 0 {
			if body, changed, err = ofAnswer.change(ctx, t.body, res.Header, body, limit); err != nil {
				return err
			}
		}
		res.Body.Close()
		res.Body = io.NopCloser(bytes.NewReader(body))
		res.ContentLength, res.TransferEncoding = int64(len(body)), nil
		res.Header.Set("Content-Length", strconv.Itoa(len(body)))
		if changed {
			res.Trailer = nil
			res.Header.Del("Trailer")
		}
	}
	return t.headers.apply(res.Header, v)
}

// Whole changes an answer that is kept, such as the result of a job. method is that of the
// request. It returns another answer, which shares what is not changed. Errors and maxBody are
// those of Apply.
func (t *Response) Whole(ctx context.Context, method string, a jobs.Response, v *Values, maxBody int64) (jobs.Response, error) {
	a.Header = a.Header.Clone()
	change, err := t.changes(method, a.Status, a.Header)
	if err != nil {
		return jobs.Response{}, err
	}
	if change && len(a.Body) > 0 {
		var changed bool
		if a.Body, changed, err = ofAnswer.change(ctx, t.body, a.Header, a.Body, cmp.Or(maxBody, DefaultMaxBody)); err != nil {
			return jobs.Response{}, err
		}
		if changed {
			a.Header.Set("Content-Length", strconv.Itoa(len(a.Body)))
		}
	}
	if err := t.headers.apply(a.Header, v); err != nil {
		return jobs.Response{}, err
	}
	return a, nil
}

// changes reports whether the body of an answer is to be changed.
func (t *Response) changes(method string, status int, h http.Header) (bool, error) {
	switch {
	case t.body == nil || status < 200 || status > 299 || status == http.StatusNoContent || status == http.StatusResetContent:
		return false, nil
	case status == http.StatusPartialContent || h["Content-Range"] != nil:
		return false, ofAnswer.problem(0, "", "It is only a part", "", errPart)
	case method == http.MethodHead:
		dropDescribing(h)
		return false, nil
	}
	return true, nil
}

package transform

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"
)

// HasBody reports whether there is a rule for bodies.
func (t *Request) HasBody() bool { return t.body != nil }

// Apply changes a request that is about to be sent: its URL, headers and body. v is of the
// request as it came. maxBody bounds the body and its decoded form in bytes; DefaultMaxBody if
// 0. With a rule for bodies, the body is read whole; one that can't be changed is not read.
// After an error (a *jobs.Problem, or that of the request's context) the request must not be
// sent.
func (t *Request) Apply(r *http.Request, v *Values, maxBody int64) error {
	if err := t.head(r.URL, r.Header, v); err != nil {
		return err
	}
	if t.body == nil || r.Body == nil || r.Body == http.NoBody {
		return nil
	}
	limit := cmp.Or(maxBody, DefaultMaxBody)
	if r.ContentLength > 0 {
		if _, err := ofRequest.check(r.Header); err != nil {
			return err
		}
	}
	body, err := ofRequest.read(r.Body, r.ContentLength, limit)
	if err != nil {
		return err
	}
	if len(body) > 0 {
		var changed bool
		if body, changed, err = ofRequest.change(r.Context(), t.body, r.Header, body, limit); err != nil {
			return err
		}
		if changed {
			r.Trailer = nil
		}
	}
	r.Body.Close()
	r.Body = io.NopCloser(bytes.NewReader(body))
	r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	r.ContentLength, r.TransferEncoding = int64(len(body)), nil
	if len(body) == 0 {
		r.Body, r.GetBody = http.NoBody, nil
	}
	if r.Header["Content-Length"] != nil {
		r.Header.Set("Content-Length", strconv.Itoa(len(body)))
	}
	return nil
}

// Whole changes the URL and headers of a request, and returns its body changed: for requests
// that become jobs. Errors and maxBody are those of Apply.
func (t *Request) Whole(ctx context.Context, u *url.URL, h http.Header, body []byte, v *Values, maxBody int64) ([]byte, error) {
	if err := t.head(u, h, v); err != nil {
		return nil, err
	}
	if t.body == nil || len(body) == 0 {
		return body, nil
	}
	body, changed, err := ofRequest.change(ctx, t.body, h, body, cmp.Or(maxBody, DefaultMaxBody))
	if changed && h["Content-Length"] != nil {
		h.Set("Content-Length", strconv.Itoa(len(body)))
	}
	return body, err
}

// head changes URL and headers.
func (t *Request) head(u *url.URL, h http.Header, v *Values) error {
	query, err := t.query.apply(u.RawQuery, v)
	if err != nil {
		return err
	}
	escaped := ""
	if t.path != nil {
		if escaped, err = t.path.expand(v); err != nil {
			return err
		}
	}
	if err := t.headers.apply(h, v); err != nil {
		return err
	}
	u.RawQuery = query
	if escaped != "" {
		u.RawPath = escaped
		u.Path, _ = url.PathUnescape(escaped) // expand has checked it
	}
	return nil
}

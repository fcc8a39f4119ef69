package transform

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"

	"jobhub/jobs"
	"jobhub/web/gateway/transform/jq"
)

// DefaultMaxBody is the bound of a body where a route gives none, in bytes.
const DefaultMaxBody = 1 << 20

// describing are the headers about the bytes of a body. Last-Modified is among them: it does
// not change when the rule does, so a caller would keep the old form for good.
var describing = []string{"Content-Length", "Etag", "Last-Modified", "Digest", "Content-Digest", "Repr-Digest", "Content-Md5", "Accept-Ranges"}

func dropDescribing(h http.Header) {
	for _, name := range describing {
		h.Del(name)
	}
}

// side is which body is changed; the problems differ.
type side uint8

const (
	ofRequest side = iota
	ofAnswer
)

// problem returns what the caller is told. detail is for a request; about an answer the caller
// learns only what kind of error it is, as the cause may show what the upstream sent.
func (s side) problem(status int, code jobs.Code, title, detail string, cause error) *jobs.Problem {
	p := jobs.NewProblem(code, title, "%s", detail)
	p.Status = status
	if s == ofAnswer {
		p = jobs.NewProblem(jobs.Internal, "Unusable answer", "The route changes answers of its upstream, but can't change this one: %s. This is for the operator of the hub to look into.", strings.ToLower(title))
		p.Status = http.StatusBadGateway
	}
	return p.Because(cause)
}

func (s side) tooLarge(limit int64) *jobs.Problem {
	return s.problem(http.StatusRequestEntityTooLarge, jobs.TooLarge, "Body too large", "The body, decoded, may have at most "+jobs.SizeText(limit)+" on this route.", errSize)
}

// isJSON reports whether a body is JSON in UTF-8, by its Content-Type.
func isJSON(h http.Header) bool {
	lines := h["Content-Type"]
	if len(lines) != 1 {
		return false
	}
	media, params, err := mime.ParseMediaType(lines[0])
	if charset := params["charset"]; err != nil || charset != "" && !strings.EqualFold(charset, "utf-8") {
		return false
	}
	return media == "application/json" || strings.HasPrefix(media, "application/") && strings.HasSuffix(media, "+json") && media != "application/stream+json"
}

// check returns the codings of a body that can be changed.
func (s side) check(h http.Header) ([]string, error) {
	if !isJSON(h) {
		return nil, s.problem(http.StatusUnsupportedMediaType, jobs.Unsupported, "Not JSON", "This route takes bodies of application/json (or a type that ends in +json) in UTF-8. Send the body as JSON, with its Content-Type.", nil)
	}
	names, err := codings(h)
	if err != nil {
		return nil, s.problem(http.StatusUnsupportedMediaType, jobs.Unsupported, "Unknown encoding", "The Content-Encoding of the body is none of gzip, deflate, br and zstd. Send it in one of these, or not compressed.", err)
	}
	return names, nil
}

// change runs a program on a body, and removes the headers that no longer describe it. changed
// is false if body and headers are as they were.
func (s side) change(ctx context.Context, p *jq.Program, h http.Header, body []byte, limit int64) (out []byte, changed bool, err error) {
	names, err := s.check(h)
	if err != nil {
		return nil, false, err
	}
	if int64(len(body)) > limit {
		return nil, false, s.tooLarge(limit)
	}
	text, err := decode(body, names, limit)
	switch {
	case err == errSize:
		return nil, false, s.tooLarge(limit)
	case err != nil:
		return nil, false, s.problem(http.StatusBadRequest, jobs.BadMessage, "Broken encoding", "The body is not what its Content-Encoding says. Send it whole, in that encoding.", err)
	}
	result, err := p.Run(ctx, text, int(limit))
	if err != nil {
		return nil, false, s.runProblem(err)
	}
	if len(text) > 0 && len(result) == len(text) && &result[0] == &text[0] {
		return body, false, nil
	}
	if result, err = encode(result, names); err != nil {
		return nil, false, err
	}
	dropDescribing(h)
	return result, true, nil
}

func (s side) runProblem(err error) error {
	switch {
	case errors.Is(err, jq.ErrDocument):
		return s.problem(http.StatusBadRequest, jobs.BadMessage, "Malformed JSON", "The body is not JSON that can be read in one way: "+err.Error()+".", err)
	case errors.Is(err, jq.ErrProgram):
		return s.problem(http.StatusUnprocessableEntity, jobs.BadMessage, "Body does not fit", "The route's rule can't be applied to this body: "+err.Error()+".", err)
	case errors.Is(err, jq.ErrBounds):
		return s.problem(http.StatusUnprocessableEntity, jobs.TooLarge, "Body too complex", "The route's rule can't be applied to this body: "+err.Error()+". Send a smaller body.", err)
	}
	return err // of the context
}

// read reads a body of at most limit bytes. length is what its header says, -1 if nothing.
func (s side) read(body io.Reader, length, limit int64) ([]byte, error) {
	if length > limit {
		return nil, s.tooLarge(limit)
	}
	data, err := io.ReadAll(io.LimitReader(body, limit+1))
	switch {
	case int64(len(data)) > limit:
		return nil, s.tooLarge(limit)
	case err != nil:
		if p, ok := errors.AsType[*jobs.Problem](err); ok {
			return nil, p
		}
		return nil, s.problem(http.StatusBadRequest, jobs.BadMessage, "Broken body", "The body did not arrive whole.", err)
	}
	return data, nil
}

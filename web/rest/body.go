package rest

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"

	"jobhub/jobs"
)

// ReadJSON reads a required JSON body of up to limit bytes. It does not decode it.
func ReadJSON(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	if err := requireJSON(w, r); err != nil {
		return nil, err
	}
	return ReadBody(w, r, limit)
}

// OptionalJSON is ReadJSON for an optional body; it returns nil if there is none. A chunked
// body may turn out to be empty, and then needs no Content-Type.
func OptionalJSON(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	switch {
	case r.ContentLength == 0:
		return nil, nil
	case r.ContentLength > 0:
		return ReadJSON(w, r, limit)
	}
	body, err := ReadBody(w, r, limit)
	if err != nil || len(body) == 0 {
		return nil, err
	}
	return body, requireJSON(w, r)
}

// DecodeBody decodes an optional JSON body into the struct in, and returns the body. Without
// a body, in stays as it is.
func DecodeBody(w http.ResponseWriter, r *http.Request, limit int64, in any) (body []byte, err error) {
	if body, err = OptionalJSON(w, r, limit); err != nil || body == nil {
		return nil, err
	}
	return body, jobs.Decode(body, in)
}

// requireJSON refuses a body that is compressed or whose Content-Type is not JSON.
func requireJSON(w http.ResponseWriter, r *http.Request) error {
	if err := RequireUncompressed(w, r); err != nil {
		return err
	}
	contentType := r.Header.Get("Content-Type")
	if contentType == "application/json" {
		return nil
	}
	media, parameters, err := mime.ParseMediaType(contentType)
	if err != nil || (media != "application/json" && !strings.HasSuffix(media, "+json")) {
		w.Header().Set("Accept", "application/json")
		return unsupportedMedia("Send the body as JSON, with Content-Type: application/json.")
	}
	if charset := parameters["charset"]; charset != "" && !strings.EqualFold(charset, "utf-8") && !strings.EqualFold(charset, "us-ascii") {
		w.Header().Set("Accept", "application/json")
		return unsupportedMedia("Send the JSON in UTF-8, and not as charset=" + charset + ".")
	}
	return nil
}

// RequireUncompressed refuses a body with a Content-Encoding like gzip (RFC 9110, section 15.5.16).
func RequireUncompressed(w http.ResponseWriter, r *http.Request) error {
	for _, line := range r.Header["Content-Encoding"] {
		for coding := range strings.SplitSeq(line, ",") {
			if coding = strings.TrimSpace(coding); coding != "" && !strings.EqualFold(coding, "identity") {
				w.Header().Set("Accept-Encoding", "identity")
				return unsupportedMedia("Send the body uncompressed, without Content-Encoding.")
			}
		}
	}
	return nil
}

func unsupportedMedia(detail string) error {
	return &jobs.Problem{Type: "urn:jobhub:problem:unsupported", Title: "Unsupported media type", Code: jobs.Unsupported,
		Status: http.StatusUnsupportedMediaType, Detail: detail}
}

// ReadBody reads a body of up to limit bytes. Its error is a *jobs.Problem.
func ReadBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	if r.ContentLength > limit {
		return nil, BodyTooLarge(limit)
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if err != nil {
		return nil, bodyProblem(err)
	}
	return body, nil
}

// bodyProblem returns the problem for an error of reading a body.
func bodyProblem(err error) error {
	if large, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return BodyTooLarge(large.Limit)
	}
	if p, ok := errors.AsType[*jobs.Problem](err); ok { // it stopped arriving, or is larger than a route allows
		return p
	}
	return jobs.NewProblem(jobs.BadMessage, "Broken request", "The body did not arrive whole.")
}

// BodyTooLarge returns the problem for a body of more than limit bytes.
func BodyTooLarge(limit int64) error {
	return jobs.NewProblem(jobs.TooLarge, "Body too large", "The body is over %d bytes. Store large data elsewhere and send a link.", limit)
}

// InvalidMember returns the problem for one member of a JSON body, named by its JSON pointer.
func InvalidMember(pointer, detail string) error {
	p := jobs.NewProblem(jobs.BadMessage, "Invalid request", "See errors for the members to correct.")
	p.Status = http.StatusUnprocessableEntity
	p.Errors = []jobs.MemberError{{Pointer: pointer, Detail: detail}}
	return p
}

package client

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
)

// Problem is an error that the hub answered with, or the error of a failed job,
// as RFC 9457 describes it.
type Problem struct {
	Type     string        `json:"type,omitzero"`
	Title    string        `json:"title"`
	Status   int           `json:"status,omitzero"` // 0 for an error over WebSocket
	Detail   string        `json:"detail,omitzero"`
	Instance string        `json:"instance,omitzero"`
	Code     string        `json:"code"` // a word for programs: not_found, queue_full, …
	Errors   []MemberError `json:"errors,omitzero"`

	RetryAfter time.Duration `json:"-"` // how long the hub asks to wait; 0 if it does not say
	retry      bool          // over WebSocket: the hub says that trying again may help
	foreign    bool          // the answer is not the hub's, but for example a proxy's
}

// MemberError says what is wrong with one member of a request; Pointer is a JSON
// pointer (RFC 6901).
type MemberError struct {
	Pointer string `json:"pointer"`
	Detail  string `json:"detail"`
}

func (p *Problem) Error() string {
	s := p.Title
	if s == "" {
		s = p.Code
	}
	if p.Detail != "" {
		s += ": " + p.Detail
	}
	for _, e := range p.Errors {
		s += fmt.Sprintf(" (%s: %s)", e.Pointer, e.Detail)
	}
	return s
}

// Is makes errors.Is compare problems by Type, Status and Code, as far as target has them:
// errors.Is(err, &Problem{Code: "not_found"}).
func (p *Problem) Is(target error) bool {
	t, ok := target.(*Problem)
	return ok && t.Type+t.Code != "" && (t.Type == "" || t.Type == p.Type) && (t.Code == "" || t.Code == p.Code) && (t.Status == 0 || t.Status == p.Status)
}

// Unknown reports whether the hub may have accepted a submission although it returned err:
// the connection broke, the hub failed while answering, or a proxy answered in its place.
// Submit again with the same idempotency key until that succeeds: a later refusal is only
// about the later request.
func Unknown(err error) bool {
	if err == nil {
		return false
	}
	p, ok := errors.AsType[*Problem](err)
	return !ok || p.Status >= 500 && (p.foreign || p.Status != http.StatusServiceUnavailable)
}

// mostProblem bounds, in bytes, how much of an error's body is read.
const mostProblem = 64 << 10

func readProblem(res *http.Response) *Problem {
	text, _ := io.ReadAll(io.LimitReader(res.Body, mostProblem))
	p := &Problem{}
	if !strings.HasPrefix(res.Header.Get("Content-Type"), "application/problem+json") || json.Unmarshal(text, p) != nil {
		// The answer is a proxy's, or the server is not a hub.
		p = &Problem{Title: "The server answered " + res.Status, Detail: strings.TrimSpace(string(text[:min(len(text), 200)])), foreign: true}
	}
	p.Status = res.StatusCode
	if seconds, err := strconv.Atoi(res.Header.Get("Retry-After")); err == nil && seconds > 0 {
		p.RetryAfter = time.Duration(seconds) * time.Second
	}
	return p
}

package upstream

import (
	"errors"
	"net/http"
	"strings"

	"jobhub/jobs/httpheader"
)

// Split says what requests with the same member have in common. The zero value is nothing: each
// goes to a member at random.
type Split struct {
	by   splitBy
	name string
}

type splitBy uint8

const (
	byNothing splitBy = iota
	byConsumer
	byHeader
	byCookie
)

var errSplit = errors.New("must be consumer, header:NAME or cookie:NAME")

// ParseSplit reads the words of the configuration: consumer, header:NAME, cookie:NAME, or empty.
func ParseSplit(s string) (Split, error) {
	kind, name, named := strings.Cut(s, ":")
	switch {
	case s == "":
		return Split{}, nil
	case s == "consumer":
		return Split{by: byConsumer}, nil
	case !named || !httpheader.IsToken(name):
	case kind == "header":
		return Split{byHeader, http.CanonicalHeaderKey(name)}, nil
	case kind == "cookie":
		return Split{byCookie, name}, nil
	}
	return Split{}, errSplit
}

// Key returns the key of a client's request for Call.Key and Pool.Pick. It is empty if the
// request does not have what it is split by. consumer is who sends it; empty if not known.
func (s Split) Key(r *http.Request, consumer string) string {
	switch s.by {
	case byConsumer:
		return consumer
	case byHeader:
		return r.Header.Get(s.name)
	case byCookie:
		if c, err := r.Cookie(s.name); err == nil {
			return c.Value
		}
	}
	return ""
}

package call

import (
	"errors"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"slices"

	"jobhub/jobs"
	"jobhub/jobs/egress"
)

const maxRedirects = 5

var (
	errRedirects = errors.New("too many redirects")
	errLocation  = errors.New("the redirect can't be followed")
)

// methodChange is the error of a redirect that would turn a request like POST into a GET.
type methodChange struct {
	status   int
	method   string
	from, to *url.URL
}

func (e *methodChange) Error() string { return "the redirect changes the method" }

// hopTransport sends the requests of one attempt, from redirect to redirect.
type hopTransport struct {
	caller *caller
	via    jobs.Via
	expect []int
	at     *url.URL // URL of the newest request
	public bool     // a public server has answered before
}

// RoundTrip sends the request of one hop. Only requests to upstreams of the job's route go
// without the guard, on connections of their own. After a public server has answered, only
// public addresses are allowed: a redirect from outside must not lead into a range that was
// opened for jobs.
func (t *hopTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	switch {
	case egress.IsUpstream(t.via.Upstreams, req.URL):
		return t.caller.upstream(t.via).RoundTrip(req)
	case t.public:
		return t.caller.public.RoundTrip(req)
	}
	if t.caller.outbound.Get().Proxy != nil { // the connection leads to the proxy
		t.public = t.caller.guard.PublicURL(req.Context(), req.URL)
		return t.caller.transport.RoundTrip(req)
	}
	t.public = true // until the connection shows its address
	trace := &httptrace.ClientTrace{GotConn: func(got httptrace.GotConnInfo) { t.public = t.caller.isPublic(got.Conn.RemoteAddr()) }}
	return t.caller.transport.RoundTrip(req.WithContext(httptrace.WithClientTrace(req.Context(), trace)))
}

// guard decides where the next hop may go.
func (t *hopTransport) guard() *egress.Guard {
	if t.public {
		return t.caller.outside
	}
	return t.caller.guard
}

// cameByRoute reports whether the job was submitted by a route. Then a redirect is an answer
// like any other, as it is for a direct call of the route.
func cameByRoute(via jobs.Via) bool { return len(via.Upstreams) > 0 }

// redirect decides about the next hop, as http.Client.CheckRedirect.
func (t *hopTransport) redirect(next *http.Request, done []*http.Request) error {
	if slices.Contains(t.expect, next.Response.StatusCode) || cameByRoute(t.via) {
		return http.ErrUseLastResponse
	}
	if len(done) > maxRedirects {
		return errRedirects
	}
	last := done[len(done)-1]
	if status := next.Response.StatusCode; next.Method != last.Method && status != http.StatusSeeOther {
		return &methodChange{status, last.Method, last.URL, next.URL}
	}
	next.URL.RawQuery = egress.EscapeQuery(next.URL.RawQuery)
	switch code, _ := t.guard().Refuses(next.URL); code {
	case "":
	case jobs.BlockedAddress:
		return egress.ErrBlocked
	default:
		return errLocation
	}
	t.at = next.URL
	// On every hop net/http copies the headers of the first request again, so those that were
	// removed on an earlier hop must be removed again.
	home := egress.Origin(done[0].URL)
	away := func(r *http.Request) bool { return egress.Origin(r.URL) != home }
	if away(next) || slices.ContainsFunc(done, away) {
		for name := range next.Header {
			if !safeCrossOrigin(name) {
				delete(next.Header, name)
			}
		}
	}
	return nil
}

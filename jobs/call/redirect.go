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

// methodChange is a redirect that would turn a request with an effect into a GET.
type methodChange struct {
	status   int
	method   string
	from, to *url.URL
}

func (e *methodChange) Error() string { return "the redirect changes the method" }

// hopTransport is the way of one attempt from one URL to the next.
type hopTransport struct {
	caller *caller
	via    jobs.Via
	expect []int
	at     *url.URL // of the newest request
	public bool     // a public server was on the way
}

// RoundTrip sends the request of one hop. Only that to an upstream of the job's route goes
// without the guard, and on connections that no other request shares. From a public server on,
// all is public: nobody outside may send the hub into a range that was opened for its jobs.
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
	t.public = true // until the connection tells
	trace := &httptrace.ClientTrace{GotConn: func(got httptrace.GotConnInfo) { t.public = t.caller.isPublic(got.Conn.RemoteAddr()) }}
	return t.caller.transport.RoundTrip(req.WithContext(httptrace.WithClientTrace(req.Context(), trace)))
}

// guard judges what the next hop may lead to.
func (t *hopTransport) guard() *egress.Guard {
	if t.public {
		return t.caller.outside
	}
	return t.caller.guard
}

// cameByRoute reports whether the job came by a route. Then a redirect is an answer like any
// other, as it would be without the job.
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
	// net/http copies headers from the first request anew on every hop, so those
	// that an earlier hop took off must go again.
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

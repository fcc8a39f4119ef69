package call

import (
	"errors"
	"net/http"
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

// trip is the way of one attempt from one URL to the next.
type trip struct {
	caller *caller
	via    jobs.Via
	expect []int
	at     *url.URL // of the newest request
}

// RoundTrip sends the request of one hop. Only that to an upstream of the job's route goes
// past the guard, and on connections that no other request shares.
func (t *trip) RoundTrip(req *http.Request) (*http.Response, error) {
	if egress.Listed(t.via.Upstreams, req.URL) {
		return t.caller.upstreams.RoundTrip(req)
	}
	return t.caller.transport.RoundTrip(req)
}

// routed reports whether the job came by a route. Then a redirect is an answer like any
// other, as it would be without the job.
func routed(via jobs.Via) bool { return len(via.Upstreams) > 0 }

// redirect decides about the next hop, as http.Client.CheckRedirect.
func (t *trip) redirect(next *http.Request, done []*http.Request) error {
	if slices.Contains(t.expect, next.Response.StatusCode) || routed(t.via) {
		return http.ErrUseLastResponse
	}
	if len(done) > maxRedirects {
		return errRedirects
	}
	switch code, _ := t.caller.guard.Refuses(next.URL); code {
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
			if !harmless(name) {
				delete(next.Header, name)
			}
		}
	}
	return nil
}

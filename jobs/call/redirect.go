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
	guard  *egress.Guard
	expect []int
	at     *url.URL // of the newest request
}

// redirect decides about the next hop, as http.Client.CheckRedirect.
func (t *trip) redirect(next *http.Request, done []*http.Request) error {
	if slices.Contains(t.expect, next.Response.StatusCode) {
		return http.ErrUseLastResponse
	}
	if len(done) > maxRedirects {
		return errRedirects
	}
	switch code, _ := t.guard.Refuses(next.URL); code {
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

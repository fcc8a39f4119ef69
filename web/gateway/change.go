package gateway

import (
	"net/http"

	"github.com/go-json-experiment/json"

	"jobhub/jobs"
	"jobhub/web/gateway/transform"
)

// changer is the transport of proxied requests to a route that changes them or their answers.
type changer struct {
	next  http.RoundTripper
	route *Route
}

func (c *changer) RoundTrip(req *http.Request) (*http.Response, error) {
	out := req.Clone(req.Context())
	values := proxiedOf(req).values
	if c.route.Request != nil {
		if err := c.route.Request.Apply(out, values, c.route.MaxBody); err != nil {
			return nil, err
		}
	}
	return answerChanger{c.next, c.route, values}.RoundTrip(out)
}

// answerChanger changes the answers of a route.
type answerChanger struct {
	next   http.RoundTripper
	route  *Route
	values *transform.Values
}

func (c answerChanger) RoundTrip(req *http.Request) (*http.Response, error) {
	if c.route.Response == nil {
		return c.next.RoundTrip(req)
	}
	out := req.Clone(req.Context())
	c.route.Response.Prepare(out.Method, out.Header)
	res, err := c.next.RoundTrip(out)
	if err != nil {
		return nil, err
	}
	if err := c.route.Response.Apply(req.Context(), res, c.values, c.route.MaxBody); err != nil {
		res.Body.Close()
		return nil, err
	}
	return res, nil
}

// keptValues are the values for the rules about answers that are kept with a job. The caller's
// headers, query and claims are not kept for them.
type keptValues struct {
	Path     map[string]string   `json:"path,omitzero"`
	Rest     string              `json:"rest,omitzero"`
	Consumer *transform.Consumer `json:"consumer,omitzero"`
}

// keep returns what Via keeps of some values for a route's answers; nil if they have no rules.
func (r *Route) keep(v *transform.Values) (jobs.Value, error) {
	if r.Response == nil || v == nil {
		return nil, nil
	}
	return json.Marshal(keptValues{v.Path, v.Rest, &v.Consumer}, json.Deterministic(true))
}

// kept returns the values that Via has kept.
func kept(values jobs.Value) *transform.Values {
	var v keptValues
	if json.Unmarshal(values, &v) != nil || v.Consumer == nil { // none, or of an older version
		return &transform.Values{}
	}
	return &transform.Values{Path: v.Path, Rest: v.Rest, Consumer: *v.Consumer}
}

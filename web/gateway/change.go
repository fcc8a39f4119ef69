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
	values := proxiedOf(req).passing.Values
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
	Split    string              `json:"split,omitzero"` // see upstream.Call
}

// keep returns what Via keeps of a request; nil if nothing is needed.
func (r *Route) keep(req *http.Request, v *transform.Values) (jobs.Value, error) {
	var k keptValues
	if r.Pool != nil && v != nil {
		k.Split = r.Pool.SplitBy.Key(req, v.Consumer.Tenant+" "+v.Consumer.ID)
	}
	if r.Response != nil && v != nil {
		k.Path, k.Rest, k.Consumer = v.Path, v.Rest, &v.Consumer
	}
	if k.Split == "" && k.Consumer == nil {
		return nil, nil
	}
	return json.Marshal(k, json.Deterministic(true))
}

// kept returns what Via has kept; the zero value if it has nothing.
func kept(values jobs.Value) (k keptValues) {
	if json.Unmarshal(values, &k) != nil { // none
		return keptValues{}
	}
	return k
}

func (k keptValues) values() *transform.Values {
	v := &transform.Values{Path: k.Path, Rest: k.Rest}
	if k.Consumer != nil {
		v.Consumer = *k.Consumer
	}
	return v
}

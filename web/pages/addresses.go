package pages

import (
	"slices"

	"github.com/go-json-experiment/json"

	"jobhub/jobs"
	"jobhub/web/view"
)

// Everybody who may watch a job may see the host and path of a callback's URL; its user and
// its query may be secrets. The API returns a job as it was submitted; the dashboard and its
// downloads leave the secrets out.

// withoutAddresses is a job as the dashboard shows it: the URLs of its callbacks, or of a
// delivery, are cut to host and path.
func withoutAddresses(j jobs.Job) jobs.Job {
	j.Callbacks = slices.Clone(j.Callbacks)
	for i := range j.Callbacks {
		j.Callbacks[i].URL = view.HostPath(j.Callbacks[i].URL)
	}
	if j.Kind == jobs.KindWebhook && j.Input != nil {
		j.Input = deliveryWithoutAddresses(j.Input)
	}
	return j
}

// deliveryWithoutAddresses does the same for the input of a delivery, and for the job in the
// body that it sends. It returns null if the input can't be read.
func deliveryWithoutAddresses(input jobs.Value) jobs.Value {
	type callback struct {
		URL  string     `json:"url"`
		Rest jobs.Value `json:",embed"`
	}
	var in struct {
		URL  string `json:"url"`
		Body struct {
			Data struct {
				Callbacks []callback `json:"callbacks,omitempty"`
				Rest      jobs.Value `json:",embed"`
			} `json:"data"`
			Rest jobs.Value `json:",embed"`
		} `json:"body"`
		Rest jobs.Value `json:",embed"`
	}
	if json.Unmarshal(input, &in) != nil {
		return jobs.Value("null")
	}
	in.URL = view.HostPath(in.URL)
	for i := range in.Body.Data.Callbacks {
		c := &in.Body.Data.Callbacks[i]
		c.URL = view.HostPath(c.URL)
	}
	out, err := json.Marshal(in)
	if err != nil {
		return jobs.Value("null")
	}
	return out
}

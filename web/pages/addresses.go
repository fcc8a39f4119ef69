package pages

import (
	"slices"

	"github.com/go-json-experiment/json"

	"jobhub/jobs"
	"jobhub/web/view"
)

// The path of a callback's address may be known to all who watch; its user and its query
// may be secrets. The API gives a job as it was submitted, the dashboard and what it lets
// people download leave them out.

// withoutAddresses is a job as the dashboard shows it: of its callbacks, and of where a
// delivery goes, host and path.
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

// deliveryWithoutAddresses is the input of a delivery; what it sends is a job's document.
// It is null if it can't be read.
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

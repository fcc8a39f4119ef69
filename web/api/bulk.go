package api

import (
	"net/http"
	"net/url"
	"strconv"

	"jobhub/jobs"
	"jobhub/jobs/engine"
	"jobhub/web/gateway"
	"jobhub/web/rest"
)

// bulk is POST /v1/jobs:bulk. The filter is required; an empty one selects all jobs.
func (s *Server) bulk(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Action string `json:"action"`
		Filter *struct {
			State  string `json:"state"`
			Queue  string `json:"queue"`
			Kind   string `json:"kind"`
			Tag    string `json:"tag"`
			Parent string `json:"parent"`
			Q      string `json:"q"`
		} `json:"filter"`
		DryRun bool `json:"dry_run"`
	}
	body, err := rest.DecodeBody(w, r, rest.MaxReport, &in)
	if err != nil {
		return err
	}
	if in.Filter == nil {
		return rest.InvalidMember("/filter", "is required; {} means all jobs")
	}
	b := engine.Bulk{Action: engine.Action(in.Action), Caller: rest.Caller(r)}
	for name, value := range map[string]string{"state": in.Filter.State, "queue": in.Filter.Queue, "kind": in.Filter.Kind, "tag": in.Filter.Tag,
		"parent": in.Filter.Parent, "q": in.Filter.Q} {
		part, err := rest.ParseFilter(url.Values{name: {value}})
		if err != nil {
			return rest.InvalidMember("/filter/"+name, err.(*jobs.Problem).Errors[0].Detail)
		}
		switch name {
		case "state":
			b.Filter.States = part.States
		case "parent":
			b.Filter.Parent = part.Parent
		case "q":
			b.Filter.Text = part.Text
		}
	}
	b.Filter.Queue, b.Filter.Kind, b.Filter.Tag, b.Filter.Tenant = in.Filter.Queue, in.Filter.Kind, in.Filter.Tag, rest.Tenant(r)
	if in.DryRun {
		n, err := s.Engine.Count(rest.ClientContext(r.Context()), b)
		if err != nil {
			return err
		}
		return rest.WriteJSON(w, http.StatusOK, []byte(`{"count":`+strconv.FormatInt(n, 10)+`}`))
	}
	if b.Key, err = rest.IdempotencyKey(r, body); err != nil {
		return err
	}
	wait, waiting, err := PreferredWait(r)
	if err != nil {
		return err
	}
	spec, err := b.Spec()
	if err != nil {
		return err
	}
	spec.Via.Trace = gateway.Trace(r.Header)
	return s.Accept(w, r, spec, AcceptOptions{Waiting: waiting, Wait: wait, Body: s.AcceptedBody})
}

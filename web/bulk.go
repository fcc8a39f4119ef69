package web

import (
	"net/http"
	"net/url"
	"strconv"

	"jobhub/jobs"
	"jobhub/web/gateway"
)

// bulk is POST /v1/jobs:bulk. The filter has to be there; an empty one means all jobs.
func (s *Server) bulk(w http.ResponseWriter, r *http.Request) {
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
	body, err := decodeBody(w, r, maxReport, &in)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	if in.Filter == nil {
		s.fail(w, r, invalidMember("/filter", "is required; {} means all jobs"))
		return
	}
	b := jobs.Bulk{Action: jobs.Action(in.Action), Caller: caller(r)}
	for name, value := range map[string]string{"state": in.Filter.State, "queue": in.Filter.Queue, "kind": in.Filter.Kind, "tag": in.Filter.Tag,
		"parent": in.Filter.Parent, "q": in.Filter.Q} {
		part, err := listFilter(url.Values{name: {value}})
		if err != nil {
			s.fail(w, r, invalidMember("/filter/"+name, err.(*jobs.Problem).Errors[0].Detail))
			return
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
	b.Filter.Queue, b.Filter.Kind, b.Filter.Tag, b.Filter.Tenant = in.Filter.Queue, in.Filter.Kind, in.Filter.Tag, tenant(r)
	if in.DryRun {
		n, err := s.Engine.Count(clientOf(r.Context()), b)
		if err != nil {
			s.fail(w, r, err)
			return
		}
		writeJSON(w, http.StatusOK, []byte(`{"count":`+strconv.FormatInt(n, 10)+`}`))
		return
	}
	if b.Key, err = idempotencyKey(r, body); err != nil {
		s.fail(w, r, err)
		return
	}
	wait, waiting, err := preferredWait(r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	spec, err := b.Spec()
	if err != nil {
		s.fail(w, r, err)
		return
	}
	spec.Via.Trace = gateway.Trace(r.Header)
	s.accept(w, r, spec, preferred{waiting: waiting, wait: wait, body: s.acceptedBody})
}

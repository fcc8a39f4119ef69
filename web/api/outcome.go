package api

import (
	"io"
	"net/http"
	"strconv"
	"strings"

	"jobhub/jobs"
	"jobhub/jobs/egress"
	"jobhub/web/gateway"
	"jobhub/web/rest"
)

// controlsBrowser reports whether a response header makes browsers, caches or clients do
// something that affects the whole host. Outside of routes the hub never passes such a header
// on, since whoever submits a job could choose it.
func controlsBrowser(name string) bool {
	switch name {
	case "Set-Cookie", "Set-Cookie2", "Set-Login", "Clear-Site-Data", "Refresh", "Link",
		"Strict-Transport-Security", "Public-Key-Pins", "Public-Key-Pins-Report-Only", "Expect-Ct",
		"Www-Authenticate", "Proxy-Authenticate", "Authentication-Info", "Proxy-Authentication-Info",
		"Nel", "Report-To", "Reporting-Endpoints", "Alt-Svc", "Service-Worker-Allowed", "Service-Worker-Navigation-Preload", "Sourcemap", "X-Sourcemap",
		"Cache-Control", "Cdn-Cache-Control", "Surrogate-Control", "Expires", "Age", "Pragma", "Content-Disposition",
		"Content-Security-Policy", "Content-Security-Policy-Report-Only", "Integrity-Policy", "Integrity-Policy-Report-Only", "Permissions-Policy", "Feature-Policy", "Referrer-Policy",
		"Document-Policy", "Origin-Agent-Cluster", "Origin-Trial", "Accept-Ch", "Critical-Ch", "Supports-Loading-Mode", "Speculation-Rules",
		"X-Frame-Options", "X-Ua-Compatible", "X-Dns-Prefetch-Control", "X-Accel-Redirect", "X-Accel-Expires", "X-Accel-Buffering", "X-Sendfile", "No-Vary-Search",
		"Use-As-Dictionary", "Available-Dictionary", "Activate-Storage-Access", "Timing-Allow-Origin", "Observe-Browsing-Topics":
		return true
	}
	for _, prefix := range []string{"Access-Control-", "Cross-Origin-", "Sec-", "Attribution-Reporting-", "Ad-Auction-", "X-Permitted-"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// getResponse is GET /v1/jobs/{id}/response, the polling URL.
func (s *Server) getResponse(w http.ResponseWriter, r *http.Request) error {
	id, err := rest.JobID(r)
	if err != nil {
		return err
	}
	job, _, large, err := jobs.Brief(r.Context(), s.Store, rest.Tenant(r), id)
	if err != nil {
		return err
	}
	if job.State.Final() {
		return s.writeOutcome(w, r, &job, large)
	}
	w.Header().Set("Location", "/v1/jobs/"+id.String()+"/response")
	w.Header().Set("Retry-After", "1")
	b := append([]byte(`{"id":"`+id.String()+`","progress":"`+rest.ProgressState(&job)+`","links":`), jobs.AppendLinks(nil, id)...)
	return rest.WriteJSON(w, http.StatusAccepted, append(b, '}'))
}

// writeOutcome answers as a synchronous request would have been answered: with the upstream's
// response if there is one, with the result as JSON, or with the problem of the failure.
// The header AsyncResult distinguishes it from an answer about the polling itself.
func (s *Server) writeOutcome(w http.ResponseWriter, r *http.Request, job *jobs.Job, large bool) error {
	var stored, body *jobs.Payload // of the result and of the response
	if large {
		var err error
		if stored, body, err = s.OpenOutcome(r.Context(), job); err != nil {
			return err
		}
	}
	h := w.Header()
	if resp := job.Response; resp != nil {
		fromRoute, cors := len(job.Via.Upstreams) > 0, h.Get("Access-Control-Allow-Origin") != ""
		answer, header, length := rest.DecodeForClient(r, resp, body)
		if length < 0 {
			h.Add("Vary", "Accept-Encoding")
		}
		for name, values := range header {
			switch {
			case name == "Date", name == "Operation-Location" && h.Get(name) != "", name == "Preference-Applied" && h.Get(name) != "", gateway.IsHubHeader(name), !fromRoute && controlsBrowser(name), cors && strings.HasPrefix(name, "Access-Control-"):
			case name == "Vary":
				h[name] = append(h[name], values...)
			default:
				h[name] = values
			}
		}
		if fromRoute {
			gateway.DropHubCookies(h)
		} else {
			h.Set("Cache-Control", "private, no-store")
			h.Set("Content-Disposition", "attachment")
		}
		h.Set("Content-Security-Policy", "sandbox")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("AsyncResult", strconv.Itoa(resp.Status))
		switch {
		case r.Method == http.MethodHead && length == 0: // an answer to HEAD has the length of the body that it lacks
		case resp.Status == http.StatusNoContent, resp.Status == http.StatusNotModified:
			h.Del("Content-Length")
		case length >= 0:
			h.Set("Content-Length", strconv.FormatInt(length, 10))
		}
		if _, typed := resp.Header["Content-Type"]; !typed {
			h["Content-Type"] = nil // else the server would guess one
		}
		w.WriteHeader(resp.Status)
		if r.Method == http.MethodHead {
			return nil
		}
		if _, err := io.Copy(w, answer); err != nil && r.Context().Err() == nil {
			panic(http.ErrAbortHandler) // else a part would look complete
		}
		return nil
	}
	h.Set("Content-Security-Policy", "sandbox")
	if job.State == jobs.Succeeded {
		if stored != nil && stored.Left() <= rest.MaxInlineParts {
			whole, _, release, err := s.ReadFullJob(r.Context(), job.Tenant, job.ID)
			defer release()
			if err != nil {
				return err
			}
			job, stored = &whole, nil
		}
		h.Set("AsyncResult", "200")
		if stored != nil {
			h.Set("Content-Type", "application/json")
			h.Set("Cache-Control", "no-store")
			h.Set("Content-Length", strconv.FormatInt(stored.Left()+1, 10))
			w.WriteHeader(http.StatusOK)
			s.CopyPayload(w, r, stored)
			io.WriteString(w, "\n")
			return nil
		}
		return rest.WriteJSON(w, http.StatusOK, jobs.AppendValue(nil, job.Result))
	}
	p := outcomeProblem(job)
	h.Set("AsyncResult", strconv.Itoa(p.Status))
	return rest.WriteProblem(w, p, "/v1/jobs/"+job.ID.String())
}

// outcomeProblem returns why a job without a result ended, with the HTTP status for it.
func outcomeProblem(job *jobs.Job) jobs.Problem {
	p := jobs.Problem{Type: "urn:jobhub:problem:" + string(job.Reason), Title: "The job " + job.State.String(), Code: jobs.Code(job.Reason)}
	if job.Error != nil {
		p = *job.Error
	} else if job.State == jobs.Cancelled {
		p.Title, p.Code, p.Type = "Cancelled", "cancelled", "urn:jobhub:problem:cancelled"
		if p.Detail = "The job was cancelled before it had an answer."; job.Reason == jobs.ByDependency {
			p.Detail = "The job was cancelled because one that it waited for did not succeed."
		}
	}
	switch {
	case job.State == jobs.Cancelled:
		p.Status = http.StatusConflict
	case job.Reason == jobs.Expired:
		p.Status = http.StatusServiceUnavailable
	case job.Reason == jobs.TimedOut:
		p.Status = http.StatusGatewayTimeout
	case p.Code == egress.UpstreamUnreachable || p.Code == egress.UpstreamStatus || p.Code == jobs.BlockedAddress: // as for a synchronous request
		p.Status = http.StatusBadGateway
	default:
		p.Status = http.StatusInternalServerError
	}
	return p
}

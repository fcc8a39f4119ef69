package api

import (
	"net/http"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"jobhub/jobs"
	"jobhub/web/auth"
	"jobhub/web/rest"
)

// healthz is GET /healthz: the process answers.
func (s *Server) healthz(w http.ResponseWriter, r *http.Request) error {
	return rest.WriteJSON(w, http.StatusOK, append(rest.AppendText([]byte(`{"status":"ok","version":`), s.Version), '}'))
}

// readyBody returns the body of readyz. With detail it has the state of the configuration file,
// too: if a new file has errors, the hub continues with the old one and is ready.
func (s *Server) readyBody(detail bool) ([]byte, error) {
	type config struct {
		LoadedAt time.Time  `json:"loaded_at"`
		FailedAt *time.Time `json:"failed_at,omitzero"`
		Error    *string    `json:"error"`
	}
	var doc struct {
		Status string  `json:"status"`
		Config *config `json:"config,omitzero"`
	}
	doc.Status = "ready"
	if c := s.ConfigState(); c != nil && detail {
		doc.Config = &config{LoadedAt: c.LoadedAt.UTC().Truncate(time.Millisecond)}
		if c.Err != nil {
			text, at := strings.ToValidUTF8(c.Err.Error(), "\ufffd"), c.FailedAt.UTC().Truncate(time.Millisecond)
			doc.Config.Error, doc.Config.FailedAt = &text, &at
		}
	}
	return json.Marshal(doc, jsontext.AllowInvalidUTF8(true))
}

// readyz is GET /readyz: the hub accepts jobs. Callers with the right to measure get details.
func (s *Server) readyz(w http.ResponseWriter, r *http.Request) error {
	if err := s.Engine.Err(); err != nil {
		return jobs.Unavailable("Not ready", "The hub does not accept jobs; its log says why.")
	}
	select {
	case <-s.Gate.Closing:
		return jobs.Unavailable("Not ready", "The hub is shutting down.")
	default:
	}
	if !s.IsOwnHost(r.Host) { // DNS rebinding: no details for a foreign page
		return rest.WriteJSON(w, http.StatusOK, []byte(`{"status":"ready"}`))
	}
	who, err := s.Identify(r) // invalid credentials count as none here
	body, err := s.readyBody(err == nil && who.May(auth.Measure, auth.Target{}))
	if err != nil {
		return err
	}
	return rest.WriteJSON(w, http.StatusOK, body)
}

package api

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"

	"jobhub/jobs"
	"jobhub/jobs/engine"
	"jobhub/jobs/engine/attempt"
	"jobhub/web/clip"
	"jobhub/web/rest"
)

// This file reads the reports of workers about their attempts.

// report is POST /v1/leases/{token}/events, one JSON object per line.
func (s workers) report(w http.ResponseWriter, r *http.Request) error {
	err := rest.RequireUncompressed(w, r)
	var body []byte
	if err == nil {
		body, err = rest.ReadBody(w, r, rest.MaxReport)
	}
	if err != nil {
		return err
	}
	list, err := decodeReports(body)
	if err != nil {
		return err
	}
	token := r.PathValue("token")
	accepted, state, err := s.Engine.Workers.Report(r.Context(), rest.Tenant(r), token, list)
	if err != nil {
		return err
	}
	b := strconv.AppendUint([]byte(`{"accepted_to":`), accepted, 10)
	b = appendLeases(append(b, ','), map[string]engine.LeaseState{token: state})
	return rest.WriteJSON(w, http.StatusOK, append(b, '}'))
}

// decodeReports reads a worker's reports. A report of type log becomes output of the stream
// log.
func decodeReports(body []byte) (list []attempt.Report, err error) {
	for i, line := range bytes.Split(body, []byte{'\n'}) {
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		report, err := decodeReport(line)
		if p, ok := err.(*jobs.Problem); ok {
			p.Detail = fmt.Sprintf("Line %d: %s", i+1, p.Detail)
			return nil, p
		}
		list = append(list, report)
	}
	if len(list) == 0 {
		return nil, jobs.NewProblem(jobs.BadMessage, "Empty request", "Send at least one report, one JSON object per line.")
	}
	return list, nil
}

func decodeReport(line []byte) (attempt.Report, error) {
	var in struct {
		N       uint64     `json:"n"`
		Type    string     `json:"type"`
		Percent *float64   `json:"percent"`
		Message string     `json:"message"`
		Data    jobs.Value `json:"data"`
		Stream  string     `json:"stream"`
		Text    *string    `json:"text"`
		Base64  *string    `json:"base64"`
	}
	if err := jobs.Decode(line, &in); err != nil {
		return attempt.Report{}, err
	}
	if in.N == 0 {
		return attempt.Report{}, rest.InvalidMember("/n", "must be the number of the report, from 1")
	}
	out := attempt.Report{N: in.N}
	switch in.Type {
	case "progress":
		if in.Percent != nil && (*in.Percent < 0 || *in.Percent > 100) {
			return out, rest.InvalidMember("/percent", "must be from 0 to 100")
		}
		if len(in.Data) > rest.MaxProgressData {
			return out, rest.InvalidMember("/data", "must be up to "+strconv.Itoa(rest.MaxProgressData)+" bytes of JSON")
		}
		in.Message = clip.Shorten(in.Message, 1024)
		out.Progress = &jobs.Progress{Percent: in.Percent, Message: in.Message, Data: in.Data}
	case "checkpoint":
		if in.Data == nil {
			return out, rest.InvalidMember("/data", "is required: the state that the next attempt continues from")
		}
		if err := in.Data.Compact(); err != nil || len(in.Data) > jobs.MaxCheckpoint {
			return out, rest.InvalidMember("/data", "must be JSON of up to "+strconv.Itoa(jobs.MaxCheckpoint)+" bytes")
		}
		out.Checkpoint = in.Data
	case "log", "output":
		out.Stream = in.Stream
		if in.Type == "log" {
			out.Stream = "log"
		} else if out.Stream == "" {
			out.Stream = "stdout"
		}
		if len(out.Stream) > 64 {
			return out, rest.InvalidMember("/stream", "must be up to 64 bytes")
		}
		switch {
		case in.Text != nil && in.Base64 == nil:
			out.Output = []byte(*in.Text)
		case in.Base64 != nil && in.Text == nil:
			var err error
			if out.Output, err = base64.StdEncoding.DecodeString(*in.Base64); err != nil {
				return out, rest.InvalidMember("/base64", "must be base64 (RFC 4648 section 4)")
			}
		default:
			return out, rest.InvalidMember("/text", "give text or base64")
		}
	default:
		return out, rest.InvalidMember("/type", "must be progress, output, log or checkpoint")
	}
	return out, nil
}

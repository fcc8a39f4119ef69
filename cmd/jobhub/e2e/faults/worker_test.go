package faults

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"jobhub/cmd/jobhub/e2e/trial"
)

// rawWorker speaks the worker protocol without the client's help.
type rawWorker struct {
	hub  *trial.Hub
	http *http.Client
	id   string
}

// task is a job as a worker gets it.
type task struct {
	Lease   string         `json:"lease"`
	ID      string         `json:"id"`
	Attempt int            `json:"attempt"`
	Input   jsontext.Value `json:"input"`
}

// verdict is an answer to a worker, whole or a problem.
type verdict struct {
	status int
	body   []byte
	Code   string `json:"code"`
}

func (w *rawWorker) post(ctx context.Context, path, body string) (v verdict, err error) {
	a, err := w.hub.SendBy(ctx, w.http, "POST", path, body, trial.IsJSON)
	if err != nil {
		return v, err
	}
	v.status, v.body = a.Status, a.Body
	return v, json.Unmarshal(a.Body, &v)
}

func (w *rawWorker) register(ctx context.Context, kind string) error {
	v, err := w.post(ctx, "/v1/workers", fmt.Sprintf(`{"name":"raw","kinds":[%q],"slots":4}`, kind))
	if err != nil {
		return err
	}
	var out struct {
		ID string `json:"worker_id"`
	}
	err = json.Unmarshal(v.body, &out)
	w.id = out.ID
	return err
}

// lease asks for one job; nil if none came.
func (w *rawWorker) lease(ctx context.Context, wait time.Duration) (*task, error) {
	v, err := w.post(ctx, "/v1/workers/"+w.id+"/lease", fmt.Sprintf(`{"max":1,"wait":%q}`, wait))
	if err != nil {
		return nil, err
	}
	if v.status != http.StatusOK {
		return nil, fmt.Errorf("%d %s", v.status, v.body)
	}
	var out struct {
		Jobs []task `json:"jobs"`
	}
	if err := json.Unmarshal(v.body, &out); err != nil || len(out.Jobs) == 0 {
		return nil, err
	}
	return &out.Jobs[0], nil
}

// end ends an attempt by a verb.
func (w *rawWorker) end(ctx context.Context, token, verb, body string) (verdict, error) {
	return w.post(ctx, "/v1/leases/"+token+"/"+verb, body)
}

// both ends an attempt by two verbs at the same time, and says if more than one won.
func (w *rawWorker) both(ctx context.Context, k *task, result string) (complete, release verdict, err error) {
	var group sync.WaitGroup
	var errs [2]error
	group.Go(func() { complete, errs[0] = w.end(ctx, k.Lease, "complete", `{"result":`+result+`}`) })
	group.Go(func() { release, errs[1] = w.end(ctx, k.Lease, "release", `{}`) })
	group.Wait()
	for _, e := range errs {
		if e != nil {
			err = e
		}
	}
	return complete, release, err
}

// wrongEnds says what is wrong with the answers to two verbs of one attempt.
func wrongEnds(k *task, complete, release verdict) (wrong []string) {
	if complete.status == http.StatusOK && release.status == http.StatusOK {
		wrong = append(wrong, fmt.Sprintf("%s: both complete and release of one lease were accepted", k.ID))
	}
	for verb, v := range map[string]verdict{"complete": complete, "release": release} {
		if v.status != http.StatusOK && (v.status != http.StatusConflict || v.Code != "conflict" && v.Code != "lease_lost") {
			wrong = append(wrong, fmt.Sprintf("%s: %s was answered with %d %s", k.ID, verb, v.status, v.body))
		}
	}
	return wrong
}

// newHTTP is an HTTP client of its own, with connections for many callers.
func newHTTP(t *testing.T) *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 64
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

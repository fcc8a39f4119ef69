package client

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
)

// ErrUnfinished means that the job has not ended, so there is no response yet.
var ErrUnfinished = errors.New("the job has not ended yet")

// Response is the answer that a synchronous call would have had.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
}

// Response returns the response of a finished job: for an HTTP call the answer, byte for byte
// and with any status; for another job its result as JSON; for a job that failed without an
// answer its problem. It returns [ErrUnfinished] if the job has not ended; call
// [Client.Wait] first.
func (c *Client) Response(ctx context.Context, id string) (Response, error) {
	res, err := c.do(ctx, http.MethodGet, "/v1/jobs/"+url.PathEscape(id)+"/response", nil, nil)
	if err != nil {
		return Response{}, err
	}
	defer res.Body.Close()
	switch {
	case res.Header.Get("AsyncResult") != "":
	case res.StatusCode == http.StatusAccepted:
		return Response{}, ErrUnfinished
	default:
		return Response{}, readProblem(res)
	}
	body, err := io.ReadAll(res.Body)
	return Response{res.StatusCode, res.Header, body}, err
}

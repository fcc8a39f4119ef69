package client

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
)

// ErrUnfinished: the job has not ended, so there is no response yet.
var ErrUnfinished = errors.New("the job has not ended yet")

// Response is what a synchronous call would have been answered with in place of the job.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
}

// Response returns the response of a finished job: of an HTTP call the answer, byte for byte
// and whatever its status; of another job its result as JSON; of one that failed without
// an answer its problem. [ErrUnfinished] if the job has not ended; call [Client.Wait] before.
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

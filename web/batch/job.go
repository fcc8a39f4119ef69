package batch

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"jobhub/jobs"
	"jobhub/web/rest"
)

// handler returns the handler of asynchronous batches. Items run with the rights of the batch's
// caller. Answers are stored as they arrive; after a restart the items without one run again,
// with the same Idempotency-Key.
func (s *Server) handler() jobs.Handler {
	return jobs.Handler{
		Requests: true,
		Check: func(input jobs.Value, _ jobs.Via) error {
			_, err := decodeBatch(input)
			return err
		},
		Run: s.runBatch,
	}
}

const (
	publishEvery = 100 * time.Millisecond // least time between partial results; longer for large ones
	publishBytes = 1 << 20                // each so many bytes of a result add publishEvery
)

func (s *Server) runBatch(ctx context.Context, run jobs.Run) (jobs.Result, error) {
	job := run.Job()
	items, err := decodeBatch(job.Input)
	if err != nil {
		return jobs.Result{}, &jobs.Failure{Problem: err.(*jobs.Problem), Never: true}
	}
	b := newBatch(s, s.outerRequest(job), items, rest.MaxResult)
	defer b.releaseAll()
	b.key, b.resumable = itemKeys(job.ID.String()), true
	b.restore(job.Result)
	if b.start = job.StartedAt; len(items) <= maxTimedItems {
		b.times = make([]itemTime, len(items))
	}
	changed := make(chan struct{}, 1)
	b.onAnswer = func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	}
	var publisher sync.WaitGroup
	publishing, stop := context.WithCancel(context.Background())
	publisher.Go(func() { b.publish(publishing, run, changed) })
	b.run(rest.WithActingJob(ctx, job))
	stop()
	publisher.Wait()
	if ctx.Err() != nil { // the answers so far stay with the job
		b.reportPartial(run)
		return jobs.Result{}, context.Cause(ctx)
	}
	run.Report(b.progress())
	return jobs.Result{Value: b.document()}, nil
}

// publish reports the answers so far after each change, until ctx ends; large results less
// often.
func (b *batch) publish(ctx context.Context, run jobs.Run, changed <-chan struct{}) {
	for {
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
		size := b.reportPartial(run)
		select {
		case <-time.After(publishEvery * time.Duration(1+size/publishBytes)):
		case <-ctx.Done():
			return
		}
	}
}

// reportPartial sets the answers so far as the partial result, and returns its size in bytes.
func (b *batch) reportPartial(run jobs.Run) int {
	p := b.progress()
	result := b.document()
	run.Partial(result, p)
	return len(result)
}

// progress returns how many items have an answer, how many of these are not 2xx, and for a
// small batch when each item ran: [from, to] in ms since the start, to is -1 while it runs.
func (b *batch) progress() jobs.Progress {
	b.mu.Lock()
	defer b.mu.Unlock()
	percent := 100 * float64(b.answered) / float64(max(len(b.items), 1))
	data := fmt.Appendf(nil, `{"completed":%d,"failed":%d,"total":%d`, b.answered, b.failures, len(b.items))
	if b.times != nil {
		data = append(data, `,"times":[`...)
		for i, t := range b.times {
			if i > 0 {
				data = append(data, ',')
			}
			if t == nil {
				data = append(data, "null"...)
			} else {
				data = fmt.Appendf(data, "[%d,%d]", t[0], t[1])
			}
		}
		data = append(data, ']')
	}
	return jobs.Progress{Percent: &percent, Message: fmt.Sprintf("%d of %d", b.answered, len(b.items)), Data: append(data, '}')}
}

// restore takes over the answers of an earlier attempt.
func (b *batch) restore(result jobs.Value) {
	var before struct {
		Responses []jobs.Value `json:"responses"`
	}
	if json.Unmarshal(result, &before, lenient) != nil || len(before.Responses) != len(b.items) {
		return
	}
	for i, r := range before.Responses {
		r, err := jobs.CompactJSON(r, jobs.MaxDepth-2) // an answer stored by an older version may fail; the item runs again
		if err == nil && r.Kind() != jsontext.KindNull {
			b.responses[i] = r
			b.answered++
			if !succeeded(r) {
				b.failures++
			}
			b.bytesLeft.Add(-int64(len(r)))
		}
	}
}

// outerRequest returns a request in place of the one that submitted the batch, which has ended.
func (s *Server) outerRequest(job *jobs.Job) *http.Request {
	host := "localhost"
	if u, err := url.Parse(s.Origin); err == nil && u.Host != "" {
		host = u.Host
	}
	header := http.Header{"User-Agent": {"jobhub"}}
	job.Via.SetTrace(header)
	return &http.Request{Header: header, Host: host, RemoteAddr: "127.0.0.1:0"}
}

// itemBody returns the body of an item's request and its Content-Type.
func itemBody(v jobs.Value) (body []byte, contentType string, err error) {
	switch v.Kind() {
	case jsontext.KindInvalid, jsontext.KindNull:
		return nil, "", nil
	case jsontext.KindString:
		text, err := jsontext.AppendUnquote(nil, v)
		return text, "text/plain; charset=utf-8", err
	case jsontext.KindBeginObject:
		var binary struct {
			Base64 *string `json:"base64"`
		}
		if json.Unmarshal(v, &binary, json.RejectUnknownMembers(true)) == nil && binary.Base64 != nil {
			if body, err = base64.StdEncoding.DecodeString(*binary.Base64); err != nil {
				return nil, "", errors.New("body.base64 must be base64 (RFC 4648, with padding)")
			}
			return body, "application/octet-stream", nil
		}
	}
	return v, "application/json", nil
}

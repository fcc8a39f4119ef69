package engine

import (
	"time"

	"jobhub/jobs"
)

// appendDelivery appends the input of a delivery.
func appendDelivery(b []byte, id string, c *jobs.Callback, trace string, body jobs.Value) jobs.Value {
	b = jobs.AppendString(append(b, `{"id":`...), id)
	b = jobs.AppendString(append(b, `,"url":`...), c.URL)
	if trace != "" {
		b = jobs.AppendString(append(b, `,"traceparent":`...), trace)
	}
	return append(append(append(b, `,"body":`...), body...), '}')
}

// callbackBody is what a delivery sends: {"type","timestamp","data"}, data being the job
// document. Over MaxEventData its input and then its result are null, and
// "truncated":true says that they are to be fetched.
func callbackBody(job *jobs.Job, t jobs.EventType, at time.Time, epoch string) jobs.Value {
	write := func(j *jobs.Job, truncated bool) jobs.Value { return appendBody(j, t, at, epoch, truncated) }
	cut := *job
	if len(cut.Input) > jobs.MaxEventData { // do not encode what would be dropped
		cut.Input = nil
	}
	if len(cut.Result) > jobs.MaxEventData || cut.Response != nil && len(cut.Response.Body) > jobs.MaxEventData {
		cut.Result, cut.Response = nil, nil
	}
	whole := (cut.Input != nil) == (job.Input != nil) && (cut.Result != nil) == (job.Result != nil) && (cut.Response != nil) == (job.Response != nil)
	b := write(&cut, !whole)
	if len(b) > jobs.MaxEventData {
		cut.Input = nil
		b = write(&cut, true)
	}
	if len(b) > jobs.MaxEventData {
		cut.Result, cut.Response = nil, nil
		b = write(&cut, true)
	}
	return b
}

func appendBody(j *jobs.Job, t jobs.EventType, at time.Time, epoch string, truncated bool) jobs.Value {
	b := jobs.AppendString(append(make([]byte, 0, 1024+len(j.Input)+len(j.Result)), `{"type":`...), t.String())
	b = jobs.AppendTime(append(b, `,"timestamp":`...), at)
	b = j.AppendMembers(append(b, `,"data":{`...), jobs.Position{Epoch: epoch, Seq: j.Seq})
	if truncated {
		b = append(b, `,"truncated":true`...)
	}
	return append(jobs.AppendLinks(append(b, `,"links":`...), j.ID), "}}"...)
}

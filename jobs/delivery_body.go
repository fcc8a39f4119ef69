package jobs

import "time"

// appendDelivery appends the input of a delivery.
func appendDelivery(b []byte, id string, c *Callback, trace string, body Value) Value {
	b = appendString(append(b, `{"id":`...), id)
	b = appendString(append(b, `,"url":`...), c.URL)
	if trace != "" {
		b = appendString(append(b, `,"traceparent":`...), trace)
	}
	return append(append(append(b, `,"body":`...), body...), '}')
}

// callbackBody is what a delivery sends: {"type","timestamp","data"}, data being the job
// document. Over MaxEventData its input and then its result are null, and
// "truncated":true says that they are to be fetched.
func callbackBody(job *Job, t EventType, at time.Time, epoch string) Value {
	write := func(j *Job, truncated bool) Value { return appendBody(j, t, at, epoch, truncated) }
	cut := *job
	if len(cut.Input) > MaxEventData { // do not encode what would be dropped
		cut.Input = nil
	}
	if len(cut.Result) > MaxEventData || cut.Response != nil && len(cut.Response.Body) > MaxEventData {
		cut.Result, cut.Response = nil, nil
	}
	whole := (cut.Input != nil) == (job.Input != nil) && (cut.Result != nil) == (job.Result != nil) && (cut.Response != nil) == (job.Response != nil)
	b := write(&cut, !whole)
	if len(b) > MaxEventData {
		cut.Input = nil
		b = write(&cut, true)
	}
	if len(b) > MaxEventData {
		cut.Result, cut.Response = nil, nil
		b = write(&cut, true)
	}
	return b
}

func appendBody(j *Job, t EventType, at time.Time, epoch string, truncated bool) Value {
	b := appendString(append(make([]byte, 0, 1024+len(j.Input)+len(j.Result)), `{"type":`...), t.String())
	b = appendTime(append(b, `,"timestamp":`...), at)
	b = j.AppendMembers(append(b, `,"data":{`...), Position{epoch, j.Seq})
	if truncated {
		b = append(b, `,"truncated":true`...)
	}
	return append(AppendLinks(append(b, `,"links":`...), j.ID), "}}"...)
}

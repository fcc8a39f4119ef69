package jobs

import (
	"math"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// This file writes the public JSON of jobs and events.
// It appends to a buffer because every event passes through it.

// TimeFormat is RFC 3339 in UTC with milliseconds, the precision that is stored.
const TimeFormat = "2006-01-02T15:04:05.000Z"

// AppendMembers appends the members of the job document, without the braces around
// them, so that a caller can add its own (the API adds links).
func (j *Job) AppendMembers(b []byte, pos Position) []byte {
	b = AppendString(append(b, `"id":`...), j.ID.String())
	b = AppendString(append(b, `,"kind":`...), j.Kind)
	b = AppendString(append(b, `,"queue":`...), j.Queue)
	b = AppendString(append(b, `,"tenant":`...), j.Tenant)
	b = AppendString(append(b, `,"state":`...), j.State.String())
	b = AppendString(append(b, `,"reason":`...), string(j.Reason))
	b = AppendInt(append(b, `,"priority":`...), j.Priority)
	b = appendTags(append(b, `,"tags":`...), j.Tags)
	b = AppendString(append(b, `,"ordering_key":`...), j.OrderingKey)
	b = AppendString(append(b, `,"fair_key":`...), j.FairKey)
	b = AppendValue(append(b, `,"input":`...), j.Input)
	b = AppendValue(append(b, `,"result":`...), j.ResultValue())
	b = j.Error.AppendJSON(append(b, `,"error":`...))
	b = j.Progress.AppendJSON(append(b, `,"progress":`...))
	b = AppendInt(append(b, `,"attempt":`...), j.Attempt)
	b = AppendInt(append(b, `,"start":`...), j.Start)
	b = AppendInt(append(b, `,"max_attempts":`...), j.MaxAttempts)
	b = AppendTime(append(b, `,"created_at":`...), j.CreatedAt)
	b = AppendTime(append(b, `,"scheduled_at":`...), j.ScheduledAt)
	b = AppendTime(append(b, `,"started_at":`...), j.StartedAt)
	b = AppendTime(append(b, `,"finished_at":`...), j.FinishedAt)
	b = AppendTime(append(b, `,"expires_at":`...), j.ExpiresAt)
	b = AppendTime(append(b, `,"retained_until":`...), j.RetainedUntil)
	b = append(b, `,"cancel_requested":`...)
	b = strconv.AppendBool(b, j.CancelRequested)
	b = appendID(append(b, `,"retry_of":`...), j.RetryOf)
	b = appendID(append(b, `,"retried_by":`...), j.RetriedBy)
	b = appendID(append(b, `,"parent":`...), j.Parent)
	if j.Unique != nil {
		b = j.Unique.appendJSON(append(b, `,"unique":`...))
	}
	if len(j.Callbacks) > 0 && j.Kind != KindWebhook {
		b = AppendCallbacks(append(b, `,"callbacks":`...), j.Callbacks)
	}
	b = strconv.AppendUint(append(b, `,"version":`...), j.Version, 10)
	b = AppendString(append(b, `,"epoch":`...), pos.Epoch)
	return strconv.AppendUint(append(b, `,"seq":`...), pos.Seq, 10)
}

// AppendLinks appends the JSON object with the paths of a job on its hub.
func AppendLinks(b []byte, id ID) []byte {
	self := "/v1/jobs/" + id.String()
	b = append(b, `{"self":"`+self+`","response":"`+self+`/response","cancel":"`+self+`/cancel","events":"/v1/ws?job=`...)
	return append(b, id.String()+`","html":"/jobs/`+id.String()+`"}`...)
}

// ResultValue is the result as JSON: of a response, its status, headers and body.
func (j *Job) ResultValue() Value {
	if j.Response != nil {
		return j.Response.JSON(j.Via.Mask)
	}
	return j.Result
}

// resultSize is about the length of the result.
func (j *Job) ResultSize() int {
	if j.Response != nil {
		return j.Response.DecodedSize(maxDecoded)
	}
	return len(j.Result)
}

// ChangedData is the data of the event of a change: the members in
// fields as they are now, always with the state.
func (j *Job) ChangedData(fields Field) Value {
	b := AppendString(append(make([]byte, 0, 160), `{"state":`...), j.State.String())
	if fields.Has(FieldState) && j.State.Final() {
		b = AppendString(append(b, `,"reason":`...), string(j.Reason))
	}
	if fields.Has(FieldQueue) {
		b = AppendString(append(b, `,"queue":`...), j.Queue)
	}
	if fields.Has(FieldPriority) {
		b = AppendInt(append(b, `,"priority":`...), j.Priority)
	}
	if fields.Has(FieldTags) {
		b = appendTags(append(b, `,"tags":`...), j.Tags)
	}
	if fields.Has(FieldRetried) {
		b = appendID(append(b, `,"retried_by":`...), j.RetriedBy)
	}
	if fields.Has(FieldAttempt) {
		b = AppendInt(append(b, `,"attempt":`...), j.Attempt)
	}
	if fields.Has(FieldScheduled) {
		b = AppendTime(append(b, `,"scheduled_at":`...), j.ScheduledAt)
	}
	if fields.Has(FieldExpires) {
		b = AppendTime(append(b, `,"expires_at":`...), j.ExpiresAt)
	}
	if fields.Has(FieldStarted) {
		b = AppendInt(append(b, `,"start":`...), j.Start)
		b = AppendTime(append(b, `,"started_at":`...), j.StartedAt)
	}
	if fields.Has(FieldFinished) {
		b = AppendTime(append(b, `,"finished_at":`...), j.FinishedAt)
	}
	if fields.Has(FieldRetained) {
		b = AppendTime(append(b, `,"retained_until":`...), j.RetainedUntil)
	}
	if fields.Has(FieldProgress) {
		b = j.Progress.AppendJSON(append(b, `,"progress":`...))
	}
	if fields.Has(FieldCancel) {
		b = strconv.AppendBool(append(b, `,"cancel_requested":`...), j.CancelRequested)
	}
	if fields.Has(FieldError) {
		b = j.Error.AppendJSON(append(b, `,"error":`...))
	}
	if fields.Has(FieldResult) {
		b = AppendValue(append(b, `,"result":`...), j.ResultValue())
	}
	return append(b, '}')
}

// acceptedData is the data of a job's first event: the members that the event itself does not
// have.
func (j *Job) AcceptedData() Value {
	b := AppendString(append(make([]byte, 0, 192+len(j.Input)), `{"state":`...), j.State.String())
	b = AppendInt(append(b, `,"priority":`...), j.Priority)
	b = AppendInt(append(b, `,"max_attempts":`...), j.MaxAttempts)
	b = AppendTime(append(b, `,"created_at":`...), j.CreatedAt)
	if !j.ScheduledAt.IsZero() {
		b = AppendTime(append(b, `,"scheduled_at":`...), j.ScheduledAt)
	}
	if !j.ExpiresAt.IsZero() {
		b = AppendTime(append(b, `,"expires_at":`...), j.ExpiresAt)
	}
	if j.OrderingKey != "" {
		b = AppendString(append(b, `,"ordering_key":`...), j.OrderingKey)
	}
	if j.FairKey != "" {
		b = AppendString(append(b, `,"fair_key":`...), j.FairKey)
	}
	if j.RetryOf != (ID{}) {
		b = appendID(append(b, `,"retry_of":`...), j.RetryOf)
	}
	if j.Parent != (ID{}) {
		b = appendID(append(b, `,"parent":`...), j.Parent)
	}
	if j.Unique != nil {
		b = j.Unique.appendJSON(append(b, `,"unique":`...))
	}
	if len(j.Callbacks) > 0 && j.Kind != KindWebhook {
		b = AppendCallbacks(append(b, `,"callbacks":`...), j.Callbacks)
	}
	b = AppendValue(append(b, `,"input":`...), j.Input)
	return append(b, '}')
}

// progressData is the data of a progress event: the progress, and the number of the start
// that reported it.
func ProgressData(p *Progress, start int) Value {
	b := p.AppendJSON(make([]byte, 0, 96+len(p.Message)+len(p.Data)))
	b = AppendInt(append(b[:len(b)-1], `,"start":`...), start)
	return append(b, '}')
}

// AppendJSON appends the event as it goes to subscribers.
func (e *Event) AppendJSON(b []byte, epoch string) []byte {
	b = AppendString(append(b, `{"type":`...), e.Type.String())
	b = AppendString(append(b, `,"epoch":`...), epoch)
	b = strconv.AppendUint(append(b, `,"seq":`...), e.Seq, 10)
	b = appendID(append(b, `,"job":`...), e.Job)
	b = AppendString(append(b, `,"queue":`...), e.Queue)
	b = AppendString(append(b, `,"kind":`...), e.Kind)
	b = appendTags(append(b, `,"tags":`...), e.Tags)
	b = strconv.AppendUint(append(b, `,"version":`...), e.Version, 10)
	b = AppendTime(append(b, `,"at":`...), e.At)
	if e.Truncated {
		return append(b, `,"data":null,"truncated":true}`...)
	}
	b = append(b, `,"data":`...)
	if len(e.Data) == 0 {
		b = append(b, "null"...)
	}
	return append(append(b, e.Data...), '}')
}

func AppendString(b []byte, s string) []byte {
	b, _ = jsontext.AppendQuote(b, s) // its only error is for invalid UTF-8, which it replaces
	return b
}

func AppendInt(b []byte, n int) []byte { return strconv.AppendInt(b, int64(n), 10) }

func AppendTime(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return append(b, "null"...)
	}
	return append(t.UTC().AppendFormat(append(b, '"'), TimeFormat), '"')
}

func appendID(b []byte, id ID) []byte {
	if id == (ID{}) {
		return append(b, `""`...)
	}
	return append(append(append(b, '"'), id.String()...), '"')
}

func appendTags(b []byte, tags []string) []byte {
	b = append(b, '[')
	for i, t := range tags {
		if i > 0 {
			b = append(b, ',')
		}
		b = AppendString(b, t)
	}
	return append(b, ']')
}

// AppendValue appends a value as it is stored; null for none.
func AppendValue(b []byte, v Value) []byte {
	if len(v) == 0 {
		return append(b, "null"...)
	}
	return append(b, v...)
}

// AppendJSON appends the progress; null for nil. Its data must be JSON.
func (p *Progress) AppendJSON(b []byte) []byte {
	if p == nil {
		return append(b, "null"...)
	}
	b = append(b, `{"percent":`...)
	if p.Percent == nil || math.IsNaN(*p.Percent) || math.IsInf(*p.Percent, 0) {
		b = append(b, "null"...)
	} else {
		b = jsontext.AppendFloat(b, *p.Percent, 64)
	}
	b = AppendString(append(b, `,"message":`...), p.Message)
	b = AppendValue(append(b, `,"data":`...), p.Data)
	return append(b, '}')
}

// MarshalJSON implements json.Marshaler.
func (p Progress) MarshalJSON() ([]byte, error) { return p.AppendJSON(nil), nil }

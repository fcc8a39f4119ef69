package schedule

import (
	"bytes"
	"cmp"
	"errors"

	"github.com/go-json-experiment/json/jsontext"

	"jobhub/jobs"
)

// Shown is the job of a schedule without the secrets of its callbacks. Saving the schedule takes it
// back.
func (s *Schedule) Shown() jobs.Value {
	spec, err := jobs.DecodeSpec(s.Job)
	if err == nil && len(spec.Callbacks) == 0 {
		return s.Job
	}
	var shown jobs.Value
	if err == nil {
		shown, err = editMember(s.Job, "callbacks", func(jobs.Value) jobs.Value { return jobs.AppendCallbacks(nil, spec.Callbacks) })
	}
	if err != nil { // not after it was checked
		return jobs.Value("null")
	}
	return shown
}

// RestoreSecrets puts the secrets of the stored schedule's callbacks into job, where it shows
// the same callbacks with hidden ones. Without mine that is an error, as secrets are of the
// caller who gave them.
func (s *Schedule) RestoreSecrets(job jobs.Value, mine bool) (jobs.Value, error) {
	spec, err := jobs.DecodeSpec(s.Credentials.Join(s.Job))
	if err != nil || len(spec.Callbacks) == 0 {
		return job, nil
	}
	var refused error
	restored, err := editMember(job, "callbacks", func(value jobs.Value) jobs.Value {
		restored, err := jobs.RestoreCallbacks("/job/callbacks", value, spec.Callbacks, mine)
		refused = err
		return restored
	})
	if err != nil { // it is no object, which the check of the job says better
		return job, nil
	}
	return restored, refused
}

// editMember returns a JSON object with another value of one member, if it has that.
func editMember(object jobs.Value, name string, edit func(jobs.Value) jobs.Value) (jobs.Value, error) {
	d := jsontext.NewDecoder(bytes.NewReader(object))
	if opening, err := d.ReadToken(); err != nil || opening.Kind() != '{' {
		return nil, cmp.Or(err, errNoObject)
	}
	b := []byte{'{'}
	for d.PeekKind() == '"' {
		token, err := d.ReadToken()
		if err != nil {
			return nil, err
		}
		member := token.String() // before the token's text goes with the next one
		value, err := d.ReadValue()
		if err != nil {
			return nil, err
		}
		if member == name {
			value = edit(value)
		}
		b = append(append(append(jobs.AppendString(b, member), ':'), value...), ',')
	}
	if _, err := d.ReadToken(); err != nil {
		return nil, err
	}
	return append(bytes.TrimSuffix(b, []byte{','}), '}'), nil
}

var errNoObject = errors.New("the job is not an object")

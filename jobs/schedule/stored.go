package schedule

import (
	"bytes"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"jobhub/jobs"
)

// Decode reads a schedule as it is stored, by this version or a former one.
func Decode(d jobs.Document) (s Schedule, err error) {
	if err = json.Unmarshal(d.Data, &s); err != nil {
		err = fmt.Errorf("schedule %s: %w", d.Name, err)
	}
	s.Name, s.Job = d.Name, renameFairKey(s.Job)
	return s, err
}

// renameFairKey gives the fair key of a submission its name: it was called key before.
func renameFairKey(job jobs.Value) jobs.Value {
	d := jsontext.NewDecoder(bytes.NewReader(job))
	if _, err := d.ReadToken(); err != nil { // the brace
		return job
	}
	for d.PeekKind() == '"' {
		name, err := d.ReadValue()
		if err != nil {
			break
		}
		if text, _ := jsontext.AppendUnquote(nil, name); string(text) == "key" {
			end := int(d.InputOffset())
			start := end - len(name)
			return append(append(job[:start:start], `"fair_key"`...), job[end:]...)
		}
		if d.SkipValue() != nil {
			break
		}
	}
	return job
}

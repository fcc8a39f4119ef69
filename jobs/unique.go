package jobs

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Unique accepts a job only if there is no equal one. It is compared with jobs of its tenant
// that were submitted with the same By. The zero value of each member means its default.
type Unique struct {
	By       []string `json:"by"`              // what has to be equal: kind, queue, input, fair_key; by default the first three
	While    string   `json:"while"`           // which jobs count: unfinished (the default) or kept
	Within   Duration `json:"within,omitzero"` // only jobs accepted in this time before count; 0 for all
	Conflict string   `json:"conflict"`        // return (the default), refuse or replace
}

// appendJSON appends it as it is shown.
func (u *Unique) appendJSON(b []byte) []byte {
	b = appendTags(append(b, `{"by":`...), u.By)
	b = AppendString(append(b, `,"while":`...), u.While)
	if u.Within > 0 {
		b = AppendString(append(b, `,"within":`...), time.Duration(u.Within).String())
	}
	return append(AppendString(append(b, `,"conflict":`...), u.Conflict), '}')
}

var (
	uniqueBy        = []string{"kind", "queue", "input", "fair_key"}
	uniqueWhiles    = []string{"unfinished", "kept"}
	uniqueConflicts = []string{"return", "refuse", "replace"}
)

// uniqueDocument is Unique as a caller submits it.
type uniqueDocument struct {
	By       []string `json:"by"`
	While    *string  `json:"while"`
	Within   *string  `json:"within"`
	Conflict *string  `json:"conflict"`
}

// unique reads the member of that name.
func (d *uniqueDocument) unique() (*Unique, error) {
	u := &Unique{By: d.By, While: uniqueWhiles[0], Conflict: uniqueConflicts[0]}
	if u.By == nil {
		u.By = uniqueBy[:3]
	}
	if len(u.By) == 0 {
		return nil, Invalid("/unique/by", "must name at least one of kind, queue, input, fair_key; leave it out for the first three")
	}
	for i, name := range u.By {
		if !slices.Contains(uniqueBy, name) || slices.Contains(u.By[:i], name) {
			return nil, Invalid(fmt.Sprintf("/unique/by/%d", i), "must be kind, queue, input or fair_key, each once")
		}
	}
	if d.While != nil {
		if u.While = *d.While; !slices.Contains(uniqueWhiles, u.While) {
			return nil, Invalid("/unique/while", "must be unfinished or kept")
		}
	}
	if d.Conflict != nil {
		if u.Conflict = *d.Conflict; !slices.Contains(uniqueConflicts, u.Conflict) {
			return nil, Invalid("/unique/conflict", "must be return, refuse or replace")
		}
	}
	within, err := duration("/unique/within", d.Within, 0, time.Second, maxHorizon)
	u.Within = Duration(within)
	return u, err
}

// key is the same for jobs that are equal by Unique. Inputs are equal if their values are,
// whatever the order of members, white space and the escapes of strings. Numbers are compared
// as text, so that 1 and 1.0 differ.
func (u *Unique) Key(j *Job) []byte {
	members := map[string]Value{}
	for _, name := range u.By {
		switch name {
		case "kind":
			members[name] = AppendString(nil, j.Kind)
		case "queue":
			members[name] = AppendString(nil, j.Queue)
		case "fair_key":
			members[name] = AppendString(nil, j.FairKey)
		case "input":
			members[name] = canonical(j.Input)
		}
	}
	text, err := json.Marshal(members, json.Deterministic(true))
	if err != nil { // texts and valid JSON only
		panic(err)
	}
	sum := sha256.Sum256(append(AppendString(nil, j.Tenant), text...))
	return sum[:]
}

// canonical is RFC 8785 but for numbers, which keep their digits.
func canonical(v Value) Value {
	v = v.Clone()
	if err := v.Format(jsontext.ReorderRawObjects(true), jsontext.CanonicalizeRawInts(false), jsontext.CanonicalizeRawFloats(false),
		jsontext.PreserveRawStrings(false), jsontext.SpaceAfterColon(false), jsontext.SpaceAfterComma(false), jsontext.Multiline(false)); err != nil {
		panic(err) // an input is valid JSON
	}
	return v
}

package jobs

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Unique asks that a job be accepted only if no job like it is there. It is compared with
// jobs of its tenant that were submitted with the same By. The zero value of each member
// means its default.
type Unique struct {
	By       []string `json:"by"`              // what has to be equal: kind, queue, input, fair_key; the first three
	While    string   `json:"while"`           // unfinished or kept: until when a job counts; unfinished
	Within   Duration `json:"within,omitzero"` // only jobs accepted in this time before count; all
	Conflict string   `json:"conflict"`        // return, refuse or replace; return
}

// appendJSON appends it as it is shown.
func (u *Unique) appendJSON(b []byte) []byte {
	b = appendTags(append(b, `{"by":`...), u.By)
	b = appendString(append(b, `,"while":`...), u.While)
	if u.Within > 0 {
		b = appendString(append(b, `,"within":`...), time.Duration(u.Within).String())
	}
	return append(appendString(append(b, `,"conflict":`...), u.Conflict), '}')
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
		return nil, invalid("/unique/by", "must name at least one of kind, queue, input, fair_key; leave it out for the first three")
	}
	for i, name := range u.By {
		if !slices.Contains(uniqueBy, name) || slices.Contains(u.By[:i], name) {
			return nil, invalid(fmt.Sprintf("/unique/by/%d", i), "must be kind, queue, input or fair_key, each once")
		}
	}
	if d.While != nil {
		if u.While = *d.While; !slices.Contains(uniqueWhiles, u.While) {
			return nil, invalid("/unique/while", "must be unfinished or kept")
		}
	}
	if d.Conflict != nil {
		if u.Conflict = *d.Conflict; !slices.Contains(uniqueConflicts, u.Conflict) {
			return nil, invalid("/unique/conflict", "must be return, refuse or replace")
		}
	}
	within, err := duration("/unique/within", d.Within, 0, time.Second, maxHorizon)
	u.Within = Duration(within)
	return u, err
}

// key is the same for jobs that Unique takes to be the same. Inputs are the same if they
// have the same values whatever the order of members, white space and the escapes of
// strings; numbers are compared by their digits, so that 1 and 1.0 differ.
func (u *Unique) key(j *Job) []byte {
	members := map[string]Value{}
	for _, name := range u.By {
		switch name {
		case "kind":
			members[name] = appendString(nil, j.Kind)
		case "queue":
			members[name] = appendString(nil, j.Queue)
		case "fair_key":
			members[name] = appendString(nil, j.FairKey)
		case "input":
			members[name] = canonical(j.Input)
		}
	}
	text, err := json.Marshal(members, json.Deterministic(true))
	if err != nil { // texts and valid JSON only
		panic(err)
	}
	sum := sha256.Sum256(append(appendString(nil, j.Tenant), text...))
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

// uniquePeers are the jobs with which a job can't be there at the same time.
func (e *Engine) uniquePeers(j *Job) []*Peers {
	if j.Unique == nil {
		return nil
	}
	u := j.Unique
	p := &Peers{UniqueKey: j.UniqueKey, Kept: u.While == "kept" && j.RetryOf == (ID{})} // a retry repeats one that is kept
	if u.Within > 0 {
		p.Since = j.CreatedAt.Add(-time.Duration(u.Within))
	}
	p.Decide = func(peers []Job) ([]*Change, error) {
		switch u.Conflict {
		case "replace":
			return e.replace(peers)
		case "refuse":
			return nil, newProblem(Conflict, "Not unique", "The job %s, which is %s, is the same by unique.by; nothing was stored.", peers[0].ID, peers[0].State)
		}
		return nil, &Existing{peers[0]}
	}
	return []*Peers{p}
}

// replace cancels jobs that do not run in favour of another one.
func (e *Engine) replace(peers []Job) (list []*Change, err error) {
	for _, old := range peers {
		if old.State == Running {
			return nil, newProblem(Conflict, "Not replaced", "The job %s is the same and runs; nothing was stored. Cancel it first, or wait for its end.", old.ID)
		}
		if !old.State.Final() {
			c := finish(old, Guard{State: old.State, Version: old.Version}, Cancelled, ByUser, 0)
			c.Follow = e.tellFollow(JobCancelled, time.Now().Truncate(time.Millisecond))
			list = append(list, c)
		}
	}
	return list, nil
}

// tellFollow makes the deliveries that an event causes, of a change that is not of the batch
// itself but follows from one.
func (e *Engine) tellFollow(t EventType, at time.Time) func(*Job) []*Change {
	return func(job *Job) []*Change {
		if _, ok := e.handler(KindWebhook); !ok {
			return nil
		}
		return e.deliveries(job, t, at)
	}
}

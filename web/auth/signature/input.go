package signature

import (
	"net/http"
	"time"

	"github.com/dunglas/httpsfv"
)

const algorithm = "hmac-sha256"

// input is a signature of a request with what it says of itself.
type input struct {
	list  httpsfv.InnerList // the covered components and the parameters, as signed
	value []byte            // the signature

	keyid, nonce string
	created      time.Time
	covered      map[string]bool // components without parameters
}

// parse reads the first signatures of a request. The error is a *jobs.Problem with status 401.
func parse(h http.Header) ([]input, error) {
	inputs, signatures := h.Values("Signature-Input"), h.Values("Signature")
	if len(inputs) == 0 && len(signatures) == 0 {
		return nil, errUnsigned
	}
	if bytesIn(inputs) > MaxHeader || bytesIn(signatures) > MaxHeader {
		return nil, refused("Signature-Input and Signature may have %d bytes each. Send fewer signatures, or cover less.", MaxHeader)
	}
	described, err1 := httpsfv.UnmarshalDictionary(inputs)
	values, err2 := httpsfv.UnmarshalDictionary(signatures)
	if err1 != nil || err2 != nil {
		return nil, errMalformed
	}
	labels := described.Names()
	var all []input
	for _, label := range labels[:min(len(labels), MaxSignatures)] {
		member, _ := described.Get(label)
		list, ok := member.(httpsfv.InnerList)
		signature, _ := values.Get(label)
		item, _ := signature.(httpsfv.Item)
		value, signed := item.Value.([]byte)
		if !ok || !signed {
			return nil, errMalformed
		}
		all = append(all, input{list: list, value: value})
	}
	if len(all) == 0 {
		return nil, errMalformed
	}
	return all, nil
}

func bytesIn(lines []string) (n int) {
	for _, line := range lines {
		n += len(line)
	}
	return n
}

// check reads the parameters, and refuses a signature that does not cover enough or is not of
// now. Nothing of it is verified yet.
func (in *input) check(now time.Time, body bool) error {
	if len(in.list.Items) > MaxComponents {
		return refused("The signature covers more than %d components. Cover fewer.", MaxComponents)
	}
	in.covered = map[string]bool{}
	for _, item := range in.list.Items {
		if name, ok := item.Value.(string); ok && len(item.Params.Names()) == 0 {
			in.covered[name] = true
		}
	}
	c := in.covered
	if !c["@method"] || !c["@target-uri"] && !(c["@authority"] && c["@path"] && c["@query"]) || body && !c["content-digest"] {
		return refused("The signature does not cover enough. Cover %s.", required)
	}
	var alg string
	for name, text := range map[string]*string{"keyid": &in.keyid, "nonce": &in.nonce, "alg": &alg, "tag": new(string)} {
		value, there := in.list.Params.Get(name)
		if !there {
			continue
		}
		var ok bool
		if *text, ok = value.(string); !ok || *text == "" || len(*text) > maxText {
			return refused("The parameter %s of the signature must be a text of 1 to %d bytes.", name, maxText)
		}
	}
	if alg != "" && alg != algorithm {
		return refused("The signature must be made with %s.", algorithm)
	}
	if in.keyid == "" {
		return refused("The signature must name its key: parameter keyid.")
	}
	return in.checkTimes(now)
}

func (in *input) checkTimes(now time.Time) error {
	created, ok := in.seconds("created")
	if !ok {
		return refused("The signature must say when it was made: parameter created, in whole seconds since 1970.")
	}
	in.created = created
	switch {
	case now.Sub(created) > MaxAge:
		return refused("The signature is too old; %v are allowed. Sign the request again; if it was just signed, set the clocks.", MaxAge)
	case created.Sub(now) > MaxAhead:
		return refused("The signature was made in the future. Set the clocks of the client and the hub.")
	}
	if _, there := in.list.Params.Get("expires"); there {
		if expires, ok := in.seconds("expires"); !ok || !now.Before(expires) {
			return refused("The signature has expired. Sign the request again.")
		}
	}
	return nil
}

// seconds returns a parameter that is a time.
func (in *input) seconds(name string) (time.Time, bool) {
	value, _ := in.list.Params.Get(name)
	seconds, ok := value.(int64)
	return time.Unix(seconds, 0), ok && seconds >= 0
}

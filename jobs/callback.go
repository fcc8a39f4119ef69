package jobs

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
)

// KindWebhook is the kind of the jobs that deliver callbacks, and CallbackQueue their queue.
const (
	KindWebhook   = "webhook"
	CallbackQueue = "callbacks"
)

// CallbackRetries are the waits between the attempts at a delivery.
var CallbackRetries = []time.Duration{5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour}

const (
	maxCallbacks    = 8
	maxCallbackURL  = 2048
	maxSecrets      = 2               // the new one and the one that it replaces
	DeliveryTimeout = 2 * time.Minute // the handler gives up much earlier
)

// Callback is a URL that receives events of a job. Together with each event that it names, a
// delivery is stored in the same commit: a job of kind webhook whose parent is the job.
type Callback struct {
	URL      string   `json:"url"`
	Events   []string `json:"events,omitzero"`   // names of event types; if empty, those that end a job
	Secrets  []Secret `json:"secrets,omitzero"`  // each signs the deliveries; two while one replaces the other
	Disabled bool     `json:"disabled,omitzero"` // the receiver answered 410 Gone

	DisabledAt time.Time `json:"disabled_at,omitzero"` // when that was

	Queue string `json:"queue,omitzero"` // of a delivery: the queue whose callback this is; empty if it is the job's own
}

// wants reports whether events of that type are sent to the callback.
func (c *Callback) Wants(t EventType) bool {
	if c.Disabled {
		return false
	}
	if len(c.Events) == 0 {
		return t == JobSucceeded || t == JobFailed || t == JobCancelled
	}
	return slices.Contains(c.Events, t.String())
}

// severalPerJob reports whether one job can have several deliveries.
func (c *Callback) SeveralPerJob() bool {
	return slices.ContainsFunc(c.Events, func(name string) bool {
		return name != JobSucceeded.String() && name != JobFailed.String() && name != JobCancelled.String()
	})
}

// Secret signs deliveries: whsec_ and 24 to 64 bytes as base64 (Standard Webhooks 1.0).
// It is kept and compared as text, and never printed.
type Secret string

const (
	secretPrefix = "whsec_"
	hiddenSecret = secretPrefix + "***"
)

func (s Secret) String() string   { return hiddenSecret }
func (s Secret) GoString() string { return hiddenSecret }

// Key is the key that a secret encodes.
func (s Secret) Key() ([]byte, error) {
	text, ok := strings.CutPrefix(string(s), secretPrefix)
	key, err := base64.StdEncoding.Strict().DecodeString(text)
	if !ok || err != nil || len(key) < 24 || len(key) > 64 {
		return nil, errors.New("must be whsec_ and 24 to 64 random bytes as base64")
	}
	return key, nil
}

// DecodeCallbacks reads [{"url","events","secret"}], where secret is a text, or a list of
// two while one replaces the other. Its error is a *Problem that points below pointer.
// It does not check whether the URLs may be called.
func DecodeCallbacks(pointer string, data Value) (list []Callback, err error) {
	var docs []struct {
		URL    string    `json:"url"`
		Events *[]string `json:"events"`
		Secret Value     `json:"secret"`
	}
	if data.Kind() != '[' {
		return nil, Invalid(pointer, "must be a list of callbacks")
	}
	if err := json.Unmarshal(data, &docs, json.RejectUnknownMembers(true)); err != nil {
		p := DecodeProblem(err)
		for i := range p.Errors {
			p.Errors[i].Pointer = pointer + p.Errors[i].Pointer
		}
		return nil, p
	}
	if len(docs) > maxCallbacks {
		return nil, Invalid(pointer, "at most %d callbacks", maxCallbacks)
	}
	for i, doc := range docs {
		at := fmt.Sprintf("%s/%d", pointer, i)
		if doc.URL == "" || len(doc.URL) > maxCallbackURL {
			return nil, Invalid(at+"/url", "must be a URL of up to %d bytes", maxCallbackURL)
		}
		if slices.ContainsFunc(list, func(c Callback) bool { return c.URL == doc.URL }) {
			return nil, Invalid(at+"/url", "is there twice; name all its events in one callback")
		}
		c := Callback{URL: doc.URL}
		if doc.Events != nil {
			if len(*doc.Events) == 0 {
				return nil, Invalid(at+"/events", "must name an event; leave it out to get the events that end a job")
			}
			for k, name := range *doc.Events {
				if !slices.Contains(callbackEvents, name) || slices.Contains((*doc.Events)[:k], name) {
					return nil, Invalid(fmt.Sprintf("%s/events/%d", at, k), "must be one of %s, and once only", strings.Join(callbackEvents, " "))
				}
			}
			c.Events = *doc.Events
		}
		if c.Secrets, err = decodeSecrets(at+"/secret", doc.Secret); err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	return list, nil
}

// callbackEvents are the events that a callback may name: all that change the version of a
// job.
var callbackEvents = func() (names []string) {
	for t := JobScheduled; t <= JobCancelled; t++ {
		if t.Lasting() {
			names = append(names, t.String())
		}
	}
	return names
}()

func decodeSecrets(pointer string, data Value) (list []Secret, err error) {
	if data == nil {
		return nil, nil
	}
	one := data.Kind() == '"'
	if one {
		list = make([]Secret, 1)
		err = json.Unmarshal(data, &list[0])
	} else {
		err = json.Unmarshal(data, &list)
	}
	if err != nil || len(list) == 0 || len(list) > maxSecrets {
		return nil, Invalid(pointer, "must be a secret, or a list of the new one and the one that it replaces")
	}
	for i, s := range list {
		if _, err := s.Key(); err != nil {
			if !one {
				pointer = fmt.Sprintf("%s/%d", pointer, i)
			}
			if s == hiddenSecret {
				return nil, Invalid(pointer, hiddenDetail)
			}
			return nil, Invalid(pointer, "%s", err)
		}
	}
	return list, nil
}

// setEnabled enables or disables the callback.
func (c *Callback) SetEnabled(on bool) {
	if c.Disabled == !on {
		return
	}
	c.Disabled, c.DisabledAt = !on, time.Time{}
	if !on {
		c.DisabledAt = time.Now().Truncate(time.Millisecond).UTC()
	}
}

// AppendCallbacks appends callbacks as they are shown: without their secrets, and without
// credentials in their URLs.
func AppendCallbacks(b []byte, list []Callback) []byte {
	b = append(b, '[')
	for i, c := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(append(b, `{"url":`...), shownURL(c.URL)...)
		if len(c.Events) > 0 {
			b = appendTags(append(b, `,"events":`...), c.Events)
		}
		if len(c.Secrets) > 0 {
			b = AppendString(append(b, `,"secret":`...), hiddenSecret)
		}
		if c.Disabled {
			b = append(b, `,"disabled":true`...)
		}
		b = append(b, '}')
	}
	return append(b, ']')
}

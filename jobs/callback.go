package jobs

import (
	"context"
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
	deliveryTimeout = 2 * time.Minute // the handler gives up much earlier

	// What is done at once of a tenant, unless its queue of deliveries has other limits:
	// deliveries don't take all slots, nor a slow receiver all of theirs.
	deliveriesAtOnce     = 32
	deliveriesToReceiver = 8
)

// Callback is where changes of a job are told: with each event that it names, a delivery
// is stored in the same commit, a job of kind webhook whose parent is the job.
type Callback struct {
	URL      string   `json:"url"`
	Events   []string `json:"events,omitzero"`   // names of event types; if there are none, of the ends of a job
	Secrets  []Secret `json:"secrets,omitzero"`  // each signs; two while one is replaced
	Disabled bool     `json:"disabled,omitzero"` // the receiver has said that it is gone

	DisabledAt time.Time `json:"disabled_at,omitzero"` // when that was

	Queue string `json:"queue,omitzero"` // of a delivery: whose callback this is, if not the job's own
}

// wants reports whether an event of that type is to be told.
func (c *Callback) wants(t EventType) bool {
	if c.Disabled {
		return false
	}
	if len(c.Events) == 0 {
		return t == JobSucceeded || t == JobFailed || t == JobCancelled
	}
	return slices.Contains(c.Events, t.String())
}

// often reports whether one job can have several deliveries.
func (c *Callback) often() bool {
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

// Key is the key that a secret stands for.
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
// Whether the URLs may be called is not looked at.
func DecodeCallbacks(pointer string, data Value) (list []Callback, err error) {
	var docs []struct {
		URL    string    `json:"url"`
		Events *[]string `json:"events"`
		Secret Value     `json:"secret"`
	}
	if data.Kind() != '[' {
		return nil, invalid(pointer, "must be a list of callbacks")
	}
	if err := json.Unmarshal(data, &docs, json.RejectUnknownMembers(true)); err != nil {
		p := DecodeProblem(err)
		for i := range p.Errors {
			p.Errors[i].Pointer = pointer + p.Errors[i].Pointer
		}
		return nil, p
	}
	if len(docs) > maxCallbacks {
		return nil, invalid(pointer, "at most %d callbacks", maxCallbacks)
	}
	for i, doc := range docs {
		at := fmt.Sprintf("%s/%d", pointer, i)
		if doc.URL == "" || len(doc.URL) > maxCallbackURL {
			return nil, invalid(at+"/url", "must be a URL of up to %d bytes", maxCallbackURL)
		}
		if slices.ContainsFunc(list, func(c Callback) bool { return c.URL == doc.URL }) {
			return nil, invalid(at+"/url", "is there twice; name all its events in one callback")
		}
		c := Callback{URL: doc.URL}
		if doc.Events != nil {
			if len(*doc.Events) == 0 {
				return nil, invalid(at+"/events", "must name an event, or be left out for the ends of a job")
			}
			for k, name := range *doc.Events {
				if !slices.Contains(callbackEvents, name) || slices.Contains((*doc.Events)[:k], name) {
					return nil, invalid(fmt.Sprintf("%s/events/%d", at, k), "must be one of %s, and once only", strings.Join(callbackEvents, " "))
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

// callbackEvents are those that can be told: all that change the version of a job.
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
		return nil, invalid(pointer, "must be a secret, or a list of the new one and the one that it replaces")
	}
	for i, s := range list {
		if _, err := s.Key(); err != nil {
			if !one {
				pointer = fmt.Sprintf("%s/%d", pointer, i)
			}
			return nil, invalid(pointer, "%s", err)
		}
	}
	return list, nil
}

// checkCallbacks asks the handler of deliveries whether it would call these URLs.
func (e *Engine) checkCallbacks(pointer string, list []Callback) error {
	if len(list) == 0 {
		return nil
	}
	h, ok := e.handler(KindWebhook)
	if !ok {
		p := invalid(pointer, "this hub sends no callbacks; leave it out")
		p.Code, p.Type = Unsupported, "urn:jobhub:problem:unsupported"
		return p
	}
	for i, c := range list {
		err := e.check(h, appendDelivery(nil, "", &c, "", Value("null")), Via{})
		if p, ok := errors.AsType[*Problem](err); ok {
			at := *p
			at.Errors = slices.Clone(p.Errors)
			for k := range at.Errors {
				at.Errors[k].Pointer = fmt.Sprintf("%s/%d", pointer, i) + strings.TrimPrefix(at.Errors[k].Pointer, "/input")
			}
			err = &at
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// SetCallbacks makes list the callbacks of a queue: they are told of its jobs besides
// those that a job names itself. One whose receiver is gone stays disabled until it is
// taken off the list, or a delivery to it is retried and accepted.
func (e *Engine) SetCallbacks(ctx context.Context, tenant, queue string, list []Callback) error {
	if err := e.checkCallbacks("/callbacks", list); err != nil {
		return err
	}
	if err := e.limitDeliveries(ctx, tenant, len(list)); err != nil {
		return err
	}
	return e.Configure(ctx, tenant, queue, func(s *QueueSettings) error {
		old := s.Callbacks
		s.Callbacks = slices.Clone(list)
		for i := range s.Callbacks {
			c := &s.Callbacks[i]
			k := slices.IndexFunc(old, func(o Callback) bool { return o.URL == c.URL })
			if c.Disabled = k >= 0 && old[k].Disabled; c.Disabled {
				c.DisabledAt = old[k].DisabledAt
			}
		}
		return nil
	})
}

// EnableCallback lets a callback of a queue, whose receiver had said that it is gone, have
// deliveries again. It gets none for what happened meanwhile. A problem with NotFound if the
// queue has no such callback.
func (e *Engine) EnableCallback(ctx context.Context, tenant, queue, url string) error {
	return e.Configure(ctx, tenant, queue, func(s *QueueSettings) error {
		i := slices.IndexFunc(s.Callbacks, func(c Callback) bool { return c.URL == url })
		if i < 0 {
			return newProblem(NotFound, "No such callback", "The queue %s has no callback of that address any more.", queue)
		}
		s.Callbacks[i].enable(true)
		return nil
	})
}

// enable notes whether the receiver wants further deliveries.
func (c *Callback) enable(on bool) {
	if c.Disabled == !on {
		return
	}
	c.Disabled, c.DisabledAt = !on, time.Time{}
	if !on {
		c.DisabledAt = time.Now().Truncate(time.Millisecond).UTC()
	}
}

// limitDeliveries gives the queue of a tenant's deliveries its limits, before it gets its
// first job.
func (e *Engine) limitDeliveries(ctx context.Context, tenant string, callbacks int) error {
	e.mu.Lock()
	_, known := e.settings[QueueName{tenant, CallbackQueue}]
	e.mu.Unlock()
	if known || callbacks == 0 {
		return nil
	}
	return e.Configure(ctx, tenant, CallbackQueue, func(s *QueueSettings) error {
		s.Concurrency, s.PerKey = deliveriesAtOnce, deliveriesToReceiver
		return nil
	})
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
			b = appendString(append(b, `,"secret":`...), hiddenSecret)
		}
		if c.Disabled {
			b = append(b, `,"disabled":true`...)
		}
		b = append(b, '}')
	}
	return append(b, ']')
}

package jobs

import (
	"cmp"
	"fmt"
	"regexp"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"
)

// Spec is a job as a caller submits it. The zero value of each member means its default.
type Spec struct {
	Kind     string
	Queue    string
	Input    Value
	Priority int // -100 to 100, higher first
	Tags     []string
	RunAt    time.Time
	Delay    time.Duration

	OrderingKey string // jobs of one ordering key run one at a time, in order of acceptance
	FairKey     string // shares the queue fairly with other keys, under its per_key limit
	After       []ID   // the job runs only when all of these have succeeded

	QueueTimeout time.Duration // none if zero
	Timeout      time.Duration // of one attempt
	MaxAttempts  int
	Backoff      Backoff
	NeverRerun   bool          // fail as worker_lost rather than run again after a lost attempt
	Retention    time.Duration // after the end

	Callbacks []Callback // receive the job's events
	Unique    *Unique    // accept the job only if there is none equal to it; nil for no condition

	RetryOf ID
	Parent  ID
	Via     Via
	Tenant  string
	Caller  string // who submits it: an id and, after a space, a name for people; stored with the job
	Key     *Key   // idempotency key, if the caller sent one

	ByEngine ByEngine // for what the engine submits itself
}

// ByEngine is what only the engine says of a submission.
type ByEngine struct {
	Trusted  bool   // submitted by the engine, which may use kinds that callers may not
	Schedule string // name of the schedule that submits it
	Retry    *Retry // set if it is a retry of RetryOf
	Result   Value  // the partial result that it begins with
}

// Limits of a submission.
const (
	MaxInput   = 2 << 20 // bytes of a submission as JSON
	MaxTags    = 32
	MaxTag     = 128 // bytes
	MaxAfter   = 1000
	maxHorizon = 10 * 365 * 24 * time.Hour
)

var wellFormed = regexp.MustCompile(`^[a-z0-9._-]{1,64}$`)

// NameRule says what WellFormedName takes.
const NameRule = "1 to 64 of a-z 0-9 . _ -, and not . or .."

// WellFormedName reports whether name may be a kind, a queue or a schedule. Names that
// mean a place in a path, . and .., would lead browsers and proxies elsewhere.
func WellFormedName(name string) bool {
	return wellFormed.MatchString(name) && name != "." && name != ".."
}

// WellFormedTag reports whether tag may be a tag of a job.
func WellFormedTag(tag string) bool { return tag != "" && len(tag) <= MaxTag && plainText(tag) }

// specDocument is the JSON of a submission.
type specDocument struct {
	Kind     string   `json:"kind"`
	Queue    *string  `json:"queue"`
	Input    Value    `json:"input"`
	Priority int      `json:"priority"`
	Tags     []string `json:"tags"`
	RunAt    *string  `json:"run_at"`
	Delay    *string  `json:"delay"`
	Timeout  *string  `json:"timeout"`
	Retry    *struct {
		MaxAttempts *int    `json:"max_attempts"`
		Backoff     *string `json:"backoff"`
		Initial     *string `json:"initial"`
		Max         *string `json:"max"`
	} `json:"retry"`
	QueueTimeout *string  `json:"queue_timeout"`
	OrderingKey  string   `json:"ordering_key"`
	FairKey      string   `json:"fair_key"`
	Rerun        string   `json:"rerun"`
	After        []string `json:"after"`
	Retention    *string  `json:"retention"`
	Callbacks    Value    `json:"callbacks"`

	Unique *uniqueDocument `json:"unique"`
}

// DecodeSpec reads a submission. Its error is a *Problem: with status 400 for what
// is not JSON (or has a member twice), 422 for JSON that is not a submission.
func DecodeSpec(data []byte) (Spec, error) {
	var doc specDocument
	if err := DecodeAnyDepth(data, &doc); err != nil {
		return Spec{}, err
	}
	return doc.spec()
}

func (d *specDocument) spec() (Spec, error) {
	s := Spec{Kind: d.Kind, Input: d.Input, Priority: d.Priority, Tags: d.Tags}.WithDefaults()
	if d.Queue != nil {
		s.Queue = *d.Queue
	}
	if err := s.checkLabels(); err != nil {
		return s, err
	}
	if err := s.Input.Compact(); err != nil { // one line, so that it can be part of a frame
		return s, Invalid("/input", "%s", err)
	}
	var err error
	if d.RunAt != nil {
		if d.Delay != nil {
			return s, Invalid("/delay", "give run_at or delay, not both")
		}
		if s.RunAt, err = parseRunAt(*d.RunAt); err != nil {
			return s, err
		}
	}
	if s.Delay, err = duration("/delay", d.Delay, 0, 0, maxHorizon); err != nil {
		return s, err
	}
	if s.Timeout, err = duration("/timeout", d.Timeout, DefaultTimeout, time.Millisecond, 24*time.Hour); err != nil {
		return s, err
	}
	if s.QueueTimeout, err = duration("/queue_timeout", d.QueueTimeout, 0, time.Millisecond, maxHorizon); err != nil {
		return s, err
	}
	if s.Retention, err = duration("/retention", d.Retention, DefaultRetention, time.Second, maxHorizon); err != nil {
		return s, err
	}
	if err := d.ordering(&s); err != nil {
		return s, err
	}
	if d.Retry != nil {
		if err := d.retry(&s); err != nil {
			return s, err
		}
	}
	if d.Callbacks != nil {
		if s.Callbacks, err = DecodeCallbacks("/callbacks", d.Callbacks); err != nil {
			return s, err
		}
	}
	if d.Unique != nil {
		if s.Unique, err = d.Unique.unique(); err != nil {
			return s, err
		}
	}
	return s, nil
}

func checkPriority(n int) error {
	if n < -100 || n > 100 {
		return Invalid("/priority", "must be from -100 to 100")
	}
	return nil
}

func checkTags(tags []string) error {
	if len(tags) > MaxTags {
		return Invalid("/tags", "at most %d tags", MaxTags)
	}
	for i, tag := range tags {
		if !WellFormedTag(tag) {
			return Invalid(fmt.Sprintf("/tags/%d", i), "must be 1 to %d bytes of text without control characters", MaxTag)
		}
	}
	return nil
}

func parseRunAt(text string) (time.Time, error) {
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return at, Invalid("/run_at", "must be a time like 2026-01-02T15:04:05Z (RFC 3339)")
	}
	if time.Until(at) > maxHorizon {
		return at, Invalid("/run_at", "must be within ten years")
	}
	return at, nil
}

// ordering reads what decides when the job's turn is.
func (d *specDocument) ordering(s *Spec) error {
	s.OrderingKey, s.FairKey = d.OrderingKey, d.FairKey
	if err := s.checkKeys(); err != nil {
		return err
	}
	switch d.Rerun {
	case "", "auto":
	case "never":
		s.NeverRerun = true
	default:
		return Invalid("/rerun", "must be auto or never")
	}
	if len(d.After) > MaxAfter {
		return Invalid("/after", "at most %d jobs", MaxAfter)
	}
	for i, text := range d.After {
		id, err := uuid.Parse(text)
		if err != nil || len(text) != 36 {
			return Invalid(fmt.Sprintf("/after/%d", i), "must be the id of a job")
		}
		s.After = append(s.After, id)
	}
	return nil
}

func (s Spec) WithDefaults() Spec {
	s.Tenant = cmp.Or(s.Tenant, DefaultTenant)
	s.Queue = cmp.Or(s.Queue, "default")
	s.Timeout = cmp.Or(s.Timeout, DefaultTimeout)
	s.MaxAttempts = cmp.Or(s.MaxAttempts, DefaultMaxAttempts)
	s.Retention = cmp.Or(s.Retention, DefaultRetention)
	s.Backoff.Initial = cmp.Or(s.Backoff.Initial, DefaultBackoff.Initial)
	s.Backoff.Max = cmp.Or(s.Backoff.Max, max(DefaultBackoff.Max, s.Backoff.Initial))
	if len(s.Input) == 0 {
		s.Input = Value("{}")
	}
	return s
}

func (d *specDocument) retry(s *Spec) (err error) {
	r := d.Retry
	if r.MaxAttempts != nil {
		if s.MaxAttempts = *r.MaxAttempts; s.MaxAttempts < 1 || s.MaxAttempts > 1000 {
			return Invalid("/retry/max_attempts", "must be from 1 to 1000")
		}
	}
	if r.Backoff != nil {
		i := -1
		for k, name := range BackoffNames {
			if name == *r.Backoff {
				i = k
			}
		}
		if i < 0 {
			return Invalid("/retry/backoff", "must be exponential, linear or fixed")
		}
		s.Backoff.Kind = BackoffKind(i)
	}
	if s.Backoff.Initial, err = duration("/retry/initial", r.Initial, s.Backoff.Initial, time.Millisecond, 24*time.Hour); err != nil {
		return err
	}
	if s.Backoff.Max, err = duration("/retry/max", r.Max, max(s.Backoff.Max, s.Backoff.Initial), s.Backoff.Initial, 7*24*time.Hour); err != nil {
		return err
	}
	return nil
}

// duration reads a duration as Go writes it; def where text is nil.
func duration(pointer string, text *string, def, least, most time.Duration) (time.Duration, error) {
	if text == nil {
		return def, nil
	}
	d, err := time.ParseDuration(*text)
	if err != nil {
		return 0, Invalid(pointer, `must be a duration like "30s" or "1h30m"`)
	}
	if d < least || d > most {
		return 0, Invalid(pointer, "must be from %s to %s", least, most)
	}
	return d, nil
}

// plainText reports whether s is UTF-8 without control and direction-changing characters.
func plainText(s string) bool {
	if !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
			return false
		}
	}
	return true
}

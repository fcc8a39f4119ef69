package jobs

import (
	"time"
)

// Check refuses, with a *Problem for the first fault, what no submission may say: whoever
// makes a Spec without DecodeSpec has it checked when it is submitted.
func (s *Spec) Check() error {
	if err := s.checkLabels(); err != nil {
		return err
	}
	if err := s.checkKeys(); err != nil {
		return err
	}
	if s.MaxAttempts < 1 {
		return Invalid("/retry/max_attempts", "must be at least 1")
	}
	for _, d := range []struct {
		pointer string
		value   time.Duration
	}{{"/delay", s.Delay}, {"/timeout", s.Timeout}, {"/queue_timeout", s.QueueTimeout}, {"/retention", s.Retention}, {"/retry/initial", s.Backoff.Initial}} {
		if d.value < 0 {
			return Invalid(d.pointer, "must not be negative")
		}
	}
	if len(s.After) > MaxAfter {
		return Invalid("/after", "at most %d jobs", MaxAfter)
	}
	return nil
}

// checkLabels checks the kind, the queue, the priority and the tags.
func (s *Spec) checkLabels() error {
	if !WellFormedName(s.Kind) {
		return Invalid("/kind", "must be "+NameRule)
	}
	if !WellFormedName(s.Queue) {
		return Invalid("/queue", "must be "+NameRule)
	}
	if err := checkPriority(s.Priority); err != nil {
		return err
	}
	return checkTags(s.Tags)
}

// checkKeys checks the ordering key and the fair key.
func (s *Spec) checkKeys() error {
	for _, k := range [][2]string{{"/ordering_key", s.OrderingKey}, {"/fair_key", s.FairKey}} {
		if k[1] != "" && (!plainText(k[1]) || len(k[1]) > MaxTag) {
			return Invalid(k[0], "must be up to %d bytes of text without control characters", MaxTag)
		}
	}
	return nil
}

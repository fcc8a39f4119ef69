package hub

import (
	"slices"

	"jobhub/jobs"
)

// Filter selects events. Exactly one of Job, Queue, Kind, Tag and All is set.
type Filter struct {
	Tenant string
	Job    jobs.ID
	Queue  string
	Kind   string
	Tag    string
	All    bool
}

// topic is a key of the index from events to listeners. Without kind it is all events of a
// tenant.
type topic struct {
	tenant string
	kind   topicKind
	job    jobs.ID
	name   string
}

type topicKind uint8

const (
	topicAll topicKind = iota
	topicJob
	topicQueue
	topicKindOfJob
	topicTag
)

func (f Filter) topic() topic {
	switch {
	case f.Job != (jobs.ID{}):
		return topic{tenant: f.Tenant, kind: topicJob, job: f.Job}
	case f.Queue != "":
		return topic{tenant: f.Tenant, kind: topicQueue, name: f.Queue}
	case f.Kind != "":
		return topic{tenant: f.Tenant, kind: topicKindOfJob, name: f.Kind}
	case f.Tag != "":
		return topic{tenant: f.Tenant, kind: topicTag, name: f.Tag}
	}
	return topic{tenant: f.Tenant}
}

// Match reports whether the filter selects an event.
func (f Filter) Match(e *jobs.Event) bool { return f.topic().matches(e) }

func (t topic) matches(e *jobs.Event) bool {
	if e.Tenant != t.tenant {
		return false
	}
	switch t.kind {
	case topicJob:
		return e.Job == t.job
	case topicQueue:
		return e.Queue == t.name
	case topicKindOfJob:
		return e.Kind == t.name && e.Job != (jobs.ID{})
	case topicTag:
		return slices.Contains(e.Tags, t.name)
	}
	return true
}

// topicsOf calls yield with each topic of an event, until it returns false.
func topicsOf(e *jobs.Event, yield func(topic) bool) {
	if !yield(topic{tenant: e.Tenant}) || !yield(topic{tenant: e.Tenant, kind: topicQueue, name: e.Queue}) {
		return
	}
	if e.Job != (jobs.ID{}) && (!yield(topic{tenant: e.Tenant, kind: topicJob, job: e.Job}) ||
		!yield(topic{tenant: e.Tenant, kind: topicKindOfJob, name: e.Kind})) {
		return
	}
	for _, tag := range e.Tags {
		if !yield(topic{tenant: e.Tenant, kind: topicTag, name: tag}) {
			return
		}
	}
}

// ProgressMode says which progress events a subscription wants.
type ProgressMode uint8

const (
	ProgressNone   ProgressMode = iota
	ProgressLatest              // newer events may replace older ones
	ProgressAll
)

// Subscription is a filter, and which of the selected progress events are wanted.
type Subscription struct {
	Filter
	Progress ProgressMode
}

// selection is what one or several subscriptions select together. Several are indexed by
// topic, so that matching an event costs the same for a thousand as for a few.
type selection struct {
	one   topic
	mode  ProgressMode
	modes map[topic]ProgressMode // if not nil, used instead of one
}

func selectionOf(subs map[string]Subscription) *selection {
	s := &selection{}
	if len(subs) == 1 {
		for _, sub := range subs {
			s.one, s.mode = sub.topic(), sub.Progress
		}
		return s
	}
	s.modes = make(map[topic]ProgressMode, len(subs))
	for _, sub := range subs {
		s.modes[sub.topic()] = max(s.modes[sub.topic()], sub.Progress)
	}
	return s
}

// job is the one job that is selected, or zero.
func (s *selection) job() jobs.ID {
	if s.modes == nil {
		return s.one.job
	}
	return jobs.ID{}
}

// progress is the mode for progress events of the event's job; false if the event is not
// selected.
func (s *selection) progress(e *jobs.Event) (mode ProgressMode, ok bool) {
	if s.modes == nil {
		return s.mode, s.one.matches(e)
	}
	for t := range func(yield func(topic) bool) { topicsOf(e, yield) } {
		if m, found := s.modes[t]; found {
			mode, ok = max(mode, m), true
		}
	}
	return mode, ok
}

func (s *selection) selects(e *jobs.Event) bool {
	mode, ok := s.progress(e)
	return ok && (e.Type != jobs.JobProgress || mode != ProgressNone)
}

// mergeProgress drops progress that newer progress in the same slice replaces. It works in
// place.
func (s *selection) mergeProgress(events []*Event) []*Event {
	count := 0
	for _, e := range events {
		if e.Type == jobs.JobProgress {
			count++
		}
	}
	if count < 2 || (s.modes == nil && s.mode == ProgressAll) {
		return events
	}
	newer := make(map[jobs.ID]bool, count)
	for i, e := range slices.Backward(events) {
		if e.Type != jobs.JobProgress {
			continue
		}
		if mode, _ := s.progress(e.Event); newer[e.Job] && mode != ProgressAll {
			events[i] = nil
		}
		newer[e.Job] = true
	}
	return slices.DeleteFunc(events, func(e *Event) bool { return e == nil })
}

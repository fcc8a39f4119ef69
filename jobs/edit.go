package jobs

import (
	"time"
)

// Edit says what to change of a job that does not run. Members that are nil stay.
type Edit struct {
	Priority *int
	Queue    *string
	Tags     *[]string
	RunAt    *time.Time
	Delay    *time.Duration
}

// DecodeEdit reads an Edit. Its error is a *Problem, as DecodeSpec has them.
func DecodeEdit(data []byte) (edit Edit, err error) {
	var doc struct {
		Priority *int      `json:"priority"`
		Queue    *string   `json:"queue"`
		Tags     *[]string `json:"tags"`
		RunAt    *string   `json:"run_at"`
		Delay    *string   `json:"delay"`
	}
	if err := Decode(data, &doc); err != nil {
		return edit, err
	}
	edit = Edit{Priority: doc.Priority, Queue: doc.Queue, Tags: doc.Tags}
	if doc.Queue != nil && !WellFormedName(*doc.Queue) {
		return edit, Invalid("/queue", "must be "+NameRule)
	}
	if doc.Priority != nil {
		if err := checkPriority(*doc.Priority); err != nil {
			return edit, err
		}
	}
	if doc.Tags != nil {
		if err := checkTags(*doc.Tags); err != nil {
			return edit, err
		}
	}
	if doc.RunAt != nil {
		if doc.Delay != nil {
			return edit, Invalid("/delay", "give run_at or delay, not both")
		}
		at, err := parseRunAt(*doc.RunAt)
		if err != nil {
			return edit, err
		}
		edit.RunAt = &at
	}
	if doc.Delay != nil {
		delay, err := duration("/delay", doc.Delay, 0, 0, maxHorizon)
		if err != nil {
			return edit, err
		}
		edit.Delay = &delay
	}
	return edit, nil
}

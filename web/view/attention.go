package view

import "time"

// Attention is something that a person should look at.
type Attention struct {
	Level  Level
	Text   string
	Detail string
	Since  time.Time // zero where it does not matter or is not known
	Link   string    // a path of the hub; may be empty
	Do     Action    // what solves it, if the dashboard can
}

// Action is a link to the page that solves a problem, or a button that solves it.
type Action struct {
	Label, Path string
	Post        bool // a button, for operators
	Admin       bool // a link for admins; others may not open it
}

// Level is how urgent an Attention is.
type Level uint8

const (
	Notice Level = iota
	Warning
	Failure
)

func (l Level) class() string { return [...]string{"heed", "warning", "failed"}[l] }
func (l Level) word() string  { return [...]string{"notice", "warning", "failure"}[l] }

package view

import (
	"context"
	"time"

	"github.com/a-h/templ"
)

// Shell is the frame of every page.
type Shell struct {
	Epoch   string // the position at which the page's model was read
	Seq     uint64
	At      time.Time                // when it was read
	Version string                   // of the program; empty if unknown
	Store   string                   // what it keeps jobs in; empty if unknown
	User    string                   // who is logged in; empty if the hub has no keys
	Section string                   // of the navigation, for a page that is not live; empty for none
	Asset   func(name string) string // the path of a file of package static; nil for /static/<name>

	ReadOnly bool // the user may not change anything
	Operator bool // the user may change queues and direct workers
	Admin    bool // the user may see the internals of the hub
	Steady   bool // the page has forms, so without scripts it does not reload itself

	keys  []key // of this page
	alone bool  // the page has no navigation: nobody is logged in
}

func (s Shell) withoutNavigation() Shell { s.alone = true; return s }

// in is the shell of a page that is not live.
func (s Shell) in(section string) Shell { s.Section = section; return s }

func (s Shell) steady() Shell { s.Steady = true; return s }

// key is what a key of the keyboard does.
type key struct{ Name, Does string }

func (s Shell) with(keys []key) Shell { s.keys = keys; return s }

func (s Shell) asset(ctx context.Context, name string) templ.SafeURL {
	if s.Asset == nil {
		return at(ctx, "/static/"+name)
	}
	return at(ctx, s.Asset(name))
}

// Fragment is a part of a page that is replaced as a whole when it changes.
type Fragment struct {
	ID        string
	Component templ.Component
}

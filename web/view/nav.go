package view

import (
	"slices"
	"strings"
)

// link is an entry of the navigation; Key is pressed after g.
type link struct{ View, Path, Name, Key string }

var links = []link{
	{"overview", "/", "Overview", "o"},
	{"jobs", "/jobs", "Jobs", "j"},
	{"queues", "/queues", "Queues", "q"},
	{"workers", "/workers", "Workers", "w"},
	{"batches", "/batches", "Batches", "b"},
	{"schedules", "/schedules", "Schedules", "s"},
	{"callbacks", "/callbacks", "Callbacks", "c"},
	{"catalog", "/catalog", "Catalogue", "a"},
	{"routes", "/routes", "Routes", "r"},
	{"hub", "/hub", "Hub", "h"},
	{"docs", "/docs", "Docs", "d"},
}

// links are the pages that the user may see.
func (s Shell) links() []link {
	if s.alone {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(links), func(l link) bool {
		return !s.Admin && (l.View == "hub" || l.View == "routes")
	})
}

// section is the part of the navigation that a view belongs to.
func section(view string) string {
	name, _, _ := strings.Cut(view, ":")
	switch name {
	case "job":
		return "jobs"
	case "queue":
		return "queues"
	case "batch":
		return "batches"
	case "schedule":
		return "schedules"
	}
	return name
}

func (s Shell) section(view string) string {
	if s.Section != "" {
		return s.Section
	}
	return section(view)
}

// place is the name of the part of the navigation that a view belongs to.
func (s Shell) place(view string) string {
	for _, l := range links {
		if l.View == s.section(view) {
			return l.Name
		}
	}
	return "Menu"
}

// about is the program in a line.
func (s Shell) about() string {
	if s.Version == "" {
		return ""
	}
	return joined("jobhub "+s.Version, s.Store)
}

// commonKeys are those of every page, besides the letters after g.
var commonKeys = []key{{"t", "Theme: system, light, dark"}, {"u", "Time zone: local, UTC"}, {"?", "Show this list"}, {"Esc", "Leave a field, or close"}}

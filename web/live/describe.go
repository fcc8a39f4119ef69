package live

import (
	"slices"
	"strconv"
	"strings"

	"jobhub/hub"
	"jobhub/jobs"
)

// about is what operators see of a connection.
type about struct{ tenant, name, watches string }

// describe records who a connection belongs to and what it watches. It is locked.
func (c *socket) describe() {
	a := about{tenant: c.who.Tenant, name: c.who.Name}
	switch n := c.cursor.Len(); {
	case c.waiting:
		a = about{watches: "nothing until it says who it is"}
	case n > 3:
		a.watches = strconv.Itoa(n) + " subscriptions"
	default:
		var all []string
		if c.viewer != nil {
			all = append(all, "the dashboard")
		}
		for _, sub := range c.cursor.All() {
			all = append(all, filterText(sub.Filter))
		}
		slices.Sort(all)
		if a.watches = strings.Join(all, ", "); a.watches == "" {
			a.watches = "nothing"
		}
	}
	if old := c.about.Load(); old == nil || *old != a {
		c.about.Store(&a)
		c.Hub.Notify(jobs.Notice{Subject: jobs.WatchersChanged})
	}
}

func filterText(f hub.Filter) string {
	switch {
	case f.Job != (jobs.ID{}):
		text := f.Job.String()
		return "job " + text[len(text)-8:]
	case f.Queue != "":
		return "queue " + f.Queue
	case f.Kind != "":
		return "kind " + f.Kind
	case f.Tag != "":
		return "tag " + f.Tag
	}
	return "all"
}

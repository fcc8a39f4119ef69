package view

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"time"

	"jobhub/jobs"
	"jobhub/web/clip"
)

const (
	itemsShown = 50  // rows of the table of a page
	fewerShown = 15  // the same below a large grid
	largeGrid  = 200 // number of cells from which a grid is large
	afterShown = 4   // number of dependencies of a request that are named
)

// BatchPlace is what the page of a batch or a fan-out shows of it.
type BatchPlace struct {
	Item string // number, from 1, of the request that is shown in full; empty for none
	Show string // which requests the table has: failed, open, or empty for all
	From int    // how many of these come before
}

// Shows are the valid values of BatchPlace.Show.
var Shows = []string{"", "failed", "open"}

// String writes the place; equal places give equal texts.
func (p BatchPlace) String() string {
	v := url.Values{}
	if p.Item != "" {
		v.Set("item", p.Item)
	}
	if p.Show != "" {
		v.Set("show", p.Show)
	}
	if p.From > 0 {
		v.Set("from", strconv.Itoa(p.From))
	}
	return v.Encode()
}

// Item is one request of a batch, or one target of a fan-out.
type Item struct {
	Name     string // as its batch has it; may be empty
	Method   string
	Target   string // path, or host and path: without a query, which may hold a secret
	After    []int  // the items that it waits for
	State    jobs.State
	Status   int // of its answer; 0 for none
	Attempts int
	Took     time.Duration // negative if not known
	From, To time.Time     // when it, or its job, ran; zero if not known
	Problem  string        // why it failed, in a line
	Job      jobs.ID       // that it submitted; zero for none
	Parted   bool          // State is that of its job
}

// Batch is a batch or a fan-out.
type Batch struct {
	BatchPlace
	Job    jobs.Job // without its payloads
	At     time.Time
	Origin string
	Policy string
	Items  []Item
	Whole  *WholeItem // the one that is shown in full
}

// WholeItem is a request with what it sent and was answered.
type WholeItem struct {
	N        int // its index
	Request  jobs.Value
	Response jobs.Value
}

// BatchFragments lists the live parts of the page of a batch. Each cell is one, so that only
// changed cells are sent.
func BatchFragments(m Batch) []Fragment {
	all := make([]Fragment, 0, len(m.Items)+5)
	all = append(all, Fragment{"batch-head", batchHead(m)}, Fragment{"batch-sum", batchSum(m)})
	for i := range m.Items {
		all = append(all, Fragment{cellID(i), cell(i, &m.Items[i], len(m.Items) < largeGrid)})
	}
	return append(all, Fragment{"batch-item", batchItem(m)}, Fragment{"batch-rows", batchRows(m)})
}

func cellID(i int) string { return "batch-" + strconv.Itoa(i+1) }

func (m Batch) view() string {
	return pathWith("batch:"+m.Job.ID.String(), m.BatchPlace.String())
}

func (m Batch) path() string { return "/batches/" + m.Job.ID.String() }

// noun is what its requests are called.
func (m Batch) noun() string {
	if m.Job.Kind == "fanout" {
		return "target"
	}
	return "request"
}

// Again returns the indexes of the items that a retry repeats: those that failed, or were
// skipped although they were needed. An item that submitted a job has succeeded, also if
// that job failed.
func (m Batch) Again() (all []int) {
	enough := m.Job.Kind == "fanout" && m.Job.State == jobs.Succeeded // its policy needed no other targets
	for i := range m.Items {
		it := &m.Items[i]
		if !it.Parted && (it.State == jobs.Failed || it.State == jobs.Cancelled && !enough) {
			all = append(all, i)
		}
	}
	return all
}

// lost is how many of its jobs failed, which are retried as jobs.
func (m Batch) lost() (n int) {
	for i := range m.Items {
		if m.Items[i].Parted && m.Items[i].State == jobs.Failed {
			n++
		}
	}
	return n
}

func (m Batch) members() (n int) {
	for i := range m.Items {
		if m.Items[i].Job != (jobs.ID{}) {
			n++
		}
	}
	return n
}

// states counts the items by state.
func (m Batch) states() (c Counts) {
	for i := range m.Items {
		c[m.Items[i].State]++
	}
	return c
}

// rows returns the indexes of the items that the table shows, and how many items match.
func (m Batch) rows() (shown []int, all int) {
	var picked []int
	for i := range m.Items {
		s := m.Items[i].State
		switch {
		case m.Show == "failed" && s != jobs.Failed && s != jobs.Cancelled, m.Show == "open" && s.Final():
		default:
			picked = append(picked, i)
		}
	}
	from := min(m.From, len(picked))
	return picked[from:min(from+m.perPage(), len(picked))], len(picked)
}

func (m Batch) perPage() int {
	if len(m.Items) >= largeGrid {
		return fewerShown
	}
	return itemsShown
}

// title is the name of an item, or its number.
func (m Batch) title(i int) string {
	if name := m.Items[i].Name; name != "" {
		return name
	}
	return strconv.Itoa(i + 1)
}

// cellText describes the request of a cell.
func cellText(n int, i *Item, named bool) string {
	text := strconv.Itoa(n + 1)
	if named && i.Name != "" {
		text, _ = clip.Text(i.Name, 64)
	}
	text += " " + i.State.String()
	if i.Status > 0 && (named || i.State != jobs.Succeeded) {
		text += " " + strconv.Itoa(i.Status)
	}
	return text
}

// scale is the time that the bars are drawn over.
func (m Batch) scale() (from time.Time, length time.Duration) {
	if from = m.Job.StartedAt; from.IsZero() {
		from = m.Job.CreatedAt
	}
	end := from
	for i := range m.Items {
		it := &m.Items[i]
		if !it.From.IsZero() {
			if it.From.Before(from) {
				from = it.From
			}
			if to := it.end(m.At); to.After(end) {
				end = to
			}
		}
	}
	return from, max(end.Sub(from), time.Millisecond)
}

func (i *Item) end(now time.Time) time.Time {
	if i.To.IsZero() {
		return now
	}
	return i.To
}

// bar is where an item's time lies on the scale, of 1,000.
func (m Batch) bar(i int, from time.Time, length time.Duration) (x, width float64, ok bool) {
	it := &m.Items[i]
	if it.From.IsZero() {
		return 0, 0, false
	}
	x = 1000 * float64(it.From.Sub(from)) / float64(length)
	width = max(sliver, 1000*float64(it.end(m.At).Sub(it.From))/float64(length))
	return min(x, 1000-sliver), width, true
}

// timed reports whether the time of any item is known.
func (m Batch) timed() bool {
	return slices.ContainsFunc(m.Items, func(i Item) bool { return !i.From.IsZero() })
}

// ordered reports whether items wait for others.
func (m Batch) ordered() bool {
	return slices.ContainsFunc(m.Items, func(i Item) bool { return len(i.After) > 0 })
}

func (m Batch) showing(all int) string {
	shown, _ := m.rows()
	if len(shown) == 0 {
		return "none"
	}
	return fmt.Sprintf("%s to %s of %s", count(int64(m.From+1)), count(int64(m.From+len(shown))), count(int64(all)))
}

// step is the place before or after this one in the table.
func (m Batch) step(by int) string {
	p := m.BatchPlace
	p.From = max(0, p.From+by*m.perPage())
	return pathWith(m.path(), p.String())
}

// back and on are the links to the rows before and after, if there are any.
func (m Batch) back() pageLink {
	if m.From == 0 {
		return pageLink{}
	}
	return pageLink{"prev", "Previous", m.step(-1)}
}

func (m Batch) on(shown, all int) pageLink {
	if m.From+shown >= all {
		return pageLink{}
	}
	return pageLink{"next", "Next", m.step(1)}
}

func (m Batch) showed(which string) string {
	return pathWith(m.path(), BatchPlace{Show: which}.String())
}

func (m Batch) itemLink(i int) string {
	p := m.BatchPlace
	p.Item = strconv.Itoa(i + 1)
	return pathWith(m.path(), p.String()) + "#batch-item"
}

// cellLink is shorter where there are many.
func cellLink(n int, named bool) string {
	link := "?item=" + strconv.Itoa(n+1)
	if named {
		link += "#batch-item"
	}
	return link
}

// lasting names the time that standing tells.
func lasting(j jobs.Job) string {
	switch {
	case j.State.Final():
		return "took"
	case j.State == jobs.Running:
		return "running for"
	case j.State == jobs.Retrying, j.State == jobs.Scheduled:
		return "next attempt"
	}
	return "waiting for"
}

var showNames = map[string]string{"": "All", "failed": "Failed or skipped", "open": "Unfinished"}

var (
	batchesKeys = []key{{"j", "next"}, {"k", "previous"}, {"Enter", "open it"}, {".", "show new rows"}}
	batchKeys   = []key{{"←  →", "in the grid: previous, next"}, {"↑  ↓", "in the grid: above, below"}, {"Enter", "open it"},
		{"f", "show the failed ones"}, {"c", "cancel"}, {"r", "retry what failed"}}
)

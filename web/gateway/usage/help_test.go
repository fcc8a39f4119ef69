package usage_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"jobhub/hub/quantile"
	"jobhub/jobs"
	"jobhub/web/gateway/usage"
)

// memoryStore keeps documents as jobs.Store promises.
type memoryStore struct {
	mu    sync.Mutex // protects the fields below
	all   map[string]jobs.Document
	puts  int
	fails func(put int) (applied bool, err error) // nil: never
	reads error
}

func newStore() *memoryStore { return &memoryStore{all: map[string]jobs.Document{}} }

func (s *memoryStore) List(_ context.Context, tenant, kind string) (list []jobs.Document, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range s.all {
		if d.Kind == kind && (tenant == "" || d.Tenant == tenant) {
			list = append(list, d)
		}
	}
	slices.SortFunc(list, func(a, b jobs.Document) int { return strings.Compare(a.Tenant+"\x00"+a.Name, b.Tenant+"\x00"+b.Name) })
	return list, s.reads
}

func (s *memoryStore) Put(_ context.Context, changes ...*jobs.DocumentChange) error {
	c := changes[0] // there is one
	s.mu.Lock()
	defer s.mu.Unlock()
	s.puts++
	applied, failure := true, error(nil)
	if s.fails != nil {
		if applied, failure = s.fails(s.puts); !applied {
			return failure
		}
	}
	key := c.Kind + "\x00" + c.Tenant + "\x00" + c.Name
	stored := s.all[key].Data
	if !bytes.Equal(stored, c.Was) || (stored == nil) != (c.Was == nil) {
		return jobs.ErrConflict
	}
	if c.Data == nil {
		delete(s.all, key)
	} else {
		s.all[key] = c.Document
	}
	return failure
}

func (s *memoryStore) names(kind string) (names []string) {
	all, _ := s.List(context.Background(), "", kind)
	for _, d := range all {
		names = append(names, d.Tenant+"/"+d.Name)
	}
	return names
}

var errStore = errors.New("the store fails")

// open opens a Usage that is flushed by the test alone.
func open(t testing.TB, o usage.Options) *usage.Usage {
	if o.Flush == 0 {
		o.Flush = time.Hour
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	u := usage.Open(o)
	t.Cleanup(func() { u.Close(context.Background()) })
	return u
}

type entry struct {
	at time.Time
	usage.Call
}

func (e entry) word(name string) string {
	switch name {
	case "consumer":
		return e.Consumer
	case "api":
		return e.API
	case "version":
		return e.Version
	case "route":
		return e.Route
	case "model":
		return e.Model
	}
	return strconv.Itoa(e.Status)
}

// naive answers a question by looking at each call.
func naive(all []entry, q usage.Question, from, to time.Time) (rows []usage.Row) {
	groups := map[string][]entry{}
	for _, e := range all {
		if e.at.Before(from) || !e.at.Before(to) || e.Tenant != q.Tenant || q.Own && e.Consumer != q.Consumer {
			continue
		}
		start := from
		if q.Step != 0 {
			start = e.at.UTC().Truncate(q.Step)
		}
		key := start.UTC().Format(time.RFC3339)
		for _, word := range q.By {
			key += "\x00" + e.word(word)
		}
		groups[key] = append(groups[key], e)
	}
	for key, calls := range groups {
		parts := strings.Split(key, "\x00")
		row := usage.Row{Words: parts[1:]}
		row.From, _ = time.Parse(time.RFC3339, parts[0])
		var took []time.Duration
		for _, c := range calls {
			row.Count++
			if c.Status == 0 || c.Status >= 500 {
				row.Errors++
			}
			row.In, row.Out, row.Cost = row.In+c.In, row.Out+c.Out, row.Cost+c.Cost
			took = append(took, c.Took)
		}
		slices.Sort(took)
		row.P50, row.P95, row.P99 = quantile.Of(took, .5), quantile.Of(took, .95), quantile.Of(took, .99)
		rows = append(rows, row)
	}
	slices.SortFunc(rows, func(a, b usage.Row) int {
		if c := a.From.Compare(b.From); c != 0 {
			return c
		}
		return slices.Compare(a.Words, b.Words)
	})
	return rows
}

// near reports whether a quantile is within the error that the package promises.
func near(got, want time.Duration) bool {
	return max(got-want, want-got) <= max(want/50, time.Microsecond/2)
}

// sameRows compares an answer with the naive one.
func sameRows(t interface{ Fatalf(string, ...any) }, got, want []usage.Row) {
	if len(got) != len(want) {
		t.Fatalf("%d rows, not %d:\n%v\n%v", len(got), len(want), got, want)
	}
	for i, g := range got {
		w := want[i]
		if !slices.Equal(g.Words, w.Words) || !g.From.Equal(w.From) || g.Count != w.Count || g.Errors != w.Errors || g.In != w.In || g.Out != w.Out || g.Cost != w.Cost {
			t.Fatalf("row %d is\n%+v, not\n%+v", i, g, w)
		}
		if !near(g.P50, w.P50) || !near(g.P95, w.P95) || !near(g.P99, w.P99) {
			t.Fatalf("row %d has the quantiles\n%+v, not\n%+v", i, g, w)
		}
	}
}

// total asks for all calls of a tenant in the last days.
func total(t testing.TB, u *usage.Usage, now time.Time, tenant string, by ...string) []usage.Row {
	t.Helper()
	a, err := u.Ask(context.Background(), now, usage.Question{Scope: usage.Scope{Tenant: tenant}, By: by, From: now.Add(-10 * 24 * time.Hour), To: now.Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	return a.Rows
}

func countOf(rows []usage.Row) (n uint64) {
	for _, row := range rows {
		n += row.Count
	}
	return n
}

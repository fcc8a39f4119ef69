package pages

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"jobhub/hub"
	"jobhub/jobs"
	"jobhub/web/rest"
	"jobhub/web/view"
)

const (
	deliveriesShown = 50   // on a page
	callbacksShown  = 100  // at most
	hostsShown      = 12   // at most
	hostsLooked     = 1000 // newest deliveries that the figures of hosts count
	recently        = 5 * time.Minute
)

// callbacksQuery holds the parameters of the page of callbacks.
type callbacksQuery struct {
	states []jobs.State
	cursor string
	before uint64
}

func parseCallbacks(values url.Values) (callbacksQuery, error) {
	if err := rest.CheckParameters(values, "state", "cursor"); err != nil {
		return callbacksQuery{}, err
	}
	f, err := rest.ParseFilter(values)
	return callbacksQuery{f.States, values.Get("cursor"), f.Before}, err
}

func (s callbackPages) callbacksPage(w http.ResponseWriter, r *http.Request) error {
	values, err := rest.ReadQuery(r)
	var q callbacksQuery
	if err == nil {
		q, err = parseCallbacks(values)
	}
	var model view.CallbacksModel
	var pos jobs.Position
	if err == nil {
		model, pos, err = s.callbacksModel(r.Context(), rest.Tenant(r), q)
	}
	if err == nil {
		var seen hostsSeen
		seen, err = s.lookAtHosts(r.Context(), rest.Tenant(r))
		seen.fill(&model)
	}
	if err != nil {
		return err
	}
	return s.Page(w, r, http.StatusOK, view.CallbacksPage(s.Shell(r, pos), model))
}

func findCallbacks(_ context.Context, _, of string) error {
	values, err := url.ParseQuery(of)
	if err == nil {
		_, err = parseCallbacks(values)
	}
	if err != nil {
		return noView("callbacks:" + of)
	}
	return nil
}

// hostsSeen holds what is too expensive to read for each rendering.
type hostsSeen struct {
	hosts view.Hosts
	own   []view.Callback // disabled ones of jobs
}

func (s callbackPages) lookAtHosts(ctx context.Context, tenant string) (m hostsSeen, err error) {
	if m.hosts, err = s.hosts(ctx, tenant, time.Now()); err == nil {
		m.own, err = s.disabledOfJobs(ctx, tenant)
	}
	return m, err
}

// fill adds it to the model.
func (m hostsSeen) fill(to *view.CallbacksModel) {
	to.Hosts = m.hosts
	to.Callbacks = append(to.Callbacks, m.own...)
	slices.SortStableFunc(to.Callbacks, func(a, b view.Callback) int { // what is disabled first
		switch {
		case a.Disabled == b.Disabled:
			return 0
		case a.Disabled:
			return -1
		}
		return 1
	})
	to.Callbacks = to.Callbacks[:min(len(to.Callbacks), callbacksShown)]
}

func (s callbackPages) drawCallbacks(ctx context.Context, tenant, of string, _ any) (out hub.Rendered, err error) {
	values, err := url.ParseQuery(of)
	if err != nil {
		return out, err
	}
	q, err := parseCallbacks(values)
	if err != nil {
		return out, err
	}
	model, _, err := s.callbacksModel(ctx, tenant, q)
	if err != nil {
		return out, err
	}
	seen, err := s.seen.Get(tenant, lookupAge, func() (hostsSeen, error) { return s.lookAtHosts(ctx, tenant) })
	if err != nil {
		return out, err
	}
	seen.fill(&model)
	return rendered(ctx, hub.Causes{Filters: []hub.Filter{{Tenant: tenant, Queue: jobs.CallbackQueue}}, Notices: []jobs.Notice{{Tenant: tenant, Subject: jobs.SettingsChanged}}}, everyBucket, view.CallbacksFragments(model))
}

func (s callbackPages) callbacksModel(ctx context.Context, tenant string, q callbacksQuery) (view.CallbacksModel, jobs.Position, error) {
	m := view.CallbacksModel{At: time.Now(), Origin: s.Origin, States: q.states, Cursor: q.cursor}
	page, err := s.Store.List(ctx, jobs.Filter{Tenant: tenant, Queue: jobs.CallbackQueue, Kind: jobs.KindWebhook, States: q.states, Before: q.before, Limit: deliveriesShown})
	if err != nil {
		return m, page.Pos, err
	}
	m.Deliveries = page.Jobs
	if page.Next > 0 {
		m.Next = rest.FormatCursor(page.Next)
	}
	queues, _, err := s.Store.Queues(ctx, tenant)
	if err != nil {
		return m, page.Pos, err
	}
	for _, info := range queues {
		if info.Name == jobs.CallbackQueue {
			m.Counts = info.Counts
		}
		for _, c := range info.Settings.Callbacks {
			it := callbackOf(c)
			it.Queue = info.Name
			m.Callbacks = append(m.Callbacks, it)
		}
	}
	return m, page.Pos, nil
}

func callbackOf(c jobs.Callback) view.Callback {
	return view.Callback{ID: callbackID(c.URL), Target: view.HostPath(c.URL), Events: c.Events, Signed: len(c.Secrets) > 0, Disabled: c.Disabled, Since: c.DisabledAt}
}

// callbackID names a URL without showing it.
func callbackID(address string) string {
	sum := sha256.Sum256([]byte(address))
	return hex.EncodeToString(sum[:12])
}

// disabledOfJobs returns the disabled callbacks of unfinished jobs. A finished job sends no
// more events, so its callbacks are left out.
func (s callbackPages) disabledOfJobs(ctx context.Context, tenant string) (out []view.Callback, err error) {
	page, err := s.Store.List(ctx, jobs.Filter{Tenant: tenant, Queue: jobs.CallbackQueue, Kind: jobs.KindWebhook, States: []jobs.State{jobs.Failed}, Limit: looked})
	if err != nil {
		return nil, err
	}
	seen := map[jobs.ID]bool{}
	for _, d := range page.Jobs {
		if seen[d.Parent] || len(d.Callbacks) == 0 || d.Callbacks[0].Queue != "" || d.Reason != jobs.Rejected {
			continue
		}
		seen[d.Parent] = true
		parent, _, err := s.Store.Job(ctx, tenant, d.Parent)
		gone := errors.Is(err, jobs.ErrNotFound) || errors.Is(err, jobs.ErrGone)
		if err != nil && !gone {
			return nil, err
		}
		if gone || parent.State.Final() { // it sends no more events
			continue
		}
		for _, c := range parent.Callbacks {
			if c.Disabled {
				it := callbackOf(c)
				it.Job = parent.ID
				out = append(out, it)
			}
		}
	}
	return out, nil
}

// hosts returns figures of the newest deliveries by receiver, those with the most first.
func (s callbackPages) hosts(ctx context.Context, tenant string, now time.Time) (out view.Hosts, err error) {
	page, err := s.Store.List(ctx, jobs.Filter{Tenant: tenant, Queue: jobs.CallbackQueue, Kind: jobs.KindWebhook, Limit: hostsLooked})
	if err != nil {
		return out, err
	}
	hosts := map[string]*view.Host{}
	for i := range page.Jobs {
		j := &page.Jobs[i]
		if len(j.Callbacks) == 0 {
			continue
		}
		name, _, _ := strings.Cut(view.HostPath(j.Callbacks[0].URL), "/")
		h := hosts[name]
		if h == nil {
			h = &view.Host{Name: name}
			hosts[name] = h
		}
		for _, p := range []struct {
			of  time.Duration
			sum *view.Ended
		}{{recently, &h.Recent}, {time.Hour, &h.Hour}} {
			switch ended := j.State.Final() && now.Sub(j.FinishedAt) < p.of; {
			case ended && j.State == jobs.Succeeded:
				p.sum.Done++
			case ended && j.State == jobs.Failed:
				p.sum.Failed++
			}
		}
		switch {
		case j.State.Final():
		case j.State == jobs.Retrying || j.Attempt > 1:
			h.Retrying++
		default:
			h.Pending++
		}
	}
	for _, h := range hosts {
		if h.Total() > 0 {
			out.List = append(out.List, *h)
		}
	}
	slices.SortFunc(out.List, func(a, b view.Host) int {
		return cmp.Or(cmp.Compare(b.Total(), a.Total()), strings.Compare(a.Name, b.Name))
	})
	out.Looked = len(page.Jobs)
	out.Cut = page.Next > 0 && now.Sub(page.Jobs[len(page.Jobs)-1].CreatedAt) < time.Hour
	if n := len(out.List); n > hostsShown {
		out.List, out.More = out.List[:hostsShown], n-hostsShown
	}
	return out, nil
}

// enableCallbackForm is POST /callbacks/enable: it enables a callback that was disabled
// because its receiver answered 410 Gone.
func (s callbackPages) enableCallbackForm(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(w, r, rest.MaxForm); err != nil {
		return err
	}
	queue, id := r.PostForm.Get("queue"), r.PostForm.Get("callback")
	list := s.Engine.Queues.Settings(rest.Tenant(r), queue).Callbacks
	i := slices.IndexFunc(list, func(c jobs.Callback) bool { return callbackID(c.URL) == id })
	err := error(jobs.NewProblem(jobs.NotFound, "No such callback", "The queue has no such callback any more."))
	if i >= 0 {
		err = s.Engine.Queues.EnableCallback(r.Context(), rest.Tenant(r), queue, list[i].URL)
	}
	if err != nil {
		return err
	}
	return seeOther(w, "/callbacks")
}

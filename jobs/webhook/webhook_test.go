package webhook

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"jobhub/jobs"
	"jobhub/jobs/egress"
	"jobhub/jobs/engine"
	"jobhub/jobs/sqlite"
)

const (
	secretA jobs.Secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	secretB jobs.Secret = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
)

// roundTrip answers requests without a network.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// seen is one attempt as its receiver saw it.
type seen struct {
	at                         time.Time
	id, stamp, signature, body string
	header                     http.Header
}

func see(r *http.Request) seen {
	body, _ := io.ReadAll(r.Body)
	one := func(name string) string { return strings.Join(append(r.Header[name], r.Header.Values(name)...), "|") }
	return seen{time.Now(), one("webhook-id"), one("webhook-timestamp"), one("webhook-signature"), string(body), r.Header}
}

// deliver runs a job whose one delivery the receiver answers, and returns that delivery
// at its end.
func deliver(t *testing.T, secret string, receive func(n int, s seen) (*http.Response, error)) (first jobs.Job, all []seen, again func() jobs.Job, done func()) {
	t.Helper()
	ctx := context.Background()
	store, err := sqlite.Open(ctx, t.TempDir(), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := newSender(Options{})
	s.client.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
		got := see(r)
		all = append(all, got)
		return receive(len(all), got)
	})
	own, err := engine.Open(ctx, engine.Options{Store: store, Handlers: map[string]jobs.Handler{
		"k": {Run: func(context.Context, jobs.Run) (jobs.Result, error) {
			return jobs.Result{Value: jobs.Value(`1.50`)}, nil
		}},
		jobs.KindWebhook: s.handler()}})
	if err != nil {
		t.Fatal(err)
	}
	done = func() {
		if err := errors.Join(own.Close(ctx), store.Close()); err != nil {
			t.Error(err)
		}
	}
	text := `[{"url":"https://a.example/hook"` + secret + `}]`
	callbacks, err := jobs.DecodeCallbacks("", jobs.Value(text))
	if err != nil {
		t.Fatal(err)
	}
	wait := func(id jobs.ID) jobs.Job {
		t.Helper()
		j, err := own.Wait(ctx, jobs.DefaultTenant, id)
		if err != nil {
			t.Fatal(err)
		}
		return j
	}
	a, err := own.Submit(ctx, jobs.Spec{Kind: "k", Callbacks: callbacks, Input: jobs.Value(`{"headers":{"traceparent":"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}}`)})
	if err != nil {
		t.Fatal(err)
	}
	wait(a.Job.ID)
	page, err := store.List(ctx, jobs.Filter{Tenant: jobs.DefaultTenant, Parent: a.Job.ID})
	if err != nil || len(page.Jobs) != 1 {
		t.Fatalf("%d deliveries, %v", len(page.Jobs), err)
	}
	first = wait(page.Jobs[0].ID)
	return first, all, func() jobs.Job {
		t.Helper()
		a, err := own.Retry(ctx, jobs.DefaultTenant, first.ID, engine.RetryOptions{})
		if err != nil {
			t.Fatal(err)
		}
		j := wait(a.Job.ID)
		return j
	}, done
}

func answer(status int, header ...string) *http.Response {
	h := http.Header{}
	for i := 0; i+1 < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader("said"))}
}

// A delivery that is never taken is tried after 5 s, 5 m, 30 m, 2 h, 5 h and 10 h, with
// up to a fifth more; the same id and body each time, the time and signature of each.
func TestSchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		j, all, again, done := deliver(t, `,"secret":"`+string(secretA)+`"`, func(n int, s seen) (*http.Response, error) {
			switch n {
			case 2:
				return nil, errors.New("the network is down")
			case 3:
				return answer(302, "Location", "https://b.example/"), nil
			case 4:
				return answer(404), nil
			case 8:
				return answer(204), nil
			}
			return answer(500), nil
		})
		defer done()
		if j.State != jobs.Failed || j.Reason != jobs.Exhausted || j.Attempt != 7 || len(all) != 7 || j.Error.Code != egress.UpstreamStatus || !strings.Contains(string(j.Result), `"status":500,"body":"said"`) {
			t.Fatalf("%d attempts, %s %s %v %s", len(all), j.State, j.Reason, j.Error, j.Result)
		}
		last := begin
		for i, s := range all {
			if i > 0 {
				nominal := jobs.CallbackRetries[i-1]
				if wait := s.at.Sub(last); wait < nominal || wait > nominal*6/5+100*time.Millisecond {
					t.Errorf("attempt %d came after %s, want %s to a fifth more", i+1, wait, nominal)
				}
			}
			last = s.at
			if s.id != all[0].id || s.body != all[0].body || s.stamp != fmt.Sprint(s.at.Unix()) || s.signature != sign([]jobs.Secret{secretA}, s.id, s.stamp, []byte(s.body)) {
				t.Errorf("attempt %d: %+v", i+1, s)
			}
		}
		if all[0].id != "msg_"+j.ID.String() || all[0].header.Get("Traceparent") == "" || !strings.HasPrefix(all[0].body, `{"type":"job.succeeded","timestamp":"`) || !strings.Contains(all[0].body, `"result":1.50`) {
			t.Errorf("%+v", all[0])
		}
		time.Sleep(3 * 24 * time.Hour)
		second := again()
		if second.State != jobs.Succeeded || second.RetryOf != j.ID || second.Parent != j.Parent {
			t.Errorf("retried: %+v", second)
		}
	})
}

// A receiver is heard: later if it says so, but never earlier than planned, and 410 ends it.
func TestReceiverSays(t *testing.T) {
	for name, c := range map[string]struct {
		answer      *http.Response
		least, most time.Duration // to the second attempt, 0 for none
		state       jobs.State
		reason      jobs.Reason
	}{
		"Retry-After is later": {answer(429, "Retry-After", "40"), 40 * time.Second, 41 * time.Second, jobs.Succeeded, ""},
		"and not earlier":      {answer(503, "Retry-After", "1"), 5 * time.Second, 6100 * time.Millisecond, jobs.Succeeded, ""},
		"a 4xx is retried":     {answer(400), 5 * time.Second, 6100 * time.Millisecond, jobs.Succeeded, ""},
		"gone":                 {answer(410), 0, 0, jobs.Failed, jobs.Rejected},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				j, all, _, done := deliver(t, "", func(n int, s seen) (*http.Response, error) {
					if n == 1 {
						return c.answer, nil
					}
					return answer(200), nil
				})
				defer done()
				if j.State != c.state || j.Reason != c.reason || (len(all) == 1) != (c.most == 0) {
					t.Fatalf("%s %s after %d attempts: %v", j.State, j.Reason, len(all), j.Error)
				}
				if len(all) > 1 {
					if wait := all[1].at.Sub(all[0].at); wait < c.least || wait > c.most {
						t.Errorf("the second attempt came after %s, want %s to %s", wait, c.least, c.most)
					}
				}
				if all[0].signature != "" || all[0].id == "" || all[0].stamp == "" {
					t.Errorf("without a secret: %+v", all[0])
				}
			})
		})
	}
}

// A receiver that does not answer has half a minute; then the delivery goes by its plan.
func TestSilentReceiver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSender(Options{})
		s.client.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		})
		began := time.Now()
		_, err := s.run(t.Context(), job(`"https://a.example"`, 1), open{})
		f, ok := errors.AsType[*jobs.Failure](err)
		if !ok || f.Never || f.After < 5*time.Second || time.Since(began) != attemptTimeout {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
	})
}

func job(url string, attempt int) *jobs.Job {
	return &jobs.Job{Attempt: attempt, Input: jobs.Value(`{"id":"msg_1","url":` + url + `,"body":{"a":1}}`)}
}

// open is a callback that takes deliveries and has secrets.
type open []jobs.Secret

func (o open) Callback(context.Context) (jobs.Callback, error) { return jobs.Callback{Secrets: o}, nil }
func (o open) EnableCallback(context.Context, bool) error      { return nil }

func TestSecrets(t *testing.T) {
	var got seen
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { got = see(r) }))
	defer s.Close()
	body := []byte(`{"a":1}`)
	for name, c := range map[string]struct{ own, hub, want []jobs.Secret }{
		"its own":          {own: []jobs.Secret{secretA}, hub: []jobs.Secret{secretB}, want: []jobs.Secret{secretA}},
		"two, one rotated": {own: []jobs.Secret{secretB, secretA}, want: []jobs.Secret{secretB, secretA}},
		"the hub's":        {hub: []jobs.Secret{secretB}, want: []jobs.Secret{secretB}},
		"none":             {},
	} {
		sender := newSender(Options{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Secrets: c.hub})
		if _, err := sender.run(t.Context(), job(`"`+s.URL+`"`, 1), open(c.own)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if want := sign(c.want, "msg_1", got.stamp, body); got.signature != want || got.body != string(body) || len(strings.Fields(want)) != len(c.want) {
			t.Errorf("%s: signature %q, want %q", name, got.signature, want)
		}
	}
}

// The vector of the Standard Webhooks specification's own libraries.
func TestSignatureVector(t *testing.T) {
	got := sign([]jobs.Secret{secretA}, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", []byte(`{"test": 2432232314}`))
	if want := "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// Callbacks pass the egress guard, and what is in a URL is in no error.
func TestEgress(t *testing.T) {
	hits := 0
	canary := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits++ }))
	defer canary.Close()
	t.Setenv("HTTP_PROXY", canary.URL)
	s := newSender(Options{})
	for _, url := range []string{canary.URL + "/?s3cret", strings.Replace(canary.URL, "127.0.0.1", "localhost", 1) + "/?s3cret", "ftp://a.example/?s3cret", "http://u:s3cret@a.example/"} {
		_, err := s.run(t.Context(), job(`"`+url+`"`, 1), open{})
		f, ok := errors.AsType[*jobs.Failure](err)
		if !ok || !f.Never || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v", url, err)
		}
		if !strings.Contains(url, "localhost") {
			if err := s.check(jobs.Value(`{"url":"`+url+`"}`), jobs.Via{}); err == nil || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("%s: accepted with %v", url, err)
			}
		}
	}
	if hits != 0 {
		t.Errorf("the canary got %d requests", hits)
	}
	redirect := httptest.NewServer(http.RedirectHandler(canary.URL, http.StatusTemporaryRedirect))
	defer redirect.Close()
	s = newSender(Options{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	if _, err := s.run(t.Context(), job(`"`+redirect.URL+`"`, 1), open{}); err == nil || hits != 0 {
		t.Errorf("a redirect was followed %d times: %v", hits, err)
	}
}

// An answer without end costs no more than what is looked at.
func TestLargeAnswer(t *testing.T) {
	s := newSender(Options{})
	read := 0
	s.client.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
		res := answer(200)
		res.Body = io.NopCloser(endless{&read})
		return res, nil
	})
	res, err := s.run(t.Context(), job(`"https://a.example"`, 1), open{})
	if err != nil || read > 2*maxRead || len(res.Value) > 2*maxResultBody {
		t.Errorf("read %d, kept %d: %v", read, len(res.Value), err)
	}
}

type endless struct{ n *int }

func (e endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	*e.n += len(p)
	return len(p), nil
}

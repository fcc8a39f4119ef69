package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const subscribedAt3 = `{"type":"subscribed","id":"w","epoch":"e","seq":3,"recovered":true}`

// issuer hands out t1, t2, …; the calls in fails fail.
type issuer struct {
	calls int
	fails []int
}

func (i *issuer) token(context.Context) (string, error) {
	i.calls++
	if slices.Contains(i.fails, i.calls) {
		return "", errors.New("the issuer is down")
	}
	return fmt.Sprint("t", i.calls), nil
}

func TestTokenOfClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := &scripted{scripts: []script{{frames: []string{subscribedAt3}, close: 4100}}}
		got := watch(t, hub, Filter{All: true}, WatchOptions{})
		if !slices.Equal(hub.tokens, []string{"Bearer fixed"}) || got.err == nil {
			t.Errorf("tokens %q, %v", hub.tokens, got.err)
		}
	})
}

// A new token is fetched when the old one was refused, and only then.
func TestTokenRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := &scripted{scripts: []script{
			{frames: []string{subscribedAt3}, close: 4199},
			{frames: []string{subscribedAt3}, close: 1012},
			{frames: []string{subscribedAt3}, close: 4100},
			{frames: []string{subscribedAt3}},
			{status: 401},
			{frames: []string{subscribedAt3, event("job.queued", 4)}},
		}}
		i := &issuer{fails: []int{3}} // once connected, that is no reason to give up
		got := watch(t, hub, Filter{All: true}, WatchOptions{Token: i.token})
		got.over(t)
		if want := []string{"Bearer t1", "Bearer t2", "Bearer t2", "Bearer t4", "Bearer t4", "Bearer t5"}; !slices.Equal(hub.tokens, want) {
			t.Errorf("tokens %q, want %q", hub.tokens, want)
		}
		if got.last.Resume != (Position{"e", 4}) {
			t.Errorf("resume at %v", got.last.Resume)
		}
	})
}

func TestTokenInVain(t *testing.T) {
	for name, c := range map[string]struct {
		scripts []script
		issuer  issuer
		tokens  int
		says    string
	}{
		"a new one refused":   {[]script{{status: 401}, {status: 401}}, issuer{}, 1, "401"},
		"none at first":       {nil, issuer{fails: []int{1}}, 0, "the issuer is down"},
		"closed for good too": {[]script{{frames: []string{subscribedAt3}, close: 4403}}, issuer{}, 1, "4403"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hub := &scripted{scripts: c.scripts}
				got := watch(t, hub, Filter{All: true}, WatchOptions{Token: c.issuer.token})
				if got.err == nil || !strings.Contains(got.err.Error(), c.says) || len(hub.tokens) != c.tokens {
					t.Errorf("ended with %v, tokens %q", got.err, hub.tokens)
				}
			})
		})
	}
}

func TestTokenExpiring(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		expiring := `{"type":"expiring","in_ms":60000}`
		hub := &scripted{scripts: []script{
			{frames: []string{subscribedAt3, expiring}, hears: true},
			{frames: []string{subscribedAt3, `{"type":"error","id":"refresh","code":"unauthorized","message":"no","retry":false}`, expiring}, hears: true},
			{frames: []string{subscribedAt3, expiring, event("job.queued", 4)}},
		}}
		i := &issuer{fails: []int{4}}
		got := watch(t, hub, Filter{All: true}, WatchOptions{Token: i.token})
		got.want(t, "subscribed 3", "subscribed 3", "subscribed 3", "job.queued 4")
		if want := []string{`{"type":"refresh","id":"refresh","token":"t2"}`, `{"type":"refresh","id":"refresh","token":"t3"}`}; !slices.Equal(hub.heard, want) {
			t.Errorf("heard %q, want %q", hub.heard, want)
		}
		if want := []string{"Bearer t1", "Bearer t2", "Bearer t3"}; !slices.Equal(hub.tokens[:3], want) {
			t.Errorf("tokens %q, want %q", hub.tokens, want)
		}
	})
}

// Pauses begin anew only after a connection that lasted.
func TestPausesAfterStable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		brief, lasting := script{frames: []string{subscribedAt3}}, script{frames: []string{subscribedAt3}, close: silent}
		scripts := slices.Repeat([]script{brief}, 20)
		hub := &scripted{scripts: append(append(scripts, lasting), scripts...)}
		got := watch(t, hub, Filter{All: true}, WatchOptions{})
		if most := slices.Max(got.pauses[:20]); most <= 10*time.Second {
			t.Errorf("after 20 brief connections at most %s", most)
		}
		if after := got.pauses[20]; after > firstPause {
			t.Errorf("after a lasting connection %s", after)
		}
		for i, p := range got.pauses {
			if p > maxPause {
				t.Errorf("pause %d is %s", i, p)
			}
		}
	})
}

func TestMissed(t *testing.T) {
	yes, no := true, false
	for _, c := range []struct {
		m    Message
		want bool
	}{{Message{Type: Gap}, true}, {Message{Type: Subscribed}, false}, {Message{Type: Subscribed, Recovered: &yes}, false}, {Message{Type: Subscribed, Recovered: &no}, true}, {Message{Type: State}, false}} {
		if got := c.m.Missed(); got != c.want {
			t.Errorf("%+v: %v", c.m, got)
		}
	}
}

package jwt

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// longPayload is claims that are valid for 10 days.
func longPayload() string {
	return fmt.Sprintf(`{"iss":"%s","aud":"hub","sub":"alice","exp":%d}`, issuerURL, time.Now().Add(240*time.Hour).Unix())
}

func TestRotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &provider{document: jwks(named("old", edPrivate))}
		i := start(t, options(p))
		old := edToken("old", longPayload())
		young := sign("EdDSA", `{"alg":"EdDSA","kid":"new"}`, longPayload(), otherEd)
		verify(t, i, old)
		refuse(t, i, young, 401, "no key") // the first fetch was less than MinPause ago
		if p.fetches() != 1 {
			t.Fatalf("%d fetches, want one", p.fetches())
		}

		// A new key appears: the first token with it causes one fetch, then it is known.
		p.set(func() { p.document = jwks(named("old", edPrivate), named("new", otherEd)) })
		time.Sleep(MinPause)
		verify(t, i, young)
		verify(t, i, young)
		verify(t, i, old)
		if p.fetches() != 2 {
			t.Fatalf("%d fetches, want two", p.fetches())
		}

		// The old key disappears: after the next fetch, its tokens count no longer, although
		// they were verified before.
		p.set(func() { p.document = jwks(named("new", otherEd)) })
		verify(t, i, old)
		time.Sleep(DefaultRefresh)
		synctest.Wait()
		refuse(t, i, old, 401, "no key")
		verify(t, i, young)

		// All keys are withdrawn.
		p.set(func() { p.document = `{"keys":[]}` })
		time.Sleep(DefaultRefresh)
		synctest.Wait()
		refuse(t, i, young, 401, "no key")
	})
}

// TestRotationWithoutNames: keys and tokens without kid, and a kid that is used again.
func TestRotationWithoutNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &provider{document: jwks(publicJWK(edPrivate))}
		i := start(t, options(p))
		young := sign("EdDSA", `{"alg":"EdDSA"}`, longPayload(), otherEd)
		verify(t, i, edToken("", longPayload()))
		p.set(func() { p.document = jwks(publicJWK(otherEd)) })
		time.Sleep(MinPause)
		verify(t, i, young)
		refuse(t, i, edToken("", longPayload()), 401, "signature")

		four := []string{publicJWK(otherEd), publicJWK(otherEd), publicJWK(otherEd), publicJWK(edPrivate)}
		p.set(func() { p.document = jwks(four...) })
		time.Sleep(MinPause)
		verify(t, i, edToken("", longPayload()))
		p.set(func() { p.document = jwks(append(four, publicJWK(otherEd))...) })
		time.Sleep(DefaultRefresh)
		synctest.Wait()
		refuse(t, i, edToken("", longPayload()), 401, "More than 4 keys")
	})
}

// TestFloodOfUnknownKeys: made-up kids cause one fetch in MinPause, and tokens of known keys do
// not wait for it.
func TestFloodOfUnknownKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &provider{document: jwks(named("ed", edPrivate))}
		i := start(t, options(p))
		good, other := edToken("ed", longPayload()), edToken("ed", payload(`"n":1,`))
		verify(t, i, good)
		time.Sleep(MinPause)
		block := make(chan struct{})
		p.set(func() { p.block = block })
		var callers sync.WaitGroup
		for n := range 1000 {
			callers.Go(func() { refuse(t, i, edToken(fmt.Sprint("made-up-", n), longPayload()), 401, "no key") })
		}
		synctest.Wait() // all of them wait for the one fetch
		verify(t, i, good)
		verify(t, i, other)
		close(block)
		callers.Wait()
		if p.fetches() != 2 {
			t.Errorf("%d fetches, want two", p.fetches())
		}
		begin := time.Now()
		for n := range 1000 {
			refuse(t, i, edToken(fmt.Sprint("made-up-", n), longPayload()), 401, "no key")
			time.Sleep(100 * time.Millisecond)
		}
		if most := 3 + int(time.Since(begin)/MinPause); p.fetches() > most {
			t.Errorf("%d fetches in %v, want %d at most", p.fetches(), time.Since(begin), most)
		}
	})
}

func TestFirstFetchIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		block := make(chan struct{})
		p := &provider{document: jwks(named("ed", edPrivate)), block: block}
		i := start(t, options(p))
		token := edToken("ed", longPayload())
		var callers sync.WaitGroup
		for range 100 {
			callers.Go(func() { verify(t, i, token) })
		}
		synctest.Wait()
		left, leave := context.WithCancel(t.Context()) // this one does not want to wait
		callers.Go(func() {
			_, err := i.Verify(left, token)
			checkProblem(t, err, 503, "identity provider")
		})
		synctest.Wait()
		leave()
		synctest.Wait()
		close(block)
		callers.Wait()
		if p.fetches() != 1 {
			t.Errorf("%d fetches, want one", p.fetches())
		}
	})
}

func TestMalformedTokensCauseNoFetch(t *testing.T) {
	p := &provider{document: jwks(named("ed", edPrivate))}
	i := start(t, options(p))
	refuse(t, i, "a.b.c", 401, "not a signed")
	if p.fetches() != 0 {
		t.Error("the keys were fetched")
	}
}

func TestOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &provider{document: jwks(named("ed", edPrivate)), down: true}
		i := start(t, options(p))
		good := edToken("ed", longPayload())
		refuse(t, i, good, 503, "Try again")
		refuse(t, i, good, 503, "Try again")
		if p.fetches() != 1 {
			t.Fatalf("%d fetches, want one in MinPause", p.fetches())
		}
		p.set(func() { p.down = false })
		time.Sleep(MinPause)
		synctest.Wait()
		begin := time.Now()
		verify(t, i, good)

		// Down: the last keys count until Grace after they should have been replaced.
		p.set(func() { p.down = true })
		time.Sleep(DefaultRefresh + Grace - time.Since(begin) - time.Minute)
		verify(t, i, good)
		verify(t, i, edToken("ed", payload(`"n":1,`)))
		refuse(t, i, edToken("new", payload("")), 503, "Try again") // the key may be a new one
		refuse(t, i, edToken("ed", `{}`), 401, "issuer")
		before := p.fetches()
		if most := int((Grace+DefaultRefresh)/MaxPause) + 10; before > most {
			t.Errorf("%d fetches during the outage, want %d at most", before, most)
		}
		time.Sleep(2 * time.Minute)
		refuse(t, i, good, 503, "Try again")

		p.set(func() { p.down = false })
		time.Sleep(MaxPause) // nobody asks; it comes back by itself
		synctest.Wait()
		verify(t, i, good)
		refuse(t, i, edToken("new", payload("")), 401, "no key")
	})
}

func TestRefreshTimes(t *testing.T) {
	for header, want := range map[string]time.Duration{
		"":                                    DefaultRefresh,
		"public":                              DefaultRefresh,
		"public, max-age=7200":                2 * time.Hour,
		`Max-Age="7200"`:                      2 * time.Hour,
		"max-age=1":                           MinRefresh,
		"max-age=0":                           MinRefresh,
		"max-age=99999999":                    MaxRefresh,
		"max-age=99999999999999999999":        DefaultRefresh,
		"max-age=-1":                          DefaultRefresh,
		"max-age=7200, no-store":              MinRefresh,
		"no-cache":                            MinRefresh,
		"s-maxage=60, max-age=7200,immutable": 2 * time.Hour,
	} {
		if got := lifetimeOf(http.Header{"Cache-Control": {header}}); got != want {
			t.Errorf("%q: %v, want %v", header, got, want)
		}
	}
	if got := lifetimeOf(http.Header{"Cache-Control": {"public", "max-age=7200"}, "Age": {"3600"}}); got != time.Hour {
		t.Errorf("with Age: %v, want 1h", got)
	}
	synctest.Test(t, func(t *testing.T) {
		p := &provider{document: jwks(named("ed", edPrivate)), header: http.Header{"Cache-Control": {"max-age=7200"}}}
		i := start(t, options(p))
		verify(t, i, edToken("ed", longPayload()))
		time.Sleep(2*time.Hour - time.Second)
		synctest.Wait()
		if p.fetches() != 1 {
			t.Fatalf("%d fetches before the time is over, want one", p.fetches())
		}
		keys := i.source.loaded()
		time.Sleep(10*time.Hour + time.Second)
		synctest.Wait()
		if p.fetches() != 7 {
			t.Errorf("%d fetches in 12 hours, want 7", p.fetches())
		}
		if i.source.loaded() != keys {
			t.Error("the same document gave other keys, for which all tokens are verified again")
		}
	})
}

func TestBadAnswers(t *testing.T) {
	good := named("ed", edPrivate)
	for name, change := range map[string]func(*provider){
		"status":          func(p *provider) { p.status = 500 },
		"not changed":     func(p *provider) { p.status = 304 },
		"no JSON":         func(p *provider) { p.document = "<html>" },
		"nothing":         func(p *provider) { p.document = "" },
		"null":            func(p *provider) { p.document = "null" },
		"no keys":         func(p *provider) { p.document = `{"issuer":"x"}` },
		"keys are null":   func(p *provider) { p.document = `{"keys":null}` },
		"more behind it":  func(p *provider) { p.document = jwks(good) + "{}" },
		"keys twice":      func(p *provider) { p.document = `{"keys":[],` + jwks(good)[1:] },
		"member twice":    func(p *provider) { p.document = jwks(`"kid":"ed",` + good) },
		"too many keys":   func(p *provider) { p.document = jwks(strings.Split(strings.Repeat(good+"|", MaxKeys), "|")...) },
		"too large":       func(p *provider) { p.document = jwks(`"x5c":["` + strings.Repeat("a", MaxDocument) + `"],` + good) },
		"too many spaces": func(p *provider) { p.document = jwks(good) + strings.Repeat(" ", MaxDocument) },
		"too deep": func(p *provider) {
			p.document = `{"a":` + strings.Repeat("[", 99) + strings.Repeat("]", 99) + `,` + jwks(good)[1:]
		},
		"to another host":   func(p *provider) { p.redirect = map[string]string{keysURL: "https://evil.example.com/jwks.json"} },
		"to another port":   func(p *provider) { p.redirect = map[string]string{keysURL: "https://idp.example.com:8443/jwks.json"} },
		"to another scheme": func(p *provider) { p.redirect = map[string]string{keysURL: "http://idp.example.com/jwks.json"} },
		"in a circle":       func(p *provider) { p.redirect = map[string]string{keysURL: keysURL} },
	} {
		t.Run(name, func(t *testing.T) {
			p := &provider{document: jwks(good)}
			change(p)
			i := start(t, options(p))
			refuse(t, i, edToken("ed", longPayload()), 503, "Try again")
			if p.fetches() > 1+maxRedirects {
				t.Errorf("%d requests", p.fetches())
			}
		})
	}
	p := &provider{document: jwks(good), redirect: map[string]string{keysURL: "https://IDP.example.com/new.json"}}
	verify(t, start(t, options(p)), edToken("ed", longPayload()))
}

// TestSlowProvider: a fetch ends after FetchTimeout, with whoever waits for it.
func TestSlowProvider(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &provider{block: make(chan struct{})}
		i := start(t, options(p))
		begin := time.Now()
		refuse(t, i, edToken("ed", longPayload()), 503, "Try again")
		if took := time.Since(begin); took != FetchTimeout {
			t.Errorf("it took %v, want %v", took, FetchTimeout)
		}
	})
}

func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		unused := start(t, options(&provider{}))
		unused.Close()
		refuse(t, unused, edToken("ed", longPayload()), 503, "")

		p := &provider{document: jwks(named("ed", edPrivate))}
		i := start(t, options(p))
		verify(t, i, edToken("ed", longPayload()))
		time.Sleep(MinPause)
		p.set(func() { p.block = make(chan struct{}) })
		var callers sync.WaitGroup
		callers.Go(func() { refuse(t, i, edToken("new", longPayload()), 503, "") })
		synctest.Wait()
		i.Close() // while the fetch is under way
		callers.Wait()
		i.Close()
		verify(t, i, edToken("ed", longPayload())) // requests that are under way go on
		refuse(t, i, edToken("new", longPayload()), 503, "")
		if p.fetches() != 2 {
			t.Errorf("%d fetches, want two", p.fetches())
		}
	})
}

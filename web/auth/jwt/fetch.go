package jwt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"jobhub/jobs"
)

// maxRedirects is how many redirects to the same origin are followed.
const maxRedirects = 3

// sameOrigin returns a copy of client that follows no redirects to another origin and keeps no
// cookies.
func sameOrigin(client *http.Client) *http.Client {
	c := *client
	c.Jar = nil
	c.CheckRedirect = func(to *http.Request, via []*http.Request) error {
		first := via[0].URL
		if to.URL.Scheme != first.Scheme || !strings.EqualFold(to.URL.Host, first.Host) {
			return errors.New("it redirects to another origin; configure the final address")
		}
		if len(via) > maxRedirects {
			return fmt.Errorf("it redirects more than %d times", maxRedirects)
		}
		return nil
	}
	return &c
}

// fetch gets the document with the keys, and for how long to keep them.
func (s *source) fetch(ctx context.Context) (document []byte, lifetime time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, FetchTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.address, nil)
	if err != nil {
		return nil, 0, err
	}
	req.Header.Set("Accept", "application/jwk-set+json, application/json")
	res, err := s.client.Do(req)
	if err != nil {
		return nil, 0, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, 0, fmt.Errorf("the provider answered %d instead of 200", res.StatusCode)
	}
	document, err = io.ReadAll(io.LimitReader(res.Body, MaxDocument+1))
	switch {
	case err != nil:
		return nil, 0, err
	case len(document) > MaxDocument:
		return nil, 0, fmt.Errorf("the set of keys has more than %s", jobs.SizeText(MaxDocument))
	}
	return document, lifetimeOf(res.Header), nil
}

// lifetimeOf returns for how long the keys of an answer are to be kept: by Cache-Control and
// Age (RFC 9111), within MinRefresh and MaxRefresh.
func lifetimeOf(h http.Header) time.Duration {
	lifetime := DefaultRefresh
	for directive := range strings.SplitSeq(strings.Join(h.Values("Cache-Control"), ","), ",") {
		name, value, _ := strings.Cut(strings.ToLower(strings.TrimSpace(directive)), "=")
		switch name {
		case "no-store", "no-cache":
			return MinRefresh
		case "max-age":
			if seconds, err := strconv.ParseUint(strings.Trim(value, `"`), 10, 31); err == nil {
				age, _ := strconv.ParseUint(h.Get("Age"), 10, 31)
				lifetime = time.Duration(int64(seconds)-int64(age)) * time.Second
			}
		}
	}
	return min(max(lifetime, MinRefresh), MaxRefresh)
}

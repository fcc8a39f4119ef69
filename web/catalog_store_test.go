package web_test

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"jobhub/jobs/egress"
)

// TestCatalogueRaces: of parallel changes each is whole, and asking at once gives one access.
func TestCatalogueRaces(t *testing.T) {
	c := startCatalogue(t)
	c.orders("", true)
	var all sync.WaitGroup
	statuses := make([]int, 8)
	for i := range statuses {
		all.Go(func() {
			doc := ordersDocument(fmt.Sprintf(`,{"name":"p%d","in":"query","schema":{"type":"string"}}`, i))
			request, _ := http.NewRequestWithContext(t.Context(), "PUT", c.url+"/v1/apis/orders/versions/v2", strings.NewReader(c.version(doc, fmt.Sprintf("/api/race%d/", i))))
			request.Header.Set("Content-Type", "application/json")
			request.Header.Set("Authorization", "Bearer "+c.owner)
			if res, err := c.client.Do(request); err != nil {
				t.Error(err)
			} else {
				res.Body.Close()
				statuses[i] = res.StatusCode
			}
		})
		all.Go(func() {
			request, _ := http.NewRequestWithContext(t.Context(), "POST", c.url+"/v1/access", strings.NewReader(`{"api":"orders","version":"v1"}`))
			request.Header.Set("Content-Type", "application/json")
			request.Header.Set("Authorization", "Bearer "+c.caller)
			if res, err := c.client.Do(request); err != nil || res.StatusCode > 201 {
				t.Error(res, err)
			}
		})
	}
	all.Wait()
	made := 0
	for i, status := range statuses {
		switch status {
		case 201:
			made++
		case 200, 409:
		default:
			t.Errorf("PUT %d: %d", i, status)
		}
	}
	if made != 1 {
		t.Errorf("%d PUTs made the version", made)
	}
	v := c.with(c.owner, "GET", "/v1/apis/orders/versions/v2", "").want(200)
	path := strings.TrimSuffix(fmt.Sprint(v.json()["paths"].([]any)[0]), "/")
	n := strings.TrimPrefix(path, "/api/race")
	if doc := c.with(c.owner, "GET", "/v1/apis/orders/versions/v2/openapi.json", "").want(200).body; !strings.Contains(doc, `"p`+n+`"`) {
		t.Errorf("routes of %s with another document: %s", path, doc)
	}
	if list := c.with(c.caller, "GET", "/v1/access", "").json()["access"].([]any); len(list) != 1 {
		t.Errorf("%v", list)
	}
}

// TestCatalogueRestart: all of it is there after a restart.
func TestCatalogueRestart(t *testing.T) {
	dir := t.TempDir()
	c := openCatalogue(t, dir)
	c.orders(`{"approval":"auto"}`, true)
	c.with(c.caller, "POST", "/v1/access", `{"api":"orders","version":"v1"}`).want(201)
	c.with(c.caller, "GET", "/api/v1/orders/1", "").want(200)
	before := c.with(c.owner, "GET", "/v1/apis/orders", "").body + c.with(c.owner, "GET", "/v1/apis/orders/versions/v1", "").body + c.with(c.owner, "GET", "/v1/access", "").body
	c.close()
	w := startIn(t, dir, func(p *parts) {
		p.guard = egress.New(egress.Options{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	})
	after := w.with(c.owner, "GET", "/v1/apis/orders", "").body + w.with(c.owner, "GET", "/v1/apis/orders/versions/v1", "").body + w.with(c.owner, "GET", "/v1/access", "").body
	if before != after {
		t.Errorf("before\n%safter\n%s", before, after)
	}
	w.with(c.caller, "GET", "/api/v1/orders/1", "").want(200)
}

// TestCatalogueList: filters, pages and names that are not ones.
func TestCatalogueList(t *testing.T) {
	c := startCatalogue(t)
	for i := range 7 {
		c.with(c.owner, "PUT", fmt.Sprintf("/v1/apis/a%d", i), fmt.Sprintf(`{"title":"Number %d","tags":["t%d"],"description":"about orders"}`, i, i%2)).want(201)
	}
	names := func(query string) string {
		var all []string
		for cursor := ""; ; {
			r := c.with(c.owner, "GET", "/v1/apis?"+query+cursor, "").want(200)
			for _, a := range r.json()["apis"].([]any) {
				all = append(all, a.(map[string]any)["name"].(string))
			}
			next, more := r.json()["next_cursor"]
			if !more {
				r.has("Link", "")
				return strings.Join(all, " ")
			}
			if cursor = "&cursor=" + next.(string); !strings.Contains(r.header.Get("Link"), `rel="next"`) {
				t.Errorf("%v", r.header)
			}
		}
	}
	for query, want := range map[string]string{"": "a0 a1 a2 a3 a4 a5 a6", "limit=3": "a0 a1 a2 a3 a4 a5 a6", "limit=1&tag=t1": "a1 a3 a5", "q=NUMBER%202": "a2", "q=orders&limit=7": "a0 a1 a2 a3 a4 a5 a6", "team=else": "", "state=draft": "", "q=%00": ""} {
		if got := names(query); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
	for _, query := range []string{"limit=0", "limit=501", "state=x", "cursor=A", "q=a&q=b", "x=1", "q=%ff"} {
		c.with(c.owner, "GET", "/v1/apis?"+query, "").problem(400, "bad_message")
	}
	for _, query := range []string{"limit=0", "state=draft", "cursor=acc_1"} {
		c.with(c.owner, "GET", "/v1/access?"+query, "").problem(400, "bad_message")
	}
	for _, name := range []string{"A", "%2e%2e", "a%2fb", "a%00", strings.Repeat("a", 65), "%F0%9F%92%A5", "a'b", "-%0d%0aX:1"} {
		c.with(c.owner, "PUT", "/v1/apis/"+name, "{}").problem(404, "not_found")
		c.with(c.owner, "PUT", "/v1/apis/a1/versions/"+name, c.version(ordersDocument(""), "/api/")).problem(404, "not_found")
		c.with(c.owner, "GET", "/v1/access/"+name, "").problem(404, "not_found")
	}
	for body, pointer := range map[string]string{`{"title":"a\nb"}`: "/title", `{"tags":["a","a"]}`: "/tags/1", `{"tags":["\u0000"]}`: "/tags/0", `{"visibility":"x"}`: "/visibility", `{"access":"x"}`: "/access",
		`{"approval":"x"}`: "/approval", `{"team":"else"}`: "/team", `{"plans":["none"]}`: "/plans/0", `{"x":1}`: "/x", `{"title":"\u202e"}`: "/title"} {
		if r := c.with(c.owner, "PUT", "/v1/apis/b", body); r.status != 422 || !strings.Contains(r.body, `"pointer":"`+pointer+`"`) {
			t.Errorf("%s: %d %s", body, r.status, r.body)
		}
	}
}

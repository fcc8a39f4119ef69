package web_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"jobhub/web/auth"
)

// form sends a form as a page of the hub does.
func (w *world) form(path, form, cookie string, headers ...string) reply {
	w.t.Helper()
	headers = append([]string{"Content-Type", "application/x-www-form-urlencoded", "Origin", w.url, "Sec-Fetch-Site", "same-origin"}, headers...)
	if cookie != "" {
		headers = append(headers, "Cookie", cookie)
	}
	return w.with("", "POST", path, form, headers...)
}

// logIn returns the cookie that a key gives.
func (w *world) logIn(key string) string {
	w.t.Helper()
	r := w.form("/login", url.Values{"key": {key}}.Encode(), "").want(http.StatusSeeOther)
	cookie, _, _ := strings.Cut(r.header.Get("Set-Cookie"), ";")
	return cookie
}

func TestLogin(t *testing.T) {
	w := start(t)
	operator, viewer := w.key(auth.Operator, "default"), w.key(auth.Viewer, "default")
	w.bearer = operator
	id := w.submit(`{"kind":"nobody"}`)
	page := "/jobs/" + id
	to := w.with("", "GET", page+"?x=1", "").want(303).has("Set-Cookie", "", "Cache-Control", "no-store").header.Get("Location")
	if to != "/login?next="+url.QueryEscape(page+"?x=1") {
		t.Errorf("sent to %s", to)
	}
	form := w.with("", "GET", to, "").want(200).has("Content-Type", "text/html; charset=utf-8", "Cache-Control", "no-store", "Referrer-Policy", "same-origin", "Set-Cookie", "")
	if policy := form.header.Get("Content-Security-Policy"); !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "form-action 'self'") || strings.Contains(policy, "unsafe") {
		t.Errorf("Content-Security-Policy: %s", policy)
	}
	for _, part := range []string{`<form class="login" method="post" action="/login">`, `name="key"`, `value="` + page + `?x=1"`} {
		if !strings.Contains(form.body, part) {
			t.Errorf("the page lacks %s", part)
		}
	}
	token := w.token(`{"queues":["default"],"actions":["watch","cancel"]}`)
	for _, wrong := range []string{"", "x", "jh_wrong", token, operator[:30]} {
		r := w.form("/login", url.Values{"key": {wrong}, "next": {page}}.Encode(), "").want(401).has("Set-Cookie", "", "WWW-Authenticate", badToken, "Content-Type", "text/html; charset=utf-8")
		if !strings.Contains(r.body, `role="alert"`) || !strings.Contains(r.body, `value="`+page+`"`) || wrong != "" && len(wrong) > 3 && strings.Contains(r.body, wrong) {
			t.Errorf("with %q: %s", wrong, r.body)
		}
	}
	in := w.form("/login", url.Values{"key": {" " + operator + "\n"}, "next": {page}}.Encode(), "").want(303).has("Location", page)
	set := in.header.Get("Set-Cookie")
	for _, attribute := range []string{"; Path=/", "; HttpOnly", "; SameSite=Strict", "; Expires="} {
		if !strings.Contains(set, attribute) {
			t.Errorf("%s lacks %s", set, attribute)
		}
	}
	if strings.Contains(set, operator) || strings.Contains(set, "Domain") {
		t.Errorf("the cookie: %s", set)
	}
	cookie, _, _ := strings.Cut(set, ";")
	shown := w.with("", "GET", page, "", "Cookie", cookie).want(200)
	if !strings.Contains(shown.body, `action="/logout"`) || !strings.Contains(shown.body, "/cancel") || strings.Contains(shown.body, "data-readonly") {
		t.Error("an operator's page lacks something")
	}
	if read := w.with("", "GET", page, "", "Cookie", w.logIn(viewer)).want(200); !strings.Contains(read.body, "data-readonly") {
		t.Error("a viewer's page has buttons")
	}
	w.with("", "GET", "/v1/jobs/"+id, "", "Cookie", cookie).want(200)
	w.with("", "GET", "/login?next="+url.QueryEscape(page), "", "Cookie", cookie).want(303).has("Location", page)
	w.with("", "GET", page, "", "Cookie", "other=1; "+cookie).want(200)
	for _, bad := range []string{"jobhub_session=", "jobhub_session=jhs_e30.AA", cookie + "A", cookie[:len(cookie)-3], "jobhub_session=" + operator} {
		w.with("", "GET", page, "", "Cookie", bad).want(303)
	}

	out := w.form("/logout", "", cookie).want(303).has("Location", "/login").header.Get("Set-Cookie")
	if !strings.HasPrefix(out, "jobhub_session=;") || !strings.Contains(out, "Expires=Thu, 01 Jan 1970") || !strings.Contains(out, "Path=/") {
		t.Errorf("the cookie after logging out: %s", out)
	}
	w.with("", "GET", "/logout", "").want(405)
}

// After the login one gets to a page of this hub, whatever the link said.
func TestLoginLeadsNowhereElse(t *testing.T) {
	w := start(t)
	key := w.key(auth.Viewer, "default")
	for next, want := range map[string]string{"": "/", "/": "/", "/jobs/1?a=b&c=d": "/jobs/1?a=b&c=d", "//evil.test": "/", "///evil.test": "/", `/\evil.test`: "/", "/\t/evil.test": "/", "/ /evil.test": "/",
		"https://evil.test/": "/", "javascript:alert(1)": "/", "evil.test": "/", "/a\r\nSet-Cookie: x=1": "/", "/é": "/", "/\x7f": "/"} {
		w.form("/login", url.Values{"key": {key}, "next": {next}}.Encode(), "").want(303).has("Location", want)
		w.with("", "GET", "/login?next="+url.QueryEscape(next), "", "Cookie", w.logIn(key)).want(303).has("Location", want)
	}
	w.form("/login", "key=%zz", "").want(400)
	w.form("/login", "key="+strings.Repeat("a", 20_000), "").want(400)
	w.form("/login", "key="+key, "", "Origin", "https://evil.test").want(403).has("Set-Cookie", "")
	w.form("/login", "key="+key, "", "Origin", "null").want(403).has("Set-Cookie", "")
}

// A browser shows the cookie whoever made it send the request; so what changes something
// has to come from a page of the hub.
func TestCookiesChangeNothingFromElsewhere(t *testing.T) {
	w := startIn(t, t.TempDir(), func(p *parts) { p.web.Origins = []string{"https://app.example.com"} })
	key := w.key(auth.Admin, "default")
	cookie := w.logIn(key)
	w.bearer = key
	id := w.submit(`{"kind":"nobody"}`)
	w.bearer = ""
	same := [][]string{{"Origin", w.url}, {"Sec-Fetch-Site", "same-origin"}, {"Origin", w.url, "Sec-Fetch-Site", "same-origin"}}
	foreign := [][]string{{}, {"Origin", "https://evil.test"}, {"Origin", "null"}, {"Origin", "https://app.example.com"}, {"Origin", "http://localhost:1"}, {"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"},
		{"Sec-Fetch-Site", "none"}, {"Origin", "https://app.example.com", "Sec-Fetch-Site", "same-origin"}}
	for _, request := range []string{"POST /v1/jobs/" + id + "/cancel", "DELETE /v1/jobs/" + id, "POST /jobs/" + id + "/cancel", "POST /v1/queues/q/pause", "PATCH /v1/queues/q", "POST /v1/jobs", "POST /v1/tokens", "POST /v1/workers"} {
		method, path, _ := strings.Cut(request, " ")
		for _, headers := range foreign {
			if r := w.do(method, path, "", append([]string{"Cookie", cookie}, headers...)...); r.status != http.StatusForbidden {
				t.Errorf("%s with %v: %d %s", request, headers, r.status, r.body)
			}
		}
	}
	if state := w.do("GET", "/v1/jobs/"+id, "", "Cookie", cookie).text("state"); state != "queued" {
		t.Errorf("the job is %s", state)
	}
	for _, headers := range same {
		w.do("POST", "/v1/jobs/"+id+"/cancel", "", append([]string{"Cookie", cookie}, headers...)...).want(200)
	}
	w.do("POST", "/v1/jobs/"+id+"/cancel", "", "Cookie", cookie, "Authorization", "Bearer "+key).want(200) // a key is shown on purpose
}

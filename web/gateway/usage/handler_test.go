package usage_test

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"jobhub/jobs"
	"jobhub/web/gateway/usage"
	"jobhub/web/rest"
)

func get(t testing.TB, u *usage.Usage, query, accept string, scope usage.Scope) (*httptest.ResponseRecorder, error) {
	w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/v1/usage?"+query, nil)
	if accept != "" {
		r.Header.Set("Accept", accept)
	}
	return w, u.Answer(w, r, scope)
}

// TestJSON: the members of an answer.
func TestJSON(t *testing.T) {
	u := open(t, usage.Options{})
	now := time.Now()
	u.Record(now, usage.Call{Tenant: "acme", Consumer: "k\"1", API: "orders", Version: "v1", Route: "/a", Status: 503, Took: 0, In: 1, Out: 2, Cost: 3})
	w, err := get(t, u, "by=status,consumer,api,version,route,model", "", usage.Scope{Tenant: "acme"})
	if err != nil {
		t.Fatal(err)
	}
	hour := func(at time.Time) string { return at.UTC().Truncate(time.Hour).Format(time.RFC3339) }
	from := hour(now.Add(-24 * time.Hour))
	want := fmt.Sprintf(`{"from":%q,"to":%q,"usage":[{"status":503,"consumer":"k\"1","api":"orders","version":"v1","route":"/a","model":"","from":%q,"count":1,"errors":1,"p50_ms":0.0005,"p95_ms":0.0005,"p99_ms":0.0005,"bytes_in":1,"bytes_out":2,"cost":3}]}`+"\n",
		from, hour(now.Add(time.Hour)), from)
	if got := w.Body.String(); got != want || w.Code != 200 || w.Header().Get("Content-Type") != "application/json" || w.Header().Get("Vary") != "Accept" {
		t.Errorf("%d %v\n%s\n%s", w.Code, w.Header(), got, want)
	}
	for scope, n := range map[usage.Scope]int{{Tenant: "acme", Own: true, Consumer: "k\"1"}: 1, {Tenant: "acme", Own: true, Consumer: ""}: 0, {Tenant: "shop"}: 0, {}: 0} {
		w, err := get(t, u, "by=route", "", scope)
		var doc struct{ Usage []any }
		if err != nil || json.Unmarshal(w.Body.Bytes(), &doc) != nil || doc.Usage == nil || len(doc.Usage) != n {
			t.Errorf("%v: %v %s", scope, err, w.Body)
		}
	}
}

// TestCSV: a word never begins a formula in a spreadsheet, and can be had back.
func TestCSV(t *testing.T) {
	u := open(t, usage.Options{})
	names := []string{"", "'quoted", "+1", "-1", "=1+1", "@x", "\rx", "\tx", "\nx", "a,b;=c", `say "hi"`, "plain", "é"}
	for _, name := range names {
		u.Record(time.Now(), usage.Call{Consumer: name, Status: 200})
	}
	w, err := get(t, u, "by=consumer,status", "text/csv", usage.Scope{Tenant: jobs.DefaultTenant})
	if err != nil {
		t.Fatal(err)
	}
	if w.Header().Get("Content-Type") != "text/csv; charset=utf-8" || !strings.HasPrefix(w.Body.String(), "consumer,status,from,count,errors,p50_ms,p95_ms,p99_ms,bytes_in,bytes_out,cost\r\n") {
		t.Fatal(w.Header(), w.Body)
	}
	lines, err := csv.NewReader(w.Body).ReadAll()
	if err != nil || len(lines) != len(names)+1 {
		t.Fatal(err, lines)
	}
	read := map[string]bool{}
	for _, line := range lines[1:] {
		if line[0] != "" && strings.ContainsAny(line[0][:1], "=+-@\t\r\n") || line[3] != "1" {
			t.Errorf("%q", line)
		}
		read[strings.TrimPrefix(line[0], "'")] = true
	}
	for _, name := range names {
		if !read[name] {
			t.Errorf("%q is not in the answer", name)
		}
	}
}

func TestAccept(t *testing.T) {
	u := open(t, usage.Options{})
	for accept, want := range map[string]string{
		"": "application/json", "*/*": "application/json", "text/html, */*": "application/json", "text/csv": "text/csv", "text/*": "text/csv",
		"text/csv;q=0": "application/json", "application/json, text/csv": "application/json", "text/csv, application/json": "text/csv",
		"application/json;q=0.5, text/csv;q=0.9": "text/csv", "text/csv;q=NaN": "application/json", "text/csv;q=x": "application/json", ";;,": "application/json", "TEXT/CSV": "text/csv",
	} {
		w, err := get(t, u, "", accept, usage.Scope{Tenant: "acme"})
		if got, _, _ := strings.Cut(w.Header().Get("Content-Type"), ";"); err != nil || got != want {
			t.Errorf("%q gets %q, %v", accept, got, err)
		}
	}
}

// TestRefused: what can't be answered is refused with the reason, and what to ask instead.
func TestRefused(t *testing.T) {
	u := open(t, usage.Options{})
	now := time.Now()
	for i := range 10_001 {
		u.Record(now, usage.Call{Consumer: fmt.Sprint(i), Status: 200})
	}
	ago := func(d time.Duration) string { return url.QueryEscape(now.Add(-d).Format(time.RFC3339)) }
	for query, want := range map[string]string{
		"by=tenant":                      "400 must be some of consumer, api",
		"by=api,api":                     "400 each once",
		"by=api,":                        "400 must be some of",
		"by=api&by=route":                "400 more than once",
		"from=yesterday":                 "400 must be a time",
		"from=2026-11-30T00:00:00+05:30": "400 write a + in it as %2B",
		"from=0000-01-01":                "400 must be a time",
		"step=5m":                        "400 must be 1m, 1h or 1d",
		"group=api":                      "400 is unknown",
		"%zz":                            "400 can't be read",
		"from=" + ago(time.Hour) + "&to=" + ago(2*time.Hour): "422 must be after from",
		"from=" + ago(-time.Hour):                            "422 must be after from",
		"from=" + ago(91*24*time.Hour):                       "422 usage is kept for 90 days",
		"from=" + ago(3*time.Hour) + "&step=1m":              "422 minutes are kept for 2h0m0s; ask with step=1h",
		"by=consumer":                                        "422 more than 10000 rows; ask about a shorter time",
	} {
		w, err := get(t, u, query, "", usage.Scope{Tenant: jobs.DefaultTenant})
		if err == nil {
			t.Errorf("%s is answered with %.200s", query, w.Body)
			continue
		}
		p := rest.ProblemOf(err)
		text := fmt.Sprint(p.Status, " ", p.Detail, " ", p.Errors)
		if status, rest, _ := strings.Cut(want, " "); !strings.HasPrefix(text, status) || !strings.Contains(text, rest) {
			t.Errorf("%s: %s, not %s", query, text, want)
		}
	}
	for _, query := range []string{"", "step=1m", "step=1h", "step=1d", "from=" + ago(2*time.Hour) + "&step=1m", "from=" + ago(89*24*time.Hour) + "&step=1d", "to=9999-12-31", "by="} {
		if _, err := get(t, u, query, "", usage.Scope{Tenant: jobs.DefaultTenant}); err != nil {
			t.Errorf("%s: %v", query, err)
		}
	}
}

// TestBorders: a call at the border of a step belongs to the step that begins there; times may be
// given in any zone, and steps are those of UTC.
func TestBorders(t *testing.T) {
	u := open(t, usage.Options{Minutes: 96 * time.Hour})
	midnight := time.Date(2026, 3, 29, 0, 0, 0, 0, time.UTC) // summer time begins in Europe at 01:00 UTC
	for _, at := range []time.Duration{-time.Nanosecond, 0, time.Minute - 1, time.Minute, time.Hour - 1, time.Hour, 24*time.Hour - 1, 24 * time.Hour} {
		u.Record(midnight.Add(at), usage.Call{Tenant: "acme", Status: 200})
	}
	now := midnight.Add(25 * time.Hour)
	berlin := time.FixedZone("", 2*3600)
	for _, c := range []struct {
		from, to time.Duration
		step     time.Duration
		want     string
	}{
		{0, 24 * time.Hour, 24 * time.Hour, "29T00:00=6"},
		{-time.Second, 24*time.Hour + 1, 24 * time.Hour, "28T00:00=1 29T00:00=6 30T00:00=1"},
		{0, 2 * time.Hour, time.Hour, "29T00:00=4 29T01:00=1"},
		{0, time.Hour, time.Minute, "29T00:00=2 29T00:01=1 29T00:59=1"},
		{30 * time.Second, 61 * time.Second, time.Minute, "29T00:00=2 29T00:01=1"},
		{time.Minute, 2 * time.Minute, 0, "29T00:01=1"},
		{0, 24 * time.Hour, 0, "29T00:00=6"},
	} {
		a, err := u.Ask(t.Context(), now, usage.Question{Scope: usage.Scope{Tenant: "acme"}, From: midnight.Add(c.from).In(berlin), To: midnight.Add(c.to).In(berlin), Step: c.step})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, row := range a.Rows {
			got = append(got, fmt.Sprint(row.From.UTC().Format("02T15:04"), "=", row.Count))
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%v to %v by %v: %v, want %s", c.from, c.to, c.step, got, c.want)
		}
	}
}

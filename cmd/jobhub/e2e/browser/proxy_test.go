package browser

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"jobhub/cmd/jobhub/e2e/trial"
)

// TestPagesBelowAPath goes through a hub that a reverse proxy serves below a path of its
// host, whether it takes the path off or not, and answers nothing beside it.
func TestPagesBelowAPath(t *testing.T) {
	t.Parallel()
	const base = "/tools/hub"
	for name, strips := range map[string]bool{"taken off": true, "left on": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data := filepath.Join(t.TempDir(), "data")
			key := trial.MakeKey(t, data, "--role", "admin", "--name", "root")
			s := newScene(t, trial.StartHubAt(t, trial.FreeAddr(t), data, "--url", "https://hub.example.com"+base), trial.Bearer+key)
			to, err := url.Parse(s.URL)
			if err != nil {
				t.Fatal(err)
			}
			proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
				r.SetURL(to)
				r.Out.Host = r.In.Host
			}, FlushInterval: -1}
			var behind http.Handler = proxy
			if strips {
				behind = http.StripPrefix(base, proxy)
			}
			mux := http.NewServeMux()
			mux.Handle(base+"/", behind)
			mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/favicon.ico" {
					t.Errorf("the pages lead beside their path, to %s", r.URL.Path)
				}
				http.NotFound(w, r)
			})
			front := httptest.NewServer(mux)
			t.Cleanup(func() { front.CloseClientConnections(); front.Close() })
			root := front.URL + base

			p := openBrowser(t)
			p.visit(root + "/queues/reports")
			p.arrives(`document.getElementById("key")`)
			p.Evaluate(`void (document.getElementById("key").value = ` + trial.Quote(key) + `)`)
			p.click(".login button")
			p.arrives(`document.getElementById("queue-head") && ` + trial.Live)
			p.is(`location.pathname`, base+"/queues/reports")
			for _, what := range pages() {
				p.visit(root + s.in(what.path))
				if what.truth != nil {
					p.agrees(s, what)
				} else {
					p.Shows("main", "")
				}
			}

			// The overview is live, and leads to the jobs, a job, and its retry.
			p.Open(root + "/")
			s.stream.Say(t, `{"percent":50,"message":"page 5"}`)
			p.Shows("#overview-now #now-"+s.ids["running"], "page 5")
			p.Unmoved()
			show(p, 1440, 900, "light") // on less, the way to other pages is in a menu
			p.click(`nav a[data-key="j"]`)
			p.arrives(`location.pathname === "` + base + `/jobs" && ` + trial.Live)
			p.press("/")
			p.Evaluate(`void document.getElementById("search").select()`) // the driver types what the page took for a key
			p.press("reports\r")
			p.arrives(`location.pathname + location.search === "` + base + `/jobs?q=reports" && ` + trial.Live)
			p.visit(root + "/jobs?state=failed")
			p.click(row(s.ids["failed"]) + " a")
			p.arrives(`location.pathname === "` + base + `/jobs/` + s.ids["failed"] + `" && ` + trial.Live)
			p.click(`#job-head form[action$="/retry"] button`)
			p.arrives(`location.pathname.startsWith("` + base + `/jobs/") && !location.pathname.endsWith("` + s.ids["failed"] + `") && document.getElementById("job-head") && ` + trial.Live)
			p.visit(root + "/jobs/" + s.ids["scheduled"])
			p.click(`#job-head form[action$="/cancel"] button`)
			p.Shows("#confirm[open]", "Cancel this job?")
			p.click("#confirm .strong")
			p.arrives(`location.pathname === "` + base + `/jobs/` + s.ids["scheduled"] + `" && document.querySelector("#job-head .title > .st.cancelled")`)

			// The form of a queue comes back to it.
			p.visit(root + "/queues/reports")
			p.Evaluate(`void (window.before = true, document.getElementById("limit-rate").value = "5/s")`)
			p.click("#limits button")
			p.arrives(`location.pathname === "` + base + `/queues/reports" && !window.before && document.getElementById("limit-rate").value === "5/s" && ` + trial.Live)
			p.quiet(front.URL)

			// The API leads to itself, and the hub is found again after its end.
			a := s.Call("POST", "/v1/jobs", nobodys(""), trial.Bearer+key, trial.IsJSON)
			if l := a.Header.Get("Location"); !strings.HasPrefix(l, base+"/v1/jobs/") {
				t.Errorf("the API leads to %s", l)
			}
			s.Signal(syscall.SIGKILL)
			p.Until(trial.NotLive)
			s = s.again()
			p.Until(trial.Live)
			p.agrees(s, place{name: "queue", truth: trueQueue("reports")})

			p.click("header .user button")
			p.arrives(fmt.Sprintf(`location.pathname === "%s/login"`, base))
		})
	}
}

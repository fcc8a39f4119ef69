package browser

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"jobhub/cmd/jobhub/e2e/trial"
	"jobhub/web/client"
)

// TestPageSchedulesKeyboard makes a schedule without a mouse, sees it fire by itself, and
// pauses it.
func TestPageSchedulesKeyboard(t *testing.T) {
	t.Parallel()
	h, p := trial.StartHub(t), openBrowser(t)
	upstream := trial.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, `"well"`) }))
	p.Open(h.URL + "/")
	p.press("g", "s")
	p.arrives(`location.pathname === "/schedules" && ` + trial.Live)
	p.Shows("#schedules-list", "No schedule yet")
	p.press("n")
	p.is(`document.activeElement.id`, "new-name")
	p.press("no good", "\t", "sometimes", "\t", "\t", "\t", "http", "\r")                                       // Enter in a field sends the form
	p.arrives(`location.pathname === "/schedules" && document.querySelectorAll("[aria-invalid]").length === 3`) // without an input, which http needs
	p.Shows(".maker", "Nothing was stored")
	p.Until(trial.Live)
	p.Evaluate(`void document.getElementById("new-name").focus()`)
	p.Evaluate(`void document.getElementById("new-name").select()`)
	p.press("every-minute", "\t")
	p.Evaluate(`void document.getElementById("new-cron").select()`)
	p.press("* * * * *", "\t", "Europe/Berlin", "\t", "\t", "\t", "\t", `{"method":"GET","url":"`+upstream.URL+`/"}`, "\t", "\t", "\t")
	p.is(`document.activeElement.textContent`, "Create schedule")
	p.press("\r")
	p.arrives(`location.pathname === "/schedules/every-minute" && ` + trial.Live)
	p.Shows("#schedule-head", "every minute")
	p.is(`document.querySelectorAll("#schedule-ticks li").length`, "5")
	p.Evaluate(`void (window.sameDocument = true)`)
	p.TakeRequests()
	p.Patience = time.Minute + trial.Patience // until the next tick has come
	p.Shows("#schedule-runs tbody", "succeeded")
	p.Shows("#schedule-head", "ago")
	p.is(`String(window.sameDocument)`, "true")
	if sent := p.TakeRequests(); len(sent) > 0 {
		t.Errorf("the page sent %q", sent)
	}
	p.press("?")
	p.Shows("dialog#shortcuts[open]", "run it now")
	p.press("Escape")
	p.Until(`!document.querySelector("dialog[open]")`)
	p.press("p")
	p.arrives(`document.querySelector("#schedule-head .paused") && ` + trial.Live)
	p.is(`document.querySelector("#schedule-control").textContent.includes("Resume")`, "true")
	p.press("r")
	p.arrives(`document.querySelectorAll("#schedule-runs tbody tr").length >= 2 && ` + trial.Live)
	p.press("j", "\r")
	p.arrives(`location.pathname.startsWith("/jobs/")`)
	p.Open(h.URL + "/schedules")
	p.Shows("#schedule-row-every-minute", "paused")
	p.press("j", "\r")
	p.arrives(`location.pathname === "/schedules/every-minute" && ` + trial.Live)
	p.click("#schedule-control [data-ask] button")
	p.Shows("#confirm[open]", "Delete the schedule every-minute?")
	p.click("#confirm .strong")
	p.arrives(`location.pathname === "/schedules" && document.querySelector(".teach")`)
	for _, c := range p.Heard() {
		if !strings.Contains(c, "status of 422") { // of the form that was refused
			t.Errorf("the browser complains: %s", c)
		}
	}
}

// TestPageCallbacksKeyboard sees deliveries fail and succeed as that happens, and sends one
// once more.
func TestPageCallbacksKeyboard(t *testing.T) {
	t.Parallel()
	h, p := trial.StartHub(t), openBrowser(t)
	rec := trial.NewReceiver(t, func(n int, w http.ResponseWriter, _ *http.Request) {
		if n == 1 {
			w.WriteHeader(http.StatusGone)
		}
	})
	p.Open(h.URL + "/callbacks")
	p.Shows("#callbacks-rows", "No callback yet")
	id := h.Submit(nobodys(`,"callbacks":[{"url":"` + rec.URL + `?token=hunter2","events":["job.cancelled"]}]`)).ID
	h.Call("POST", "/v1/jobs/"+id+"/cancel", "")
	rec.Next(t)
	p.Shows("#callbacks-rows tbody", "410 Gone")
	p.Shows("#callbacks-hosts", "1 failed")
	p.press("j", "r")
	p.arrives(`location.pathname.startsWith("/jobs/") && ` + trial.Live)
	rec.Next(t)
	p.Shows("#job-head", "succeeded")
	p.Shows("#job-data", "job.cancelled")
	p.is(`document.body.innerHTML.includes("hunter2")`, "false")
	p.Open(h.URL + "/callbacks?state=succeeded")
	p.Shows("#callbacks-rows tbody", "answered 200")
	p.is(`document.querySelectorAll("#callbacks-rows tbody tr").length`, "1")
	for _, c := range p.Heard() {
		t.Errorf("the browser complains: %s", c)
	}
}

// TestSchedulesWithoutScript: all of it works without script.
func TestSchedulesWithoutScript(t *testing.T) {
	t.Parallel()
	h, p := trial.StartHub(t), openBrowser(t).plain()
	p.says(p.to(h.URL+"/schedules"), "No schedule yet")
	p.types("#new-name", "s")
	p.types("#new-cron", "@hourly")
	p.types("#new-kind", "nobody")
	p.says(p.clicks(".maker .strong"), "every hour")
	p.says(p.clicks(`form[action$="/run"] button`), "the last 1 run: 1 queued")
	p.says(p.clicks(`form[action$="/pause"] button`), "Resume")
	p.types("#change-time_zone", "Mars")
	p.says(p.clicks("#change .button"), "must be a name like")
	p.says(p.clicks(`form[action$="/delete"] button`), "Delete the schedule s?")
	p.says(p.clicks(".strong"), "No schedule yet")
	p.says(p.to(h.URL+"/callbacks"), "No callback yet")
}

// TestSchedulesAndCallbacksInEveryState looks at the states that TestPagesInEveryState does
// not come to.
func TestSchedulesAndCallbacksInEveryState(t *testing.T) {
	t.Parallel()
	h, p := trial.StartHub(t), openBrowser(t)
	rec := trial.NewReceiver(t, func(n int, w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader([]int{http.StatusOK, http.StatusGone, http.StatusServiceUnavailable}[n%3])
	})
	h.Call("PUT", "/v1/schedules/nightly", `{"cron":"0 3 * * mon-fri","time_zone":"Europe/Berlin","job":{"kind":"http","input":{"method":"GET","url":"http://127.0.0.1:1/"},"retry":{"max_attempts":1}}}`, trial.IsJSON)
	h.Call("PUT", "/v1/schedules/paused-with-a-long-name-of-fifty-characters.or.so", `{"cron":"5,35 1,5,13 1-7,22,31 apr,oct-dec 1","time_zone":"America/Argentina/Buenos_Aires","job":{"kind":"nobody"},"paused":true}`, trial.IsJSON)
	for range 3 {
		h.Call("POST", "/schedules/nightly/run", "x=y", "Content-Type: application/x-www-form-urlencoded")
	}
	var child string
	for range 3 {
		id := h.Submit(nobodys(`,"callbacks":[{"url":"` + rec.URL + `","events":["job.queued","job.cancelled"]}]`)).ID
		rec.Next(t)
		child = h.Children(id)[0].ID
	}
	h.Await(child, func(j client.Job) bool { return j.State != "running" && j.State != "queued" })
	p.looks(h.URL,
		visit{"schedules", "/schedules", `document.querySelector(".maker").open = true`, "#schedules-list", "fifty"},
		visit{"paused", "/schedules/paused-with-a-long-name-of-fifty-characters.or.so", "", "#schedule-head", "paused"},
		visit{"question", "/schedules/nightly", `document.querySelector("#schedule-control [data-ask] button").click()`, "#confirm[open]", "Delete the schedule nightly?"},
		visit{"refused", "/schedules/nightly", `document.querySelector("#change-cron").value = "soon", document.querySelector("#change form").requestSubmit()`, "#change:has([aria-invalid])", ""},
		visit{"callbacks", "/callbacks", "", "#callbacks-rows", "410"},
		visit{"none like that", "/callbacks?state=cancelled", "", "#callbacks-rows", "No delivery matches"},
		visit{"delivery", "/jobs/" + child, "", "#job-head", "webhook"})
}

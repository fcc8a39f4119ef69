package main_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"jobhub/web/client"
)

// TestPageSchedulesKeyboard makes a schedule without a mouse, sees it fire by itself, and
// pauses it.
func TestPageSchedulesKeyboard(t *testing.T) {
	t.Parallel()
	h, p := startHub(t), openBrowser(t)
	upstream := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, `"well"`) }))
	p.open(h.url + "/")
	p.press("g", "s")
	p.arrives(`location.pathname === "/schedules" && ` + live)
	p.shows("#schedules-list", "No schedule yet")
	p.press("n")
	p.is(`document.activeElement.id`, "new-name")
	p.press("no good", "\t", "sometimes", "\t", "\t", "\t", "http", "\r")                                       // Enter in a field sends the form
	p.arrives(`location.pathname === "/schedules" && document.querySelectorAll("[aria-invalid]").length === 3`) // without an input, which http needs
	p.shows(".maker", "Nothing was stored")
	p.until(live)
	p.evaluate(`void document.getElementById("new-name").focus()`)
	p.evaluate(`void document.getElementById("new-name").select()`)
	p.press("every-minute", "\t")
	p.evaluate(`void document.getElementById("new-cron").select()`)
	p.press("* * * * *", "\t", "Europe/Berlin", "\t", "\t", "\t", "\t", `{"method":"GET","url":"`+upstream.URL+`/"}`, "\t", "\t", "\t")
	p.is(`document.activeElement.textContent`, "Create schedule")
	p.press("\r")
	p.arrives(`location.pathname === "/schedules/every-minute" && ` + live)
	p.shows("#schedule-head", "every minute")
	p.is(`document.querySelectorAll("#schedule-ticks li").length`, "5")
	p.evaluate(`void (window.sameDocument = true)`)
	p.mu.Lock()
	p.requests = nil
	p.mu.Unlock()
	p.patience = time.Minute + patience // until the next tick has come
	p.shows("#schedule-runs tbody", "succeeded")
	p.shows("#schedule-head", "ago")
	p.is(`String(window.sameDocument)`, "true")
	p.mu.Lock()
	if len(p.requests) > 0 {
		t.Errorf("the page sent %q", p.requests)
	}
	p.mu.Unlock()
	p.press("?")
	p.shows("dialog#shortcuts[open]", "run it now")
	p.press("Escape")
	p.until(`!document.querySelector("dialog[open]")`)
	p.press("p")
	p.arrives(`document.querySelector("#schedule-head .paused") && ` + live)
	p.is(`document.querySelector("#schedule-control").textContent.includes("Resume")`, "true")
	p.press("r")
	p.arrives(`document.querySelectorAll("#schedule-runs tbody tr").length >= 2 && ` + live)
	p.press("j", "\r")
	p.arrives(`location.pathname.startsWith("/jobs/")`)
	p.open(h.url + "/schedules")
	p.shows("#schedule-row-every-minute", "paused")
	p.press("j", "\r")
	p.arrives(`location.pathname === "/schedules/every-minute" && ` + live)
	p.click("#schedule-control [data-ask] button")
	p.shows("#confirm[open]", "Delete the schedule every-minute?")
	p.click("#confirm .strong")
	p.arrives(`location.pathname === "/schedules" && document.querySelector(".teach")`)
	for _, c := range p.heard() {
		if !strings.Contains(c, "status of 422") { // of the form that was refused
			t.Errorf("the browser complains: %s", c)
		}
	}
}

// TestPageCallbacksKeyboard sees deliveries fail and succeed as that happens, and sends one
// once more.
func TestPageCallbacksKeyboard(t *testing.T) {
	t.Parallel()
	h, p := startHub(t), openBrowser(t)
	rec := newReceiver(t, func(n int, w http.ResponseWriter, _ *http.Request) {
		if n == 1 {
			w.WriteHeader(http.StatusGone)
		}
	})
	p.open(h.url + "/callbacks")
	p.shows("#callbacks-rows", "No callback yet")
	id := h.submit(nobodys(`,"callbacks":[{"url":"` + rec.url + `?token=hunter2","events":["job.cancelled"]}]`)).ID
	h.call("POST", "/v1/jobs/"+id+"/cancel", "")
	rec.next(t)
	p.shows("#callbacks-rows tbody", "410 Gone")
	p.shows("#callbacks-hosts", "1 failed")
	p.press("j", "r")
	p.arrives(`location.pathname.startsWith("/jobs/") && ` + live)
	rec.next(t)
	p.shows("#job-head", "succeeded")
	p.shows("#job-data", "job.cancelled")
	p.is(`document.body.innerHTML.includes("hunter2")`, "false")
	p.open(h.url + "/callbacks?state=succeeded")
	p.shows("#callbacks-rows tbody", "answered 200")
	p.is(`document.querySelectorAll("#callbacks-rows tbody tr").length`, "1")
	for _, c := range p.heard() {
		t.Errorf("the browser complains: %s", c)
	}
}

// TestSchedulesWithoutScript: all of it works without script.
func TestSchedulesWithoutScript(t *testing.T) {
	t.Parallel()
	h, p := startHub(t), openBrowser(t).plain()
	p.says(p.to(h.url+"/schedules"), "No schedule yet")
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
	p.says(p.to(h.url+"/callbacks"), "No callback yet")
}

// TestSchedulesAndCallbacksInEveryState looks at the states that TestPagesInEveryState does
// not come to.
func TestSchedulesAndCallbacksInEveryState(t *testing.T) {
	t.Parallel()
	h, p := startHub(t), openBrowser(t)
	rec := newReceiver(t, func(n int, w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader([]int{http.StatusOK, http.StatusGone, http.StatusServiceUnavailable}[n%3])
	})
	h.call("PUT", "/v1/schedules/nightly", `{"cron":"0 3 * * mon-fri","time_zone":"Europe/Berlin","job":{"kind":"http","input":{"method":"GET","url":"http://127.0.0.1:1/"},"retry":{"max_attempts":1}}}`, isJSON)
	h.call("PUT", "/v1/schedules/paused-with-a-long-name-of-fifty-characters.or.so", `{"cron":"5,35 1,5,13 1-7,22,31 apr,oct-dec 1","time_zone":"America/Argentina/Buenos_Aires","job":{"kind":"nobody"},"paused":true}`, isJSON)
	for range 3 {
		h.call("POST", "/schedules/nightly/run", "x=y", "Content-Type: application/x-www-form-urlencoded")
	}
	var child string
	for range 3 {
		id := h.submit(nobodys(`,"callbacks":[{"url":"` + rec.url + `","events":["job.queued","job.cancelled"]}]`)).ID
		rec.next(t)
		child = h.children(id)[0].ID
	}
	h.await(child, func(j client.Job) bool { return j.State != "running" && j.State != "queued" })
	p.looks(h.url,
		visit{"schedules", "/schedules", `document.querySelector(".maker").open = true`, "#schedules-list", "fifty"},
		visit{"paused", "/schedules/paused-with-a-long-name-of-fifty-characters.or.so", "", "#schedule-head", "paused"},
		visit{"question", "/schedules/nightly", `document.querySelector("#schedule-control [data-ask] button").click()`, "#confirm[open]", "Delete the schedule nightly?"},
		visit{"refused", "/schedules/nightly", `document.querySelector("#change-cron").value = "soon", document.querySelector("#change form").requestSubmit()`, "#change:has([aria-invalid])", ""},
		visit{"callbacks", "/callbacks", "", "#callbacks-rows", "410"},
		visit{"none like that", "/callbacks?state=cancelled", "", "#callbacks-rows", "No delivery matches"},
		visit{"delivery", "/jobs/" + child, "", "#job-head", "webhook"})
}

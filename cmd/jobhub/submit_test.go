package main

import (
	"strings"
	"testing"
)

func TestSubmit(t *testing.T) {
	server := stage(t, running)
	code, out, errs := command(t, runSubmit, "http", "http://example.com/?a=\"", "--tag", "a", "--tag", "b", "--delay", "2s", "--server", server)
	if want := "j1\n  job       " + server + "/v1/jobs/j1\n  page      " + server + "/jobs/j1\n"; code != 0 || out != want || errs != "" {
		t.Errorf("code %d, printed %q, said %q", code, out, errs)
	}
	if code, out, _ := command(t, runSubmit, "k", "{}", "--json", "--server", server); code != 0 || out != running+"\n" {
		t.Errorf("code %d, printed %q", code, out)
	}
}

func TestSubmitWait(t *testing.T) {
	done := strings.Replace(running, `"state":"running"`, `"state":"succeeded","result":{"n":1}`, 1)
	ended := `{"type":"subscribed","id":"w","epoch":"e","seq":9}` + "\n" + `{"type":"state","id":"w","job":"j1","seq":9,"version":2,"data":` + done + `}`
	if code, out, errs := command(t, runSubmit, "k", "--wait", "--server", stage(t, done, ended)); code != 0 || out != `{"n":1}`+"\n" || errs != "" {
		t.Errorf("code %d, printed %q, said %q", code, out, errs)
	}
	failed := strings.Replace(running, `"state":"running"`, `"state":"failed","reason":"rejected","result":null,"error":{"title":"No","code":"internal"}`, 1)
	if code, out, errs := command(t, runSubmit, "k", "--wait", "--server", stage(t, failed, strings.Replace(ended, done, failed, 1))); code != 1 || out != "" || errs != "j1 failed: rejected: No\n" {
		t.Errorf("code %d, printed %q, said %q", code, out, errs)
	}
}

func TestReadInput(t *testing.T) {
	for _, c := range []struct{ kind, arg, stdin, want string }{
		{"http", "http://a/?q=\"x\"", "", `{"method":"GET","url":"http://a/?q=\"x\""}`},
		{"http", `{"url":"http://a/"}`, "", `{"url":"http://a/"}`},
		{"k", "12345678901234567890.10", "", "12345678901234567890.10"},
		{"k", "-", `{"n": 1}`, `{"n": 1}`},
		{"k", "http://a/", "", ""},
		{"k", "-", "", ""},
	} {
		got, err := readInput(c.kind, c.arg, strings.NewReader(c.stdin))
		if string(got) != c.want || (err != nil) != (c.want == "") {
			t.Errorf("%s %s: %s, %v", c.kind, c.arg, got, err)
		}
	}
}

func TestCancel(t *testing.T) {
	if code, out, _ := command(t, runCancel, "j1", "--server", stage(t, running)); code != 0 || out != "j1 running, told to stop\n" {
		t.Errorf("code %d, printed %q", code, out)
	}
	done := strings.Replace(running, "running", "succeeded", 1)
	if code, out, errs := command(t, runCancel, "nobody", "j1", "--server", stage(t, done)); code != 1 || out != "j1 is already finished: succeeded\n" || !strings.HasPrefix(errs, "jobhub cancel nobody: ") {
		t.Errorf("code %d, printed %q, said %q", code, out, errs)
	}
}
